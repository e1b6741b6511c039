//! What may be sent without asking. (Fetch, *Methods* and *Headers*)

use crosscheck_servers::{ByteString, Fields};

use super::header_value::{essence_of, parse_mime_type};
use super::trace::Trace;

/// *CORS-safelisted method*
pub(crate) fn is_safelisted_method(trace: &mut Trace, method: &ByteString) -> bool {
    trace.rule("fetch.cors-safelisted-method.a", *method == *"GET")
        || trace.rule("fetch.cors-safelisted-method.b", *method == *"HEAD")
        || trace.rule("fetch.cors-safelisted-method.c", *method == *"POST")
        || *method == *"OPTIONS" && !trace.rule("fetch.cors-safelisted-method.e", true)
        || !matches!(method.as_bytes(), b"GET" | b"HEAD" | b"POST")
            && !trace.rule("fetch.cors-safelisted-method.d", true)
}

/// *Normalize* a method: six names are upper-cased.
pub(crate) fn normalize_method(trace: &mut Trace, method: &str) -> String {
    let upper = method.to_ascii_uppercase();
    let known = matches!(upper.as_str(), "DELETE" | "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT");
    let normalized = if known {
        upper == method
            || (upper != "POST" || trace.rule("fetch.method-normalize.d", true))
                && trace.rule("fetch.method-normalize.a", true)
    } else {
        let requirement = if upper == "PATCH" { "fetch.method-normalize.b" } else { "fetch.method-normalize.c" };
        !trace.rule(requirement, true)
    };
    if normalized { upper } else { method.to_owned() }
}

/// *Forbidden method*, in upper case.
pub(crate) const FORBIDDEN_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// *Forbidden method*, for the Request constructor.
pub(crate) fn is_forbidden_method(trace: &mut Trace, method: &str) -> bool {
    trace.rule("fetch.forbidden-method.a", method.eq_ignore_ascii_case("CONNECT"))
        || trace.rule("fetch.forbidden-method.b", method.eq_ignore_ascii_case("TRACE"))
        || trace.rule("fetch.forbidden-method.c", method.eq_ignore_ascii_case("TRACK"))
}

/// *CORS-unsafe request-header byte*
fn unsafe_byte(trace: &mut Trace, byte: u8) -> bool {
    match byte {
        b'\t' => !trace.rule("fetch.cors-unsafe-request-header-byte.1b", true),
        0x00..0x20 => trace.rule("fetch.cors-unsafe-request-header-byte.1a", true),
        b'"' => trace.rule("fetch.cors-unsafe-request-header-byte.2.quote", true),
        b'(' | b')' => trace.rule("fetch.cors-unsafe-request-header-byte.2.parens", true),
        b':' => trace.rule("fetch.cors-unsafe-request-header-byte.2.colon", true),
        b'<' | b'>' => trace.rule("fetch.cors-unsafe-request-header-byte.2.angle", true),
        b'?' => trace.rule("fetch.cors-unsafe-request-header-byte.2.question", true),
        b'@' => trace.rule("fetch.cors-unsafe-request-header-byte.2.at", true),
        b'[' | b']' => trace.rule("fetch.cors-unsafe-request-header-byte.2.brackets", true),
        b'\\' => trace.rule("fetch.cors-unsafe-request-header-byte.2.backslash", true),
        b'{' | b'}' => trace.rule("fetch.cors-unsafe-request-header-byte.2.braces", true),
        0x7f => trace.rule("fetch.cors-unsafe-request-header-byte.2.del", true),
        b',' | b'/' | b';' | b'=' => !trace.rule("fetch.cors-unsafe-request-header-byte.3", true),
        0x80.. => !trace.rule("fetch.cors-unsafe-request-header-byte.4", true),
        _ => false,
    }
}

fn has_unsafe_byte(trace: &mut Trace, value: &[u8]) -> bool {
    value.iter().any(|byte| unsafe_byte(trace, *byte))
}

/// The bytes that Accept-Language and Content-Language may have.
const fn is_language_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'*' | b',' | b'-' | b'.' | b';' | b'=')
}

