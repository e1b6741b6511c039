//! Controls that the executable standard finds: the case with one thing taken away, or allowed, that comes out with what
//! the case expects to be absent.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::control::{replace, shown_by};
use crate::{Absence, Case, Stated, lint};

/// What a change does, and the case's members after it.
struct Change {
    about: String,
    members: Value,
}

/// Cases that show these absences of a case, as few as are found: one change where one is enough for all, else several of
/// which each shows something, else two changes together. Nothing where the case is not modelled.
pub(crate) fn derive(case: &Case, absences: &[Absence]) -> Vec<Case> {
    if case.predict().is_none() {
        return Vec::new();
    }
    let Ok(members) = serde_json::to_value(&*case.stated) else { return Vec::new() };
    let changes = changes(&members, case);
    // The controls that the case states have the first numbers.
    let number = case.controls.len() + 1;
    let mut left = absences.to_vec();
    let mut found = Vec::new();
    let mut partial = Vec::new();
    for change in &changes {
        let Some(control) = control(case, change, absences, number) else { continue };
        let shows = shown_by(&control.stated.then, case, &left);
        if shows.len() == left.len() {
            return vec![control];
        }
        if !shows.is_empty() {
            partial.push(control);
        }
    }
    take(case, partial, &mut left, &mut found);
    // Two causes: the first of them allows what the server forbids, mostly.
    for first in &changes {
        if left.is_empty() {
            break;
        }
        let both: Vec<Case> = self::changes(&first.members, case)
            .into_iter()
            .map(|second| Change { about: format!("{}, {}", first.about, second.about), members: second.members })
            .filter_map(|change| control(case, &change, absences, number))
            .collect();
        take(case, both, &mut left, &mut found);
    }
    found
}

/// Takes those that show what is left, until nothing is.
fn take(case: &Case, controls: Vec<Case>, left: &mut Vec<Absence>, found: &mut Vec<Case>) {
    for mut control in controls {
        let shows = shown_by(&control.stated.then, case, left);
        if !shows.is_empty() {
            left.retain(|absence| !shows.contains(absence));
            control.id = format!("{}~{}", case.id, case.controls.len() + found.len() + 1);
            found.push(control);
        }
    }
}

/// The case that a change makes, with its predicted outcome; nothing where it is none, or shows nothing.
fn control(case: &Case, change: &Change, absences: &[Absence], number: usize) -> Option<Case> {
    let mut stated: Stated = serde_json::from_value(change.members.clone()).ok()?;
    stated.page.complete();
    let top = stated.page.top();
    let before = case.stated.page.top();
    // Permissions belong to origins, and other cases may have decided for another origin.
    if top.permissions != before.permissions || (top.origin != before.origin && !top.permissions.is_empty()) {
        return None;
    }
    if !lint::mistakes(&stated, true).is_empty() {
        return None;
    }
    if stated.page != case.stated.page {
        // A feature is looked for in the page, and this is another one.
        stated.needs.clear();
    }
    stated.title = format!("The control of {}: {}", case.id, change.about);
    let mut control = Case {
        id: format!("{}~{number}", case.id),
        stated: Arc::new(stated),
        controls: Vec::new(),
        generated: false,
        predicted: true,
        ..case.clone()
    };
    let prediction = control.predict()?;
    if shown_by(&prediction.outcome, case, absences).is_empty() {
        return None;
    }
    let also: Vec<String> = absences
        .iter()
        .filter_map(|absence| match absence {
            Absence::Header(_, name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    let mut then = prediction.expected(&control.stated, &also);
    // Header lines that no behaviour states, such as Content-Type.
    for (expected, result) in then.page.iter_mut().zip(&prediction.outcome.page) {
        for name in absences.iter().filter_map(Absence::unreadable) {
            if let Some(value) = result.headers.get(name) {
                expected.headers.insert(name.to_owned(), value.clone());
            }
        }
    }
    Arc::make_mut(&mut control.stated).then = then;
    Some(control)
}

/// Everything that can be taken away from a case, then what can be allowed or asked otherwise.
fn changes(members: &Value, case: &Case) -> Vec<Change> {
    let mut changes = Vec::new();
    for root in ["page", "given", "when"] {
        if let Some(value) = members.get(root) {
            take_away(members, value, &mut vec![Step::Member(root.to_owned())], &mut changes);
        }
    }
    ask_otherwise(members, &mut changes);
    answer_otherwise(members, case, &mut changes);
    elsewhere(members, case, &mut changes);
    prepared(members, &mut changes);
    changes
}

#[derive(Clone)]
enum Step {
    Member(String),
    Item(usize),
}

fn at<'v>(value: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Member(name) => value.get_mut(name.as_str()),
        Step::Item(index) => value.get_mut(*index),
    })
}

