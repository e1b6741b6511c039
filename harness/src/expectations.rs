use std::path::{Path, PathBuf};

use crosscheck_cases::{Case, Filter, Outcome};
use serde::Deserialize;

/// The known deviations of an engine: `ci/expectations/<engine>.json`.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    entries: Vec<Entry>,
    path: PathBuf,
}

/// One cause of failures.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Globs over case ids.
    pub cases: Vec<String>,
    /// What is observed in place of what is expected; what it leaves out may be anything.
    #[serde(default)]
    pub instead: Option<Outcome>,
    /// Why the engine does so.
    pub cause: String,
    /// The requirement that it does not keep.
    pub requires: String,
    /// The upstream bug, or where the deviation is documented.
    #[serde(default)]
    pub link: Option<String>,
    /// The version in which it was first seen.
    pub since: String,
    #[serde(skip)]
    filters: Vec<Filter>,
}

/// An expectations file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", path.display(), mistakes.join("\n  "))]
pub struct ExpectationsError {
    /// The file.
    pub path: PathBuf,
    /// Everything that is wrong in it.
    pub mistakes: Vec<String>,
}

impl Expectations {
    /// Reads the file of an engine and checks it against the whole suite. No file means no known deviations.
    ///
    /// # Errors
    /// It cannot be read, is malformed, or an entry matches no case.
    pub fn load(path: &Path, suite: &[Case]) -> Result<Self, ExpectationsError> {
        let fault = |mistakes: Vec<String>| ExpectationsError { path: path.to_owned(), mistakes };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(fault(vec![format!("cannot be read: {error}")])),
        };
        let mut entries: Vec<Entry> = serde_json::from_str(&text)
            .map_err(|error| fault(vec![format!("line {}, column {}: {error}", error.line(), error.column())]))?;
        let mut mistakes = Vec::new();
        let mut unmatched = Vec::new();
        for (number, entry) in entries.iter_mut().enumerate() {
            let name = format!("entry {} ({:?})", number + 1, entry.cause.chars().take(60).collect::<String>());
            if crosscheck_cases::requirement(&entry.requires).is_none() {
                mistakes.push(format!("{name}: no requirement has the id {:?}", entry.requires));
            }
            for glob in &entry.cases {
                match glob.parse::<Filter>() {
                    Err(error) => mistakes.push(format!("{name}: {error}")),
                    Ok(filter) if !suite.iter().any(|case| filter.takes(case)) => {
                        unmatched.push(format!("{name}: {glob:?}"));
                    }
                    Ok(filter) => entry.filters.push(filter),
                }
            }
        }
        if let [first, rest @ ..] = unmatched.as_slice() {
            let others = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            mistakes.push(format!(
                "{first} matches no case of the suite{others}: take it out, or mend the glob; another suite needs another \
                 --expectations folder"
            ));
        }
        if mistakes.is_empty() { Ok(Self { entries, path: path.to_owned() }) } else { Err(fault(mistakes)) }
    }

    /// The entry that speaks of this case.
    #[must_use]
    pub fn of(&self, case: &Case) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.filters.iter().any(|filter| filter.takes(case)))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Entry {
    /// Whether what was observed is what the entry says.
    #[must_use]
    pub fn explains(&self, observed: &Outcome) -> bool {
        self.instead.as_ref().is_none_or(|instead| {
            instead.differences(observed).is_empty() && instead.reason_difference(observed).is_none()
        })
    }
}
