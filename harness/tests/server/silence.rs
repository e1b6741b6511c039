//! Servers that answer now and then, slowly, or one at a time: silence is no refusal, and is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crosscheck::check::{CheckError, CheckOptions, CheckRecord, check, parse_policy};
use crosscheck::transport::Trust;
use rstest::rstest;
use serde_json::{Value, json};

/// A request, as far as it decides the answer.
struct Asked {
    method: String,
    origin: Option<String>,
    /// How many requests came, this one included.
    number: u32,
}

/// What is answered.
enum Answer {
    /// A status, with header lines.
    Head(u16, Vec<String>),
    /// The connection is closed.
    Close,
    /// These bytes, and then nothing.
    Bytes(Vec<u8>),
}

/// Lets one origin in.
fn right(asked: &Asked) -> Answer {
    let mut lines = vec!["Vary: Origin".to_owned()];
    if asked.origin.as_deref() == Some("https://app.test") {
        lines.push("Access-Control-Allow-Origin: https://app.test".to_owned());
    }
    Answer::Head(if asked.method == "OPTIONS" { 204 } else { 200 }, lines)
}

/// Lets every origin in.
fn loose(asked: &Asked) -> Answer {
    let origin = asked.origin.clone().unwrap_or_default();
    let lines = [
        "Vary: Origin".to_owned(),
        format!("Access-Control-Allow-Origin: {origin}"),
        "Access-Control-Allow-Credentials: true".to_owned(),
    ];
    Answer::Head(if asked.method == "OPTIONS" { 204 } else { 200 }, lines.into())
}

/// Serves connections that are kept open: each in a thread of its own, or one after another.
fn serve(is_single: bool, answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    let count = Arc::new(AtomicU32::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
            let converse = move || converse(&stream, &*answer, &count);
            if is_single {
                converse();
            } else {
                std::thread::spawn(converse);
            }
        }
    });
    address
}

fn converse(stream: &TcpStream, answer: &dyn Fn(&Asked) -> Answer, count: &AtomicU32) {
    let mut reader = BufReader::new(stream);
    let mut stream = stream;
    loop {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => lines.push(line.trim_end().to_owned()),
            }
        }
        let of = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let method = lines.first().and_then(|line| line.split(' ').next()).unwrap_or_default().to_owned();
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        let is_head = method == "HEAD";
        let written = match answer(&Asked { method, origin: of("Origin: "), number }) {
            Answer::Close => return,
            Answer::Bytes(bytes) => stream.write_all(&bytes).map(|()| std::thread::sleep(Duration::from_secs(30))),
            Answer::Head(status, lines) => {
                let body = if status == 204 || is_head { "" } else { "{}" };
                let length = if status == 204 { String::new() } else { "Content-Length: 2\r\n".to_owned() };
                let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
                stream.write_all(format!("HTTP/1.1 {status} X\r\n{lines}{length}\r\n{body}").as_bytes())
            }
        };
        if written.is_err() {
            return;
        }
    }
}

async fn checked(address: SocketAddr, limits: &Value) -> Result<CheckRecord, CheckError> {
    let policy = json!({
        "target": format!("http://{address}"),
        "allow": { "origins": ["https://app.test"], "methods": ["GET"] },
        "routes": [{ "path": "/items" }],
        "limits": limits
    });
    let policy = parse_policy(std::path::Path::new("policy.json"), &policy.to_string()).expect("a sound policy");
    let options = CheckOptions { changes: false, cost: false, trust: Trust::Roots };
    check(&policy, "policy.json", options, &Arc::default()).await
}

fn found(record: &CheckRecord) -> Vec<&str> {
    record.findings.iter().map(|finding| finding.id.as_str()).collect()
}

/// A server that answers every seventh request otherwise.
fn every_seventh(otherwise: fn() -> Answer, usual: fn(&Asked) -> Answer) -> SocketAddr {
    serve(false, move |asked| if asked.number % 7 == 0 { otherwise() } else { usual(asked) })
}

#[rstest]
#[case::closed(|| Answer::Close)]
#[case::too_many_requests(|| Answer::Head(429, vec!["Retry-After: 0".to_owned()]))]
#[case::unavailable(|| Answer::Head(503, Vec::new()))]
#[case::broken(|| Answer::Head(500, Vec::new()))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn now_and_then_no_answer_hides_no_hole_and_makes_no_fault(#[case] otherwise: fn() -> Answer) {
    let record = checked(every_seventh(otherwise, loose), &json!({})).await.expect("a check");
    assert!(found(&record).contains(&"reflected-origin"), "{:?}", found(&record));
    assert!(record.answered_late > 0, "{} late", record.answered_late);
    assert_eq!((record.unanswered, &record.not_judged), (0, &None));
    let record = checked(every_seventh(otherwise, right), &json!({})).await.expect("a check");
    assert_eq!(found(&record), Vec::<&str>::new());
    assert!(record.answered_late > 0, "{} late", record.answered_late);
}

#[rstest]
#[case::all(1, "was answered")]
#[case::preflights(2, "requests were not answered")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_answered_is_not_judged(#[case] from: u32, #[case] why: &str) {
    // The first request of all finds out whether there is a server.
    let address = serve(false, move |asked| match asked.number {
        number if number <= from => right(asked),
        _ if from > 1 && asked.method != "OPTIONS" => right(asked),
        _ => Answer::Head(429, Vec::new()),
    });
    let record = checked(address, &json!({ "concurrency": 4 })).await.expect("a check");
    let told = record.not_judged.expect("it is not judged");
    assert!(told.contains(why), "{told}");
}

#[rstest]
#[case::not_told(json!({ "timeout-seconds": 1 }))]
#[case::told(json!({ "timeout-seconds": 1, "concurrency": 1 }))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_serves_one_connection_at_a_time_is_checked_to_the_end(#[case] limits: Value) {
    let record = checked(serve(true, right), &limits).await.expect("a check");
    assert_eq!((found(&record), record.unanswered), (Vec::new(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_servers_that_lets_everybody_in_is_found() {
    let address = serve(false, |asked| if asked.number % 3 == 0 { loose(asked) } else { right(asked) });
    let record = checked(address, &json!({ "concurrency": 1 })).await.expect("a check");
    let unsteady = record.findings.iter().find(|finding| finding.id == "unsteady").expect("it is told");
    assert_eq!(unsteady.severity.name(), "HOLE", "{}", unsteady.seen[0].said);
    assert!(unsteady.seen[0].said.contains("got 2 answers"), "{}", unsteady.seen[0].said);
}

#[rstest]
#[case::too_large([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat(), "the head of what 127.0.0.1 answers is larger than 512 KiB")]
#[case::too_slow(b"HTTP/1.1 200 OK\r\nX: y".to_vec(), "was not at its end within")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_without_an_end_is_told_as_such(#[case] bytes: Vec<u8>, #[case] message: &str) {
    let address = serve(false, move |_| Answer::Bytes(bytes.clone()));
    let error = checked(address, &json!({ "timeout-seconds": 1 })).await.expect_err("no check").to_string();
    assert!(error.contains(message), "{error}");
}
