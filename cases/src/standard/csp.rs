//! Content Security Policy's source lists, as far as they decide whether a request is sent or a document framed.

use crosscheck_servers::Scheme;
use url::{Host, Url};

use super::header_value::percent_decode;
use super::origin::Origin;
use super::request::{Destination, Request};

/// The value of a directive whose value is a source list.
#[derive(Clone, Debug)]
pub(crate) struct SourceList {
    sources: Vec<String>,
    own: Option<Origin>,
}

/// A Content Security Policy header of a document.
#[derive(Clone, Debug)]
pub(crate) struct ContentPolicies {
    pub(crate) value: String,
    /// The *self-origin* of its policies.
    pub(crate) own: Option<Origin>,
}

impl ContentPolicies {
    /// Whether one of the policies forbids a request by the directive that is its *effective* one.
    pub(crate) fn forbid(&self, request: &Request) -> bool {
        let directives = match request.destination {
            Destination::Empty => &["connect-src", "default-src"][..],
            Destination::Script => &["script-src-elem", "script-src", "default-src"],
            Destination::Style => &["style-src-elem", "style-src", "default-src"],
            Destination::Image => &["img-src", "default-src"],
            Destination::Font => &["font-src", "default-src"],
            Destination::Audio | Destination::Video | Destination::Track => &["media-src", "default-src"],
        };
        let lists = SourceList::of(&self.value, directives, self.own.as_ref());
        lists.iter().any(|list| !list.allows(request.url(), request.redirect_count))
    }
}

impl SourceList {
    /// The lists of those policies of a header value that have one of the directives; of several, the first named counts.
    /// `own` is the policy's *self-origin*.
    pub(crate) fn of(value: &str, directives: &[&str], own: Option<&Origin>) -> Vec<Self> {
        value
            .split(',')
            .filter_map(|policy| {
                let directive = |name: &&str| {
                    policy.split(';').map(str::trim).find_map(|directive| {
                        let mut words = directive.split_ascii_whitespace();
                        words
                            .next()
                            .filter(|first| first.eq_ignore_ascii_case(name))
                            .map(|_| words.map(ToOwned::to_owned).collect::<Vec<_>>())
                    })
                };
                let sources = directives.iter().find_map(directive)?;
                Some(Self { sources, own: own.cloned() })
            })
            .collect()
    }

    /// Whether it names hosts or schemes.
    pub(crate) fn names_hosts(&self) -> bool {
        self.sources.iter().any(|source| !source.starts_with('\''))
    }

    /// Whether it names the policy's own origin.
    pub(crate) fn names_own_origin(&self) -> bool {
        self.sources.iter().any(|source| source.eq_ignore_ascii_case("'self'"))
    }

    /// *Does url match source list in origin with redirect count?*
    pub(crate) fn allows(&self, url: &Url, redirects: u32) -> bool {
        self.sources.iter().any(|source| self.source_allows(source, url, redirects))
    }

    fn source_allows(&self, source: &str, url: &Url, redirects: u32) -> bool {
        if source.eq_ignore_ascii_case("'self'") {
            return self.own.as_ref().is_some_and(|own| is_own(own, url));
        }
        if source == "*" {
            // The scheme of its own is one of these as well.
            return matches!(url.scheme(), "http" | "https");
        }
        if let Some(scheme) = source.strip_suffix(':') {
            return scheme_matches(scheme, url.scheme());
        }
        if source.starts_with('\'') {
            return false;
        }
        let own_scheme = self.own.as_ref().and_then(Origin::scheme).map(|scheme| scheme.as_str());
        let (scheme, rest) = match source.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, source),
        };
        if !scheme.or(own_scheme).is_none_or(|scheme| scheme_matches(scheme, url.scheme())) {
            return false;
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, ""),
        };
        // An IPv6 address falls apart here, but matches nothing anyway.
        let (host, port) = authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        host_matches(host, url)
            && port_matches(port, url)
            && (redirects > 0 || path.is_empty() || path_matches(path, url.path()))
    }
}

