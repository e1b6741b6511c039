//! Fetch, *CORS check*.

use crosscheck_servers::{ByteString, Fields};

use super::fetch::NetworkError;
use super::header_value::is_http_whitespace;
use super::request::{Credentials, Request};
use super::trace::Trace;

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

/// *CORS check* for a request and the header lines of a response.
pub(crate) fn cors_check(trace: &mut Trace, request: &Request, headers: &Fields) -> Result<(), NetworkError> {
    let Some(origin) = allow_origin(trace, headers) else {
        return if trace.rule("fetch.cors-check.2", true) {
            Err(NetworkError::new("missing-allow-origin", "fetch.cors-check.2"))
        } else {
            Ok(())
        };
    };
    let lines = headers.all(ALLOW_ORIGIN).count();
    let credentials = request.includes_credentials_mode();
    let serialized = request.serialize_origin(trace);
    if origin == *"*" {
        let without = match request.credentials {
            Credentials::Omit => trace.rule("fetch.cors-check.3a", true),
            Credentials::SameOrigin => trace.rule("fetch.cors-check.3b", true),
            Credentials::Include => false,
        };
        if without && (serialized != *"null" || trace.rule("fetch.cors-check.3d", true)) {
            return Ok(()); // 3
        }
        if credentials && !trace.rule("fetch.cors-check.3c", true) {
            return Ok(());
        }
    }
    if origin != serialized
        || !trace.rule(if serialized == *"null" { "fetch.cors-check.4h" } else { "fetch.cors-check.4a" }, true)
    {
        let (class, requirement) = mismatch(&origin, &serialized, request, lines);
        if requirement == "fetch.cors-check.3c" || trace.rule(requirement, true) {
            return Err(NetworkError::new(class, requirement)); // 4
        }
    }
    if !credentials && trace.rule("fetch.cors-check.5", true) {
        return Ok(()); // 5
    }
    let value = headers.get("access-control-allow-credentials"); // 6
    if value.as_ref().is_some_and(|value| *value == *"true")
        && trace.rule(if serialized == *"null" { "fetch.cors-check.7.null" } else { "fetch.cors-check.7" }, true)
    {
        return Ok(()); // 7
    }
    let requirement = match &value {
        None => "fetch.cors-check.8a",
        Some(_) if headers.all("access-control-allow-credentials").count() > 1 => "fetch.cors-check.8d",
        Some(value) if value.eq_ignore_ascii_case("true") => "fetch.cors-check.8b",
        Some(_) => "fetch.cors-check.8c",
    };
    if trace.rule(requirement, true) {
        return Err(NetworkError::new("missing-allow-credentials", requirement)); // 8
    }
    Ok(())
}

/// CORS check 1: the value of Access-Control-Allow-Origin, all lines joined, however the name is written.
fn allow_origin(trace: &mut Trace, headers: &Fields) -> Option<ByteString> {
    let lines = || headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(ALLOW_ORIGIN));
    let (name, first) = lines().next()?;
    if *name != *"Access-Control-Allow-Origin" && !trace.rule("fetch.header-list-get.2b", true) {
        return None;
    }
    if lines().nth(1).is_some() && !trace.rule("fetch.header-list-get.2a", true) {
        return Some(first.clone());
    }
    headers.get(ALLOW_ORIGIN)
}

