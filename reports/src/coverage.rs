//! How much of the standards the suite tests, requirement by requirement.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use askama::Template;
use crosscheck_cases::{Cover, Reach, Requirement, Suite, not_tested, reach, requirements, standard};
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::grouped;
use crate::{RunRecord, Verdict};

/// How much of the standards is really tested: a row for each requirement, sums for each area, and the proof that
/// matrices cover what they promise.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Coverage {
    /// The version of this format: 1.
    pub format: u32,
    /// Sums, in the order of the inventory.
    pub areas: Vec<AreaCoverage>,
    /// One for each row of the inventory.
    pub requirements: Vec<RequirementCoverage>,
    /// Matrices that cover all pairs in place of all combinations.
    pub pairs: Vec<PairsCoverage>,
}

/// How well one requirement is tested.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RequirementCoverage {
    /// The id.
    pub id: String,
    /// The area.
    pub area: String,
    /// Who has to keep it: `browser` or `server`.
    pub who: String,
    /// What is demanded.
    pub requirement: String,
    /// Whether the executable standard decides it.
    pub modelled: bool,
    /// Why it is not modelled, where that is written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_modelled: Option<String>,
    /// How well it is tested.
    pub standing: Standing,
    /// A case that fails where the rule is not kept, as an agent without it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tested_by: Option<String>,
    /// Cases that name it and state their outcome by hand.
    pub by_hand: usize,
    /// Generated cases whose predicted outcome rests on it.
    pub generated: usize,
    /// Why there is no case, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_tested: Option<String>,
    /// Passed cases of either kind, by agent; nothing for agents that were not run.
    pub proven: BTreeMap<String, usize>,
}

/// How well a requirement is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A case fails where the rule is not kept: an agent of the executable standard without it shows that.
    Tested,
    /// Hand-written cases name it, and no agent can leave it out to show that they would fail.
    Named,
    /// Cases pass through it, and none fails without it.
    PassedThrough,
    /// No case has to do with it.
    None,
}

/// The sums of an area.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AreaCoverage {
    /// The area.
    pub area: String,
    /// Requirements that a browser has to keep.
    pub browser: usize,
    /// Of these, how many the executable standard decides.
    pub modelled: usize,
    /// Of these, how many are tested: a case fails where the rule is not kept.
    pub tested: usize,
    /// Of these, how many a hand-written case names, and no agent can leave out.
    pub named: usize,
    /// Of these, how many cases pass through, without a case that fails without the rule.
    pub passed_through: usize,
    /// Of these, how many have no case.
    pub none: usize,
    /// Of these, how many a passed case of every agent proves.
    pub proven: usize,
}

/// The proof that a matrix covers all pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PairsCoverage {
    /// The matrix: `topic/id`.
    pub matrix: String,
    /// Its cases.
    pub cases: usize,
    /// All pairs of values of two dimensions.
    pub pairs: usize,
    /// How many of them stand in a case.
    pub covered: usize,
    /// How many the matrix' exceptions rule out.
    pub excepted: usize,
}

impl Coverage {
    /// Counts over a suite and, where there are any, records of its runs.
    #[must_use]
    pub fn of(suite: &Suite, runs: &[RunRecord]) -> Self {
        let mut by_hand: HashMap<&str, usize> = HashMap::new();
        let mut generated: HashMap<&str, usize> = HashMap::new();
        let mut rests_on: HashMap<&str, BTreeSet<String>> = HashMap::new();
        for case in &suite.cases {
            let mut named: BTreeSet<String> = case.stated.requires.iter().cloned().collect();
            if case.predicted {
                let decisions = case.predict().map(|prediction| prediction.decisions).unwrap_or_default();
                named.extend(decisions.into_iter().map(|decision| decision.requirement.into_owned()));
            }
            rests_on.insert(&case.id, named);
        }
        for case in &suite.cases {
            for id in rests_on.get(case.id.as_str()).into_iter().flatten() {
                let counts = if case.predicted { &mut generated } else { &mut by_hand };
                *counts.entry(id).or_default() += 1;
            }
        }
        let mut proven: HashMap<&str, BTreeMap<String, usize>> = HashMap::new();
        for run in runs {
            let passed = run.results.iter().filter(|result| result.verdict == Verdict::Pass);
            for id in passed.filter_map(|result| rests_on.get(result.id.as_str())).flatten() {
                *proven.entry(id).or_default().entry(run.agent.name.clone()).or_default() += 1;
            }
        }
        let reach = reach(&suite.cases);
        let count = |counts: &HashMap<&str, usize>, id: &str| counts.get(id).copied().unwrap_or_default();
        let requirements: Vec<RequirementCoverage> = requirements()
            .iter()
            .map(|requirement: &Requirement| RequirementCoverage {
                standing: standing(
                    reach.get(requirement.id.as_str()),
                    count(&by_hand, &requirement.id),
                    count(&generated, &requirement.id),
                ),
                tested_by: reach
                    .get(requirement.id.as_str())
                    .and_then(|reach| reach.caught_by)
                    .map(|case| case.id.clone()),
                id: requirement.id.clone(),
                area: requirement.area.clone(),
                who: requirement.who.clone(),
                requirement: requirement.requirement.clone(),
                modelled: standard::modelled().contains(requirement.id.as_str()),
                not_modelled: standard::not_modelled().get(&requirement.id).cloned(),
                by_hand: count(&by_hand, &requirement.id),
                generated: count(&generated, &requirement.id),
                not_tested: not_tested().get(&requirement.id).cloned(),
                proven: proven.remove(requirement.id.as_str()).unwrap_or_default(),
            })
            .collect();
        let areas = areas(&requirements, runs.len());
        Self { format: 1, areas, requirements, pairs: suite.covers.iter().map(PairsCoverage::of).collect() }
    }
}

