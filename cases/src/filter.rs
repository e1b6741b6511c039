use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};

use crate::Case;

/// Which cases to take: terms separated by white space, all of which must hold; a term of several alternatives has
/// commas between them, and `!` before it turns it round. A term is a glob over case ids (`cors/preflight/**`),
/// `area:GLOB` over topics, or `requires:GLOB` over requirement ids.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug)]
struct Term {
    negated: bool,
    field: Field,
    patterns: Vec<Pattern>,
}

/// What a name has to be. Most known deviations name their cases in full: these are not worth a glob each.
#[derive(Clone, Debug)]
enum Pattern {
    Name(String),
    Glob(GlobMatcher),
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Name(name) => name == text,
            Self::Glob(glob) => glob.is_match(text),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Id,
    Area,
    Requires,
}

/// A filter cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the filter term {term:?} cannot be read: {why}; write globs over case ids (cors/preflight/**), area:GLOB or requires:GLOB"
)]
pub struct FilterError {
    /// The term.
    pub term: String,
    /// What is wrong with it.
    pub why: String,
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        text.split_ascii_whitespace().map(term).collect::<Result<_, _>>().map(|terms| Self { terms })
    }
}

fn term(text: &str) -> Result<Term, FilterError> {
    let fault = |why: String| FilterError { term: text.to_owned(), why };
    let (negated, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let (field, globs) = match rest.split_once(':') {
        Some(("area", globs)) => (Field::Area, globs),
        Some(("requires", globs)) => (Field::Requires, globs),
        Some((other, _)) if other.bytes().all(|byte| byte.is_ascii_lowercase()) => {
            return Err(fault(format!("there is no field {other:?}")));
        }
        _ => (Field::Id, rest),
    };
    let patterns = alternatives(globs)
        .into_iter()
        .map(|glob| pattern(glob).map_err(|error| fault(error.kind().to_string())))
        .collect::<Result<_, _>>()?;
    Ok(Term { negated, field, patterns })
}

/// Splits at commas. Ids of generated cases have commas too: what follows one there is `name=label`, without a slash.
fn alternatives(globs: &str) -> Vec<String> {
    let mut alternatives: Vec<String> = Vec::new();
    for part in globs.split(',') {
        match alternatives.last_mut() {
            Some(last) if part.contains('=') && !part.contains('/') => {
                last.push(',');
                last.push_str(part);
            }
            _ => alternatives.push(part.to_owned()),
        }
    }
    alternatives
}

fn pattern(glob: String) -> Result<Pattern, globset::Error> {
    if !glob.contains(['*', '?', '[', ']', '{', '}', '\\']) {
        return Ok(Pattern::Name(glob));
    }
    Ok(Pattern::Glob(GlobBuilder::new(&glob).literal_separator(true).build()?.compile_matcher()))
}

impl Filter {
    /// Whether the case is taken. No term takes every case.
    #[must_use]
    pub fn takes(&self, case: &Case) -> bool {
        self.terms.iter().all(|term| {
            let matches = |text: &str| term.patterns.iter().any(|pattern| pattern.matches(text));
            let holds = match term.field {
                Field::Id => matches(&case.id),
                Field::Area => matches(&case.topic),
                Field::Requires => case.stated.requires.iter().any(|id| matches(id)),
            };
            holds != term.negated
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_part_alternatives_and_belong_to_ids_of_generated_cases() {
        assert_eq!(alternatives("cors/a/**,cors/b"), ["cors/a/**", "cors/b"]);
        assert_eq!(alternatives("cors/a/m/x=1,y=2,cors/b"), ["cors/a/m/x=1,y=2", "cors/b"]);
        for (text, part) in [("colour:red", "no field"), ("[", "cannot be read"), ("area:[", "cannot be read")] {
            assert!(text.parse::<Filter>().expect_err(text).to_string().contains(part), "{text}");
        }
        assert!("!area:cors/* requires:fetch.*,html.*".parse::<Filter>().is_ok());
    }

    #[test]
    fn names_and_globs_match_whole_names() {
        for (glob, text, does) in [
            ("cors/a", "cors/a", true),
            ("cors/a", "cors/ab", false),
            ("cors/a", "CORS/a", false),
            ("cors/*", "cors/a", true),
            ("cors/*", "cors/a/b", false),
            ("cors/**", "cors/a/b", true),
            ("cors/[ab]", "cors/b", true),
            ("cors/{a,b}", "cors/b", true),
        ] {
            let pattern = pattern(glob.to_owned()).expect(glob);
            assert_eq!(pattern.matches(text), does, "{glob} {text}");
        }
    }
}
