//! The report in a browser, where one is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crosscheck_reports::{RunRecord, render_html};

use crate::{hostile, sample};

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser"].map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

/// The document after its script ran; nothing where there is no browser.
fn opened(runs: &[RunRecord], hash: &str) -> Option<String> {
    let Some(browser) = chromium() else {
        eprintln!("skipped: neither chromium nor chromium-browser is in PATH");
        return None;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("report.html");
    std::fs::write(&page, render_html(runs).expect("a page")).expect("written");
    let output = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--virtual-time-budget=5000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(address(&page, hash))
        .output()
        .expect("the browser starts");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn address(page: &Path, hash: &str) -> String {
    format!("file://{}{hash}", page.display())
}

#[test]
fn a_link_to_a_case_shows_its_details() {
    let Some(dom) = opened(&sample::runs(), "#case=cors%2Fcredentials%2Fwildcard-origin-refused") else { return };
    let dialog = dom.split("<dialog").nth(1).and_then(|rest| rest.split("</dialog>").next()).expect("a dialog");
    assert!(dialog.contains("open"), "the dialog is closed: {dialog}");
    for text in [
        "Access-Control-Allow-Origin: * does not open a credentialed response",
        "https://fetch.spec.whatwg.org/#concept-cors-check",
        "credentials: \"include\"",
        "cases/suite/cors/credentials.json:12",
        "session=abc",
        "InvalidAllowOriginForCredentials",
        "curl -i https://api.other.test/",
        "different: ",
    ] {
        assert!(dialog.contains(text), "the details do not show {text}");
    }
    assert!(!dialog.contains("~aaaa"), "tokens are shown");
}

#[test]
fn a_filter_in_the_address_is_applied() {
    let Some(dom) = opened(&sample::runs(), "#verdict=known&agent=1") else { return };
    let table =
        dom.split("<table class=\"matrix\"").nth(1).and_then(|rest| rest.split("</table>").next()).expect("a table");
    assert_eq!(table.matches("class=\"case\"").count(), 1);
    assert!(table.contains("put-is-announced") && dom.contains("1 of 7 cases"));
}

#[test]
fn a_skip_is_no_difference_between_engines() {
    let Some(dom) = opened(&sample::runs(), "#differ=1") else { return };
    assert!(dom.contains("4 of 7 cases") && !dom.contains("stream-with-cookies</small>"));
}

#[test]
fn a_run_of_another_version_of_a_case_says_so_and_an_agent_without_it_too() {
    let mut runs = sample::runs();
    let changed = &mut runs[1].results[0];
    Arc::make_mut(&mut changed.case).then.page[0].error = Some("AbortError".to_owned());
    runs[2].results.remove(0);
    let Some(dom) = opened(&runs, "#q=wildcard&case=cors/credentials/wildcard-origin-refused") else { return };
    assert!(dom.contains("This run holds another version of the case. It expected: "));
    assert!(dom.contains("page[0].error AbortError"));
    assert!(dom.contains("<span class=\"none\">not run</span>"));
}

#[test]
fn a_link_to_a_case_that_is_not_there_says_so() {
    let Some(dom) = opened(&sample::runs(), "#case=cors/gone") else { return };
    assert!(dom.contains("No such case") && dom.contains("<code dir=\"ltr\">cors/gone</code>"));
}

#[test]
fn hostile_strings_are_shown_and_do_nothing() {
    let runs = hostile::runs();
    let id: String = runs[0].results[0].id.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let Some(dom) = opened(&runs, &format!("#case={id}")) else { return };
    let dialog = dom.split("<dialog").nth(1).and_then(|rest| rest.split("</dialog>").next()).expect("a dialog");
    assert!(dialog.contains("&lt;/script&gt;&lt;script&gt;alert(1)"), "the details are not shown: {dialog}");
    assert!(dialog.contains("\\u{202e}") && dialog.contains("\\u{0}"));
    assert!(!dialog.contains("<script") && !dialog.contains("<img") && !dialog.contains("href=\"javascript:"));
}
