//! Reading an HTTP/1.1 response, as a client does. (RFC 9112)

use crate::fields::{is_blank, is_token, is_value, trim};
use crate::{ByteString, Fields, content_length, ends_with_head, is_interim, status};

/// A response as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadResponse {
    /// The status, 0 to 999; no interim one but 101.
    pub status: u16,
    /// The reason phrase.
    pub reason: ByteString,
    /// The header lines in order; folded values are unfolded.
    pub headers: Fields,
    /// The body, decoded from its framing.
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub complete: bool,
    /// How many bytes of the connection belong to it, interim responses before it included.
    pub length: usize,
    /// Whether the connection can be used again.
    pub keep_alive: bool,
}

/// How far a response has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// There is more to come.
    More,
    /// It is not HTTP/1.
    Malformed,
    /// The response, broken off or not.
    Done(ReadResponse),
}

/// Reads a response from all bytes that a connection has brought since the request. `is_head` is whether the request
/// was HEAD, `ended` whether the connection is at its end. Interim responses but 101 are skipped.
#[must_use]
pub fn read_response(bytes: &[u8], is_head: bool, ended: bool) -> Reading {
    let mut from = 0;
    loop {
        let Some(rest) = bytes.get(from..).filter(|rest| !rest.is_empty()) else {
            return if ended { Reading::Malformed } else { Reading::More };
        };
        let Some(head) = head(rest) else {
            return Reading::Malformed;
        };
        let Some(Head { status, reason, headers, length, http10 }) = head else {
            return if ended { Reading::Malformed } else { Reading::More };
        };
        from += length;
        if is_interim(status) && status != 101 {
            continue;
        }
        let Ok(framing) = Framing::of(status, &headers, is_head) else { return Reading::Malformed };
        let body = &bytes[from..];
        let (content, complete, taken) = match framing {
            Framing::None => (Vec::new(), true, 0),
            Framing::Length(length) if body.len() >= length => (body[..length].to_vec(), true, length),
            Framing::Length(_) => (body.to_vec(), false, body.len()),
            Framing::Chunked => chunks(body),
            Framing::Close => (body.to_vec(), ended, body.len()),
        };
        let until_close = matches!(framing, Framing::Close);
        if !complete && !ended {
            return Reading::More;
        }
        let closes =
            headers.get("connection").is_some_and(|value| value.decode().to_ascii_lowercase().contains("close"));
        return Reading::Done(ReadResponse {
            status,
            reason,
            headers,
            body: content,
            complete,
            length: from + taken,
            keep_alive: complete && !until_close && !closes && !http10,
        });
    }
}

struct Head {
    status: u16,
    reason: ByteString,
    headers: Fields,
    length: usize,
    http10: bool,
}

/// The head at the front; `Some(None)` where it is not whole yet, `None` where it is malformed.
#[expect(clippy::option_option, reason = "malformed, unfinished and read are three things")]
fn head(bytes: &[u8]) -> Option<Option<Head>> {
    let mut lines = Lines { bytes, at: 0 };
    let Some(status_line) = lines.find(|line| !line.is_empty()) else {
        let begun = &bytes[lines.at..];
        return (begun.starts_with(PREFIX) || PREFIX.starts_with(begun)).then_some(None);
    };
    let (http10, status, reason) = read_status_line(status_line)?;
    let mut headers: Vec<(ByteString, Vec<u8>)> = Vec::new();
    for line in lines.by_ref() {
        if line.is_empty() {
            let headers = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
            return Some(Some(Head { status, reason, headers, length: lines.at, http10 }));
        }
        // A folded value, with each fold as one space. (RFC 9112, 5.2)
        if is_blank(*line.first()?) {
            let (_, value) = headers.last_mut()?;
            let more = trim(line);
            if !value.is_empty() && !more.is_empty() {
                value.push(b' ');
            }
            value.extend_from_slice(more);
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        // A value may hold any byte but these; what else is wrong with it is for others to judge. (RFC 9110, 5.5)
        if !is_token(name) || !is_value(value) {
            return None;
        }
        headers.push((name.into(), value.to_vec()));
    }
    Some(None)
}

const PREFIX: &[u8] = b"HTTP/1.";

/// Whether it is HTTP/1.0, the status, the reason phrase.
fn read_status_line(line: &[u8]) -> Option<(bool, u16, ByteString)> {
    let [minor, b' ', rest @ ..] = line.strip_prefix(PREFIX)? else { return None };
    let (status, rest) = rest.split_at_checked(3)?;
    let status = status::from_digits(status)?;
    let reason = match rest {
        [] => rest,
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    let valid = minor.is_ascii_digit() && is_value(reason);
    valid.then(|| (*minor == b'0', status, reason.into()))
}

/// Lines that have come to their end, without that.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Iterator for Lines<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        self.at += end + 1;
        Some(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]))
    }
}

