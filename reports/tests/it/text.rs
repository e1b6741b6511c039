//! Terminal, Markdown and JUnit, pinned word for word.

use crosscheck_reports::{Verdict, curl, curl_expected, javascript, render_junit, render_markdown, render_table};

use crate::{hostile, sample};

#[test]
fn table() {
    insta::assert_snapshot!(render_table(&sample::runs()));
}

#[test]
fn table_of_hostile_strings() {
    insta::assert_snapshot!(render_table(&hostile::runs()));
}

#[test]
fn no_line_of_the_table_is_wider_than_120_columns_and_30_cases_are_enough() {
    let mut runs = sample::runs();
    let failure = runs[2].results.iter().find(|result| result.verdict == Verdict::Fail).expect("a failure").clone();
    for number in 0..50 {
        let mut another = failure.clone();
        another.id = format!("cors/credentials/number-{number}-{}", "日本語".repeat(60));
        runs[2].results.push(another);
    }
    let table = render_table(&runs);
    assert!(table.contains("and 24 more"), "{table}");
    assert!(table.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 120), "{table}");
}

#[test]
fn nothing_to_report_is_said() {
    assert_eq!(render_table(&[]), "No runs.\n");
    let mut runs = sample::runs();
    runs.truncate(1);
    runs[0].results.retain(|result| result.verdict == Verdict::Pass);
    assert!(render_table(&runs).contains("Nothing unexpected."));
    assert!(render_markdown(&runs).contains("Everything is as expected."));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(render_markdown(&sample::runs()));
}

#[test]
fn markdown_of_hostile_strings() {
    let markdown = render_markdown(&hostile::runs());
    let outside_code: String = markdown.split("``").step_by(2).collect();
    assert!(!outside_code.contains("<script"), "{outside_code}");
    insta::assert_snapshot!(markdown);
}

#[test]
fn junit() {
    insta::assert_snapshot!(render_junit(&sample::runs()).expect("XML"));
}

#[test]
fn junit_of_hostile_strings() {
    let xml = render_junit(&hostile::runs()).expect("XML");
    assert!(!xml.contains("<script"));
    assert!(xml.chars().all(|character| character == '\n' || character == '\t' || !character.is_control()));
    insta::assert_snapshot!(xml);
}

#[test]
fn what_to_type_by_hand() {
    let runs = sample::runs();
    let mut out = String::new();
    for result in [0, 1, 2, 6].map(|at| &runs[0].results[at]) {
        out += &format!("# {}\n\n{}\n\n", result.id, javascript(&result.case.when));
        out += &format!("as sent:\n{}\n\n", result.wire.unpack().iter().map(curl).collect::<Vec<_>>().join("\n\n"));
        out += &format!("as expected:\n{}\n\n", curl_expected(&result.case).join("\n\n"));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn javascript_of_every_probe() {
    let steps: Vec<crosscheck_cases::Probe> = serde_json::from_str(
        r#"[
            {"fetch": "https://a.test/", "method": "POST", "headers": [["A", "1"], ["B", "\u202e"]], "body": {"form-data": [["a", "b"]]}, "keepalive": true, "read": "none"},
            {"xhr": "https://a.test/", "method": "PUT", "withCredentials": true, "headers": [["A", "1"]], "body": {"array-buffer": "\u0000\u00ff"}, "uploadListener": true, "sync": true, "responseType": "json", "timeout": 5, "abort": true},
            {"eventSource": "https://a.test/", "withCredentials": true},
            {"beacon": "https://a.test/", "body": {"blob": ["application/json", "{}"]}},
            {"websocket": "wss://a.test/", "protocols": ["chat"], "send": "hello"},
            {"evaluate": "fetch('{url https://a.test/b}')"},
            {"client": "https://a.test/"}
        ]"#,
    )
    .expect("probes");
    insta::assert_snapshot!(javascript(&steps));
}
