//! RFC 6265bis, [The Set-Cookie Header
//! Field](https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html#name-the-set-cookie-header-field): a line,
//! read. Fetch's own draft, *parse a cookie* of the layered cookies, says the same of everything that is read here.

use std::time::Duration;

use crosscheck_servers::whole_number;

use super::cookie_date;
use super::header_value::{is_tab_or_space, trim};
use super::trace::Trace;

/// A set-cookie-string, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetCookie {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// The value of Domain in lower case; an empty one is as good as none.
    pub(crate) domain: Vec<u8>,
    /// The value of Path, or the default path; nothing where there is no Path.
    pub(crate) path: Option<String>,
    pub(crate) secure: bool,
    pub(crate) partitioned: bool,
    pub(crate) same_site: SameSite,
    /// When it dies, on the clock of the model; nothing where it lives as long as the session.
    pub(crate) expires: Option<Duration>,
}

/// The SameSite attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SameSite {
    None,
    Lax,
    Strict,
    /// No attribute.
    Missing,
    /// A value that is none of these.
    Unknown,
}

/// The most octets of name and value together.
const PAIR: usize = 4096;
/// The most octets of an attribute's value.
const ATTRIBUTE: usize = 1024;
/// *cookie-age-limit*: no cookie lives longer than 400 days.
const AGE: u64 = 400 * 24 * 60 * 60;
/// When the clock of the model begins, in seconds from 1970: with the year 2024. Dates of cases lie many years away on
/// either side.
const START: i64 = 1_704_067_200;

impl SetCookie {
    /// *Parse a set-cookie-string*; nothing where it is ignored entirely. `default_path` is that of the request.
    pub(crate) fn parse(trace: &mut Trace, line: &[u8], default_path: &str, now: Duration) -> Option<Self> {
        // 1. Control characters make it void.
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return None;
        }
        // 2. The pair ends at the first semicolon.
        let mut parts = line.split(|byte| *byte == b';');
        // 3, 4. Without an equals sign the name is empty.
        let (name, value) = halves(parts.next().unwrap_or_default()).unwrap_or_else(|value| (b"", value));
        // 5. Both together have a limit.
        if trace.rule("cookies.pair-limit", name.len() + value.len() > PAIR) {
            return None;
        }
        let mut cookie = Self {
            name: name.to_vec(),
            value: value.to_vec(),
            domain: Vec::new(),
            path: None,
            secure: false,
            partitioned: false,
            same_site: SameSite::Missing,
            expires: None,
        };
        let mut max_age_seen = false;
        for part in parts {
            let (name, value) = halves(part).unwrap_or_else(|name| (name, b""));
            // 6 of the attributes: what is too long is passed over.
            if trace.rule("cookies.attribute-limit", value.len() > ATTRIBUTE) {
                continue;
            }
            match name.to_ascii_lowercase().as_slice() {
                b"expires" => {
                    let date = expires(trace, value);
                    let covered = date.is_some() && max_age_seen;
                    if !trace.rule("cookies.max-age-first", covered) && date.is_some() {
                        cookie.expires = date.map(|date| limited(date, now));
                    }
                }
                b"max-age" => {
                    if let Some(age) = max_age(trace, value) {
                        max_age_seen = true;
                        // What has no age left is from the beginning of time.
                        let lives = !age.is_zero();
                        let end = if lives { limited(now.saturating_add(age), now) } else { Duration::ZERO };
                        cookie.expires = Some(end);
                    }
                }
                b"domain" => cookie.domain = value.strip_prefix(b".").unwrap_or(value).to_ascii_lowercase(),
                b"path" => {
                    let path = match value.starts_with(b"/") {
                        true => value.iter().copied().map(char::from).collect(),
                        false => default_path.to_owned(),
                    };
                    cookie.path = Some(path);
                }
                b"secure" => cookie.secure = true,
                b"partitioned" => cookie.partitioned = true,
                b"samesite" => {
                    cookie.same_site = match value.to_ascii_lowercase().as_slice() {
                        b"none" => SameSite::None,
                        b"lax" => SameSite::Lax,
                        b"strict" => SameSite::Strict,
                        _ => SameSite::Unknown,
                    };
                }
                _ => {}
            }
        }
        Some(cookie)
    }
}

