//! Runs of three imaginary engines over a few cases, with every verdict.

use std::sync::Arc;

use crosscheck_cases::{Outcome, Stated};
use crosscheck_reports::{AgentRecord, CaseRecord, FORMAT, Packed, RunRecord, SuiteRecord, Summary, Verdict};
use crosscheck_servers::Exchange;
use serde_json::{Value, json};

/// Runs of three engines.
pub(crate) fn runs() -> Vec<RunRecord> {
    let agents = [
        ("chromium", "Chromium", "156.0.7632.45", "Blink", "performance log: the class of the error"),
        ("firefox", "Firefox ESR", "153.1.0", "Gecko", "console messages: category and text"),
        ("webkit", "WebKitGTK", "2.50.4", "WebKit", ""),
    ];
    agents
        .into_iter()
        .enumerate()
        .map(|(index, (name, label, version, engine, reasons))| {
            let agent = AgentRecord {
                name: name.to_owned(),
                label: label.to_owned(),
                version: version.to_owned(),
                engine: engine.to_owned(),
                platform: "Linux 6.1 (Debian 12), x86_64".to_owned(),
                reasons: reasons.to_owned(),
            };
            let mut run = run(agent, results(index));
            if name == "webkit" {
                run.warnings.push("the expectation \"cors/gone/**\" matches no case".to_owned());
            }
            run
        })
        .collect()
}

/// A run of an agent with these results.
pub(crate) fn run(agent: AgentRecord, results: Vec<CaseRecord>) -> RunRecord {
    let requests = results.iter().map(|result| result.wire.unpack().len() as u64).sum();
    RunRecord {
        format: FORMAT,
        suite: SuiteRecord {
            version: "0.1.0".to_owned(),
            filter: String::new(),
            cases: results.len(),
            topics: [
                ("cors/credentials", "What a credentialed response must say before a page may read it."),
                ("cors/preflight", "When a preflight is sent, and what its answer must say."),
                ("fetch/forbidden-methods", "Methods that a page may not use."),
            ]
            .map(|(topic, about)| (topic.to_owned(), about.to_owned()))
            .into(),
        },
        agent,
        started: "2026-03-14T15:09:26.535Z".to_owned(),
        duration_ms: 12_345,
        headers: Vec::new(),
        summary: Summary::count(&results, requests, 12_345),
        results,
        warnings: Vec::new(),
    }
}

/// The result of a case as expected: what it states, observed by an engine that keeps to it.
pub(crate) fn pass(area: &str, case: Value, wire: Vec<Exchange>) -> CaseRecord {
    let case: Arc<Stated> = serde_json::from_value(case).expect("a case");
    CaseRecord {
        id: format!("{area}/{}", case.id),
        area: area.to_owned(),
        requires: case.requires.clone(),
        verdict: Verdict::Pass,
        level: case.level,
        note: None,
        link: None,
        observed: Packed::new(&Some(case.then.clone())),
        case,
        differences: Vec::new(),
        deviations: Vec::new(),
        wire: Packed::new(&wire),
        trace: Packed::default(),
        controls: Vec::new(),
        attempts: 1,
        duration_ms: 14.0625,
        slowness: 1.0,
        source: format!("cases/suite/{area}.json:12"),
    }
}

/// The same case, observed otherwise.
pub(crate) fn observed(mut result: CaseRecord, verdict: Verdict, outcome: Value) -> CaseRecord {
    let outcome: Outcome = serde_json::from_value(outcome).expect("an outcome");
    result.verdict = verdict;
    result.differences = result.case.then.differences_and_reason(&outcome);
    result.observed = Packed::new(&Some(outcome));
    result
}