/// *host-part match*: only domains match.
fn host_matches(pattern: &str, url: &Url) -> bool {
    let Some(Host::Domain(host)) = url.host() else { return false };
    match pattern.strip_prefix('*') {
        Some("") => true,
        Some(parent) if parent.starts_with('.') => host.to_ascii_lowercase().ends_with(&parent.to_ascii_lowercase()),
        _ => pattern.eq_ignore_ascii_case(host),
    }
}

/// *port-part match*
fn port_matches(port: Option<&str>, url: &Url) -> bool {
    match port {
        Some("*") => true,
        Some(port) => url.port_or_known_default().is_some_and(|known| known.to_string() == port),
        None => url.port().is_none(),
    }
}

/// *path-part match*
fn path_matches(pattern: &str, path: &str) -> bool {
    if pattern == "/" && path.is_empty() {
        return true;
    }
    let mut pieces: Vec<&str> = pattern.split('/').collect();
    let others: Vec<&str> = path.split('/').collect();
    if pieces.len() > others.len() || (!pattern.ends_with('/') && pieces.len() != others.len()) {
        return false;
    }
    if pattern.ends_with('/') {
        pieces.pop();
    }
    pieces.iter().zip(&others).all(|(piece, other)| percent_decode(piece) == percent_decode(other))
}

/// *Does url match expression?*, for `'self'`.
fn is_own(own: &Origin, url: &Url) -> bool {
    let target = Origin::of(url);
    if own.is_same_origin(&target) {
        return true;
    }
    let (Origin::Tuple(own), Origin::Tuple(target)) = (own, &target) else { return false };
    let default = |scheme: Scheme| if scheme == Scheme::Https { 443 } else { 80 };
    let same_port =
        own.port == target.port || (own.port == default(own.scheme) && target.port == default(target.scheme));
    // With one port the two differ in their schemes alone.
    own.host == target.host && same_port && target.scheme == Scheme::Https
}

