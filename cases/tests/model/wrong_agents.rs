//! Every wrong agent is caught: for each rule of the executable standard, an agent that does not keep it gets a result
//! that a hand-written case does not expect.

use std::collections::BTreeMap;
use std::path::Path;

use crosscheck_cases::Case;
use crosscheck_cases::standard::consulted;

use crate::support::{SUITE, stated_as_far_as_predicted};

/// The rules that no hand-written case tells from their absence, with the reason.
fn not_caught() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("not-caught.json");
    let text = std::fs::read_to_string(path).expect("a readable file");
    serde_json::from_str(&text).expect("reasons by requirement")
}

/// Whether a case notices that an agent does not keep a rule.
fn catches(case: &Case, rule: &str) -> bool {
    let Some(broken) = case.predict_breaking(&[rule.to_owned()]) else { return false };
    !stated_as_far_as_predicted(case, &broken.outcome).differences_and_reason(&broken.outcome).is_empty()
}

#[test]
fn every_wrong_agent_is_caught_by_a_hand_written_case() {
    // A case in whose right course a rule does not apply cannot tell its absence.
    let mut by_rule: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
    for case in SUITE.cases.iter().filter(|case| !case.predicted) {
        let Some(prediction) = case.predict() else { continue };
        // A case that is in dispute tells nothing.
        if !stated_as_far_as_predicted(case, &prediction.outcome).differences(&prediction.outcome).is_empty() {
            continue;
        }
        let mut rules: Vec<String> =
            prediction.decisions.into_iter().map(|decision| decision.requirement.into_owned()).collect();
        rules.sort();
        rules.dedup();
        for rule in rules {
            by_rule.entry(rule).or_default().push(case);
        }
    }
    let excused = not_caught();
    let mut faults = Vec::new();
    let mut caught = 0;
    for rule in consulted() {
        // The cases that name the rule come first: they are the ones that are meant.
        let mut cases = by_rule.get(*rule).cloned().unwrap_or_default();
        cases.sort_by_key(|case| !case.stated.requires.iter().any(|required| required == rule));
        let catcher = cases.iter().find(|case| catches(case, rule));
        match (catcher, excused.get(*rule)) {
            (Some(_), None) => caught += 1,
            (Some(case), Some(_)) => faults.push(format!("{rule}: caught by {}, so it needs no reason", case.id)),
            (None, Some(why)) if !why.is_empty() => {}
            (None, _) => faults.push(format!("{rule}: not caught by any of {} cases that reach it", cases.len())),
        }
    }
    faults.extend(
        excused.keys().filter(|rule| !consulted().contains(rule.as_str())).map(|rule| format!("{rule}: no such rule")),
    );
    println!("{caught} of {} wrong agents are caught", consulted().len());
    assert!(faults.is_empty(), "{caught} caught; {} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(caught >= 60, "{caught}");
}
