//! The report as a file: what stands in it before any script runs.

use crosscheck_reports::render_html;

use crate::{hostile, sample};

#[test]
fn no_hostile_string_is_markup() {
    let html = render_html(&hostile::runs()).expect("a page");
    let clean = render_html(&sample::runs()).expect("a page");
    for (tag, why) in
        [("<script", "scripts"), ("</script", "ends of scripts"), ("<!--", "comments"), ("<img", "images")]
    {
        assert_eq!(html.matches(tag).count(), clean.matches(tag).count(), "the hostile report has other {why}");
    }
    for raw in ["alert(1)</script>", "\0", "\u{1b}", "\u{202e}", "\u{2028}"] {
        assert!(!html.contains(raw), "{raw:?} stands in the page as it is");
    }
    assert!(!html.contains("href=\"javascript:"));
}

#[test]
fn the_file_needs_nothing_else() {
    let html = render_html(&sample::runs()).expect("a page");
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-";
    assert!(html.contains(policy));
    for outside in ["src=\"", "<link", "@import", "url(", "import(", "fetch(\"http"] {
        let page = html.split("type=\"application/json\"").next().expect("a head");
        assert!(!page.contains(outside), "the page asks for {outside}");
    }
}

#[test]
fn the_summary_can_be_read_without_a_script() {
    let html = render_html(&sample::runs()).expect("a page");
    for text in [
        "4 of 21 results need attention.",
        "<bdi>Firefox ESR</bdi>",
        "<bdi>153.1.0</bdi>",
        "2026-03-14 15:09 UTC",
        "<bdi>cors/preflight</bdi>",
        "When a preflight is sent, and what its answer must say.",
        "<span class=\"ratio\">3/4</span>",
        "<span class=\"tally known\">1 known</span>",
        "the expectation &#34;cors/gone/**&#34; matches no case",
    ] {
        assert!(html.contains(text), "the page does not say {text}");
    }
    assert!(render_html(&[]).expect("a page").contains("There is no run in this report."));
}
