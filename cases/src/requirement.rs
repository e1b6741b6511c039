use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

/// A row of the requirement inventory: one observable outcome that a standard demands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Requirement {
    /// The stable id, such as `fetch.cors-check.3c`.
    pub id: String,
    /// The standard: `Fetch`, `HTML`, `WebSockets`, …
    pub spec: String,
    /// The heading of the section.
    pub section: String,
    /// The fragment id of the published text; may be empty.
    pub anchor: String,
    /// The step's number, or what stands in its place.
    pub step: String,
    /// What is demanded, in one sentence of our own.
    pub requirement: String,
    /// Where it can be seen: `page`, `wire` or `both`.
    pub observable: String,
    /// The area, such as `credentials`.
    pub area: String,
    /// Who has to keep it: `browser` or `server`.
    pub who: String,
    /// The text of the standard could not be read when the row was written; check it before a case rests on it.
    #[serde(default)]
    pub from_memory: bool,
}

impl Requirement {
    /// The address of the passage in the published standard, where one is known.
    #[must_use]
    pub fn link(&self) -> Option<String> {
        let base = match self.spec.as_str() {
            "Fetch" => "https://fetch.spec.whatwg.org/",
            "HTML" => "https://html.spec.whatwg.org/multipage/",
            "WebSockets" => "https://websockets.spec.whatwg.org/",
            "Local Network Access" => "https://wicg.github.io/local-network-access/",
            "XHR" => "https://xhr.spec.whatwg.org/",
            "URL" => "https://url.spec.whatwg.org/",
            "CSP" => "https://w3c.github.io/webappsec-csp/",
            "Storage" => "https://storage.spec.whatwg.org/",
            _ => return None,
        };
        Some(if self.anchor.is_empty() { base.to_owned() } else { format!("{base}#{}", self.anchor) })
    }
}

static REQUIREMENTS: LazyLock<Vec<Requirement>> = LazyLock::new(|| {
    [include_str!("../requirements/fetch.json"), include_str!("../requirements/html.json")]
        .iter()
        .flat_map(|text| {
            serde_json::from_str::<Vec<Requirement>>(text).expect("the inventory is part of the program and tested")
        })
        .collect()
});

static BY_ID: LazyLock<HashMap<&'static str, &'static Requirement>> =
    LazyLock::new(|| REQUIREMENTS.iter().map(|row| (row.id.as_str(), row)).collect());

/// All rows of the inventory, in its order.
#[must_use]
pub fn requirements() -> &'static [Requirement] {
    &REQUIREMENTS
}

/// The row with this id.
#[must_use]
pub fn requirement(id: &str) -> Option<&'static Requirement> {
    BY_ID.get(id).copied()
}

/// Requirements without a case, and why there is none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NotTested {
    requirements: Vec<String>,
    why: String,
}

static NOT_TESTED: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let rows: Vec<NotTested> =
        serde_json::from_str(include_str!("../not-tested.json")).expect("the crate's own file is sound");
    let mut listed = BTreeMap::new();
    for NotTested { requirements, why } in rows {
        for id in requirements {
            assert!(listed.insert(id.clone(), why.clone()).is_none(), "{id} stands twice");
        }
    }
    listed
});

/// The requirements that no case names, with the reason (`cases/not-tested.json`).
#[must_use]
pub fn not_tested() -> &'static BTreeMap<String, String> {
    &NOT_TESTED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inventory_is_whole_and_its_ids_are_unique() {
        assert_eq!(requirements().len(), 646 + 691);
        assert_eq!(BY_ID.len(), requirements().len());
        let row = requirement("fetch.cors-check.3c").expect("a row");
        assert_eq!(row.link().as_deref(), Some("https://fetch.spec.whatwg.org/#concept-cors-check"));
    }
}
