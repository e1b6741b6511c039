//! TLS: certificates for whatever host is asked for, and the choice of the HTTP version.

use crate::support::client::{certificate_of, tls};
use crate::support::{Fixture, rest};
use rstest::rstest;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];
const HTTP_1: &[&[u8]] = &[b"http/1.1"];

#[rstest]
#[case::name("api.test", "api.test")]
#[case::other_port("api.test", "api.test:8443")]
#[case::six_labels("a.b.c.d.e.test", "a.b.c.d.e.test")]
#[case::address("127.0.0.1", "127.0.0.1")]
#[tokio::test]
async fn https_is_an_origin_of_its_own(#[case] name: &str, #[case] host: &str) {
    let https = format!("https://{host}/");
    let http = format!("http://{host}/");
    let fixture = Fixture::new(&[(&https, json!({"body": "over TLS"})), (&http, json!({"body": "plain"}))]).await;
    let mut stream = tls(fixture.connect().await, name, &[]).await;
    let request = format!("GET /{}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", fixture.token);
    stream.write_all(request.as_bytes()).await.expect("sent");
    let answer = rest(&mut stream).await;
    assert!(answer.ends_with("\r\n\r\nover TLS"), "{answer:?}");
    assert_eq!(fixture.stage.log(&fixture.token)[0].origin, format!("https://{host}"));
}

#[rstest]
#[case("h2.api.test", BOTH, Some("h2"))]
#[case("h2-other.test", BOTH, Some("h2"))]
#[case("h2.api.test", HTTP_1, Some("http/1.1"))]
#[case("api.test", BOTH, Some("http/1.1"))]
#[case("api.h2.test", BOTH, Some("http/1.1"))]
#[case("api.test", &[], None)]
#[tokio::test]
async fn the_host_decides_on_http_2(#[case] name: &str, #[case] offered: &[&[u8]], #[case] chosen: Option<&str>) {
    let fixture = Fixture::new(&[]).await;
    let stream = tls(fixture.connect().await, name, offered).await;
    let protocol = stream.get_ref().1.alpn_protocol().map(String::from_utf8_lossy);
    assert_eq!(protocol.as_deref(), chosen);
}

#[tokio::test]
async fn a_certificate_is_made_once_for_a_name() {
    let fixture = Fixture::new(&[]).await;
    let first = certificate_of(&fixture, "a.test").await;
    assert_eq!(certificate_of(&fixture, "A.test").await, first);
    let other = certificate_of(&fixture, "b.test").await;
    assert_ne!(other, first);
    assert!(holds(&first, b"a.test") && !holds(&first, b"b.test") && !holds(&other, b"a.test"));
}

#[tokio::test]
async fn without_a_name_the_certificate_is_for_loopback() {
    let fixture = Fixture::new(&[]).await;
    let certificate = certificate_of(&fixture, "127.0.0.1").await;
    assert!(holds(&certificate, b"localhost") && holds(&certificate, &[127, 0, 0, 1]));
    assert!(holds(&certificate, &std::net::Ipv6Addr::LOCALHOST.octets()));
}

fn holds(certificate: &[u8], bytes: &[u8]) -> bool {
    certificate.windows(bytes.len()).any(|window| window == bytes)
}

#[tokio::test]
async fn a_broken_handshake_ends_only_its_connection() {
    let fixture = Fixture::new(&[("http://api.test/", json!({}))]).await;
    let mut broken = fixture.connect().await;
    broken.write_all(b"\x16\x03\x01\x00\x05hello").await.expect("sent");
    let (_, _) = crate::support::until_end(&mut broken).await;
    let answer = fixture.talk("GET /~/ HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer:?}");
}
