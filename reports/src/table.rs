use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::explain::{header_line, reason_line, what_happened};
use crate::text::{count_of, grouped, shortened};
use crate::{RunRecord, Verdict};
use crosscheck_cases::visible;

/// The widest line, in columns.
const WIDTH: usize = 120;

/// How many unexpected cases are listed.
const LISTED: usize = 30;

/// The summary for a terminal: a line for each agent, then the unexpected cases, each with its first difference and the
/// reason that the agent gave. No line is wider than 120 columns.
#[must_use]
pub fn render_table(runs: &[RunRecord]) -> String {
    if runs.is_empty() {
        return "No runs.\n".to_owned();
    }
    let mut out = summary(runs);
    let unexpected: Vec<_> = runs
        .iter()
        .flat_map(|run| run.results.iter().map(move |result| (run, result)))
        .filter(|(_, result)| result.verdict.is_unexpected())
        .collect();
    if unexpected.is_empty() {
        out.push_str("\nNothing unexpected.\n");
    } else {
        let _ = writeln!(out, "\n{} unexpected:", count_of(unexpected.len(), "result"));
    }
    for (run, result) in unexpected.iter().take(LISTED) {
        out.push('\n');
        let head = format!("{:<7}  {}  {}", result.verdict, visible(&run.agent.name), visible(&result.id));
        line(&mut out, 0, &head);
        line(&mut out, 9, &visible(&what_happened(result)));
        if let Some(reason) = result.observed.unpack().as_ref().and_then(reason_line) {
            line(&mut out, 9, &format!("reason: {}", visible(&reason)));
        }
    }
    if unexpected.len() > LISTED {
        let _ = writeln!(out, "\nand {} more", grouped((unexpected.len() - LISTED) as u64));
    }
    let deviating = runs.iter().filter_map(|run| Some((run, header_line(run)?)));
    for (index, (run, text)) in deviating.enumerate() {
        if index == 0 {
            out.push('\n');
        }
        line(&mut out, 0, &format!("known  {}  {text}", visible(&run.agent.name)));
    }
    let warnings = runs.iter().flat_map(|run| run.warnings.iter().map(move |warning| (run, warning)));
    for (index, (run, warning)) in warnings.enumerate() {
        if index == 0 {
            out.push('\n');
        }
        line(&mut out, 0, &format!("warning  {}  {}", visible(&run.agent.name), visible(warning)));
    }
    out
}

fn summary(runs: &[RunRecord]) -> String {
    let mut rows: Vec<Vec<String>> = Vec::with_capacity(runs.len() + 1);
    // A verdict that nothing has takes no column, but for those that everybody looks for.
    let verdicts: Vec<Verdict> = Verdict::ALL
        .into_iter()
        .filter(|verdict| {
            matches!(verdict, Verdict::Pass | Verdict::Fail) || runs.iter().any(|run| run.summary.of(*verdict) > 0)
        })
        .collect();
    let heads = ["agent", "version"].into_iter().chain(verdicts.iter().map(|verdict| verdict.name()));
    rows.push(heads.chain(["requests", "seconds", "requests/s"]).map(str::to_owned).collect());
    for run in runs {
        let mut row = vec![shortened(&visible(&run.agent.name), 16), shortened(&visible(&run.agent.version), 16)];
        row.extend(verdicts.iter().map(|verdict| match run.summary.of(*verdict) {
            0 => "-".to_owned(),
            count => grouped(count as u64),
        }));
        row.push(grouped(run.summary.requests));
        row.push(format!("{}.{}", run.duration_ms / 1_000, run.duration_ms % 1_000 / 100));
        row.push(format!("{:.0}", run.summary.requests_per_second));
        rows.push(row);
    }
    let columns = rows[0].len();
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let mut cells = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.width());
            let gap = if column == 0 { "" } else { "  " };
            // Names stand at the left of their column, numbers at the right.
            let _ =
                if column < 2 { write!(cells, "{gap}{cell}{padding}") } else { write!(cells, "{gap}{padding}{cell}") };
        }
        out.push_str(cells.trim_end());
        out.push('\n');
    }
    out
}

/// Writes an indented line, cut at [`WIDTH`].
fn line(out: &mut String, indent: usize, text: &str) {
    let room = WIDTH - indent;
    let mut cut = shortened(text, room);
    let mut limit = room;
    // Wide characters take two columns.
    while cut.width() > room {
        limit -= 1;
        cut = shortened(text, limit);
    }
    let _ = writeln!(out, "{}{}", " ".repeat(indent), cut.trim_end());
}
