//! What is secret is not shown: diagnoses are pasted into tickets.

use url::Url;

/// What stands for something secret.
pub(crate) const HIDDEN: &str = "(hidden)";

/// How much is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redaction {
    /// What is known to be secret: cookies, credentials, user names and passwords in URLs.
    Secrets,
    /// Everything that is not known to be harmless: archives hold what their owner never looks at.
    Archive,
}

/// Headers whose values say something about cross-origin rules, and nothing else.
const HARMLESS: [&str; 29] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "accept",
    "age",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "server",
    "timing-allow-origin",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
    "origin",
];

/// Parts of names of headers that carry credentials.
const SECRET: [&str; 8] = ["cookie", "auth", "token", "secret", "key", "session", "password", "credential"];

impl Redaction {
    /// A header value as it may be shown. `name` is in lower case.
    pub(crate) fn header(self, name: &str, value: &str) -> String {
        let name = name.to_ascii_lowercase();
        if HARMLESS.contains(&name.as_str()) {
            return value.to_owned();
        }
        if name == "location" || name == "referer" {
            return match Url::parse(value) {
                Ok(url) => self.url(&url),
                Err(_) if self == Self::Secrets => value.to_owned(),
                Err(_) => HIDDEN.to_owned(),
            };
        }
        if self == Self::Archive || SECRET.iter().any(|part| name.contains(part)) {
            return HIDDEN.to_owned();
        }
        value.to_owned()
    }

    /// A URL as it may be shown.
    pub(crate) fn url(self, url: &Url) -> String {
        let mut url = url.clone();
        // These fail only for URLs that have no host, and so no credentials.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let is_secret = |name: &str| {
            let name = name.to_ascii_lowercase();
            self == Self::Archive
                || SECRET.iter().any(|part| name.contains(part))
                || ["sig", "code", "state", "jwt"].iter().any(|part| name.contains(part))
        };
        let query = url.query().map(|query| {
            query
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some((name, value)) if !value.is_empty() && is_secret(name) => format!("{name}=…"),
                    None if self == Self::Archive && looks_random(pair) => "…".to_owned(),
                    _ => pair.to_owned(),
                })
                .collect::<Vec<_>>()
                .join("&")
        });
        let path = match self {
            Self::Secrets => url.path().to_owned(),
            Self::Archive => url
                .path()
                .split('/')
                .map(|part| if looks_random(part) { "…" } else { part })
                .collect::<Vec<_>>()
                .join("/"),
        };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{path}{query}", url.origin().ascii_serialization())
    }
}

/// Whether a part of a path may be a token: long, and no word.
fn looks_random(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    part.len() >= 32 || (part.len() >= 16 && digits >= 4) || part.starts_with("eyJ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        for (name, value, secrets, archive) in [
            ("Access-Control-Allow-Origin", "*", "*", "*"),
            ("Set-Cookie", "id=1", HIDDEN, HIDDEN),
            ("X-Api-Key", "k", HIDDEN, HIDDEN),
            ("X-Shop", "7", "7", HIDDEN),
            ("Location", "https://u:p@a.test/b?token=1#t", "https://a.test/b?token=…", "https://a.test/b?token=…"),
        ] {
            assert_eq!(Redaction::Secrets.header(name, value), secrets, "{name}");
            assert_eq!(Redaction::Archive.header(name, value), archive, "{name}");
        }
        for (url, secrets, archive) in [
            ("https://a.test/b?page=2&c", "https://a.test/b?page=2&c", "https://a.test/b?page=…&c"),
            ("https://a.test/r/0f3ac99e77b1d2e4f0", "https://a.test/r/0f3ac99e77b1d2e4f0", "https://a.test/r/…"),
        ] {
            let url = Url::parse(url).expect("a URL");
            assert_eq!(Redaction::Secrets.url(&url), secrets);
            assert_eq!(Redaction::Archive.url(&url), archive);
        }
    }
}
