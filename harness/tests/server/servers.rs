//! Servers that are wrong in one way each (`faults.json`), and servers that are right for the same policy.

use std::collections::BTreeMap;

use crosscheck_servers::{Behaviour, Route, Site};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A server that is wrong in one way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Wrong {
    /// Its number in the list of faults.
    #[serde(default)]
    pub(crate) fault: Option<u32>,
    /// Whether it is a server that others have called wrong, and that is right.
    #[serde(default)]
    pub(crate) control: bool,
    pub(crate) name: String,
    /// What the policy says otherwise.
    #[serde(default)]
    policy: Value,
    /// Whom it lets in, in the place of those whom the policy names.
    #[serde(default)]
    accepts: Option<Vec<Value>>,
    /// Whom it lets in besides.
    #[serde(default)]
    also_accepts: Vec<Value>,
    #[serde(default)]
    edits: Vec<Edit>,
    #[serde(default)]
    rules: Vec<Special>,
    /// Whole behaviours.
    #[serde(default)]
    serves: BTreeMap<String, Value>,
    /// Whether the cost of preflights is measured.
    #[serde(default)]
    pub(crate) cost: bool,
    /// The findings.
    pub(crate) expect: BTreeMap<String, String>,
}

/// A change of answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// On which routes; on all where none is named.
    #[serde(default)]
    routes: Vec<String>,
    /// Of which answers; of all where none is named.
    #[serde(default)]
    parts: Vec<String>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    status: Option<u16>,
}

/// Another answer to some requests to data.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Special {
    /// `preflight` or `actual`.
    to: String,
    #[serde(rename = "if")]
    condition: Value,
    /// The answer that it is like.
    #[serde(rename = "as")]
    like: String,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    delay_ms: Option<u32>,
    #[serde(default)]
    members: Map<String, Value>,
}

pub(crate) fn all() -> Vec<Wrong> {
    serde_json::from_str(include_str!("faults.json")).expect("sound fixtures")
}

/// The policy of a fixture.
pub(crate) fn policy(wrong: &Wrong, target: &str) -> Value {
    let mut policy = json!({
        "target": target,
        "allow": {
            "origins": ["https://app.test", "https://admin.test"],
            "methods": ["GET", "HEAD", "POST", "PUT", "PATCH"],
            "request-headers": ["content-type", "x-token"],
            "credentials": true,
            "expose": ["x-total"],
            "max-age": 600
        },
        "routes": [
            { "path": "/items" },
            { "path": "/missing", "role": "error" },
            { "path": "/broken", "role": "error" },
            { "path": "/old", "role": "redirect" }
        ]
    });
    merge(&mut policy, &wrong.policy);
    policy
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (into, from) => *into = from.clone(),
    }
}

const PARTS: [&str; 5] = ["allowed", "denied", "plain", "preflight", "refused"];

type Parts = BTreeMap<&'static str, Answer>;

#[derive(Clone, Debug, Default)]
struct Answer {
    status: Option<u16>,
    headers: Vec<(String, String)>,
    members: Map<String, Value>,
}

impl Answer {
    fn set(&mut self, set: &BTreeMap<String, Value>) {
        for (name, value) in set {
            self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            let values: Vec<&str> = match value {
                Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
                other => other.as_str().into_iter().collect(),
            };
            self.headers.extend(values.into_iter().map(|value| (name.clone(), value.to_owned())));
        }
    }

