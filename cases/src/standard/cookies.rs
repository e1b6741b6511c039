//! Cookies as far as they decide what is sent. (RFC 6265bis,
//! [Storage Model](https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html#name-storage-model); Fetch,
//! [Cookies](https://fetch.spec.whatwg.org/#cookies))

use std::time::Duration;

use crosscheck_servers::ByteString;
use url::{Host, Url};

use super::origin::Origin;
use super::set_cookie::{SameSite, SetCookie};
use super::trace::Trace;

/// A user agent's cookies.
#[derive(Clone, Debug, Default)]
pub(crate) struct CookieJar(Vec<Cookie>);

#[derive(Clone, Debug)]
struct Cookie {
    name: Vec<u8>,
    value: Vec<u8>,
    domain: String,
    host_only: bool,
    path: String,
    secure: bool,
    same_site: SameSite,
    expires: Option<Duration>,
    /// The port that it came from, where that is not the scheme's own.
    port: Option<u16>,
}

/// Which cookies a request may carry. (*determine the same-site mode*; "lax-or-less" is for navigations, which are not
/// modelled.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SameSiteMode {
    /// "strict-or-less": all.
    Strict,
    /// "unset-or-less": those without SameSite protection.
    Unset,
}

/// Whether an origin is of one site with that of the top-level document, as cookies see it.
pub(crate) fn is_same_site(trace: &mut Trace, origin: &Origin, top_level: &Origin) -> bool {
    let (Origin::Tuple(one), Origin::Tuple(other)) = (origin, top_level) else { return false };
    if origin.is_same_site(top_level) {
        return one.port == other.port || trace.rule("cookies.samesite.port", true);
    }
    origin.is_schemelessly_same_site(top_level) && !trace.rule("cookies.samesite.schemeful", true)
}

/// A request as far as it matters to cookies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CookieRequest<'r> {
    /// Where it goes.
    pub(crate) url: &'r Url,
    /// Whether that is the origin that it comes from.
    pub(crate) is_same_origin: bool,
    /// Whether it is of the same site with all that is around.
    pub(crate) mode: SameSiteMode,
    /// When it is made.
    pub(crate) now: Duration,
}

impl Cookie {
    fn is_replaced_by(&self, new: &Self) -> bool {
        self.name == new.name && self.domain == new.domain && self.host_only == new.host_only && self.path == new.path
    }

    /// Whether it belongs to the host and path of a URL.
    fn is_for(&self, trace: &mut Trace, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let is_below = self.domain != host && domain_matches(host, &self.domain);
        let goes_below = is_below
            && match self.host_only {
                true => !trace.rule("cookies.host-only", true),
                false => trace.rule("cookies.domain-subdomains", true),
            };
        (self.domain == host || goes_below)
            && (self.port == url.port() || trace.rule("cookies.port-shared", true))
            && path_matches(url.path(), &self.path)
    }

    /// Whether its SameSite attribute lets it go out with a request.
    fn may_cross(&self, trace: &mut Trace, request: &CookieRequest<'_>) -> bool {
        if request.mode == SameSiteMode::Strict {
            let is_told = self.same_site == SameSite::Strict && !request.is_same_origin;
            return !is_told || trace.rule("cookies.samesite.strict.same-site", true);
        }
        match self.same_site {
            SameSite::None => trace.rule("cookies.samesite.none", true),
            SameSite::Lax => !trace.rule("cookies.samesite.lax.subresource", true),
            SameSite::Strict => !trace.rule("cookies.samesite.strict.subresource", true),
            SameSite::Missing => !trace.rule("cookies.samesite.missing", true),
            SameSite::Unknown => !trace.rule("cookies.samesite.invalid", true),
        }
    }
}

