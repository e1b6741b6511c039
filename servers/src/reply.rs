use std::time::Duration;

use crate::{ByteString, Fault, Fields, WebSocketAction};

/// What a fake server does with one request, decided by [`crate::respond`] and carried out by the network shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// URLs of the same site, without its token, that have to be asked for before the server does anything.
    pub after: Vec<String>,
    /// How long the server then waits.
    pub delay: Duration,
    /// What it then sends.
    pub message: Message,
}

/// What goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// An HTTP response.
    Response(Response),
    /// These bytes and nothing else; then the connection is closed. (HTTP/2 cannot carry them: its stream is reset.)
    Verbatim(ByteString),
    /// A `101` response; then the connection speaks WebSocket and follows the script.
    WebSocket(Response, Vec<WebSocketAction>),
    /// A fault in place of, or in the middle of, the response.
    Fault(Fault, Response),
}

/// An HTTP response, with nothing left to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, 0 to 999.
    pub status: u16,
    /// The reason phrase; empty where there is none.
    pub reason: ByteString,
    /// All header lines in order, without those that frame the body (Content-Length, Transfer-Encoding).
    pub headers: Fields,
    /// The body in the pieces in which it is written.
    pub body: Vec<Vec<u8>>,
    /// How the end of the body is made known.
    pub framing: Framing,
    /// How long the server waits between two pieces of the body.
    pub pause: Duration,
}

/// How a message body is framed. (HTTP/2 frames by itself: there only a stated length is sent.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing: the status or the method says that there is no body.
    None,
    /// `Content-Length` with this number, right or wrong; where it is more than the body, the connection is closed
    /// after the body.
    Length(u64),
    /// `Transfer-Encoding: chunked`, a chunk for each piece.
    Chunked,
    /// Neither: the body ends where the connection is closed.
    Close,
}
