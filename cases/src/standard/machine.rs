//! The state machine without I/O: it says which message goes out next, is told what came back, and ends in a result.
//!
//! The standard's algorithms wait for the network in their midst. They are written here as `async` functions, so that
//! they read as the standard does, and are driven by [`Machine::next`] alone: no runtime, no threads, no clock.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crosscheck_servers::{ByteString, Fields, Reading};
use url::Url;

/// What goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// During which step of a case, counted from 0.
    pub step: usize,
    /// What it is.
    pub kind: MessageKind,
    /// The method.
    pub method: ByteString,
    /// The URL that is asked, without user name, password and fragment; `http` or `https`.
    pub url: Url,
    /// All header lines that the standard determines. Others that HTTP needs (Host) are the driver's.
    pub headers: Fields,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// A request with just these headers, which the standard has not made.
    #[must_use]
    pub fn plain(method: &str, url: &Url, headers: &[(&str, &str)]) -> Self {
        Self {
            step: 0,
            kind: MessageKind::Request,
            method: method.into(),
            url: url.clone(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: Vec::new(),
        }
    }
}

/// Kinds of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// An HTTP request; answered by [`Answer::Response`], [`Answer::Failed`] or [`Answer::Never`].
    Request,
    /// A CORS preflight; answered likewise.
    Preflight,
    /// A WebSocket handshake; answered likewise.
    Handshake,
    /// The handshake was accepted: the conversation on the connection, answered by [`Answer::Conversation`].
    Conversation {
        /// A text message that the page sends as soon as the connection is open.
        send: Option<String>,
        /// After how many received messages the page closes.
        messages: u32,
    },
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP response.
    Response(Received),
    /// What happened on an open WebSocket connection.
    Conversation(Vec<SocketEvent>),
    /// The exchange failed before there was a response.
    Failed(Failure),
    /// Nothing came in the time that the page waits.
    Never,
}

impl Answer {
    /// The answer that bytes of an HTTP/1 connection are. `took` is how long they took.
    #[must_use]
    pub fn read(reading: &Reading, took: Duration) -> Self {
        match reading {
            Reading::Done(read) => Self::Response(Received {
                status: read.status,
                reason: read.reason.clone(),
                headers: read.headers.clone(),
                body: read.body.clone(),
                complete: read.complete,
                took,
            }),
            Reading::Malformed => Self::Failed(Failure::Malformed),
            Reading::More => Self::Never,
        }
    }
}

/// An HTTP response as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: ByteString,
    /// The header lines.
    pub headers: Fields,
    /// The body, decoded from its framing.
    pub body: Vec<u8>,
    /// Whether the body came to its end, or was broken off.
    pub complete: bool,
    /// How long it took.
    pub took: Duration,
}

/// How an exchange can fail below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There was no connection, or it broke.
    Connection,
    /// What came is not HTTP.
    Malformed,
}

/// An event on an open WebSocket connection, in the order in which a page sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketEvent {
    /// A text message.
    Message(String),
    /// The connection closed with this code, after a closing handshake or without one.
    Close {
        /// The status code.
        code: u16,
        /// Whether there was a closing handshake.
        clean: bool,
    },
}

/// What a machine wants next.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub enum Next<T> {
    /// This message is sent, and [`Machine::next`] called with what came back.
    Send(Message),
    /// It is at its end.
    Done(T),
}

#[derive(Debug, Default)]
struct Slot {
    out: Option<Message>,
    back: Option<Answer>,
}

/// The end of the wire inside the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Mutex<Slot>>);

impl Wire {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message and waits for its answer.
    pub(crate) async fn exchange(&self, message: Message) -> Answer {
        self.slot().out = Some(message);
        poll_fn(|_| self.slot().back.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

/// An algorithm of the standard under way.
pub struct Machine<T> {
    wire: Wire,
    algorithm: Pin<Box<dyn Future<Output = T> + Send>>,
}

impl<T> std::fmt::Debug for Machine<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Machine").field("wire", &self.wire).finish_non_exhaustive()
    }
}

impl<T> Machine<T> {
    pub(crate) fn new<F: Future<Output = T> + Send + 'static>(start: impl FnOnce(Wire) -> F) -> Self {
        let wire = Wire::default();
        Self { algorithm: Box::pin(start(wire.clone())), wire }
    }

    /// Goes on to the next message, or to the end. `answer` is what came back for the message before; nothing at the
    /// start. A missing answer counts as [`Answer::Never`].
    ///
    /// # Panics
    /// When it is called again after its end.
    pub fn next(&mut self, answer: Option<Answer>) -> Next<T> {
        self.wire.slot().back = answer;
        loop {
            let polled = self.algorithm.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            match polled {
                Poll::Ready(result) => return Next::Done(result),
                Poll::Pending => {
                    let mut slot = self.wire.slot();
                    match slot.out.take() {
                        Some(message) => return Next::Send(message),
                        None => slot.back = Some(Answer::Never),
                    }
                }
            }
        }
    }

    /// Runs to the end, every message answered by a function.
    pub fn run(mut self, mut answer: impl FnMut(Message) -> Answer) -> T {
        let mut back = None;
        loop {
            match self.next(back.take()) {
                Next::Send(message) => back = Some(answer(message)),
                Next::Done(result) => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_can_be_shown() {
        let machine = Machine::new(|_| async {});
        assert!(format!("{machine:?}").starts_with("Machine { wire: "));
    }
}
