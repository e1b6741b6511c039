//! The published schema of case files is up to date, takes the whole suite, and refuses what the loader refuses.

use std::path::{Path, PathBuf};

use crosscheck_cases::{case_file_schema, load, load_text};
use serde_json::{Value, json};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_published_schema_is_up_to_date() {
    let path = root().join("schema/case-file.json");
    let schema = serde_json::to_string_pretty(&case_file_schema()).expect("JSON") + "\n";
    if std::env::var_os("CROSSCHECK_UPDATE").is_some() {
        std::fs::write(&path, &schema).expect("written");
    }
    let published = std::fs::read_to_string(&path).expect("the published schema");
    assert!(published == schema, "run this test with CROSSCHECK_UPDATE=1 to write {}", path.display());
}

#[test]
fn the_suite_loads_and_keeps_to_the_schema() {
    let suite = load(&root().join("suite")).expect("a sound suite");
    let by_hand = suite.cases.iter().filter(|case| !case.generated).count();
    assert!(by_hand >= 300, "{by_hand} cases that stand for themselves");
    let schema = serde_json::to_value(case_file_schema()).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a sound schema");
    let mut files: Vec<PathBuf> = suite.cases.iter().map(|case| case.file.clone()).collect();
    files.dedup();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a case file");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", file.display());
    }
}

#[test]
fn schema_and_loader_refuse_the_same_mistakes() {
    let schema = serde_json::to_value(case_file_schema()).expect("JSON");
    let sound = json!({
        "topic": "t", "about": "a",
        "cases": [{
            "id": "a", "title": "t", "requires": ["fetch.cors-check.2"], "given": { "https://a.test/": {} },
            "when": { "fetch": "https://a.test/" },
            "then": { "page": "network-error", "wire": ["GET"], "reason": "missing-allow-origin" }
        }]
    });
    let judge = |file: &Value| {
        let loaded = load_text(Path::new("t.json"), &file.to_string());
        let valid = jsonschema::is_valid(&schema, file);
        assert_eq!(loaded.is_ok(), valid, "{file}: {loaded:?}");
        valid
    };
    assert!(judge(&sound));
    for (at, value) in [
        ("/cases/0/when", json!({ "fetsh": "https://a.test/" })),
        ("/cases/0/when", json!({ "fetch": "https://a.test/", "withCredentials": true })),
        ("/cases/0/then/page", json!("netwrok-error")),
        ("/cases/0/then/reason", json!("no-such-reason")),
        ("/cases/0/then/wire", json!("GET")),
        ("/cases/0/page", json!({ "kind": "iframes", "origin": "https://a.test" })),
        ("/cases/0/given", json!({ "https://a.test/": { "statuz": 200 } })),
        ("/cases/0/level", json!("desired")),
        ("/cases/0/title", json!(1)),
        ("/about", json!(null)),
    ] {
        let mut faulty = sound.clone();
        match faulty.pointer_mut(at) {
            Some(place) => *place = value,
            None => faulty["cases"][0][at.rsplit('/').next().expect("a name")] = value,
        }
        assert!(!judge(&faulty), "{at}");
    }
}
