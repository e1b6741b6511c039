use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Grade, Reason};

/// What a page may see and what goes over the wire. An *expected* outcome states what matters and leaves the rest out;
/// an *observed* one has everything that was seen. URLs stand without their tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// What the page saw, a result for each step. In case files a single result may stand without brackets.
    #[serde(default, deserialize_with = "one_or_many")]
    pub page: Vec<PageResult>,
    /// What arrived at the servers, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<Vec<WireMessage>>,
    /// How far the last step's request got. In an expected outcome it follows from `page` and `wire`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<Grade>,
    /// Why the last step was blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// What the page saw of one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, rename_all = "kebab-case")]
pub struct PageResult {
    /// What kind of result it is.
    pub result: ResultKind,
    /// `type` of a Response object.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub response_type: Option<ResponseType>,
    /// The status code that the page sees; 0 where it is hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The reason phrase that the page sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_text: Option<String>,
    /// The final URL that the page sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether the page sees that there was a redirect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirected: Option<bool>,
    /// Readable headers by lower-case name; in an expected outcome `null` means that it must not be readable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Option<String>>,
    /// The body as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The name of the exception that reading the body threw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_error: Option<String>,
    /// The name of the exception, such as `TypeError` or `SecurityError`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person reads in the exception; never compared, engines differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Events in the order in which they fired, with what they carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// `protocol` of a WebSocket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// What the page can read of a load, by name; in an expected outcome `null` means that it must not be there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<String, serde_json::Value>,
    /// What an evaluated expression gave; `null` is a value like any other.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "stated_value")]
    pub value: Option<serde_json::Value>,
    /// Messages that came to the page and that its expression never asked for, by its end; never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unasked: Vec<Unasked>,
}

/// A message event that nobody asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unasked {
    /// The origin that it says it comes from.
    pub origin: String,
    /// What it carries, as text, cut after 200 characters.
    pub data: String,
}

fn stated_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

/// Kinds of results of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResultKind {
    /// A response object, a `load` event, an open connection.
    Response,
    /// A network error: a promise rejected with TypeError, an `error` event, a connection that did not open.
    #[default]
    NetworkError,
    /// An exception that is not a network error, such as one from the Request constructor.
    Exception,
    /// The request was handed over and gives no result to the page (a beacon that was queued).
    Sent,
    /// A load that ended well: a `load` event, a font, a message from a frame or worker. What the page can read of it is
    /// in `seen`.
    Loaded,
    /// A value, of an evaluated expression.
    Value,
    /// Nothing happened within the step's time.
    Timeout,
}

/// Fetch's response types. (`fetch.response-type`)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResponseType {
    /// Same-origin, or from a scheme without CORS.
    Basic,
    /// Cross-origin, allowed by CORS.
    Cors,
    /// Made by script.
    Default,
    /// A network error.
    Error,
    /// A no-cors response.
    Opaque,
    /// A redirect that was not followed, in redirect mode manual.
    Opaqueredirect,
}

impl Serialize for PageResult {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for PageResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PageResultVisitor)
    }
}

struct PageResultVisitor;

impl<'de> Visitor<'de> for PageResultVisitor {
    type Value = PageResult;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a page result: \"network-error\", \"basic\", \"cors\", \"opaque\", \"opaqueredirect\", \"response\", \"loaded\", \
             \"sent\", \"timeout\", or an object with \"result\" or \"type\"",
        )
    }

    fn visit_str<E: serde::de::Error>(self, short: &str) -> Result<PageResult, E> {
        let of = |result, response_type| Ok(PageResult { result, response_type, ..PageResult::default() });
        match short {
            "network-error" => of(ResultKind::NetworkError, None),
            "response" => of(ResultKind::Response, None),
            "loaded" => of(ResultKind::Loaded, None),
            "basic" => of(ResultKind::Response, Some(ResponseType::Basic)),
            "cors" => of(ResultKind::Response, Some(ResponseType::Cors)),
            "opaque" => of(ResultKind::Response, Some(ResponseType::Opaque)),
            "opaqueredirect" => of(ResultKind::Response, Some(ResponseType::Opaqueredirect)),
            "sent" => of(ResultKind::Sent, None),
            "timeout" => of(ResultKind::Timeout, None),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PageResult, A::Error> {
        PageResult::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A request as it arrived at a server. In case files `"PUT"`, `"PUT https://api.other.test/a"`, `"preflight"` or
/// `"preflight https://api.other.test/a"` may stand for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct WireMessage {
    /// The method, letter case included.
    pub method: String,
    /// Whether it is a CORS preflight.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preflight: bool,
    /// The URL that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Header values by lower-case name, lines of one name joined with `, `; in an expected outcome `null` means that
    /// it must not have been sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Option<String>>,
    /// The body, one character for each byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// During which step it arrived, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
}

impl Serialize for WireMessage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for WireMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WireMessageVisitor)
    }
}

