//! The published schema says what the loader says.

use std::path::Path;

use crosscheck_servers::{Behaviour, behaviour_schema};
use rstest::rstest;
use serde_json::{Value, json};

#[test]
fn the_published_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/behaviour.json");
    let schema = serde_json::to_string_pretty(&behaviour_schema()).expect("JSON") + "\n";
    if std::env::var_os("CROSSCHECK_UPDATE").is_some() {
        std::fs::write(&path, &schema).expect("written");
    }
    let published = std::fs::read_to_string(&path).expect("the published schema");
    assert!(published == schema, "run this test with CROSSCHECK_UPDATE=1 to write {}", path.display());
}

/// Whether the schema takes it; the reader must agree.
fn is_valid(behaviour: &Value) -> bool {
    let schema = serde_json::to_value(behaviour_schema()).expect("JSON");
    let taken = jsonschema::is_valid(&schema, behaviour);
    let read = serde_json::from_value::<Behaviour>(behaviour.clone());
    assert_eq!(taken, read.is_ok(), "schema and reader disagree on {behaviour}: {read:?}");
    taken
}

#[rstest]
#[case(json!({}))]
#[case(json!({"status": 599, "reason": "Fine\u{e9}", "headers": [["A", "b"], ["A", "\u{0}\u{ff}"]]}))]
#[case(json!({"status": 0, "websocket": {"status": 999}}))]
#[case(json!({"status": 999, "websocket": {"status": null}}))]
#[case(json!({"body": "text"}))]
#[case(json!({"body": null}))]
#[case(json!({"body": {"text": "text"}}))]
#[case(json!({"body": {"json": [1, {"a": null}]}}))]
#[case(json!({"body": {"json": null}}))]
#[case(json!({"body": {"file": "png"}}))]
#[case(json!({"body": {"pieces": ["a", "b"]}, "pause-ms": 10}))]
#[case(json!({"body": {"events": [{"data": "x", "retry": 5}, {}]}}))]
#[case(json!({"body": {"fill": 100}, "length": {"stated": 5}}))]
#[case(json!({"length": "chunked", "delay-ms": 5, "fault": "reset-in-body"}))]
#[case(json!({"cookies": [{"name": "a"}, {"name": "b", "value": "1", "attributes": "Secure"}]}))]
#[case(json!({"websocket": {"accept": "wrong", "protocol": "p", "then": ["echo", {"send": "x"}, {"close": 1000}]}}))]
#[case(json!({"preflight": {"status": 204, "preflight": {}}, "rules": [{"if": {"not": {"method": ["PUT"]}}, "then": {}}]}))]
#[case(json!({"rules": [{"if": {"headers": {"a": "present", "b": {"is": "c"}}, "request": {"from": 2}}, "then": {}}]}))]
fn valid(#[case] behaviour: Value) {
    assert!(is_valid(&behaviour));
}

#[rstest]
#[case(json!("text"))]
#[case(json!({"statuz": 200}))]
#[case(json!({"status": "200"}))]
#[case(json!({"status": -1}))]
#[case(json!({"status": 1000}))]
#[case(json!({"websocket": {"status": 1000}}))]
#[case(json!({"delay-ms": 60001}))]
#[case(json!({"pause-ms": 60001}))]
#[case(json!({"headers": {"A": "b"}}))]
#[case(json!({"headers": [["A"]]}))]
#[case(json!({"headers": [["A", "b", "c"]]}))]
#[case(json!({"headers": [["A", "\u{20ac}"]]}))]
#[case(json!({"body": 5}))]
#[case(json!({"body": {}}))]
#[case(json!({"body": {"empty": null}}))]
#[case(json!({"body": {"text": "a", "html": "b"}}))]
#[case(json!({"body": {"file": "gif"}}))]
#[case(json!({"length": "never"}))]
#[case(json!({"fault": "explode"}))]
#[case(json!({"cookies": [{"value": "no name"}]}))]
#[case(json!({"websocket": {"then": ["send"]}}))]
#[case(json!({"rules": [{"then": {}}]}))]
fn invalid(#[case] behaviour: Value) {
    assert!(!is_valid(&behaviour));
}
