//! The executable standard agrees with every hand-written expectation.

use std::path::Path;

use crosscheck_cases::{Suite, load};

fn suite() -> Suite {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("suite")).expect("a sound suite")
}

#[test]
fn predictions_agree_with_the_hand_written_expectations() {
    let mut disagreements = Vec::new();
    let mut compared = 0;
    for case in &suite().cases {
        if case.predicted {
            continue;
        }
        let Some(prediction) = case.predict() else { continue };
        compared += 1;
        let mut differences = case.stated.then.differences(&prediction.outcome);
        differences.extend(case.stated.then.reason_difference(&prediction.outcome));
        if !differences.is_empty() {
            let lines: Vec<String> = differences
                .iter()
                .map(|one| format!("  {}: stated {}, predicted {}", one.at, one.expected, one.observed))
                .collect();
            disagreements.push(format!("{}\n{}", case.id, lines.join("\n")));
        }
    }
    assert!(compared > 3_000, "{compared}");
    assert!(
        disagreements.is_empty(),
        "{} of {compared} disagree; one of the two is wrong:\n{}",
        disagreements.len(),
        disagreements.join("\n")
    );
}
