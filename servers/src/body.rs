use std::fmt;

use schemars::{JsonSchema, Schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use crate::ByteString;

/// A message body. In JSON a plain string is short for `{"text": …}`, and `null` means no body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "kebab-case")]
#[schemars(transform = add_short_forms)]
pub enum Body {
    /// No body and no Content-Type.
    #[serde(skip)]
    Empty,
    /// text/plain; charset=utf-8
    Text(String),
    /// application/json
    Json(serde_json::Value),
    /// text/html; charset=utf-8
    Html(String),
    /// text/javascript; charset=utf-8: classic and module scripts, workers.
    Script(String),
    /// text/css; charset=utf-8
    Style(String),
    /// One of the files that come with the servers, with its own Content-Type.
    File(File),
    /// These bytes, without a Content-Type line.
    Bytes(ByteString),
    /// These pieces of text, written one by one as text/plain; charset=utf-8.
    Pieces(Vec<String>),
    /// text/event-stream
    Events(Vec<Event>),
    /// This many bytes `x` as text/plain; charset=utf-8.
    Fill(u32),
}

/// The derived schema knows only the objects.
fn add_short_forms(schema: &mut Schema) {
    if let Some(forms) = schema.get_mut("oneOf").and_then(serde_json::Value::as_array_mut) {
        forms.push(json!({"description": "Short for {\"text\": …}.", "type": "string"}));
        forms.push(json!({"description": "No body and no Content-Type.", "type": "null"}));
    }
}

/// A small file that comes with the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum File {
    /// image/png: one opaque red pixel.
    Png,
    /// image/svg+xml: a red square, 1 by 1.
    Svg,
    /// font/woff2: a font with the one glyph `A`.
    Woff2,
    /// audio/wav: a tenth of a second of a tone.
    Wav,
    /// video/webm: one red frame.
    Webm,
    /// text/vtt: one cue.
    Vtt,
    /// text/html; charset=utf-8: a document that does what the documents that hold or opened it ask it to.
    Remote,
}

impl File {
    const fn content(self) -> (&'static str, &'static [u8]) {
        match self {
            Self::Png => ("image/png", include_bytes!("../assets/pixel.png")),
            Self::Svg => ("image/svg+xml", include_bytes!("../assets/square.svg")),
            Self::Woff2 => ("font/woff2", include_bytes!("../assets/a.woff2")),
            Self::Wav => ("audio/wav", include_bytes!("../assets/tone.wav")),
            Self::Webm => ("video/webm", include_bytes!("../assets/frame.webm")),
            Self::Vtt => ("text/vtt", include_bytes!("../assets/cue.vtt")),
            Self::Remote => ("text/html; charset=utf-8", include_bytes!("../assets/remote.html")),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Text("hello".to_owned())
    }
}

/// A server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Event {
    /// The `event:` line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The `data:` line.
    pub data: String,
    /// The `id:` line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The `retry:` line, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<u32>,
}

impl Event {
    fn lines(&self) -> String {
        let mut lines = String::new();
        let mut line = |field: &str, value: &str| {
            lines.push_str(field);
            lines.push_str(": ");
            lines.push_str(value);
            lines.push('\n');
        };
        if let Some(event) = &self.event {
            line("event", event);
        }
        if let Some(id) = &self.id {
            line("id", id);
        }
        if let Some(retry) = self.retry {
            line("retry", &retry.to_string());
        }
        line("data", &self.data);
        lines.push('\n');
        lines
    }
}

impl Body {
    /// The Content-Type that goes with this kind of body.
    #[must_use]
    pub const fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Empty | Self::Bytes(_) => None,
            Self::Text(_) | Self::Pieces(_) | Self::Fill(_) => Some("text/plain; charset=utf-8"),
            Self::Json(_) => Some("application/json"),
            Self::Html(_) => Some("text/html; charset=utf-8"),
            Self::Script(_) => Some("text/javascript; charset=utf-8"),
            Self::Style(_) => Some("text/css; charset=utf-8"),
            Self::File(file) => Some(file.content().0),
            Self::Events(_) => Some("text/event-stream"),
        }
    }

    /// The bytes, in the pieces in which they are written; `fill` replaces the placeholders of a text.
    pub(crate) fn pieces(&self, fill: impl Fn(&str) -> String) -> Vec<Vec<u8>> {
        match self {
            Self::Empty => Vec::new(),
            Self::Text(text) | Self::Html(text) | Self::Script(text) | Self::Style(text) => {
                vec![fill(text).into_bytes()]
            }
            Self::Json(value) => vec![value.to_string().into_bytes()],
            Self::File(file) => vec![file.content().1.to_vec()],
            Self::Bytes(bytes) => vec![bytes.as_bytes().to_vec()],
            Self::Pieces(pieces) => pieces.iter().map(|piece| fill(piece).into_bytes()).collect(),
            Self::Events(events) => events.iter().map(|event| fill(&event.lines()).into_bytes()).collect(),
            Self::Fill(length) => vec![vec![b'x'; *length as usize]],
        }
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Empty => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            other => Body::serialize(other, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(r#"a body: text, null, or an object such as {"json": …}, {"html": "…"} or {"file": "png"}"#)
    }

    fn visit_unit<E>(self) -> Result<Body, E> {
        Ok(Body::Empty)
    }

    fn visit_str<E>(self, text: &str) -> Result<Body, E> {
        Ok(Body::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Body, A::Error> {
        Body::deserialize(MapAccessDeserializer::new(map))
    }
}
