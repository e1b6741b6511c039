//! What a case expects not to be there, by definition: a pass of such a case is worth as much as its control.

use std::fmt;

use serde_json::Value;

use crate::{Case, Outcome, PageResult, ResultKind, WireMessage};

/// A place of an outcome at which a case expects that something is absent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Absence {
    /// A step comes to nothing: a network error, or nothing within its time. An exception tells by itself why.
    Blocked(usize),
    /// A response header that the page must not read.
    Unreadable(usize, String),
    /// Something that a page must not find in what it loaded.
    Unseen(usize, String),
    /// The value of a script in which something absent stands.
    Value(usize),
    /// No request goes out.
    Unsent,
    /// A header line that a request must not carry: the position of the request.
    Header(usize, String),
}

impl fmt::Display for Absence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(step) => write!(formatter, "page[{step}]"),
            Self::Unreadable(step, name) => write!(formatter, "page[{step}].headers.{name}"),
            Self::Unseen(step, name) => write!(formatter, "page[{step}].seen.{name}"),
            Self::Value(step) => write!(formatter, "page[{step}].value"),
            Self::Unsent => formatter.write_str("wire"),
            Self::Header(position, name) => write!(formatter, "wire[{position}].headers.{name}"),
        }
    }
}

impl Case {
    /// Everything that the case expects to be absent. A case that states an exception alone expects none of it: the
    /// exception is the reason that it was told.
    #[must_use]
    pub fn absences(&self) -> Vec<Absence> {
        let then = &self.stated.then;
        let mut absences = Vec::new();
        for (step, result) in then.page.iter().enumerate() {
            if is_blocked(result) {
                absences.push(Absence::Blocked(step));
            }
            let unreadable = result.headers.iter().filter(|(_, value)| value.is_none());
            absences.extend(unreadable.map(|(name, _)| Absence::Unreadable(step, name.clone())));
            let unseen = result.seen.iter().filter(|(_, value)| holds_absent(value));
            absences.extend(unseen.map(|(name, _)| Absence::Unseen(step, name.clone())));
            if result.value.as_ref().is_some_and(holds_absent) {
                absences.push(Absence::Value(step));
            }
        }
        let wire = then.wire.as_deref();
        let told = !then.page.is_empty() && then.page.iter().all(|result| result.result == ResultKind::Exception);
        if wire.is_some_and(<[_]>::is_empty) && !told && self.could_send() {
            absences.push(Absence::Unsent);
        }
        for (position, message) in wire.unwrap_or_default().iter().enumerate() {
            let unsent = message.headers.iter().filter(|(_, value)| value.is_none());
            let unsent = unsent.map(|(name, _)| Absence::Header(position, name.clone()));
            // What a preflight lacks and its request has was there to be sent.
            absences.extend(unsent.filter(|absence| !absence.is_present_in(then, then)));
        }
        if absences.is_empty() && !self.controls.is_empty() {
            absences.extend(self.values());
        }
        absences
    }

    /// The values that scripts give: a case may expect that something is absent from one without a word for it, such as a
    /// list without an item.
    pub(crate) fn values(&self) -> Vec<Absence> {
        let steps = self.stated.then.page.iter().enumerate();
        steps.filter(|(_, result)| result.value.is_some()).map(|(step, _)| Absence::Value(step)).collect()
    }

    /// Whether a server is there that it could send something to.
    fn could_send(&self) -> bool {
        let asks = self.stated.when.iter().any(|probe| probe.url().is_some_and(has_server));
        asks || !self.stated.given.is_empty()
    }
}

/// Whether a URL names a server.
fn has_server(url: &str) -> bool {
    ["http:", "https:", "ws:", "wss:"].iter().any(|scheme| url.starts_with(scheme))
}

impl Absence {
    /// Whether another outcome, expected or observed, has there what is absent in `then`. Where it has more steps, the
    /// first ones only prepare.
    #[must_use]
    pub fn is_present_in(&self, other: &Outcome, then: &Outcome) -> bool {
        let prepared = other.page.len().saturating_sub(then.page.len());
        let page = |step: &usize| other.page.get(*step + prepared);
        match self {
            Self::Blocked(step) => {
                page(step).is_some_and(|result| !is_blocked(result) && result.result != ResultKind::Exception)
            }
            Self::Unreadable(step, name) => {
                page(step).is_some_and(|result| matches!(result.headers.get(name), Some(Some(_))))
            }
            Self::Unseen(step, name) => {
                let stated = then.page.get(*step).and_then(|result| result.seen.get(name));
                let seen = page(step).and_then(|result| result.seen.get(name));
                // What another case does not look at, it does not show.
                seen.is_some() && stated.is_some_and(|stated| differs_where_absent(stated, seen))
            }
            Self::Value(step) => {
                let stated = then.page.get(*step).and_then(|result| result.value.as_ref());
                let seen = page(step).and_then(|result| result.value.as_ref());
                seen.is_some() && stated.is_some_and(|stated| differs_where_absent(stated, seen))
            }
            Self::Unsent => other.wire.as_deref().is_some_and(|wire| !wire.is_empty()),
            Self::Header(position, name) => {
                let here = then.wire.as_deref().unwrap_or_default();
                let there = other.wire.as_deref().unwrap_or_default();
                let there: Vec<&WireMessage> =
                    there.iter().filter(|message| message.step.is_none_or(|step| step >= prepared)).collect();
                has_header(here, *position, &there, name)
            }
        }
    }

