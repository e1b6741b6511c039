//! The executable standard agrees with every hand-written expectation.

use crate::support::{SUITE, all_agree};

/// Holds each hand-written case against its prediction: what they disagree in, or nothing.
fn comparisons() -> impl Iterator<Item = Option<String>> {
    SUITE.cases.iter().filter(|case| !case.predicted).filter_map(|case| {
        let predicted = case.predict()?.outcome;
        let stated = case.stated_as_far_as(&predicted);
        let differences = stated.differences_and_reason(&predicted);
        let lines = differences
            .iter()
            .map(|one| format!("\n  {}: stated {}, predicted {}", one.at, one.expected, one.observed))
            .collect::<String>();
        Some((!lines.is_empty()).then(|| format!("{}{lines}", case.id)))
    })
}

#[test]
fn predictions_agree_with_the_hand_written_expectations() {
    all_agree(comparisons(), 3_000);
}
