//! Verdicts: an observed outcome against the expected one and the known deviations.

use crosscheck_cases::{Case, Difference, Level, Outcome, Sent, header_differences, shown_value};
use crosscheck_reports::{HeaderDeviation, Verdict};
use crosscheck_servers::Exchange;

use crate::expectations::Expectations;

/// A verdict and what stands behind it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) differences: Vec<Difference>,
    /// Header lines of its requests that differ as a known deviation says.
    pub(crate) deviations: Vec<HeaderDeviation>,
    pub(crate) note: Option<String>,
    pub(crate) link: Option<String>,
}

/// Compares an observed outcome with the expected one, and the requests that arrived with what the executable standard
/// says of each header line. A block for the wrong reason, and a block for which the agent `owes` a reason and gave none,
/// are differences like any other.
pub(crate) fn judge(
    case: &Case,
    observed: &Outcome,
    wire: &[Exchange],
    owes: bool,
    expectations: &Expectations,
) -> Judgement {
    let (mut judgement, breaks) = judge_outcome(case, observed, owes, expectations);
    if wire.is_empty() || expectations.leaves_headers_open() {
        return judgement;
    }
    let Some(predicted) = case.predict_sent(&breaks) else { return judgement };
    let sent: Vec<Sent> = wire.iter().map(Sent::observed).collect();
    let mut unexplained = Vec::new();
    for difference in header_differences(&predicted, &sent) {
        let at = format!("wire[{}].headers.{}", difference.position, difference.name);
        match expectations.of_header(case, &difference) {
            _ if judgement.differences.iter().any(|known| known.at == at) => {}
            Some((cause, entry)) => judgement.deviations.push(HeaderDeviation {
                at,
                expected: difference.expected,
                observed: difference.observed,
                requires: entry.requires.clone(),
                cause,
            }),
            None => unexplained.push(Difference {
                at,
                expected: shown_value(difference.expected.as_deref()),
                observed: shown_value(difference.observed.as_deref()),
            }),
        }
    }
    if !unexplained.is_empty() {
        judgement.verdict = Verdict::Fail;
        judgement.differences.extend(unexplained);
        judgement.note = Some("a request carries other header lines than the standard says".to_owned());
        judgement.link = None;
    }
    judgement
}

/// The verdict on what the case states, and the requirements that the agent is known not to keep in it.
fn judge_outcome(case: &Case, observed: &Outcome, owes: bool, expectations: &Expectations) -> (Judgement, Vec<String>) {
    let expected = &case.stated.then;
    let mut differences = expected.differences_and_reason(observed);
    if let (Some(reason), None) = (&expected.reason, &observed.reason)
        && owes
    {
        differences.push(Difference {
            at: "reason".to_owned(),
            expected: reason.classes.join(" or "),
            observed: "the agent gave no reason".to_owned(),
        });
    }
    let entry = expectations.of_observed(case, observed);
    let as_expected = differences.is_empty();
    let told =
        |verdict, note: Option<String>, link| Judgement { verdict, differences, deviations: Vec::new(), note, link };
    let plain = |judgement| (judgement, Vec::new());
    match (as_expected, entry) {
        (true, None) => plain(told(Verdict::Pass, None, None)),
        (true, Some(entry)) => plain(told(
            Verdict::Fixed,
            Some(format!(
                "passes now, although {} expects a deviation ({}): take the entry out, or narrow its globs",
                expectations.path().display(),
                entry.cause
            )),
            None,
        )),
        (false, _) if case.stated.level == Level::Information => {
            plain(told(Verdict::Differs, Some("for information: the standards leave this open".to_owned()), None))
        }
        (false, None) => plain(told(Verdict::Fail, None, None)),
        (false, Some(entry)) => match expectations.explanation(entry, case, observed) {
            Some(breaks) => (told(Verdict::Known, Some(entry.cause.clone()), entry.link.clone()), breaks),
            None => {
                let note = format!("deviates in another way than the known one ({})", entry.cause);
                plain(told(Verdict::Fail, Some(note), None))
            }
        },
    }
}

