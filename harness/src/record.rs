use crosscheck_cases::standard::Decision;
use crosscheck_cases::{Case, Level, Outcome};
use crosscheck_reports::{CaseRecord, Verdict};
use crosscheck_servers::Exchange;

use crate::Expectations;
use crate::judge::{Judgement, combine, judge};
use crate::observe;

/// The record of a case that has no outcome, and why.
pub(crate) fn unobserved(case: &Case, verdict: Verdict, why: String, attempts: u32) -> CaseRecord {
    CaseRecord {
        id: case.id.clone(),
        area: case.topic.clone(),
        requires: case.stated.requires.clone(),
        verdict,
        level: case.stated.level,
        note: Some(why),
        link: None,
        case: case.stated.clone(),
        observed: None,
        differences: Vec::new(),
        wire: Vec::new(),
        trace: Vec::new(),
        attempts,
        duration_ms: 0.0,
        source: format!("{}:{}", case.file.display(), case.line),
    }
}

/// What was observed of a case.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) outcome: Outcome,
    /// What the servers received.
    pub(crate) wire: Vec<Exchange>,
    /// The rules that the agent says it followed.
    pub(crate) trace: Vec<Decision>,
    pub(crate) ms: f64,
}

/// The record of a case with its verdict. `owes` is whether the agent has to give the reason of an expected block.
pub(crate) fn judged(
    case: &Case,
    observed: Observed,
    owes: bool,
    expectations: &Expectations,
    attempts: u32,
) -> CaseRecord {
    let Observed { mut outcome, wire, trace, ms } = observed;
    let Judgement { verdict, differences, note, link } = judge(case, &outcome, owes, expectations);
    observe::trim(&mut outcome, &case.stated.then);
    CaseRecord {
        note,
        link,
        observed: Some(outcome),
        differences,
        wire,
        trace,
        duration_ms: ms,
        ..unobserved(case, verdict, String::new(), attempts)
    }
}

/// One record of two attempts at a case: the later one, with a verdict over both.
pub(crate) fn merge(earlier: CaseRecord, later: CaseRecord) -> CaseRecord {
    let attempts = earlier.attempts + later.attempts;
    let verdict = combine(&[earlier.verdict, later.verdict]);
    // Where the standard allows both, it allows now the one and now the other: a browser that drops an entry of its
    // preflight cache early keeps the rules.
    if later.level == Level::Optional
        && let Some(passed) = [&later, &earlier].into_iter().find(|record| record.verdict == Verdict::Pass)
    {
        let note = (verdict == Verdict::Flaky || passed.note.is_some())
            .then(|| "not in every attempt; the standard leaves it to the browser".to_owned());
        return CaseRecord { note, attempts, ..passed.clone() };
    }
    let note = match verdict {
        Verdict::Flaky => Some(format!(
            "{} in one attempt, {} in another{}",
            earlier.verdict,
            later.verdict,
            [&earlier, &later]
                .iter()
                .flat_map(|record| &record.differences)
                .next()
                .map(|one| format!(" ({}: expected {}, observed {})", one.at, one.expected, one.observed))
                .unwrap_or_default()
        )),
        _ => later.note.clone(),
    };
    CaseRecord { verdict, note, attempts, ..later }
}
