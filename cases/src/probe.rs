use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// What a page does in one step. In case files an object whose **first** member names the probe and gives its URL (or
/// expression), followed by options: `{"fetch": "https://api.other.test/", "credentials": "include"}`.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// `fetch()`
    Fetch(String, FetchProbe),
    /// `XMLHttpRequest`
    Xhr(String, XhrProbe),
    /// `EventSource`
    EventSource(String, EventSourceProbe),
    /// `navigator.sendBeacon()`
    Beacon(String, BeaconProbe),
    /// `WebSocket`
    WebSocket(String, WebSocketProbe),
    /// A JavaScript expression, which may await.
    Evaluate(String, EvaluateProbe),
    /// What an element, a style sheet or a worker loads.
    Load(String, LoadProbe),
    /// A request by a plain HTTP client, without any browser.
    Client(String, ClientProbe),
}

/// Options of `fetch()`, named as in its init dictionary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct FetchProbe {
    /// `method`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// `mode`: cors, no-cors, same-origin, or a value that fetch refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// `credentials`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// `redirect`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// `cache`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Request headers in order; each is set with one entry of a list of pairs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The request body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyKind>,
    /// `integrity`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrity: Option<String>,
    /// `keepalive`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<bool>,
    /// `referrer`; a URL is given its token as the probe's URL is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<String>,
    /// `referrerPolicy`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer_policy: Option<String>,
    /// `targetAddressSpace`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_address_space: Option<String>,
    /// `duplex`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplex: Option<String>,
    /// How the body is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Reading>,
    /// Milliseconds after which the step ends as `timeout`. Default: 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60000))]
    pub timeout_ms: Option<u32>,
}

/// How a response body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// With `text()`, the default.
    Text,
    /// Not at all: the step ends with the headers.
    None,
}

/// A request body, by the kind of object that script hands over. A plain string is short for `{"text": …}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "kebab-case")]
pub enum BodyKind {
    /// A string.
    Text(String),
    /// `URLSearchParams`
    UrlSearchParams(Vec<(String, String)>),
    /// `FormData` of strings.
    FormData(Vec<(String, String)>),
    /// A `Blob` with a type; `null` for none.
    Blob(Option<String>, String),
    /// An `ArrayBuffer` of these bytes, a character for each.
    ArrayBuffer(String),
    /// A `ReadableStream` of this text.
    Stream(String),
    /// This many bytes `x` in a string.
    Fill(u32),
}

/// Options of `XMLHttpRequest`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct XhrProbe {
    /// The method. Default: GET.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// `withCredentials`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_credentials: Option<bool>,
    /// `setRequestHeader()` calls in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The request body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyKind>,
    /// Whether listeners stand on `upload` when `send()` is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_listener: Option<bool>,
    /// A synchronous request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<bool>,
    /// `responseType`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_type: Option<String>,
    /// The XHR's own `timeout`, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// `abort()` is called as soon as `send()` has returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<bool>,
    /// Milliseconds after which the step ends as `timeout`. Default: 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60000))]
    pub timeout_ms: Option<u32>,
}

/// Options of `EventSource`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct EventSourceProbe {
    /// `withCredentials`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_credentials: Option<bool>,
    /// Close after this many messages. Default: 1. It is closed after the first error in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u32>,
    /// Milliseconds after which the step ends as `timeout`. Default: 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60000))]
    pub timeout_ms: Option<u32>,
}

/// Options of `sendBeacon()`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct BeaconProbe {
    /// The data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyKind>,
}

/// Options of `WebSocket`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct WebSocketProbe {
    /// Subprotocols that are offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<String>,
    /// A text message that is sent when the connection is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
    /// Close after this many messages have come. Default: 0, close as soon as it is open and `send` is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u32>,
    /// Milliseconds after which the step ends as `timeout`. Default: 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60000))]
    pub timeout_ms: Option<u32>,
}

/// Options of an evaluated expression.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct EvaluateProbe {
    /// Milliseconds after which the step ends as `timeout`. Default: 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60000))]
    pub timeout_ms: Option<u32>,
}

/// Options of a load: what loads, and its attributes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LoadProbe {
    /// What loads it.
    pub element: Loader,
    /// The `crossorigin` attribute; for a track that of its media element, for a worker its `credentials` option.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crossorigin: Option<String>,
    /// The `integrity` attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<String>,
    /// The `as` attribute of a preload.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The `type` option of a worker, or of an import: `json`, `css`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Further attributes of the element, such as `sandbox` or `referrerpolicy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, String)>,
    /// A JavaScript expression, which may await, that looks at what was loaded: its value is `seen.look`. In its scope
    /// are `element`, `url` and the runner's `tools`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<String>,
    /// Milliseconds after which the step ends as `timeout`. Default: 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60000))]
    pub timeout_ms: Option<u32>,
}

