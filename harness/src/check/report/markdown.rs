//! A check in Markdown, for comments and job summaries.

use std::fmt::Write as _;

use crosscheck_reports::escape_markdown;

use super::{browsers, counts, origins, silence};
use crate::check::finding::CheckRecord;

/// Writes a check in Markdown.
#[must_use]
pub fn render_markdown(record: &CheckRecord) -> String {
    let mut out = format!("## {}: {}\n\n", escape_markdown(&record.target), escape_markdown(&counts(record)));
    if !record.findings.is_empty() {
        out.push_str("| severity | finding | where | what |\n|---|---|---|---|\n");
        for finding in &record.findings {
            let routes: Vec<String> = finding.seen.iter().map(|seen| escape_markdown(&seen.route)).collect();
            let _ = writeln!(
                out,
                "| {} | `{}` | {} | {} |",
                finding.severity.name(),
                finding.id,
                routes.join("<br>"),
                escape_markdown(&finding.title)
            );
        }
        out.push('\n');
    }
    for finding in &record.findings {
        let _ =
            writeln!(out, "### {} `{}`\n\n{}\n", finding.severity.name(), finding.id, escape_markdown(&finding.title));
        for seen in &finding.seen {
            let _ = writeln!(out, "- {}: {}", escape_markdown(&seen.route), escape_markdown(&seen.said));
            if let Some(origins) = origins(seen) {
                let _ = writeln!(out, "  Origins: {}", escape_markdown(&origins));
            }
            if !seen.evidence.conclusion.is_empty() {
                let _ = writeln!(out, "  {}", escape_markdown(&seen.evidence.conclusion));
            }
        }
        for browser in &finding.browsers {
            let (name, said) = (escape_markdown(&browser.browser), escape_markdown(&browser.said));
            let _ = writeln!(out, "\n**{}** by {name}. {said}", browser.outcome.words());
        }
        let _ = writeln!(out, "\nTo change: {}\n", escape_markdown(&finding.advice));
    }
    for ignored in &record.ignored {
        let _ = writeln!(out, "- ignored: `{}`: {}", ignored.finding.id, escape_markdown(&ignored.reason));
    }
    let _ = writeln!(out, "\n{} requests in {} ms.", record.requests, record.duration_ms);
    if let Some(line) = silence(record) {
        let _ = writeln!(out, "\n{line}");
    }
    for line in browsers(record) {
        let _ = writeln!(out, "\n{}.", escape_markdown(&line));
    }
    out
}
