//! The whole of what a request carries, beside what the standard says that it carries.

use std::collections::{BTreeMap, BTreeSet};

use crosscheck_servers::{ByteString, Exchange, Fields, is_preflight};

use crate::placement::{replace_tokens, strip_tokens};
use crate::standard::Message;

/// A request with all its header lines, as it arrived or as the standard predicts it. Tokens in values are shortened to
/// `~`, so that a URL with a path can be told from an origin, and documents of several runs compare equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// Whether it is a CORS preflight.
    pub preflight: bool,
    /// The URL, without its token.
    pub url: String,
    /// Whether it follows another request of the same step, a redirect say. Only predictions tell.
    pub follows: bool,
    /// Header values by lower-case name, lines of one name joined with `, `.
    pub headers: BTreeMap<String, String>,
}

/// A header line that is not what the standard says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderDifference {
    /// The position of the request among those that arrived.
    pub position: usize,
    /// The request as it is predicted.
    pub predicted: Sent,
    /// The name in lower case.
    pub name: String,
    /// The value that the standard predicts; nothing where it must be absent.
    pub expected: Option<String>,
    /// The value that arrived; nothing where it was absent.
    pub observed: Option<String>,
}

/// Names that browsers add to requests by freedoms that the standards give them, or that HTTP and its connections need:
/// they are compared only where a value is predicted.
const FREE: [&str; 22] = [
    "accept-encoding",
    "accept-language",
    "connection",
    "dnt",
    "host",
    "keep-alive",
    "priority",
    "proxy-connection",
    "save-data",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-gpc",
    "sec-websocket-version",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-forwarded-for",
];

/// What each browser chooses by itself, whatever a prediction has in its place.
const CHOSEN: [&str; 2] = ["sec-websocket-extensions", "sec-websocket-key"];

impl Sent {
    /// A request as it arrived.
    #[must_use]
    pub fn observed(exchange: &Exchange) -> Self {
        let url = format!("{}{}", exchange.origin, exchange.target);
        Self::new(&exchange.method, &url, &exchange.headers)
    }

    /// A request as the standard predicts it. `follows` is whether another one of the same step came before it.
    #[must_use]
    pub fn predicted(message: &Message, follows: bool) -> Self {
        let sent = Self::new(&message.method, message.url.as_str(), &message.headers);
        Self { follows, ..sent }
    }

    fn new(method: &ByteString, url: &str, fields: &Fields) -> Self {
        let headers = fields
            .iter()
            .map(|(name, _)| name.decode().to_ascii_lowercase())
            .filter_map(|name| fields.get(&name).map(|value| (name, masked(&value.decode()))))
            .collect();
        Self {
            method: method.to_string(),
            preflight: is_preflight(method, fields),
            url: strip_tokens(url),
            follows: false,
            headers,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.preflight == other.preflight && self.method == other.method && self.url == other.url
    }
}

/// Where header lines that arrived are not those that are predicted. Requests are compared with the predicted ones of the
/// same method and URL, in order; requests that nobody predicts are left to those who count them.
#[must_use]
pub fn header_differences(predicted: &[Sent], observed: &[Sent]) -> Vec<HeaderDifference> {
    let mut differences = Vec::new();
    let mut from = 0;
    for (position, seen) in observed.iter().enumerate() {
        let Some(at) = (from..predicted.len()).find(|at| predicted[*at].is_like(seen)) else { continue };
        from = at + 1;
        let wanted = &predicted[at];
        let names: BTreeSet<&String> = wanted.headers.keys().chain(seen.headers.keys()).collect();
        for name in names {
            let (expected, observed) = (wanted.headers.get(name), seen.headers.get(name));
            if expected != observed && !is_free(name, wanted) {
                differences.push(HeaderDifference {
                    position,
                    predicted: wanted.clone(),
                    name: name.clone(),
                    expected: expected.cloned(),
                    observed: observed.cloned(),
                });
            }
        }
    }
    differences
}

/// Whether nothing is said of a header line. How long a multipart body is depends on its boundary; where a body is sent in
/// pieces, HTTP does not tell its length.
fn is_free(name: &str, wanted: &Sent) -> bool {
    let kind = wanted.headers.get("content-type").map_or("", String::as_str);
    let is_predicted = wanted.headers.contains_key(name);
    CHOSEN.contains(&name)
        || (FREE.contains(&name) && !is_predicted)
        || (name == "content-length" && (kind.starts_with("multipart/") || !is_predicted))
}

/// A value with each token in it as `~`, and without the boundary of a multipart body, which is the browser's to choose.
fn masked(value: &str) -> String {
    let value = match value.split_once("; boundary=") {
        Some((kind, _)) if kind.starts_with("multipart/") => kind,
        _ => value,
    };
    replace_tokens(value, "/~")
}

#[cfg(test)]
mod tests {
    use crosscheck_servers::Token;

    use super::*;

    fn sent(method: &str, url: &str, headers: &[(&str, &str)]) -> Sent {
        let mut fields = Fields::new();
        for (name, value) in headers {
            fields.push(*name, *value);
        }
        Sent::new(&method.into(), url, &fields)
    }

    #[test]
    fn a_url_with_a_token_is_no_origin() {
        let token = Token::random();
        let full = format!("https://page.test/{token}/");
        assert_eq!(masked(&full), "https://page.test/~/");
        assert_eq!(masked("https://page.test/"), "https://page.test/");
        assert_eq!(masked("/~short"), "/~short");
        assert_eq!(masked("multipart/form-data; boundary=----x"), "multipart/form-data");
    }

    #[test]
    fn each_line_is_compared_present_or_absent() {
        let predicted = [
            sent("OPTIONS", "https://a.test/", &[("Origin", "null"), ("Access-Control-Request-Method", "PUT")]),
            sent("PUT", "https://a.test/", &[("Accept", "*/*"), ("Origin", "https://page.test")]),
        ];
        let observed = [
            sent(
                "OPTIONS",
                "https://a.test/",
                &[("Origin", "null"), ("Access-Control-Request-Method", "PUT"), ("User-Agent", "x")],
            ),
            sent("PUT", "https://a.test/", &[("Accept", "text/html"), ("X-Unknown", "1")]),
        ];
        let told: Vec<(usize, bool, String)> = header_differences(&predicted, &observed)
            .into_iter()
            .map(|one| (one.position, one.predicted.preflight, one.name))
            .collect();
        let of = |name: &str| (1, false, name.to_owned());
        assert_eq!(told, [of("accept"), of("origin"), of("x-unknown")]);
        assert_eq!(header_differences(&predicted, &predicted), []);
    }

    #[test]
    fn requests_that_nobody_predicts_are_left_out() {
        let predicted = [sent("GET", "https://a.test/", &[])];
        let observed = [sent("GET", "https://b.test/", &[("Cookie", "a=1")]), predicted[0].clone()];
        assert_eq!(header_differences(&predicted, &observed), []);
    }
}
