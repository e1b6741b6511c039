//! The wire log: order, snapshots, watchers, waiting, and the life of a stage.

use std::time::Duration;

use crate::support::{DEADLINE, Fixture, expect, rest, site, until_end};
use crosscheck_servers::{Behaviour, Ended, Route, Stage, StageConfig, Token};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const GET: &str = "GET /~/ HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn entries_are_in_the_order_in_which_the_heads_arrived() {
    let fixture = Fixture::new(&[("http://api.test/", json!({}))]).await;
    let mut slow = fixture.connect().await;
    fixture
        .say(&mut slow, "PUT /~/ HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        .await;
    expect(&mut slow, "HTTP/1.1 100 Continue\r\n\r\n").await;
    fixture.talk(GET).await;
    assert_eq!(fixture.stage.log(&fixture.token).len(), 1, "the slow one is not there before it was read");
    slow.write_all(b"x").await.expect("sent");
    let log = fixture.wait_for(|log| log.len() == 2).await;
    assert_eq!([log[0].method.to_string(), log[1].method.to_string()], ["PUT", "GET"]);
    assert!(log[0].sequence < log[1].sequence && log[0].at_us <= log[1].at_us);
    assert_eq!(fixture.stage.requests(), 2);
}

#[tokio::test]
async fn requests_without_a_site_are_strays() {
    let fixture = Fixture::new(&[("http://api.test/", json!({}))]).await;
    let unknown = Token::random();
    for path in ["/favicon.ico".to_owned(), format!("/{unknown}/")] {
        let answer = fixture.talk(&format!("GET {path} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer:?}");
        assert!(answer.contains(&format!("no site for http://api.test{path}")), "{answer:?}");
    }
    assert_eq!(fixture.stage.strays().len(), 2);
    assert!(fixture.stage.log(&fixture.token).is_empty());
}

#[tokio::test]
async fn a_url_without_a_behaviour_is_logged_as_such_until_it_has_one() {
    let fixture = Fixture::new(&[("http://api.test/", json!({}))]).await;
    let request = GET.replace("api.test", "other.test");
    assert!(fixture.talk(&request).await.starts_with("HTTP/1.1 404 "));
    let route = Route { origin: "http://other.test".parse().expect("an origin"), path: "/".to_owned() };
    assert!(fixture.stage.update(&fixture.token, |site| site.insert(route, Behaviour::default())));
    assert!(fixture.talk(&request).await.starts_with("HTTP/1.1 200 "));
    let routed: Vec<bool> = fixture.stage.log(&fixture.token).iter().map(|entry| entry.routed).collect();
    assert_eq!(routed, [false, true]);
    assert!(!fixture.stage.update(&Token::random(), |_| {}));
}

#[tokio::test]
async fn a_watcher_gets_a_request_before_it_is_answered() {
    let fixture = Fixture::new(&[]).await;
    let (watcher, mut watched) = mpsc::unbounded_channel();
    let token = Token::random();
    let never = site(&[("http://api.test/", json!({"fault": "never-answer"}))]);
    fixture.stage.publish_watched(token.clone(), never, watcher);
    let mut stream = fixture.connect().await;
    stream.write_all(GET.replace('~', token.as_str()).as_bytes()).await.expect("sent");
    let exchange = watched.recv().await.expect("an exchange");
    assert_eq!((exchange.ended, exchange.reply), (Ended::Open, None));
    assert_eq!(fixture.stage.withdraw(&token).len(), 1);
    assert_eq!(watched.recv().await, None, "a withdrawn site lets its watcher go");
}

#[tokio::test]
async fn waiting_ends_at_the_deadline_and_when_the_site_is_withdrawn() {
    let fixture = Fixture::new(&[("http://api.test/", json!({}))]).await;
    fixture.talk(GET).await;
    let log = fixture.stage.wait_for(&fixture.token, Duration::from_millis(1), |_| false).await;
    assert_eq!(log.len(), 1);
    let (stage, token) = (fixture.stage.clone(), fixture.token.clone());
    let waiting = tokio::spawn(async move { stage.wait_for(&token, DEADLINE, |log| log.len() > 1).await });
    tokio::task::yield_now().await;
    assert_eq!(fixture.stage.withdraw(&fixture.token), log);
    assert_eq!(waiting.await.expect("an end"), log);
    assert!(fixture.talk(GET).await.starts_with("HTTP/1.1 404 "));
    assert!(fixture.stage.wait_for(&fixture.token, DEADLINE, |_| false).await.is_empty());
}

#[tokio::test]
async fn counts_are_kept_for_each_route() {
    let counting = json!({"rules": [{"if": {"request": {"is": 2}}, "then": {"body": "second"}}], "body": "other"});
    let fixture = Fixture::new(&[("http://api.test/", counting.clone()), ("http://api.test/b", counting)]).await;
    let mut bodies = Vec::new();
    for path in ["", "b", "", "b", ""] {
        let answer = fixture.talk(&GET.replace("/~/", &format!("/~/{path}"))).await;
        bodies.push(answer.split("\r\n\r\n").nth(1).expect("a body").to_owned());
    }
    assert_eq!(bodies, ["other", "other", "second", "second", "other"]);
}

/// An idle connection, one that is answered never, and one in the middle of a TLS handshake.
async fn open_connections(fixture: &Fixture) -> Vec<TcpStream> {
    let mut streams = vec![fixture.connect().await, fixture.connect().await, fixture.connect().await];
    fixture.say(&mut streams[1], GET).await;
    fixture.say(&mut streams[2], "\u{16}\u{3}\u{1}").await;
    fixture.wait_for(|log| log.len() == 1).await;
    streams
}

#[tokio::test]
async fn stopping_ends_all_connections_and_frees_the_port() {
    let fixture = Fixture::new(&[("http://api.test/", json!({"fault": "never-answer"}))]).await;
    let streams = open_connections(&fixture).await;
    let bind = fixture.stage.addresses().to_vec();
    let handle = fixture.stage.clone();
    fixture.stage.stop().await;
    for mut stream in streams {
        until_end(&mut stream).await;
    }
    assert_eq!(handle.log(&fixture.token)[0].ended, Ended::Open, "the client did not go");
    let again = Stage::start(StageConfig { bind: bind.clone(), ..StageConfig::default() }).await.expect("a free port");
    assert_eq!(again.addresses(), bind);
}

#[tokio::test]
async fn dropping_the_last_handle_ends_all_connections() {
    let fixture = Fixture::new(&[("http://api.test/", json!({"fault": "never-answer"}))]).await;
    let streams = open_connections(&fixture).await;
    drop(fixture);
    for mut stream in streams {
        until_end(&mut stream).await;
    }
}

#[tokio::test]
async fn a_stream_in_memory_is_served_like_any_other() {
    let fixture = Fixture::new(&[("http://api.test/", json!({}))]).await;
    let (mut client, server) = tokio::io::duplex(64);
    let request = GET.replace('~', fixture.token.as_str());
    let talk = async move {
        client.write_all(request.as_bytes()).await.expect("sent");
        rest(&mut client).await
    };
    let (answer, ()) = tokio::join!(talk, async { fixture.stage.serve(server).await });
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer:?}");
}
