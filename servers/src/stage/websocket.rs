use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::wire::{Stream, Wire};
use crate::WebSocketAction;

/// Follows the script on a connection whose handshake was answered, then waits for the client to close.
pub(super) async fn serve(wire: Wire, script: Vec<WebSocketAction>) {
    let (unused, stream) = wire.into_parts();
    let mut socket = WebSocketStream::from_partially_read(stream, unused, Role::Server, None).await;
    // However the connection ends, there is nobody left to tell.
    let _ = follow(&mut socket, script).await;
}

async fn follow(socket: &mut WebSocketStream<Box<dyn Stream>>, script: Vec<WebSocketAction>) -> Result<(), Error> {
    for action in script {
        match action {
            WebSocketAction::Send(text) => socket.send(Message::text(text)).await?,
            WebSocketAction::Echo => {
                while let Some(message) = socket.next().await {
                    let message = message?;
                    if message.is_text() || message.is_binary() {
                        socket.send(message).await?;
                    }
                }
            }
            WebSocketAction::Close(code) => {
                socket.close(Some(CloseFrame { code: code.into(), reason: "".into() })).await?;
                break;
            }
        }
    }
    while let Some(message) = socket.next().await {
        message?;
    }
    Ok(())
}
