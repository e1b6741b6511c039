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