/// Members without which nothing is left that could be asked.
const NEEDED: [&str; 8] = ["kind", "origin", "in", "element", "body", "value", "name", "if"];

/// A change for each member and item that can be left out.
fn take_away(members: &Value, value: &Value, path: &mut Vec<Step>, changes: &mut Vec<Change>) {
    let without = |path: &[Step]| {
        let mut members = members.clone();
        let (last, before) = path.split_last()?;
        match (at(&mut members, before)?, last) {
            (Value::Object(object), Step::Member(name)) => drop(object.shift_remove(name)),
            (Value::Array(items), Step::Item(index)) if *index < items.len() => drop(items.remove(*index)),
            _ => return None,
        }
        Some(members)
    };
    match value {
        Value::Object(object) => {
            let is_probe = matches!(path.as_slice(), [Step::Member(root), Step::Item(_)] if root == "when");
            let is_given = matches!(path.as_slice(), [Step::Member(root)] if root == "given");
            for (position, (name, member)) in object.iter().enumerate() {
                path.push(Step::Member(name.clone()));
                // The smaller parts first: the one cause is a line of a header list sooner than all of them.
                take_away(members, member, path, changes);
                let is_needed = is_given || (is_probe && position == 0) || NEEDED.contains(&name.as_str());
                if !is_needed && let Some(members) = without(path) {
                    changes.push(Change { about: format!("without {}", told(name, member)), members });
                }
                path.pop();
            }
        }
        Value::Array(items) => {
            let is_step = matches!(path.as_slice(), [Step::Member(root)] if root == "when");
            // A line of a header list is a pair of texts, which stay together.
            let is_line = items.len() == 2 && items.iter().all(Value::is_string);
            for (index, item) in items.iter().enumerate().filter(|_| !is_line) {
                path.push(Step::Item(index));
                take_away(members, item, path, changes);
                if !is_step && let Some(members) = without(path) {
                    changes.push(Change { about: format!("without {}", told("", item)), members });
                }
                path.pop();
            }
        }
        _ => {}
    }
}

