//! What the executable standard does not decide is listed, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crosscheck_cases::standard::modelled;
use crosscheck_cases::{requirement, requirements};
use serde::Deserialize;

/// The areas of `requirements/fetch.json` that the model is about.
const AREAS: [&str; 15] = [
    "origin",
    "simple-request",
    "preflight",
    "preflight-cache",
    "credentials",
    "expose-headers",
    "redirect",
    "response-tainting",
    "corp",
    "nosniff-orb",
    "websocket",
    "lna",
    "referrer-origin-header",
    "fetch-metadata",
    "integrity",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Entry {
    Requirement { requirement: String, why: String },
    Probe { probe: String, member: Option<String>, why: String },
}

fn listed() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("not-modelled.json");
    let text = std::fs::read_to_string(path).expect("a readable file");
    let entries: Vec<Entry> = serde_json::from_str(&text).expect("a list of entries");
    let mut rows = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Requirement { requirement, why } => {
                assert!(rows.insert(requirement.clone(), why).is_none(), "{requirement} stands twice");
            }
            Entry::Probe { probe, member, why } => assert!(!why.is_empty(), "{probe} {member:?}"),
        }
    }
    rows
}

#[test]
fn every_row_of_the_model_s_areas_is_modelled_or_listed_with_a_reason() {
    let listed = listed();
    let mut faults = Vec::new();
    for (id, why) in &listed {
        if requirement(id).is_none() {
            faults.push(format!("{id}: there is no such requirement"));
        }
        if why.is_empty() {
            faults.push(format!("{id}: no reason"));
        }
        if modelled().contains(id.as_str()) {
            faults.push(format!("{id}: listed as not modelled, and modelled"));
        }
    }
    let fetch: BTreeSet<&str> = ["Fetch", "WebSockets", "Local Network Access"].into();
    for row in requirements() {
        let from_fetch = fetch.contains(row.spec.as_str()) && !row.id.starts_with("html.");
        if from_fetch && row.who != "server" && AREAS.contains(&row.area.as_str()) {
            let id = row.id.as_str();
            if !modelled().contains(id) && !listed.contains_key(id) {
                faults.push(format!("{id}: neither modelled nor listed"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
