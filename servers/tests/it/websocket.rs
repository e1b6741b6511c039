//! WebSocket: the handshake and the scripts.

use crate::support::{Fixture, expect};
use crosscheck_servers::Ended;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

async fn open(fixture: &Fixture) -> Result<WebSocketStream<TcpStream>, Error> {
    let url = format!("ws://api.test/{}/", fixture.token);
    tokio_tungstenite::client_async(url, fixture.connect().await).await.map(|(socket, _)| socket)
}

async fn fixture(answer: Value) -> Fixture {
    Fixture::new(&[("http://api.test/", json!({"status": 403, "websocket": answer}))]).await
}

#[tokio::test]
async fn messages_are_sent_and_echoed_until_the_client_closes() {
    let fixture = fixture(json!({"then": [{"send": "for {request.header host}"}, "echo"]})).await;
    let mut socket = open(&fixture).await.expect("a connection");
    assert_eq!(socket.next().await.expect("a message").expect("text"), Message::text("for api.test"));
    for message in [Message::text("é"), Message::binary(vec![0, 255])] {
        socket.send(message.clone()).await.expect("sent");
        assert_eq!(socket.next().await.expect("a message").expect("an echo"), message);
    }
    socket.close(None).await.expect("closed");
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
    assert!(socket.next().await.is_none());
    let log = fixture.wait_for(|log| log[0].ended == Ended::Upgraded).await;
    assert_eq!(log[0].reply.as_ref().map(|reply| reply.status), Some(101));
}

#[tokio::test]
async fn the_server_closes_with_its_code() {
    let fixture = fixture(json!({"then": [{"close": 4001}]})).await;
    let mut socket = open(&fixture).await.expect("a connection");
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no close frame") };
    assert_eq!(frame.code, CloseCode::Library(4001));
}

#[tokio::test]
async fn a_wrong_or_missing_accept_value_fails_the_handshake() {
    for accept in ["wrong", "missing"] {
        let fixture = fixture(json!({"accept": accept})).await;
        let error = open(&fixture).await.expect_err(accept);
        assert!(matches!(error, Error::Protocol(ProtocolError::SecWebSocketAcceptKeyMismatch)), "{accept}: {error}");
    }
}

#[tokio::test]
async fn a_handshake_without_its_status_or_one_of_its_lines_fails() {
    let refused = fixture(json!({"status": 200})).await;
    let Err(Error::Http(response)) = open(&refused).await else { panic!("a connection") };
    assert_eq!((response.status().as_u16(), response.headers().contains_key("sec-websocket-accept")), (200, true));
    let log = refused.wait_for(|log| log[0].ended != Ended::Open).await;
    assert_ne!(log[0].ended, Ended::Upgraded);
    let fixture = fixture(json!({"leave-out": ["Connection"]})).await;
    let error = open(&fixture).await.expect_err("no Connection line");
    assert!(matches!(error, Error::Protocol(ProtocolError::MissingConnectionUpgradeHeader)), "{error}");
}

#[tokio::test]
async fn without_a_websocket_answer_the_handshake_gets_the_http_answer() {
    let fixture = Fixture::new(&[("http://api.test/", json!({"status": 403}))]).await;
    let Err(Error::Http(response)) = open(&fixture).await else { panic!("a connection") };
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn frames_that_are_sent_with_the_handshake_are_not_lost() {
    let fixture = fixture(json!({"then": ["echo"]})).await;
    let mut stream = fixture.connect().await;
    let handshake = "GET /~/ HTTP/1.1\r\nHost: api.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut bytes = handshake.replace('~', fixture.token.as_str()).into_bytes();
    // A masked text frame `hi` with the key 0.
    bytes.extend_from_slice(b"\x81\x82\0\0\0\0hi");
    stream.write_all(&bytes).await.expect("sent");
    expect(
        &mut stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )
    .await;
    let mut frame = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut frame).await.expect("a frame");
    assert_eq!(&frame, b"\x81\x02hi");
}

/// As WebKit does with a proxy, also for `ws:`.
#[tokio::test]
async fn a_tunnel_carries_websockets_with_and_without_tls() {
    let echo = json!({"websocket": {"then": ["echo"]}});
    let fixture = Fixture::new(&[("http://api.test/", echo.clone()), ("https://api.test/", echo)]).await;
    for scheme in ["ws", "wss"] {
        let mut stream = fixture.connect().await;
        fixture.say(&mut stream, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n").await;
        expect(&mut stream, "HTTP/1.1 200 Connection established\r\n\r\n").await;
        let url = format!("{scheme}://api.test/{}/", fixture.token);
        if scheme == "ws" {
            echoes(tokio_tungstenite::client_async(url, stream).await.expect("a connection").0).await;
        } else {
            let stream = crate::support::client::tls(stream, "api.test", &[b"http/1.1"]).await;
            echoes(tokio_tungstenite::client_async(url, stream).await.expect("a connection").0).await;
        }
    }
    let origins: Vec<String> = fixture.stage.log(&fixture.token).into_iter().map(|entry| entry.origin).collect();
    assert_eq!(origins, ["http://api.test", "https://api.test"]);
}

async fn echoes(mut socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>) {
    socket.send(Message::text("hi")).await.expect("sent");
    assert_eq!(socket.next().await.expect("a message").expect("an echo"), Message::text("hi"));
}
