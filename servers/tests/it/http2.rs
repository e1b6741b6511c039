//! HTTP/2 over TLS.

use std::time::Duration;

use crate::support::Fixture;
use crate::support::client::tls;
use bytes::Bytes;
use crosscheck_servers::{Ended, Limits, Protocol, StageConfig};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rstest::rstest;
use serde_json::{Value, json};

const HOST: &str = "h2.api.test";

async fn fixture(behaviour: Value) -> Fixture {
    Fixture::new(&[("https://h2.api.test/", behaviour)]).await
}

async fn connect(fixture: &Fixture) -> SendRequest<Full<Bytes>> {
    let stream = tls(fixture.connect().await, HOST, &[b"h2"]).await;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    sender
}

fn request(fixture: &Fixture, method: &str, body: &str) -> http::Request<Full<Bytes>> {
    http::Request::builder()
        .method(method)
        .uri(format!("https://{HOST}/{}/?q", fixture.token))
        .header("X-Repeated", "1")
        .header("X-Repeated", "2")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .expect("a request")
}

/// Status, header lines, and body, or what went wrong.
async fn fetch(fixture: &Fixture, method: &str, body: &str) -> Result<(u16, Vec<String>, String), hyper::Error> {
    let response = connect(fixture).await.send_request(request(fixture, method, body)).await?;
    let lines = response
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, lines, String::from_utf8_lossy(&body).into_owned()))
}

#[rstest]
#[case::text(json!({}), 200, &["content-type: text/plain; charset=utf-8", "content-length: 5"], "hello")]
#[case::no_body(json!({"status": 204}), 204, &["content-type: text/plain; charset=utf-8"], "")]
#[case::repeats_and_case(
    json!({"status": 599, "headers": [["X-B", "1"], ["x-b", "2"], ["Connection", "close"]], "body": null}),
    599, &["x-b: 1", "x-b: 2", "content-length: 0"], ""
)]
#[case::greatest_status(json!({"status": 999, "body": null}), 999, &["content-length: 0"], "")]
#[case::pieces(
    json!({"headers": [["Content-Type", "a/b"]], "body": {"pieces": ["ab", "", "c"]}, "pause-ms": 1}),
    200, &["content-type: a/b"], "abc"
)]
#[tokio::test]
async fn answers_have_what_the_behaviour_says_and_nothing_else(
    #[case] behaviour: Value,
    #[case] status: u16,
    #[case] lines: &[&str],
    #[case] body: &str,
) {
    let fixture = fixture(behaviour).await;
    let answer = fetch(&fixture, "GET", "").await.expect("an answer");
    assert_eq!(answer, (status, lines.iter().map(ToString::to_string).collect(), body.to_owned()));
    let log = fixture.wait_for(|log| log[0].ended == Ended::Answered).await;
    let reply = log[0].reply.as_ref().expect("a reply");
    let logged: Vec<String> = reply.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!((reply.status, logged), (answer.0, answer.1));
}

#[tokio::test]
async fn the_log_has_the_request() {
    let fixture = fixture(json!({"body": {"html": "{request.body}"}})).await;
    let (_, _, body) = fetch(&fixture, "PATCH", "sent").await.expect("an answer");
    assert_eq!(body, "sent");
    let entry = &fixture.stage.log(&fixture.token)[0];
    assert_eq!((entry.protocol, entry.method.to_string()), (Protocol::Http2, "PATCH".to_owned()));
    assert_eq!(entry.origin, "https://h2.api.test");
    assert_eq!(entry.target, format!("/{}/?q", fixture.token));
    let lines: Vec<String> = entry.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(lines, ["host: h2.api.test", "x-repeated: 1", "x-repeated: 2", "content-length: 4"]);
    assert_eq!((entry.body_length, entry.body.to_string()), (4, "sent".to_owned()));
}

