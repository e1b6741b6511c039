//! Known deviations: `ci/expectations/<engine>.json`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crosscheck_cases::{Case, Filter, HeaderDifference, Outcome, WRITTEN_LIMIT, read_text};
use crosscheck_reports::{CaseRecord, HeaderCause};
use serde::Deserialize;

/// The known deviations of an engine: `ci/expectations/<engine>.json`.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    entries: Vec<Entry>,
    path: PathBuf,
    /// For each case the entries that speak of it, in order.
    of_case: HashMap<String, Vec<usize>>,
    /// Whether header lines that no case states may be anything.
    leaves_headers_open: bool,
}

/// How many broken requirements together may explain one case.
const TOGETHER: usize = 4;

/// A header line that an engine's requests have otherwise than the standard says, in whatever case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderRule {
    /// The header's name, in lower case.
    pub name: String,
    /// What is predicted: `null` for an absent line, else a text in which `*` stands for anything.
    pub predicted: Option<String>,
    /// What is observed instead, written likewise.
    pub observed: Option<String>,
    /// Whether it is so in preflights alone, or in other requests alone. Default: in both.
    #[serde(default)]
    pub preflight: Option<bool>,
    /// Whether it is so in requests that follow another one of the same step, as after a redirect, or in first ones alone.
    /// Default: in both.
    #[serde(default)]
    pub follows: Option<bool>,
    /// Other header lines by which its requests are known, as they are predicted: name and value, written likewise.
    #[serde(default)]
    pub beside: BTreeMap<String, Option<String>>,
}

impl HeaderRule {
    fn explains(&self, difference: &HeaderDifference) -> bool {
        self.name == difference.name
            && self.preflight.is_none_or(|preflight| preflight == difference.predicted.preflight)
            && self.follows.is_none_or(|follows| follows == difference.predicted.follows)
            && self.beside.iter().all(|(name, pattern)| {
                is_like(pattern.as_deref(), difference.predicted.headers.get(name).map(String::as_str))
            })
            && is_like(self.predicted.as_deref(), difference.expected.as_deref())
            && is_like(self.observed.as_deref(), difference.observed.as_deref())
    }
}

/// Whether a value is what a pattern says, both absent included.
fn is_like(pattern: Option<&str>, value: Option<&str>) -> bool {
    match (pattern, value) {
        (None, None) => true,
        (Some(pattern), Some(value)) => {
            let mut parts = pattern.split('*');
            let Some(mut rest) = parts.next().and_then(|first| value.strip_prefix(first)) else { return false };
            let mut parts = parts.peekable();
            if parts.peek().is_none() {
                return rest.is_empty();
            }
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    return rest.ends_with(part);
                }
                let Some(at) = rest.find(part) else { return false };
                rest = &rest[at + part.len()..];
            }
            true
        }
        _ => false,
    }
}

/// One cause of failures.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Globs over case ids. With `header` it may be left out: all cases.
    #[serde(default)]
    pub cases: Vec<String>,
    /// In place of `instead` and `breaks`: how a header line of its requests differs. The case's own verdict stays as it is.
    #[serde(default)]
    pub header: Option<HeaderRule>,
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
        let text = match read_text(path, WRITTEN_LIMIT) {
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
            let ways = [entry.instead.is_some(), !entry.breaks.is_empty(), entry.header.is_some()];
            if ways.into_iter().filter(|stated| *stated).count() > 1 {
                mistakes.push(format!("{name}: state one of \"instead\", \"breaks\" and \"header\", not several"));
            }
            if entry.cases.is_empty() {
                match &entry.header {
                    Some(_) => entry.cases.push("**".to_owned()),
                    None => mistakes.push(format!("{name}: state \"cases\": at least one glob over case ids")),
                }
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
        Ok(Self { entries, path: path.to_owned(), of_case, leaves_headers_open: false })
    }

    /// No known deviations, and nothing is expected of header lines that a case does not state: for cases whose servers,
    /// and what they have set before, are not ours.
    #[must_use]
    pub fn of_stated_headers_alone() -> Self {
        Self { leaves_headers_open: true, ..Self::default() }
    }

    /// Whether header lines that no case states may be anything.
    #[must_use]
    pub const fn leaves_headers_open(&self) -> bool {
        self.leaves_headers_open
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

    /// Whether an entry, alone or with others that speak of the case, says what was observed: then the requirements
    /// without which the executable standard does so, none with `instead`.
    #[must_use]
    pub fn explanation(&self, entry: &Entry, case: &Case, observed: &Outcome) -> Option<Vec<String>> {
        if entry.explains(case, observed) {
            return Some(entry.breaks.clone());
        }
        if entry.breaks.is_empty() {
            return None;
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
        (0_u32..1 << others.len()).find_map(|chosen| {
            let breaks: Vec<String> = others
                .iter()
                .enumerate()
                .filter(|(at, _)| chosen & (1 << at) != 0)
                .flat_map(|(_, other)| other.breaks.iter().cloned())
                .collect();
            (breaks.len() > 1 && is_outcome_without(&breaks, case, observed)).then_some(breaks)
        })
    }

    /// The entries that name how header lines differ, in order.
    fn header_entries(&self) -> impl Iterator<Item = (&Entry, &HeaderRule)> {
        self.entries.iter().filter_map(|entry| Some((entry, entry.header.as_ref()?)))
    }

    /// The entry that names how a header line of a case's request differs, and its position among those of its kind.
    #[must_use]
    pub fn of_header(&self, case: &Case, difference: &HeaderDifference) -> Option<(usize, &Entry)> {
        self.header_entries()
            .enumerate()
            .find(|(_, (entry, header))| {
                header.explains(difference) && entry.filters.iter().any(|filter| filter.takes(case))
            })
            .map(|(position, (entry, _))| (position, entry))
    }

    /// The known deviations in header lines, in order, each with how many of these results it explains something of.
    #[must_use]
    pub fn header_causes(&self, results: &[CaseRecord]) -> Vec<HeaderCause> {
        let mut causes: Vec<HeaderCause> = self
            .header_entries()
            .map(|(entry, header)| HeaderCause {
                header: header.name.clone(),
                requires: entry.requires.clone(),
                cause: entry.cause.clone(),
                link: entry.link.clone(),
                cases: 0,
            })
            .collect();
        for result in results {
            let shown: BTreeSet<usize> = result.deviations.iter().map(|one| one.cause).collect();
            for position in shown {
                if let Some(cause) = causes.get_mut(position) {
                    cause.cases += 1;
                }
            }
        }
        causes
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
        .filter(|(_, entry)| entry.header.is_none() && entry.filters.iter().any(|filter| filter.takes(case)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_header_values_take_stars_and_absence() {
        for (pattern, value, like) in [
            (None, None, true),
            (None, Some("a"), false),
            (Some("*"), None, false),
            (Some("*"), Some(""), true),
            (Some("a"), Some("a"), true),
            (Some("a"), Some("ab"), false),
            (Some("a*"), Some("ab"), true),
            (Some("*b"), Some("ab"), true),
            (Some("a*c*e"), Some("abcde"), true),
            (Some("a*c*e"), Some("abde"), false),
            (Some("https://*/~/"), Some("https://page.test/~/"), true),
            (Some("https://*/~/"), Some("https://page.test/"), false),
        ] {
            assert_eq!(is_like(pattern, value), like, "{pattern:?} {value:?}");
        }
    }
}