/// An exchange under a token, with the headers that browsers send and servers answer.
pub(crate) fn exchange(
    engine: usize,
    sequence: u64,
    line: (&str, &str, &str),
    headers: Value,
    reply: Value,
) -> Exchange {
    let (method, origin, path) = line;
    let agent = [
        "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0 Safari/537.36",
        "Mozilla/5.0 Firefox/153.0",
        "Mozilla/5.0 Safari/605.1.15",
    ][engine];
    let mut lines = json!([
        ["Host", origin.trim_start_matches("https://")],
        ["User-Agent", agent],
        ["Accept", "*/*"],
        ["Sec-Fetch-Site", "cross-site"],
        ["Sec-Fetch-Mode", "cors"],
        ["Sec-Fetch-Dest", "empty"],
        ["Referer", "https://page.test/"],
        ["Accept-Encoding", "gzip, deflate, br, zstd"]
    ]);
    if let (Value::Array(lines), Value::Array(more)) = (&mut lines, headers) {
        lines.extend(more);
    }
    serde_json::from_value(json!({
        "sequence": sequence, "at_us": 1_000_000 + sequence * 3_210, "connection": 7 + sequence / 2, "protocol": "HTTP/1.1",
        "method": method, "origin": origin, "target": format!("/~aaaaaaaaaaaaaaaaaaa{}{path}", ["a", "b", "c"][engine]),
        "headers": lines, "body_length": 0, "body": "", "routed": true,
        "reply": { "status": if method == "OPTIONS" { 204 } else { 200 }, "headers": reply }, "ended": "answered"
    }))
    .expect("an exchange")
}

fn results(engine: usize) -> Vec<CaseRecord> {
    let mut all = credentials(engine);
    all.extend(preflights(engine));
    all.push(forbidden(engine));
    all
}

const API: &str = "https://api.other.test";

fn credentials(engine: usize) -> Vec<CaseRecord> {
    let wildcard = pass(
        "cors/credentials",
        json!({
            "id": "wildcard-origin-refused",
            "title": "Access-Control-Allow-Origin: * does not open a credentialed response",
            "requires": ["fetch.cors-check.3c"],
            "why": "A server that answers everybody alike cannot mean that it trusts this one origin with the user's own data.",
            "given": { "https://api.other.test/": { "headers": [["Access-Control-Allow-Origin", "*"], ["Access-Control-Allow-Credentials", "true"]] } },
            "when": { "fetch": "https://api.other.test/", "credentials": "include" },
            "then": { "page": { "result": "network-error", "error": "TypeError" }, "wire": ["GET"], "grade": "response-hidden", "reason": "wildcard-with-credentials" }
        }),
        vec![exchange(
            engine,
            0,
            ("GET", API, "/"),
            json!([["Origin", "https://page.test"], ["Cookie", "session=abc"]]),
            json!([
                ["Access-Control-Allow-Origin", "*"],
                ["Access-Control-Allow-Credentials", "true"],
                ["Content-Type", "text/plain; charset=utf-8"],
                ["Content-Length", "5"]
            ]),
        )],
    );
    let wildcard = match engine {
        2 => observed(
            wildcard,
            Verdict::Fail,
            json!({
                "page": { "result": "response", "type": "cors", "status": 200, "url": "https://api.other.test/", "headers": { "content-type": "text/plain; charset=utf-8" }, "body": "hello" },
                "wire": ["GET"], "grade": "readable"
            }),
        ),
        _ => {
            let text = [
                "InvalidAllowOriginForCredentials: the value of the 'Access-Control-Allow-Origin' header must not be the wildcard '*' when the request's credentials mode is 'include'.",
                "CORSNotSupportingCredentials: Cross-Origin Request Blocked at https://api.other.test/.",
            ][engine];
            observed(
                wildcard,
                Verdict::Pass,
                json!({
                    "page": { "result": "network-error", "error": "TypeError", "message": "Failed to fetch" }, "wire": ["GET"], "grade": "response-hidden",
                    "reason": { "classes": ["wildcard-with-credentials"], "text": text }
                }),
            )
        }
    };
    let mut skipped = pass(
        "cors/credentials",
        json!({
            "id": "stream-with-cookies", "title": "A streamed body is sent with cookies", "requires": ["fetch.cors-check.8a"], "needs": ["request-streams"],
            "given": { "https://api.other.test/": {} },
            "when": { "fetch": "https://api.other.test/", "method": "POST", "body": { "stream": "x" }, "duplex": "half" },
            "then": { "page": "network-error", "wire": ["preflight"], "grade": "preflight-only", "reason": "missing-allow-origin" }
        }),
        Vec::new(),
    );
    if engine != 0 {
        skipped.verdict = Verdict::Skipped;
        skipped.note = Some("needs request-streams: request bodies that are streams".to_owned());
        skipped.observed = Packed::default();
    }
    vec![wildcard, skipped]
}

