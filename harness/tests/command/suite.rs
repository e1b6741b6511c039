//! The whole suite in every browser: each verdict is a pass, a known deviation with its cause, a skip with its reason, or information
//! that differs.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::support::{Bench, available, root, stderr};
use crosscheck_cases::{Controls, Level};
use crosscheck_reports::Verdict;
use rstest::rstest;

/// The suite is a load for the whole machine, so the browsers run it one after another.
static MACHINE: Mutex<()> = Mutex::new(());

/// The ceilings stand beside the suite's rate, each with the suite's share of it.
#[test]
fn bench_tells_what_a_browser_can_do_and_what_the_suite_makes_of_it() {
    if !available("webkit") {
        return;
    }
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let bench = Bench::new();
    let arguments = ["bench", "--agent", "webkit", "--seconds", "1", "--filter", "cors/simple-headers/**"];
    let output = bench.command(&arguments).current_dir(root()).output().expect("it starts");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{table}\n{}", stderr(&output));
    for about in [
        "the suite's own mix of fetches",
        "simple fetches over http",
        "simple fetches over https",
        "refused fetches over http",
        "refused fetches over https",
        "preflighted fetches over http",
        "preflighted fetches over https",
    ] {
        let line = table.lines().find(|line| line.contains(&format!("  {about}: the suite reaches "))).expect(about);
        let rate: f64 = line.split_whitespace().next().and_then(|rate| rate.parse().ok()).expect("a rate");
        assert!(rate > 10.0, "{line}");
    }
    bench.assert_clean();
}

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
    // Of what hand-written cases expect to be absent, nearly all could have been there: their controls show it.
    let suite = crosscheck_cases::load(&root().join("cases/suite")).expect("a sound suite");
    let controls = Controls::of(&suite);
    let by_hand: HashSet<&str> = suite
        .cases
        .iter()
        .filter(|case| !case.predicted && !controls.absences(case).is_empty())
        .map(|case| case.id.as_str())
        .collect();
    let not_shown = record.results.iter().filter(|result| result.verdict == Verdict::NotShown);
    let not_shown = not_shown.filter(|result| by_hand.contains(result.id.as_str())).count();
    assert!(not_shown * 20 <= by_hand.len(), "{not_shown} of {} are not shown", by_hand.len());
    for result in &record.results {
        match result.verdict {
            Verdict::NotShown => assert!(result.note.is_some(), "{} says no cause", result.id),
            Verdict::Known | Verdict::Skipped => assert!(result.note.is_some(), "{} says no cause", result.id),
            Verdict::Differs => assert_eq!(result.level, Level::Information, "{}", result.id),
            Verdict::Pass => {}
            Verdict::Fail | Verdict::Fixed | Verdict::Flaky | Verdict::Error => {
                panic!("{}: {}", result.id, result.verdict)
            }
        }
    }
    bench.assert_clean();
}
