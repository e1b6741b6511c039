//! A check in Markdown, for comments and job summaries.

use std::fmt::Write as _;

use super::{browsers, counts, origins};
use crate::check::finding::CheckRecord;

/// Writes a check in Markdown.
#[must_use]
pub fn render_markdown(record: &CheckRecord) -> String {
    let mut out = format!("## {}: {}\n\n", plain(&record.target), counts(record));
    if !record.findings.is_empty() {
        out.push_str("| severity | finding | where | what |\n|---|---|---|---|\n");
        for finding in &record.findings {
            let routes: Vec<String> = finding.seen.iter().map(|seen| plain(&seen.route)).collect();
            let _ = writeln!(
                out,
                "| {} | `{}` | {} | {} |",
                finding.severity.name(),
                finding.id,
                routes.join("<br>"),
                plain(&finding.title)
            );
        }
        out.push('\n');
    }
    for finding in &record.findings {
        let _ = writeln!(out, "### {} `{}`\n\n{}\n", finding.severity.name(), finding.id, plain(&finding.title));
        for seen in &finding.seen {
            let _ = writeln!(out, "- {}: {}", plain(&seen.route), plain(&seen.said));
            if let Some(origins) = origins(seen) {
                let _ = writeln!(out, "  Origins: {}", plain(&origins));
            }
            if !seen.evidence.conclusion.is_empty() {
                let _ = writeln!(out, "  {}", plain(&seen.evidence.conclusion));
            }
        }
        for browser in &finding.browsers {
            let (name, said) = (plain(&browser.browser), plain(&browser.said));
            let _ = writeln!(out, "\n**{}** by {name}. {said}", browser.outcome.words());
        }
        let _ = writeln!(out, "\nTo change: {}\n", plain(&finding.advice));
    }
    for ignored in &record.ignored {
        let _ = writeln!(out, "- ignored: `{}`: {}", ignored.finding.id, plain(&ignored.reason));
    }
    let _ = writeln!(out, "\n{} requests in {} ms.", record.requests, record.duration_ms);
    for line in browsers(record) {
        let _ = writeln!(out, "\n{}.", plain(&line));
    }
    out
}

/// Text that Markdown and HTML show as it is, in a line.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => out.extend(['\\', character]),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            other if other.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}
