//! Cookies as far as they decide what is sent. (RFC 6265bis, Fetch *Cookies*)

use std::time::Duration;

use crosscheck_servers::ByteString;
use url::{Host, Url};

use super::header_value::{is_tab_or_space, trim};
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SameSite {
    /// `None`, and no attribute: what an absent attribute means is the user agent's choice.
    Unset,
    /// `Lax` and `Strict`, which differ for navigations only.
    Protected,
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

impl Cookie {
    fn is_replaced_by(&self, new: &Self) -> bool {
        self.name == new.name && self.domain == new.domain && self.host_only == new.host_only && self.path == new.path
    }
}

impl CookieJar {
    /// *Parse and store a cookie* of one Set-Cookie line.
    pub(crate) fn store(&mut self, line: &ByteString, url: &Url, mode: SameSiteMode, now: Duration) {
        let Some(host) = url.host_str() else { return };
        if line.as_bytes().iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return;
        }
        let mut parts = line.as_bytes().split(|byte| *byte == b';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (&b""[..], pair),
        };
        let mut cookie = Cookie {
            name: trim(name, is_tab_or_space).to_vec(),
            value: trim(value, is_tab_or_space).to_vec(),
            domain: host.to_owned(),
            host_only: true,
            path: default_path(url.path()),
            secure: false,
            same_site: SameSite::Unset,
            expires: None,
        };
        let mut domain = String::new();
        let mut has_path = false;
        let mut has_max_age = false;
        let mut none = false;
        let mut partitioned = false;
        for part in parts {
            let text: String = part.iter().map(|byte| char::from(*byte)).collect();
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "secure" => cookie.secure = true,
                "path" => {
                    has_path = true;
                    if value.starts_with('/') {
                        value.clone_into(&mut cookie.path);
                    }
                }
                "domain" => domain = value.strip_prefix('.').unwrap_or(value).to_ascii_lowercase(),
                "max-age" => {
                    if let Ok(seconds) = value.parse::<i64>() {
                        has_max_age = true;
                        cookie.expires = Some(match u64::try_from(seconds) {
                            Ok(seconds) => now.saturating_add(Duration::from_secs(seconds)),
                            Err(_) => Duration::ZERO,
                        });
                    }
                }
                "expires" if !has_max_age && is_past_date(value) => cookie.expires = Some(Duration::ZERO),
                "partitioned" => partitioned = true,
                "samesite" => {
                    none = value.eq_ignore_ascii_case("none");
                    cookie.same_site = match value.to_ascii_lowercase().as_str() {
                        "strict" | "lax" => SameSite::Protected,
                        _ => SameSite::Unset,
                    };
                }
                _ => {}
            }
        }
        // The last one counts, and an empty one is as good as none.
        if !domain.is_empty() {
            if !domain_matches(host, &domain) || psl::domain_str(&domain).is_none() && domain != host {
                return;
            }
            cookie.host_only = psl::domain_str(&domain).is_none();
            cookie.domain = domain;
        }
        let begins = |text: &[u8], prefix: &[u8]| {
            text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let prefix = |prefix: &[u8]| begins(&cookie.name, prefix);
        let refused = (cookie.secure && url.scheme() != "https")
            || ((none || partitioned) && !cookie.secure)
            || (cookie.name.is_empty()
                && (cookie.value.is_empty()
                    || begins(&cookie.value, b"__Secure-")
                    || begins(&cookie.value, b"__Host-")))
            || (prefix(b"__Secure-") && !cookie.secure)
            || (prefix(b"__Host-") && !(cookie.secure && cookie.host_only && has_path && cookie.path == "/"))
            || (cookie.same_site != SameSite::Unset && mode == SameSiteMode::Unset);
        if refused {
            return;
        }
        let lives = cookie.expires.is_none_or(|expires| expires > now);
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

    /// The value of a Cookie header, or nothing where no cookie matches.
    pub(crate) fn header(&self, trace: &mut Trace, url: &Url, mode: SameSiteMode, now: Duration) -> Option<ByteString> {
        if self.0.is_empty() {
            return None;
        }
        let host = url.host_str()?;
        let mut cookies: Vec<&Cookie> = self
            .0
            .iter()
            .filter(|cookie| {
                let here = if cookie.host_only { cookie.domain == host } else { domain_matches(host, &cookie.domain) };
                here && path_matches(url.path(), &cookie.path) || !trace.rule("fetch.cookie.5a", true)
            })
            .collect();
        cookies.retain(|cookie| !cookie.secure || url.scheme() == "https" || !trace.rule("fetch.cookie.5b", true));
        let mut cookies: Vec<&Cookie> = cookies
            .into_iter()
            .filter(|cookie| match cookie.same_site {
                SameSite::Unset => true,
                SameSite::Protected => mode == SameSiteMode::Strict,
            })
            .filter(|cookie| cookie.expires.is_none_or(|expires| expires > now))
            .collect();
        // Longer paths first, then as they were made.
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
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

/// Whether an Expires date lies in the past. The model has no calendar but the year, and takes 2024 for the first that is
/// not over: dates of cases lie many years away on either side.
fn is_past_date(value: &str) -> bool {
    let year = value.split([' ', '-']).filter(|part| part.len() == 4).find_map(|part| part.parse::<u16>().ok());
    year.is_some_and(|year| year < 2024)
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

    #[test]
    fn what_is_stored_and_sent() {
        let any = SameSiteMode::Strict;
        for (set_at, line, sent_to, mode, sent) in [
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
            jar.store(&line.into(), &url(set_at), any, Duration::ZERO);
            let header =
                jar.header(&mut Trace::default(), &url(sent_to), mode, Duration::ZERO).map(|value| value.to_string());
            assert_eq!(header.as_deref(), sent, "{line} of {set_at} to {sent_to}");
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
            ("a=1; Expires=Sun, 31 Dec 2023 23:59:59 GMT", None, None),
            ("a=1; Expires=Mon, 01 Jan 2024 00:00:00 GMT", Some("a=1"), None),
            ("a=1; Expires=Thu, 01-Jan-2099 00:00:00 GMT", Some("a=1"), None),
            ("a=1; Expires=nonsense", Some("a=1"), None),
            ("a=1; Max-Age=-1", None, None),
            ("a=1; Max-Age=nonsense", Some("a=1"), None),
            ("a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some("a=1"), None),
            ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", Some("a=1"), None),
            ("a=1; Max-Age=0; Expires=Thu, 01 Jan 2099 00:00:00 GMT", None, None),
        ] {
            let mut jar = CookieJar::default();
            jar.store(&line.into(), &url("https://a.page.test/"), SameSiteMode::Strict, Duration::ZERO);
            let sent = |to: &str| {
                let header = jar.header(&mut Trace::default(), &url(to), SameSiteMode::Strict, Duration::ZERO);
                header.map(|value| value.to_string())
            };
            assert_eq!(sent("https://a.page.test/").as_deref(), to_itself, "{line:?}");
            assert_eq!(sent("https://b.page.test/").as_deref(), to_sibling, "{line:?}");
        }
    }

    #[test]
    fn a_cookie_gives_way_to_one_of_its_name_domain_and_path_and_keeps_its_place() {
        const PAGE: &str = "https://page.test/";
        for (stored, sent) in [
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
                jar.store(&(*line).into(), &url(from), SameSiteMode::Strict, Duration::ZERO);
            }
            let header =
                jar.header(&mut Trace::default(), &url("https://page.test/x"), SameSiteMode::Strict, Duration::ZERO);
            assert_eq!(header.expect("a cookie").to_string(), sent, "{stored:?}");
        }
    }

    #[test]
    fn protected_cookies_are_not_taken_from_other_sites() {
        for (line, mode, is_kept) in [
            ("a=1", SameSiteMode::Unset, true),
            ("a=1; SameSite=Lax", SameSiteMode::Unset, false),
            ("a=1; SameSite=Strict", SameSiteMode::Unset, false),
            ("a=1; SameSite=None; Secure", SameSiteMode::Unset, true),
            ("a=1; SameSite=Lax", SameSiteMode::Strict, true),
        ] {
            let mut jar = CookieJar::default();
            jar.store(&line.into(), &url("https://page.test/"), mode, Duration::ZERO);
            let header =
                jar.header(&mut Trace::default(), &url("https://page.test/"), SameSiteMode::Strict, Duration::ZERO);
            assert_eq!(header.is_some(), is_kept, "{line} {mode:?}");
        }
    }

    #[test]
    fn a_cookie_lives_as_long_as_its_max_age_from_when_it_was_set() {
        let mut jar = CookieJar::default();
        let (page, set_at) = (url("https://page.test/"), Duration::from_secs(100));
        jar.store(&"a=1; Max-Age=60".into(), &page, SameSiteMode::Strict, set_at);
        for (after, is_sent) in [(0, true), (59, true), (60, false), (61, false)] {
            let now = set_at + Duration::from_secs(after);
            let header = jar.header(&mut Trace::default(), &page, SameSiteMode::Strict, now);
            assert_eq!(header.is_some(), is_sent, "after {after} seconds");
        }
    }
}
