//! What the tests of predictions share.

use crosscheck_cases::requirement;
use crosscheck_cases::standard::Decided;

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