/// *CORS-safelisted request-header*
pub(crate) fn is_safelisted_header(trace: &mut Trace, name: &ByteString, value: &ByteString) -> bool {
    let value = value.as_bytes();
    if trace.rule("fetch.cors-safelisted-request-header.1a", value.len() > 128) {
        return false;
    }
    if value.len() == 128 && !trace.rule("fetch.cors-safelisted-request-header.1b", true) {
        return false;
    }
    // 2
    let name = name.decode();
    let lower = name.to_ascii_lowercase();
    if lower != name && !trace.rule("fetch.cors-safelisted-request-header.2", true) {
        return false;
    }
    match lower.as_str() {
        "accept" => {
            let safe = !has_unsafe_byte(trace, value);
            if safe {
                trace.rule("fetch.cors-safelisted-request-header.2.accept.b", true)
            } else {
                !trace.rule("fetch.cors-safelisted-request-header.2.accept.a", true)
            }
        }
        "accept-language" => {
            let safe = value.iter().copied().all(is_language_byte);
            if safe {
                trace.rule("fetch.cors-safelisted-request-header.2.accept-language.a", true)
            } else {
                !trace.rule("fetch.cors-safelisted-request-header.2.accept-language.b", true)
            }
        }
        "content-language" => {
            let safe = value.iter().copied().all(is_language_byte);
            if safe {
                trace.rule("fetch.cors-safelisted-request-header.2.content-language.a", true)
            } else {
                !trace.rule("fetch.cors-safelisted-request-header.2.content-language.b", true)
            }
        }
        "content-type" => is_safelisted_content_type(trace, value),
        "range" => is_safelisted_range(trace, value),
        _ => !trace.rule("fetch.cors-safelisted-request-header.2.other", true),
    }
}

fn is_safelisted_content_type(trace: &mut Trace, value: &[u8]) -> bool {
    if has_unsafe_byte(trace, value) && trace.rule("fetch.cors-safelisted-request-header.2.content-type.1", true) {
        return false;
    }
    let text: String = value.iter().map(|byte| char::from(*byte)).collect();
    let strict = !text.contains(',') || trace.rule("fetch.cors-safelisted-request-header.2.content-type.warning", true);
    let text = if strict { text.as_str() } else { text.rsplit(',').next().unwrap_or_default() };
    let Some(mime) = parse_mime_type(text) else {
        return !trace.rule("fetch.cors-safelisted-request-header.2.content-type.3", true);
    };
    let essence = essence_of(&mime);
    if !text.trim_start().starts_with(&essence)
        && !trace.rule("fetch.cors-safelisted-request-header.2.content-type.4e", true)
    {
        return false;
    }
    match essence.as_str() {
        "application/x-www-form-urlencoded" => {
            trace.rule("fetch.cors-safelisted-request-header.2.content-type.4a", true)
        }
        "multipart/form-data" => trace.rule("fetch.cors-safelisted-request-header.2.content-type.4b", true),
        "text/plain" => trace.rule("fetch.cors-safelisted-request-header.2.content-type.4c", true),
        _ => !trace.rule("fetch.cors-safelisted-request-header.2.content-type.4d", true),
    }
}

/// *Parse a single range header value*, without whitespace and with a start.
fn is_safelisted_range(trace: &mut Trace, value: &[u8]) -> bool {
    let dense: Vec<u8> = value.iter().copied().filter(|byte| !super::header_value::is_tab_or_space(*byte)).collect();
    if dense.len() < value.len()
        && dense.starts_with(b"bytes=")
        && trace.rule("fetch.cors-safelisted-request-header.2.range.c", true)
    {
        return false;
    }
    let Some(range) = dense.strip_prefix(b"bytes=") else {
        return !trace.rule("fetch.cors-safelisted-request-header.2.range.f", true);
    };
    let mut parts = range.splitn(2, |byte| *byte == b'-');
    let (start, end) = (parts.next().unwrap_or_default(), parts.next());
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let Some(end) = end.filter(|end| digits(end) && digits(start)) else {
        return !trace.rule("fetch.cors-safelisted-request-header.2.range.d", true);
    };
    match (number(start), number(end)) {
        (None, None) => !trace.rule("fetch.cors-safelisted-request-header.2.range.g", true),
        (None, Some(_)) => !trace.rule("fetch.cors-safelisted-request-header.2.range.b", true),
        (Some(start), Some(end)) if start > end => !trace.rule("fetch.cors-safelisted-request-header.2.range.e", true),
        _ => trace.rule("fetch.cors-safelisted-request-header.2.range.a", true),
    }
}

/// The number that digits stand for, as length and digits without leading zeros, which compare like numbers of any
/// size; nothing where there are none.
fn number(digits: &[u8]) -> Option<(usize, &[u8])> {
    let significant =
        digits.iter().position(|digit| *digit != b'0').map_or(&digits[digits.len()..], |at| &digits[at..]);
    (!digits.is_empty()).then_some((significant.len(), significant))
}

