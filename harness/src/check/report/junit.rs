//! A check in the JUnit format.

use std::time::Duration;

use crosscheck_cases::visible;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::check::fault::{FAULTS, Severity};
use crate::check::finding::CheckRecord;

/// Writes a check as a test suite with a case for each kind of fault. Findings below `fail_on` do not fail.
///
/// # Errors
/// The XML writer fails.
pub fn render_junit(record: &CheckRecord, fail_on: Severity) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new(visible(&format!("crosscheck server {}", record.target)));
    for fault in FAULTS {
        let found = record.findings.iter().find(|finding| finding.id == fault.id);
        let ignored = record.ignored.iter().find(|ignored| ignored.finding.id == fault.id);
        let status = match (found, ignored) {
            (Some(finding), _) if finding.severity <= fail_on => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_type(finding.severity.name());
                status.set_message(visible(&finding.title));
                let lines: Vec<String> = finding
                    .seen
                    .iter()
                    .map(|seen| format!("{}: {} {}", seen.route, seen.said, seen.evidence.conclusion))
                    .chain([format!("To change: {}", finding.advice)])
                    .map(|line| visible(&line))
                    .collect();
                status.set_description(lines.join("\n"));
                status
            }
            (_, Some(ignored)) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(visible(&ignored.reason));
                status
            }
            (Some(finding), None) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(visible(&format!("{}: {}", finding.severity.name(), finding.title)));
                status
            }
            (None, None) => TestCaseStatus::success(),
        };
        let mut case = TestCase::new(fault.id, status);
        case.set_classname("crosscheck.server");
        suite.add_test_case(case);
    }
    let mut report = Report::new("crosscheck server");
    report.set_time(Duration::from_millis(record.duration_ms));
    report.add_test_suite(suite);
    report.to_string()
}