struct WireMessageVisitor;

impl<'de> Visitor<'de> for WireMessageVisitor {
    type Value = WireMessage;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a message: \"METHOD\", \"METHOD URL\", \"preflight\", \"preflight URL\", or an object with \"method\"",
        )
    }

    fn visit_str<E>(self, short: &str) -> Result<WireMessage, E> {
        let (method, url) = match short.split_once(' ') {
            Some((method, url)) => (method, Some(url.to_owned())),
            None => (short, None),
        };
        let preflight = method == "preflight";
        let method = if preflight { "OPTIONS" } else { method };
        Ok(WireMessage { method: method.to_owned(), preflight, url, ..WireMessage::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WireMessage, A::Error> {
        WireMessage::deserialize(MapAccessDeserializer::new(map))
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PageResult>, D::Error> {
    struct OneOrMany;

    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<PageResult>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            PageResultVisitor.expecting(formatter)?;
            formatter.write_str(", or a list of results, one for each step")
        }

        fn visit_str<E: serde::de::Error>(self, short: &str) -> Result<Self::Value, E> {
            PageResultVisitor.visit_str(short).map(|result| vec![result])
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            PageResultVisitor.visit_map(map).map(|result| vec![result])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))
        }
    }

    deserializer.deserialize_any(OneOrMany)
}

/// One point in which an observed outcome is not the expected one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Where: `page[0].status`, `wire[1].headers.origin`, `grade`, `reason`.
    pub at: String,
    /// What was expected there.
    pub expected: String,
    /// What was observed there.
    pub observed: String,
}

impl Outcome {
    /// Where `observed` is not what this outcome states. What this outcome leaves out may be anything. Reasons are
    /// not compared here: see [`Outcome::reason_difference`].
    #[must_use]
    pub fn differences(&self, observed: &Self) -> Vec<Difference> {
        let mut differences = Differences::default();
        // An outcome that states no page at all says nothing about it: the known deviations use that.
        if !self.page.is_empty() {
            differences.count(
                "page",
                self.page.len(),
                observed.page.len(),
                &page_line(&self.page),
                &page_line(&observed.page),
            );
        }
        for (index, (expected, seen)) in self.page.iter().zip(&observed.page).enumerate() {
            differences.page(&format!("page[{index}]"), expected, seen);
        }
        if let Some(expected) = &self.wire {
            let seen = observed.wire.as_deref().unwrap_or_default();
            differences.count("wire", expected.len(), seen.len(), &wire_line(expected), &wire_line(seen));
            for (index, (expected, seen)) in expected.iter().zip(seen).enumerate() {
                differences.wire(&format!("wire[{index}]"), expected, seen);
            }
        }
        if let Some(expected) = self.grade {
            let seen = observed.grade.map_or("no grade", Grade::name);
            differences.compare("grade", expected.name(), seen);
        }
        differences.0
    }

    /// Everything that differs, the reason included.
    #[must_use]
    pub fn differences_and_reason(&self, observed: &Self) -> Vec<Difference> {
        let mut differences = self.differences(observed);
        differences.extend(self.reason_difference(observed));
        differences
    }

