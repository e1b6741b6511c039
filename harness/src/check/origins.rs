//! Allowed origins, and those that a faulty server takes for them.

use url::{Host, Url};

/// An entry of a list of allowed origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// `*`
    Any,
    /// `null`
    Null,
    /// One origin, serialised as browsers do.
    Exact(String),
    /// Subdomains: what stands before the star, what stands behind it (from the dot on, with the port), and whether
    /// the star stands for several labels.
    Subdomains { scheme: String, rest: String, deep: bool },
}

impl Allowed {
    /// Reads an entry; nothing where it is no origin at all. Whether it is one that browsers send, the lint says.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => return Some(Self::Any),
            "null" => return Some(Self::Null),
            _ => {}
        }
        for (star, deep) in [("://**.", true), ("://*.", false)] {
            if let Some((scheme, rest)) = text.split_once(star) {
                let sample = Url::parse(&format!("{scheme}://a.{rest}")).ok()?;
                let known = matches!(sample.scheme(), "http" | "https") && !rest.contains('*');
                return known.then(|| Self::Subdomains { scheme: scheme.to_owned(), rest: format!(".{rest}"), deep });
            }
        }
        let url = Url::parse(text).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host() && !text.contains('*'))
            .then(|| Self::Exact(url.origin().ascii_serialization()))
    }

    pub(crate) fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Null => origin == "null",
            Self::Exact(exact) => exact == origin,
            Self::Subdomains { scheme, rest, deep } => origin
                .strip_prefix(scheme.as_str())
                .and_then(|after| after.strip_prefix("://"))
                .and_then(|host| host.strip_suffix(rest.as_str()))
                .is_some_and(|label| !label.is_empty() && (*deep || !label.contains('.'))),
        }
    }

    /// Origins that it lets in: what a server that is right accepts.
    pub(crate) fn samples(&self) -> Vec<String> {
        match self {
            Self::Any => vec!["https://any.crosscheck.test".to_owned()],
            Self::Null => vec!["null".to_owned()],
            Self::Exact(origin) => vec![origin.clone()],
            Self::Subdomains { scheme, rest, deep } => {
                let mut samples = vec![format!("{scheme}://www{rest}"), format!("{scheme}://a-1{rest}")];
                if *deep {
                    samples.push(format!("{scheme}://a.b{rest}"));
                }
                samples
            }
        }
    }
}

/// How a hostile origin resembles an allowed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Likeness {
    /// Not at all.
    Unrelated,
    /// An opaque origin.
    Null,
    /// The allowed host stands in the middle.
    Substring,
    /// The allowed host stands at the beginning.
    Suffix,
    /// The allowed host stands at the end, not behind a dot.
    Prefix,
    /// Another character stands in the place of a dot.
    Dot,
    /// A host below the allowed one.
    Subdomain,
    /// http in the place of https.
    Scheme,
    /// Another port.
    Port,
    /// A host with characters that are rare in hosts, and that patterns forget.
    OddCharacter,
    /// The allowed host with a dot at its end.
    TrailingDot,
}

/// An origin that the policy does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hostile {
    pub(crate) likeness: Likeness,
    pub(crate) origin: String,
}

/// The registrable domain of whoever wants to be let in.
const ATTACKER: &str = "crosscheck-attacker.test";

/// Every hostile origin for a list of allowed ones; none of them is on it.
pub(crate) fn hostile(allowed: &[Allowed]) -> Vec<Hostile> {
    let mut found = vec![
        Hostile { likeness: Likeness::Unrelated, origin: format!("https://{ATTACKER}") },
        Hostile { likeness: Likeness::Null, origin: "null".to_owned() },
    ];
    for allowed in allowed {
        for base in allowed.samples().iter().take(1) {
            resembling(base, &mut found);
        }
        if let Allowed::Subdomains { scheme, rest, deep: false } = allowed {
            found.push(Hostile { likeness: Likeness::Subdomain, origin: format!("{scheme}://a.b{rest}") });
        }
        if let Allowed::Subdomains { scheme, rest, .. } = allowed {
            let joined = rest.trim_start_matches('.');
            let origin = format!("{scheme}://crosscheck-attacker{joined}");
            found.push(Hostile { likeness: Likeness::Prefix, origin });
            let origin = format!("{scheme}://www-{joined}");
            found.push(Hostile { likeness: Likeness::Dot, origin });
        }
    }
    let mut seen: Vec<String> = Vec::new();
    found.retain(|hostile| {
        let is_new = !seen.contains(&hostile.origin);
        seen.push(hostile.origin.clone());
        is_new && is_sent(&hostile.origin) && !allowed.iter().any(|allowed| allowed.matches(&hostile.origin))
    });
    found
}

