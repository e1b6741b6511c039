use std::collections::HashMap;
use std::fmt::Write as _;

use crosscheck_cases::{Case, Document, DocumentKind, Placed, feature};
use crosscheck_servers::{Behaviour, Body, Exchange, Fields, Route, Site, Stage, Token};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::Engine;
use crate::engine::HostTexts;
use crate::network::Network;
use crate::plan::{Node, Window};

/// The code that runs in the browser.
const RUNNER: &str = include_str!("../page/runner.js");
/// What evaluated expressions may use.
const TOOLS: &str = include_str!("../page/tools.js");

/// The path, below a case's token, that marks the beginning of a step in the servers' log.
pub(crate) const MARK_PATH: &str = "/!step";
const REPORT_PATH: &str = "/report";
const DOOR_PATH: &str = "/door";
/// What the door says when it is there.
const DOOR: &str = r#"await fetch("report", { method: "POST", mode: "no-cors", body: '[{"ready":true}]' });</script>"#;

/// Which hosts a browser finds in the address space that the fake network has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Spaces {
    /// None: all hosts are the same to it.
    None,
    /// Names, but not literal addresses.
    Names,
    /// All.
    All,
}

/// What a document has to know of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// How many cases of a document run at the same time.
    pub(crate) lanes: usize,
    /// By what the limits of time are multiplied.
    pub(crate) patience: f64,
    /// What the browser knows of address spaces.
    pub(crate) spaces: Spaces,
}

impl Spaces {
    pub(crate) const fn of(engine: &Engine, network: &Network) -> Self {
        match &engine.hosts {
            Some(HostTexts { literal: Some(_), .. }) if network.has_spaces => Self::All,
            Some(HostTexts { literal: None, .. }) if network.has_spaces => Self::Names,
            _ => Self::None,
        }
    }
}

/// What a document reports to the harness.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Report {
    /// A case ran to its end.
    Ran { case: usize, page: Value, ms: f64 },
    /// A case needs a feature that is not there.
    Missing { case: usize, missing: String },
    /// The runner itself failed.
    Broken { case: usize, broken: String },
    /// A document or worker inside the reporting one did not start.
    Failed { child: usize, failed: String },
    /// A page of the origin whose permissions are to be set is there.
    Ready {
        #[expect(dead_code, reason = "its name tells it apart")]
        ready: bool,
    },
    /// All cases of the reporting document were run.
    Done {
        #[expect(dead_code, reason = "its name tells it apart")]
        done: bool,
    },
}

/// The documents of a window, published on the stage.
#[derive(Debug)]
pub(crate) struct Published {
    /// Where the window has to be navigated to.
    pub(crate) url: String,
    /// A page of the same origin that does nothing: permissions can be set while it is there.
    pub(crate) door: String,
    /// The token of each node, in the window's order.
    pub(crate) tokens: Vec<Token>,
}

