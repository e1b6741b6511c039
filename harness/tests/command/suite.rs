//! The whole suite in every browser: each verdict is a pass, a known deviation with its cause, or a skip with its reason.

use std::sync::{Mutex, PoisonError};

use crate::support::{Bench, available, root, stderr};
use rstest::rstest;

/// The suite is a load for the whole machine, so the browsers run it one after another.
static MACHINE: Mutex<()> = Mutex::new(());

#[rstest]
#[case("chromium")]
#[case("firefox")]
#[case("webkit")]
fn every_case_comes_out_as_expected(#[case] engine: &str) {
    if !available(engine) {
        return;
    }
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let bench = Bench::new();
    let out = bench.path("out").display().to_string();
    let output =
        bench.command(&["run", "--agent", engine, "--out", &out]).current_dir(root()).output().expect("it starts");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{table}\n{}", stderr(&output));
    let record = bench.record(engine);
    assert!(record.results.len() >= 300, "{} cases", record.results.len());
    for result in &record.results {
        match result.verdict {
            crosscheck_reports::Verdict::Known | crosscheck_reports::Verdict::Skipped => {
                assert!(result.note.is_some(), "{} says no cause", result.id);
            }
            crosscheck_reports::Verdict::Pass => {}
            other => panic!("{}: {other}", result.id),
        }
    }
    bench.assert_clean();
}
