use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use crate::explain::{difference_line, reason_line, verdict_meaning, what_happened, what_to_do};
use crate::{CaseRecord, RunRecord, Verdict};
use crosscheck_cases::visible;

/// The results in the JUnit format that CI systems read: a test suite for each agent and area, a test case for each case.
///
/// `fail`, `fixed` and `flaky` are failures, `error` is an error, `skipped`, `known` and `differs` are skipped; each with what
/// happened and, where somebody has to act, what to do. Characters that XML forbids are written as `\u{0}`.
///
/// # Errors
/// The XML writer fails.
pub fn render_junit(runs: &[RunRecord]) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("crosscheck");
    report.set_time(Duration::from_millis(runs.iter().map(|run| run.duration_ms).sum()));
    for run in runs {
        let mut suites: Vec<(&str, TestSuite)> = Vec::new();
        for result in &run.results {
            let at = suites.iter().rposition(|(area, _)| *area == result.area).unwrap_or_else(|| {
                suites.push((&result.area, suite(run, &result.area)));
                suites.len() - 1
            });
            suites[at].1.add_test_case(case(run, result));
        }
        report.add_test_suites(suites.into_iter().map(|(_, mut suite)| {
            suite.set_time(suite.test_cases.iter().filter_map(|case| case.time).sum());
            suite
        }));
    }
    report.to_string()
}

fn suite(run: &RunRecord, area: &str) -> TestSuite {
    let mut suite = TestSuite::new(visible(&format!("{} {area}", run.agent.name)));
    for (name, value) in [
        ("agent", &run.agent.label),
        ("version", &run.agent.version),
        ("engine", &run.agent.engine),
        ("platform", &run.agent.platform),
        ("started", &run.started),
    ] {
        if !value.is_empty() {
            suite.add_property(Property::new(name, visible(value)));
        }
    }
    suite
}

fn case(run: &RunRecord, result: &CaseRecord) -> TestCase {
    let mut case = TestCase::new(visible(&result.id), status(result));
    case.set_classname(visible(&format!("{}.{}", run.agent.name, result.area.replace('/', "."))));
    case.set_time(Duration::try_from_secs_f64(result.duration_ms / 1_000.0).unwrap_or_default());
    case
}

fn status(result: &CaseRecord) -> TestCaseStatus {
    let kind = match result.verdict {
        Verdict::Pass => return TestCaseStatus::success(),
        Verdict::NotShown | Verdict::Known | Verdict::Differs | Verdict::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(visible(result.note.as_deref().unwrap_or(verdict_meaning(result.verdict))));
            if result.verdict != Verdict::Skipped {
                status.set_description(description(result));
            }
            return status;
        }
        Verdict::Fail | Verdict::Fixed | Verdict::Flaky => NonSuccessKind::Failure,
        Verdict::Error => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(result.verdict.name());
    let message = match (result.verdict, what_to_do(result.verdict)) {
        // Nothing differs in these: what has to be done is the message.
        (Verdict::Fixed | Verdict::Flaky, Some(advice)) => format!("{} {advice}", verdict_meaning(result.verdict)),
        _ => what_happened(result),
    };
    status.set_message(visible(&message));
    status.set_description(description(result));
    status
}

/// Everything that helps, a fact a line.
fn description(result: &CaseRecord) -> String {
    let mut lines = vec![result.case.title.clone()];
    lines.extend(result.differences.iter().map(difference_line));
    if let Some(reason) = result.observed.unpack().as_ref().and_then(reason_line) {
        lines.push(format!("reason: {reason}"));
    }
    lines.extend(result.note.iter().map(|note| format!("note: {note}")));
    lines.extend(result.link.iter().map(|link| format!("link: {link}")));
    lines.push(format!("requires: {}", result.requires.join(", ")));
    lines.push(format!("case: {}", result.source));
    lines.extend(what_to_do(result.verdict).map(|advice| format!("what to do: {advice}")));
    lines.iter().map(|line| visible(line)).collect::<Vec<_>>().join("\n")
}
