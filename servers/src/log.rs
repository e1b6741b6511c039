use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteString, Fields, Protocol};

/// One request as it arrived, and how its exchange ended: an entry of the wire log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// Position in the order of arrival over the whole stage; entries of one token are in this order.
    pub sequence: u64,
    /// Microseconds from the start of the stage to the arrival of the request's head.
    pub at_us: u64,
    /// Which connection of the stage it came in on; requests with the same number shared one.
    pub connection: u64,
    /// The version of HTTP.
    pub protocol: Protocol,
    /// The method, in the letter case of the request line.
    pub method: ByteString,
    /// The origin that was asked, as browsers serialise it.
    pub origin: String,
    /// Path and query as received, token included.
    pub target: String,
    /// The header lines as received.
    pub headers: Fields,
    /// The body's length in bytes.
    pub body_length: u64,
    /// The body, up to [`crate::Site::BODY_LIMIT`] bytes.
    pub body: ByteString,
    /// Whether the site has a behaviour for this URL. A request without one was answered 404.
    pub routed: bool,
    /// The head of what was answered; nothing where no response was sent (verbatim bytes, faults).
    pub reply: Option<ReplyHead>,
    /// How the exchange ended.
    pub ended: Ended,
}

/// Status and headers of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyHead {
    /// The status.
    pub status: u16,
    /// The header lines in the order in which they were sent.
    pub headers: Fields,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Not yet: the answer is still being written, or the behaviour never answers.
    Open,
    /// The answer was written to its end.
    Answered,
    /// The connection was upgraded to WebSocket.
    Upgraded,
    /// The server broke it off, as the behaviour's fault demands.
    Fault,
    /// The client closed or reset the connection before the answer was written.
    ClientGone,
    /// The request could not be read; it was answered 400 (or 413, 431).
    Malformed,
    /// A limit on time ran out.
    TimedOut,
}
