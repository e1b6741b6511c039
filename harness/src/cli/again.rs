//! Running again what came out unexpected: `--again`, and the command that is printed for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crosscheck_reports::{RunRecord, read_runs};

use super::Failure;
use super::arguments::{BIND, EXPECTATIONS, JOBS, RunArguments, SUITE};

/// The ids of the cases that came out unexpected, by agent.
pub(crate) struct Unexpected(BTreeMap<String, BTreeSet<String>>);

impl Unexpected {
    /// What the run records in a folder say.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let records = read_runs(folder).map_err(|error| Failure::Usage(error.to_string()))?;
        let unexpected = Self::of(&records);
        match unexpected.0.is_empty() {
            true => Err(Failure::Usage(format!("nothing is unexpected in the runs in {}", folder.display()))),
            false => Ok(unexpected),
        }
    }

    fn of(records: &[RunRecord]) -> Self {
        let mut by_agent: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for record in records {
            for result in record.results.iter().filter(|result| result.verdict.is_unexpected()) {
                by_agent.entry(record.agent.name.clone()).or_default().insert(result.id.clone());
            }
        }
        Self(by_agent)
    }

    /// Whether an agent has to run a case again.
    pub(crate) fn has(&self, agent: &str, case: &str) -> bool {
        self.0.get(agent).is_some_and(|cases| cases.contains(case))
    }

    /// Whether an agent has anything to run again.
    pub(crate) fn concerns(&self, agent: &str) -> bool {
        self.0.contains_key(agent)
    }
}

/// The command that runs just the unexpected results of these runs again; nothing where there is none. What it finds goes
/// to a folder of its own, so that the report of the whole run stays.
pub(crate) fn command(arguments: &RunArguments, records: &[RunRecord]) -> Option<String> {
    let unexpected = Unexpected::of(records);
    if unexpected.0.is_empty() {
        return None;
    }
    let program = std::env::var("CROSSCHECK_COMMAND").ok().filter(|command| !command.is_empty());
    let program = program.unwrap_or_else(|| {
        let program = std::env::args().next().unwrap_or_else(|| "crosscheck".to_owned());
        format!("{} run", quoted(&program))
    });
    Some(format!("{program} {}", options(arguments, &unexpected)))
}

fn options(arguments: &RunArguments, unexpected: &Unexpected) -> String {
    // Engines of one's own are named by the path of their file, which the record does not have.
    let files = arguments.agent.iter().filter(|agent| agent.ends_with(".json"));
    let agents: Vec<&str> = match files.count() {
        0 => unexpected.0.keys().map(String::as_str).collect(),
        _ => arguments.agent.iter().map(String::as_str).collect(),
    };
    let out = match arguments.again {
        Some(_) => arguments.out.clone(),
        None => arguments.out.join("again"),
    };
    let mut options = vec![
        ("--agent", agents.join(",")),
        ("--again", arguments.out.display().to_string()),
        ("--out", out.display().to_string()),
    ];
    let selection = &arguments.selection;
    let others = [
        ("--suite", selection.suite.display().to_string(), SUITE.to_owned()),
        ("--expectations", arguments.expectations.display().to_string(), EXPECTATIONS.to_owned()),
        ("--jobs", arguments.jobs.to_string(), JOBS.to_string()),
        ("--repeat", arguments.repeat.to_string(), "1".to_owned()),
        ("--bind", arguments.bind.to_string(), BIND.to_owned()),
        ("--webdriver", arguments.webdriver.clone().unwrap_or_default(), String::new()),
    ];
    options.extend(others.into_iter().filter(|(_, value, usual)| value != usual).map(|(name, value, _)| (name, value)));
    options.iter().map(|(name, value)| format!("{name} {}", quoted(value))).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-,:=@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_quoted_where_a_shell_would_read_them_otherwise() {
        for (word, quoted) in [
            ("target/release/crosscheck", "target/release/crosscheck"),
            ("my report", "'my report'"),
            ("it's", "'it'\\''s'"),
            ("a*", "'a*'"),
            ("", "''"),
        ] {
            assert_eq!(super::quoted(word), quoted);
        }
    }
}