    /// Where the observed reason is not the expected one. An agent that gives no reason (`observed.reason` is nothing)
    /// says nothing against the expected one.
    #[must_use]
    pub fn reason_difference(&self, observed: &Self) -> Option<Difference> {
        let seen = observed.reason.as_ref()?;
        let expected = self.reason.as_ref()?;
        if expected.classes.iter().any(|class| seen.classes.contains(class)) {
            return None;
        }
        Some(Difference {
            at: "reason".to_owned(),
            expected: expected.classes.join(" or "),
            observed: match (&seen.text, seen.classes.as_slice()) {
                (Some(text), []) => format!("a reason of no known class: {text}"),
                (Some(text), classes) => format!("{}: {text}", classes.join(" or ")),
                (None, classes) => classes.join(" or "),
            },
        })
    }
}

/// The messages in short, such as `preflight, PUT`.
fn wire_line(wire: &[WireMessage]) -> String {
    let names: Vec<&str> =
        wire.iter().map(|message| if message.preflight { "preflight" } else { message.method.as_str() }).collect();
    if names.is_empty() { "nothing sent".to_owned() } else { names.join(", ") }
}

fn page_line(page: &[PageResult]) -> String {
    let names: Vec<String> = page.iter().map(|result| text_of(&result.result)).collect();
    if names.is_empty() { "no result".to_owned() } else { names.join(", ") }
}

pub(crate) fn text_of<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

/// The value of a header line as differences tell it.
#[must_use]
pub fn shown_value(value: Option<&str>) -> String {
    value.map_or("absent".to_owned(), |value| format!("{value:?}"))
}

