//! Content Security Policy's connect-src, as far as it decides whether a request is sent.

use url::Url;

use super::origin::Origin;

/// The connect-src directive (or default-src in its place) of one policy.
#[derive(Clone, Debug)]
pub(crate) struct ConnectPolicy {
    sources: Vec<String>,
    own: Option<Origin>,
}

impl ConnectPolicy {
    /// The policies of one header value that have such a directive.
    pub(crate) fn parse(value: &str, own: Option<&Origin>) -> Vec<Self> {
        value
            .split(',')
            .filter_map(|policy| {
                let directive = |name: &str| {
                    policy.split(';').map(str::trim).find_map(|directive| {
                        let mut words = directive.split_ascii_whitespace();
                        words
                            .next()
                            .filter(|first| first.eq_ignore_ascii_case(name))
                            .map(|_| words.map(ToOwned::to_owned).collect::<Vec<_>>())
                    })
                };
                let sources = directive("connect-src").or_else(|| directive("default-src"))?;
                Some(Self { sources, own: own.cloned() })
            })
            .collect()
    }

    /// *Does url match source list in origin with redirect count?*
    pub(crate) fn allows(&self, url: &Url, redirects: u32) -> bool {
        self.sources.iter().any(|source| self.source_allows(source, url, redirects))
    }

    fn source_allows(&self, source: &str, url: &Url, redirects: u32) -> bool {
        let network = matches!(url.scheme(), "http" | "https" | "ws" | "wss");
        if source.eq_ignore_ascii_case("'self'") {
            return self.own.as_ref().is_some_and(|own| {
                let target = Origin::of(url);
                own.is_same_origin(&target) || is_upgrade_of(own, &target)
            });
        }
        if source == "*" {
            return network;
        }
        if let Some(scheme) = source.strip_suffix(':') {
            return scheme_matches(scheme, url.scheme());
        }
        if source.starts_with('\'') || !network {
            return false;
        }
        self.host_source_allows(source, url, redirects)
    }

    fn host_source_allows(&self, source: &str, url: &Url, redirects: u32) -> bool {
        let (scheme, rest) = match source.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, source),
        };
        let own_scheme = self.own.as_ref().and_then(Origin::scheme).map(|scheme| scheme.as_str());
        if !scheme.or(own_scheme).is_none_or(|scheme| scheme_matches(scheme, url.scheme())) {
            return false;
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, ""),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let Some(target) = url.host_str() else { return false };
        let host_matches = match host.strip_prefix("*.") {
            Some(parent) => target.to_ascii_lowercase().ends_with(&format!(".{}", parent.to_ascii_lowercase())),
            None => host.eq_ignore_ascii_case(target),
        };
        let port_matches = match port {
            Some("*") => true,
            Some(port) => url.port_or_known_default().is_some_and(|known| known.to_string() == port),
            None => url.port().is_none(),
        };
        let path_matches = redirects > 0
            || path.is_empty()
            || if path.ends_with('/') { url.path().starts_with(path) } else { url.path() == path };
        host_matches && port_matches && path_matches
    }
}

/// *scheme-part match*
fn scheme_matches(allowed: &str, scheme: &str) -> bool {
    let allowed = allowed.to_ascii_lowercase();
    allowed == scheme
        || matches!((allowed.as_str(), scheme), ("http", "https") | ("ws", "wss" | "http" | "https") | ("wss", "https"))
}

/// Whether the target is the same host over TLS, both on default ports.
fn is_upgrade_of(own: &Origin, target: &Origin) -> bool {
    matches!((own, target), (Origin::Tuple(own), Origin::Tuple(target))
        if own.host == target.host
            && own.scheme == crosscheck_servers::Scheme::Http
            && target.scheme == crosscheck_servers::Scheme::Https
            && own.port == 80
            && target.port == 443)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_lists() {
        let own = Origin::of(&Url::parse("https://page.test/").expect("a URL"));
        for (policy, url, allowed) in [
            ("connect-src 'self'", "https://page.test/a", true),
            ("connect-src 'self'", "https://api.page.test/a", false),
            ("connect-src https://a.test", "https://a.test/x", true),
            ("connect-src https://a.test/x/", "https://a.test/y", false),
            ("connect-src a.test", "https://a.test/", true),
            ("connect-src a.test", "http://a.test/", false),
            ("connect-src *.a.test", "https://b.a.test/", true),
            ("connect-src *.a.test", "https://a.test/", false),
            ("connect-src https:", "https://a.test/", true),
            ("connect-src https:", "data:,x", false),
            ("connect-src wss://a.test", "wss://a.test/", true),
            ("connect-src a.test:8443", "https://a.test/", false),
            ("default-src 'none'", "https://page.test/", false),
            ("connect-src", "https://page.test/", false),
        ] {
            let url = Url::parse(url).expect("a URL");
            let policies = ConnectPolicy::parse(policy, Some(&own));
            assert_eq!(policies.iter().all(|policy| policy.allows(&url, 0)), allowed, "{policy} {url}");
        }
        assert!(ConnectPolicy::parse("img-src 'none'", Some(&own)).is_empty());
    }
}
