use std::sync::Arc;

use crosscheck_cases::standard::Decision;
use crosscheck_cases::{Case, Level, Outcome, PageResult, ResultKind};
use crosscheck_reports::{CaseRecord, Packed, Verdict};
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
        case: Arc::clone(&case.stated),
        observed: Packed::default(),
        differences: Vec::new(),
        wire: Packed::default(),
        trace: Packed::default(),
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
        observed: Packed::new(&Some(outcome)),
        differences,
        wire: Packed::new(&wire),
        trace: Packed::new(&trace),
        duration_ms: ms,
        ..unobserved(case, verdict, String::new(), attempts)
    }
}

/// One record of a case that failed, and of its second attempt. That nothing came in time says more of the machine than
/// of the browser: the second attempt, which has more time, then decides alone.
pub(crate) fn tried_again(first: CaseRecord, second: CaseRecord) -> CaseRecord {
    if !ran_out_of_time(&first) {
        return merge(first, second);
    }
    let attempts = first.attempts + second.attempts;
    let note = second.note.clone().or_else(|| {
        (second.verdict == Verdict::Pass)
            .then(|| "in the first attempt nothing came in time; the second had more".into())
    });
    CaseRecord { attempts, note, ..second }
}

/// Whether a step for which another result is expected ended because nothing came.
fn ran_out_of_time(record: &CaseRecord) -> bool {
    let is_timeout =
        |page: &[PageResult], step: usize| page.get(step).is_some_and(|result| result.result == ResultKind::Timeout);
    let expected = &record.case.then.page;
    record
        .observed
        .unpack()
        .iter()
        .any(|seen| (0..seen.page.len()).any(|step| is_timeout(&seen.page, step) && !is_timeout(expected, step)))
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
    let known_flaky = [&earlier, &later].into_iter().find(|record| record.verdict == Verdict::Flaky);
    let note = match (known_flaky, verdict) {
        // It tells already what two attempts differed in.
        (Some(flaky), _) => flaky.note.clone(),
        (None, Verdict::Flaky) => Some(format!(
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
        (None, _) => later.note.clone(),
    };
    CaseRecord { verdict, note, attempts, ..later }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(verdict: Verdict, observed: &Value) -> CaseRecord {
        serde_json::from_value(json!({
            "id": "a/b", "area": "a", "requires": [], "verdict": verdict, "attempts": 1, "duration_ms": 1.0, "source": "a.json:1",
            "case": {
                "id": "b", "title": "t", "requires": [], "when": [{ "fetch": "https://page.test/" }, { "fetch": "https://page.test/" }],
                "then": { "page": ["timeout", "basic"] }
            },
            "observed": { "page": observed },
        }))
        .expect("a record")
    }

    #[test]
    fn what_made_a_case_flaky_is_said_after_further_attempts() {
        let mut wrong = record(Verdict::Fail, &json!(["network-error", "basic"]));
        wrong.differences = serde_json::from_value(json!([{ "at": "page[0]", "expected": "a", "observed": "b" }]))
            .expect("differences");
        let passed = || record(Verdict::Pass, &json!(["timeout", "basic"]));
        let merged = merge(passed(), merge(merge(wrong, passed()), passed()));
        assert_eq!(merged.verdict, Verdict::Flaky);
        assert_eq!(
            merged.note.as_deref(),
            Some("fail in one attempt, pass in another (page[0]: expected a, observed b)")
        );
        assert_eq!(merged.attempts, 4);
    }

    #[test]
    fn where_nothing_came_in_time_the_second_attempt_decides() {
        let late = || record(Verdict::Fail, &json!(["timeout", "timeout"]));
        let decided = |first, second| tried_again(first, second).verdict;
        assert_eq!(decided(late(), record(Verdict::Pass, &json!(["timeout", "basic"]))), Verdict::Pass);
        assert_eq!(decided(late(), record(Verdict::Known, &json!(["timeout", "network-error"]))), Verdict::Known);
        assert_eq!(decided(late(), late()), Verdict::Fail);
        let wrong = || record(Verdict::Fail, &json!(["timeout", "network-error"]));
        assert_eq!(decided(wrong(), record(Verdict::Pass, &json!(["timeout", "basic"]))), Verdict::Flaky);
        assert_eq!(decided(wrong(), wrong()), Verdict::Fail);
    }
}
