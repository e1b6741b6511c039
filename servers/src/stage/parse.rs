//! The head of an HTTP/1 request, read from bytes. (RFC 9112, 3 and 5)
//!
//! Fetch lets a page send every byte but NUL, CR and LF in a header value, and engines do. Libraries for servers take
//! fewer, and would answer before the behaviour is asked; so the stage reads heads by itself, and is strict about all
//! else that two readers could understand differently.

use memchr::memchr;

use super::head::{Head, Refusal};
use crate::fields::{is_token, is_value, trim};
use crate::{ByteString, Fields, Protocol};

/// More header lines than any browser sends.
const LINES: usize = 256;

/// The head at the beginning of `bytes` and its length in bytes; nothing where it is not there completely.
pub(super) fn parse(bytes: &[u8], limit: usize) -> Result<Option<(Head, usize)>, Refusal> {
    let mut lines = Lines { bytes: &bytes[..bytes.len().min(limit)], at: 0 };
    match read(&mut lines)? {
        Some(head) => Ok(Some((head, lines.at))),
        None if bytes.len() < limit => Ok(None),
        None => Err(Refusal::HeadTooLarge),
    }
}

fn read(lines: &mut Lines<'_>) -> Result<Option<Head>, Refusal> {
    let request_line = loop {
        match lines.next()? {
            // Empty lines before a request are passed over. (RFC 9112, 2.2)
            Some(b"") => {}
            Some(line) => break line,
            None => return may_become_request_line(lines.rest()).then_some(None).ok_or(REQUEST_LINE),
        }
    };
    let (protocol, method, target) = read_request_line(request_line)?;
    let mut headers = Fields::new();
    while let Some(line) = lines.next()? {
        if line.is_empty() {
            return Ok(Some(Head { protocol, method, target, headers }));
        }
        if headers.len() == LINES {
            return Err(Refusal::HeadTooLarge);
        }
        let name = &line[..memchr(b':', line).unwrap_or(line.len())];
        if name.len() == line.len() || !is_token(name) {
            return Err(Refusal::Malformed("a header line has no valid name"));
        }
        let value = trim(&line[name.len() + 1..]);
        if !is_value(value) {
            return Err(Refusal::Malformed("a header line has no valid value"));
        }
        headers.push(name, value);
    }
    Ok(None)
}

const REQUEST_LINE: Refusal = Refusal::Malformed("the request line is not a method, a target and a version");

fn read_request_line(line: &[u8]) -> Result<(Protocol, ByteString, String), Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(REQUEST_LINE);
    };
    let target = std::str::from_utf8(target).map_err(|_| REQUEST_LINE)?;
    if !is_token(method) || target.is_empty() || target.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(REQUEST_LINE);
    }
    let protocol = match version {
        b"HTTP/1.1" => Protocol::Http11,
        b"HTTP/1.0" => Protocol::Http10,
        _ => return Err(Refusal::Malformed("the request line does not end with HTTP/1.0 or HTTP/1.1")),
    };
    Ok((protocol, method.into(), target.to_owned()))
}

/// Whether more bytes can make this the beginning of a request line: what can not is answered at once.
fn may_become_request_line(begun: &[u8]) -> bool {
    let text = begun.strip_suffix(b"\r").unwrap_or(begun);
    let method = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    (is_token(method) || text.is_empty()) && !text.iter().any(u8::is_ascii_control)
}

/// Lines that have come to their end.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Lines<'b> {
    fn rest(&self) -> &'b [u8] {
        &self.bytes[self.at..]
    }

    /// The next line without its CR LF; nothing where its end has not come.
    fn next(&mut self) -> Result<Option<&'b [u8]>, Refusal> {
        let rest = self.rest();
        let Some(end) = memchr(b'\n', rest) else { return Ok(None) };
        let line = rest[..end].strip_suffix(b"\r").ok_or(Refusal::Malformed("a line does not end with CR LF"))?;
        self.at += end + 1;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 4096;

    fn head(text: &str) -> Result<Option<(Head, usize)>, Refusal> {
        parse(text.as_bytes(), LIMIT)
    }

    #[test]
    fn a_head_is_read_to_its_end_and_no_further() {
        let text = "\r\nGET /a HTTP/1.0\r\nA:\t 1 \r\na: \r\n\r\nGET";
        let (head, length) = head(text).expect("well-formed").expect("complete");
        assert_eq!((head.protocol, head.method, head.target.as_str()), (Protocol::Http10, "GET".into(), "/a"));
        let lines: Vec<_> = head.headers.iter().cloned().collect();
        assert_eq!(lines, [("A".into(), "1".into()), ("a".into(), "".into())]);
        assert_eq!(length, text.len() - 3);
    }

    #[test]
    fn what_is_not_whole_waits_for_more_as_long_as_it_can_become_a_head() {
        let whole = "\r\nGET /a HTTP/1.1\r\nA: \u{1}\r\n\r\n";
        for end in 0..whole.len() {
            assert!(matches!(head(&whole[..end]), Ok(None)), "{:?}", &whole[..end]);
        }
        assert!(matches!(head(whole), Ok(Some(_))));
        assert!(matches!(parse(whole.as_bytes(), whole.len() - 1), Err(Refusal::HeadTooLarge)));
        for text in [" ", "\u{1}", "GET\u{0}", "G(T ", "GET /\r ", "\n", "GET / HTTP/1.1\n"] {
            assert!(matches!(head(text), Err(Refusal::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        for line in [
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET / HTTP/1.2",
            "GET / http/1.1",
            "GET HTTP/1.1",
            "GET /\u{7f} HTTP/1.1",
            "/ HTTP/1.1",
            "GET / HTTP/1.1\r\n A: 1",
            "GET / HTTP/1.1\r\nA: 1\r\n 2",
            "GET / HTTP/1.1\r\nA : 1",
            "GET / HTTP/1.1\r\n: 1",
            "GET / HTTP/1.1\r\nA",
            "GET / HTTP/1.1\r\nA\u{1}: 1",
            "GET / HTTP/1.1\r\nA: 1\nB: 2",
            "GET / HTTP/1.1\r\nA: 1\rB: 2",
            "GET / HTTP/1.1\r\nA: \u{0}",
        ] {
            assert!(matches!(head(&format!("{line}\r\n\r\n")), Err(Refusal::Malformed(_))), "{line:?}");
        }
    }
}