    /// The name of a response header that the page must not read.
    pub(crate) fn unreadable(&self) -> Option<&str> {
        match self {
            Self::Unreadable(_, name) => Some(name),
            _ => None,
        }
    }

    /// Whether a reason that the agent gave for its block shows this.
    #[must_use]
    pub fn is_shown_by_reason(&self, steps: usize) -> bool {
        match self {
            Self::Blocked(step) => step + 1 == steps,
            Self::Unsent => steps == 1,
            _ => false,
        }
    }
}

/// Whether a step comes to nothing, without saying why.
fn is_blocked(result: &PageResult) -> bool {
    matches!(result.result, ResultKind::NetworkError | ResultKind::Timeout)
}

/// Whether the message in the place of `here[position]` has a header line. What a preflight announces, it must not announce
/// there: then any preflight has it, as no other request ever does. Any other line is looked for in the request that a
/// preflight is sent for.
fn has_header(here: &[WireMessage], position: usize, there: &[&WireMessage], name: &str) -> bool {
    let Some(message) = here.get(position) else { return false };
    let has = |message: &&WireMessage| matches!(message.headers.get(name), Some(Some(_)));
    let announces = name.starts_with("access-control-request-");
    if announces && !message.preflight {
        let preflights = |wire: &mut dyn Iterator<Item = bool>| wire.filter(|preflight| *preflight).count();
        let before = preflights(&mut here.iter().map(|message| message.preflight));
        return preflights(&mut there.iter().map(|message| message.preflight)) > before;
    }
    // As many of its kind stand before it.
    let kind = message.preflight && announces;
    let before = here[..position].iter().filter(|message| message.preflight == kind).count();
    there.iter().copied().filter(|message| message.preflight == kind).nth(before).is_some_and(|message| has(&message))
}

/// Whether something absent stands somewhere in a value.
fn holds_absent(value: &Value) -> bool {
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().any(holds_absent),
        Value::Object(members) if !members.is_empty() => members.values().any(holds_absent),
        leaf => is_absent(leaf),
    }
}

/// Whether a value that is in nothing smaller stands for something that is not there: nothing at all, `false`, or the words
/// with which a script says that it was refused or that nothing came.
fn is_absent(leaf: &Value) -> bool {
    match leaf {
        Value::Null | Value::Array(_) | Value::Object(_) => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            let text = text.to_ascii_lowercase();
            text.is_empty()
                || text.ends_with("error")
                || text.starts_with("no ")
                || text.starts_with("not ")
                || WORDS
                    .iter()
                    .any(|word| text.split(|character: char| !character.is_ascii_alphabetic()).any(|one| one == *word))
        }
    }
}

/// Words for what is not there.
const WORDS: [&str; 12] = [
    "absent",
    "blocked",
    "closed",
    "denied",
    "error",
    "gone",
    "none",
    "nothing",
    "refused",
    "timeout",
    "undefined",
    "unreachable",
];

/// Whether a value is another than the stated one at a place where that one says that something is absent; anywhere, where it
/// does not say so in words.
fn differs_where_absent(stated: &Value, seen: Option<&Value>) -> bool {
    if !holds_absent(stated) {
        return seen != Some(stated);
    }
    differs_in_absent(stated, seen)
}

/// Whether a value of another shape says more than that nothing is there.
fn says_something(value: Option<&Value>) -> bool {
    value.is_some_and(|value| {
        !is_absent(value)
            || value.as_array().is_some_and(|items| !items.is_empty())
            || value.as_object().is_some_and(|members| !members.is_empty())
    })
}