/// The verdict of a case over several attempts: flaky where they differ.
pub(crate) fn combine(verdicts: &[Verdict]) -> Verdict {
    match verdicts {
        [] => Verdict::Error,
        [first, rest @ ..] if rest.iter().all(|verdict| verdict == first) => *first,
        _ => Verdict::Flaky,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crosscheck_cases::{Suite, load_text};
    use serde_json::{Value, json};

    use super::*;

    /// A page of another site asks with GET, and the server lets it read.
    fn suite() -> Suite {
        let text = json!({ "topic": "t", "about": "a", "cases": [{
            "id": "a", "title": "t", "requires": ["fetch.cors-check.2"],
            "given": { "https://a.test/": { "headers": [["Access-Control-Allow-Origin", "*"]] } },
            "when": { "fetch": "https://a.test/" }, "then": { "page": "cors", "wire": ["GET"] }
        }] });
        load_text(Path::new("t.json"), &text.to_string()).expect("a sound case")
    }

    /// The request that the standard predicts, with other header lines in place of some.
    fn exchange(case: &Case, other: &[(&str, Option<&str>)]) -> Exchange {
        let predicted = case.predict_sent(&[]).expect("a modelled case").remove(0);
        let mut headers = predicted.headers;
        for (name, value) in other {
            headers.remove(*name);
            if let Some(value) = value {
                headers.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        let lines: Vec<(String, String)> = headers.into_iter().collect();
        serde_json::from_value(json!({
            "sequence": 1, "at_us": 1, "connection": 1, "protocol": "HTTP/1.1", "method": predicted.method,
            "origin": "https://a.test", "target": "/", "headers": lines, "body_length": 0, "body": "", "routed": true,
            "reply": null, "ended": "answered"
        }))
        .expect("an exchange")
    }

    fn judged(other: &[(&str, Option<&str>)], entries: &Value) -> Judgement {
        let suite = suite();
        let case = &suite.cases[0];
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("engine.json");
        std::fs::write(&path, entries.to_string()).expect("a file");
        let expectations = Expectations::load(&path, &suite.cases).expect("sound entries");
        let observed = serde_json::from_value(json!({ "page": "cors", "wire": ["GET"], "grade": "readable" }));
        judge(case, &observed.expect("an outcome"), &[exchange(case, other)], false, &expectations)
    }

    #[test]
    fn a_header_line_that_the_case_does_not_state_counts() {
        assert_eq!(judged(&[], &json!([])).verdict, Verdict::Pass);
        assert_eq!(judged(&[("user-agent", Some("any"))], &json!([])).verdict, Verdict::Pass);
        for other in [("referer", None), ("sec-fetch-site", Some("same-origin")), ("x-unknown", Some("1"))] {
            let judgement = judged(&[other], &json!([]));
            assert_eq!(judgement.verdict, Verdict::Fail, "{other:?}");
            assert_eq!(judgement.differences[0].at, format!("wire[0].headers.{}", other.0));
        }
    }

    #[test]
    fn a_known_header_line_leaves_the_verdict_as_it_is() {
        let entry = |predicted: Value, preflight: Option<bool>| {
            let mut header = json!({ "name": "sec-fetch-site", "predicted": predicted, "observed": null });
            if let Some(preflight) = preflight {
                header["preflight"] = preflight.into();
            }
            json!([{ "header": header, "cause": "c", "requires": "fetch.cors-check.2", "since": "1" }])
        };
        let absent = [("sec-fetch-site", None)];
        let known = judged(&absent, &entry(json!("cross-*"), None));
        assert_eq!((known.verdict, known.deviations.len()), (Verdict::Pass, 1));
        assert_eq!(judged(&absent, &entry(json!("same-*"), None)).verdict, Verdict::Fail);
        assert_eq!(judged(&absent, &entry(json!("cross-*"), Some(true))).verdict, Verdict::Fail);
        assert_eq!(judged(&absent, &entry(json!(null), None)).verdict, Verdict::Fail);
    }

    #[test]
    fn a_known_header_line_names_the_entry_that_explains_it() {
        let entry = |preflight: bool| {
            let header = json!({ "name": "referer", "predicted": "*", "observed": null, "preflight": preflight });
            json!({ "header": header, "cause": "c", "requires": "fetch.cors-check.2", "since": "1" })
        };
        let other = json!({ "cases": ["t/a"], "instead": { "page": "opaque" }, "cause": "c", "requires": "fetch.cors-check.2", "since": "1" });
        let judgement = judged(&[("referer", None)], &json!([other, entry(true), entry(false)]));
        assert_eq!(judgement.deviations.iter().map(|one| one.cause).collect::<Vec<_>>(), [1]);
    }
}