/// *scheme-part match*
fn scheme_matches(allowed: &str, scheme: &str) -> bool {
    let allowed = allowed.to_ascii_lowercase();
    allowed == scheme
        || matches!((allowed.as_str(), scheme), ("http", "https") | ("ws", "wss" | "http" | "https") | ("wss", "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_has_a_directive_of_its_own_and_default_src_speaks_for_the_rest() {
        use Destination::{Audio, Empty, Font, Image, Script, Style, Track, Video};

        let forbids = |value: &str, destination| {
            let policies = ContentPolicies { value: value.to_owned(), own: None };
            let mut request = Request::new("https://a.test/".parse().expect("a URL"), Origin::Opaque);
            request.destination = destination;
            policies.forbid(&request)
        };
        for (directives, destinations) in [
            (&["connect-src"][..], &[Empty][..]),
            (&["script-src-elem", "script-src"], &[Script]),
            (&["style-src-elem", "style-src"], &[Style]),
            (&["img-src"], &[Image]),
            (&["font-src"], &[Font]),
            (&["media-src"], &[Audio, Video, Track]),
        ] {
            for destination in [Empty, Script, Style, Image, Font, Audio, Video, Track] {
                for directive in directives {
                    let meant = destinations.contains(&destination);
                    assert_eq!(
                        forbids(&format!("{directive} 'none'"), destination),
                        meant,
                        "{directive} {destination:?}"
                    );
                    let first = forbids(&format!("default-src 'none'; {directive} a.test"), destination);
                    assert_eq!(first, !meant, "{directive} before default-src, {destination:?}");
                }
                assert!(forbids("default-src 'none'", destination), "{destination:?}");
            }
        }
    }

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
            ("connect-src wss://a.test", "https://a.test/", true),
            ("connect-src wss://a.test", "http://a.test/", false),
            ("connect-src ws://a.test", "http://a.test/", true),
            ("connect-src https://*", "https://a.test/", true),
            ("connect-src *:8443", "https://a.test:8443/", true),
            ("connect-src https://10.0.0.1", "https://10.0.0.1/", false),
            ("connect-src a.test/x%20y", "https://a.test/x y", true),
            ("connect-src a.test/x", "https://a.test/x/y", false),
            ("connect-src a.test/x/", "https://a.test/x/y", true),
            ("connect-src a.test/x/", "https://a.test/x/y/z", true),
            ("connect-src a.test/x/", "https://a.test/x", false),
            ("connect-src a.test/x/y/", "https://a.test/x", false),
            ("connect-src a.test:8443", "https://a.test/", false),
            ("connect-src *", "https://a.test/", true),
            ("connect-src *", "http://a.test/", true),
            ("connect-src *", "data:,x", false),
            ("connect-src *a.test", "https://aa.test/", false),
            ("connect-src https://[::1]:443", "https://[::1]/", false),
            ("default-src 'none'", "https://page.test/", false),
            ("connect-src", "https://page.test/", false),
        ] {
            let url = Url::parse(url).expect("a URL");
            let policies = SourceList::of(policy, &["connect-src", "default-src"], Some(&own));
            assert_eq!(policies.iter().all(|policy| policy.allows(&url, 0)), allowed, "{policy} {url}");
        }
        // Where a redirect led is not to be learnt from paths.
        let url = Url::parse("https://a.test/y").expect("a URL");
        let lists = SourceList::of("connect-src a.test/x", &["connect-src"], Some(&own));
        assert_eq!([0, 1].map(|redirects| lists[0].allows(&url, redirects)), [false, true]);
        assert!(SourceList::of("img-src 'none'", &["connect-src"], Some(&own)).is_empty());
    }

    #[test]
    fn a_page_s_own_origin_may_be_reached_more_securely_but_not_less() {
        for (own, url, allowed) in [
            ("https://page.test", "https://page.test/a", true),
            ("https://page.test", "http://page.test/", false),
            ("https://page.test:8443", "http://page.test:8443/", false),
            ("https://page.test:8443", "https://page.test/", false),
            ("http://page.test", "https://page.test/", true),
            ("http://page.test", "http://page.test:8080/", false),
            ("http://page.test", "https://page.test:8443/", false),
            ("http://page.test:8443", "https://page.test:8443/", true),
            ("http://page.test:8080", "https://page.test/", false),
            ("http://page.test", "https://other.test/", false),
            ("http://page.test", "data:,x", false),
        ] {
            let (own, url) = (Url::parse(own).expect("a URL"), Url::parse(url).expect("a URL"));
            let lists = SourceList::of("connect-src 'self'", &["connect-src"], Some(&Origin::of(&own)));
            assert_eq!(lists[0].allows(&url, 0), allowed, "{own} {url}");
        }
    }

    #[test]
    fn paths_match_whole_or_by_their_beginning_where_they_end_in_a_slash() {
        for (pattern, path, matches) in [
            ("/", "", true),
            ("/", "/", true),
            ("/", "/x", true),
            ("/x", "", false),
            ("/x", "/x", true),
            ("/x", "/x/", false),
            ("/x/", "/x/y/z", true),
            ("/x/y/", "/x", false),
            ("/%78", "/x", true),
        ] {
            assert_eq!(path_matches(pattern, path), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn what_a_source_list_names() {
        for (list, hosts, own_origin) in [
            ("", false, false),
            ("'none'", false, false),
            ("'SELF'", false, true),
            ("https://a.test", true, false),
            ("https:", true, false),
            ("*", true, false),
            ("'self' a.test", true, true),
        ] {
            let lists = SourceList::of(&format!("frame-ancestors {list}"), &["frame-ancestors"], None);
            assert_eq!((lists[0].names_hosts(), lists[0].names_own_origin()), (hosts, own_origin), "{list}");
        }
    }
}
