//! Whatever bytes arrive, in whatever pieces: the stage answers or closes, and never panics.

use std::time::Duration;

use crate::support::{Fixture, site, until_end};
use crosscheck_servers::{Ended, Limits, Stage, StageConfig};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::runtime::Runtime;

/// Seeds: the requests that the other tests are made of.
const REQUESTS: [&str; 7] = [
    "GET /~/ HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "HEAD /~/x HTTP/1.1\r\nHost: api.test\r\nX: \u{e9}\r\n\r\n",
    "POST /~/ HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\n\r\nabc",
    "PUT /~/ HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\nT: 1\r\n\r\n",
    "GET http://api.test/~/ HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "PUT /~/ HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
    "OPTIONS /~/ HTTP/1.1\r\nHost: api.test\r\nOrigin: null\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
];

async fn send(mut client: DuplexStream, pieces: &[Vec<u8>]) -> String {
    for piece in pieces {
        if client.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _ = client.shutdown().await;
    until_end(&mut client).await.0
}

/// What the stage answers to these pieces, on a connection in memory.
fn answer(runtime: &Runtime, stage: &Stage, pieces: &[Vec<u8>]) -> String {
    runtime.block_on(async {
        let (client, server) = tokio::io::duplex(1 << 20);
        let (answer, ()) = tokio::join!(send(client, pieces), stage.serve(server));
        answer
    })
}

fn echo() -> (&'static str, Value) {
    ("http://api.test/", json!({"body": {"html": "{request.method} {request.body}"}}))
}

/// A fault that is found becomes a test of its own, not a file of seeds. PROPTEST_CASES says how many cases are tried.
fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
}

fn fixture() -> (Runtime, Fixture) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let limits = Limits { head_bytes: 512, body_bytes: 64, idle: Duration::from_secs(5), connections: 16 };
    let config = StageConfig { limits, ..StageConfig::default() };
    let fixture = runtime.block_on(Fixture::with(config, &[echo()]));
    (runtime, fixture)
}

fn split(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

#[test]
fn random_bytes_are_answered_or_closed() {
    let (runtime, fixture) = fixture();
    let bytes = prop::collection::vec(any::<u8>(), 0..600);
    runner()
        .run(&(bytes, any::<[prop::sample::Index; 3]>()), |(bytes, cuts)| {
            let answer = answer(&runtime, &fixture.stage, &split(&bytes, &cuts));
            prop_assert!(!answer.starts_with("HTTP/1.1 2"), "{answer:?}");
            Ok(())
        })
        .expect("no fault");
}

#[test]
fn damaged_requests_are_answered_or_closed() {
    let (runtime, fixture) = fixture();
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..4);
    runner()
        .run(&(prop::sample::select(&REQUESTS), damage), |(request, damage)| {
            let mut bytes = request.replace("/~/", &format!("/{}/", fixture.token)).into_bytes();
            for (place, byte, kind) in damage {
                let place = place.index(bytes.len());
                match kind {
                    0 => bytes[place] = byte,
                    1 => bytes.insert(place, byte),
                    _ => drop(bytes.remove(place)),
                }
            }
            // A damaged first byte can be that of TLS, which is answered by an alert.
            let expected = if bytes.first() == Some(&0x16) { "\u{15}" } else { "HTTP/1.1 " };
            let answer = answer(&runtime, &fixture.stage, &[bytes]);
            prop_assert!(answer.is_empty() || answer.starts_with(expected), "{answer:?}");
            Ok(())
        })
        .expect("no fault");
}

#[test]
fn requests_are_read_the_same_however_they_are_split() {
    let (runtime, fixture) = fixture();
    let requests = prop::collection::vec(prop::sample::select(&REQUESTS), 1..5);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..20);
    runner()
        .run(&(requests, cuts), |(requests, cuts)| {
            let text = requests.concat().replace("/~/", &format!("/{}/", fixture.token));
            let without_interim = |answer: String| answer.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
            let whole = without_interim(answer(&runtime, &fixture.stage, &[text.clone().into_bytes()]));
            let pieces = split(text.as_bytes(), &cuts);
            prop_assert_eq!(without_interim(answer(&runtime, &fixture.stage, &pieces)), whole);
            let log = fixture.stage.withdraw(&fixture.token);
            fixture.stage.publish(fixture.token.clone(), site(&[echo()]));
            prop_assert!(log.iter().all(|exchange| exchange.ended == Ended::Answered), "{:?}", log.last());
            prop_assert_eq!(log.len(), 2 * requests.len());
            Ok(())
        })
        .expect("no fault");
}
