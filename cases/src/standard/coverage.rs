//! Which requirements the model decides, read from its own text: an id that it names is one that it decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

/// The text of every file of the model in which a rule can stand.
const SOURCES: [&str; 29] = [
    include_str!("blocking.rs"),
    include_str!("client.rs"),
    include_str!("cookies.rs"),
    include_str!("corp.rs"),
    include_str!("cors_check.rs"),
    include_str!("csp.rs"),
    include_str!("elements.rs"),
    include_str!("embedder_policy.rs"),
    include_str!("fetch.rs"),
    include_str!("fetch_metadata.rs"),
    include_str!("framing.rs"),
    include_str!("header_value.rs"),
    include_str!("http_cache.rs"),
    include_str!("http_fetch.rs"),
    include_str!("isolation.rs"),
    include_str!("lna.rs"),
    include_str!("nosniff.rs"),
    include_str!("opener_policy.rs"),
    include_str!("page.rs"),
    include_str!("preflight.rs"),
    include_str!("preflight_cache.rs"),
    include_str!("redirect_fetch.rs"),
    include_str!("referrer.rs"),
    include_str!("request.rs"),
    include_str!("request_class.rs"),
    include_str!("safelist.rs"),
    include_str!("sandboxing.rs"),
    include_str!("set_cookie.rs"),
    concat!(include_str!("websocket.rs"), "\n", include_str!("xhr.rs")),
];

/// Calls whose arguments name a requirement without deciding anything: reasons of a network error.
const REASONS: [&str; 4] = ["new", "block", "refuse", "Failure"];

#[derive(Debug, Default)]
struct Named {
    consulted: BTreeSet<&'static str>,
    noted: BTreeSet<&'static str>,
}

static NAMED: LazyLock<Named> = LazyLock::new(|| {
    let mut named = Named::default();
    for source in SOURCES {
        scan(source, &mut |call, literal| {
            if crate::requirement(literal).is_none() || REASONS.contains(&call) {
            } else if call == "note" {
                named.noted.insert(literal);
            } else {
                named.consulted.insert(literal);
            }
        });
    }
    named
});

static MODELLED: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| &NAMED.consulted | &NAMED.noted);

/// The ids of the requirements that the model decides.
#[must_use]
pub fn modelled() -> &'static BTreeSet<&'static str> {
    &MODELLED
}

/// What the model leaves out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum LeftOut {
    Requirement { requirement: String, why: String },
    Probe { probe: String, member: Option<String>, why: String },
}

static NOT_MODELLED: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let rows: Vec<LeftOut> =
        serde_json::from_str(include_str!("../../not-modelled.json")).expect("the crate's own file is sound");
    let mut listed = BTreeMap::new();
    for row in rows {
        let (name, why) = match row {
            LeftOut::Requirement { requirement, why } => (requirement, why),
            LeftOut::Probe { probe, member, why } => {
                (member.map_or(probe.clone(), |member| format!("{probe}.{member}")), why)
            }
        };
        assert!(listed.insert(name.clone(), why).is_none(), "{name} stands twice");
    }
    listed
});

/// What the model does not decide, with the reason (`cases/not-modelled.json`): by requirement, or by probe
/// (`evaluate`, `xhr.abort`).
#[must_use]
pub fn not_modelled() -> &'static BTreeMap<String, String> {
    &NOT_MODELLED
}

/// The ids among them that a wrong agent can break: the others only follow from these.
#[must_use]
pub fn consulted() -> &'static BTreeSet<&'static str> {
    &NAMED.consulted
}

/// Gives every string literal of a source without its tests and comments, with the name of the innermost call around
/// it.
fn scan(source: &'static str, found: &mut dyn FnMut(&str, &'static str)) {
    let mut calls: Vec<&str> = Vec::new();
    let mut rest = source;
    loop {
        let Some(at) = rest.find(['"', '(', ')', '/', '\'', '#']) else { return };
        let (before, from) = rest.split_at(at);
        let mut next = &from[1..];
        match from.as_bytes()[0] {
            b'"' => {
                let end = string_end(next);
                found(calls.last().copied().unwrap_or_default(), &next[..end]);
                next = next.get(end + 1..).unwrap_or_default();
            }
            b'(' => {
                let name = before.rfind(|character: char| !character.is_alphanumeric() && character != '_');
                calls.push(name.map_or(before, |before_name| &before[before_name + 1..]));
            }
            b')' => {
                calls.pop();
            }
            b'/' if next.starts_with('/') => next = next.find('\n').map_or("", |end| &next[end..]),
            b'\'' => {
                let escaped = next.starts_with('\\');
                let end = next.char_indices().skip(if escaped { 2 } else { 1 }).find(|(_, one)| *one == '\'');
                // A lifetime has no second quote so near.
                if let Some((end, _)) = end.filter(|(end, _)| escaped || *end <= 4) {
                    next = &next[end + 1..];
                }
            }
            b'#' if from.starts_with("#[cfg(test)]\nmod tests") => {
                next = from.find("\n}\n").map_or("", |end| &from[end + 3..]);
            }
            _ => {}
        }
        rest = next;
    }
}

/// Where a string literal ends, after its first quote.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_their_calls() {
        let source = r#"
            fn f<'a>(x: &'a str) { // "comment"
                trace.rule("one", x == '"' || y('\'', "two"));
                trace.note(if x { "three" } else { "fo\"ur" }, true);
                let five = ("five", b'(');
            }
            "#;
        let mut seen = Vec::new();
        scan(source, &mut |call, literal| seen.push((call.to_owned(), literal)));
        let seen: Vec<(&str, &str)> = seen.iter().map(|(call, literal)| (call.as_str(), *literal)).collect();
        assert_eq!(seen, [("rule", "one"), ("y", "two"), ("note", "three"), ("note", "fo\\\"ur"), ("", "five")]);
    }

    #[test]
    fn tests_comments_and_other_signs_hide_nothing_else() {
        let source = "#[must_use]\nfn f() {\n    rule(g(1), \"one\", 4 / h(\"two\"), ('\"', '\\'', \"three\"))\n}\n\
                      #[cfg(test)]\nmod tests {\n    rule(\"hidden\")\n}\nfn h() { note('x', \"four\") }\n";
        let mut seen = Vec::new();
        scan(source, &mut |call, literal| seen.push((call.to_owned(), literal)));
        let seen: Vec<(&str, &str)> = seen.iter().map(|(call, literal)| (call.as_str(), *literal)).collect();
        assert_eq!(seen, [("rule", "one"), ("h", "two"), ("", "three"), ("note", "four")]);
    }

    #[test]
    fn characters_end_with_their_own_quote() {
        let mut seen = Vec::new();
        scan(r#"rule('a'"one", 'b' "'two")"#, &mut |_, literal| seen.push(literal));
        assert_eq!(seen, ["one", "'two"]);
    }

    #[test]
    fn notes_and_reasons_are_not_consulted() {
        assert!(consulted().contains("fetch.cors-check.4b"));
        assert!(modelled().contains("fetch.bad-port.2b") && !consulted().contains("fetch.bad-port.2b"));
        assert!(!modelled().contains("fetch.fetch-group.1"));
    }
}