/// What loads something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Loader {
    /// `<img>`
    #[default]
    Img,
    /// `<img srcset>`
    Srcset,
    /// `<picture>` with a `<source>`
    Picture,
    /// `<image>` in inline SVG
    SvgImage,
    /// `<input type="image">`
    Input,
    /// `<script>`
    Script,
    /// `<script type="module">`
    Module,
    /// `import()`
    Import,
    /// `<link rel="stylesheet">`
    Style,
    /// `@import` in a `<style>`
    CssImport,
    /// `FontFace.load()`
    Font,
    /// `@font-face` in a `<style>`
    CssFont,
    /// `background-image`
    CssBackground,
    /// `mask-image`
    CssMask,
    /// `shape-outside`
    CssShape,
    /// `filter` with an SVG file
    CssFilter,
    /// `content`
    CssContent,
    /// `<use>` in inline SVG
    SvgUse,
    /// The `poster` of a `<video>`
    Poster,
    /// `<audio>`
    Audio,
    /// `<video>`
    Video,
    /// `<track>`
    Track,
    /// `<iframe>`
    Iframe,
    /// `<object>`
    Object,
    /// `<embed>`
    Embed,
    /// `<link rel="preload">`
    Preload,
    /// `<link rel="prefetch">`
    Prefetch,
    /// `<link rel="modulepreload">`
    Modulepreload,
    /// `Worker`
    Worker,
    /// `SharedWorker`
    SharedWorker,
    /// `importScripts()` in a dedicated worker
    ImportScripts,
    /// `audioWorklet.addModule()`
    AudioWorklet,
}

/// Options of a plain HTTP client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ClientProbe {
    /// The method. Default: GET.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Request headers, any at all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The request body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// The first members that name a probe.
const NAMES: [&str; 8] = ["fetch", "xhr", "eventSource", "beacon", "websocket", "evaluate", "load", "client"];

impl Probe {
    /// The member that names it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fetch(..) => NAMES[0],
            Self::Xhr(..) => NAMES[1],
            Self::EventSource(..) => NAMES[2],
            Self::Beacon(..) => NAMES[3],
            Self::WebSocket(..) => NAMES[4],
            Self::Evaluate(..) => NAMES[5],
            Self::Load(..) => NAMES[6],
            Self::Client(..) => NAMES[7],
        }
    }

    /// The URL that it asks for; nothing for an expression.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Evaluate(..) => None,
            other => Some(other.target()),
        }
    }

    /// The text of the naming member: URL or expression.
    fn target(&self) -> &str {
        match self {
            Self::Evaluate(expression, _) => expression,
            Self::Fetch(url, _)
            | Self::Xhr(url, _)
            | Self::EventSource(url, _)
            | Self::Beacon(url, _)
            | Self::WebSocket(url, _)
            | Self::Load(url, _)
            | Self::Client(url, _) => url,
        }
    }

    /// Replaces URLs with `url(text)` and all other texts with `text(text)`.
    pub(crate) fn map_texts(&mut self, url: &dyn Fn(&str) -> String, text: &dyn Fn(&str) -> String) {
        match self {
            Self::Fetch(target, options) => {
                *target = url(target);
                options.headers.iter_mut().for_each(|(_, value)| *value = text(value));
                if let Some(referrer) = &mut options.referrer {
                    *referrer = url(referrer);
                }
                if let Some(body) = &mut options.body {
                    body.map_texts(text);
                }
            }
            Self::Xhr(target, options) => {
                *target = url(target);
                options.headers.iter_mut().for_each(|(_, value)| *value = text(value));
                if let Some(body) = &mut options.body {
                    body.map_texts(text);
                }
            }
            Self::Beacon(target, options) => {
                *target = url(target);
                if let Some(body) = &mut options.body {
                    body.map_texts(text);
                }
            }
            Self::Client(target, options) => {
                *target = url(target);
                options.headers.iter_mut().for_each(|(_, value)| *value = text(value));
                if let Some(body) = &mut options.body {
                    *body = text(body);
                }
            }
            Self::Load(target, options) => {
                *target = url(target);
                options.attributes.iter_mut().for_each(|(_, value)| *value = text(value));
                if let Some(look) = &mut options.look {
                    *look = text(look);
                }
            }
            Self::EventSource(target, _) | Self::WebSocket(target, _) => *target = url(target),
            Self::Evaluate(expression, _) => *expression = text(expression),
        }
    }

    /// How long the step waits before it ends as a time-out.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let milliseconds = match self {
            Self::Fetch(_, options) => options.timeout_ms,
            Self::Xhr(_, options) => options.timeout.filter(|timeout| *timeout > 0).or(options.timeout_ms),
            Self::EventSource(_, options) => options.timeout_ms,
            Self::WebSocket(_, options) => options.timeout_ms,
            Self::Evaluate(_, options) => options.timeout_ms,
            Self::Load(_, options) => options.timeout_ms,
            Self::Beacon(..) | Self::Client(..) => None,
        };
        Duration::from_millis(milliseconds.unwrap_or(10_000).into())
    }

    fn options(&self) -> serde_json::Result<Value> {
        match self {
            Self::Fetch(_, options) => serde_json::to_value(options),
            Self::Xhr(_, options) => serde_json::to_value(options),
            Self::EventSource(_, options) => serde_json::to_value(options),
            Self::Beacon(_, options) => serde_json::to_value(options),
            Self::WebSocket(_, options) => serde_json::to_value(options),
            Self::Evaluate(_, options) => serde_json::to_value(options),
            Self::Load(_, options) => serde_json::to_value(options),
            Self::Client(_, options) => serde_json::to_value(options),
        }
    }
}