    fn behaviour(&self) -> Value {
        let mut members = self.members.clone();
        members.insert("headers".to_owned(), json!(self.headers));
        if let Some(status) = self.status {
            members.insert("status".to_owned(), status.into());
        }
        Value::Object(members)
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The answers of a server that is right.
fn right(policy: &Value, route: &Value) -> Parts {
    let allow = &policy["allow"];
    let credentials = allow["credentials"] == true;
    let open = strings(&allow["origins"]).contains(&"*".to_owned());
    let origin = if open { "*" } else { "{request.origin}" };
    let mut parts: Parts = PARTS.iter().map(|part| (*part, Answer::default())).collect();
    for (part, answer) in &mut parts {
        let lets_in = open || matches!(*part, "allowed" | "preflight");
        let is_preflight = matches!(*part, "preflight" | "refused");
        let mut add = |name: &str, value: String| answer.headers.push((name.to_owned(), value));
        if !open {
            add("Vary", "Origin".to_owned());
        }
        if lets_in {
            add("Access-Control-Allow-Origin", origin.to_owned());
            if credentials {
                add("Access-Control-Allow-Credentials", "true".to_owned());
            }
        }
        if lets_in && is_preflight {
            add("Access-Control-Allow-Methods", strings(&allow["methods"]).join(", "));
            add("Access-Control-Allow-Headers", strings(&allow["request-headers"]).join(", "));
            add("Access-Control-Max-Age", "600".to_owned());
        }
        if is_preflight {
            answer.status = Some(204);
            continue;
        }
        if lets_in {
            add("Access-Control-Expose-Headers", "x-total".to_owned());
        }
        add("X-Total", "3".to_owned());
        add("ETag", "\"1\"".to_owned());
        add("X-Frame-Options", "SAMEORIGIN".to_owned());
        let corp = if route["embed"] == "anyone" { "cross-origin" } else { "same-origin" };
        add("Cross-Origin-Resource-Policy", corp.to_owned());
        match route["path"].as_str() {
            Some("/missing") => answer.status = Some(404),
            Some("/broken") => answer.status = Some(500),
            Some("/old") => drop(answer.members.insert("redirect".to_owned(), "items".into())),
            Some("/socket") if *part == "allowed" => drop(answer.members.insert("websocket".to_owned(), json!({}))),
            Some("/socket") => answer.status = Some(403),
            _ => {}
        }
    }
    parts
}

/// Conditions of requests from origins that are let in.
fn accepts(wrong: &Wrong, policy: &Value, is_right: bool) -> Vec<Value> {
    let named: Vec<String> = strings(&policy["allow"]["origins"])
        .into_iter()
        .flat_map(|origin| match origin.split_once("*.") {
            Some((scheme, host)) => vec![format!("{scheme}www.{host}"), format!("{scheme}a-1.{host}")],
            None => vec![origin],
        })
        .collect();
    // An empty list of a condition asks nothing.
    let nobody = json!({ "origin": ["https://nobody.invalid"] });
    let mut accepts = vec![if named.is_empty() { nobody } else { json!({ "origin": named }) }];
    if !is_right {
        accepts = wrong.accepts.clone().unwrap_or(accepts);
        accepts.extend(wrong.also_accepts.iter().cloned());
    }
    accepts
}

/// The server of a fixture: right, or wrong as it says.
pub(crate) fn site(wrong: &Wrong, policy: &Value, origin: &str, is_right: bool) -> Site {
    let mut site = Site::new();
    let mut insert = |path: &str, behaviour: Value| {
        let behaviour: Behaviour = serde_json::from_value(behaviour).expect("a behaviour");
        site.insert(Route { origin: origin.parse().expect("an origin"), path: path.to_owned() }, behaviour);
    };
    for route in policy["routes"].as_array().expect("routes") {
        let path = route["path"].as_str().expect("a path");
        let mut policy = policy.clone();
        if let Some(allow) = route.get("allow") {
            merge(&mut policy["allow"], allow);
        }
        let accepts = accepts(wrong, &policy, is_right);
        let mut parts = right(&policy, route);
        for edit in wrong.edits.iter().filter(|_| !is_right) {
            let of_route = edit.routes.is_empty() || edit.routes.iter().any(|one| one == path);
            for (part, answer) in parts.iter_mut().filter(|_| of_route) {
                if edit.parts.is_empty() || edit.parts.iter().any(|one| one == part) {
                    answer.set(&edit.set);
                    // What is an error or a redirect by its route stays one.
                    answer.status = edit.status.filter(|_| path == "/items").or(answer.status);
                }
            }
        }
        let special = |to: &str| -> Vec<Value> {
            let rules = wrong.rules.iter().filter(|rule| !is_right && rule.to == to && path == "/items");
            rules
                .map(|rule| {
                    let mut answer = parts[rule.like.as_str()].clone();
                    answer.set(&rule.set);
                    answer.status = rule.status.or(answer.status);
                    answer.members.extend(rule.members.clone());
                    if let Some(delay) = rule.delay_ms {
                        answer.members.insert("delay-ms".to_owned(), delay.into());
                    }
                    json!({ "if": rule.condition, "then": answer.behaviour() })
                })
                .collect()
        };
        let lets_in = |part: &str| -> Vec<Value> {
            accepts.iter().map(|accept| json!({ "if": accept, "then": parts[part].behaviour() })).collect()
        };
        let mut preflight = parts["refused"].behaviour();
        preflight["rules"] = [special("preflight"), lets_in("preflight")].concat().into();
        let mut behaviour = parts["denied"].behaviour();
        let plain = json!({ "if": { "headers": { "origin": "absent" } }, "then": parts["plain"].behaviour() });
        behaviour["rules"] = [special("actual"), vec![plain], lets_in("allowed")].concat().into();
        behaviour["preflight"] = preflight;
        insert(path, behaviour);
    }
    for (path, behaviour) in wrong.serves.iter().filter(|_| !is_right) {
        insert(path, behaviour.clone());
    }
    site
}