/// Why a value is not the serialised origin of the request: the class of reason and the requirement.
fn mismatch(
    value: &ByteString,
    serialized: &ByteString,
    request: &Request,
    lines: usize,
) -> (&'static str, &'static str) {
    let text = value.decode();
    let text = text.as_ref();
    let own = serialized.decode();
    let is_list = text.contains(',') || text.trim_matches([' ', '\t']).bytes().any(is_http_whitespace);
    if text == "*" {
        return ("wildcard-with-credentials", "fetch.cors-check.3c");
    }
    if lines > 1 {
        return ("multiple-allow-origin", "fetch.cors-check.1");
    }
    if text.is_empty() {
        return ("invalid-allow-origin", "fetch.cors-check.4k");
    }
    if is_list {
        let wildcards = text.split(',').all(|part| part.trim() == "*");
        let requirement = if wildcards { "fetch.cors-check.3e" } else { "fetch.cors-check.4g" };
        return ("multiple-allow-origin", requirement);
    }
    if text.contains('*') {
        return ("invalid-allow-origin", "fetch.cors-check.3e");
    }
    if text == "null" {
        return ("allow-origin-mismatch", "fetch.cors-check.4i");
    }
    if text.eq_ignore_ascii_case("null") {
        return ("invalid-allow-origin", "fetch.cors-check.4j");
    }
    let parsed = url::Url::parse(text).ok().filter(url::Url::has_host);
    let class = if parsed.is_some() { "allow-origin-mismatch" } else { "invalid-allow-origin" };
    if own == "null" && request.origin.serialize() == *value {
        return (class, "fetch.cors-check.4l");
    }
    if !text.is_ascii() {
        return (class, "fetch.cors-check.4m");
    }
    let requirement = match parsed {
        _ if text.eq_ignore_ascii_case(&own) => "fetch.cors-check.4e",
        _ if text.starts_with(&format!("{own}/")) => "fetch.cors-check.4b",
        Some(url) => {
            let own = url::Url::parse(&own).ok();
            let same = |part: fn(&url::Url) -> Option<String>| own.as_ref().is_some_and(|own| part(own) == part(&url));
            if !same(|url| url.host_str().map(ToOwned::to_owned)) {
                "fetch.cors-check.4f"
            } else if !same(|url| Some(url.scheme().to_owned())) {
                "fetch.cors-check.4c"
            } else {
                "fetch.cors-check.4d"
            }
        }
        None => "fetch.cors-check.4f",
    };
    (class, requirement)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::Credentials::{Include, Omit, SameOrigin};
    use super::*;
    use crate::standard::origin::Origin;

    const PAGE: &str = "https://page.test:8443";
    const NAME: &str = "Access-Control-Allow-Origin";

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    /// A request whose origin is that of the first URL (`null`: an opaque one) to the others, one after another.
    fn request(hops: &[&str], credentials: Credentials) -> Request {
        let origin = Url::parse(hops[0]).map_or(Origin::Opaque, |own| Origin::of(&own));
        let mut request = Request::new(url(hops[1]), origin);
        request.url_list = hops[1..].iter().map(|hop| url(hop)).collect();
        request.credentials = credentials;
        request
    }

    fn lines(lines: &[(&str, &str)]) -> Fields {
        lines.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn what_passes_the_check_and_by_which_rule() {
        let own = &[PAGE, "https://api.test"][..];
        let opaque = &["null", "https://api.test"][..];
        // From one foreign server to another.
        let tainted = &[PAGE, "https://api.test", "https://other.test"][..];
        let allow = ("Access-Control-Allow-Credentials", "true");
        let null = (NAME, "null");
        for (hops, credentials, headers, expected) in [
            (own, Omit, &[(NAME, "*")][..], &["fetch.cors-check.3a"][..]),
            (own, SameOrigin, &[(NAME, "*")], &["fetch.cors-check.3b"]),
            (opaque, Omit, &[(NAME, "*")], &["fetch.cors-check.3a", "fetch.cors-check.3d"]),
            (opaque, SameOrigin, &[(NAME, "*")], &["fetch.cors-check.3b", "fetch.cors-check.3d"]),
            (tainted, Omit, &[(NAME, "*")], &["fetch.cors-check.3a", "fetch.cors-check.3d"]),
            (own, Omit, &[(NAME, PAGE)], &["fetch.cors-check.4a", "fetch.cors-check.5"]),
            (own, SameOrigin, &[(NAME, PAGE), allow], &["fetch.cors-check.4a", "fetch.cors-check.5"]),
            (own, Include, &[(NAME, PAGE), allow], &["fetch.cors-check.4a", "fetch.cors-check.7"]),
            (opaque, Omit, &[null], &["fetch.cors-check.4h", "fetch.cors-check.5"]),
            (tainted, SameOrigin, &[null], &["fetch.cors-check.4h", "fetch.cors-check.5"]),
            (opaque, Include, &[null, allow], &["fetch.cors-check.4h", "fetch.cors-check.7.null"]),
        ] {
            let mut trace = Trace::default();
            let row = format!("{hops:?} {credentials:?} {headers:?}");
            assert_eq!(cors_check(&mut trace, &request(hops, credentials), &lines(headers)), Ok(()), "{row}");
            let mut follows = trace.requirements();
            // How the origin is serialised is another algorithm's matter.
            follows.retain(|id| id.starts_with("fetch.cors-check."));
            assert_eq!(follows, expected, "{row}");
        }
    }

    #[test]
    fn the_name_may_be_written_in_any_case_and_lines_are_joined() {
        let passes = |headers: &[(&str, &str)], broken: &str| {
            let mut trace = Trace::breaking([broken.to_owned()]);
            let passed = cors_check(&mut trace, &request(&[PAGE, "https://api.test"], Omit), &lines(headers)).is_ok();
            let mut follows = trace.requirements();
            follows.retain(|id| id.starts_with("fetch.header-list-get."));
            (passed, follows)
        };
        let lower = [("access-control-allow-origin", PAGE)];
        assert_eq!(passes(&[(NAME, PAGE)], ""), (true, Vec::new()));
        assert_eq!(passes(&lower, ""), (true, vec!["fetch.header-list-get.2b"]));
        assert_eq!(passes(&lower, "fetch.header-list-get.2b"), (false, Vec::new()));
        assert_eq!(passes(&[(NAME, PAGE); 2], ""), (false, vec!["fetch.header-list-get.2a"]));
        assert_eq!(passes(&[(NAME, PAGE); 2], "fetch.header-list-get.2a"), (true, Vec::new()));
    }

    #[test]
    fn why_a_value_is_refused() {
        let own = &[PAGE, "https://api.test"][..];
        let opaque = &["null", "https://api.test"][..];
        let tainted = &[PAGE, "https://api.test", "https://other.test"][..];
        let (other, many, bad) = ("allow-origin-mismatch", "multiple-allow-origin", "invalid-allow-origin");
        for (hops, value, class, requirement) in [
            (own, "*, *", many, "3e"),
            (own, "https://*.test", bad, "3e"),
            (own, "https://page.test:8443/", other, "4b"),
            (own, "https://page.test:8443/path", other, "4b"),
            (own, "http://page.test:8443", other, "4c"),
            (own, "https://page.test", other, "4d"),
            (own, "https://page.test:443", other, "4d"),
            (own, "HTTPS://page.test:8443", other, "4e"),
            (own, "https://Page.test:8443", other, "4e"),
            (own, "https://test:8443", other, "4f"),
            (own, "https://api.page.test:8443", other, "4f"),
            (own, "http://other.test", other, "4f"),
            (own, "page.test", bad, "4f"),
            (own, "https://other.test, https://page.test:8443", many, "4g"),
            (own, "https://other.test https://page.test:8443", many, "4g"),
            (own, "null", other, "4i"),
            (opaque, "Null", bad, "4j"),
            (tainted, "NULL", bad, "4j"),
            (own, "", bad, "4k"),
            (tainted, PAGE, other, "4l"),
            (tainted, "https://api.test", other, "4f"),
            (opaque, PAGE, other, "4f"),
        ] {
            let requirement = format!("fetch.cors-check.{requirement}");
            let (request, headers) = (request(hops, Omit), lines(&[(NAME, value)]));
            let mut trace = Trace::default();
            let refused = cors_check(&mut trace, &request, &headers).expect_err(value);
            assert_eq!((refused.class, refused.requirement), (Some(class), requirement.as_str()), "{hops:?} {value}");
            assert_eq!(trace.requirements().last(), Some(&requirement.as_str()), "{hops:?} {value}");
            let mut wrong = Trace::breaking([requirement]);
            assert_eq!(cors_check(&mut wrong, &request, &headers), Ok(()), "{hops:?} {value}");
        }
        let twice = lines(&[(NAME, PAGE), (NAME, PAGE)]);
        let refused = cors_check(&mut Trace::default(), &request(own, Omit), &twice);
        assert_eq!(refused, Err(NetworkError::new(many, "fetch.cors-check.1")));
    }

    #[test]
    fn with_credentials_the_answer_has_to_say_true() {
        for (value, requirement) in [
            (&[][..], "fetch.cors-check.8a"),
            (&["True"], "fetch.cors-check.8b"),
            (&["false"], "fetch.cors-check.8c"),
            (&["true", "true"], "fetch.cors-check.8d"),
        ] {
            let mut headers = lines(&[(NAME, PAGE)]);
            value.iter().for_each(|value| headers.push("Access-Control-Allow-Credentials", *value));
            let refused = cors_check(&mut Trace::default(), &request(&[PAGE, "https://api.test"], Include), &headers);
            assert_eq!(refused, Err(NetworkError::new("missing-allow-credentials", requirement)), "{value:?}");
        }
        let any = lines(&[(NAME, "*"), ("Access-Control-Allow-Credentials", "true")]);
        let refused = cors_check(&mut Trace::default(), &request(&[PAGE, "https://api.test"], Include), &any);
        assert_eq!(refused, Err(NetworkError::new("wildcard-with-credentials", "fetch.cors-check.3c")));
    }
}
