use std::collections::HashMap;

use crate::explain::header_line;
use crate::text::{count_of, duration, grouped};
use crate::{RunRecord, Verdict};
use crosscheck_cases::visible;

/// What the page says without any script.
pub(super) struct Summary {
    pub(super) headline: String,
    pub(super) attention: bool,
    pub(super) agents: Vec<Agent>,
    pub(super) areas: Vec<Area>,
}

pub(super) struct Agent {
    pub(super) index: usize,
    pub(super) label: String,
    pub(super) version: String,
    pub(super) counts: Counts,
    /// Platform, when, and how long, in a line.
    pub(super) setting: String,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) warnings: Vec<String>,
}

pub(super) struct Area {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) cells: Vec<Counts>,
}

/// How many cases came out how.
#[derive(Clone, Default)]
pub(super) struct Counts([usize; Verdict::ALL.len()]);

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        self.0[verdict as usize] += 1;
    }

    pub(super) fn total(&self) -> usize {
        self.0.iter().sum()
    }

    pub(super) fn passed(&self) -> String {
        grouped(self.0[Verdict::Pass as usize] as u64)
    }

    pub(super) fn total_text(&self) -> String {
        grouped(self.total() as u64)
    }

    /// Name, count, and share of the bar in percent of each verdict that occurs.
    pub(super) fn parts(&self) -> Vec<(&'static str, String, String)> {
        let total = self.total();
        let present = Verdict::ALL.into_iter().filter(|verdict| self.0[*verdict as usize] > 0);
        present
            .map(|verdict| {
                let count = self.0[verdict as usize];
                #[expect(clippy::cast_precision_loss, reason = "a share of a bar")]
                let share = format!("{:.2}", count as f64 * 100.0 / total as f64);
                (verdict.name(), grouped(count as u64), share)
            })
            .collect()
    }

    /// The verdicts other than pass.
    pub(super) fn exceptions(&self) -> Vec<(&'static str, String, String)> {
        self.parts().into_iter().filter(|(name, ..)| *name != Verdict::Pass.name()).collect()
    }
}

/// The verdict's sign, so that colour is never the only carrier.
pub(super) fn sign(name: &str) -> &'static str {
    Verdict::ALL.into_iter().find(|verdict| verdict.name() == name).map_or("", Verdict::sign)
}

impl Summary {
    pub(super) fn of(runs: &[RunRecord]) -> Self {
        let agents: Vec<Agent> = runs.iter().enumerate().map(|(index, run)| Agent::of(index, run)).collect();
        let mut areas: Vec<Area> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (index, run) in runs.iter().enumerate() {
            for result in &run.results {
                let place = *places.entry(&result.area).or_insert_with(|| {
                    let about = runs.iter().find_map(|run| run.suite.topics.get(&result.area));
                    areas.push(Area {
                        name: visible(&result.area),
                        about: about.map(|about| visible(about)).unwrap_or_default(),
                        cells: vec![Counts::default(); runs.len()],
                    });
                    areas.len() - 1
                });
                areas[place].cells[index].add(result.verdict);
            }
        }
        let unexpected: usize =
            runs.iter().flat_map(|run| &run.results).filter(|result| result.verdict.is_unexpected()).count();
        let total: usize = runs.iter().map(|run| run.results.len()).sum();
        let headline = match (runs.len(), unexpected) {
            (0, _) => "There is no run in this report.".to_owned(),
            (_, 0) => format!("All of {} are as expected.", count_of(total, "result")),
            (_, some) => format!("{} of {} need attention.", grouped(some as u64), count_of(total, "result")),
        };
        Self { headline, attention: unexpected > 0, agents, areas }
    }
}

impl Agent {
    fn of(index: usize, run: &RunRecord) -> Self {
        let agent = &run.agent;
        let mut counts = Counts::default();
        run.results.iter().for_each(|result| counts.add(result.verdict));
        let rate = format!("{:.0} a second", run.summary.requests_per_second);
        let suite = if run.suite.filter.is_empty() {
            format!("{}, whole suite", run.suite.version)
        } else {
            let all = grouped(run.suite.cases as u64);
            format!("{}, of {all} cases those matching {}", run.suite.version, run.suite.filter)
        };
        let facts = [
            ("Engine", agent.engine.clone()),
            ("Requests", format!("{}, {rate}", grouped(run.summary.requests))),
            ("Suite", suite),
            ("Reasons", agent.reasons.clone()),
            ("Requests' headers", header_line(run).unwrap_or_default()),
        ];
        let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
        let setting = [agent.platform.clone(), moment(&run.started), duration(run.duration_ms)];
        let setting: Vec<String> = setting.into_iter().filter(|part| !part.is_empty()).collect();
        Self {
            index,
            setting: visible(&setting.join(" · ")),
            label: visible(label(run)),
            version: visible(&agent.version),
            counts,
            facts: facts.map(|(name, value)| (name, visible(&value))).collect(),
            warnings: run.warnings.iter().map(|warning| visible(warning)).collect(),
        }
    }
}

/// The name for people.
pub(super) fn label(run: &RunRecord) -> &str {
    if run.agent.label.is_empty() { &run.agent.name } else { &run.agent.label }
}

/// `2026-01-02T03:04:05.678Z` as `2026-01-02 03:04 UTC`; another text as it is.
fn moment(started: &str) -> String {
    match (started.get(..10), started.get(10..11), started.get(11..16), started.ends_with('Z')) {
        (Some(date), Some("T"), Some(time), true) => format!("{date} {time} UTC"),
        _ => started.to_owned(),
    }
}
