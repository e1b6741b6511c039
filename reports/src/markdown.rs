use std::fmt::Write as _;

use crate::explain::{reason_line, what_happened, what_to_do};
use crate::text::{count_of, duration, grouped, shortened};
use crate::{CaseRecord, RunRecord, Verdict};
use crosscheck_cases::visible;

/// How many unexpected cases are listed; job pages of CI systems hold about a megabyte.
const LISTED: usize = 500;

/// How long a line about one case may grow.
const LINE: usize = 400;

/// A summary for the job pages of CI systems: verdicts by agent, passes by area and agent, every unexpected case in a
/// line, and the known deviations by cause. Strings of the records are escaped, so that none of them can be markup.
#[must_use]
pub fn render_markdown(runs: &[RunRecord]) -> String {
    let mut out = "# Crosscheck\n\n".to_owned();
    if runs.is_empty() {
        out.push_str("No runs.\n");
        return out;
    }
    let unexpected: usize = runs.iter().map(|run| of(run, Verdict::is_unexpected).count()).sum();
    let verdict = if unexpected == 0 {
        "Everything is as expected.".to_owned()
    } else {
        format!("**{} unexpected.**", count_of(unexpected, "result"))
    };
    let _ = writeln!(out, "{verdict}\n");
    agents(&mut out, runs);
    areas(&mut out, runs);
    unexpected_cases(&mut out, runs, unexpected);
    known_deviations(&mut out, runs);
    warnings(&mut out, runs);
    out
}

fn of(run: &RunRecord, wanted: impl Fn(Verdict) -> bool) -> impl Iterator<Item = &CaseRecord> {
    run.results.iter().filter(move |result| wanted(result.verdict))
}

fn agents(out: &mut String, runs: &[RunRecord]) {
    let names = Verdict::ALL.map(Verdict::name).join(" | ");
    let _ = writeln!(out, "| agent | version | {names} | requests | time |");
    let _ = writeln!(out, "|---|---|{}--:|--:|", "--:|".repeat(Verdict::ALL.len()));
    for run in runs {
        let counts = Verdict::ALL.map(|verdict| match run.summary.of(verdict) {
            0 => "0".to_owned(),
            count if verdict.is_unexpected() => format!("**{}**", grouped(count as u64)),
            count => grouped(count as u64),
        });
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            escape(label(run)),
            escape(&run.agent.version),
            counts.join(" | "),
            grouped(run.summary.requests),
            duration(run.duration_ms)
        );
    }
}

fn areas(out: &mut String, runs: &[RunRecord]) {
    let mut areas: Vec<&str> = Vec::new();
    let mut counts: std::collections::HashMap<(&str, usize), (usize, usize)> = std::collections::HashMap::new();
    for (agent, run) in runs.iter().enumerate() {
        for result in &run.results {
            if !runs[..=agent].iter().enumerate().any(|(index, _)| counts.contains_key(&(&result.area, index))) {
                areas.push(&result.area);
            }
            let (passed, total) = counts.entry((&result.area, agent)).or_default();
            *passed += usize::from(result.verdict == Verdict::Pass);
            *total += 1;
        }
    }
    let heads: Vec<String> = runs.iter().map(|run| escape(label(run))).collect();
    let _ = writeln!(out, "\n## Passes by area\n\n| area | {} |", heads.join(" | "));
    let _ = writeln!(out, "|---|{}", "--:|".repeat(runs.len()));
    for area in areas {
        let cells = (0..runs.len()).map(|agent| match counts.get(&(area, agent)) {
            Some((passed, total)) => format!(" {}/{} |", grouped(*passed as u64), grouped(*total as u64)),
            None => " – |".to_owned(),
        });
        let _ = writeln!(out, "| {} |{}", escape(area), cells.collect::<String>());
    }
}

fn unexpected_cases(out: &mut String, runs: &[RunRecord], total: usize) {
    if total == 0 {
        return;
    }
    out.push_str("\n## Unexpected\n");
    let mut room = LISTED;
    for run in runs {
        for verdict in Verdict::ALL.into_iter().filter(|verdict| verdict.is_unexpected()) {
            let results: Vec<_> = of(run, |candidate| candidate == verdict).collect();
            if results.is_empty() || room == 0 {
                continue;
            }
            let _ = writeln!(out, "\n### {}: {} {verdict}\n", escape(label(run)), grouped(results.len() as u64));
            if let Some(advice) = what_to_do(verdict) {
                let _ = writeln!(out, "{advice}\n");
            }
            for result in results.iter().take(room) {
                let mut line = escape(&shortened(&what_happened(result), LINE));
                if let Some(reason) = result.observed.unpack().as_ref().and_then(reason_line) {
                    let _ = write!(line, "; reason: {}", escape(&shortened(&reason, LINE)));
                }
                let _ = writeln!(out, "- {}: {line}", code(&result.id));
            }
            room = room.saturating_sub(results.len());
        }
    }
    if total > LISTED {
        let _ = writeln!(out, "\nand {} more", grouped((total - LISTED) as u64));
    }
}