fn preflights(engine: usize) -> Vec<CaseRecord> {
    let put = |id: &str, title: &str| {
        pass(
            "cors/preflight",
            json!({
                "id": id, "title": title,
                "requires": ["fetch.cors-safelisted-method.d", "fetch.forbidden-method.b"],
                "given": { "https://api.other.test/item": {
                    "headers": [["Access-Control-Allow-Origin", "{request.origin}"]],
                    "preflight": { "status": 204, "body": null, "headers": [["Access-Control-Allow-Origin", "{request.origin}"], ["Access-Control-Allow-Methods", "PUT"], ["Access-Control-Allow-Headers", "content-type"]] }
                } },
                "when": { "fetch": "https://api.other.test/item", "method": "PUT", "headers": [["Content-Type", "application/json"]], "body": "{\"name\":\"it's\"}" },
                "then": {
                    "page": { "result": "response", "type": "cors", "status": 200, "body": "hello" },
                    "wire": [{ "method": "OPTIONS", "preflight": true, "headers": { "access-control-request-method": "PUT", "cookie": null } }, "PUT https://api.other.test/item"],
                    "grade": "readable"
                }
            }),
            vec![
                exchange(
                    engine,
                    1,
                    ("OPTIONS", API, "/item"),
                    json!([
                        ["Origin", "https://page.test"],
                        ["Access-Control-Request-Method", "PUT"],
                        ["Access-Control-Request-Headers", "content-type"]
                    ]),
                    json!([
                        ["Access-Control-Allow-Origin", "https://page.test"],
                        ["Access-Control-Allow-Methods", "PUT"],
                        ["Access-Control-Allow-Headers", "content-type"]
                    ]),
                ),
                {
                    let mut put = exchange(
                        engine,
                        2,
                        ("PUT", API, "/item"),
                        json!([
                            ["Origin", "https://page.test"],
                            ["Content-Type", "application/json"],
                            ["Content-Length", "15"]
                        ]),
                        json!([
                            ["Access-Control-Allow-Origin", "https://page.test"],
                            ["Content-Type", "text/plain; charset=utf-8"]
                        ]),
                    );
                    put.body_length = 15;
                    put.body = "{\"name\":\"it's\"}".into();
                    put
                },
            ],
        )
    };
    let mut known = put("put-is-announced", "A PUT is announced by a preflight");
    if engine == 1 {
        let mut seen = serde_json::to_value(&known.case.then).expect("JSON");
        seen["wire"][0]["headers"]["cookie"] = "session=abc".into();
        known = observed(known, Verdict::Known, seen);
        known.note = Some("Cookies are sent with preflights from private windows".to_owned());
        known.link = Some("https://bugzilla.mozilla.org/show_bug.cgi?id=1".to_owned());
    }
    let mut fixed = put("put-twice", "A second PUT rests on the preflight cache");
    let mut flaky = put("put-reused-connection", "A preflight and its request may share a connection");
    let mut broken = put("put-after-crash", "A PUT after a crash of the page");
    match engine {
        0 => {
            fixed.verdict = Verdict::Fixed;
            fixed.note = Some("The preflight cache ignores methods".to_owned());
            fixed.link = Some("https://crbug.com/1".to_owned());
        }
        1 => {
            let outcome = json!({ "page": "timeout", "wire": ["preflight"], "grade": "preflight-only" });
            flaky = observed(flaky, Verdict::Flaky, outcome);
            flaky.attempts = 3;
            flaky.note = Some("pass, fail, fail".to_owned());
        }
        _ => {
            broken.verdict = Verdict::Error;
            broken.note = Some("the session ended while the case was in flight, twice".to_owned());
            broken.observed = Packed::default();
            broken.wire = Packed::default();
            broken.attempts = 2;
        }
    }
    vec![known, fixed, flaky, broken]
}

fn forbidden(engine: usize) -> CaseRecord {
    let _ = engine;
    pass(
        "fetch/forbidden-methods",
        json!({
            "id": "trace", "title": "A page cannot send TRACE", "requires": ["fetch.forbidden-method.b"],
            "given": { "https://api.other.test/": {} },
            "when": [{ "fetch": "https://api.other.test/", "method": "TRACE" }, { "evaluate": "self.origin" }],
            "then": { "page": [{ "result": "exception", "error": "TypeError" }, { "result": "value", "value": "https://page.test" }], "wire": [] }
        }),
        Vec::new(),
    )
}
