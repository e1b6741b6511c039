//! What the executable standard does not decide is listed, with the reason.

use std::collections::BTreeSet;

use crosscheck_cases::standard::{modelled, not_modelled};
use crosscheck_cases::{requirement, requirements};

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

/// The areas of `requirements/html.json` that the model is about.
const HTML_AREAS: [&str; 3] = ["coep", "x-frame-options", "cross-origin-isolation"];

/// Probes that the model does not perform, or not with this member.
const PROBES: [&str; 3] = ["evaluate", "load", "xhr.abort"];

#[test]
fn every_row_of_the_model_s_areas_is_modelled_or_listed_with_a_reason() {
    let listed = not_modelled();
    let mut faults = Vec::new();
    for (id, why) in listed {
        if requirement(id).is_none() && !PROBES.contains(&id.as_str()) {
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
        let area = row.area.as_str();
        let is_of_html = row.id.starts_with("html.");
        let is_meant = if is_of_html {
            HTML_AREAS.contains(&area)
        } else {
            fetch.contains(row.spec.as_str()) && row.who != "server" && AREAS.contains(&area)
        };
        if is_meant {
            let id = row.id.as_str();
            if !modelled().contains(id) && !listed.contains_key(id) {
                faults.push(format!("{id}: neither modelled nor listed"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
