//! HTTP/1.1, byte for byte.

use crate::support::{Fixture, expect, rest};
use crosscheck_servers::{Ended, Protocol, Stage, StageConfig};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

const GET: &str = "GET /~/ HTTP/1.1\r\nHost: api.test\r\n\r\n";
const GET_CLOSE: &str = "GET /~/ HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n";

async fn answered(behaviour: Value, request: &str) -> String {
    Fixture::new(&[("http://api.test/", behaviour)]).await.talk(request).await
}

#[rstest]
#[case::default(json!({}), "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello")]
#[case::letter_case_order_and_repeats(
    json!({"headers": [["x-b", "1"], ["X-A", ""], ["X-b", "2"], ["Content-Type", "a/b"]], "body": "x"}),
    "HTTP/1.1 200 OK\r\nx-b: 1\r\nX-A: \r\nX-b: 2\r\nContent-Type: a/b\r\nContent-Length: 1\r\n\r\nx"
)]
#[case::any_value_byte(
    json!({"headers": [["X", "a\u{0}\u{80}\u{ff}\tb"], ["Y", "1\r\n fold"]], "body": null}),
    "HTTP/1.1 200 OK\r\nX: a\u{0}\u{80}\u{ff}\tb\r\nY: 1\r\n fold\r\nContent-Length: 0\r\n\r\n"
)]
#[case::unregistered_status(
    json!({"status": 599, "body": null}), "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n"
)]
#[case::status_of_two_digits_is_written_with_three(
    json!({"status": 99, "body": "x", "headers": [["Content-Type", "a/b"]]}),
    "HTTP/1.1 099 \r\nContent-Type: a/b\r\nContent-Length: 1\r\n\r\nx"
)]
#[case::greatest_status(json!({"status": 999, "body": null}), "HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n")]
#[case::informational_status_as_the_last(json!({"status": 103, "body": null}), "HTTP/1.1 103 Early Hints\r\n\r\n")]
#[case::no_content(json!({"status": 204, "body": null}), "HTTP/1.1 204 No Content\r\n\r\n")]
#[case::reason(json!({"reason": "Fine\u{e9}", "body": null}), "HTTP/1.1 200 Fine\u{e9}\r\nContent-Length: 0\r\n\r\n")]
#[case::pieces(
    json!({"body": {"pieces": ["ab", "", "c"]}, "headers": [["Content-Type", "a/b"]]}),
    "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
)]
#[case::pieces_with_pauses(
    json!({"body": {"pieces": ["ab", "c"]}, "headers": [["Content-Type", "a/b"]], "pause-ms": 1}),
    "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
)]
#[case::own_content_lengths(
    json!({"headers": [["Content-Length", "5"], ["Content-Length", "6"]], "body": {"bytes": "abcde"}}),
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde"
)]
#[case::verbatim(
    json!({"verbatim": "HTTP/1.1 200\r\nA:\u{0}\r\n\tfold\r\n\r\n"}), "HTTP/1.1 200\r\nA:\u{0}\r\n\tfold\r\n\r\n"
)]
#[tokio::test]
async fn answers_are_exact(#[case] behaviour: Value, #[case] expected: &str) {
    assert_eq!(answered(behaviour, GET_CLOSE).await, expected);
}

#[rstest]
#[case::by_close(json!({"length": "close"}), "Connection: close\r\n\r\nhello")]
#[case::too_short(json!({"length": {"stated": 9}}), "Content-Length: 9\r\n\r\nhello")]
#[case::too_long(json!({"length": {"stated": 2}}), "Content-Length: 2\r\n\r\nhello")]
#[tokio::test]
async fn a_body_that_its_framing_does_not_end_ends_the_connection(#[case] behaviour: Value, #[case] end: &str) {
    let answer = answered(behaviour, GET).await;
    assert!(answer.ends_with(end), "{answer:?}");
}

