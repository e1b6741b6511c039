//! Reading run records back, and what is said where that fails.

use std::path::Path;

use crosscheck_reports::{RunRecord, read_run, read_runs};

use crate::sample;

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, text).expect("written");
}

fn json(run: &RunRecord) -> String {
    serde_json::to_string(run).expect("JSON")
}

#[test]
fn a_run_is_found_by_file_by_folder_and_among_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let runs = sample::runs();
    for run in &runs {
        write(folder.path(), &format!("{}/run.json", run.agent.name), &json(run));
    }
    write(folder.path(), "notes/other.txt", "");
    assert_eq!(read_run(&folder.path().join("firefox/run.json")).expect("a run"), runs[1]);
    assert_eq!(read_run(&folder.path().join("firefox")).expect("a run"), runs[1]);
    assert_eq!(read_runs(folder.path()).expect("three runs"), runs);
    let error = read_run(folder.path()).expect_err("three runs").to_string();
    assert!(error.contains("3 runs where one is expected: name one of them, such as "), "{error}");
    assert!(error.ends_with("chromium/run.json"), "{error}");
}

#[test]
fn an_unknown_member_is_no_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = &sample::runs()[0];
    write(folder.path(), "run.json", &json(run).replacen('{', "{\"later\": 1, ", 1));
    assert_eq!(&read_run(folder.path()).expect("a run"), run);
}

#[test]
fn mistakes_say_what_was_expected() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = json(&sample::runs()[0]);
    for (text, message) in [
        (run[..run.len() / 2].to_owned(), "not JSON (EOF while parsing"),
        ("[1]".to_owned(), "is not a run record: it has no \"format\""),
        ("{}".to_owned(), "is not a run record: it has no \"format\""),
        (
            r#"{"format": 2, "suite": {"version": "9.9.0"}, "results": "elsewhere"}"#.to_owned(),
            "of format 2, written by crosscheck 9.9.0; this program reads format 1",
        ),
        (
            run.replacen("\"verdict\":\"pass\"", "\"verdict\":\"maybe\"", 1),
            "results[0].verdict: unknown variant `maybe`",
        ),
    ] {
        write(folder.path(), "run.json", &text);
        let error = read_run(folder.path()).expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
        assert!(error.contains("run.json"), "{error}");
    }
    let empty = tempfile::tempdir().expect("a folder");
    let error = read_runs(empty.path()).expect_err("no run").to_string();
    assert!(error.contains("holds no run: expected run.json in it"), "{error}");
    let error = read_runs(&empty.path().join("nowhere")).expect_err("nothing").to_string();
    assert!(error.contains("nowhere does not exist"), "{error}");
}
