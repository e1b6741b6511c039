//! What the stage refuses, and how.

use std::time::Duration;

use crate::support::{Fixture, until_end};
use crosscheck_servers::{Ended, Limits, Site, StageConfig};
use rstest::rstest;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

async fn fixture(limits: Limits) -> Fixture {
    let config = StageConfig { limits, ..StageConfig::default() };
    Fixture::with(config, &[("http://api.test/", json!({"body": {"html": "{request.body}"}}))]).await
}

#[rstest]
#[case::no_host("GET /~/ HTTP/1.1\r\n\r\n")]
#[case::two_hosts("GET /~/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")]
#[case::bad_host("GET /~/ HTTP/1.1\r\nHost: a/b\r\n\r\n")]
#[case::bad_target("GET http:///~/ HTTP/1.1\r\nHost: a\r\n\r\n")]
#[case::bad_name("GET /~/ HTTP/1.1\r\nHost : a\r\n\r\n")]
#[case::bad_value("GET /~/ HTTP/1.1\r\nHost: a\u{0}\r\n\r\n")]
#[case::bad_version("GET /~/ HTTP/2.0\r\nHost: a\r\n\r\n")]
#[case::no_version("GET /~/\r\n\r\n")]
#[case::two_lengths("POST /~/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")]
#[case::two_lengths_in_a_line("POST /~/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nab")]
#[case::signed_length("POST /~/ HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na")]
#[case::empty_length("POST /~/ HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\na")]
#[case::both("POST /~/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
#[case::coding("POST /~/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")]
#[case::chunked_1_0("POST /~/ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
#[case::bare_newline_in_the_head("GET /~/ HTTP/1.1\r\nHost: a\nA: 1\r\n\r\n")]
#[case::bare_return_in_the_head("GET /~/ HTTP/1.1\r\nHost: a\r\nA: 1\rB: 2\r\n\r\n")]
#[case::chunk_size("POST /~/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n")]
#[case::huge_chunk("POST /~/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n")]
#[case::long_chunk("POST /~/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n")]
#[case::bare_newline("POST /~/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n")]
#[tokio::test]
async fn a_malformed_request_is_answered_400_and_logged_with_its_token(#[case] request: &str) {
    let fixture = fixture(Limits::default()).await;
    let mut stream = fixture.connect().await;
    fixture.say(&mut stream, request).await;
    let (answer, reset) = until_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && !reset, "{answer:?}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer:?}");
    let mut logged = fixture.stage.log(&fixture.token);
    // A target that is no URL names no site.
    logged.extend(fixture.stage.strays());
    assert_eq!(logged.len(), 1);
    assert_eq!((logged[0].ended, logged[0].reply.as_ref().map(|reply| reply.status)), (Ended::Malformed, Some(400)));
}

#[rstest]
#[case::stated("Content-Length: 11\r\n\r\n")]
#[case::chunked("Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n")]
#[tokio::test]
async fn a_body_that_is_too_large_is_answered_413(#[case] rest: &str) {
    let fixture = fixture(Limits { body_bytes: 10, ..Limits::default() }).await;
    let answer = fixture.talk(&format!("POST /~/ HTTP/1.1\r\nHost: api.test\r\n{rest}")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
    assert_eq!(fixture.stage.log(&fixture.token)[0].ended, Ended::Malformed);
}

#[rstest]
#[case::one_long_line(1, 2000)]
#[case::many_lines(300, 1)]
#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431(#[case] lines: usize, #[case] length: usize) {
    let fixture = fixture(Limits { head_bytes: 2000, ..Limits::default() }).await;
    let line = format!("X: {}\r\n", "x".repeat(length));
    let answer = fixture.talk(&format!("GET /~/ HTTP/1.1\r\nHost: api.test\r\n{}\r\n", line.repeat(lines))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    assert_eq!(fixture.stage.log(&fixture.token)[0].ended, Ended::Malformed);
}

#[tokio::test]
async fn a_large_body_is_counted_to_its_end_and_kept_in_part() {
    let fixture = fixture(Limits::default()).await;
    let size = 3 * Site::BODY_LIMIT;
    let mut stream = fixture.connect().await;
    let head = format!("PUT /~/ HTTP/1.1\r\nHost: api.test\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
    fixture.say(&mut stream, &head).await;
    stream.write_all(&vec![b'x'; size]).await.expect("sent");
    let (answer, _) = until_end(&mut stream).await;
    assert!(answer.len() > Site::BODY_LIMIT);
    let log = fixture.stage.log(&fixture.token);
    assert_eq!((log[0].body_length, log[0].body.as_bytes().len()), (size as u64, Site::BODY_LIMIT));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let fixture = fixture(Limits { idle: Duration::from_millis(20), ..Limits::default() }).await;
    let mut stream = fixture.connect().await;
    assert_eq!(until_end(&mut stream).await, (String::new(), false));
    let mut stream = fixture.connect().await;
    fixture.say(&mut stream, "PUT /~/ HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\n\r\n").await;
    until_end(&mut stream).await;
    assert_eq!(fixture.stage.log(&fixture.token)[0].ended, Ended::TimedOut);
}

#[tokio::test]
async fn one_more_connection_than_allowed_waits_for_another_to_end() {
    let fixture = fixture(Limits { connections: 1, ..Limits::default() }).await;
    let get = "GET /~/ HTTP/1.1\r\nHost: api.test\r\n\r\n";
    let mut first = fixture.connect().await;
    fixture.say(&mut first, get).await;
    fixture.wait_for(|log| log.len() == 1).await;
    let mut second = fixture.connect().await;
    fixture.say(&mut second, get).await;
    fixture.say(&mut first, get).await;
    let log = fixture.wait_for(|log| log.len() == 2).await;
    assert_eq!(log[0].connection, log[1].connection);
    drop(first);
    let log = fixture.wait_for(|log| log.len() == 3).await;
    assert_ne!(log[2].connection, log[0].connection);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_left() {
    let config = StageConfig {
        limits: Limits { idle: Duration::from_millis(50), ..Limits::default() },
        ..StageConfig::default()
    };
    let fixture = Fixture::with(config, &[("http://api.test/", json!({"body": {"fill": 64 << 20}}))]).await;
    let mut stream = fixture.connect().await;
    fixture.say(&mut stream, "GET /~/ HTTP/1.1\r\nHost: api.test\r\n\r\n").await;
    fixture.wait_for(|log| log.first().is_some_and(|exchange| exchange.ended == Ended::TimedOut)).await;
}
