//! `crosscheck server` finds every fault, and nothing where there is none.

#[path = "server/random.rs"]
mod random;
#[path = "server/servers.rs"]
mod servers;
#[path = "server/silence.rs"]
mod silence;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crosscheck::Engine;
use crosscheck::check::report::render_sarif;
use crosscheck::check::{
    CheckError, CheckOptions, CheckRecord, Confirmation, FAULTS, Ignored, Replayed, Severity, check, confirm,
    parse_policy,
};
use crosscheck::guard::Guard;
use crosscheck::transport::Trust;
use crosscheck_servers::{Behaviour, Route, Site, Stage, StageConfig, Token};
use rstest::rstest;
use serde_json::{Value, json};

use servers::{Wrong, all, policy, site};

/// Checks a server that is right, or wrong in one way.
async fn checked(wrong: &Wrong, right: bool) -> CheckRecord {
    let stage = Stage::start(StageConfig::default()).await.expect("a stage");
    let token = Token::random();
    let address = stage.addresses()[0];
    let policy = policy(wrong, &format!("http://{address}/{token}"));
    stage.publish(token, site(wrong, &policy, &format!("http://{address}"), right));
    let policy = parse_policy(std::path::Path::new("policy.json"), &policy.to_string()).expect("a sound policy");
    let options = CheckOptions { changes: false, cost: wrong.cost, trust: Trust::Roots };
    check(&policy, "policy.json", options, &Arc::default()).await.expect("a check")
}

fn found(record: &CheckRecord) -> BTreeMap<String, String> {
    record.findings.iter().map(|finding| (finding.id.clone(), finding.severity.name().to_owned())).collect()
}

fn explained(record: &CheckRecord) -> String {
    crosscheck::check::report::render_text(record, false, false)
}

