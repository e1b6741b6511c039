use std::sync::LazyLock;

use serde::Deserialize;

/// Something that not every engine has. A case that needs it is skipped, with this reason, where the page finds that
/// it is missing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The name that `needs` uses.
    pub id: String,
    /// What it is, for the reason of a skipped case.
    pub about: String,
    /// A JavaScript expression that is true where the feature is there; it runs in the case's own document or worker,
    /// and may await.
    pub test: String,
}

static FEATURES: LazyLock<Vec<Feature>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../features.json")).expect("the features are part of the program and tested")
});

/// All features that cases can need.
#[must_use]
pub fn features() -> &'static [Feature] {
    &FEATURES
}

/// The feature with this name.
#[must_use]
pub fn feature(id: &str) -> Option<&'static Feature> {
    features().iter().find(|feature| feature.id == id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_features_are_readable_and_their_names_unique() {
        for (index, feature) in super::features().iter().enumerate() {
            assert!(super::features()[..index].iter().all(|other| other.id != feature.id), "{}", feature.id);
        }
    }
}
