//! `crosscheck explain`: from headers, of a live server, and of archives that browsers saved.

use std::process::Output;

use crosscheck_servers::{Behaviour, Route, Site, Stage, StageConfig, Token};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Bench, root, stderr};

const PAGE: [&str; 3] = ["explain", "--page", "https://app.example"];
const API: [&str; 2] = ["--url", "https://api.example/items"];

fn explain(arguments: &[&str]) -> Output {
    Bench::new().command(arguments).output().expect("it starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The only diagnosis, as JSON.
fn diagnosis(arguments: &[&str]) -> Value {
    let output = explain(&[&PAGE, arguments, &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    let explanation: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(explanation["format"], 1);
    assert_eq!(explanation["diagnoses"].as_array().map(Vec::len), Some(1));
    explanation["diagnoses"][0].clone()
}

/// Verdict, whether the server got the request, the reason, and the rule that decides.
fn outcome(diagnosis: &Value) -> Value {
    let steps = diagnosis["steps"].as_array().expect("steps");
    let decides = steps.iter().find(|step| step["decides"] == true).map(|step| step["requirement"].clone());
    json!([diagnosis["verdict"], diagnosis["executed"], diagnosis["reason"], decides])
}

#[rstest]
#[case(&["--response", "Access-Control-Allow-Origin: *"], json!(["readable", true, null, null]))]
#[case(
    &["--response", "Access-Control-Allow-Origin: *", "--response", "Content-Length: 5, 5"],
    json!(["readable", true, null, null])
)]
#[case(&["--response", "Content-Type: text/html"], json!(["blocked", true, "missing-allow-origin", "fetch.cors-check.2"]))]
#[case(
    &["--credentials", "include", "--response", "Access-Control-Allow-Origin: *"],
    json!(["blocked", true, "wildcard-with-credentials", "fetch.cors-check.3c"])
)]
#[case(
    &["--response", "Access-Control-Allow-Origin: https://app.example", "--response", "Access-Control-Allow-Origin: *"],
    json!(["blocked", true, "multiple-allow-origin", "fetch.cors-check.1"])
)]
#[case(
    &["--response", "Access-Control-Allow-Origin: https://app.example/"],
    json!(["blocked", true, "allow-origin-mismatch", "fetch.cors-check.4b"])
)]
#[case(
    &["--method", "PUT", "--response", "Access-Control-Allow-Origin: *"],
    json!(["blocked", false, "method-not-allowed", "fetch.preflight.7.5c"])
)]
#[case(
    &["--header", "X-A: 1", "--response", "Access-Control-Allow-Origin: *", "--preflight-status", "403",
      "--preflight-response", "Access-Control-Allow-Origin: *"],
    json!(["blocked", false, "preflight-status", "fetch.preflight.7.status-c"])
)]
#[case(
    &["--method", "PUT", "--response", "Access-Control-Allow-Origin: *", "--preflight-response",
      "Access-Control-Allow-Origin: *", "--preflight-response", "Access-Control-Allow-Methods: PUT"],
    json!(["readable", true, null, null])
)]
#[case(&["--mode", "no-cors", "--status", "204"], json!(["opaque", true, null, null]))]
#[case(&["--status", "600", "--response", "Access-Control-Allow-Origin: *"], json!(["readable", true, null, null]))]
#[case(&["--status", "99", "--response", "Access-Control-Allow-Origin: *"], json!(["readable", true, null, null]))]
#[case(&["--status", "302", "--response", "Location: https://b.example/", "--response", "Access-Control-Allow-Origin: *"],
       json!(["undecided", null, null, null]))]
#[case(&["--method", "TRACE", "--status", "200"], json!(["refused", false, null, null]))]
fn headers_are_explained(#[case] arguments: &[&str], #[case] expected: Value) {
    assert_eq!(outcome(&diagnosis(&[&API, arguments].concat())), expected, "{arguments:?}");
}

#[test]
fn the_example_in_the_readme_is_what_the_command_says() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let (_, section) = readme.split_once("## Why is this blocked?").expect("the section");
    let mut block = section.lines().skip_while(|line| !line.starts_with("    crosscheck explain")).peekable();
    let mut command = String::new();
    while let Some(line) = block.next_if(|line| !line.trim().is_empty()) {
        command.push_str(line.trim().trim_end_matches('\\'));
    }
    let said: String = block
        .skip_while(|line| !line.starts_with("    "))
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or_default()))
        .collect();
    let arguments: Vec<&str> = command
        .split('\'')
        .enumerate()
        .flat_map(|(position, part)| if position % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
        .skip(1)
        .collect();
    let output = explain(&arguments);
    assert_eq!(stdout(&output).trim_end(), said.trim_end(), "{}", stderr(&output));
}

