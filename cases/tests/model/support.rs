//! What the tests of predictions share.

use std::path::Path;
use std::sync::LazyLock;

use crosscheck_cases::standard::Decided;
use crosscheck_cases::{Case, Outcome, Suite, requirement};

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

/// What a case states, without what the model leaves open of a load: what scripts throw or find when they look, and how
/// long a sound is.
pub(crate) fn stated_as_far_as_predicted(case: &Case, predicted: &Outcome) -> Outcome {
    let mut stated = case.stated.then.clone();
    for (seen, said) in stated.page.iter_mut().zip(&predicted.page) {
        seen.seen.retain(|name, _| said.seen.contains_key(name));
    }
    stated
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
