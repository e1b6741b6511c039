//! What is asked again before it is told, and what all attempts at a case say together.

use std::collections::HashMap;

use crosscheck_cases::{Case, Difference, Level, PageResult, ResultKind, strip_tokens};
use crosscheck_reports::{CaseRecord, Verdict};

use crate::judge::combine;
use crate::run::{Results, RunError};

/// How many cases are asked alone at the most: where more are in doubt, something is wrong with all of them.
pub(crate) const MOST_ALONE: usize = 50;

/// The attempts at cases that are not settled yet.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    of: HashMap<String, Vec<CaseRecord>>,
}

impl Attempts {
    /// Takes in an attempt. Gives the record of its case where it is settled: with the first attempt where it came out as
    /// expected, with the second where both ran in time and agree, with the third in any case.
    fn take(&mut self, record: CaseRecord) -> Option<CaseRecord> {
        let mut attempts = self.of.remove(&record.id).unwrap_or_default();
        let id = record.id.clone();
        attempts.push(record);
        let open = match attempts.as_slice() {
            // What passes although a deviation is known may have passed by accident, like what fails.
            [only] => only.verdict.is_unexpected(),
            [first, second] => in_doubt(first, second),
            _ => false,
        };
        if open {
            self.of.insert(id, attempts);
            return None;
        }
        decided(attempts)
    }

    /// Takes in an attempt, and hands over the record of its case where it is settled.
    pub(crate) fn finish(&mut self, record: CaseRecord, results: &mut Results<'_>) -> Result<(), RunError> {
        self.take(record).map_or(Ok(()), |settled| results.finish(settled))
    }

    /// Which of these cases have to be asked again.
    pub(crate) fn open<'c>(&self, cases: &[&'c Case]) -> Vec<&'c Case> {
        cases.iter().copied().filter(|case| self.of.contains_key(&case.id)).collect()
    }

    /// Gives up asking: what the attempts so far say.
    pub(crate) fn settle(&mut self, case: &Case) -> Option<CaseRecord> {
        self.of.remove(&case.id).and_then(decided)
    }
}

/// Whether two attempts leave open what the case comes to: nothing came in time, or they differ in any way.
fn in_doubt(first: &CaseRecord, second: &CaseRecord) -> bool {
    [first, second].into_iter().any(ran_out_of_time) || differ(first, second)
}

/// Whether two attempts came out differently. What a known deviation leaves open may differ.
fn differ(one: &CaseRecord, other: &CaseRecord) -> bool {
    one.verdict != other.verdict
        || (one.verdict == Verdict::Fail && !one.differences.iter().map(told).eq(other.differences.iter().map(told)))
}

/// What a difference says, without what is another in every attempt: tokens, and the words around a reason's class.
fn told(difference: &Difference) -> (&str, String) {
    let observed = match difference.at.as_str() {
        "reason" => difference.observed.split(": ").next().unwrap_or_default(),
        _ => &difference.observed,
    };
    (&difference.at, strip_tokens(observed))
}