impl BodyKind {
    fn map_texts(&mut self, text: &dyn Fn(&str) -> String) {
        match self {
            Self::Text(value) | Self::ArrayBuffer(value) | Self::Stream(value) | Self::Blob(_, value) => {
                *value = text(value);
            }
            Self::UrlSearchParams(pairs) | Self::FormData(pairs) => {
                pairs.iter_mut().for_each(|(_, value)| *value = text(value));
            }
            Self::Fill(_) => {}
        }
    }
}

impl Serialize for Probe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = Map::new();
        members.insert(self.name().to_owned(), self.target().into());
        if let Value::Object(options) = self.options().map_err(serde::ser::Error::custom)? {
            members.extend(options);
        }
        members.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ProbeVisitor)
    }
}

struct ProbeVisitor;

impl<'de> Visitor<'de> for ProbeVisitor {
    type Value = Probe;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a probe: an object whose first member is one of {}", NAMES.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Probe, A::Error> {
        fn rest<'de, A: MapAccess<'de>, T: DeserializeOwned>(map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
        let Some(name) = map.next_key::<String>()? else {
            return Err(serde::de::Error::invalid_length(0, &self));
        };
        if !NAMES.contains(&name.as_str()) {
            return Err(serde::de::Error::custom(format!(
                "the first member of a probe names it: expected one of {}, found {name:?}",
                NAMES.join(", ")
            )));
        }
        let target: String = map.next_value()?;
        match name.as_str() {
            "fetch" => rest(map).map(|options| Probe::Fetch(target, options)),
            "xhr" => rest(map).map(|options| Probe::Xhr(target, options)),
            "eventSource" => rest(map).map(|options| Probe::EventSource(target, options)),
            "beacon" => rest(map).map(|options| Probe::Beacon(target, options)),
            "websocket" => rest(map).map(|options| Probe::WebSocket(target, options)),
            "evaluate" => rest(map).map(|options| Probe::Evaluate(target, options)),
            "load" => rest(map).map(|options| Probe::Load(target, options)),
            _ => rest(map).map(|options| Probe::Client(target, options)),
        }
    }
}

impl JsonSchema for Probe {
    fn schema_name() -> Cow<'static, str> {
        "Probe".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let options = [
            FetchProbe::json_schema(generator),
            XhrProbe::json_schema(generator),
            EventSourceProbe::json_schema(generator),
            BeaconProbe::json_schema(generator),
            WebSocketProbe::json_schema(generator),
            EvaluateProbe::json_schema(generator),
            LoadProbe::json_schema(generator),
            ClientProbe::json_schema(generator),
        ];
        let forms: Vec<Value> = NAMES
            .iter()
            .zip(options)
            .map(|(name, schema)| {
                let mut form = schema.to_value();
                form["properties"][name] = serde_json::json!({ "type": "string" });
                let required = form.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
                form["required"] = std::iter::once(Value::from(*name)).chain(required).collect();
                form
            })
            .collect();
        json_schema!({ "description": "What a page does in one step; the first member names the probe.", "oneOf": forms })
    }
}

impl Serialize for BodyKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for BodyKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyKindVisitor)
    }
}

struct BodyKindVisitor;

impl<'de> Visitor<'de> for BodyKindVisitor {
    type Value = BodyKind;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a body: text, or an object such as {\"blob\": [\"application/json\", \"{}\"]}")
    }

    fn visit_str<E>(self, text: &str) -> Result<BodyKind, E> {
        Ok(BodyKind::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BodyKind, A::Error> {
        BodyKind::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_probe_reads_and_writes_as_an_object_that_begins_with_its_name() {
        for probe in [
            json!({"fetch": "https://a.test/", "credentials": "include", "headers": [["X", "1"]]}),
            json!({"xhr": "https://a.test/", "withCredentials": true, "uploadListener": true}),
            json!({"fetch": "https://a.test/", "body": {"blob": ["application/json", "{}"]}}),
            json!({"websocket": "wss://a.test/", "protocols": ["chat"]}),
            json!({"evaluate": "self.origin"}),
            json!({"load": "https://a.test/", "element": "svg-image", "crossorigin": ""}),
        ] {
            let read: Probe = serde_json::from_str(&probe.to_string()).expect("a probe");
            assert_eq!(serde_json::to_value(&read).expect("JSON"), probe);
        }
    }

    #[test]
    fn unknown_names_and_options_are_refused_with_what_was_expected() {
        for (probe, message) in [
            (r#"{"fetsh": "https://a.test/"}"#, "expected one of fetch, xhr"),
            (r#"{"credentials": "include", "fetch": "https://a.test/"}"#, "the first member"),
            (r#"{"fetch": "https://a.test/", "withCredentials": true}"#, "unknown field `withCredentials`"),
            ("{}", "a probe"),
        ] {
            let error = serde_json::from_str::<Probe>(probe).expect_err(probe).to_string();
            assert!(error.contains(message), "{probe}: {error}");
        }
    }
}
