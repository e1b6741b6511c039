//! A check for a terminal.

use std::fmt::Write as _;

use crosscheck_cases::visible;

use super::{browsers, counts, origins, silence};
use crate::check::compare::Change;
use crate::check::fault::Severity;
use crate::check::finding::{Access, CheckRecord, Evidence, Finding};
use crate::terminal::{BOLD, DIM, Page};

/// Response headers that say something about a finding.
const TELLING: [&str; 12] = [
    "access-control-",
    "vary",
    "location",
    "cross-origin-",
    "x-frame-options",
    "content-security-policy",
    "content-type",
    "cache-control",
    "sec-websocket-accept",
    "upgrade",
    "etag",
    "allow",
];

/// Writes a check for people, coloured or plain. `verbose`: also the rules that browsers go by.
#[must_use]
pub fn render_text(record: &CheckRecord, coloured: bool, verbose: bool) -> String {
    let mut page = Page::new(coloured);
    for finding in &record.findings {
        page.finding(finding, verbose);
    }
    for ignored in &record.ignored {
        let routes: Vec<&str> = ignored.finding.seen.iter().map(|seen| seen.route.as_str()).collect();
        page.wrapped(0, &format!("ignored: {} on {}: {}", ignored.finding.id, routes.join(", "), ignored.reason));
    }
    if !record.ignored.is_empty() {
        page.out.push('\n');
    }
    let seconds = f64::from(u32::try_from(record.duration_ms).unwrap_or(u32::MAX)) / 1000.0;
    let (target, counts, requests) = (&record.target, counts(record), record.requests);
    page.line(0, &format!("{target}: {counts}. {requests} requests in {seconds:.1} seconds."));
    if let Some(line) = silence(record) {
        page.line(0, &line);
    }
    for line in browsers(record) {
        page.line(0, &format!("{line}."));
    }
    page.out
}

/// Writes what changed between two checks.
#[must_use]
pub fn render_change(change: &Change) -> String {
    let mut out = String::new();
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = writeln!(out, "{title}");
            for line in lines {
                let _ = writeln!(out, "  {}", visible(&line));
            }
        }
    };
    let access = |list: &[Access]| -> Vec<String> {
        list.iter()
            .map(|one| {
                let policy = if one.allowed { "the policy lets it in" } else { "the policy does not let it in" };
                let headers =
                    if one.headers.is_empty() { String::new() } else { format!(" with {}", one.headers.join(", ")) };
                format!(
                    "{} {}{headers} from {}, credentials {} ({policy})",
                    one.method, one.route, one.origin, one.credentials
                )
            })
            .collect()
    };
    section("Let in now, and not before:", access(&change.let_in));
    section("Kept out now, and not before:", access(&change.kept_out));
    section("New findings:", change.new.clone());
    section("Findings that are gone:", change.gone.clone());
    if out.is_empty() {
        out.push_str("Nothing changed.\n");
    }
    out
}

const fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Hole => "1;31",
        Severity::Break => "1;33",
        Severity::Poison => "1;35",
        Severity::Cost => "1;36",
        Severity::Hygiene => "1;34",
        Severity::Note => "2",
    }
}

impl Page {
    fn finding(&mut self, finding: &Finding, verbose: bool) {
        let severity = self.paint(colour(finding.severity), finding.severity.name());
        let id = self.paint(BOLD, &finding.id);
        let requests = self.paint(DIM, &format!("({} requests)", finding.requests));
        self.line(0, &format!("{severity} {id}  {requests}"));
        self.wrapped(2, &finding.title);
        for (position, seen) in finding.seen.iter().enumerate() {
            self.wrapped(2, &format!("{}: {}", seen.route, seen.said));
            if let Some(origins) = origins(seen) {
                self.wrapped(4, &format!("Origins: {origins}"));
            }
            // One request shows it; those of the other routes are alike, and stand in the JSON.
            if position == 0 {
                self.evidence(&seen.evidence, verbose);
            }
        }
        for browser in &finding.browsers {
            self.wrapped(2, &format!("{} by {}. {}", browser.outcome.words(), browser.browser, browser.said));
        }
        self.wrapped(2, &format!("To change: {}", finding.advice));
        self.out.push('\n');
    }

    fn evidence(&mut self, evidence: &Evidence, verbose: bool) {
        for exchange in &evidence.exchanges {
            self.line(4, &self.paint(DIM, &format!("→ {} {}", exchange.method, exchange.url)));
            for (name, value) in &exchange.headers {
                let name = name.to_ascii_lowercase();
                let telling = name == "origin"
                    || name == "cookie"
                    || name.starts_with("access-control-")
                    || name.starts_with("if-");
                if telling || verbose {
                    self.line(8, &self.paint(DIM, &format!("{name}: {value}")));
                }
            }
            let Some(response) = &exchange.response else { continue };
            self.line(4, &self.paint(DIM, &format!("← {}", response.status)));
            for (name, value) in &response.headers {
                let lower = name.to_ascii_lowercase();
                if verbose || TELLING.iter().any(|telling| lower.starts_with(telling)) {
                    self.line(8, &self.paint(DIM, &format!("{name}: {value}")));
                }
            }
        }
        for step in evidence.steps.iter().filter(|step| verbose || step.decides) {
            let mark = if step.decides { "✗" } else { "·" };
            self.wrapped(4, &format!("{mark} {}: {}", step.requirement, step.text));
        }
        if !evidence.conclusion.is_empty() {
            self.wrapped(4, &evidence.conclusion);
        }
    }
}
