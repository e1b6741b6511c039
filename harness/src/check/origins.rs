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
    /// It is on the list of another route, or an answer names it.
    Elsewhere,
    /// A page of the user's own machine.
    Loopback,
}

/// An origin that the policy does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hostile {
    pub(crate) likeness: Likeness,
    pub(crate) origin: String,
}

/// The registrable domain of whoever wants to be let in.
const ATTACKER: &str = "crosscheck-attacker.test";

/// Pages of the user's own machine, and what a pattern that begins or ends like one lets in.
const LOOPBACK: [&str; 7] = [
    "http://localhost",
    "https://localhost",
    "http://localhost:3000",
    "http://127.0.0.1",
    "http://127.0.0.1:8080",
    "http://[::1]",
    "http://app.localhost",
];

/// An origin that nobody names.
pub(crate) const UNKNOWN: &str = "https://crosscheck-attacker.test";

/// Every hostile origin for a list of allowed ones; none of them is on it. `elsewhere` are origins that other routes or
/// answers name, `server` is the server's own.
pub(crate) fn hostile(allowed: &[Allowed], elsewhere: &[String], server: Option<&Url>) -> Vec<Hostile> {
    let mut found = vec![
        Hostile { likeness: Likeness::Unrelated, origin: UNKNOWN.to_owned() },
        Hostile { likeness: Likeness::Null, origin: "null".to_owned() },
    ];
    found.extend(elsewhere.iter().map(|origin| Hostile { likeness: Likeness::Elsewhere, origin: origin.clone() }));
    for origin in LOOPBACK {
        found.push(Hostile { likeness: Likeness::Loopback, origin: origin.to_owned() });
    }
    for (likeness, host) in [
        (Likeness::Suffix, format!("localhost.{ATTACKER}")),
        (Likeness::Suffix, format!("127.0.0.1.{ATTACKER}")),
        (Likeness::Prefix, "crosscheck-attackerlocalhost".to_owned()),
    ] {
        found.extend(["http", "https"].map(|scheme| Hostile { likeness, origin: format!("{scheme}://{host}") }));
    }
    if let Some(server) = server {
        of_host(server, &mut found);
    }
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
        // To its own pages a server is not another origin.
        let is_own = server.is_some_and(|server| server.origin().ascii_serialization() == hostile.origin);
        is_new && !is_own && is_sent(&hostile.origin) && !allowed.iter().any(|allowed| allowed.matches(&hostile.origin))
    });
    found
}

/// Hostile origins that resemble one which was let in: how far does what lets it in go?
pub(crate) fn further(let_in: &Hostile, allowed: &[Allowed]) -> Vec<Hostile> {
    let mut found = Vec::new();
    resembling(&let_in.origin, &mut found);
    found.retain(|hostile| {
        matches!(hostile.likeness, Likeness::Suffix | Likeness::Prefix | Likeness::Port)
            && is_sent(&hostile.origin)
            && !allowed.iter().any(|allowed| allowed.matches(&hostile.origin))
    });
    found
}

/// The same host unencrypted, and at another port.
fn of_host(url: &Url, found: &mut Vec<Hostile>) {
    let (scheme, Some(host)) = (url.scheme(), url.host_str()) else { return };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut push = |likeness, origin: String| found.push(Hostile { likeness, origin });
    if scheme == "https" {
        push(Likeness::Scheme, format!("http://{host}{port}"));
    }
    let other = url.port().map_or(8443, another);
    push(Likeness::Port, format!("{scheme}://{host}:{other}"));
}

/// A port that is not this one.
const fn another(port: u16) -> u16 {
    if port == u16::MAX { port - 1 } else { port + 1 }
}

/// Origins of extensions: browsers send them, though no page has them.
pub(crate) const EXTENSIONS: [&str; 3] = [
    "chrome-extension://crosscheckcrosscheckcrosscheckcc",
    "moz-extension://c2055c4e-c2c5-4e0c-8000-c2055c4ec55c",
    "safari-web-extension://C2055C4E-C2C5-4E0C-8000-C2055C4EC55C",
];

/// Whether a browser sends this Origin: it is the serialisation of itself.
pub(crate) fn is_sent(origin: &str) -> bool {
    origin == "null" || Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == origin)
}

fn resembling(base: &str, found: &mut Vec<Hostile>) {
    let Ok(url) = Url::parse(base) else { return };
    let (scheme, Some(host)) = (url.scheme(), url.host_str()) else { return };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    of_host(&url, found);
    let mut push = |likeness, origin: String| found.push(Hostile { likeness, origin });
    if let Some(port) = url.port() {
        push(Likeness::Port, format!("{scheme}://{host}"));
        // A pattern without an end takes more digits.
        if port < 6553 {
            push(Likeness::Port, format!("{scheme}://{host}:{port}1"));
        }
    }
    if !matches!(url.host(), Some(Host::Domain(_))) {
        return;
    }
    push(Likeness::Suffix, format!("{scheme}://{host}.{ATTACKER}{port}"));
    push(Likeness::Suffix, format!("{scheme}://{host}-{ATTACKER}{port}"));
    push(Likeness::Suffix, format!("{scheme}://{host}{ATTACKER}{port}"));
    // A name in another script, as browsers send it.
    push(Likeness::Suffix, format!("{scheme}://{host}.xn--80ak6aa92e.{ATTACKER}{port}"));
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
        ("with a user", origin.replacen("://", "://crosscheck@", 1)),
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
            let elsewhere = ["https://partner.example".to_owned()];
            let server = Url::parse("https://api.example").expect("a URL");
            let hostile = hostile(&allowed, &elsewhere, Some(&server));
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