#[rstest]
#[case::head(json!({}), "HEAD", "Content-Length: 5\r\n\r\n")]
#[case::chunked_head(json!({"length": "chunked"}), "HEAD", "Transfer-Encoding: chunked\r\n\r\n")]
#[case::chunked(json!({"length": "chunked"}), "GET", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")]
#[tokio::test]
async fn the_connection_stays_for_the_next_request(#[case] behaviour: Value, #[case] method: &str, #[case] end: &str) {
    let fixture = Fixture::new(&[("http://api.test/", behaviour)]).await;
    let mut stream = fixture.connect().await;
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n{end}");
    for _ in 0..3 {
        fixture.say(&mut stream, &GET.replace("GET", method)).await;
        expect(&mut stream, &whole).await;
    }
    let log =
        fixture.wait_for(|log| log.iter().filter(|exchange| exchange.ended == Ended::Answered).count() == 3).await;
    assert!(log.iter().all(|exchange| exchange.connection == log[0].connection));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let fixture = Fixture::new(&[
        ("http://api.test/", json!({"body": {"bytes": "{request.body}"}, "delay-ms": 1})),
        ("http://api.test/2", json!({"body": {"html": "{request.body}"}})),
    ])
    .await;
    let answer = fixture
        .talk(
            "GET /~/ HTTP/1.1\r\nHost: api.test\r\n\r\n\
             POST /~/2 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\n\r\nabc\
             POST /~/2 HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
             1\r\nd\r\n2;x=y\r\nef\r\n0\r\nTrailer: 1\r\n\r\n",
        )
        .await;
    let bodies: Vec<&str> = answer.split("\r\n\r\n").map(|part| part.split("HTTP/1.1").next().unwrap_or("")).collect();
    assert_eq!(bodies, ["", "{request.body}", "abc", "def"]);
    let log = fixture.stage.log(&fixture.token);
    assert_eq!(log.iter().map(|exchange| exchange.body_length).collect::<Vec<_>>(), [0, 3, 3]);
}

#[tokio::test]
async fn expectations_are_met_before_the_body_is_sent() {
    let fixture = Fixture::new(&[("http://api.test/", json!({"body": {"html": "{request.body}"}}))]).await;
    let mut stream = fixture.connect().await;
    let head = "PUT /~/ HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\
                Connection: close\r\n\r\n";
    fixture.say(&mut stream, head).await;
    expect(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"ok").await.expect("sent");
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer:?}");
}

#[tokio::test]
async fn http_1_0_is_answered_without_chunks_and_then_closed() {
    let answer = answered(json!({"length": "chunked"}), "GET /~/ HTTP/1.0\r\nHost: api.test\r\n\r\n").await;
    assert!(answer.ends_with("Connection: close\r\n\r\nhello"), "{answer:?}");
}

#[tokio::test]
async fn the_origin_comes_from_the_host_line() {
    let fixture = Fixture::new(&[
        ("http://a.test/", json!({"body": "a"})),
        ("http://a.test:8080/", json!({"body": "a8080"})),
        ("http://[::1]:8080/", json!({"body": "six"})),
    ])
    .await;
    for (host, body) in [("a.test", "a"), ("A.test:80", "a"), ("a.test:8080", "a8080"), ("[::1]:8080", "six")] {
        let answer = fixture.talk(&format!("GET /~/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{host}: {answer:?}");
    }
}

#[tokio::test]
async fn the_log_has_the_request_and_the_answer_as_they_went_over_the_wire() {
    let fixture = Fixture::new(&[("http://api.test/p", json!({"headers": [["X-y", "1"]], "body": null}))]).await;
    fixture
        .talk("pOST /~/p?q HTTP/1.1\r\nhOST: api.test\r\nX: \u{e9}\r\ncontent-length: 2\r\nConnection: close\r\n\r\nab")
        .await;
    let log = fixture.wait_for(|log| log.iter().any(|exchange| exchange.ended == Ended::Answered)).await;
    let exchange = &log[0];
    assert_eq!((exchange.method.to_string(), exchange.origin.as_str()), ("pOST".to_owned(), "http://api.test"));
    assert_eq!(exchange.target, format!("/{}/p?q", fixture.token));
    assert_eq!(exchange.headers.iter().next(), Some(&("hOST".into(), "api.test".into())));
    assert_eq!((exchange.body.to_string(), exchange.routed), ("ab".to_owned(), true));
    assert_eq!(exchange.protocol, Protocol::Http11);
    let reply = exchange.reply.as_ref().expect("a reply");
    let lines: Vec<String> = reply.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!((reply.status, lines), (200, vec!["X-y: 1".to_owned(), "Content-Length: 0".to_owned()]));
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let first = Stage::start(StageConfig::default()).await.expect("a stage");
    let config = StageConfig { bind: first.addresses().to_vec(), ..StageConfig::default() };
    let error = Stage::start(config).await.expect_err("no second stage").to_string();
    assert!(error.contains(&first.addresses()[0].to_string()) && error.contains("another program"), "{error}");
}
