use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteString, Fields};

/// Whether a request came in over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Without TLS; WebSocket's `ws` too.
    Http,
    /// Over TLS; WebSocket's `wss` too.
    Https,
}

impl Scheme {
    /// The port that a URL of this scheme leaves out.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The version of HTTP that a request used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// HTTP/1.0
    #[serde(rename = "HTTP/1.0")]
    Http10,
    /// HTTP/1.1
    #[serde(rename = "HTTP/1.1")]
    Http11,
    /// HTTP/2
    #[serde(rename = "HTTP/2")]
    Http2,
}

/// A tuple origin that a fake server plays: scheme, host and port. Written as browsers serialise it: lower case, and
/// without the port where that is the scheme's default. (`html.origin.serialize.tuple`)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// http or https.
    pub scheme: Scheme,
    /// The host as it stands in URLs and Host headers: a name, an IPv4 address, or an IPv6 address in brackets.
    pub host: String,
    /// The port, also where it is the scheme's default.
    pub port: u16,
}

/// A text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an origin: write scheme://host or scheme://host:port, with http, https, ws or wss")]
pub struct OriginError {
    /// What was given.
    pub text: String,
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || OriginError { text: text.to_owned() };
        let (scheme, authority) = text.split_once("://").ok_or_else(fault)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => Scheme::Http,
            "https" | "wss" => Scheme::Https,
            _ => return Err(fault()),
        };
        Self::from_authority(scheme, authority).ok_or_else(fault)
    }
}

/// A port: digits, and no sign. (RFC 3986, 3.2.3)
fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Origin {
    /// The origin of a scheme and the `host` or `host:port` of a Host header; nothing where that is malformed.
    #[must_use]
    pub fn from_authority(scheme: Scheme, authority: &str) -> Option<Self> {
        let (host, port) = match authority.rfind(':') {
            Some(colon) if !authority[colon..].contains(']') => (&authority[..colon], port(&authority[colon + 1..])?),
            _ => (authority, scheme.default_port()),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let valid = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte))
            && (bracketed || !host.contains([':', '[', ']']));
        valid.then(|| Self { scheme, host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(formatter, ":{}", self.port) }
    }
}

/// A request as a fake server received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, in the letter case of the request line.
    pub method: ByteString,
    /// The origin that was asked: from the connection (TLS or not) and the Host header or `:authority`.
    pub origin: Origin,
    /// Path and query as received, token included.
    pub target: String,
    /// The header lines as received. HTTP/2 has only lower-case names, and `:authority` is given as `host`.
    pub headers: Fields,
    /// The body, decoded from chunks; at most [`crate::Site::BODY_LIMIT`] bytes of it.
    pub body: Vec<u8>,
    /// The version of HTTP.
    pub protocol: Protocol,
}

/// Whether a request is a CORS preflight: OPTIONS with an Origin and an Access-Control-Request-Method header.
/// (`fetch.preflight.3`)
#[must_use]
pub fn is_preflight(method: &ByteString, headers: &Fields) -> bool {
    *method == *"OPTIONS" && headers.contains("origin") && headers.contains("access-control-request-method")
}

impl Request {
    /// Whether this is a CORS preflight.
    #[must_use]
    pub fn is_preflight(&self) -> bool {
        is_preflight(&self.method, &self.headers)
    }

    /// Whether this asks to upgrade to a WebSocket connection.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        self.headers.get("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_and_serialised_as_browsers_do() {
        for (text, serialised) in [
            ("https://Page.test", "https://page.test"),
            ("https://page.test:443", "https://page.test"),
            ("https://page.test:8443", "https://page.test:8443"),
            ("http://page.test:443", "http://page.test:443"),
            ("ws://page.test:80", "http://page.test"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://[::1]", "http://[::1]"),
            ("https://page.test.", "https://page.test."),
        ] {
            assert_eq!(text.parse::<Origin>().expect(text).to_string(), serialised, "{text}");
        }
        for text in [
            "page.test",
            "ftp://page.test",
            "https://",
            "https://a:b:1",
            "https://a/",
            "https://a:99999",
            "https://a:+80",
            "https://a:-80",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