/// *CORS-unsafe request-header names*: lower-cased, sorted, without repetition.
pub(crate) fn unsafe_header_names(trace: &mut Trace, headers: &Fields) -> Vec<String> {
    let mut names = Vec::new();
    let mut safe = Vec::new();
    let mut size = 0;
    let mut unsafe_size = 0;
    for (name, value) in headers {
        let lower = name.decode().to_ascii_lowercase();
        // 4: each line is judged on its own.
        let repeated = headers.all(&lower).nth(1).is_some();
        let joined =
            headers.get(&lower).filter(|_| repeated && !trace.rule("fetch.cors-unsafe-request-header-names.4.2", true));
        if is_safelisted_header(trace, name, joined.as_ref().unwrap_or(value))
            || lower == "user-agent" && !trace.rule("fetch.network-or-cache.8.15", true)
        {
            safe.push(lower);
            size += value.as_bytes().len(); // 4.2
        } else {
            unsafe_size += value.as_bytes().len();
            if trace.rule("fetch.cors-unsafe-request-header-names.4.1", true) {
                names.push(lower);
            }
        }
    }
    if unsafe_size > 0 && !safe.is_empty() && !trace.rule("fetch.cors-unsafe-request-header-names.5c", true) {
        size += unsafe_size;
    }
    if trace.rule("fetch.cors-unsafe-request-header-names.5a", size > 1024)
        || size == 1024 && !trace.rule("fetch.cors-unsafe-request-header-names.5b", true)
    {
        names.append(&mut safe);
    }
    if trace.rule("fetch.cors-unsafe-request-header-names.6", names.len() > 1) {
        names.sort();
        names.dedup();
    }
    names
}

/// *No-CORS-safelisted request-header*
pub(crate) fn is_no_cors_safelisted(trace: &mut Trace, name: &ByteString, value: &ByteString) -> bool {
    let lower = name.decode().to_ascii_lowercase();
    if lower == "range" && trace.rule("fetch.no-cors-safelisted-request-header.1b", true) {
        return false;
    }
    if !matches!(lower.as_str(), "accept" | "accept-language" | "content-language" | "content-type" | "range")
        && trace.rule("fetch.no-cors-safelisted-request-header.1a", true)
    {
        return false;
    }
    is_safelisted_header(trace, name, value) || !trace.rule("fetch.no-cors-safelisted-request-header.2", true)
}

/// Whether script may set a request header of this name. (*Forbidden request-header*)
#[must_use]
pub fn script_may_set(name: &str) -> bool {
    !is_forbidden_header(&mut Trace::default(), name, &ByteString::default())
}