/// Whether the cookie's name, or the value of one without a name, begins with one of the prefixes, in any letter case.
fn has_prefix(line: &SetCookie, prefix: &[u8]) -> bool {
    let text = if line.name.is_empty() { &line.value } else { &line.name };
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The cookie of a line, where it may be set by the answer to a request. (RFC 6265bis, *Storage Model*)
fn accept(trace: &mut Trace, line: SetCookie, default_path: String, request: &CookieRequest<'_>) -> Option<Cookie> {
    let host = request.url.host_str()?;
    // 8. A Domain is ASCII.
    let mut domain = std::str::from_utf8(&line.domain).ok().filter(|domain| domain.is_ascii())?;
    // 9. A public suffix is nobody's Domain but its own.
    let is_public_suffix = !domain.is_empty() && psl::domain_str(domain).is_none();
    if is_public_suffix && trace.rule("cookies.domain-public-suffix", true) {
        if domain != host {
            return None;
        }
        domain = "";
    }
    // 10. The host is of the Domain.
    let mismatch = !domain.is_empty() && !domain_matches(host, domain);
    if mismatch && trace.rule("cookies.domain-mismatch", true) {
        return None;
    }
    let (is_nameless, has_path) = (line.name.is_empty(), line.path.is_some());
    let (is_secure, is_host) = (has_prefix(&line, b"__Secure-"), has_prefix(&line, b"__Host-"));
    let cookie = Cookie {
        host_only: domain.is_empty(),
        domain: if domain.is_empty() { host } else { domain }.to_owned(),
        path: line.path.unwrap_or(default_path),
        secure: line.secure,
        same_site: line.same_site,
        expires: line.expires,
        port: request.url.port(),
        name: line.name,
        value: line.value,
    };
    let keeps_host_prefix = cookie.secure && cookie.host_only && has_path && cookie.path == "/";
    let lets_in = request.mode == SameSiteMode::Strict || cookie.same_site == SameSite::None;
    let is_refused = trace.rule("cookies.secure-set-insecure", cookie.secure && request.url.scheme() != "https")
        || trace.rule("cookies.samesite.none-insecure", cookie.same_site == SameSite::None && !cookie.secure)
        || (line.partitioned && !cookie.secure)
        || (is_nameless && cookie.value.is_empty())
        || trace.rule("cookies.prefix-nameless", is_nameless && (is_secure || is_host))
        || trace.rule("cookies.prefix-secure", !is_nameless && is_secure && !cookie.secure)
        || trace.rule("cookies.prefix-host", !is_nameless && is_host && !keeps_host_prefix)
        || trace.rule("cookies.samesite.set-cross-site", !lets_in);
    (!is_refused).then_some(cookie)
}

impl CookieJar {
    /// *Parse and store a cookie* of one Set-Cookie line in the answer to a request.
    pub(crate) fn store(&mut self, trace: &mut Trace, line: &ByteString, request: &CookieRequest<'_>) {
        let default_path = default_path(request.url.path());
        let Some(line) = SetCookie::parse(trace, line.as_bytes(), &default_path, request.now) else { return };
        let Some(cookie) = accept(trace, line, default_path, request) else { return };
        let is_covered = |other: &Cookie| {
            let one_domain =
                domain_matches(&cookie.domain, &other.domain) || domain_matches(&other.domain, &cookie.domain);
            other.secure && other.name == cookie.name && one_domain && path_matches(&cookie.path, &other.path)
        };
        let overlays = !cookie.secure && request.url.scheme() != "https" && self.0.iter().any(is_covered);
        if trace.rule("cookies.secure-overlay", overlays) {
            return;
        }
        let lives = cookie.expires.is_none_or(|expires| expires > request.now);
        match self.0.iter().position(|other| other.is_replaced_by(&cookie)) {
            // It keeps its creation time, and with it its place.
            Some(at) if lives => self.0[at] = cookie,
            Some(at) => {
                self.0.remove(at);
            }
            None if lives => self.0.push(cookie),
            None => {}
        }
    }

    /// The value of a request's Cookie header, or nothing where no cookie matches.
    pub(crate) fn header(&self, trace: &mut Trace, request: &CookieRequest<'_>) -> Option<ByteString> {
        let mut cookies: Vec<&Cookie> = self.0.iter().collect();
        cookies.retain(|cookie| cookie.expires.is_none_or(|expires| expires > request.now));
        cookies.retain(|cookie| cookie.is_for(trace, request.url) || !trace.rule("fetch.cookie.5a", true));
        let is_insecure = request.url.scheme() != "https";
        cookies.retain(|cookie| {
            let is_kept_back = cookie.secure && is_insecure;
            trace.note("cookies.secure-send", is_kept_back);
            !trace.rule("fetch.cookie.5b", is_kept_back)
        });
        cookies.retain(|cookie| cookie.may_cross(trace, request));
        // Longer paths first, then as they were made.
        if trace.rule("cookies.order", cookies.len() > 1) {
            cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        }
        let pairs: Vec<Vec<u8>> = cookies
            .into_iter()
            .map(|cookie| {
                if cookie.name.is_empty() {
                    cookie.value.clone()
                } else {
                    [cookie.name.as_slice(), &cookie.value].join(&b"="[..])
                }
            })
            .collect();
        (!pairs.is_empty()).then(|| pairs.join(&b"; "[..]).into())
    }
}

/// *Cookie default path*
fn default_path(path: &str) -> String {
    match path.rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(last) => path[..last].to_owned(),
    }
}

