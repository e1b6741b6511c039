//! Absence is shown: each hand-written case that expects something to be absent has a control in which it is there.

use crosscheck_cases::{Control, Controls};

use crate::support::SUITE;

#[test]
fn every_hand_written_absence_has_a_control_or_a_reason_why_there_is_none() {
    let controls = Controls::of(&SUITE);
    let (mut absent, mut without) = (0, 0);
    let mut faults = Vec::new();
    for case in SUITE.cases.iter().filter(|case| !case.predicted) {
        let absences = controls.absences(case);
        if absences.is_empty() {
            continue;
        }
        absent += 1;
        let shown = controls.find(case, absences);
        let says_why = case.controls.iter().any(|control| matches!(control, Control::None(_)));
        without += usize::from(says_why && !shown.left.is_empty());
        let left: Vec<String> = shown.left.iter().map(ToString::to_string).collect();
        match (left.is_empty(), says_why) {
            (true, true) => faults.push(format!("{}: says why it has no control, and lacks none", case.id)),
            (false, false) => faults.push(format!("{}: nothing shows {}", case.id, left.join(", "))),
            _ => {}
        }
    }
    println!("{absent} hand-written cases expect something to be absent; {without} of them have no control");
    assert!(faults.is_empty(), "{} of {absent}:\n{}", faults.len(), faults.join("\n"));
    assert!(without * 20 <= absent, "{without} of {absent} have no control");
}
