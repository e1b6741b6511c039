//! HTTP/1.1: one request and its response on a connection.

use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::BytesMut;
use crosscheck_cases::standard::Message;
use crosscheck_servers::{ReadResponse, Reading, read_response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use url::Url;

use super::{Trouble, host};

/// How many bytes are reserved before each read.
const READ_SIZE: usize = 16 << 10;
/// How much is read of a response whose end nobody waits for.
const ENOUGH: usize = 512 << 10;

/// Anything that carries a connection: TCP, or TLS in TCP.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The bytes of a request. Host and, where the message does not say how its body is framed, Content-Length are added;
/// to servers that are not ours, also who asks.
pub(super) fn encode(message: &Message, live: bool) -> Vec<u8> {
    let url = &message.url;
    let mut out = Vec::with_capacity(256 + message.body.len());
    out.extend_from_slice(message.method.as_bytes());
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let _ = write!(out, " {}{query} HTTP/1.1\r\n", url.path());
    if !message.headers.contains("host") {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let _ = write!(out, "Host: {}{port}\r\n", host(url));
    }
    if live && !message.headers.contains("user-agent") {
        let _ = write!(out, "User-Agent: crosscheck/{}\r\n", env!("CARGO_PKG_VERSION"));
    }
    for (name, value) in &message.headers {
        for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    let length = message.body.len();
    let chunked = message.headers.get("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if length > 0 && !chunked && !message.headers.contains("content-length") {
        let _ = write!(out, "Content-Length: {length}\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if chunked && length > 0 {
        let _ = write!(out, "{length:x}\r\n");
    }
    out.extend_from_slice(&message.body);
    if chunked {
        out.extend_from_slice(if length > 0 { b"\r\n0\r\n\r\n" } else { b"0\r\n\r\n" });
    }
    out
}

/// A response, and the bytes that came after it.
pub(super) struct Read {
    pub(super) response: ReadResponse,
    pub(super) beyond: Vec<u8>,
}

/// A connection on which one request follows another.
pub(super) struct Connection(Box<dyn Stream>);

impl Connection {
    pub(super) const fn new(stream: Box<dyn Stream>) -> Self {
        Self(stream)
    }

    pub(super) fn into_stream(self) -> Box<dyn Stream> {
        self.0
    }

    /// Whether nothing has come since the last response, not even the end.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut *self.0).poll_read(&mut context, &mut buffer).is_pending()
    }

    /// Sends a request and reads the response. With `patience`, what has come by then of a response that has begun
    /// counts as the whole of it.
    pub(super) async fn exchange(
        &mut self,
        url: &Url,
        request: &[u8],
        is_head: bool,
        patience: Option<Duration>,
    ) -> Result<Read, Trouble> {
        // A server may answer before it has read all, and close: then there is still an answer to read.
        let written = async {
            self.0.write_all(request).await?;
            self.0.flush().await
        }
        .await;
        let mut buffer = BytesMut::new();
        let reading = read(&mut *self.0, &mut buffer, is_head, patience.is_some());
        let in_time = match patience {
            Some(patience) => tokio::time::timeout(patience, reading).await.ok(),
            None => Some(reading.await),
        };
        let ended = match in_time {
            Some(ended) => ended,
            // Nothing came so far: the whole time-out is waited for that.
            None if buffer.is_empty() => read(&mut *self.0, &mut buffer, is_head, true).await,
            None => End::Enough,
        };
        let broken = |why: Option<String>| Trouble::Broken { host: host(url), why };
        let reading = match &ended {
            End::Read => read_response(&buffer, is_head, false),
            End::Closed | End::Enough => read_response(&buffer, is_head, true),
            End::Broken(why) => match read_response(&buffer, is_head, true) {
                Reading::Done(mut response) => {
                    response.complete = false;
                    Reading::Done(response)
                }
                _ => return Err(broken(Some(why.clone()))),
            },
        };
        match reading {
            Reading::Done(mut response) => {
                if matches!(ended, End::Enough) {
                    (response.complete, response.keep_alive) = (true, false);
                }
                let beyond = buffer.get(response.length..).unwrap_or_default().to_vec();
                Ok(Read { response, beyond })
            }
            _ if buffer.is_empty() && matches!(ended, End::Enough) => {
                Err(Trouble::TimedOut { host: host(url), limit: patience.unwrap_or_default() })
            }
            _ if buffer.is_empty() => Err(broken(written.err().map(|error| error.to_string()))),
            _ if is_unfinished_head(&buffer) => Err(match ended {
                End::Enough if buffer.len() >= ENOUGH => Trouble::LargeHead { host: host(url), limit: ENOUGH },
                End::Enough => Trouble::SlowHead { host: host(url), limit: patience.unwrap_or_default() },
                _ => broken(Some("it ended in the middle of the head of the answer".to_owned())),
            }),
            Reading::More | Reading::Malformed => Err(Trouble::Malformed { host: host(url) }),
        }
    }
}

/// Whether it is the beginning of a response of which not all header lines have come.
fn is_unfinished_head(bytes: &[u8]) -> bool {
    let is_http = bytes.starts_with(b"HTTP/") || b"HTTP/".starts_with(bytes);
    is_http
        && !bytes.windows(4).any(|window| window == b"\r\n\r\n")
        && !bytes.windows(2).any(|window| window == b"\n\n")
}

/// Why reading ended.
enum End {
    /// There is a whole response, or what is none.
    Read,
    /// The server closed the connection.
    Closed,
    /// The connection broke.
    Broken(String),
    /// More is not wanted.
    Enough,
}

async fn read(stream: &mut dyn Stream, buffer: &mut BytesMut, is_head: bool, limited: bool) -> End {
    loop {
        buffer.reserve(READ_SIZE);
        match stream.read_buf(buffer).await {
            // Many servers close TCP without a word of TLS.
            Ok(0) => return End::Closed,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return End::Closed,
            Err(error) => return End::Broken(error.to_string()),
            Ok(_) if limited && buffer.len() >= ENOUGH => return End::Enough,
            Ok(_) if read_response(buffer, is_head, false) != Reading::More => return End::Read,
            Ok(_) => {}
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Connection")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crosscheck_cases::standard::MessageKind;

    #[test]
    fn requests_are_written_as_they_are_given() {
        let message = |headers: &[(&str, &str)], body: &str| Message {
            step: 0,
            kind: MessageKind::Request,
            method: "PoST".into(),
            url: Url::parse("https://a.test:8443/b?c#d").expect("a URL"),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: body.as_bytes().to_vec(),
        };
        for (headers, body, expected) in [
            (&[][..], "", "PoST /b?c HTTP/1.1\r\nHost: a.test:8443\r\n\r\n"),
            (&[("x", "1")], "hi", "PoST /b?c HTTP/1.1\r\nHost: a.test:8443\r\nx: 1\r\nContent-Length: 2\r\n\r\nhi"),
            (
                &[("Transfer-Encoding", "chunked")],
                "hi",
                "PoST /b?c HTTP/1.1\r\nHost: a.test:8443\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            ),
            (
                &[("Host", "b"), ("content-length", "9")],
                "hi",
                "PoST /b?c HTTP/1.1\r\nHost: b\r\ncontent-length: 9\r\n\r\nhi",
            ),
        ] {
            assert_eq!(String::from_utf8_lossy(&encode(&message(headers, body), false)), expected);
        }
    }
}