#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn add(&mut self, at: &str, expected: impl Into<String>, observed: impl Into<String>) {
        self.0.push(Difference { at: at.to_owned(), expected: expected.into(), observed: observed.into() });
    }

    fn count(&mut self, at: &str, expected: usize, observed: usize, expected_line: &str, observed_line: &str) {
        if expected != observed {
            self.add(at, expected_line, observed_line);
        }
    }

    fn compare<T: Serialize + PartialEq>(&mut self, at: &str, expected: T, observed: T) {
        if expected != observed {
            self.add(at, text_of(&expected), text_of(&observed));
        }
    }

    /// Compares where something is expected.
    fn stated<T: Serialize + PartialEq>(&mut self, at: &str, member: &str, expected: Option<&T>, observed: Option<&T>) {
        if let Some(value) = expected
            && observed != Some(value)
        {
            self.add(&format!("{at}.{member}"), text_of(value), observed.map_or("nothing".to_owned(), text_of));
        }
    }

    fn headers(
        &mut self,
        at: &str,
        expected: &BTreeMap<String, Option<String>>,
        observed: &BTreeMap<String, Option<String>>,
    ) {
        for (name, expected) in expected {
            let name = name.to_ascii_lowercase();
            let seen = observed.get(&name).and_then(Option::as_ref);
            if expected.as_ref() != seen {
                let show = |value: Option<&String>| shown_value(value.map(String::as_str));
                self.add(&format!("{at}.headers.{name}"), show(expected.as_ref()), show(seen));
            }
        }
    }

    fn page(&mut self, at: &str, expected: &PageResult, observed: &PageResult) {
        self.compare(&format!("{at}.result"), &expected.result, &observed.result);
        self.stated(at, "type", expected.response_type.as_ref(), observed.response_type.as_ref());
        self.stated(at, "status", expected.status.as_ref(), observed.status.as_ref());
        self.stated(at, "status-text", expected.status_text.as_ref(), observed.status_text.as_ref());
        self.stated(at, "url", expected.url.as_ref(), observed.url.as_ref());
        self.stated(at, "redirected", expected.redirected.as_ref(), observed.redirected.as_ref());
        self.headers(at, &expected.headers, &observed.headers);
        self.stated(at, "body", expected.body.as_ref(), observed.body.as_ref());
        self.stated(at, "body-error", expected.body_error.as_ref(), observed.body_error.as_ref());
        self.stated(at, "error", expected.error.as_ref(), observed.error.as_ref());
        self.stated(at, "events", expected.events.as_ref(), observed.events.as_ref());
        self.stated(at, "protocol", expected.protocol.as_ref(), observed.protocol.as_ref());
        for (name, expected) in &expected.seen {
            let seen = observed.seen.get(name).filter(|value| !value.is_null());
            if seen != Some(expected) && !(expected.is_null() && seen.is_none()) {
                self.add(&format!("{at}.seen.{name}"), text_of(expected), seen.map_or("nothing".to_owned(), text_of));
            }
        }
        self.stated(at, "value", expected.value.as_ref(), observed.value.as_ref());
    }

    fn wire(&mut self, at: &str, expected: &WireMessage, observed: &WireMessage) {
        let kind = |message: &WireMessage| {
            if message.preflight { "preflight".to_owned() } else { message.method.clone() }
        };
        self.compare(&format!("{at}.method"), kind(expected), kind(observed));
        self.stated(at, "url", expected.url.as_ref(), observed.url.as_ref());
        self.headers(at, &expected.headers, &observed.headers);
        self.stated(at, "body", expected.body.as_ref(), observed.body.as_ref());
        self.stated(at, "step", expected.step.as_ref(), observed.step.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(json: serde_json::Value) -> Outcome {
        serde_json::from_value(json).expect("an outcome")
    }

    #[test]
    fn short_forms_read_as_their_long_forms() {
        assert_eq!(
            outcome(json!({"page": "cors", "wire": ["preflight", "PUT https://a.test/"]})),
            outcome(json!({
                "page": [{"result": "response", "type": "cors"}],
                "wire": [{"method": "OPTIONS", "preflight": true}, {"method": "PUT", "url": "https://a.test/"}]
            }))
        );
    }

    #[test]
    fn null_is_a_value_that_is_compared() {
        let expected = outcome(json!({"page": {"result": "value", "value": null}}));
        assert_eq!(expected.differences(&expected), []);
        for other in [json!({"result": "value", "value": 1}), json!("loaded")] {
            assert!(!expected.differences(&outcome(json!({ "page": other }))).is_empty());
        }
    }

    #[test]
    fn what_is_not_stated_may_be_anything() {
        let seen = outcome(json!({
            "page": {"result": "response", "type": "cors", "status": 200, "headers": {"x": "1"}},
            "wire": [{"method": "GET", "headers": {"origin": "null"}}], "grade": "readable"
        }));
        assert_eq!(outcome(json!({"page": "response"})).differences(&seen), []);
        assert_eq!(seen.differences(&seen), []);
    }

    #[test]
    fn every_stated_member_is_compared() {
        let seen = outcome(json!({
            "page": {"result": "response", "type": "cors", "status": 200, "headers": {"x": "1"}, "body": "hello"},
            "wire": [{"method": "GET", "headers": {"origin": "null"}}], "grade": "readable"
        }));
        for (expected, at) in [
            (json!({"page": "network-error"}), "page[0].result"),
            (json!({"page": "opaque"}), "page[0].type"),
            (json!({"page": {"result": "response", "headers": {"X": null}}}), "page[0].headers.x"),
            (json!({"page": {"result": "response", "body": "other"}}), "page[0].body"),
            (json!({"page": ["response", "response"]}), "page"),
            (json!({"page": "response", "wire": []}), "wire"),
            (json!({"page": "response", "wire": ["POST"]}), "wire[0].method"),
            (
                json!({"page": "response", "wire": [{"method": "GET", "headers": {"cookie": "a"}}]}),
                "wire[0].headers.cookie",
            ),
            (json!({"page": "response", "grade": "opaque"}), "grade"),
        ] {
            let differences = outcome(expected.clone()).differences(&seen);
            assert_eq!(differences.iter().map(|one| one.at.as_str()).collect::<Vec<_>>(), [at], "{expected}");
        }
    }

    #[test]
    fn a_block_for_another_reason_is_a_difference() {
        let expected = outcome(json!({"page": "network-error", "reason": "missing-allow-origin"}));
        let mut seen = expected.clone();
        assert_eq!(expected.reason_difference(&seen), None);
        seen.reason =
            Some(Reason { classes: vec!["mixed-content".to_owned()], text: Some("Mixed Content".to_owned()) });
        assert!(expected.reason_difference(&seen).is_some());
        seen.reason = None;
        assert_eq!(expected.reason_difference(&seen), None, "an agent without reasons says nothing");
    }
}
