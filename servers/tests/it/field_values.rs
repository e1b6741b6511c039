//! Which bytes of a field value reach the behaviour and the log over HTTP/1: all that Fetch lets a page send.

use crate::support::client::tls;
use crate::support::{DEADLINE, Fixture, expect, rest};
use crosscheck_servers::{ByteString, Ended};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Every byte of a header value. (Fetch, <https://fetch.spec.whatwg.org/#header-value>)
fn bytes() -> impl Iterator<Item = u8> {
    (0x01..=0xff).filter(|byte| !matches!(byte, b'\r' | b'\n'))
}

async fn fixture(scheme: &str) -> Fixture {
    let behaviour = json!({ "headers": [["X", "{request.header x}"]], "body": null });
    Fixture::new(&[(&format!("{scheme}://api.test/"), behaviour)]).await
}

/// Sends each byte in the middle and at the ends of a value and expects to get it back, and in the log.
async fn every_byte_comes_back(fixture: &Fixture, mut stream: impl AsyncRead + AsyncWrite + Unpin, target: &str) {
    let target = target.replace("/~/", &format!("/{}/", fixture.token));
    for byte in bytes() {
        for (sent, received) in [(vec![b'a', byte, b'b'], vec![b'a', byte, b'b']), (vec![byte], trimmed(byte))] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: api.test\r\nX: ");
            let request = [head.as_bytes(), &sent, b"\r\n\r\n"].concat();
            stream.write_all(&request).await.expect("sent");
            let answer = [b"HTTP/1.1 200 OK\r\nX: ", received.as_slice(), b"\r\nContent-Length: 0\r\n\r\n"].concat();
            let mut got = vec![0; answer.len()];
            let whole = tokio::time::timeout(DEADLINE, stream.read_exact(&mut got)).await.expect("in time");
            assert!(whole.is_ok() && got == answer, "{byte:#04x}: {:?}", String::from_utf8_lossy(&got));
        }
    }
    let answered = bytes().count() * 2;
    let log = fixture.wait_for(|log| log.len() == answered && log[answered - 1].ended == Ended::Answered).await;
    for (byte, exchange) in bytes().zip(log.iter().step_by(2)) {
        assert_eq!(exchange.headers.get("x"), Some(ByteString::from(vec![b'a', byte, b'b'])), "{byte:#04x}");
    }
}

/// A value without the optional whitespace around it.
fn trimmed(byte: u8) -> Vec<u8> {
    if matches!(byte, b' ' | b'\t') { Vec::new() } else { vec![byte] }
}

#[tokio::test]
async fn on_a_plain_connection() {
    let fixture = fixture("http").await;
    every_byte_comes_back(&fixture, fixture.connect().await, "/~/").await;
}

#[tokio::test]
async fn over_tls() {
    let fixture = fixture("https").await;
    let stream = tls(fixture.connect().await, "api.test", &[]).await;
    every_byte_comes_back(&fixture, stream, "/~/").await;
}

#[tokio::test]
async fn of_a_browser_that_has_the_stage_as_its_proxy() {
    let fixture = fixture("http").await;
    every_byte_comes_back(&fixture, fixture.connect().await, "http://api.test/~/").await;
}

#[tokio::test]
async fn in_a_tunnel() {
    let fixture = fixture("https").await;
    let mut stream = fixture.connect().await;
    fixture.say(&mut stream, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\nX: \u{1}\r\n\r\n").await;
    expect(&mut stream, "HTTP/1.1 200 Connection established\r\n\r\n").await;
    every_byte_comes_back(&fixture, tls(stream, "api.test", &[]).await, "/~/").await;
}

#[tokio::test]
async fn nul_and_the_ends_of_lines_alone_are_refused() {
    let fixture = fixture("http").await;
    for value in ["a\0b", "\0", "a\rb", "a\r", "\ra", "a\nb", "a\n", "a\nY: b", "a\rY: b", "a\n b"] {
        let answer = fixture.talk(&format!("GET /~/ HTTP/1.1\r\nHost: api.test\r\nX: {value}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{value:?}: {answer:?}");
    }
    let log = fixture.stage.log(&fixture.token);
    assert!(log.iter().all(|exchange| exchange.ended == Ended::Malformed), "{log:?}");
}

#[tokio::test]
async fn equal_lengths_of_a_body_are_one() {
    let fixture = Fixture::new(&[("http://api.test/", json!({ "body": { "html": "{request.body}" } }))]).await;
    for lines in
        ["Content-Length: 2, 2", "Content-Length: 2\r\nContent-Length: 2", "Content-Length: 2,2\r\ncontent-length:2"]
    {
        let head = format!("POST /~/ HTTP/1.1\r\nHost: api.test\r\n{lines}\r\nConnection: close\r\n\r\nok");
        let mut stream = fixture.connect().await;
        fixture.say(&mut stream, &head).await;
        let answer = rest(&mut stream).await;
        assert!(answer.ends_with("\r\n\r\nok"), "{lines:?}: {answer:?}");
    }
}
