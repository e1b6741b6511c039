//! Every fault, as the client sees it.

use std::time::Duration;

use crate::support::client::tls;
use crate::support::{Fixture, until_end};
use crosscheck_servers::Ended;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

const GET: &str = "GET /~/ HTTP/1.1\r\nHost: api.test\r\n\r\n";
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\n";

#[rstest]
#[case::reset("reset", "", true)]
#[case::close("close", "", false)]
#[case::reset_in_headers("reset-in-headers", "HTTP/1.1 200 OK\r\nContent-Type: text/plain; chars", true)]
#[case::reset_in_body("reset-in-body", &format!("{HEAD}he"), true)]
#[tokio::test]
async fn a_fault_ends_the_connection(#[case] fault: &str, #[case] received: &str, #[case] reset: bool) {
    let behaviour = json!({"fault": fault});
    let fixture = Fixture::new(&[("http://api.test/", behaviour.clone()), ("https://api.test/", behaviour)]).await;
    let mut stream = fixture.connect().await;
    fixture.say(&mut stream, GET).await;
    assert_eq!(until_end(&mut stream).await, (received.to_owned(), reset));

    let mut stream = tls(fixture.connect().await, "api.test", &[]).await;
    stream.write_all(GET.replace('~', fixture.token.as_str()).as_bytes()).await.expect("sent");
    assert_eq!(until_end(&mut stream).await, (received.to_owned(), reset), "over TLS");

    let log = fixture.wait_for(|log| log.len() == 2 && log.iter().all(|entry| entry.ended == Ended::Fault)).await;
    assert!(log.iter().all(|entry| entry.reply.is_some() == (fault == "reset-in-body")), "{log:#?}");
}

#[rstest]
#[case::never(json!({"fault": "never-answer"}))]
#[case::delay(json!({"delay-ms": 60000}))]
#[case::after(json!({"after": ["http://api.test/never"]}))]
#[case::pause(json!({"body": {"pieces": ["a", "b"]}, "pause-ms": 60000}))]
#[tokio::test]
async fn a_client_that_goes_while_it_waits_is_noticed(#[case] behaviour: Value) {
    let paused = behaviour.get("pause-ms").is_some();
    let fixture = Fixture::new(&[("http://api.test/", behaviour)]).await;
    let mut stream = fixture.connect().await;
    fixture.say(&mut stream, GET).await;
    let log = fixture.wait_for(|log| log.len() == 1 && log[0].reply.is_some() == paused).await;
    assert_eq!(log[0].ended, Ended::Open);
    drop(stream);
    fixture.wait_for(|log| log[0].ended == Ended::ClientGone).await;
}

#[tokio::test]
async fn an_answer_waits_until_other_urls_were_asked_for() {
    let get = |path: &str| format!("GET /~/{path} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n");
    let fixture = Fixture::new(&[
        ("http://api.test/", json!({"after": ["http://api.test/1", "http://api.test/2"], "body": "at last"})),
        ("http://api.test/2", json!({})),
    ])
    .await;
    let mut waiting = fixture.connect().await;
    fixture.say(&mut waiting, &get("")).await;
    // A request that is answered 404 is one as well.
    let mut first = fixture.connect().await;
    fixture.say(&mut first, &get("1")).await;
    until_end(&mut first).await;
    let log = fixture.wait_for(|log| log.len() == 2).await;
    assert_eq!(log.iter().map(|entry| entry.reply.is_some()).collect::<Vec<_>>(), [false, true]);
    let mut second = fixture.connect().await;
    fixture.say(&mut second, &get("2")).await;
    let (answer, _) = until_end(&mut waiting).await;
    assert!(answer.ends_with("at last"), "{answer}");
}

#[tokio::test]
async fn a_client_that_goes_before_its_body_is_sent_is_logged() {
    let fixture = Fixture::new(&[("http://api.test/", json!({}))]).await;
    let mut stream = fixture.connect().await;
    fixture.say(&mut stream, "PUT /~/ HTTP/1.1\r\nHost: api.test\r\nContent-Length: 9\r\n\r\nab").await;
    drop(stream);
    let log = fixture.wait_for(|log| log.len() == 1).await;
    assert_eq!((log[0].ended, log[0].body_length), (Ended::ClientGone, 2));
}

#[tokio::test]
async fn a_request_that_is_sent_ahead_does_not_disturb_a_delay() {
    let fixture = Fixture::new(&[
        ("http://api.test/", json!({"delay-ms": 50})),
        ("http://api.test/2", json!({"body": "second"})),
    ])
    .await;
    let mut stream = fixture.connect().await;
    fixture.say(&mut stream, GET).await;
    fixture.wait_for(|log| log.len() == 1).await;
    fixture.say(&mut stream, "GET /~/2 HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n").await;
    let (answers, reset) = until_end(&mut stream).await;
    assert!(answers.contains("\r\n\r\nhelloHTTP/1.1") && answers.ends_with("second") && !reset, "{answers:?}");
    let log = fixture.stage.log(&fixture.token);
    assert!(Duration::from_micros(log[1].at_us - log[0].at_us) >= Duration::from_millis(50), "answered in order");
}
