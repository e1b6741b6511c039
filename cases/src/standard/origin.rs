//! Origins and sites. (HTML, *Origin*; `html.origin.*`)

use crosscheck_servers::{ByteString, Origin as TupleOrigin, Scheme};
use url::{Host, Url};

/// An origin: opaque, or scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Same origin with nothing but itself, and no URL has it. (`html.origin.opaque`)
    Opaque,
    /// Scheme, host and port.
    Tuple(TupleOrigin),
}

impl Origin {
    /// The origin of a URL: a tuple for http(s) and ws(s), that of its creator for `blob:`, else opaque.
    #[must_use]
    pub fn of(url: &Url) -> Self {
        if url.scheme() == "blob" {
            return Url::parse(url.path()).map_or(Self::Opaque, |creator| Self::of(&creator));
        }
        match tuple(url) {
            Some((scheme, host, port)) => Self::Tuple(TupleOrigin { scheme, host: host.to_owned(), port }),
            None => Self::Opaque,
        }
    }

    /// Whether a URL's origin is the same.
    #[must_use]
    pub fn is_origin_of(&self, url: &Url) -> bool {
        match self {
            Self::Tuple(own) if url.scheme() != "blob" => tuple(url) == Some((own.scheme, &own.host, own.port)),
            _ => self.is_same_origin(&Self::of(url)),
        }
    }

    /// Whether both are tuples with the same scheme, host and port. No URL's origin is the same as an opaque one.
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Tuple(one), Self::Tuple(other)) if one == other)
    }

    /// Whether both are tuples of one scheme and one registrable domain, or of equal hosts without one.
    #[must_use]
    pub fn is_same_site(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tuple(one), Self::Tuple(two)) => one.scheme == two.scheme && self.is_schemelessly_same_site(other),
            _ => false,
        }
    }

    /// The same without regard to the schemes.
    #[must_use]
    pub fn is_schemelessly_same_site(&self, other: &Self) -> bool {
        let (Self::Tuple(one), Self::Tuple(two)) = (self, other) else { return false };
        one.host == two.host
            || match (registrable_domain(&one.host), registrable_domain(&two.host)) {
                (Some(one), Some(two)) => one == two,
                _ => false,
            }
    }

    /// `null`, or scheme, host and (only if it is not the scheme's default) port.
    #[must_use]
    pub fn serialize(&self) -> ByteString {
        match self {
            Self::Opaque => "null".into(),
            Self::Tuple(tuple) => tuple.to_string().as_str().into(),
        }
    }

    /// The scheme of a tuple origin.
    #[must_use]
    pub const fn scheme(&self) -> Option<Scheme> {
        match self {
            Self::Opaque => None,
            Self::Tuple(tuple) => Some(tuple.scheme),
        }
    }

    /// Whether the fake servers speak HTTP/2 there: hosts whose first label is `h2` or begins with `h2-`.
    pub(crate) fn has_http2(&self) -> bool {
        matches!(self, Self::Tuple(tuple) if tuple.scheme == Scheme::Https
            && tuple.host.split('.').next().is_some_and(|label| label == "h2" || label.starts_with("h2-")))
    }

    /// Secure Contexts, *is origin potentially trustworthy*: https, loopback addresses, and localhost names.
    #[must_use]
    pub fn is_potentially_trustworthy(&self) -> bool {
        let Self::Tuple(tuple) = self else { return false };
        if tuple.scheme == Scheme::Https {
            return true;
        }
        match Host::parse(&tuple.host) {
            Ok(Host::Ipv4(address)) => address.is_loopback(),
            Ok(Host::Ipv6(address)) => address.is_loopback(),
            Ok(Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                name == "localhost" || name.ends_with(".localhost")
            }
            Err(_) => false,
        }
    }
}

/// The parts of an http(s) or ws(s) URL's origin.
fn tuple(url: &Url) -> Option<(Scheme, &str, u16)> {
    let scheme = match url.scheme() {
        "http" | "ws" => Scheme::Http,
        "https" | "wss" => Scheme::Https,
        _ => return None,
    };
    Some((scheme, url.host_str()?, url.port_or_known_default()?))
}

/// The public suffix of a host and the label before it; nothing for addresses and for public suffixes themselves.
#[must_use]
pub fn registrable_domain(host: &str) -> Option<&str> {
    let is_address = host.starts_with('[') || host.rsplit('.').next().is_some_and(|last| last.parse::<u8>().is_ok());
    if is_address {
        return None;
    }
    // A trailing dot is part of it. (URL, *public suffix*)
    let domain = psl::domain_str(host.strip_suffix('.').unwrap_or(host))?;
    let dot = usize::from(host.ends_with('.'));
    host.get(host.len() - dot - domain.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Url::parse(text).map_or(Origin::Opaque, |url| Origin::of(&url))
    }

    #[test]
    fn same_origin_and_same_site_are_told_apart() {
        for (one, other, same_origin, same_site) in [
            ("https://page.test", "https://page.test:443/a", true, true),
            ("https://page.test", "https://page.test:8443", false, true),
            ("https://page.test", "https://api.page.test", false, true),
            ("https://page.test", "http://page.test", false, false),
            ("https://page.test", "https://other.test", false, false),
            ("https://a.github.io", "https://b.github.io", false, false),
            ("https://127.0.0.1", "https://127.0.0.1:1", false, true),
            ("https://10.0.0.1", "https://11.0.0.1", false, false),
            ("https://page.test.", "https://page.test", false, false),
            ("data:,x", "data:,x", false, false),
            ("https://page.test", "data:,x", false, false),
            ("https://page.test", "blob:https://page.test/x", true, true),
            ("https://page.test", "blob:https://other.test/x", false, false),
        ] {
            assert_eq!(origin(one).is_same_origin(&origin(other)), same_origin, "{one} {other}");
            let other_url = Url::parse(other).expect("a URL");
            assert_eq!(origin(one).is_origin_of(&other_url), same_origin, "{one} {other}");
            assert_eq!(origin(one).is_same_site(&origin(other)), same_site, "{one} {other}");
        }
    }

    #[test]
    fn what_is_potentially_trustworthy() {
        for (url, trustworthy) in [
            ("https://a.test", true),
            ("http://a.test", false),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]", true),
            ("http://a.localhost", true),
            ("http://localhost.", true),
            ("http://localhost.test", false),
            ("data:,x", false),
        ] {
            assert_eq!(origin(url).is_potentially_trustworthy(), trustworthy, "{url}");
        }
    }

    #[test]
    fn the_servers_speak_http_2_where_the_name_says_so() {
        for (url, http2) in [
            ("https://h2.page.test", true),
            ("https://h2-a.page.test", true),
            ("http://h2.page.test", false),
            ("https://page.test", false),
            ("https://h2a.page.test", false),
            ("https://a.h2.test", false),
            ("data:,x", false),
        ] {
            assert_eq!(origin(url).has_http2(), http2, "{url}");
        }
    }

    #[test]
    fn a_dot_at_the_end_stays_with_the_registrable_domain() {
        for (host, domain) in [
            ("a.b.page.test", Some("page.test")),
            ("a.page.test.", Some("page.test.")),
            ("page.test.", Some("page.test.")),
            ("test", None),
            ("github.io.", None),
            ("127.0.0.1", None),
            ("[::1]", None),
        ] {
            assert_eq!(registrable_domain(host), domain, "{host}");
        }
    }
}