#[rstest]
#[case(&["--response", "Access-Control-Allow-Origin *"], "is not a header line: it has no colon")]
#[case(&["--response", "Bad Name: 1"], "is not a header name")]
#[case(&["--header", "no-colon", "--status", "200"], "it has no colon")]
#[case(&["--response", "Content-Length: 5", "--response", "content-length: 7"], "Content-Length is 5 and 7")]
#[case(&["--response", "Content-Length: 5, 7"], "Content-Length is 5 and 7")]
#[case(&["--response", "Content-Length: five"], "which is not a number")]
#[case(&["--response", "Content-Length: 5", "--response", "Transfer-Encoding: chunked"], "contradicts itself")]
#[case(&["--status", "200", "--preflight-status", "204"], "sends no preflight here: GET and all its headers are")]
#[case(&["--response", "A: 1", "--har", "a.har"], "cannot be used with")]
#[case(&["--status", "1000"], "a status is an integer from 0 to 999")]
#[case(&["--status=-1"], "a status is an integer from 0 to 999")]
#[case(&["--status", "103"], "103 is the status of an interim response")]
fn contradictions_are_refused(#[case] arguments: &[&str], #[case] message: &str) {
    let output = explain(&[&PAGE[..], &API, arguments].concat());
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stdout(&output));
    assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
}

/// A document of an opaque origin: what page holds it decides over plain http.
#[rstest]
#[case("http://api.example/", &[], "readable", Some("a page over http, like the URL"))]
#[case("https://api.example/", &[], "readable", Some("a page over https, like the URL"))]
#[case("http://api.example/", &["--within", "https://app.example/path"], "blocked", None)]
#[case("http://api.example/", &["--within", "http://app.example"], "readable", None)]
#[case("http://127.0.0.1/", &["--within", "https://app.example"], "readable", None)]
fn what_holds_a_document_of_an_opaque_origin_is_asked(
    #[case] url: &str,
    #[case] within: &[&str],
    #[case] verdict: &str,
    #[case] note: Option<&str>,
) {
    let arguments = ["explain", "--page", "null", "--url", url, "--response", "Access-Control-Allow-Origin: null"];
    let output = explain(&[&arguments[..], within, &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let explanation: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let diagnosis = &explanation["diagnoses"][0];
    assert_eq!(diagnosis["verdict"], verdict, "{diagnosis}");
    if verdict == "blocked" {
        assert_eq!((&diagnosis["reason"], &diagnosis["executed"]), (&json!("mixed-content"), &json!(false)));
    }
    let said = diagnosis["notes"].to_string();
    assert_eq!(said.contains("--within"), note.is_some(), "{said}");
    assert!(said.contains(note.unwrap_or_default()), "{said}");
}

#[rstest]
#[case(&["explain"], "--page ORIGIN --url URL")]
#[case(&["explain", "--page", "https://a.example", "--within", "https://b.example", "--url", "https://c.example/"],
       "a document of an opaque origin")]
