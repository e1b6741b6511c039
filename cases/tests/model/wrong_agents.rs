//! Every wrong agent is caught: for each rule of the executable standard, an agent that does not keep it gets a result
//! that a hand-written case does not expect.

use std::collections::BTreeMap;
use std::path::Path;

use crosscheck_cases::reach;
use crosscheck_cases::standard::consulted;

use crate::support::SUITE;

/// The rules that no hand-written case tells from their absence, with the reason.
fn not_caught() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("not-caught.json");
    let text = std::fs::read_to_string(path).expect("a readable file");
    serde_json::from_str(&text).expect("reasons by requirement")
}

#[test]
fn every_wrong_agent_is_caught_by_a_hand_written_case() {
    let excused = not_caught();
    let mut faults = Vec::new();
    let mut caught = 0;
    for (rule, reach) in reach(SUITE.cases.iter().filter(|case| !case.predicted)) {
        match (reach.caught_by, excused.get(rule)) {
            (Some(_), None) => caught += 1,
            (Some(case), Some(_)) => faults.push(format!("{rule}: caught by {}, so it needs no reason", case.id)),
            (None, Some(why)) if !why.is_empty() => {}
            (None, _) => faults.push(format!("{rule}: not caught by any of {} cases that reach it", reach.reached)),
        }
    }
    faults.extend(
        excused.keys().filter(|rule| !consulted().contains(rule.as_str())).map(|rule| format!("{rule}: no such rule")),
    );
    println!("{caught} of {} wrong agents are caught", consulted().len());
    assert!(faults.is_empty(), "{caught} caught; {} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(caught >= 60, "{caught}");
}
