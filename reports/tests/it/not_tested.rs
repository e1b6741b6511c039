//! A requirement on browsers has a case, or the reason why it has none.

use std::path::Path;

use crosscheck_cases::{not_tested, requirement};
use crosscheck_reports::Coverage;

#[test]
fn every_requirement_on_browsers_is_tested_or_listed_with_a_reason() {
    let suite = crosscheck_cases::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../cases/suite")));
    let coverage = Coverage::of(&suite.expect("sound cases"), &[]);
    let mut faults: Vec<String> = not_tested()
        .iter()
        .filter(|(id, why)| requirement(id).is_none() || why.is_empty())
        .map(|(id, _)| format!("{id}: there is no such requirement, or no reason"))
        .collect();
    for row in coverage.requirements.iter().filter(|row| row.who == "browser") {
        match (row.by_hand + row.generated > 0, &row.not_tested) {
            (true, Some(_)) => faults.push(format!("{}: listed as not tested, and tested", row.id)),
            (false, None) => faults.push(format!("{}: neither tested nor listed", row.id)),
            _ => {}
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
