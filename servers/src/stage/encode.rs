use std::io::Write as _;

use crate::{ByteString, Fields, Framing, Response, ends_with_head, is_interim};

impl Response {
    /// All bytes of the response as HTTP/1.1 carries it, with what frames its body.
    #[must_use]
    pub fn http1(&self, is_head: bool) -> Vec<u8> {
        let framed = Framed::new(self, is_head, false);
        let mut out = head(self.status, &self.reason, &framed.headers);
        self.body.iter().for_each(|piece| framed.push(&mut out, piece));
        framed.end(&mut out);
        out
    }
}

/// A response with everything decided that goes over an HTTP/1 connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Framed {
    /// All header lines, with those that frame the body.
    pub(super) headers: Fields,
    chunked: bool,
    /// The framing does not tell where the body ends, or tells it wrongly.
    pub(super) close_after: bool,
}

impl Framed {
    /// Frames a response. Lines that the behaviour itself gives for this purpose are left as they are.
    pub(super) fn new(response: &Response, is_head: bool, is_http10: bool) -> Self {
        let mut headers = response.headers.clone();
        let framed_by_hand = headers.contains("content-length") || headers.contains("transfer-encoding");
        let status = response.status;
        let bodiless = is_head || ends_with_head(status);
        let length: u64 = response.body.iter().map(|piece| piece.len() as u64).sum();
        let mut chunked = false;
        let wrong = match response.framing {
            Framing::None => length > 0,
            Framing::Length(stated) => {
                if !framed_by_hand {
                    headers.push("Content-Length", stated.to_string().as_str());
                }
                framed_by_hand || stated != length
            }
            Framing::Chunked if !is_http10 => {
                if !headers.contains("transfer-encoding") {
                    headers.push("Transfer-Encoding", "chunked");
                }
                chunked = !bodiless;
                false
            }
            Framing::Chunked | Framing::Close => {
                if !headers.contains("connection") {
                    headers.push("Connection", "close");
                }
                true
            }
        };
        let close_after = (wrong && !bodiless) || is_interim(status) || response.framing == Framing::Close;
        Self { headers, chunked, close_after }
    }

    /// Appends a piece of the body as it goes over the wire.
    pub(super) fn push(&self, out: &mut Vec<u8>, piece: &[u8]) {
        if !self.chunked {
            out.extend_from_slice(piece);
        } else if !piece.is_empty() {
            // A chunk of no bytes would end the body.
            push_text(out, format_args!("{:x}\r\n", piece.len()));
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Appends the end of the body.
    pub(super) fn end(&self, out: &mut Vec<u8>) {
        if self.chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

/// The status line, the header lines and the empty line.
pub(super) fn head(status: u16, reason: &ByteString, headers: &Fields) -> Vec<u8> {
    let size: usize = headers.iter().map(|(name, value)| name.as_bytes().len() + value.as_bytes().len() + 4).sum();
    let mut out = Vec::with_capacity(size + reason.as_bytes().len() + 32);
    status_line(&mut out, status, reason);
    for (name, value) in headers {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn status_line(out: &mut Vec<u8>, status: u16, reason: &ByteString) {
    push_text(out, format_args!("HTTP/1.1 {status:03} "));
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The first bytes of a head: the status line and half of the header lines.
pub(super) fn half_of_head(response: &Response, framed: &Framed) -> Vec<u8> {
    let mut head = head(response.status, &response.reason, &framed.headers);
    let mut line = Vec::new();
    status_line(&mut line, response.status, &response.reason);
    head.truncate(line.len() + (head.len() - line.len()) / 2);
    head
}

fn push_text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes all bytes");
}