impl PairsCoverage {
    fn of(cover: &Cover) -> Self {
        let Cover { matrix, cases, pairs, covered, excepted } = cover.clone();
        Self { matrix, cases, pairs, covered, excepted }
    }
}

impl RequirementCoverage {
    fn is_proven_by(&self, agents: usize) -> bool {
        agents > 0 && self.proven.len() == agents
    }
}

/// How well a requirement is tested, by what cases reach of it and by how many name it or rest on it.
fn standing(reach: Option<&Reach<'_>>, by_hand: usize, generated: usize) -> Standing {
    match reach {
        Some(Reach { caught_by: Some(_), .. }) => Standing::Tested,
        // No agent can leave it out, or leaving it out shows in nothing that is predicted: scripts may show it.
        _ if by_hand > 0 => Standing::Named,
        Some(Reach { reached: 1.., .. }) => Standing::PassedThrough,
        _ if generated > 0 => Standing::PassedThrough,
        _ => Standing::None,
    }
}

fn areas(requirements: &[RequirementCoverage], agents: usize) -> Vec<AreaCoverage> {
    let mut areas: Vec<AreaCoverage> = Vec::new();
    for row in requirements.iter().filter(|row| row.who == "browser") {
        let at = areas.iter().position(|area| area.area == row.area).unwrap_or_else(|| {
            areas.push(AreaCoverage { area: row.area.clone(), ..AreaCoverage::default() });
            areas.len() - 1
        });
        let area = &mut areas[at];
        area.browser += 1;
        area.modelled += usize::from(row.modelled);
        area.tested += usize::from(row.standing == Standing::Tested);
        area.named += usize::from(row.standing == Standing::Named);
        area.passed_through += usize::from(row.standing == Standing::PassedThrough);
        area.none += usize::from(row.standing == Standing::None);
        area.proven += usize::from(row.is_proven_by(agents));
    }
    areas
}

/// The sums for a terminal, a line for each area, and the matrices that cover pairs.
#[must_use]
pub fn render_coverage_table(coverage: &Coverage) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<24} {:>8} {:>9} {:>7} {:>6} {:>14} {:>5} {:>7}",
        "area", "browser", "modelled", "tested", "named", "passed through", "none", "proven"
    );
    let total =
        coverage.areas.iter().fold(AreaCoverage { area: "all".to_owned(), ..AreaCoverage::default() }, |sum, area| {
            AreaCoverage {
                area: sum.area,
                browser: sum.browser + area.browser,
                modelled: sum.modelled + area.modelled,
                tested: sum.tested + area.tested,
                named: sum.named + area.named,
                passed_through: sum.passed_through + area.passed_through,
                none: sum.none + area.none,
                proven: sum.proven + area.proven,
            }
        });
    for area in coverage.areas.iter().chain([&total]) {
        let _ = writeln!(
            out,
            "{:<24} {:>8} {:>9} {:>7} {:>6} {:>14} {:>5} {:>7}",
            area.area,
            area.browser,
            area.modelled,
            area.tested,
            area.named,
            area.passed_through,
            area.none,
            area.proven
        );
    }
    out.push_str(
        "\nThe figures are requirements that a browser has to keep. Tested: a case fails where the rule is not kept, as a wrong\n\
         agent shows. Named: a hand-written case names it, and no wrong agent can leave it out. Passed through: cases follow\n\
         it, and none fails without it. Proven: it has a passed case in every run given.\n",
    );
    if !coverage.pairs.is_empty() {
        out.push_str("\nMatrices that cover all pairs of values:\n");
    }
    for pairs in &coverage.pairs {
        let _ = writeln!(
            out,
            "  {:<34} {:>6} cases  {} of {} pairs, {} excepted",
            pairs.matrix,
            grouped(pairs.cases as u64),
            grouped(pairs.covered as u64),
            grouped(pairs.pairs as u64),
            grouped(pairs.excepted as u64)
        );
    }
    out
}

#[derive(Template)]
#[template(path = "coverage.html")]
struct Page<'c> {
    coverage: &'c Coverage,
    agents: Vec<String>,
    style: &'static str,
}

impl Page<'_> {
    fn rows<'p>(&'p self, area: &'p str) -> impl Iterator<Item = &'p RequirementCoverage> {
        self.coverage.requirements.iter().filter(move |row| row.area == area && row.who == "browser")
    }
}

/// The coverage as a page of the report: self-contained, without script.
///
/// # Errors
/// The template fails to write.
pub fn render_coverage_html(coverage: &Coverage, runs: &[RunRecord]) -> Result<String, askama::Error> {
    let agents = runs.iter().map(|run| run.agent.name.clone()).collect();
    Page { coverage, agents, style: include_str!("../templates/report.css") }.render()
}
