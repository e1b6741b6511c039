//! Servers that let origins in by rules that people really write, drawn at random: whatever one grants that its policy does
//! not, the check names.

use crosscheck::check::{CheckOptions, CheckRecord, Severity, check, parse_policy};
use crosscheck::transport::Trust;
use crosscheck_servers::{Behaviour, Route, Site, Stage, StageConfig, Token};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// A rule by which a server lets origins in.
#[derive(Clone, Debug)]
enum Rule {
    /// The list, compared as a whole.
    Exact,
    Everybody,
    EverybodyWithACookie,
    Null,
    /// It begins like an allowed origin.
    Begins,
    /// It ends with this: the allowed host, or a part of it.
    Ends(&'static str),
    Contains(&'static str),
    /// A few origins that are not on the list.
    Also(&'static str),
    Localhost,
    Extensions,
}

/// What a server does.
#[derive(Clone, Debug)]
struct Server {
    rule: Rule,
    credentials: bool,
    /// Only preflights go by the rule; answers go by the list.
    preflights_only: bool,
}

const ALLOWED: &str = "https://app.example.test";

fn servers() -> impl Strategy<Value = Server> {
    let rule = prop_oneof![
        Just(Rule::Exact),
        Just(Rule::Everybody),
        Just(Rule::EverybodyWithACookie),
        Just(Rule::Null),
        Just(Rule::Begins),
        prop_oneof![Just("app.example.test"), Just("example.test"), Just(".test")].prop_map(Rule::Ends),
        prop_oneof![Just("app.example.test"), Just("example")].prop_map(Rule::Contains),
        prop_oneof![
            Just("http://app.example.test"),
            Just("https://app.example.test:8443"),
            Just("https://appxexample.test"),
            Just("https://partner.test"),
            Just("http://127.0.0.1:8080"),
            Just("http://[::1]"),
            Just("https://crosscheck.app.example.test"),
        ]
        .prop_map(Rule::Also),
        Just(Rule::Localhost),
        Just(Rule::Extensions),
    ];
    (rule, any::<bool>(), prop::bool::weighted(0.25)).prop_map(|(rule, credentials, preflights_only)| Server {
        rule,
        credentials,
        preflights_only,
    })
}

impl Server {
    /// The condition of requests that the rule lets in beside those of the list; nothing where there are none.
    fn condition(&self) -> Option<Value> {
        let origin = |test: Value| Some(json!({ "headers": { "origin": test } }));
        match self.rule {
            Rule::Exact => None,
            Rule::Everybody => origin(json!("present")),
            Rule::EverybodyWithACookie => Some(json!({ "cookie": "crosscheck", "headers": { "origin": "present" } })),
            Rule::Null => Some(json!({ "origin": ["null"] })),
            Rule::Begins => origin(json!({ "begins": ALLOWED })),
            Rule::Ends(end) => origin(json!({ "ends": end })),
            Rule::Contains(part) => origin(json!({ "contains": part })),
            Rule::Also(other) => Some(json!({ "origin": [other] })),
            Rule::Localhost => origin(json!({ "begins": "http://localhost" })),
            Rule::Extensions => origin(json!({ "begins": "moz-extension://" })),
        }
    }

    fn behaviour(&self) -> Value {
        let mut lines = vec![json!(["Vary", "Origin"]), json!(["Access-Control-Allow-Origin", "{request.origin}"])];
        if self.credentials {
            lines.push(json!(["Access-Control-Allow-Credentials", "true"]));
        }
        let mut preflight = lines.clone();
        preflight.push(json!(["Access-Control-Allow-Methods", "GET, PUT, DELETE"]));
        let listed = json!({ "origin": [ALLOWED] });
        let rules = |answer: Value, applies: bool| {
            let extra = self.condition().filter(|_| applies);
            let rules = std::iter::once(listed.clone()).chain(extra);
            rules.map(|condition| json!({ "if": condition, "then": answer })).collect::<Vec<Value>>()
        };
        json!({
            "headers": [["Vary", "Origin"]],
            "rules": rules(json!({ "headers": lines }), !self.preflights_only),
            "preflight": {
                "status": 204, "headers": [["Vary", "Origin"]], "body": null,
                "rules": rules(json!({ "status": 204, "headers": preflight, "body": null }), true)
            }
        })
    }

    /// Whether it grants anything to anybody that its policy does not.
    fn is_wrong(&self) -> bool {
        match self.rule {
            Rule::Exact => false,
            // Preflights carry no cookies, and no extension is asked as there.
            Rule::EverybodyWithACookie | Rule::Extensions => !self.preflights_only,
            _ => true,
        }
    }

    /// Whether what it grants goes as far as the user's cookies.
    fn is_hole(&self) -> bool {
        self.is_wrong() && self.credentials
    }
}

async fn checked(server: &Server) -> CheckRecord {
    let stage = Stage::start(StageConfig::default()).await.expect("a stage");
    let (token, address) = (Token::random(), stage.addresses()[0]);
    let mut site = Site::new();
    let behaviour: Behaviour = serde_json::from_value(server.behaviour()).expect("a behaviour");
    let origin = format!("http://{address}").parse().expect("an origin");
    site.insert(Route { origin, path: "/items".to_owned() }, behaviour);
    stage.publish(token.clone(), site);
    let policy = json!({
        "target": format!("http://{address}/{token}"),
        "allow": { "origins": [ALLOWED], "methods": ["GET", "PUT", "DELETE"], "credentials": server.credentials },
        "routes": [
            { "path": "/items" },
            // Whom another route lets in is asked about here too.
            { "path": "/elsewhere", "role": "error", "allow": { "origins": ["https://partner.test"], "credentials": true } }
        ]
    });
    let policy = parse_policy(std::path::Path::new("policy.json"), &policy.to_string()).expect("a sound policy");
    let options = CheckOptions { changes: false, cost: false, trust: Trust::Roots };
    check(&policy, "policy.json", options, &std::sync::Arc::default()).await.expect("a check")
}

#[test]
fn whatever_a_server_grants_beyond_its_policy_is_named() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&servers(), |server| {
        let record = runtime.block_on(checked(&server));
        let about = |finding: &&crosscheck::check::Finding| {
            finding.seen.iter().any(|seen| seen.route == "/items") && finding.severity != Severity::Note
        };
        let worst = record.findings.iter().filter(about).map(|finding| finding.severity).min();
        let found: Vec<String> =
            record.findings.iter().map(|finding| format!("{} {}", finding.severity.name(), finding.id)).collect();
        let named = format!("{found:?}");
        prop_assert_eq!(worst.is_some(), server.is_wrong(), "{}", named);
        if server.is_hole() {
            prop_assert_eq!(worst, Some(Severity::Hole), "{}", named);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