fn differs_in_absent(stated: &Value, seen: Option<&Value>) -> bool {
    match stated {
        Value::Array(items) if !items.is_empty() => match seen {
            Some(Value::Array(others)) => {
                items.iter().enumerate().any(|(index, item)| differs_in_absent(item, others.get(index)))
            }
            other => says_something(other),
        },
        Value::Object(members) if !members.is_empty() => match seen {
            Some(Value::Object(others)) => {
                members.iter().any(|(name, member)| differs_in_absent(member, others.get(name)))
            }
            other => says_something(other),
        },
        leaf => is_absent(leaf) && seen.unwrap_or(&Value::Null) != leaf,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::load_text;

    fn case(page: &Value, when: &Value, then: &Value) -> Case {
        let file = json!({ "topic": "t", "about": "a", "cases": [{
            "id": "a", "title": "t", "requires": ["fetch.cors-check.2"], "page": page,
            "given": { "https://api.other.test/": {} }, "when": when, "then": then
        }] });
        load_text(Path::new("t.json"), &file.to_string()).expect("a sound case").cases.remove(0)
    }

    #[test]
    fn what_a_case_expects_to_be_absent_follows_from_its_outcome() {
        let fetch = json!({ "fetch": "https://api.other.test/" });
        let data = json!({ "fetch": "data:,a" });
        let script = json!({ "evaluate": "1" });
        let value = |value: Value| json!({ "page": { "result": "value", "value": value } });
        for (when, then, absent) in [
            (
                &fetch,
                json!({ "page": "network-error", "wire": ["GET"], "reason": "missing-allow-origin" }),
                vec!["page[0]"],
            ),
            (
                &fetch,
                json!({ "page": "network-error", "wire": [], "reason": "mixed-content" }),
                vec!["page[0]", "wire"],
            ),
            (&fetch, json!({ "page": { "result": "exception", "error": "TypeError" }, "wire": [] }), vec![]),
            (
                &fetch,
                json!({ "page": { "result": "response", "headers": { "x": null } }, "wire": ["GET"] }),
                vec!["page[0].headers.x"],
            ),
            (
                &fetch,
                json!({ "page": "cors", "wire": [{ "method": "GET", "headers": { "cookie": null, "origin": "a" } }] }),
                vec!["wire[0].headers.cookie"],
            ),
            (&data, json!({ "page": "basic", "wire": [] }), vec!["wire"]),
            (&script, value(json!("SecurityError")), vec!["page[0].value"]),
            (&script, value(json!(["function", { "a": false }])), vec!["page[0].value"]),
            (&script, value(json!("blocked by the page")), vec!["page[0].value"]),
            (&script, value(json!([true, 1, "here", "disclosed"])), vec![]),
        ] {
            let found: Vec<String> =
                case(&json!("https://page.test"), when, &then).absences().iter().map(Absence::to_string).collect();
            assert_eq!(found, absent, "{then}");
        }
    }

    #[test]
    fn what_a_preflight_lacks_and_its_request_has_is_no_absence() {
        let then = json!({ "page": "cors", "wire": [
            { "method": "OPTIONS", "preflight": true, "headers": { "cookie": null } },
            { "method": "PUT", "headers": { "cookie": "a=1", "access-control-request-method": null } }
        ] });
        let case =
            case(&json!("https://page.test"), &json!({ "fetch": "https://api.other.test/", "method": "PUT" }), &then);
        assert_eq!(case.absences(), [Absence::Header(1, "access-control-request-method".to_owned())]);
    }

    #[test]
    fn presence_is_looked_for_in_the_same_place() {
        let outcome = |value: Value| -> Outcome { serde_json::from_value(value).expect("an outcome") };
        let then = outcome(json!({ "page": { "result": "value", "value": ["here", { "a": null }] }, "wire": [
            { "method": "GET", "headers": { "cookie": null } }
        ] }));
        let value = |value: Value| outcome(json!({ "page": { "result": "value", "value": value } }));
        for (other, is_present) in [
            (value(json!(["there", { "a": null }])), false),
            (value(json!(["here", { "a": 1 }])), true),
            (value(json!("another shape")), true),
            (outcome(json!({ "page": "timeout" })), false),
        ] {
            assert_eq!(Absence::Value(0).is_present_in(&other, &then), is_present, "{other:?}");
        }
        let cookie = Absence::Header(0, "cookie".to_owned());
        let with = json!({ "method": "GET", "headers": { "cookie": "a=1" } });
        let preflight = json!({ "method": "OPTIONS", "preflight": true });
        for (wire, is_present) in
            [(json!([with]), true), (json!([preflight, with]), true), (json!(["GET", with]), false)]
        {
            let other = outcome(json!({ "page": "cors", "wire": wire }));
            assert_eq!(cookie.is_present_in(&other, &then), is_present, "{other:?}");
        }
        let prepared =
            json!([{ "method": "GET", "step": 0 }, { "method": "GET", "headers": { "cookie": "a=1" }, "step": 1 }]);
        let other = outcome(json!({ "page": ["cors", "cors"], "wire": prepared }));
        assert!(cookie.is_present_in(&other, &then), "the first of more steps only prepare");
    }
}