/// A member for people.
fn told(name: &str, value: &Value) -> String {
    let text = match value {
        Value::Array(line) if line.len() == 2 && line.iter().all(Value::is_string) => {
            line.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(": ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = if name.is_empty() { text } else { format!("{name} {text}") };
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Options of probes that let more through.
fn ask_otherwise(members: &Value, changes: &mut Vec<Change>) {
    let Some(steps) = members.get("when").and_then(Value::as_array) else { return };
    for (index, step) in steps.iter().enumerate() {
        let Some(probe) = step.as_object().and_then(|step| step.keys().next()) else { continue };
        let options: &[(&str, Value)] = &match probe.as_str() {
            "fetch" => vec![
                ("credentials", json!("include")),
                ("mode", json!("cors")),
                ("mode", json!("no-cors")),
                ("redirect", json!("follow")),
                ("method", json!("POST")),
                ("method", json!("PUT")),
                ("headers", json!([["X-Control", "1"]])),
                ("headers", json!([["Authorization", "control"]])),
                ("referrerPolicy", json!("unsafe-url")),
                ("cache", json!("reload")),
            ],
            "xhr" => vec![
                ("withCredentials", json!(true)),
                ("method", json!("POST")),
                ("method", json!("PUT")),
                ("headers", json!([["X-Control", "1"]])),
                ("headers", json!([["Authorization", "control"]])),
            ],
            "eventSource" => vec![("withCredentials", json!(true))],
            "load" => vec![
                ("crossorigin", json!("anonymous")),
                ("crossorigin", json!("use-credentials")),
                ("attributes", json!([["referrerpolicy", "unsafe-url"]])),
            ],
            "client" => vec![("headers", json!([["Origin", "https://page.test"], ["Cookie", "control=1"]]))],
            "beacon" => vec![("body", json!({ "blob": ["text/plain", "control"] }))],
            _ => Vec::new(),
        };
        let lines = step.get("headers").and_then(Value::as_array).into_iter().flatten();
        for position in 0..lines.count() {
            let mut members = members.clone();
            let path = ["when", "headers"].map(|name| Step::Member(name.to_owned()));
            let path = [path[0].clone(), Step::Item(index), path[1].clone(), Step::Item(position), Step::Item(1)];
            if let Some(value) = at(&mut members, &path) {
                *value = json!("control");
            }
            changes.push(Change { about: "with another value of a request header".to_owned(), members });
        }
        for (name, value) in options {
            if step.get(*name) == Some(value) {
                continue;
            }
            let mut members = members.clone();
            if let Some(Value::Object(step)) = at(&mut members, &[Step::Member("when".to_owned()), Step::Item(index)]) {
                step.insert((*name).to_owned(), value.clone());
            }
            changes.push(Change { about: format!("with {}", told(name, value)), members });
        }
    }
}

/// Answers that let more through.
fn answer_otherwise(members: &Value, case: &Case, changes: &mut Vec<Change>) {
    let Some(given) = members.get("given").and_then(Value::as_object) else { return };
    let origin = case.stated.page.serialized_origin();
    let names: Vec<String> = request_headers(members);
    let exposed: Vec<String> = given.values().flat_map(answer_headers).collect();
    let allow = json!([
        ["Access-Control-Allow-Origin", origin],
        ["Access-Control-Allow-Credentials", "true"],
        ["Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, PATCH"],
        ["Access-Control-Allow-Headers", names.join(", ")],
        ["Access-Control-Expose-Headers", exposed.join(", ")],
        ["Cross-Origin-Resource-Policy", "cross-origin"],
        ["Timing-Allow-Origin", "*"]
    ]);
    type Edit = Box<dyn Fn(&mut Map<String, Value>)>;
    let edits: Vec<(&str, Edit)> = vec![
        ("with a server that allows everything", {
            let allow = allow.clone();
            Box::new(move |behaviour| allow_all(behaviour, &allow))
        }),
        ("with a server that allows everything and answers 200", {
            Box::new(move |behaviour| {
                behaviour.retain(|name, _| ["headers", "body", "cookies", "websocket"].contains(&name.as_str()));
                allow_all(behaviour, &allow);
            })
        }),
        ("with an ordinary handshake", {
            Box::new(|behaviour| {
                behaviour.insert("websocket".to_owned(), json!({}));
            })
        }),
        ("with cookies for every site", {
            Box::new(|behaviour| {
                for cookie in behaviour.get_mut("cookies").and_then(Value::as_array_mut).into_iter().flatten() {
                    cookie["attributes"] = json!("Secure; SameSite=None");
                }
            })
        }),
    ];
    for (about, edit) in edits {
        let edited = |urls: &[&String]| {
            let mut members = members.clone();
            for url in urls {
                let path = [Step::Member("given".to_owned()), Step::Member((*url).clone())];
                if let Some(Value::Object(behaviour)) = at(&mut members, &path) {
                    edit(behaviour);
                }
            }
            members
        };
        let urls: Vec<&String> = given.keys().collect();
        for url in &urls {
            changes.push(Change { about: format!("{about} at {url}"), members: edited(&[url]) });
        }
        if urls.len() > 1 {
            changes.push(Change { about: about.to_owned(), members: edited(&urls) });
        }
    }
}

fn allow_all(behaviour: &mut Map<String, Value>, allow: &Value) {
    let lines = allow.as_array().into_iter().flatten().cloned();
    let is_replaced = |line: &Value| {
        let name = line.get(0).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        allow
            .as_array()
            .into_iter()
            .flatten()
            .any(|one| one[0].as_str().is_some_and(|one| one.eq_ignore_ascii_case(&name)))
    };
    let mut headers: Vec<Value> = behaviour.get("headers").and_then(Value::as_array).cloned().unwrap_or_default();
    headers.retain(|line| !is_replaced(line));
    headers.extend(lines);
    behaviour.insert("headers".to_owned(), Value::Array(headers));
    if let Some(Value::Object(preflight)) = behaviour.get_mut("preflight") {
        preflight.shift_remove("status");
        allow_all(preflight, allow);
    }
    for rule in behaviour.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(Value::Object(then)) = rule.get_mut("then") {
            allow_all(then, allow);
        }
    }
}

/// The names of request headers that probes set.
fn request_headers(members: &Value) -> Vec<String> {
    let steps = members.get("when").and_then(Value::as_array).into_iter().flatten();
    let lines = steps.filter_map(|step| step.get("headers").and_then(Value::as_array)).flatten();
    let names = lines.filter_map(|line| line.get(0).and_then(Value::as_str)).map(ToOwned::to_owned);
    names.chain(["Content-Type", "X-Control", "Authorization"].map(ToOwned::to_owned)).collect()
}

fn answer_headers(behaviour: &Value) -> Vec<String> {
    let lines = behaviour.get("headers").and_then(Value::as_array).into_iter().flatten();
    lines.filter_map(|line| line.get(0).and_then(Value::as_str)).map(ToOwned::to_owned).collect()
}

/// The same from the top-level page, of the page's own origin, or encrypted.
fn elsewhere(members: &Value, case: &Case, changes: &mut Vec<Change>) {
    let page = &case.stated.page;
    let top = page.top();
    if top != page
        && let Ok(top) = serde_json::to_value(top)
    {
        let mut members = members.clone();
        members["page"] = top;
        changes.push(Change { about: "from the top-level page".to_owned(), members });
    }
    let own = page.own_origin().or_else(|| top.own_origin()).map(|origin| origin.to_string());
    let urls = members.get("given").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    let mut origins: Vec<String> =
        urls.filter_map(|url| url::Url::parse(url).ok()).map(|url| url.origin().ascii_serialization()).collect();
    origins.dedup();
    for (from, to) in origins.iter().filter_map(|from| Some((from, own.as_ref()?))).filter(|(from, to)| from != to) {
        if let Some(members) = with(members, &["given", "when"], from, to) {
            changes.push(Change { about: format!("at {to} in place of {from}"), members });
        }
    }
    if let Some(own) = &own {
        changes.extend(
            with(members, &["given", "when"], own, "https://control.test")
                .map(|members| Change { about: format!("at https://control.test in place of {own}"), members }),
        );
    }
    // What has another scheme, or a port that is closed to pages.
    let steps = members.get("when").and_then(Value::as_array).into_iter().flatten();
    let target = steps.last().and_then(Value::as_object).and_then(|step| step.values().next()).and_then(Value::as_str);
    if let Some((target, own)) = target.zip(own.as_ref()).filter(|(target, _)| !is_ordinary(target)) {
        let is_socket = target.starts_with("ws");
        let to =
            if is_socket { format!("{}/control", own.replacen("http", "ws", 1)) } else { format!("{own}/control") };
        if let Some(mut members) = with(members, &["given", "when"], target, &to) {
            members["given"][&to] = if is_socket { json!({ "websocket": {} }) } else { json!({}) };
            changes.push(Change { about: format!("at {to}"), members });
        }
    }
    for (from, to) in [("http://", "https://"), ("ws://", "wss://")] {
        if let Some(members) = with(members, &["given", "when"], from, to) {
            changes.push(Change { about: format!("over {to}"), members });
        }
    }
}

/// Whether a URL is one of HTTP or WebSocket, without a port.
fn is_ordinary(url: &str) -> bool {
    let url = url::Url::parse(url).ok();
    url.is_some_and(|url| matches!(url.scheme(), "http" | "https" | "ws" | "wss") && url.port().is_none())
}

/// The same after a first step that got a cookie for every site from one of the servers.
fn prepared(members: &Value, changes: &mut Vec<Change>) {
    let urls = members.get("given").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    for url in urls.filter(|url| url.starts_with("http")) {
        let mut members = members.clone();
        let path = [Step::Member("given".to_owned()), Step::Member(url.clone())];
        let Some(Value::Object(behaviour)) = at(&mut members, &path) else { continue };
        behaviour.insert(
            "cookies".to_owned(),
            json!([{ "name": "control", "value": "1", "attributes": "Secure; SameSite=None" }]),
        );
        if let Some(Value::Array(steps)) = members.get_mut("when") {
            steps.insert(0, json!({ "fetch": url, "mode": "no-cors", "credentials": "include" }));
        }
        changes.push(Change { about: format!("after {url} had set a cookie"), members });
    }
}

/// The members with another text in place of one; nothing where it stands nowhere.
fn with(members: &Value, roots: &[&str], from: &str, to: &str) -> Option<Value> {
    let mut members = members.clone();
    let mut count = 0;
    for root in roots {
        if let Some(member) = members.get_mut(*root) {
            replace(member, from, to, &mut count);
        }
    }
    (count > 0).then_some(members)
}
