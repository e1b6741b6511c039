//! What the tests of predictions share.

use std::path::Path;
use std::sync::LazyLock;

use crosscheck_cases::standard::Decided;
use crosscheck_cases::{Suite, requirement};

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