/// What several attempts at a case say together. That nothing came in time says more of the machine than of the browser:
/// such an attempt counts only where no later one had more to say.
fn decided(attempts: Vec<CaseRecord>) -> Option<CaseRecord> {
    let tried: u32 = attempts.iter().map(|record| record.attempts).sum();
    let last = attempts.len().saturating_sub(1);
    let (timely, late): (Vec<_>, Vec<_>) =
        attempts.into_iter().enumerate().partition(|(position, record)| *position == last || !ran_out_of_time(record));
    let mut record = timely.into_iter().map(|(_, record)| record).reduce(merge)?;
    record.attempts = tried;
    if !late.is_empty() && record.note.is_none() {
        record.note = Some(format!("in {} of {tried} attempts nothing came in time; the others had more", late.len()));
    }
    Some(record)
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
    let verdict = if differ(&earlier, &later) { Verdict::Flaky } else { combine(&[earlier.verdict, later.verdict]) };
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
            if earlier.verdict == later.verdict { "in another way" } else { later.verdict.name() },
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

    fn wrong(seen: &str) -> CaseRecord {
        let mut wrong = record(Verdict::Fail, &json!(["network-error", "basic"]));
        wrong.differences = serde_json::from_value(json!([{ "at": "page[0]", "expected": "a", "observed": seen }]))
            .expect("differences");
        wrong
    }

    fn passed() -> CaseRecord {
        record(Verdict::Pass, &json!(["timeout", "basic"]))
    }

    fn fixed() -> CaseRecord {
        record(Verdict::Fixed, &json!(["timeout", "basic"]))
    }

    fn known() -> CaseRecord {
        record(Verdict::Known, &json!(["timeout", "network-error"]))
    }

    fn late() -> CaseRecord {
        record(Verdict::Fail, &json!(["timeout", "timeout"]))
    }

    /// After how many attempts a case is settled, and how.
    fn settled(attempts: Vec<CaseRecord>) -> (usize, Verdict) {
        let mut taken = Attempts::default();
        for (position, record) in attempts.into_iter().enumerate() {
            if let Some(settled) = taken.take(record) {
                assert_eq!(settled.attempts as usize, position + 1);
                return (position + 1, settled.verdict);
            }
        }
        panic!("not settled");
    }

    #[test]
    fn what_made_a_case_flaky_is_said_after_further_attempts() {
        let merged = merge(passed(), merge(merge(wrong("b"), passed()), passed()));
        assert_eq!(merged.verdict, Verdict::Flaky);
        assert_eq!(
            merged.note.as_deref(),
            Some("fail in one attempt, pass in another (page[0]: expected a, observed b)")
        );
        assert_eq!(merged.attempts, 4);
    }

    #[test]
    fn what_comes_out_as_expected_is_asked_once() {
        assert_eq!(settled(vec![passed()]), (1, Verdict::Pass));
        assert_eq!(settled(vec![known()]), (1, Verdict::Known));
        assert_eq!(settled(vec![record(Verdict::Skipped, &json!([]))]), (1, Verdict::Skipped));
    }

    #[test]
    fn what_is_unexpected_twice_in_the_same_way_is_told() {
        assert_eq!(settled(vec![wrong("b"), wrong("b")]), (2, Verdict::Fail));
        assert_eq!(settled(vec![fixed(), fixed()]), (2, Verdict::Fixed));
    }

    #[test]
    fn tokens_and_the_words_of_a_reason_are_no_difference() {
        let blocked = |token: &str| {
            let mut record = wrong(&format!("a: https://a.test/{token}/"));
            record.differences[0].at = "reason".to_owned();
            record
        };
        assert_eq!(settled(vec![blocked("one"), blocked("other")]), (2, Verdict::Fail));
        let seen = || wrong(&format!("https://a.test/{}/", crosscheck_servers::Token::random()));
        assert_eq!(settled(vec![seen(), seen()]), (2, Verdict::Fail));
    }

    #[test]
    fn attempts_that_differ_are_asked_a_third_time_and_are_flaky() {
        assert_eq!(settled(vec![wrong("b"), passed(), passed()]), (3, Verdict::Flaky));
        assert_eq!(settled(vec![fixed(), known(), known()]), (3, Verdict::Flaky));
        assert_eq!(settled(vec![wrong("b"), wrong("c"), wrong("b")]), (3, Verdict::Flaky));
    }

    #[test]
    fn where_nothing_came_in_time_the_attempts_that_had_more_decide() {
        assert_eq!(settled(vec![late(), passed(), passed()]), (3, Verdict::Pass));
        assert_eq!(settled(vec![late(), known(), known()]), (3, Verdict::Known));
        assert_eq!(settled(vec![late(), late(), passed()]), (3, Verdict::Pass));
        assert_eq!(settled(vec![late(), late(), late()]), (3, Verdict::Fail));
        assert_eq!(settled(vec![late(), wrong("b"), passed()]), (3, Verdict::Flaky));
        assert_eq!(settled(vec![wrong("b"), passed(), late()]), (3, Verdict::Flaky));
    }

    #[test]
    fn an_optional_case_that_passes_now_and_then_passes() {
        let optional = |record: CaseRecord| CaseRecord { level: Level::Optional, ..record };
        assert_eq!(settled(vec![optional(wrong("b")), optional(passed()), optional(passed())]), (3, Verdict::Pass));
    }
}
