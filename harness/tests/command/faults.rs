//! Seeded faults of the environment and of files: each gives the right message and exit code and leaves nothing behind.

use std::net::TcpListener;
use std::os::unix::fs::symlink;

use crate::support::{Bench, sound_case, stderr};
use serde_json::json;

#[test]
fn a_broken_case_file_is_shown_in_place_with_all_its_faults() {
    let bench = Bench::with_cases(json!([
        { "id": "a", "title": "t", "given": {}, "then": { "page": "network-error", "wire": [] } },
        { "id": "b", "title": "t", "gven": {}, "then": { "page": "netwrok-error", "wire": ["GET"] } }
    ]));
    let output = bench.run(&["--agent", "chromium"]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    for expected in ["suite/sample.json", "nothing is given for", "unknown field `gven`", "netwrok-error", "\"reason\""]
    {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    bench.assert_clean();
}

#[test]
fn a_suite_that_is_not_there_is_named() {
    let bench = Bench::new();
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("suite"), "{}", stderr(&output));
}

#[test]
fn a_filter_that_matches_nothing_or_cannot_be_read_is_wrong_usage() {
    let bench = Bench::with_cases(json!([sound_case("a")]));
    for (filter, message) in [("no/such/case", "no case matches"), ("colour:red", "no field"), ("[", "cannot be read")]
    {
        let output = bench.run(&["--agent", "reference", "--filter", filter]);
        assert_eq!(output.status.code(), Some(2), "{filter}");
        assert!(stderr(&output).contains(message), "{filter}: {}", stderr(&output));
    }
}

#[test]
fn an_unknown_agent_is_wrong_usage() {
    let bench = Bench::with_cases(json!([sound_case("a")]));
    let output = bench.run(&["--agent", "netscape"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("chromium, firefox, webkit"), "{}", stderr(&output));
}

#[test]
fn a_missing_driver_is_named_with_how_to_get_it() {
    let bench = Bench::with_cases(json!([sound_case("a")]));
    bench.write(
        "none.json",
        r#"{"name": "none", "label": "Netscape", "engine": "Mosaic", "browser": ["no-such-browser"],
            "driver": ["no-such-driver"], "install": "Take it from a museum.", "capabilities": {},
            "reasons": {"sources": [], "about": "none", "patterns": []}}"#,
    );
    let output = bench.run(&["--agent", "none.json"]);
    assert_eq!(output.status.code(), Some(3));
    let message = stderr(&output);
    assert!(message.contains("no-such-browser") && message.contains("museum"), "{message}");
    bench.assert_clean();
}

#[test]
fn a_driver_that_dies_at_once_is_reported_with_its_last_words() {
    let bench = Bench::with_cases(json!([sound_case("a")]));
    bench.write("driver", "#!/bin/sh\necho 'cannot open shared object file' >&2\nexit 127\n");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bench.path("driver"), executable).expect("permissions");
    let driver = bench.path("driver").display().to_string();
    bench.write(
        "broken.json",
        &json!({
            "name": "broken", "label": "Broken", "engine": "None", "browser": [driver], "driver": [driver],
            "install": "", "capabilities": {}, "reasons": {"sources": [], "about": "none", "patterns": []}
        })
        .to_string(),
    );
    let output = bench.run(&["--agent", "broken.json"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("cannot open shared object file"), "{}", stderr(&output));
    bench.assert_clean();
}

#[test]
fn an_expectation_that_matches_nothing_is_a_fault_of_its_file() {
    let bench = Bench::with_cases(json!([sound_case("a")]));
    bench.write(
        "known/reference.json",
        r#"[{"cases": ["sample/gone"], "cause": "It was so once.", "requires": "fetch.cors-check.2", "since": "1"}]"#,
    );
    let output = bench.run(&["--agent", "reference", "--expectations", "known"]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains("known/reference.json") && message.contains("sample/gone"), "{message}");
    bench.assert_clean();
}

#[test]
fn a_port_in_use_is_named() {
    let bench = Bench::with_cases(json!([sound_case("a")]));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = bench.run(&["--agent", "reference", "--bind", &address]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
    bench.assert_clean();
}

#[test]
fn a_full_disk_ends_the_run_with_a_message() {
    let bench = Bench::with_cases(json!([sound_case("a")]));
    std::fs::create_dir_all(bench.path("out/reference")).expect("a folder");
    symlink("/dev/full", bench.path("out/reference/journal.jsonl")).expect("a link");
    let output = bench.run(&["--agent", "reference"]);
    assert_eq!(output.status.code(), Some(3));
    let message = stderr(&output);
    assert!(message.contains("journal.jsonl") && message.contains("No space left"), "{message}");
    bench.assert_clean();
}