#[rstest]
#[case::reset(json!({"fault": "reset"}))]
#[case::close(json!({"fault": "close"}))]
#[case::reset_in_headers(json!({"fault": "reset-in-headers"}))]
#[case::reset_in_body(json!({"fault": "reset-in-body"}))]
#[case::reset_in_no_body(json!({"fault": "reset-in-body", "body": null}))]
#[case::verbatim(json!({"verbatim": "HTTP/1.1 200 OK\r\n\r\n"}))]
#[case::informational(json!({"status": 103}))]
#[case::invalid_value(json!({"headers": [["X", "a\u{0}b"]]}))]
#[case::invalid_name(json!({"headers": [["X Y", "a"]]}))]
#[tokio::test]
async fn what_http_2_cannot_carry_resets_the_stream(#[case] behaviour: Value) {
    let fixture = fixture(behaviour).await;
    fetch(&fixture, "GET", "").await.expect_err("a reset");
    fixture.wait_for(|log| log[0].ended == Ended::Fault).await;
}

#[tokio::test]
async fn a_reset_leaves_other_streams_alone() {
    let fixture = Fixture::new(&[
        ("https://h2.api.test/", json!({"delay-ms": 20})),
        ("https://h2.api.test/?q", json!({"fault": "reset"})),
    ])
    .await;
    let mut sender = connect(&fixture).await;
    let mut slow = request(&fixture, "GET", "");
    *slow.uri_mut() = format!("https://{HOST}/{}/", fixture.token).parse().expect("a URL");
    let slow = sender.send_request(slow);
    let broken = sender.send_request(request(&fixture, "GET", ""));
    let (slow, broken) = tokio::join!(slow, broken);
    broken.expect_err("a reset");
    assert_eq!(slow.expect("an answer").status(), 200);
    let log = fixture.stage.log(&fixture.token);
    assert_eq!(log[0].connection, log[1].connection);
}

#[rstest]
#[case::never(json!({"fault": "never-answer"}))]
#[case::delay(json!({"delay-ms": 60000}))]
#[tokio::test]
async fn a_client_that_goes_while_it_waits_is_noticed(#[case] behaviour: Value) {
    let fixture = fixture(behaviour).await;
    let mut sender = connect(&fixture).await;
    let waiting = sender.send_request(request(&fixture, "GET", ""));
    let gone = async {
        fixture.wait_for(|log| log.len() == 1).await;
    };
    tokio::select! {
        answer = waiting => panic!("{answer:?}"),
        () = gone => {}
    }
    // The stream is reset with its future; the connection stays.
    let log = fixture.wait_for(|log| log[0].ended == Ended::ClientGone).await;
    assert_eq!(log[0].reply, None);
    assert!(!sender.is_closed());
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_of_a_body_is_noticed() {
    let fixture = fixture(json!({"body": {"pieces": ["a", "b"]}, "pause-ms": 60000})).await;
    let mut sender = connect(&fixture).await;
    let mut response = sender.send_request(request(&fixture, "GET", "")).await.expect("an answer");
    let first = response.body_mut().frame().await.expect("a frame").expect("data").into_data().expect("data");
    assert_eq!(first, "a");
    drop((sender, response));
    fixture.wait_for(|log| log[0].ended == Ended::ClientGone).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_413() {
    let limits = Limits { body_bytes: 10, idle: Duration::from_secs(20), ..Limits::default() };
    let config = StageConfig { limits, ..StageConfig::default() };
    let fixture = Fixture::with(config, &[("https://h2.api.test/", json!({}))]).await;
    let (status, _, _) = fetch(&fixture, "POST", "eleven bytes").await.expect("an answer");
    assert_eq!(status, 413);
    assert_eq!(fixture.stage.log(&fixture.token)[0].ended, Ended::Malformed);
}

#[tokio::test]
async fn stopping_the_stage_ends_streams() {
    let fixture = fixture(json!({"fault": "never-answer"})).await;
    let mut sender = connect(&fixture).await;
    let waiting = tokio::spawn(sender.send_request(request(&fixture, "GET", "")));
    fixture.wait_for(|log| log.len() == 1).await;
    fixture.stage.stop().await;
    waiting.await.expect("no panic").expect_err("an end");
}
