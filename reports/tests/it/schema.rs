//! The published schema is the type's, and records keep to it.

use std::path::Path;

use crosscheck_reports::run_schema;

use crate::{hostile, sample};

#[test]
fn the_published_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/run.json");
    let schema = serde_json::to_string_pretty(&run_schema()).expect("JSON") + "\n";
    if std::env::var_os("CROSSCHECK_UPDATE").is_some() {
        std::fs::write(&path, &schema).expect("written");
    }
    let published = std::fs::read_to_string(&path).expect("the published schema");
    assert!(published == schema, "run this test with CROSSCHECK_UPDATE=1 to write {}", path.display());
}

#[test]
fn records_keep_to_the_schema() {
    let schema = serde_json::to_value(run_schema()).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for run in sample::runs().iter().chain(&hostile::runs()) {
        let record = serde_json::to_value(run).expect("JSON");
        let mistakes: Vec<String> =
            validator.iter_errors(&record).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(mistakes, [""; 0]);
    }
    let mut record = serde_json::to_value(&sample::runs()[0]).expect("JSON");
    record["results"][0]["verdict"] = "maybe".into();
    assert!(!validator.is_valid(&record));
    record["results"][0]["verdict"] = "pass".into();
    record["unknown"] = true.into();
    assert!(validator.is_valid(&record), "readers accept members that they do not know");
}
