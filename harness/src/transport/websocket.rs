//! The conversation on a WebSocket connection, as the runner's page leads it.

use std::fmt;

use crosscheck_cases::standard::SocketEvent;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::http1::Stream;

/// What a page sees where the close frame has no code, and where there was no close frame. (RFC 6455, 7.1.5)
const NO_STATUS: u16 = 1005;
const ABNORMAL: u16 = 1006;

/// A connection whose handshake was answered 101.
pub(super) struct Upgraded {
    stream: Box<dyn Stream>,
    /// What came after the answer.
    unused: Vec<u8>,
}

impl Upgraded {
    pub(super) const fn new(stream: Box<dyn Stream>, unused: Vec<u8>) -> Self {
        Self { stream, unused }
    }

    /// Sends a message, if any, and closes after `messages` were received.
    pub(super) async fn converse(self, send: Option<String>, messages: u32) -> Vec<SocketEvent> {
        let mut socket = WebSocketStream::from_partially_read(self.stream, self.unused, Role::Client, None).await;
        let mut events = Vec::new();
        let mut left = messages;
        // Whether sending fails is seen when reading.
        if let Some(text) = send {
            let _ = socket.send(Message::text(text)).await;
        }
        if left == 0 {
            close(&mut socket).await;
        }
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Text(text) if left > 0 => {
                    events.push(SocketEvent::Message(text.to_string()));
                    left -= 1;
                    if left == 0 {
                        close(&mut socket).await;
                    }
                }
                Message::Close(frame) => {
                    // The answer to it, which nobody needs to get.
                    let _ = socket.flush().await;
                    let code = frame.map_or(NO_STATUS, |frame| frame.code.into());
                    events.push(SocketEvent::Close { code, clean: true });
                    return events;
                }
                // What comes while the page closes is not for it any more.
                Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        events.push(SocketEvent::Close { code: ABNORMAL, clean: false });
        events
    }
}

async fn close(socket: &mut WebSocketStream<Box<dyn Stream>>) {
    let _ = socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await;
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Upgraded")
    }
}
