//! A check in SARIF 2.1.0, which code hosts show beside the code.

use serde_json::{Value, json};

use crate::check::fault::{FAULTS, Severity};
use crate::check::finding::{CheckRecord, Finding};

/// Writes a check as SARIF. Findings stand at the policy file, as a server has no lines of code to show.
#[must_use]
pub fn render_sarif(record: &CheckRecord) -> Value {
    let rules: Vec<Value> = FAULTS
        .iter()
        .map(|fault| {
            json!({
                "id": fault.id,
                "shortDescription": { "text": fault.title },
                "help": { "text": fault.advice },
                "helpUri": "https://fetch.spec.whatwg.org/#http-cors-protocol"
            })
        })
        .collect();
    let place = |path: &str| {
        json!({
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&record.policy) },
                "region": { "startLine": 1 }
            },
            "logicalLocations": [{ "fullyQualifiedName": format!("{}{path}", record.target), "kind": "resource" }]
        })
    };
    let result = |finding: &Finding, suppressed: Option<&str>| {
        let said: Vec<String> = finding
            .seen
            .iter()
            .map(|seen| format!("{}: {} {}", seen.route, seen.said, seen.evidence.conclusion))
            .collect();
        let rule = FAULTS.iter().position(|fault| fault.id == finding.id);
        let mut result = json!({
            "ruleId": finding.id,
            "level": level(finding.severity),
            "message": { "text": format!("{} {} {} To change: {}", finding.severity.name(), finding.title, said.join(" "), finding.advice) },
            "locations": [place(finding.seen.first().map_or("", |seen| seen.route.as_str()))],
            "partialFingerprints": { "crosscheck/v1": format!("{}:{}", record.target, finding.id) },
            "properties": { "severity": finding.severity.name(), "requests": finding.requests }
        });
        if let Some(rule) = rule {
            result["ruleIndex"] = rule.into();
        }
        if !finding.browsers.is_empty() {
            result["properties"]["browsers"] = json!(finding.browsers);
        }
        if let Some(reason) = suppressed {
            result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
        }
        result
    };
    let results: Vec<Value> = record
        .findings
        .iter()
        .map(|finding| result(finding, None))
        .chain(record.ignored.iter().map(|ignored| result(&ignored.finding, Some(&ignored.reason))))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "crosscheck server",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules
            } },
            "results": results
        }]
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Hole | Severity::Break => "error",
        Severity::Poison | Severity::Cost => "warning",
        Severity::Hygiene | Severity::Note => "note",
    }
}

/// A path as a relative reference.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.replace('\\', "/").trim_start_matches("./").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
