//! A run in which every string that somebody else chooses tries to break out of the report.

use crosscheck_reports::{AgentRecord, RunRecord, Verdict};
use serde_json::json;

use crate::sample::{exchange, observed, pass, run};

/// Markup, quotes, an end of script, a comment, a NUL, a terminal escape, direction overrides, line ends.
pub(crate) const HOSTILE: &str =
    "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\"'`|&amp;\0\u{1b}[31m\u{202e}\u{2028}\n**x**";

/// One run with hostile strings everywhere.
pub(crate) fn runs() -> Vec<RunRecord> {
    let long = "long ".repeat(2_000);
    let mut result = pass(
        "cors/<b>area",
        json!({
            "id": HOSTILE, "title": HOSTILE, "why": format!("{HOSTILE}{long}"), "requires": [HOSTILE, "fetch.cors-check.3c"],
            "page": { "kind": "iframe", "origin": "https://page.test", "headers": [["X", HOSTILE]], "sandbox": HOSTILE },
            "given": {
                "https://api.other.test/</script>": {
                    "headers": [["X-<b>", "</script><script>alert(1)</script>"]], "body": HOSTILE,
                    "rules": [{ "if": { "cookie": HOSTILE }, "then": { "body": { "html": HOSTILE } } }]
                }
            },
            "when": { "fetch": format!("https://api.other.test/{HOSTILE}"), "headers": [[HOSTILE, HOSTILE]], "body": HOSTILE },
            "then": { "page": { "result": "response", "body": HOSTILE } }
        }),
        vec![{
            let mut sent = exchange(
                0,
                0,
                ("GET", "https://api.other.test", "/</script><script>alert(1)</script>"),
                json!([["X-Bytes", "\u{0}\u{1}</script>'\\\u{ff}"]]),
                json!([["Set-Cookie", "</script><script>alert(1)</script>"]]),
            );
            sent.body = HOSTILE.into();
            sent.body_length = HOSTILE.len() as u64;
            sent
        }],
    );
    result.source = HOSTILE.to_owned();
    let mut fail = observed(
        result.clone(),
        Verdict::Fail,
        json!({
            "page": { "result": "network-error", "error": HOSTILE, "message": HOSTILE, "headers": { HOSTILE: HOSTILE } },
            "reason": { "classes": [], "text": format!("{HOSTILE}{long}") }
        }),
    );
    fail.note = Some(HOSTILE.to_owned());
    fail.link = Some("javascript:alert(1)".to_owned());
    let mut known = fail.clone();
    known.id = format!("known {}", known.id);
    known.verdict = Verdict::Known;
    let agent = AgentRecord {
        name: HOSTILE.to_owned(),
        label: HOSTILE.to_owned(),
        version: HOSTILE.to_owned(),
        engine: HOSTILE.to_owned(),
        platform: HOSTILE.to_owned(),
        reasons: HOSTILE.to_owned(),
    };
    let mut run = run(agent, vec![fail, known]);
    run.suite.topics.insert("cors/<b>area".to_owned(), HOSTILE.to_owned());
    run.suite.filter = HOSTILE.to_owned();
    run.started = HOSTILE.to_owned();
    run.warnings.push(HOSTILE.to_owned());
    vec![run]
}
