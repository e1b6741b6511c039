//! How header values are read. (Fetch, *Headers*; Infra; MIME Sniffing)

use crosscheck_servers::{ByteString, Fields, is_token, whole_number};
use data_url::mime::Mime;

use super::trace::Trace;

/// Without the given bytes at either end.
pub(crate) fn trim(bytes: &[u8], is_space: fn(u8) -> bool) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_space(*byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_space(*byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// HTTP tab or space bytes.
pub(crate) const fn is_tab_or_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b' ')
}

/// HTTP whitespace bytes.
pub(crate) const fn is_http_whitespace(byte: u8) -> bool {
    matches!(byte, b'\t' | b' ' | b'\n' | b'\r')
}

/// What extracting header list values gives. (Fetch, *extract header list values*)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extracted {
    /// There is no such line.
    Null,
    /// A line is not of the header's grammar.
    Failure,
    /// The values of all lines.
    Values(Vec<ByteString>),
}

impl Extracted {
    /// The values; none for null and failure.
    pub(crate) fn values(&self) -> &[ByteString] {
        match self {
            Self::Values(values) => values,
            Self::Null | Self::Failure => &[],
        }
    }
}

/// *Extract header list values* of a header whose grammar (`grammar` is its requirement) is a possibly empty comma list
/// of tokens: Access-Control-Allow-Methods, -Allow-Headers and -Expose-Headers.
pub(crate) fn extract_tokens(trace: &mut Trace, headers: &Fields, name: &str, grammar: &'static str) -> Extracted {
    let mut values = Vec::new();
    let mut lines = 0;
    for line in headers.all(name) {
        lines += 1;
        if lines > 1 && !trace.rule("fetch.extract-header-list-values.4.3", true) {
            break;
        }
        for element in line.as_bytes().split(|byte| *byte == b',') {
            let token = trim(element, is_tab_or_space);
            let loose = token.len() < element.len() || token.is_empty();
            if loose && !trace.rule(grammar, true) {
                return Extracted::Failure;
            }
            if token.is_empty() {
                continue;
            }
            if is_token(token) {
                values.push(token.into());
            } else if trace.rule("fetch.extract-header-list-values.4.2", true) {
                return Extracted::Failure;
            }
        }
    }
    if trace.rule("fetch.extract-header-list-values.1", lines == 0) {
        Extracted::Null
    } else {
        Extracted::Values(values)
    }
}

/// The seconds of Access-Control-Max-Age: one line of digits.
pub(crate) fn extract_max_age(trace: &mut Trace, headers: &Fields) -> Option<u64> {
    let mut lines = headers.all("access-control-max-age");
    let line = lines.next()?;
    if lines.next().is_some() && trace.rule("fetch.extract-header-list-values.2", true) {
        return None;
    }
    let seconds = whole_number(line.as_bytes());
    if seconds.is_some() || trace.rule("fetch.cors-abnf.max-age", true) {
        return seconds;
    }
    // One who takes the digits in front, and none for as much as can be.
    let digits = line.as_bytes().split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
    Some(whole_number(digits).unwrap_or(u64::MAX))
}

/// URL, *percent-decode*.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte = match after {
            [high, low, ..] if *first == b'%' => std::str::from_utf8(&[*high, *low])
                .ok()
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    decoded
}

/// Fetch, *get, decode, and split*.
pub(crate) fn get_decode_split(headers: &Fields, name: &str) -> Option<Vec<String>> {
    let value = headers.get(name)?;
    Some(split(&value.decode()))
}