/// *Forbidden request-header*
pub(crate) fn is_forbidden_header(trace: &mut Trace, name: &str, value: &ByteString) -> bool {
    let lower = name.to_ascii_lowercase();
    let listed = match lower.as_str() {
        "accept-charset" | "accept-encoding" => Some("fetch.forbidden-request-header.1.encoding"),
        "access-control-request-headers" | "access-control-request-method" => {
            Some("fetch.forbidden-request-header.1.cors")
        }
        "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade" | "via" => {
            Some("fetch.forbidden-request-header.1.connection")
        }
        "content-length" | "date" | "expect" | "host" => Some("fetch.forbidden-request-header.1.message"),
        "cookie" | "cookie2" | "set-cookie" => Some("fetch.forbidden-request-header.1.cookies"),
        "dnt" => Some("fetch.forbidden-request-header.1.dnt"),
        "origin" | "referer" => Some("fetch.forbidden-request-header.1.origin"),
        _ => None,
    };
    if let Some(requirement) = listed {
        return trace.rule(requirement, true);
    }
    if trace.rule("fetch.forbidden-request-header.2.proxy", lower.starts_with("proxy-"))
        || trace.rule("fetch.forbidden-request-header.2.sec", lower.starts_with("sec-"))
    {
        return true;
    }
    if matches!(lower.as_str(), "x-http-method" | "x-http-method-override" | "x-method-override") {
        let forbidden = super::header_value::split(&value.decode())
            .iter()
            .any(|method| FORBIDDEN_METHODS.iter().any(|name| name.eq_ignore_ascii_case(method)));
        return trace.rule("fetch.forbidden-request-header.3a", forbidden)
            || !forbidden && !trace.rule("fetch.forbidden-request-header.3b", true);
    }
    // These are such that agents have taken them for forbidden.
    matches!(lower.as_str(), "accept" | "authorization" | "cache-control" | "user-agent")
        && !trace.rule("fetch.forbidden-request-header.4", true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requirements that a trace names, each once.
    fn named(trace: &Trace) -> Vec<&'static str> {
        let mut named = Vec::new();
        for requirement in trace.requirements() {
            if !named.contains(&requirement) {
                named.push(requirement);
            }
        }
        named
    }

    fn agent(broken: &str) -> Trace {
        Trace::breaking([broken.to_owned()])
    }

    #[test]
    fn three_methods_need_no_preflight() {
        const OTHERS: &str = "fetch.cors-safelisted-method.d";
        const OPTIONS: &str = "fetch.cors-safelisted-method.e";
        for (method, is_safe, requirements) in [
            ("GET", true, &["fetch.cors-safelisted-method.a"][..]),
            ("HEAD", true, &["fetch.cors-safelisted-method.b"]),
            ("POST", true, &["fetch.cors-safelisted-method.c"]),
            ("PUT", false, &[OTHERS]),
            ("get", false, &[OTHERS]),
            ("OPTIONS", false, &[OPTIONS, OTHERS]),
        ] {
            let mut trace = Trace::default();
            assert_eq!(is_safelisted_method(&mut trace, &method.into()), is_safe, "{method}");
            assert_eq!(named(&trace), requirements, "{method}");
            for broken in requirements {
                assert_eq!(is_safelisted_method(&mut agent(broken), &method.into()), !is_safe, "{method} {broken}");
            }
        }
    }

    #[test]
    fn six_methods_are_upper_cased() {
        const SIX: &str = "fetch.method-normalize.a";
        const POST: &str = "fetch.method-normalize.d";
        // The last is what an agent makes of it that does not keep the first requirement.
        for (method, normalized, requirements, without) in [
            ("GET", "GET", &[][..], "GET"),
            ("get", "GET", &[SIX], "get"),
            ("oPtIoNs", "OPTIONS", &[SIX], "oPtIoNs"),
            ("post", "POST", &[POST, SIX], "post"),
            ("POST", "POST", &[], "POST"),
            ("patch", "patch", &["fetch.method-normalize.b"], "PATCH"),
            ("Egg", "Egg", &["fetch.method-normalize.c"], "EGG"),
        ] {
            let mut trace = Trace::default();
            assert_eq!(normalize_method(&mut trace, method), normalized);
            assert_eq!(named(&trace), requirements, "{method}");
            let broken = requirements.first().copied().unwrap_or_default();
            assert_eq!(normalize_method(&mut agent(broken), method), without, "{method} without {broken}");
        }
    }

    #[test]
    fn lengths_and_letter_case_of_safelisted_headers() {
        const EXACTLY: &str = "fetch.cors-safelisted-request-header.1b";
        const TOO_LONG: &str = "fetch.cors-safelisted-request-header.1a";
        const NAME: &str = "fetch.cors-safelisted-request-header.2";
        const ACCEPT: &str = "fetch.cors-safelisted-request-header.2.accept.b";
        const DELIMITER: &str = "fetch.cors-unsafe-request-header-byte.3";
        const ESSENCE: &str = "fetch.cors-safelisted-request-header.2.content-type.4e";
        const PLAIN: &str = "fetch.cors-safelisted-request-header.2.content-type.4c";
        for (name, value, is_safe, requirements) in [
            ("accept", "a".repeat(127), true, &[ACCEPT][..]),
            ("accept", "a".repeat(128), true, &[EXACTLY, ACCEPT]),
            ("accept", "a".repeat(129), false, &[TOO_LONG]),
            ("Accept", "a".to_owned(), true, &[NAME, ACCEPT]),
            ("content-type", "text/plain".to_owned(), true, &[DELIMITER, PLAIN]),
            ("content-type", " text/plain;charset=utf-8".to_owned(), true, &[DELIMITER, PLAIN]),
            ("content-type", "Text/Plain".to_owned(), true, &[DELIMITER, ESSENCE, PLAIN]),
        ] {
            let (name, value): (ByteString, ByteString) = (name.into(), value.as_str().into());
            let mut trace = Trace::default();
            assert_eq!(is_safelisted_header(&mut trace, &name, &value), is_safe, "{name} {value}");
            assert_eq!(named(&trace), requirements, "{name} {value}");
            for broken in requirements.iter().filter(|broken| **broken != TOO_LONG) {
                assert!(!is_safelisted_header(&mut agent(broken), &name, &value), "{name} {value} without {broken}");
            }
        }
        // Its length may not matter: the value still does.
        assert!(is_safelisted_header(&mut agent(TOO_LONG), &"accept".into(), &"a".repeat(129).as_str().into()));
    }

    #[test]
    fn what_a_preflight_announces_of_the_headers() {
        const NAMES: &str = "fetch.cors-unsafe-request-header-names";
        let fill = |length: usize| "a".repeat(length);
        let full = |last: usize| -> Vec<(&'static str, String)> {
            std::iter::repeat_n(("accept", fill(128)), 7).chain([("accept", fill(last))]).collect()
        };
        let with = |mut headers: Vec<(&'static str, String)>, more: &'static str| {
            headers.push((more, fill(9)));
            headers
        };
        // What is announced; of the rules on the list as a whole those that are named; what is announced by an agent that
        // does not keep the last of them.
        for (headers, names, follows, without) in [
            (vec![], &[][..], &[][..], &[][..]),
            (vec![("accept", fill(1))], &[], &[], &[]),
            (vec![("X-A", fill(2000))], &["x-a"], &["4.1"], &[]),
            (vec![("x-b", fill(1)), ("X-A", fill(1))], &["x-a", "x-b"], &["4.1", "6"], &["x-b", "x-a"]),
            (vec![("x-a", fill(1)), ("X-A", fill(1))], &["x-a"], &["4.2", "4.1", "6"], &["x-a", "x-a"]),
            (vec![("x-a", fill(1020)), ("accept", fill(9))], &["x-a"], &["4.1", "5c"], &["accept", "x-a"]),
            (vec![("x-a", String::new()), ("accept", fill(9))], &["x-a"], &["4.1"], &[]),
            (
                full(104).into_iter().chain([("x-a", fill(100))]).collect(),
                &["x-a"],
                &["4.2", "4.1", "5c"],
                &["accept", "x-a"],
            ),
            (full(127), &[], &["4.2"], &["accept"]),
            (full(128), &[], &["4.2", "5b"], &["accept"]),
            (with(full(128), "range"), &["range"], &["4.2", "4.1", "5c", "5b"], &["accept", "range"]),
            (
                with(full(128), "content-language"),
                &["accept", "content-language"],
                &["4.2", "5a", "6"],
                &["accept", "accept", "accept", "accept", "accept", "accept", "accept", "accept", "content-language"],
            ),
        ] {
            let case = headers.iter().map(|(name, value)| format!("{name}: {}", value.len())).collect::<Vec<_>>();
            let headers: Fields = headers.iter().map(|(name, value)| ((*name).into(), value.as_str().into())).collect();
            let mut trace = Trace::default();
            assert_eq!(unsafe_header_names(&mut trace, &headers), names, "{case:?}");
            let of_list = |id: &'static str| id.strip_prefix(NAMES)?.strip_prefix('.');
            let named: Vec<&str> = named(&trace).into_iter().filter_map(of_list).collect();
            assert_eq!(named, follows, "{case:?}");
            if let Some(broken) = follows.last() {
                let wrong = unsafe_header_names(&mut agent(&format!("{NAMES}.{broken}")), &headers);
                assert_eq!(wrong, without, "{case:?} without {broken}");
            }
        }
    }

    #[test]
    fn a_user_agent_that_the_page_states_is_announced() {
        const STATED: &str = "fetch.network-or-cache.8.15";
        for (name, is_named) in [("User-Agent", true), ("X-A", false)] {
            let headers: Fields = [(name.into(), "a".into())].into_iter().collect();
            let mut trace = Trace::default();
            assert_eq!(unsafe_header_names(&mut trace, &headers), [name.to_ascii_lowercase()]);
            assert_eq!(trace.requirements().contains(&STATED), is_named, "{name}");
            assert_eq!(unsafe_header_names(&mut agent(STATED), &headers).is_empty(), is_named, "{name}");
        }
    }

    #[test]
    fn script_may_set_what_is_not_forbidden() {
        for (name, may) in [
            ("Accept", true),
            ("X-A", true),
            ("User-Agent", true),
            ("X-HTTP-Method", true),
            ("Cookie", false),
            ("origin", false),
            ("Sec-A", false),
            ("Proxy-A", false),
        ] {
            assert_eq!(script_may_set(name), may, "{name}");
        }
    }
}
