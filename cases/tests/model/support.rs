//! What the tests of predictions share.

use std::path::Path;
use std::sync::LazyLock;

use crosscheck_cases::standard::Decided;
use crosscheck_cases::{Case, Probe, Suite, requirement};
use serde_json::Value;

/// The project's own suite.
pub(crate) static SUITE: LazyLock<Suite> = LazyLock::new(|| {
    crosscheck_cases::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("suite")).expect("a sound suite")
});

/// The rules that a prediction followed, each of them one of the inventory.
#[derive(Default)]
pub(crate) struct Followed(pub(crate) Vec<&'static str>);

impl Followed {
    pub(crate) fn take<T>(&mut self, decided: Decided<T>) -> T {
        for id in &decided.follows {
            assert!(requirement(id).is_some(), "{id}");
        }
        self.0.extend(decided.follows);
        decided.outcome
    }
}

/// In cases whose ids begin so, what a script gives is what a function predicts, wherever it predicts anything; and it does
/// that at least so often.
pub(crate) fn scripts_give(ids: &[&str], least: usize, predict: impl Fn(&Case, &str, &mut Followed) -> Option<Value>) {
    let (mut predicted, mut faults) = (0, Vec::new());
    for case in SUITE.cases.iter().filter(|case| ids.iter().any(|start| case.id.starts_with(start))) {
        let [Probe::Evaluate(script, _)] = case.stated.when.as_slice() else { continue };
        let [result] = case.stated.then.page.as_slice() else { continue };
        let mut followed = Followed::default();
        let Some(value) = predict(case, script, &mut followed) else { continue };
        predicted += 1;
        if result.value.as_ref() != Some(&value) {
            let followed = followed.0.join(", ");
            faults.push(format!("{}: predicted {value}, the case says {:?} ({followed})", case.id, result.value));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(predicted >= least, "only {predicted} cases were predicted");
}

/// Every comparison finds nothing to disagree in, and there are more of them than this: fewer, and the model has ceased
/// to predict.
pub(crate) fn all_agree(comparisons: impl Iterator<Item = Option<String>>, least: usize) {
    let mut compared = 0;
    // So many are enough to read; `ci/mutants` waits for them two thousand times.
    let disagreements: Vec<String> = comparisons.inspect(|_| compared += 1).flatten().take(30).collect();
    assert!(
        disagreements.is_empty(),
        "{} of the first {compared} disagree; one of the two is wrong:\n{}",
        disagreements.len(),
        disagreements.join("\n")
    );
    assert!(compared > least, "{compared}");
}
