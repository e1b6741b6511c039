//! `crosscheck server` finds every fault, and nothing where there is none.

#[path = "server/servers.rs"]
mod servers;

use std::collections::BTreeMap;

use crosscheck::check::{CheckOptions, CheckRecord, FAULTS, Severity, check, parse_policy};
use crosscheck::transport::Trust;
use crosscheck_servers::{Stage, StageConfig, Token};
use rstest::rstest;
use serde_json::Value;

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
    check(&policy, "policy.json", options).await.expect("a check")
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
    for fault in FAULTS {
        assert!(servers.iter().any(|server| server.expect.contains_key(fault.id)), "{}", fault.id);
    }
    for server in servers.iter().filter(|server| server.control) {
        assert!(!server.expect.values().any(|severity| severity == Severity::Hole.name()), "{}", server.name);
    }
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