fn path_matches(path: &str, cookie: &str) -> bool {
    path == cookie || path.strip_prefix(cookie).is_some_and(|rest| cookie.ends_with('/') || rest.starts_with('/'))
}

fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain
        || (matches!(Host::parse(host), Ok(Host::Domain(_)))
            && host.strip_suffix(domain).is_some_and(|before| before.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn request(url: &Url, mode: SameSiteMode, now: Duration) -> CookieRequest<'_> {
        CookieRequest { url, is_same_origin: true, mode, now }
    }

    /// Stores a line of an answer from a URL.
    fn set(jar: &mut CookieJar, from: &str, line: &str, mode: SameSiteMode) {
        jar.store(&mut Trace::default(), &line.into(), &request(&url(from), mode, Duration::ZERO));
    }

    /// The Cookie header of a request to a URL.
    fn sent(jar: &CookieJar, to: &str, mode: SameSiteMode) -> Option<String> {
        jar.header(&mut Trace::default(), &request(&url(to), mode, Duration::ZERO)).map(|value| value.to_string())
    }

    #[test]
    fn what_is_stored_and_sent() {
        let any = SameSiteMode::Strict;
        for (set_at, line, sent_to, mode, expected) in [
            ("https://a.page.test/x/", "a=1", "https://a.page.test/x/y", any, Some("a=1")),
            ("https://a.page.test/x/", "a=1", "https://a.page.test/z", any, None),
            ("https://a.page.test/", "a=1", "https://b.page.test/", any, None),
            ("https://a.page.test/", "a=1; Domain=page.test", "https://b.page.test/", any, Some("a=1")),
            ("https://a.page.test/", "a=1; Domain=test", "https://a.page.test/", any, None),
            ("https://a.page.test/", "a=1; Domain=other.test", "https://a.page.test/", any, None),
            ("https://a.page.test/", "a=1; Domain=other.test", "https://other.test/", any, None),
            ("https://a.page.test/", "a=1; Domain=test", "https://test/", any, None),
            ("https://test/", "a=1; Domain=test", "https://test/", any, Some("a=1")),
            ("https://a.page.test/", "a=1; Partitioned", "https://a.page.test/", any, None),
            ("https://a.page.test/", "a=1; Partitioned; Secure", "https://a.page.test/", any, Some("a=1")),
            ("https://a.page.test/", "a=1; SameSite=None", "https://a.page.test/", any, None),
            ("https://a.page.test/", "__Secure-a=1", "https://a.page.test/", any, None),
            ("https://a.page.test/", "__Secure-a=1; Secure", "https://a.page.test/", any, Some("__Secure-a=1")),
            ("https://a.page.test/", "a=1; Secure", "http://a.page.test/", any, None),
            ("http://a.page.test/", "a=1; Secure", "https://a.page.test/", any, None),
            ("https://a.page.test/", "a=1,b=2", "https://a.page.test/", any, Some("a=1,b=2")),
            ("https://a.page.test/", "a=1; Max-Age=0", "https://a.page.test/", any, None),
            ("https://a.page.test/", "__Host-a=1; Secure; Path=/", "https://a.page.test/", any, Some("__Host-a=1")),
            (
                "https://a.page.test/",
                "__hOST-a=1; Secure; Path=/x; Path",
                "https://a.page.test/",
                any,
                Some("__hOST-a=1"),
            ),
            ("https://a.page.test/", "__Host-a=1; Secure", "https://a.page.test/", any, None),
            ("https://a.page.test/", "__Host-a=1; Path=/", "https://a.page.test/", any, None),
            ("https://a.page.test/", "=__Host-a=1", "https://a.page.test/", any, None),
            ("https://a.page.test/", "=", "https://a.page.test/", any, None),
            ("https://a.page.test/", "a", "https://a.page.test/", any, Some("a")),
            ("https://a.page.test/", "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "https://a.page.test/", any, None),
            ("https://localhost/", "a=1; Secure", "http://localhost/", any, None),
            ("https://a.page.test/", "a=1; SameSite=Lax", "https://a.page.test/", SameSiteMode::Unset, None),
            ("https://a.page.test/", "a=1; SameSite=Strict", "https://a.page.test/", SameSiteMode::Unset, None),
        ] {
            let mut jar = CookieJar::default();
            set(&mut jar, set_at, line, any);
            let header = sent(&jar, sent_to, mode);
            assert_eq!(header.as_deref(), expected, "{line} of {set_at} to {sent_to}");
        }
    }

    #[test]
    fn attributes_decide_whether_a_cookie_is_kept_and_where_it_goes() {
        for (line, to_itself, to_sibling) in [
            ("a=1\t2", Some("a=1\t2"), None),
            ("a=1\u{1}2", None, None),
            ("a=1\u{7f}", None, None),
            ("a=1; Domain=", Some("a=1"), None),
            ("a=1; Domain=.", Some("a=1"), None),
            ("a=1; Domain=page.test; Domain=", Some("a=1"), None),
            ("a=1; Domain=other.test; Domain=.PAGE.test", Some("a=1"), Some("a=1")),
            ("a=1; Domain=page.test; Domain=other.test", None, None),
            ("a=1; Domain=p\u{e4}ge.test", None, None),
            ("a=1; Domain=test; Domain=page.test", Some("a=1"), Some("a=1")),
            ("a=1; Path=/x; Path", Some("a=1"), None),
            ("a=1; Expires=Sun, 31 Dec 2023 23:59:59 GMT", None, None),
            ("a=1; Expires=Mon, 01 Jan 2024 00:00:01 GMT", Some("a=1"), None),
            ("a=1; Expires=Thu, 01-Jan-2099 00:00:00 GMT", Some("a=1"), None),
            ("a=1; Expires=nonsense", Some("a=1"), None),
            ("a=1; Max-Age=-1", None, None),
            ("a=1; Max-Age=nonsense", Some("a=1"), None),
            ("a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some("a=1"), None),
            ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", Some("a=1"), None),
            ("a=1; Max-Age=0; Expires=Thu, 01 Jan 2099 00:00:00 GMT", None, None),
        ] {
            let mut jar = CookieJar::default();
            set(&mut jar, "https://a.page.test/", line, SameSiteMode::Strict);
            for (to, expected) in [("https://a.page.test/", to_itself), ("https://b.page.test/", to_sibling)] {
                assert_eq!(sent(&jar, to, SameSiteMode::Strict).as_deref(), expected, "{line:?} to {to}");
            }
        }
    }

    #[test]
    fn a_cookie_gives_way_to_one_of_its_name_domain_and_path_and_keeps_its_place() {
        const PAGE: &str = "https://page.test/";
        for (stored, expected) in [
            (&[(PAGE, "a=1"), (PAGE, "b=2"), (PAGE, "a=3")][..], "a=3; b=2"),
            (&[(PAGE, "a=1; Domain=page.test"), (PAGE, "a=2; Domain=page.test")], "a=2"),
            (&[(PAGE, "a=1; Path=/x"), (PAGE, "a=2; Path=/x"), (PAGE, "a=3; Path=/")], "a=2; a=3"),
            (&[(PAGE, "a=1"), (PAGE, "a=2; Domain=page.test")], "a=1; a=2"),
            (
                &[
                    ("https://w.page.test/", "a=1; Domain=page.test"),
                    ("https://w.page.test/", "a=2; Domain=w.page.test"),
                ],
                "a=1",
            ),
            // What has died leaves its place.
            (&[(PAGE, "a=1"), (PAGE, "b=2"), (PAGE, "a=; Max-Age=0"), (PAGE, "a=3")], "b=2; a=3"),
            (&[(PAGE, "a=1"), (PAGE, "b=2"), (PAGE, "a=; Max-Age=-1"), (PAGE, "a=3")], "b=2; a=3"),
            (&[(PAGE, "a=1; Max-Age=0"), (PAGE, "b=2"), (PAGE, "a=3")], "b=2; a=3"),
        ] {
            let mut jar = CookieJar::default();
            for (from, line) in stored {
                set(&mut jar, from, line, SameSiteMode::Strict);
            }
            assert_eq!(
                sent(&jar, "https://page.test/x", SameSiteMode::Strict).as_deref(),
                Some(expected),
                "{stored:?}"
            );
        }
    }

    #[test]
    fn protected_cookies_are_not_taken_from_other_sites() {
        for (line, mode, is_kept) in [
            ("a=1", SameSiteMode::Unset, false),
            ("a=1; SameSite=sloppy", SameSiteMode::Unset, false),
            ("a=1; SameSite=None; SameSite=Lax; Secure", SameSiteMode::Unset, false),
            ("a=1; SameSite=Lax", SameSiteMode::Unset, false),
            ("a=1; SameSite=Strict", SameSiteMode::Unset, false),
            ("a=1; SameSite=None; Secure", SameSiteMode::Unset, true),
            ("a=1; SameSite=Lax", SameSiteMode::Strict, true),
        ] {
            let mut jar = CookieJar::default();
            set(&mut jar, "https://page.test/", line, mode);
            assert_eq!(sent(&jar, "https://page.test/", SameSiteMode::Strict).is_some(), is_kept, "{line} {mode:?}");
        }
    }

    #[test]
    fn a_cookie_lives_as_long_as_its_max_age_from_when_it_was_set() {
        let mut jar = CookieJar::default();
        let (page, set_at) = (url("https://page.test/"), Duration::from_secs(100));
        let from = request(&page, SameSiteMode::Strict, set_at);
        jar.store(&mut Trace::default(), &"a=1; Max-Age=60".into(), &from);
        for (after, is_sent) in [(0, true), (59, true), (60, false), (61, false)] {
            let now = set_at + Duration::from_secs(after);
            let header = jar.header(&mut Trace::default(), &request(&page, SameSiteMode::Strict, now));
            assert_eq!(header.is_some(), is_sent, "after {after} seconds");
        }
    }

    #[test]
    fn insecure_answers_leave_secure_cookies_alone() {
        const SECURE: &str = "https://a.page.test/";
        for (path, from, line, expected) in [
            ("/", "http://a.page.test/", "a=2", "a=1"),
            ("/", "http://a.page.test/", "a=2; Domain=page.test", "a=1"),
            ("/", "http://a.page.test/", "a=2; Path=/x", "a=1"),
            ("/x", "http://a.page.test/", "a=2", "a=1; a=2"),
            ("/", "http://a.page.test/", "b=2", "a=1; b=2"),
            ("/", SECURE, "a=2", "a=2"),
        ] {
            let mut jar = CookieJar::default();
            set(&mut jar, SECURE, &format!("a=1; Secure; Path={path}"), SameSiteMode::Strict);
            set(&mut jar, from, line, SameSiteMode::Strict);
            let header = sent(&jar, "https://a.page.test/x", SameSiteMode::Strict);
            assert_eq!(header.as_deref(), Some(expected), "{line} of {from} over {path}");
        }
        // What is not secure protects nothing, and belongs to its own host.
        let mut jar = CookieJar::default();
        set(&mut jar, SECURE, "a=1", SameSiteMode::Strict);
        set(&mut jar, "http://a.page.test/", "a=2", SameSiteMode::Strict);
        set(&mut jar, "https://b.page.test/", "c=1; Secure", SameSiteMode::Strict);
        set(&mut jar, "http://a.page.test/", "c=2", SameSiteMode::Strict);
        assert_eq!(sent(&jar, SECURE, SameSiteMode::Strict).as_deref(), Some("a=2; c=2"));
    }

    #[test]
    fn same_site_attributes_decide_what_crosses_sites() {
        for (attribute, crosses, rule) in [
            ("; SameSite=None; Secure", true, "cookies.samesite.none"),
            ("; SameSite=Lax", false, "cookies.samesite.lax.subresource"),
            ("; SameSite=Strict", false, "cookies.samesite.strict.subresource"),
            ("; SameSite=sloppy", false, "cookies.samesite.invalid"),
            ("", false, "cookies.samesite.missing"),
        ] {
            let mut jar = CookieJar::default();
            set(&mut jar, "https://page.test/", &format!("a=1{attribute}"), SameSiteMode::Strict);
            let mut trace = Trace::default();
            let page = url("https://page.test/");
            let header = jar.header(&mut trace, &request(&page, SameSiteMode::Unset, Duration::ZERO));
            assert_eq!((header.is_some(), trace.requirements()), (crosses, vec![rule]), "{attribute}");
        }
    }

    #[test]
    fn a_strict_cookie_goes_to_other_origins_of_its_site() {
        const RULE: &str = "cookies.samesite.strict.same-site";
        let page = url("https://page.test/");
        for (attribute, is_same_origin, is_told) in
            [("Strict", false, true), ("Strict", true, false), ("Lax", false, false), ("Lax", true, false)]
        {
            let mut jar = CookieJar::default();
            set(&mut jar, "https://page.test/", &format!("a=1; SameSite={attribute}"), SameSiteMode::Strict);
            let request = CookieRequest { is_same_origin, ..request(&page, SameSiteMode::Strict, Duration::ZERO) };
            let mut trace = Trace::default();
            assert!(jar.header(&mut trace, &request).is_some(), "{attribute} {is_same_origin}");
            assert_eq!(trace.requirements().contains(&RULE), is_told, "{attribute} {is_same_origin}");
            let wrong = jar.header(&mut Trace::breaking([RULE.to_owned()]), &request);
            assert_eq!(wrong.is_none(), is_told, "{attribute} {is_same_origin}");
        }
    }

    #[test]
    fn ports_do_not_matter_and_schemes_do() {
        let page = Origin::of(&url("https://page.test/"));
        for (other, same, rules) in [
            ("https://page.test/", true, &[][..]),
            ("https://api.page.test/", true, &[]),
            ("https://page.test:8443/", true, &["cookies.samesite.port"]),
            ("http://page.test/", false, &["cookies.samesite.schemeful"]),
            ("https://other.test/", false, &[]),
            ("data:,", false, &[]),
        ] {
            let mut trace = Trace::default();
            assert_eq!(is_same_site(&mut trace, &Origin::of(&url(other)), &page), same, "{other}");
            assert_eq!(trace.requirements(), rules, "{other}");
        }
        let mut jar = CookieJar::default();
        set(&mut jar, "https://page.test:8443/", "a=1", SameSiteMode::Strict);
        for to in ["https://page.test:8443/", "https://page.test/", "https://page.test:9443/"] {
            assert_eq!(sent(&jar, to, SameSiteMode::Strict).as_deref(), Some("a=1"), "{to}");
        }
    }
}