/// Publishes the documents of a window. `placed` has the window's cases under their tokens, by position; every request
/// to a document is sent to `watcher`.
pub(crate) fn publish(
    stage: &Stage,
    window: &Window,
    cases: &[&Case],
    placed: &HashMap<usize, Placed>,
    manner: Manner,
    watcher: &mpsc::UnboundedSender<Exchange>,
) -> Published {
    let tokens: Vec<Token> = window.nodes.iter().map(|_| Token::random()).collect();
    let mut scripts: Vec<String> = vec![String::new(); window.nodes.len()];
    // Backwards, because the script of a document contains the scripts of those that it makes itself.
    for position in (0..window.nodes.len()).rev() {
        let children: Vec<Value> = (0..window.nodes.len())
            .filter(|child| window.nodes[*child].parent == Some(position))
            .map(|child| child_config(child, &window.nodes[child], &tokens[child], &scripts[child]))
            .collect();
        let node = &window.nodes[position];
        scripts[position] = script(window, node, &tokens[position], children, cases, placed, manner);
    }
    let mut url = String::new();
    for (position, node) in window.nodes.iter().enumerate() {
        let Some(origin) = origin_of(window, node) else { continue };
        let mut site = Site::new();
        let mut route = |path: &str, headers: &Fields, body: Body| {
            let behaviour = Behaviour { headers: headers.clone(), body, ..Behaviour::default() };
            site.insert(Route { origin: origin.clone(), path: path.to_owned() }, behaviour);
        };
        let script = std::mem::take(&mut scripts[position]);
        match node.document.kind {
            DocumentKind::Worker | DocumentKind::SharedWorker | DocumentKind::ServiceWorker => {
                route(&format!("/{}", node.document.kind.file_name()), &node.document.fields(), Body::Script(script));
            }
            _ if node.document.kind.from_network() => {
                route("/", &node.document.fields(), Body::Html(html(r#"src="runner.js">"#)));
                route("/runner.js", &Fields::new(), Body::Script(script));
            }
            _ => {}
        }
        route(REPORT_PATH, &open_to_all(), Body::Empty);
        if position == 0 {
            url = format!("{origin}/{}/", tokens[0]);
            let body = Body::Html(html(&format!("type=\"module\">{DOOR}")));
            site.insert(Route { origin, path: DOOR_PATH.to_owned() }, Behaviour { body, ..Behaviour::default() });
        }
        stage.publish_watched(tokens[position].clone(), site, watcher.clone());
    }
    let door = format!("{}{DOOR_PATH}", url.trim_end_matches('/'));
    Published { url, door, tokens }
}

/// Adds to a case's site what marks the beginning of its steps.
pub(crate) fn add_mark(site: &mut Site, document: &Document) {
    if let Some(origin) = network_origin(document) {
        let behaviour = Behaviour { headers: open_to_all(), body: Body::Empty, ..Behaviour::default() };
        site.insert(Route { origin, path: MARK_PATH.to_owned() }, behaviour);
    }
}

/// The reports in a request to a document's token, or nothing where it asks for something else.
pub(crate) fn reports(exchange: &Exchange) -> Option<Result<Vec<Report>, serde_json::Error>> {
    let (_, path) = Token::split(&exchange.target)?;
    (path == REPORT_PATH).then(|| serde_json::from_slice(exchange.body.as_bytes()))
}

/// What lets a document with any embedder policy read an answer.
fn open_to_all() -> Fields {
    let mut fields = Fields::new();
    fields.push("Access-Control-Allow-Origin", "*");
    fields.push("Cross-Origin-Resource-Policy", "cross-origin");
    fields.push("Cache-Control", "no-store");
    fields
}

/// The origin that a document reports to: its own, or where it has none that of the nearest one around it.
fn network_origin(document: &Document) -> Option<crosscheck_servers::Origin> {
    document.own_origin().or_else(|| document.within.as_deref().and_then(network_origin))
}

fn origin_of(window: &Window, node: &Node) -> Option<crosscheck_servers::Origin> {
    node.document.own_origin().or_else(|| origin_of(window, window.nodes.get(node.parent?)?))
}

/// A page with one script element, whose rest is given.
pub(crate) fn html(script: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Crosscheck</title>\
         <link rel=\"icon\" href=\"data:,\"><body><script {script}</script></body></html>"
    )
}

/// What a document has to know to start a child.
fn child_config(position: usize, child: &Node, token: &Token, script: &str) -> Value {
    let document = &child.document;
    let mut config = json!({ "node": position, "kind": document.kind });
    if let Some(origin) = document.own_origin() {
        config["url"] = format!("{origin}/{token}/{}", document.kind.file_name()).into();
    }
    match document.kind {
        DocumentKind::Srcdoc | DocumentKind::Data | DocumentKind::Blob => {
            config["html"] = html(&format!(">{script}")).into();
        }
        DocumentKind::DataWorker => config["script"] = script.into(),
        _ => {}
    }
    if let Some(sandbox) = &document.sandbox {
        config["sandbox"] = sandbox.as_str().into();
    }
    if let Some(allow) = &document.allow {
        config["allow"] = allow.as_str().into();
    }
    config
}

fn script(
    window: &Window,
    node: &Node,
    token: &Token,
    children: Vec<Value>,
    cases: &[&Case],
    placed: &HashMap<usize, Placed>,
    manner: Manner,
) -> String {
    let origin = origin_of(window, node).map(|origin| origin.to_string()).unwrap_or_default();
    let configured: Vec<Value> = node
        .cases
        .iter()
        .map(|position| {
            json!({
                "index": position,
                "needs": cases[*position].stated.needs,
                "steps": placed[position].steps,
                "mark": format!("{origin}/{}{MARK_PATH}", placed[position].token),
                "token": placed[position].token.to_string(),
            })
        })
        .collect();
    let config = json!({
        "report": format!("{origin}/{token}{REPORT_PATH}"),
        "lanes": manner.lanes,
        "patience": manner.patience,
        "spaces": manner.spaces,
        "cases": configured,
        "children": children,
    });
    // In HTML a script ends at "</script": no "<" of the data must reach it.
    let config =
        config.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    let mut text = format!("const CROSSCHECK = {config};\nCROSSCHECK.features = {{\n");
    let mut needed: Vec<&str> =
        node.cases.iter().flat_map(|position| &cases[*position].stated.needs).map(String::as_str).collect();
    needed.sort_unstable();
    needed.dedup();
    for name in needed {
        if let Some(feature) = feature(name) {
            let _ = writeln!(text, "  \"{name}\": async () => ({}),", feature.test);
        }
    }
    text.push_str("};\n");
    text.push_str(TOOLS);
    text.push_str(RUNNER);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_can_stand_in_a_script_element() {
        for code in [TOOLS, RUNNER] {
            assert!(!code.to_ascii_lowercase().contains("</script"));
            assert!(!code.contains("<!--"));
        }
    }

    #[test]
    fn reports_are_told_apart() {
        let text = r#"[{"case":1,"page":[],"ms":2.5},{"case":2,"missing":"x"},{"case":3,"broken":"y"},{"child":1,"failed":"z"},{"done":true},{"ready":true}]"#;
        let reports: Vec<Report> = serde_json::from_str(text).expect("reports");
        assert!(matches!(
            reports.as_slice(),
            [
                Report::Ran { case: 1, .. },
                Report::Missing { case: 2, .. },
                Report::Broken { case: 3, .. },
                Report::Failed { child: 1, .. },
                Report::Done { .. },
                Report::Ready { .. }
            ]
        ));
    }
}
