//! `crosscheck server`: exit codes, files, and what is never printed.

use std::process::Output;

use crosscheck_servers::{Behaviour, Route, Site, Stage, StageConfig, Token};
use serde_json::{Value, json};

use crate::support::{Bench, available, stderr};

/// A server with one route, and its target.
async fn server(behaviour: Value) -> (Stage, String) {
    let stage = Stage::start(StageConfig::default()).await.expect("a stage");
    let (token, address) = (Token::random(), stage.addresses()[0]);
    let mut site = Site::new();
    let origin = format!("http://{address}").parse().expect("an origin");
    let behaviour: Behaviour = serde_json::from_value(behaviour).expect("a behaviour");
    site.insert(Route { origin, path: "/items".to_owned() }, behaviour);
    stage.publish(token.clone(), site);
    (stage, format!("http://{address}/{token}"))
}

fn policy(target: &str) -> Value {
    json!({
        "target": target,
        "allow": { "origins": ["https://app.test"], "methods": ["GET"] },
        "routes": [{ "path": "/items" }]
    })
}

async fn run(bench: &Bench, arguments: &[&str]) -> Output {
    let mut command = bench.command(arguments);
    command.env("CROSSCHECK_TEST_COOKIE", "sid=very-secret").env("CROSSCHECK_TEST_KEY", "also-secret");
    tokio::task::spawn_blocking(move || command.output().expect("it starts")).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_decide_the_exit_code_and_stand_in_every_file() {
    let (_stage, target) = server(json!({ "headers": [["Access-Control-Allow-Origin", "*"]] })).await;
    let bench = Bench::new();
    let mut file = policy(&target);
    file["authenticate"] = json!({ "cookie": "CROSSCHECK_TEST_COOKIE" });
    bench.write("policy.json", &file.to_string());
    let files =
        ["--json", "o.json", "--sarif", "o.sarif", "--junit", "o.xml", "--markdown", "o.md", "--html", "o.html"];
    let output = run(&bench, &[&["server", "policy.json", "--fail-on", "hole"][..], &files].concat()).await;
    // The cookie makes the data private, and without it anybody may read.
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = run(&bench, &["server", "policy.json", "--fail-on", "hygiene", "--verbose"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let mut texts = vec![String::from_utf8_lossy(&output.stdout).into_owned()];
    for name in ["o.json", "o.sarif", "o.xml", "o.md", "o.html"] {
        texts.push(std::fs::read_to_string(bench.path(name)).expect(name));
    }
    for text in texts {
        assert!(text.contains("reflected-origin"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    let same = run(&bench, &["server", "compare", "o.json", "o.json"]).await;
    assert_eq!((same.status.code(), String::from_utf8_lossy(&same.stdout).trim()), (Some(0), "Nothing changed."));
    file["ignore"] = json!([{ "finding": "reflected-origin", "reason": "public data" }]);
    bench.write("policy.json", &file.to_string());
    let ignored = run(&bench, &["server", "policy.json", "--fail-on", "note"]).await;
    assert_eq!(ignored.status.code(), Some(0), "{}", String::from_utf8_lossy(&ignored.stdout));
    assert!(String::from_utf8_lossy(&ignored.stdout).contains("public data"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worse_version_is_told_from_a_better_one() {
    let right = json!({
        "headers": [["Vary", "Origin"]],
        "rules": [{ "if": { "origin": ["https://app.test"] }, "then": { "headers": [["Vary", "Origin"], ["Access-Control-Allow-Origin", "{request.origin}"]] } }]
    });
    let wrong = json!({ "headers": [["Vary", "Origin"], ["Access-Control-Allow-Origin", "{request.origin}"]] });
    let bench = Bench::new();
    for (name, behaviour, code) in [("right", right, 0), ("wrong", wrong, 1)] {
        let (_stage, target) = server(behaviour).await;
        bench.write("policy.json", &policy(&target).to_string());
        let output = run(&bench, &["server", "policy.json", "--json", name]).await;
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let worse = run(&bench, &["server", "compare", "right", "wrong"]).await;
    let text = String::from_utf8_lossy(&worse.stdout).into_owned();
    assert_eq!(worse.status.code(), Some(1), "{text}");
    assert!(text.contains("Let in now, and not before:") && text.contains("HOLE reflected-origin"), "{text}");
    let better = run(&bench, &["server", "compare", "wrong", "right"]).await;
    assert_eq!(better.status.code(), Some(0), "{}", String::from_utf8_lossy(&better.stdout));
}

/// A browser is confirmed by what it does, not by what it is told: this server lets everybody in who does not say by
/// Sec-Fetch-Mode that it is a browser.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_disagrees_has_an_exit_code_of_its_own() {
    if !available("chromium") {
        return;
    }
    let open = json!([
        ["Access-Control-Allow-Origin", "{request.origin}"],
        ["Access-Control-Allow-Credentials", "true"],
        ["Vary", "Origin"]
    ]);
    let (_stage, target) = server(json!({
        "headers": [["Vary", "Origin"]],
        "rules": [{ "if": { "headers": { "accept-encoding": "absent" } }, "then": { "headers": open } }]
    }))
    .await;
    let bench = Bench::new();
    bench.write("policy.json", &policy(&target).to_string());
    let output = run(&bench, &["server", "policy.json", "--confirm", "chromium", "--json", "o.json"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(4), "{text}{}", stderr(&output));
    assert!(text.contains("DISAGREEMENT by Chromium") && text.contains("1 disagreement"), "{text}");
    assert!(stderr(&output).contains("please report it"), "{}", stderr(&output));
    bench.assert_clean();
    let without = run(&bench, &["server", "policy.json"]).await;
    assert_eq!(without.status.code(), Some(1));
    let missing = run(&bench, &["server", "policy.json", "--confirm", "netscape"]).await;
    assert_eq!(missing.status.code(), Some(2), "{}", stderr(&missing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_policy_can_be_written_and_is_sound() {
    let (_stage, target) = server(json!({ "headers": [["Access-Control-Allow-Origin", "*"]] })).await;
    let bench = Bench::new();
    let output = run(&bench, &["server", "--init", &format!("{target}/items")]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    bench.write("policy.json", &String::from_utf8_lossy(&output.stdout));
    let output = run(&bench, &["server", "policy.json"]).await;
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_or_must_not_be_asked_is_said() {
    let bench = Bench::new();
    bench.write("elsewhere.json", &policy("https://other.example").to_string());
    bench.write("down.json", &policy("http://127.0.0.1:1").to_string());
    let mut faulty = policy("http://127.0.0.1:1");
    faulty["allow"]["origins"] = json!(["https://App.test", "app"]);
    bench.write("faulty.json", &faulty.to_string());
    let mut secret = policy("http://127.0.0.1:1");
    secret["authenticate"] = json!({ "headers": { "x-key": "CROSSCHECK_NOT_SET" } });
    bench.write("secret.json", &secret.to_string());
    for (file, code, message) in [
        ("elsewhere.json", 2, "--i-own-this-host"),
        ("down.json", 3, "takes no connection"),
        ("faulty.json", 2, "2 mistakes"),
        ("secret.json", 3, "CROSSCHECK_NOT_SET"),
        ("missing.json", 2, "cannot be read"),
    ] {
        let output = run(&bench, &["server", file]).await;
        assert_eq!(output.status.code(), Some(code), "{file}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{file}: {}", stderr(&output));
    }
}