/// Whether a browser sends this Origin: it is the serialisation of itself.
pub(crate) fn is_sent(origin: &str) -> bool {
    origin == "null" || Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == origin)
}

fn resembling(base: &str, found: &mut Vec<Hostile>) {
    let Ok(url) = Url::parse(base) else { return };
    let (scheme, Some(host)) = (url.scheme(), url.host_str()) else { return };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut push = |likeness, origin: String| found.push(Hostile { likeness, origin });
    if scheme == "https" {
        push(Likeness::Scheme, format!("http://{host}{port}"));
    }
    let other = url.port().map_or(8443, |port| if port == u16::MAX { port - 1 } else { port + 1 });
    push(Likeness::Port, format!("{scheme}://{host}:{other}"));
    if url.port().is_some() {
        push(Likeness::Port, format!("{scheme}://{host}"));
    }
    if !matches!(url.host(), Some(Host::Domain(_))) {
        return;
    }
    push(Likeness::Suffix, format!("{scheme}://{host}.{ATTACKER}{port}"));
    push(Likeness::Prefix, format!("{scheme}://crosscheck-attacker{host}{port}"));
    push(Likeness::Prefix, format!("{scheme}://crosscheck-attacker-{host}{port}"));
    push(Likeness::Substring, format!("{scheme}://a{host}.{ATTACKER}{port}"));
    push(Likeness::Substring, format!("{scheme}://a.{host}.{ATTACKER}{port}"));
    for (at, _) in host.match_indices('.') {
        push(Likeness::Dot, format!("{scheme}://{}x{}{port}", &host[..at], &host[at + 1..]));
    }
    push(Likeness::Subdomain, format!("{scheme}://crosscheck.{host}{port}"));
    for odd in ["_", "`", "{", "!", "~", "$", "&", "'", "(", "+", ",", ";", "="] {
        push(Likeness::OddCharacter, format!("{scheme}://{host}{odd}.{ATTACKER}{port}"));
    }
    push(Likeness::TrailingDot, format!("{scheme}://{host}.{port}"));
}

/// Values of Origin that no browser sends, though they name an allowed origin; each with what is wrong about it.
pub(crate) fn impossible(origin: &str) -> Vec<(&'static str, String)> {
    let Ok(url) = Url::parse(origin) else { return Vec::new() };
    let mut values = vec![
        ("in upper case", origin.to_ascii_uppercase()),
        ("with a path", format!("{origin}/")),
        ("in a list", format!("{origin}, https://{ATTACKER}")),
    ];
    if let (None, Some(default)) = (url.port(), url.port_or_known_default()) {
        values.push(("with its default port", format!("{origin}:{default}")));
    }
    values.retain(|(_, value)| value != origin);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_origins_are_sent_by_browsers_and_never_allowed() {
        for list in [&["https://app.example"][..], &["https://*.app.example", "http://localhost:3000"], &["*"], &[]] {
            let allowed: Vec<Allowed> = list.iter().map(|text| Allowed::parse(text).expect("an entry")).collect();
            let hostile = hostile(&allowed);
            assert!(hostile.iter().all(|hostile| is_sent(&hostile.origin)), "{hostile:?}");
            assert!(!hostile.iter().any(|hostile| allowed.iter().any(|one| one.matches(&hostile.origin))));
            assert_eq!(hostile.is_empty(), list == ["*"], "{list:?}");
        }
    }

    #[test]
    fn patterns_stay_within_their_labels() {
        let one = Allowed::parse("https://*.app.example").expect("a pattern");
        let any = Allowed::parse("https://**.app.example").expect("a pattern");
        for (origin, of_one, of_any) in [
            ("https://a.app.example", true, true),
            ("https://a.b.app.example", false, true),
            ("https://app.example", false, false),
            ("https://evilapp.example", false, false),
            ("http://a.app.example", false, false),
            ("https://a.app.example:8443", false, false),
        ] {
            assert_eq!((one.matches(origin), any.matches(origin)), (of_one, of_any), "{origin}");
        }
    }
}
