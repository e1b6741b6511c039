//! A check for people and programs.

mod html;
mod junit;
mod markdown;
mod sarif;
mod text;

pub use html::render_html;
pub use junit::render_junit;
pub use markdown::render_markdown;
pub use sarif::render_sarif;
pub use text::{render_change, render_text};

use super::fault::Severity;
use super::finding::{CheckRecord, Confirmation, Replayed, Seen};

/// `3 HOLE, 1 BREAK`, or `no findings`.
pub(crate) fn counts(record: &CheckRecord) -> String {
    let counts: Vec<String> = Severity::ALL
        .iter()
        .filter_map(|severity| {
            let count = record.findings.iter().filter(|finding| finding.severity == *severity).count();
            (count > 0).then(|| format!("{count} {}", severity.name()))
        })
        .collect();
    let counts = if counts.is_empty() { "no findings".to_owned() } else { counts.join(", ") };
    match &record.not_judged {
        Some(why) => format!("NOT JUDGED, as {why} ({counts} in what was)"),
        None => counts,
    }
}

/// What is to be said of answers that did not come, or only when they were asked for again.
pub(crate) fn silence(record: &CheckRecord) -> Option<String> {
    match (record.unanswered, record.answered_late) {
        (0, 0) => None,
        (0, late) => Some(format!("{late} requests were answered only when they were sent again.")),
        (unanswered, late) => Some(format!(
            "{unanswered} requests were not answered, however often they were sent, and {late} only when they were sent again."
        )),
    }
}

/// What browsers did with the findings: `Chromium 156.0: 2 confirmed, 1 not replayed`.
pub(crate) fn browsers(record: &CheckRecord) -> Vec<String> {
    let all: Vec<&Confirmation> = record.findings.iter().flat_map(|finding| &finding.browsers).collect();
    let mut names: Vec<&str> = Vec::new();
    for one in &all {
        if !names.contains(&one.browser.as_str()) {
            names.push(&one.browser);
        }
    }
    let count = |name: &str, outcome: Replayed| {
        let count = all.iter().filter(|one| one.browser == name && one.outcome == outcome).count();
        (count > 0).then(|| format!("{count} {}", outcome.words().to_lowercase()))
    };
    names
        .iter()
        .map(|name| {
            let counts: Vec<String> = Replayed::ALL.iter().filter_map(|outcome| count(name, *outcome)).collect();
            format!("{name}: {}", counts.join(", "))
        })
        .collect()
}

/// How many origins are named before the rest is only counted.
const NAMED: usize = 6;

/// The origins that something is about, shortened.
pub(crate) fn origins(seen: &Seen) -> Option<String> {
    if seen.origins.len() < 2 {
        return None;
    }
    let more = seen.origins.len().saturating_sub(NAMED);
    let named = seen.origins.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    Some(if more > 0 { format!("{named} and {more} more") } else { named })
}