fn known_deviations(out: &mut String, runs: &[RunRecord]) {
    // By cause, in the order of their first case.
    let mut causes: Vec<(&RunRecord, &str, Option<&str>, usize)> = Vec::new();
    for run in runs {
        for result in of(run, |verdict| verdict == Verdict::Known) {
            let note = result.note.as_deref().unwrap_or("no cause stated");
            let link = result.link.as_deref();
            match causes.iter_mut().find(|(of, cause, at, _)| std::ptr::eq(*of, run) && *cause == note && *at == link) {
                Some((.., count)) => *count += 1,
                None => causes.push((run, note, link, 1)),
            }
        }
    }
    let headers: Vec<_> = runs
        .iter()
        .flat_map(|run| run.headers.iter().map(move |one| (run, one)))
        .filter(|(_, one)| one.cases > 0)
        .collect();
    if causes.is_empty() && headers.is_empty() {
        return;
    }
    out.push_str("\n## Known deviations\n\n| agent | cases | cause |\n|---|--:|---|\n");
    for (run, note, link, count) in causes {
        let link = link.map(|link| format!(" ({})", linked(link))).unwrap_or_default();
        let note = escape(&shortened(note, LINE));
        let _ = writeln!(out, "| {} | {} | {note}{link} |", escape(label(run)), grouped(count as u64));
    }
    for (run, one) in headers {
        let link = one.link.as_deref().map(|link| format!(" ({})", linked(link))).unwrap_or_default();
        let note = escape(&shortened(&format!("{} of requests: {}", one.header, one.cause), LINE));
        let _ = writeln!(out, "| {} | {} | {note}{link} |", escape(label(run)), grouped(one.cases as u64));
    }
}

fn warnings(out: &mut String, runs: &[RunRecord]) {
    if runs.iter().all(|run| run.warnings.is_empty()) {
        return;
    }
    out.push_str("\n## Warnings\n\n");
    for run in runs {
        for warning in &run.warnings {
            let _ = writeln!(out, "- {}: {}", escape(label(run)), escape(&shortened(warning, LINE)));
        }
    }
}

fn label(run: &RunRecord) -> &str {
    if run.agent.label.is_empty() { &run.agent.name } else { &run.agent.label }
}

/// Text that Markdown and HTML show as it is, in a line: no markup, no mention of a person.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A mention of a person.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '|' | '*' | '_' | '[' | ']' | '~' | '#' | '!' | '$' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
    }
    out
}

/// A code span that holds the text whatever backticks are in it. Not for tables, which end at a pipe even in code.
fn code(text: &str) -> String {
    let text = visible(text);
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if longest == 0 && !text.is_empty() { format!("`{text}`") } else { format!("{fence} {text} {fence}") }
}

/// A link where the address is one of the web; the bare text otherwise.
fn linked(link: &str) -> String {
    let harmless = |character: char| character.is_ascii_alphanumeric() || "-._~:/?#@!$&'*+,;=%".contains(character);
    if (link.starts_with("https://") || link.starts_with("http://")) && link.chars().all(harmless) {
        format!("[{}](<{}>)", escape(link), link)
    } else {
        escape(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_be_markup() {
        assert_eq!(escape("a|b`c<script>&[x](y)\n**"), "a\\|b\\`c&lt;script&gt;&amp;\\[x\\](y)\\\\n\\*\\*");
        assert_eq!(code("plain"), "`plain`");
        assert_eq!(code("a``b"), "``` a``b ```");
        assert_eq!(linked("javascript:alert(1)"), "javascript:alert(1)");
        assert_eq!(linked("https://bugs.test/1"), "[https://bugs.test/1](<https://bugs.test/1>)");
        assert_eq!(linked("https://bugs.test/) <b>"), "https://bugs.test/) &lt;b&gt;");
    }
}
