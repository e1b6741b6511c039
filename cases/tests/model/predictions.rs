//! The executable standard agrees with every hand-written expectation.

use crate::support::SUITE;

/// Holds each hand-written case against its prediction: what they disagree in, or nothing.
pub(crate) fn comparisons() -> impl Iterator<Item = Option<String>> {
    SUITE.cases.iter().filter(|case| !case.predicted).filter_map(|case| {
        let predicted = case.predict()?.outcome;
        let mut differences = case.stated.then.differences(&predicted);
        differences.extend(case.stated.then.reason_difference(&predicted));
        let lines = differences
            .iter()
            .map(|one| format!("\n  {}: stated {}, predicted {}", one.at, one.expected, one.observed))
            .collect::<String>();
        Some((!lines.is_empty()).then(|| format!("{}{lines}", case.id)))
    })
}

/// At least as many cases are predicted, or the model has ceased to predict.
const COMPARED: usize = 3_000;

#[test]
fn predictions_agree_with_the_hand_written_expectations() {
    let mut compared = 0;
    let disagreements: Vec<String> = comparisons().inspect(|_| compared += 1).flatten().collect();
    assert!(compared > COMPARED, "{compared}");
    assert!(
        disagreements.is_empty(),
        "{} of {compared} disagree; one of the two is wrong:\n{}",
        disagreements.len(),
        disagreements.join("\n")
    );
}
