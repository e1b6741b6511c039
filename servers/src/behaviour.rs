use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Body, ByteString, Fields, status};

/// What a fake server answers. Every member may be left out: `{}` is a 200 with the text `hello` and no CORS header.
///
/// In header values, cookies, bodies and `redirect`, `{request.origin}`, `{request.method}`, `{request.count}` and
/// `{request.header NAME}` stand for parts of the request; a header line whose placeholder has no value (no Origin
/// was sent, say) is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Behaviour {
    /// The status, 0 to 999; over HTTP/1 three digits. HTTP/2 carries none below 200. Default: 200.
    #[serde(deserialize_with = "status::deserialize")]
    #[schemars(range(min = 0, max = 999))]
    pub status: u16,
    /// The reason phrase. Default: the registered one of the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<ByteString>,
    /// Header lines in order, names in this letter case, values byte for byte.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub headers: Fields,
    /// Set-Cookie lines, after the headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<Cookie>,
    /// A URL for a Location line, after the headers; the status is then 302 unless it is stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// The body; its kind gives the Content-Type line where `headers` has none. Default: the text `hello`, and for a
    /// CORS preflight nothing.
    pub body: Body,
    /// How the end of the body is made known.
    #[serde(skip_serializing_if = "is_default")]
    pub length: Length,
    /// URLs of the same site, without its token: the answer begins once a request for each of them has arrived, and
    /// never if one does not come.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Milliseconds before the answer begins.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "milliseconds")]
    #[schemars(range(max = 60000))]
    pub delay_ms: u32,
    /// Milliseconds between two pieces of the body.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "milliseconds")]
    #[schemars(range(max = 60000))]
    pub pause_ms: u32,
    /// A fault in place of, or in the middle of, the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The bytes to send in place of an HTTP response; all other members are then ignored. The connection is closed
    /// after them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbatim: Option<ByteString>,
    /// The answer to a WebSocket handshake; without it a handshake gets the ordinary HTTP answer, which fails it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<WebSocketAnswer>,
    /// The answer to a CORS preflight. Default: the same as to any other request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Box<Behaviour>>,
    /// Other answers for some requests: the first rule whose condition holds replaces this whole answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let time = u32::deserialize(deserializer)?;
    if time <= 60_000 {
        return Ok(time);
    }
    Err(de::Error::invalid_value(Unexpected::Unsigned(time.into()), &"at most 60000 milliseconds"))
}

/// The status of a behaviour that states none.
pub(crate) const DEFAULT_STATUS: u16 = 200;

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            status: DEFAULT_STATUS,
            reason: None,
            headers: Fields::new(),
            cookies: Vec::new(),
            redirect: None,
            body: Body::default(),
            length: Length::default(),
            after: Vec::new(),
            delay_ms: 0,
            pause_ms: 0,
            fault: None,
            verbatim: None,
            websocket: None,
            preflight: None,
            rules: Vec::new(),
        }
    }
}

/// Another answer for the requests that meet a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// When the rule applies.
    #[serde(rename = "if")]
    pub condition: Condition,
    /// What is answered then.
    pub then: Behaviour,
}

/// A question to the request; it holds where every stated member holds. `{}` always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Condition {
    /// The method is one of these, letter case included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub method: Vec<ByteString>,
    /// The request is (or is not) a CORS preflight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preflight: Option<bool>,
    /// The Origin header is one of these: an allow-list. An absent header is on no list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origin: Vec<ByteString>,
    /// The request has a cookie of this name (`name`) or of this name and value (`name=value`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Tests of header lines by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderTest>,
    /// Which requests to this URL under this token, counted from 1. Preflights are counted apart from the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestCount>,
    /// This condition does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<Condition>>,
}

/// A test of a request header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderTest {
    /// There is such a header.
    Present,
    /// There is no such header.
    Absent,
    /// Its value, all lines joined with `, `, is this.
    Is(ByteString),
    /// Its value, all lines joined with `, `, contains this.
    Contains(ByteString),
    /// Its value, all lines joined with `, `, begins with this.
    Begins(ByteString),
    /// Its value, all lines joined with `, `, ends with this.
    Ends(ByteString),
}

/// Numbers of requests, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RequestCount {
    /// Just this one.
    Is(u32),
    /// This one and all later ones.
    From(u32),
}

/// A cookie that an answer sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cookie {
    /// The name.
    pub name: ByteString,
    /// The value.
    #[serde(default)]
    pub value: ByteString,
    /// The attributes as they stand after the value, such as `Secure; SameSite=None`. Where they name no `Path`, one
    /// that holds only this token's URLs is added, so that cases do not see each other's cookies.
    #[serde(default)]
    pub attributes: ByteString,
}

/// How the end of a body is made known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// By a true Content-Length; by chunks where the body comes in pieces.
    #[default]
    True,
    /// By chunks.
    Chunked,
    /// By the end of the connection.
    Close,
    /// By this Content-Length, true or not.
    Stated(u64),
}

/// What goes wrong on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The connection is reset before anything is sent.
    Reset,
    /// The connection is closed in good order before anything is sent.
    Close,
    /// The connection is reset in the middle of the header lines.
    ResetInHeaders,
    /// The connection is reset after the headers and half of the body.
    ResetInBody,
    /// Nothing is ever sent; the connection stays open until the client or the stage closes it.
    NeverAnswer,
}

/// The answer to a WebSocket handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebSocketAnswer {
    /// The status, 0 to 999: with any other than 101 the lines of the handshake are just lines, and nothing is
    /// upgraded.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "status::deserialize_some")]
    #[schemars(range(min = 0, max = 999))]
    pub status: Option<u16>,
    /// Names of lines of the handshake that are left out, in any letter case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leave_out: Vec<String>,
    /// The Sec-WebSocket-Accept line.
    #[serde(skip_serializing_if = "is_default")]
    pub accept: WebSocketAccept,
    /// The Sec-WebSocket-Protocol line, whether or not it was offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<ByteString>,
    /// Further header lines, after those of the handshake.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub headers: Fields,
    /// What the server does on the open connection, in order; then it waits for the client to close.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<WebSocketAction>,
}

/// What the Sec-WebSocket-Accept line of a handshake says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WebSocketAccept {
    /// The right value.
    #[default]
    Right,
    /// The value for another key.
    Wrong,
    /// There is no such line.
    Missing,
}

/// A step of a server on an open WebSocket connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WebSocketAction {
    /// Send a text message. Placeholders are those of the handshake request.
    Send(String),
    /// Send every message back, until the client closes.
    Echo,
    /// Close with this code.
    Close(u16),
}