/// The comma-separated values of a text; commas in quoted strings do not separate.
pub(crate) fn split(input: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut value = String::new();
    let mut characters = input.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                value.push('"');
                while let Some(quoted) = characters.next() {
                    value.push(quoted);
                    match quoted {
                        '\\' => value.extend(characters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            ',' => values.push(std::mem::take(&mut value)),
            other => value.push(other),
        }
    }
    values.push(value);
    values.into_iter().map(|value| value.trim_matches([' ', '\t']).to_owned()).collect()
}

/// Fetch, *extract a MIME type*: the last parsable type of all lines, `*/*` apart. The charset carries over as there.
pub(crate) fn extract_mime_type(headers: &Fields) -> Option<Mime> {
    let mut charset: Option<String> = None;
    let mut essence: Option<String> = None;
    let mut mime: Option<Mime> = None;
    for value in get_decode_split(headers, "content-type")? {
        let Some(candidate) = parse_mime_type(&value).filter(|mime| essence_of(mime) != "*/*") else { continue };
        let mut candidate = candidate;
        if essence.as_deref() == Some(&essence_of(&candidate)) {
            if candidate.get_parameter("charset").is_none()
                && let Some(charset) = &charset
            {
                candidate.parameters.push(("charset".to_owned(), charset.clone()));
            }
        } else {
            charset = candidate.get_parameter("charset").map(ToOwned::to_owned);
            essence = Some(essence_of(&candidate));
        }
        mime = Some(candidate);
    }
    mime
}

/// MIME Sniffing, *parse a MIME type*.
pub(crate) fn parse_mime_type(text: &str) -> Option<Mime> {
    text.trim_matches([' ', '\t', '\n', '\r']).parse().ok()
}

pub(crate) fn essence_of(mime: &Mime) -> String {
    format!("{}/{}", mime.type_, mime.subtype)
}

/// MIME Sniffing, *JavaScript MIME type*.
pub(crate) fn is_javascript(mime: &Mime) -> bool {
    matches!(
        essence_of(mime).as_str(),
        "application/ecmascript"
            | "application/javascript"
            | "application/x-ecmascript"
            | "application/x-javascript"
            | "text/ecmascript"
            | "text/javascript"
            | "text/javascript1.0"
            | "text/javascript1.1"
            | "text/javascript1.2"
            | "text/javascript1.3"
            | "text/javascript1.4"
            | "text/javascript1.5"
            | "text/jscript"
            | "text/livescript"
            | "text/x-ecmascript"
            | "text/x-javascript"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(name: &str, values: &[&str]) -> Fields {
        values.iter().map(|value| (name.into(), (*value).into())).collect()
    }

    #[test]
    fn token_lists() {
        let extract =
            |values: &[&str]| extract_tokens(&mut Trace::default(), &lines("X", values), "x", "fetch.cors-abnf.acam");
        let tokens = |values: &[&str]| Extracted::Values(values.iter().map(|value| (*value).into()).collect());
        assert_eq!(extract(&[]), Extracted::Null);
        assert_eq!(extract(&[""]), tokens(&[]));
        assert_eq!(extract(&["a,b", " c\t,, d "]), tokens(&["a", "b", "c", "d"]));
        for bad in ["a b", "\"a\"", "a;b", "a,\u{b}b", "(a)", "a/b"] {
            assert_eq!(extract(&["ok", bad]), Extracted::Failure, "{bad}");
        }
    }

    #[test]
    fn max_ages() {
        let extract =
            |values: &[&str]| extract_max_age(&mut Trace::default(), &lines("Access-Control-Max-Age", values));
        assert_eq!(extract(&["60"]), Some(60));
        assert_eq!(extract(&["99999999999999999999999"]), Some(u64::MAX));
        for bad in [&[][..], &["60", "60"], &["-1"], &["1.5"], &[""], &["60, 60"], &["+1"], &["6 0"]] {
            assert_eq!(extract(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn quoted_commas_do_not_split() {
        assert_eq!(split("a, \"b, c\\\",\" d,,e"), ["a", "\"b, c\\\",\" d", "", "e"]);
        assert_eq!(split(""), [""]);
    }

    #[test]
    fn the_last_type_counts() {
        let essence = |values: &[&str]| extract_mime_type(&lines("Content-Type", values)).map(|mime| essence_of(&mime));
        assert_eq!(essence(&["text/html, text/plain"]), Some("text/plain".to_owned()));
        assert_eq!(essence(&["text/html", "*/*", "nonsense"]), Some("text/html".to_owned()));
        assert_eq!(essence(&["nonsense"]), None);
    }

    #[test]
    fn what_a_loose_list_of_tokens_follows() {
        const GRAMMAR: &str = "fetch.cors-abnf.acam";
        const LINES: &str = "fetch.extract-header-list-values.4.3";
        // The last is what an agent makes of it that does not keep the last requirement named.
        for (values, named, without) in [
            (&["a,b"][..], &[][..], None),
            (&[""], &[GRAMMAR], Some(Extracted::Failure)),
            (&["a, b"], &[GRAMMAR], Some(Extracted::Failure)),
            (&["a,,b"], &[GRAMMAR], Some(Extracted::Failure)),
            (&["a", "b"], &[LINES], Some(Extracted::Values(vec!["a".into()]))),
            (&["a", "b", "c"], &[LINES], Some(Extracted::Values(vec!["a".into()]))),
            (&[], &["fetch.extract-header-list-values.1"], Some(Extracted::Values(Vec::new()))),
            (&["a b"], &["fetch.extract-header-list-values.4.2"], Some(Extracted::Values(Vec::new()))),
        ] {
            let headers = lines("X", values);
            let mut trace = Trace::default();
            let right = extract_tokens(&mut trace, &headers, "x", GRAMMAR);
            assert_eq!(trace.requirements(), named, "{values:?}");
            if let Some(broken) = named.last() {
                let mut agent = Trace::breaking([(*broken).to_owned()]);
                let wrong = extract_tokens(&mut agent, &headers, "x", GRAMMAR);
                assert_ne!(wrong, right, "{values:?}");
                assert_eq!(Some(wrong), without, "{values:?}");
            }
        }
    }

    #[test]
    fn percent_signs_decode_before_two_hex_digits_alone() {
        for (text, decoded) in [
            ("", ""),
            ("abc", "abc"),
            ("xab", "xab"),
            ("a%20b", "a b"),
            ("%41%6A", "Aj"),
            ("%2541", "%41"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%+4", "%+4"),
            ("%%41", "%A"),
        ] {
            assert_eq!(percent_decode(text), decoded.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_charset_carries_over_to_later_types_of_the_same_essence() {
        for (values, charset) in [
            (&["text/html;charset=a", "text/html"][..], Some("a")),
            (&["text/html;charset=a", "text/html;charset=b"], Some("b")),
            (&["text/html;charset=a", "text/html;charset=b", "text/html"], Some("a")),
            (&["text/html;charset=a", "text/plain"], None),
            (&["text/html;charset=a", "text/plain", "text/html"], None),
            (&["text/html"], None),
        ] {
            let mime = extract_mime_type(&lines("Content-Type", values)).expect("a type");
            assert_eq!(mime.get_parameter("charset"), charset, "{values:?}");
        }
    }

    #[test]
    fn what_is_a_javascript_type() {
        for (text, expected) in [
            ("text/javascript", true),
            ("TEXT/JAVASCRIPT;charset=utf-8", true),
            ("application/ecmascript", true),
            ("text/jscript", true),
            ("text/javascript1.5", true),
            ("text/javascript1.6", false),
            ("application/json", false),
            ("text/plain", false),
        ] {
            assert_eq!(is_javascript(&parse_mime_type(text).expect("a type")), expected, "{text}");
        }
    }
}
