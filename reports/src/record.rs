use std::collections::BTreeMap;
use std::sync::Arc;

use crosscheck_cases::standard::Decision;
use crosscheck_cases::{ControlKind, Difference, Level, Outcome, Recording, Stated};
use crosscheck_servers::Exchange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Packed, Verdict};

/// What one agent did with a suite: `DIR/<agent>/run.json`. Readers accept members that they do not know; a breaking
/// change raises `format`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// The version of this format: 1.
    pub format: u32,
    /// What was run.
    pub suite: SuiteRecord,
    /// Who was under test.
    pub agent: AgentRecord,
    /// When the run began: RFC 3339, UTC.
    pub started: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// One result for each case, in the suite's order.
    pub results: Vec<CaseRecord>,
    /// The sums.
    pub summary: Summary,
    /// Known deviations in header lines of requests, in the order of the expectations. They leave the verdicts of their
    /// cases as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderCause>,
    /// What is wrong with the run itself and no case's fault, such as an expectation that matches nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The version of [`RunRecord`] that this program writes.
pub const FORMAT: u32 = 1;

/// Which suite a run took its cases from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuiteRecord {
    /// The version of the program.
    pub version: String,
    /// The filter that chose the cases; empty for all.
    pub filter: String,
    /// How many cases the suite has in all.
    pub cases: usize,
    /// What each topic is about, by topic.
    pub topics: BTreeMap<String, String>,
}

/// An implementation under test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentRecord {
    /// The name on the command line, such as `chromium`.
    pub name: String,
    /// The name for people, such as `Chromium`.
    pub label: String,
    /// The version that the browser states.
    pub version: String,
    /// The engine: `Blink`, `Gecko`, `WebKit`.
    pub engine: String,
    /// The operating system and its version.
    pub platform: String,
    /// Whether it gives reasons for its blocks, and how: for reports.
    pub reasons: String,
}

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseRecord {
    /// The case's id.
    pub id: String,
    /// Its topic.
    pub area: String,
    /// Ids of the requirements that it tests.
    pub requires: Vec<String>,
    /// How it came out.
    pub verdict: Verdict,
    /// How binding the expectation is.
    #[serde(default)]
    pub level: Level,
    /// Why the verdict is as it is, where it needs words: the reason of a skip, the cause and link of a known
    /// deviation, what went wrong in the harness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The upstream bug of a known deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The case as it was stated; `then` in it is the expected outcome.
    pub case: Arc<Stated>,
    /// What was observed; nothing where it was skipped or could not be told.
    #[serde(default, skip_serializing_if = "Packed::is_default")]
    pub observed: Packed<Option<Outcome>>,
    /// Where observed and expected differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Header lines of its requests that are not what the standard says, each as a known deviation of the agent tells. They
    /// leave the verdict as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<HeaderDeviation>,
    /// What the servers received, as it arrived, tokens included.
    #[serde(default, skip_serializing_if = "Packed::is_default")]
    pub wire: Packed<Vec<Exchange>>,
    /// The rules of the standard that the agent followed, in order, where it says so (the reference agent does).
    #[serde(default, skip_serializing_if = "Packed::is_default")]
    pub trace: Packed<Vec<Decision>>,
    /// What shows that something which it expects to be absent could have been there; nothing where the reason that the
    /// agent gave for its block says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<ControlRecord>,
    /// How many times it was tried.
    pub attempts: u32,
    /// How long the last attempt took in the page, in milliseconds.
    pub duration_ms: f64,
    /// By what its limits of time were multiplied, as the machine was slow then. 1 is left out.
    #[serde(default = "ordinary", skip_serializing_if = "is_ordinary")]
    pub slowness: f64,
    /// Where the case was written: `file:line`.
    pub source: String,
}

const fn ordinary() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_ordinary(slowness: &f64) -> bool {
    *slowness <= ordinary()
}

/// What came of a control: a case in which something has to be there that another one expects to be absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlRecord {
    /// The control's id: that of a case of the suite, or the case's own with `~` and a number.
    pub id: String,
    /// Where it comes from.
    pub kind: ControlKind,
    /// What is different in it, where it is made for this case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What had to be there: `wire[0].headers.cookie`.
    pub places: Vec<String>,
    /// What of it was not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// How the control itself came out.
    pub verdict: Verdict,
    /// Where it came out otherwise than it states.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// A header line that is not what the standard says, as a known deviation of the agent tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeaderDeviation {
    /// Where: `wire[1].headers.origin`.
    pub at: String,
    /// The predicted value, with tokens as `~`; nothing where the line must be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The observed value, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// The requirement that is not kept.
    pub requires: String,
    /// Which of the agent's known deviations explains it: a position in [`RunRecord::headers`].
    pub cause: usize,
}

/// A known deviation in header lines, with how many cases it was seen in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeaderCause {
    /// The header's name, in lower case.
    pub header: String,
    /// The requirement that is not kept.
    pub requires: String,
    /// Why the agent does so.
    pub cause: String,
    /// The upstream bug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// In how many cases it was seen; none in a run of other cases.
    pub cases: usize,
}

/// How many cases came out how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// By verdict; a verdict without cases is left out.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// Requests that arrived at the fake servers during the run.
    pub requests: u64,
    /// Requests for each second of the run.
    pub requests_per_second: f64,
}

impl RunRecord {
    /// What was observed, as test data for the executable standard.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let mut recording = Recording {
            agent: self.agent.name.clone(),
            version: self.agent.version.clone(),
            started: self.started.clone(),
            ..Recording::default()
        };
        for result in &self.results {
            match (result.verdict, result.observed.unpack()) {
                (Verdict::Pass | Verdict::NotShown, Some(observed)) => {
                    let recorded = result.case.recorded(&observed);
                    recording.passed.insert(result.id.clone(), recorded);
                }
                (Verdict::Known, _) => recording.deviates.push(result.id.clone()),
                _ => {}
            }
        }
        recording
    }
}

impl Summary {
    /// Counts verdicts.
    #[must_use]
    pub fn count<'r>(results: impl IntoIterator<Item = &'r CaseRecord>, requests: u64, duration_ms: u64) -> Self {
        let mut verdicts = BTreeMap::new();
        for result in results {
            *verdicts.entry(result.verdict).or_default() += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let requests_per_second = if duration_ms == 0 { 0.0 } else { requests as f64 * 1000.0 / duration_ms as f64 };
        Self { verdicts, requests, requests_per_second }
    }

    /// How many cases have this verdict.
    #[must_use]
    pub fn of(&self, verdict: Verdict) -> usize {
        self.verdicts.get(&verdict).copied().unwrap_or_default()
    }
}