#[rstest]
#[case::first(0)]
#[case::second(1)]
#[case::third(2)]
#[case::fourth(3)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_found_and_nothing_else(#[case] part: usize) {
    let mut wrong = Vec::new();
    for server in all().iter().skip(part).step_by(4) {
        let name = format!("{:?}: {}", server.fault, server.name);
        let record = checked(server, false).await;
        if found(&record) != server.expect {
            wrong.push(format!(
                "{name}\nexpected {:?}\nfound {:?}\n{}",
                server.expect,
                found(&record),
                explained(&record)
            ));
        }
        for finding in &record.findings {
            assert!(finding.requests > 0 && !finding.seen.is_empty(), "{name}");
            let evidence = &finding.seen[0].evidence;
            assert!(!evidence.exchanges.is_empty(), "{name}: {} shows nothing", finding.id);
        }
        let twin = checked(server, true).await;
        if !twin.findings.is_empty() {
            wrong.push(format!("{name}: the server that is right\n{}", explained(&twin)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
}

#[test]
fn all_44_faults_have_a_server_and_all_kinds_of_findings_are_found_somewhere() {
    let servers = all();
    for fault in 1..=44 {
        assert!(servers.iter().any(|server| server.fault == Some(fault)), "fault {fault}");
    }
    // What differs from one request to the next has a server of its own (`silence.rs`).
    for fault in FAULTS.iter().filter(|fault| fault.id != "unsteady") {
        assert!(servers.iter().any(|server| server.expect.contains_key(fault.id)), "{}", fault.id);
    }
    for server in servers.iter().filter(|server| server.control) {
        assert!(!server.expect.values().any(|severity| severity == Severity::Hole.name()), "{}", server.name);
    }
}

/// Checks a server and says what arrived there.
async fn arrived(wrong: &Wrong, right: bool, changes: bool) -> (CheckRecord, BTreeSet<String>) {
    let stage = Stage::start(StageConfig::default()).await.expect("a stage");
    let (token, address) = (Token::random(), stage.addresses()[0]);
    let stated = policy(wrong, &format!("http://{address}/{token}"));
    stage.publish(token.clone(), site(wrong, &stated, &format!("http://{address}"), right));
    let policy = parse_policy(std::path::Path::new("policy.json"), &stated.to_string()).expect("a sound policy");
    let options = CheckOptions { changes, cost: false, trust: Trust::Roots };
    let record = check(&policy, "policy.json", options, &Arc::default()).await.expect("a check");
    let log = stage.withdraw(&token);
    (record, log.iter().map(|exchange| exchange.method.to_string()).collect())
}

#[rstest]
#[case::right("DELETE", true, &["GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])]
#[case::more_methods("DELETE", false, &["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])]
#[case::refused_methods("PATCH refused", false, &["GET", "HEAD", "OPTIONS", "POST", "PUT"])]
#[case::loose_preflights("preflights for everybody", false, &["GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])]
#[tokio::test]
async fn what_may_change_something_is_sent_only_on_demand(
    #[case] name: &str,
    #[case] right: bool,
    #[case] sent: &[&str],
) {
    let servers = all();
    let server = servers.iter().find(|server| server.name == name).expect("a fixture");
    let expected = if right { BTreeMap::new() } else { server.expect.clone() };
    let (record, methods) = arrived(server, right, false).await;
    assert_eq!(methods.iter().collect::<Vec<_>>(), ["GET", "HEAD", "OPTIONS"], "without being asked to");
    assert_eq!(found(&record), expected, "{}", explained(&record));
    let (record, methods) = arrived(server, right, true).await;
    assert_eq!(methods.iter().collect::<Vec<_>>(), sent, "on demand");
    assert_eq!(found(&record), expected, "{}", explained(&record));
}

/// The schema that OASIS publishes, as the crate that reads SARIF carries it.
fn sarif_schema() -> Value {
    let metadata = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", "host-tuple"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("metadata");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|package| package["name"] == "serde-sarif").expect("the crate");
    let manifest = std::path::Path::new(package["manifest_path"].as_str().expect("a path"));
    let schema = std::fs::read_to_string(manifest.with_file_name("src").join("schema.json")).expect("the schema");
    // The pattern of a language has a stray bracket, which is no regular expression in Unicode mode.
    serde_json::from_str(&schema.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$")).expect("JSON")
}

#[tokio::test]
async fn sarif_keeps_to_its_schema() {
    let validator = jsonschema::validator_for(&sarif_schema()).expect("a sound schema");
    let servers = all();
    let named = |name: &str| servers.iter().find(|server| server.name == name).expect("a fixture");
    let mut record = checked(named("reflected with credentials"), false).await;
    record.policy = "./a folder/policy é.json".to_owned();
    let said = "A page \u{1F600}".to_owned();
    record.findings[0].browsers.push(Confirmation { browser: "B".to_owned(), outcome: Replayed::Confirmed, said });
    let other = checked(named("not exposed"), false).await;
    let ignored = other.findings.into_iter().map(|finding| Ignored { finding, reason: "known".to_owned() });
    record.ignored.extend(ignored);
    let none = checked(named("DELETE"), true).await;
    for record in [record, none] {
        let sarif = render_sarif(&record);
        let faults: Vec<String> =
            validator.iter_errors(&sarif).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        let read: serde_sarif::sarif::Sarif = serde_json::from_value(sarif).expect("SARIF");
        let results = read.runs[0].results.as_ref().map_or(0, Vec::len);
        assert_eq!(results, record.findings.len() + record.ignored.len());
    }
    let mut wrong = render_sarif(&checked(named("DELETE"), true).await);
    wrong["runs"][0]["tool"]["driver"]["name"] = Value::Null;
    assert!(!validator.is_valid(&wrong), "the schema is one");
}

/// Fixtures that Chromium is asked about in every run of the tests; `CROSSCHECK_CONFIRM=all` asks about all of them.
const CONFIRMED: [&str; 12] = [
    "reflected with credentials",
    "reflected with a cookie",
    "null",
    "begins with",
    "another port",
    "the server's list names :443",
    "bare errors",
    "WebSocket for everybody",
    "WebSocket for nobody",
    "JSONP",
    "no CORP for everybody",
    "redirects without end",
];

/// What came of asking a browser about each finding.
fn replayed(record: &CheckRecord) -> Vec<(String, Replayed)> {
    let graves = record.findings.iter().filter(|finding| !finding.browsers.is_empty());
    graves.map(|finding| (finding.id.clone(), finding.browsers[0].outcome)).collect()
}

/// Checks a wrong server, changes it as is said, and asks the browser about the findings.
async fn confirmed(
    wrong: &Wrong,
    browser: &Engine,
    changes: bool,
    change: impl FnOnce(&Stage, &Token, Site),
) -> CheckRecord {
    let stage = Stage::start(StageConfig::default()).await.expect("a stage");
    let (token, address) = (Token::random(), stage.addresses()[0]);
    let stated = policy(wrong, &format!("http://{address}/{token}"));
    stage.publish(token.clone(), site(wrong, &stated, &format!("http://{address}"), false));
    let policy = parse_policy(std::path::Path::new("policy.json"), &stated.to_string()).expect("a sound policy");
    let options = CheckOptions { changes, cost: wrong.cost, trust: Trust::Roots };
    let mut record = check(&policy, "policy.json", options, &Arc::default()).await.expect("a check");
    change(&stage, &token, site(wrong, &stated, &format!("http://{address}"), true));
    let guard = Guard::start(std::path::Path::new(env!("CARGO_BIN_EXE_crosscheck"))).expect("a guard");
    confirm(&policy, &mut record, options, browser, &guard).await.expect("a browser");
    guard.finish().await;
    record
}

/// The engine, where it is here.
fn browser(name: &str) -> Option<Engine> {
    let engine = Engine::find(name).expect("an engine that comes with the program");
    match crosscheck::discover(&engine) {
        Ok(_) => Some(engine),
        Err(missing) if std::env::var_os("CROSSCHECK_REQUIRE_BROWSERS").is_some() => panic!("{missing}"),
        Err(missing) => {
            eprintln!("skipped: {missing}");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_browser_confirms_holes_and_breaks() {
    let all_of_them = std::env::var("CROSSCHECK_CONFIRM").is_ok_and(|value| value == "all");
    let name = std::env::var("CROSSCHECK_CONFIRM_BROWSER").unwrap_or_else(|_| "chromium".to_owned());
    let Some(engine) = browser(&name) else { return };
    let (mut asked, mut wrong) = (0, Vec::new());
    for server in all().iter().filter(|server| all_of_them || CONFIRMED.contains(&server.name.as_str())) {
        let record = confirmed(server, &engine, all_of_them, |_, _, _| {}).await;
        for (finding, outcome) in replayed(&record) {
            asked += usize::from(outcome != Replayed::NotReplayed);
            if all_of_them {
                eprintln!("{}: {finding}: {}", server.name, outcome.words());
            }
            let is_known = matches!(outcome, Replayed::NotReplayed | Replayed::KnownDeviation) && all_of_them;
            if outcome != Replayed::Confirmed && !is_known {
                wrong.push(format!("{}: {}", server.name, explained(&record)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
    assert!(asked >= CONFIRMED.len(), "only {asked} findings were replayed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_put_right_refutes_what_was_found() {
    let Some(engine) = browser("chromium") else { return };
    let servers = all();
    let server = servers.iter().find(|server| server.name == CONFIRMED[0]).expect("a fixture");
    let record = confirmed(server, &engine, false, |stage, token, right| stage.publish(token.clone(), right)).await;
    assert_eq!(replayed(&record), [("reflected-origin".to_owned(), Replayed::Refuted)], "{}", explained(&record));
    assert!(!record.has_disagreement());
    assert!(record.findings[0].browsers[0].said.contains("answers otherwise by now"), "{}", explained(&record));
}

/// A check of one route with this behaviour, with little patience.
async fn trouble(behaviour: Value) -> Result<CheckRecord, CheckError> {
    let stage = Stage::start(StageConfig::default()).await.expect("a stage");
    let token = Token::random();
    let address = stage.addresses()[0];
    let mut site = Site::new();
    let origin = format!("http://{address}").parse().expect("an origin");
    site.insert(
        Route { origin, path: "/items".to_owned() },
        serde_json::from_value::<Behaviour>(behaviour).expect("a behaviour"),
    );
    stage.publish(token.clone(), site);
    let policy = json!({
        "target": format!("http://{address}/{token}"),
        "allow": { "origins": ["https://app.test"], "methods": ["GET"] },
        "routes": [{ "path": "/items" }],
        "limits": { "timeout-seconds": 1, "seconds": 120 }
    });
    let policy = parse_policy(std::path::Path::new("policy.json"), &policy.to_string()).expect("a sound policy");
    let options = CheckOptions { changes: false, cost: false, trust: Trust::Roots };
    check(&policy, "policy.json", options, &Arc::default()).await
}

#[rstest]
#[case::garbage(json!({ "verbatim": "\u{0} garbage\r\n\r\n" }), "is not HTTP")]
#[case::reset(json!({ "fault": "reset" }), "broke before there was a response")]
#[case::closes(json!({ "fault": "close" }), "broke before there was a response")]
#[case::silent(json!({ "fault": "never-answer" }), "did not answer within")]
#[case::dies(json!({ "rules": [{ "if": { "request": { "from": 5 } }, "then": { "fault": "reset" } }], "preflight": { "fault": "reset" } }), "stopped to answer")]
#[tokio::test]
async fn a_server_that_cannot_be_asked_is_an_error_that_says_why(#[case] behaviour: Value, #[case] message: &str) {
    let error = trouble(behaviour).await.expect_err("no check").to_string();
    assert!(error.contains(message), "{error}");
}

#[tokio::test]
async fn a_huge_answer_is_read_in_part_and_checked() {
    let huge =
        json!({ "headers": [["Access-Control-Allow-Origin", "https://app.test"]], "body": { "fill": 100_000_000 } });
    let record = trouble(huge).await.expect("a check");
    assert!(record.findings.is_empty(), "{}", explained(&record));
}

#[rstest]
#[case(r#"{ "origins": ["https://App.test"] }"#, "browsers never send")]
#[case(r#"{ "origins": ["https://app.test:443"] }"#, "browsers never send")]
#[case(r#"{ "origins": ["https://app.test/path"] }"#, "browsers never send")]
#[case(r#"{ "origins": ["https://bücher.test"] }"#, "they send \"https://xn--bcher-kva.test\"")]
#[case(r#"{ "origins": ["app.test"] }"#, "is not an origin")]
#[case(r#"{ "origins": ["*"], "credentials": true }"#, "no page is kept out")]
#[case(r#"{ "origins": ["null"], "credentials": true }"#, "sandboxed frame")]
#[case(r#"{ "origins": ["http://app.test"], "credentials": true }"#, "between a user and that http page")]
#[case(r#"{ "origins": ["https://*.co.uk"] }"#, "everybody can have a name below co.uk")]
#[case(r#"{ "origins": [], "methods": ["TRACE"] }"#, "browsers let no script send TRACE")]
#[case(r#"{ "origins": [], "methods": ["patch"] }"#, "the usual one is PATCH")]
#[case(r#"{ "origins": [], "request-headers": ["Cookie"] }"#, "browsers let no script set Cookie")]
#[case(r#"{ "origins": [], "expose": ["Set-Cookie"] }"#, "no script ever reads")]
#[case(r#"{ "origins": [], "max-age": 100000 }"#, "longer than 86400")]
fn a_faulty_policy_is_refused_in_its_place(#[case] allow: &str, #[case] message: &str) {
    let text =
        format!("{{ \"target\": \"http://127.0.0.1:1\", \"allow\": {allow}, \"routes\": [{{ \"path\": \"/\" }}] }}");
    let faults = parse_policy(std::path::Path::new("policy.json"), &text).expect_err("a faulty policy").faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].message.contains(message), "{faults:?}");
    assert!(faults[0].column > 40, "{faults:?}");
}

#[test]
fn the_published_schema_is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/policy.json");
    let schema = serde_json::to_string_pretty(&crosscheck::check::policy_schema()).expect("JSON") + "\n";
    if std::env::var_os("CROSSCHECK_UPDATE").is_some() {
        std::fs::write(&path, &schema).expect("written");
    }
    let published = std::fs::read_to_string(&path).expect("the published schema");
    assert!(published == schema, "run this test with CROSSCHECK_UPDATE=1 to write {}", path.display());
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a sound schema");
    for server in all() {
        let policy = policy(&server, "http://127.0.0.1:1");
        assert!(validator.is_valid(&policy), "{policy}");
    }
}
