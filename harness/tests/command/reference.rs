//! The reference agent: the executable standard against the real servers, whole, interrupted, and deliberately wrong.

use std::path::Path;

use crosscheck::{Agent, Expectations, RunOptions};
use crosscheck_cases::Suite;
use crosscheck_reports::{ControlRecord, RunRecord, Verdict};
use serde_json::json;

use crate::support::{Bench, root, sound_case, stderr};

#[test]
fn every_case_passes_in_the_reference_agent() {
    let bench = Bench::new();
    let out = bench.path("out").display().to_string();
    let output =
        bench.command(&["run", "--agent", "reference", "--out", &out]).current_dir(root()).output().expect("it starts");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{table}\n{}", stderr(&output));
    let record = bench.record("reference");
    assert!(record.summary.of(Verdict::Pass) > 3_000, "{:?}", record.summary);
    for result in &record.results {
        match result.verdict {
            Verdict::Pass => {}
            // Where the case file says that there can be no control. All others came out as they have to.
            Verdict::NotShown => {
                // Scripts are not modelled, so controls that are scripts are skipped.
                let is_well =
                    |control: &ControlRecord| control.missing.is_empty() || control.verdict == Verdict::Skipped;
                assert!(result.controls.iter().all(is_well), "{:?}", result.note);
                assert!(result.note.as_ref().is_some_and(|note| !note.contains("it has no control")), "{}", result.id);
            }
            Verdict::Skipped => assert!(result.note.is_some(), "{} says no cause", result.id),
            Verdict::Fail | Verdict::Known | Verdict::Fixed | Verdict::Flaky | Verdict::Differs | Verdict::Error => {
                panic!("{}: {}", result.id, result.verdict)
            }
        }
    }
    bench.assert_clean();
}

#[test]
fn the_rules_that_were_followed_are_kept() {
    let bench = Bench::with_cases(json!([sound_case("a")]));
    let output = bench.run(&["--agent", "reference"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result = bench.only_result("reference");
    assert_eq!((result.verdict, result.wire.unpack().len()), (Verdict::Pass, 1));
    assert!(
        result
            .trace
            .unpack()
            .iter()
            .any(|decision| decision.requirement == "fetch.cors-check.4a" && decision.after == 1)
    );
}

#[test]
fn a_pass_without_a_control_that_comes_out_present_is_not_shown() {
    let mut case = sound_case("a");
    case["given"]["https://api.other.test/"]["headers"] = json!([["Access-Control-Allow-Origin", "*"], ["X", "1"]]);
    case["then"] = json!({ "page": { "result": "response", "headers": { "x": null } }, "wire": ["GET"] });
    let control = |id: &str, about: &str, headers: &serde_json::Value| {
        let mut case = case.clone();
        case["id"] = id.into();
        let then = json!({ "page": { "result": "response", "headers": { "x": "1" } }, "wire": ["GET"] });
        case["control"] =
            json!({ "about": about, "given": { "https://api.other.test/": { "headers": headers } }, "then": then });
        case
    };
    let exposed = json!([["Access-Control-Allow-Origin", "*"], ["X", "1"], ["Access-Control-Expose-Headers", "X"]]);
    let bench = Bench::with_cases(json!([
        control("shown", "with X exposed", &exposed),
        control("vacuous", "with nothing changed", &case["given"]["https://api.other.test/"]["headers"]),
        case,
    ]));
    let output = bench.run(&["--agent", "reference"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let record = bench.record("reference");
    let verdicts: Vec<(&str, Verdict)> =
        record.results.iter().map(|result| (result.id.as_str(), result.verdict)).collect();
    assert_eq!(
        verdicts,
        [("sample/shown", Verdict::Pass), ("sample/vacuous", Verdict::NotShown), ("sample/a", Verdict::Pass)],
        "what states no control has a derived one"
    );
    let note = record.results[1].note.as_deref().unwrap_or_default();
    assert!(note.contains("page[0].headers.x in its control sample/vacuous~1 (fail)"), "{note}");
    assert_eq!(record.results[2].controls[0].places, ["page[0].headers.x"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("not-shown"), "{table}");
}

#[test]
fn what_is_not_modelled_is_skipped_with_the_cause() {
    let mut case = sound_case("a");
    case["when"] = json!({ "evaluate": "1" });
    case["given"] = json!({});
    case["then"] = json!({ "page": { "result": "value", "value": 1 }, "wire": [] });
    let bench = Bench::with_cases(json!([case]));
    let output = bench.run(&["--agent", "reference"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result = bench.only_result("reference");
    assert_eq!(result.verdict, Verdict::Skipped);
    assert!(result.note.is_some_and(|note| note.contains("it evaluates a script")));
}

fn suite(cases: serde_json::Value) -> Suite {
    let file = json!({
        "topic": "sample",
        "about": "A sample.",
        "defaults": { "requires": ["fetch.cors-check.4b"], "when": { "fetch": "https://api.other.test/" } },
        "cases": cases
    });
    crosscheck_cases::load_text(Path::new("sample.json"), &file.to_string()).expect("a sound suite")
}

async fn run_broken(suite: &Suite, broken: Option<&str>) -> RunRecord {
    let options = RunOptions {
        agent: Agent::Reference { broken: broken.map(ToOwned::to_owned) },
        suite,
        cases: suite.cases.iter().collect(),
        filter: String::new(),
        expectations: &Expectations::default(),
        controls: true,
        repeat: 1,
        lanes: 4,
        bind: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        finished: Vec::new(),
    };
    crosscheck::run(options, &mut |_| Ok(())).await.expect("it runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_breaks_a_rule_is_caught() {
    let mut hidden = sound_case("hidden");
    hidden["given"]["https://api.other.test/"] = json!({});
    hidden["then"] = json!({ "page": "network-error", "wire": ["GET"], "reason": "missing-allow-origin" });
    let mut preflighted = sound_case("preflighted");
    preflighted["when"] = json!({ "fetch": "https://api.other.test/", "method": "PUT" });
    preflighted["then"] = json!({ "page": "network-error", "wire": ["preflight"], "reason": "method-not-allowed" });
    let suite = suite(json!([hidden, preflighted]));
    for (broken, verdicts) in [
        (None, [Verdict::Pass, Verdict::Pass]),
        (Some("fetch.cors-check.2"), [Verdict::Fail, Verdict::Pass]),
        (Some("fetch.main-fetch.12.preflight.method"), [Verdict::Pass, Verdict::Fail]),
    ] {
        let record = run_broken(&suite, broken).await;
        let found: Vec<Verdict> = record.results.iter().map(|result| result.verdict).collect();
        assert_eq!(found, verdicts, "{broken:?}");
    }
}