#[case(&["explain", "--page", "null", "--within", "null", "--url", "https://c.example/"], "--within names the page")]
#[case(&["explain", "--page", "null", "--within", "b.example", "--url", "https://c.example/"], "not the origin of a page")]
#[case(&["explain", "--url", "https://a.example/"], "--page")]
#[case(&["explain", "--page", "app.example", "--url", "https://a.example/"], "not the origin of a page")]
#[case(&["explain", "--page", "file:///a.html", "--url", "https://a.example/"], "--page null")]
#[case(&["explain", "--page", "https://a.example", "--url", "/b"], "not an absolute URL")]
#[case(&["explain", "--page", "https://a.example", "--url", "wss://b.example/"], "not wss:")]
fn a_question_has_a_page_and_a_url(#[case] arguments: &[&str], #[case] message: &str) {
    let output = explain(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
}

/// A stage with one behaviour, and the URL of that.
async fn stage(behaviour: Value) -> (Stage, Token, String) {
    let stage = Stage::start(StageConfig::default()).await.expect("a port");
    let token = Token::random();
    let origin = format!("http://{}", stage.addresses()[0]);
    let behaviour: Behaviour = serde_json::from_value(behaviour).expect("a behaviour");
    let mut site = Site::new();
    site.insert(Route { origin: origin.parse().expect("an origin"), path: "/".to_owned() }, behaviour);
    stage.publish(token.clone(), site);
    let url = format!("{origin}/{token}/");
    (stage, token, url)
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_server_is_asked() {
    let behaviour = json!({ "headers": [["Access-Control-Allow-Origin", "*"], ["Set-Cookie", "id=s3cret"]] });
    let (stage, token, url) = stage(behaviour).await;
    let found = in_background(move || diagnosis(&["--url", &url, "--credentials", "include"])).await;
    assert_eq!(outcome(&found), json!(["blocked", true, "wildcard-with-credentials", "fetch.cors-check.3c"]));
    assert!(!found.to_string().contains("s3cret"), "{found}");
    let log = stage.withdraw(&token);
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].headers.get("origin"), Some("https://app.example".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_change_something_is_not_sent() {
    let open = json!({ "headers": [["Access-Control-Allow-Origin", "*"], ["Access-Control-Allow-Methods", "DELETE"]] });
    for (arguments, verdict, methods) in
        [(&[][..], "undecided", &["OPTIONS"][..]), (&["--unsafe"], "readable", &["OPTIONS", "DELETE"])]
    {
        let (stage, token, url) = stage(open.clone()).await;
        let found =
            in_background(move || diagnosis(&[&["--url", url.as_str(), "--method", "DELETE"], arguments].concat()))
                .await;
        assert_eq!(found["verdict"], verdict);
        let sent: Vec<String> = stage.withdraw(&token).iter().map(|exchange| exchange.method.to_string()).collect();
        assert_eq!(sent, methods);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_does_not_answer_is_an_error_of_the_environment() {
    let (stage, _, url) = stage(json!({ "fault": "never-answer" })).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let closed = format!("http://{free}/?token=s3cret");
    let wrong_scheme = url.replace("http://", "https://");
    for (url, message) in [
        (url, "did not answer within 1 seconds"),
        (closed, "takes no connection"),
        // The stage's certificate is signed by nobody.
        (wrong_scheme, "no TLS connection"),
    ] {
        let output = in_background(move || explain(&[&PAGE[..], &["--url", &url, "--timeout", "1"]].concat())).await;
        assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
        assert!(stderr(&output).contains(message) && !stderr(&output).contains("s3cret"), "{}", stderr(&output));
    }
    stage.stop().await;
}

fn archive(name: &str) -> String {
    root().join("harness/tests/data").join(name).display().to_string()
}

/// What a recorded archive of each browser says: the same requests failed, of the same causes.
#[rstest]
#[case("chromium.har")]
#[case("firefox.har")]
fn an_archive_tells_what_failed_and_why(#[case] name: &str) {
    let output = explain(&["explain", "--har", &archive(name), "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let explanation: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let found: Vec<Value> = explanation["diagnoses"]
        .as_array()
        .expect("diagnoses")
        .iter()
        .map(|diagnosis| {
            let path = diagnosis["url"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
            json!([diagnosis["method"], path, outcome(diagnosis)])
        })
        .collect();
    let gone = match name {
        // Only Chromium says that the connection failed.
        "chromium.har" => json!(["GET", "", ["failed", true, "connection-failed", "fetch.fetch-method.12.3"]]),
        _ => json!(["GET", "", ["undecided", false, null, null]]),
    };
    let expected = [
        json!(["GET", "missing", ["blocked", true, "missing-allow-origin", "fetch.cors-check.2"]]),
        json!(["GET", "wildcard", ["blocked", true, "wildcard-with-credentials", "fetch.cors-check.3c"]]),
        json!(["PUT", "items?access_token=…&page=…", ["blocked", false, "header-not-allowed", "fetch.preflight.7.7b"]]),
        json!(["DELETE", "stock", ["blocked", false, "missing-allow-origin", "fetch.cors-check.2"]]),
        json!(["GET", "moved", ["blocked", true, "missing-allow-origin", "fetch.cors-check.2"]]),
        gone,
    ];
    assert_eq!(found, expected);
    let text = stdout(&explain(&["explain", "--har", &archive(name)]));
    assert!(text.contains("What to change") && text.contains("Access-Control-Allow-Headers"), "{text}");
    assert!(!text.contains("s3cret") && !stdout(&output).contains("s3cret"), "{text}");
}

#[rstest]
#[case("{\"log\": {\n  \"entries\": [{\"request\":", "a.har:2:", "cut off")]
#[case("{\"log\": {\"version\": \"1.2\"}}", "a.har:1:", "missing field `entries`")]
#[case("<!doctype html>", "a.har:1:1", "expected value")]
#[case("", "a.har:1:1", "the file is empty")]
fn a_broken_archive_is_told_by_its_place(#[case] text: &str, #[case] place: &str, #[case] message: &str) {
    let bench = Bench::new();
    bench.write("a.har", text);
    let output = bench.command(&["explain", "--har", "a.har"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stderr(&output).contains(place) && stderr(&output).contains(message), "{}", stderr(&output));
}

#[test]
fn an_archive_that_is_not_there_is_named() {
    let output = explain(&["explain", "--har", "no-such.har"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no-such.har"), "{}", stderr(&output));
}