enum Framing {
    None,
    Length(usize),
    Chunked,
    Close,
}

impl Framing {
    /// RFC 9112, 6.3.
    fn of(status: u16, headers: &Fields, is_head: bool) -> Result<Self, ()> {
        if is_head || ends_with_head(status) {
            return Ok(Self::None);
        }
        if let Some(codings) = headers.get("transfer-encoding") {
            let last = codings.decode().rsplit(',').next().unwrap_or_default().trim().to_ascii_lowercase();
            return Ok(if last == "chunked" { Self::Chunked } else { Self::Close });
        }
        let length = content_length(headers).map_err(drop)?;
        Ok(length.map_or(Self::Close, |length| Self::Length(usize::try_from(length).unwrap_or(usize::MAX))))
    }
}

/// The decoded content, whether it came to its end, and how many bytes it took.
fn chunks(bytes: &[u8]) -> (Vec<u8>, bool, usize) {
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(&bytes[at..]) else {
            return (content, false, at);
        };
        at += start;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size == 0 {
            // The trailer section ends with an empty line.
            let end = bytes[at..].windows(2).position(|pair| pair == b"\r\n");
            return (content, end.is_some(), at + end.map_or(0, |end| end + 2));
        }
        let Some(end) = at.checked_add(size).filter(|end| end.saturating_add(2) <= bytes.len()) else {
            content.extend_from_slice(&bytes[at..]);
            return (content, false, bytes.len());
        };
        content.extend_from_slice(&bytes[at..end]);
        at = end + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(u16, String, bool)> {
        match read_response(text.as_bytes(), false, true) {
            Reading::Done(response) => {
                Some((response.status, String::from_utf8_lossy(&response.body).into_owned(), response.complete))
            }
            Reading::Malformed => None,
            Reading::More => panic!("the connection has ended"),
        }
    }

    #[test]
    fn responses_are_framed_as_rfc_9112_says() {
        let done = |status, body: &str, complete| Some((status, body.to_owned(), complete));
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", done(200, "hello", true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", done(200, "hello", false)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", done(200, "hello", true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello!", done(200, "hello", true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5, 4\r\n\r\nhello", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello", done(200, "hello", false)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", done(200, "hello", true)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", done(200, "hello", false)),
            ("HTTP/1.1 200 OK\r\n\r\nhello", done(200, "hello", true)),
            ("HTTP/1.1 204 No Content\r\n\r\nhello", done(204, "", true)),
            ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", done(200, "", true)),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", done(101, "", true)),
            ("HTTP/1.1 600 Beyond\r\nContent-Length: 5\r\n\r\nhello", done(600, "hello", true)),
            ("HTTP/1.1 999\r\n\r\nhello", done(999, "hello", true)),
            ("HTTP/1.1 099 Below\r\nContent-Length: 5\r\n\r\nhello", done(99, "hello", true)),
            ("HTTP/1.1 000 \r\n\r\nhello", done(0, "hello", true)),
            ("HTTP/1.1 99 Below\r\n\r\n", None),
            ("HTTP/1.1 1000 Beyond\r\n\r\n", None),
            ("HTTP/1.1 +20 OK\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nX : 1\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nX\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\n X: 1\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", None),
            ("HTTP/1.1 20 OK\r\n\r\n", None),
            ("HTTP/1.1 200OK\r\n\r\n", None),
            ("\r\nHTTP/1.1 200\nContent-Length: 1\n\nx", done(200, "x", true)),
            ("hello", None),
            ("", None),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
        assert_eq!(read_response(b"HTTP/1.1 200 OK\r\nContent-Le", false, false), Reading::More);
    }

    #[test]
    fn folded_values_are_unfolded() {
        let Reading::Done(response) = read_response(b"HTTP/1.1 204 x\r\nA:\r\n *\r\nB: 1\r\n\t2\r\n\r\n", false, false)
        else {
            panic!("a response");
        };
        assert_eq!(response.headers.get("a"), Some("*".into()));
        assert_eq!(response.headers.get("b"), Some("1 2".into()));
    }

    #[test]
    fn values_hold_any_byte_but_nul_and_the_ends_of_lines() {
        let value: Vec<u8> = (1..=255).filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        let bytes = [b"HTTP/1.1 204 x\r\nA: x", value.as_slice(), b"x \r\n\r\n"].concat();
        let Reading::Done(response) = read_response(&bytes, false, false) else { panic!("a response") };
        let expected = [b"x", value.as_slice(), b"x"].concat();
        assert_eq!(response.headers.get("a"), Some(expected.into()));
    }

    #[test]
    fn what_cannot_become_http_is_known_early() {
        for (bytes, reading) in
            [("HT", Reading::More), ("\r\nHTTP/1.1 2", Reading::More), ("hello", Reading::Malformed)]
        {
            assert_eq!(read_response(bytes.as_bytes(), false, false), reading, "{bytes:?}");
        }
    }
}