/// What stands before the first equals sign and after it, without white space around; all of it where there is none.
fn halves(part: &[u8]) -> Result<(&[u8], &[u8]), &[u8]> {
    let trimmed = |bytes| trim(bytes, is_tab_or_space);
    match part.iter().position(|byte| *byte == b'=') {
        Some(at) => Ok((trimmed(&part[..at]), trimmed(&part[at + 1..]))),
        None => Err(trimmed(part)),
    }
}

/// No expiry-time lies further ahead than the age limit.
fn limited(expires: Duration, now: Duration) -> Duration {
    expires.min(now.saturating_add(Duration::from_secs(AGE)))
}

/// *The Expires Attribute*: the date on the clock of the model, whose beginning stands for all that is earlier; nothing
/// where the attribute is ignored.
fn expires(trace: &mut Trace, value: &[u8]) -> Option<Duration> {
    let seconds = cookie_date::parse(value);
    if trace.rule("cookies.expires-ignored", seconds.is_none()) {
        return None;
    }
    let ahead = u64::try_from(seconds.unwrap_or(START).saturating_sub(START)).unwrap_or(0);
    (ahead > 0 || trace.rule("cookies.expires", true)).then(|| Duration::from_secs(ahead))
}

/// *The Max-Age Attribute*: how long the cookie lives, not at all where the number is not above zero; nothing where the
/// attribute is ignored.
fn max_age(trace: &mut Trace, value: &[u8]) -> Option<Duration> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    let number = whole_number(digits);
    if trace.rule("cookies.max-age-ignored", number.is_none()) {
        return None;
    }
    // One who does not ignore it takes it for nothing.
    let seconds = number.filter(|_| digits.len() == value.len()).unwrap_or(0);
    (seconds > 0 || trace.rule("cookies.max-age", true)).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);
    const LIMIT: Duration = Duration::from_secs(1000 + 400 * 86_400);

    fn parse(line: &[u8]) -> Option<SetCookie> {
        SetCookie::parse(&mut Trace::default(), line, "/default", NOW)
    }

    #[test]
    fn names_and_values() {
        for (line, pair) in [
            ("a=1", Some(("a", "1"))),
            (" \ta \t=\t 1 2 ; Secure", Some(("a", "1 2"))),
            ("a=b=c", Some(("a", "b=c"))),
            ("a=\"1\"", Some(("a", "\"1\""))),
            ("a", Some(("", "a"))),
            ("=a", Some(("", "a"))),
            ("=", Some(("", ""))),
            ("", Some(("", ""))),
            (";a=1", Some(("", ""))),
            ("a=1\t2", Some(("a", "1\t2"))),
            ("a=1\u{1}", None),
            ("a=1; b=\u{1f}", None),
            ("a=1\u{7f}", None),
        ] {
            let cookie = parse(line.as_bytes());
            let found = cookie.as_ref().map(|cookie| (cookie.name.as_slice(), cookie.value.as_slice()));
            assert_eq!(found, pair.map(|(name, value)| (name.as_bytes(), value.as_bytes())), "{line:?}");
        }
        let latin = parse(b"a=\xa01\x85; Path=\xa0/").expect("a cookie");
        assert_eq!((latin.value, latin.path.as_deref()), (b"\xa01\x85".to_vec(), Some("/default")), "no white space");
    }

    #[test]
    fn lengths_are_limited() {
        for (name, value, is_read) in [(1, 4095, true), (1, 4096, false), (4096, 0, true), (4097, 0, false)] {
            let line = format!(" {} = {} ", "n".repeat(name), "v".repeat(value));
            assert_eq!(parse(line.as_bytes()).is_some(), is_read, "{name} {value}");
        }
        for (length, is_read) in [(1024, true), (1025, false)] {
            let path = format!("/{}", "p".repeat(length - 1));
            let cookie = parse(format!("a=1; Path=/p; Path= {path}").as_bytes()).expect("a cookie");
            let expected = if is_read { path.as_str() } else { "/p" };
            assert_eq!(cookie.path.as_deref(), Some(expected), "{length}");
        }
    }

    /// Max-Age and Expires, and when the cookie ends in seconds from now.
    #[test]
    fn ages_and_dates() {
        const ENDS: Option<Duration> = Some(Duration::ZERO);
        let after = |seconds: u64| Some(NOW + Duration::from_secs(seconds));
        for (attributes, expires) in [
            ("", None),
            ("Max-Age=60", after(60)),
            ("max-age = 60 ", after(60)),
            ("Max-Age=060", after(60)),
            ("Max-Age=0", ENDS),
            ("Max-Age=00", ENDS),
            ("Max-Age=-0", ENDS),
            ("Max-Age=-1", ENDS),
            ("Max-Age=-99999999999999999999", ENDS),
            ("Max-Age=34560000", Some(LIMIT)),
            ("Max-Age=34560001", Some(LIMIT)),
            ("Max-Age=9223372036854775808", Some(LIMIT)),
            ("Max-Age=99999999999999999999999", Some(LIMIT)),
            ("Max-Age", None),
            ("Max-Age=", None),
            ("Max-Age=+0", None),
            ("Max-Age=+60", None),
            ("Max-Age=-", None),
            ("Max-Age=--1", None),
            ("Max-Age=- 1", None),
            ("Max-Age=6 0", None),
            ("Max-Age=0.5", None),
            ("Max-Age=0x10", None),
            ("Max-Age=\"0\"", None),
            ("Max-Age=60; Max-Age=0", ENDS),
            ("Max-Age=60; Max-Age=+0", after(60)),
            ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", ENDS),
            ("Expires=Thu, 01-Jan-70 00:00:00 GMT", ENDS),
            ("Expires=Fri, 31-Dec-99 23:59:59 GMT", ENDS),
            ("Expires=Sun, 31 Dec 2023 23:59:59 GMT", ENDS),
            ("Expires=Mon, 01 Jan 2024 00:30:00 GMT", Some(Duration::from_secs(1800))),
            ("Expires=Mon, 01-Jan-24 00:30:00 GMT", Some(Duration::from_secs(1800))),
            ("Expires=Tue, 01-Jan-69 00:00:00 GMT", Some(LIMIT)),
            ("Expires=Fri, 31 Dec 9999 23:59:59 GMT", Some(LIMIT)),
            ("Expires=Fri, 30 Feb 2001 00:00:00 GMT", None),
            ("Expires=0", None),
            ("Expires=", None),
            ("Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=nonsense", ENDS),
            ("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", after(60)),
            ("Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", after(60)),
            ("Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=+60", ENDS),
            ("Max-Age=0; Expires=Thu, 01 Jan 2099 00:00:00 GMT", ENDS),
        ] {
            let cookie = parse(format!("a=1; {attributes}").as_bytes()).expect("a cookie");
            assert_eq!(cookie.expires, expires, "{attributes}");
        }
    }

    #[test]
    fn other_attributes() {
        let plain = parse(b"a=1").expect("a cookie");
        let (path, domain) = (|path: &str| Some(path.to_owned()), |domain: &[u8]| domain.to_vec());
        for (attributes, expected) in [
            ("Path=/x", SetCookie { path: path("/x"), ..plain.clone() }),
            ("pAtH=/x; Path=/y", SetCookie { path: path("/y"), ..plain.clone() }),
            ("Path=/x; Path", SetCookie { path: path("/default"), ..plain.clone() }),
            ("Path=/x; Path=x", SetCookie { path: path("/default"), ..plain.clone() }),
            ("Domain=.A.Test", SetCookie { domain: domain(b"a.test"), ..plain.clone() }),
            ("Domain=..a.test", SetCookie { domain: domain(b".a.test"), ..plain.clone() }),
            ("Domain=a.test; Domain", plain.clone()),
            ("Secure=false", SetCookie { secure: true, ..plain.clone() }),
            ("Partitioned", SetCookie { partitioned: true, ..plain.clone() }),
            ("SameSite=nONE", SetCookie { same_site: SameSite::None, ..plain.clone() }),
            ("SameSite=Strict; SameSite=Lax", SetCookie { same_site: SameSite::Lax, ..plain.clone() }),
            ("SameSite=Strict; SameSite", SetCookie { same_site: SameSite::Unknown, ..plain.clone() }),
            ("HttpOnly; Unknown=1;;=; ", plain.clone()),
        ] {
            assert_eq!(parse(format!("a=1;{attributes}").as_bytes()), Some(expected), "{attributes}");
        }
    }
}
