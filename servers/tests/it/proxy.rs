//! A browser that has the stage as its proxy.

use crate::support::client::tls;
use crate::support::{Fixture, expect, rest};
use crosscheck_servers::Ended;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[tokio::test]
async fn an_absolute_target_is_answered_for_its_origin() {
    let fixture = Fixture::new(&[("http://api.test:8080/a?b", json!({"body": "absolute"}))]).await;
    let answer = fixture
        .talk("GET http://API.test:8080/~/a?b HTTP/1.1\r\nHost: ignored.test\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.ends_with("\r\n\r\nabsolute"), "{answer:?}");
    let log = fixture.stage.log(&fixture.token);
    assert_eq!(log[0].origin, "http://api.test:8080");
    assert_eq!(log[0].target, format!("/{}/a?b", fixture.token));
}

#[tokio::test]
async fn a_url_without_a_path_in_a_target_is_the_root() {
    let fixture = Fixture::new(&[]).await;
    for target in ["http://api.test", "http://api.test?q", "http://api.test/"] {
        fixture.talk(&format!("GET {target} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n")).await;
    }
    let targets: Vec<String> = fixture.stage.strays().into_iter().map(|stray| stray.target).collect();
    assert_eq!(targets, ["/", "/?q", "/"]);
}

#[tokio::test]
async fn a_tunnel_carries_tls() {
    let fixture = Fixture::new(&[("https://api.test/", json!({"body": "tunnelled"}))]).await;
    let mut stream = fixture.connect().await;
    fixture.say(&mut stream, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n").await;
    expect(&mut stream, ESTABLISHED).await;
    let mut stream = tls(stream, "api.test", &[]).await;
    let request = format!("GET /{}/ HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n", fixture.token);
    stream.write_all(request.as_bytes()).await.expect("sent");
    let answer = rest(&mut stream).await;
    assert!(answer.ends_with("\r\n\r\ntunnelled"), "{answer:?}");
}

#[tokio::test]
async fn a_tunnel_carries_plain_http_that_is_sent_at_once() {
    let fixture = Fixture::new(&[("http://api.test/", json!({"body": "plain"}))]).await;
    let answer = fixture
        .talk(
            "CONNECT api.test:80 HTTP/1.1\r\nHost: api.test:80\r\n\r\n\
             GET /~/ HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with(ESTABLISHED) && answer.ends_with("\r\n\r\nplain"), "{answer:?}");
    let log = fixture.wait_for(|log| log.first().is_some_and(|exchange| exchange.ended == Ended::Answered)).await;
    assert_eq!(log.len(), 1, "the tunnel itself is not logged");
}

#[tokio::test]
async fn tunnels_in_tunnels_have_an_end() {
    let fixture = Fixture::new(&[]).await;
    let connect = "CONNECT api.test:80 HTTP/1.1\r\nHost: api.test:80\r\n\r\n";
    let (answer, _) = {
        let mut stream = fixture.connect().await;
        fixture.say(&mut stream, &connect.repeat(20)).await;
        crate::support::until_end(&mut stream).await
    };
    assert!(answer.matches("established").count() < 20);
}
