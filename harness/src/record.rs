//! The record of a case, from what was observed of it.

use std::sync::Arc;

use crosscheck_cases::standard::Decision;
use crosscheck_cases::{Case, Outcome};
use crosscheck_reports::{CaseRecord, Packed, Verdict};
use crosscheck_servers::Exchange;

use crate::Expectations;
use crate::judge::{Judgement, judge};
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
        case: Arc::clone(&case.stated),
        observed: Packed::default(),
        differences: Vec::new(),
        deviations: Vec::new(),
        wire: Packed::default(),
        trace: Packed::default(),
        controls: Vec::new(),
        attempts,
        duration_ms: 0.0,
        slowness: 1.0,
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
    let Judgement { verdict, differences, deviations, note, link } = judge(case, &outcome, &wire, owes, expectations);
    observe::trim(&mut outcome, &case.stated.then);
    CaseRecord {
        note,
        link,
        observed: Packed::new(&Some(outcome)),
        differences,
        deviations,
        wire: Packed::new(&wire),
        trace: Packed::new(&trace),
        duration_ms: ms,
        ..unobserved(case, verdict, String::new(), attempts)
    }
}
