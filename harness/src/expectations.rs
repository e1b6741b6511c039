use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crosscheck_cases::{Case, Filter, Outcome};
use serde::Deserialize;

/// The known deviations of an engine: `ci/expectations/<engine>.json`.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    entries: Vec<Entry>,
    path: PathBuf,
    /// For each case the entries that speak of it, in order.
    of_case: HashMap<String, Vec<usize>>,
}

/// How many broken requirements together may explain one case.
const TOGETHER: usize = 4;

/// One cause of failures.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Globs over case ids.
    pub cases: Vec<String>,
    /// What is observed in place of what is expected; what it leaves out may be anything.
    #[serde(default)]
    pub instead: Option<Outcome>,
    /// In place of `instead`: requirements that the engine does not keep. What is observed is then what the executable
    /// standard leads to without them. Such an entry speaks only of cases among `cases` that come out differently so.
    #[serde(default)]
    pub breaks: Vec<String>,
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
            for id in entry.breaks.iter().filter(|id| crosscheck_cases::requirement(id).is_none()) {
                mistakes.push(format!("{name}: no requirement has the id {id:?}"));
            }
            if entry.instead.is_some() && !entry.breaks.is_empty() {
                mistakes.push(format!("{name}: state \"instead\" or \"breaks\", not both"));
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
        if !mistakes.is_empty() {
            return Err(fault(mistakes));
        }
        let of_case = suite
            .iter()
            .filter_map(|case| {
                let speaking = speaking(&entries, case);
                (!speaking.is_empty()).then(|| (case.id.clone(), speaking))
            })
            .collect::<HashMap<_, _>>();
        let silent = entries
            .iter()
            .enumerate()
            .find(|(at, entry)| !entry.breaks.is_empty() && !of_case.values().any(|speaking| speaking.contains(at)));
        if let Some((at, entry)) = silent {
            return Err(fault(vec![format!(
                "entry {} breaks {}, and no case among {} comes out differently by that",
                at + 1,
                entry.breaks.join(", "),
                entry.cases.join(", ")
            )]));
        }
        Ok(Self { entries, path: path.to_owned(), of_case })
    }

    /// The first entry that speaks of this case.
    #[must_use]
    pub fn of(&self, case: &Case) -> Option<&Entry> {
        self.of_case.get(&case.id)?.first().and_then(|at| self.entries.get(*at))
    }

    /// The entry that speaks of this case: among several the one that explains what was observed, else the first.
    #[must_use]
    pub fn of_observed(&self, case: &Case, observed: &Outcome) -> Option<&Entry> {
        let speaking = self.of_case.get(&case.id)?;
        let entries = || speaking.iter().filter_map(|at| self.entries.get(*at));
        entries().find(|entry| entry.explains(case, observed)).or_else(|| entries().next())
    }

    /// Whether an entry, alone or with others that speak of the case, says what was observed.
    #[must_use]
    pub fn explains(&self, entry: &Entry, case: &Case, observed: &Outcome) -> bool {
        if entry.explains(case, observed) {
            return true;
        }
        // Faults add up: every combination of broken requirements that has this entry among them.
        let others: Vec<&Entry> = self
            .of_case
            .get(&case.id)
            .into_iter()
            .flatten()
            .filter_map(|at| self.entries.get(*at))
            .filter(|other| !other.breaks.is_empty())
            .take(TOGETHER)
            .collect();
        !entry.breaks.is_empty()
            && (0_u32..1 << others.len()).any(|chosen| {
                let breaks: Vec<String> = others
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| chosen & (1 << at) != 0)
                    .flat_map(|(_, other)| other.breaks.iter().cloned())
                    .collect();
                breaks.len() > 1 && is_outcome_without(&breaks, case, observed)
            })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The entries that speak of a case: an `instead` alone, or all `breaks` without which it comes out differently.
fn speaking(entries: &[Entry], case: &Case) -> Vec<usize> {
    let matching: Vec<usize> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.filters.iter().any(|filter| filter.takes(case)))
        .map(|(at, _)| at)
        .collect();
    if let Some(plain) = matching.iter().find(|at| entries[**at].breaks.is_empty()) {
        return vec![*plain];
    }
    if matching.is_empty() {
        return Vec::new();
    }
    let Some(prediction) = case.predict() else { return Vec::new() };
    matching
        .into_iter()
        .filter(|at| {
            let breaks = &entries[*at].breaks;
            // A rule that never applied on the way changes nothing.
            prediction.decisions.iter().any(|decision| breaks.iter().any(|rule| *rule == decision.requirement))
                && case.predict_breaking(breaks).is_some_and(|broken| {
                    let instead = broken.expected_like(&case.stated);
                    !case.stated.then.differences(&instead).is_empty()
                })
        })
        .collect()
}

/// Whether an agent that does not keep these requirements would be observed so.
fn is_outcome_without(breaks: &[String], case: &Case, observed: &Outcome) -> bool {
    case.predict_breaking(breaks)
        .is_some_and(|prediction| prediction.expected_like(&case.stated).differences_and_reason(observed).is_empty())
}

impl Entry {
    /// Whether what was observed is what the entry says.
    #[must_use]
    pub fn explains(&self, case: &Case, observed: &Outcome) -> bool {
        if !self.breaks.is_empty() {
            return is_outcome_without(&self.breaks, case, observed);
        }
        self.instead.as_ref().is_none_or(|instead| instead.differences_and_reason(observed).is_empty())
    }
}
