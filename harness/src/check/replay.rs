//! What a page in a browser does to show a finding, as a case of the suite.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crosscheck_cases::standard::AddressSpace;
use crosscheck_cases::{
    Case, Document, DocumentKind, EvaluateProbe, FetchProbe, Level, Outcome, PageResult, Probe, Reason, ResponseType,
    ResultKind, Stated,
};
use crosscheck_servers::Behaviour;
use serde_json::json;
use url::Url;

use super::ask::Asked;
use crate::Engine;
use crate::explain::Verdict;
use crate::explain::question::{Question, is_harmless, literal_space};

/// Embeds the frame where an opaque origin is wanted.
const EMBEDDER: &str = "https://crosscheck-embedder.test";

/// A question, with what a browser makes of its answers by the executable standard.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    pub(crate) question: Question,
    verdict: Verdict,
    page: PageResult,
    reason: Option<String>,
    /// The rule that decides.
    requirement: Option<String>,
    /// Host and port of every server that was asked.
    servers: Vec<String>,
    /// The function that a script calls which is loaded in the place of a fetch.
    callback: Option<&'static str>,
    /// Nothing came in time: a browser would wait for long.
    is_late: bool,
}

impl Replay {
    /// Nothing, where no page asks this.
    pub(crate) fn of(asked: &Asked) -> Option<Self> {
        let mut servers: Vec<String> = Vec::new();
        for server in asked.exchanged.iter().filter_map(|one| authority(&one.message.url)) {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        Some(Self {
            question: asked.question.clone()?,
            verdict: asked.verdict()?,
            page: asked.page.clone(),
            reason: asked.reason().map(ToOwned::to_owned),
            requirement: asked.requirement().map(ToOwned::to_owned),
            servers,
            callback: None,
            is_late: asked.trouble.is_some() && asked.is_late,
        })
    }

    /// The same as a script element, whose script calls a function.
    pub(crate) fn calling(mut self, callback: &'static str) -> Self {
        self.callback = Some(callback);
        self
    }

    /// Whether it sends nothing that may change something.
    pub(crate) fn is_harmless(&self) -> bool {
        is_harmless(&self.question.method)
    }

    /// Why the engine is known to read what should be kept from the page.
    pub(crate) fn known<'e>(&self, engine: &'e Engine) -> Option<&'e str> {
        let rule = self.requirement.as_deref().filter(|_| self.verdict == Verdict::Blocked)?;
        engine.lenient.iter().find(|lenient| lenient.requirement == rule).map(|lenient| lenient.cause.as_str())
    }

    pub(crate) fn servers(&self) -> &[String] {
        &self.servers
    }

    /// Whether a later answer leads to the same.
    pub(crate) fn is_like(&self, asked: &Asked) -> bool {
        asked.verdict() == Some(self.verdict)
            && asked.reason() == self.reason.as_deref()
            && (asked.page.result, asked.page.status) == (self.page.result, self.page.status)
    }

    /// Why no browser can be asked, where that is so. `changes`: requests may change something. `local_is_mixed`: see
    /// [`crate::Direct`].
    pub(crate) fn obstacle(&self, changes: bool, local_is_mixed: bool) -> Option<String> {
        let page = Url::parse(&self.question.page).ok();
        if !self.is_harmless() && !changes {
            return Some(format!("It sends {}, which may change something (--unsafe).", self.question.method));
        }
        if page.as_ref().and_then(authority).is_some_and(|page| self.servers.contains(&page)) {
            return Some("The page would be one of the server itself.".to_owned());
        }
        if self.is_late {
            return Some("The server does not answer in time.".to_owned());
        }
        let is_open = matches!(self.question.url.scheme(), "http" | "ws");
        let is_local = literal_space(&self.question.url) == Some(AddressSpace::Loopback);
        if page.is_some_and(|page| page.scheme() == "https") && is_open && (local_is_mixed || !is_local) {
            return Some("This browser lets no https page ask this http server (mixed content).".to_owned());
        }
        None
    }

    /// The case: a page of the same origin does the same, and sees what the standard says. `cookie` is the value of the
    /// Cookie header that was sent, `exposed` the response headers that the policy lets pages read.
    pub(crate) fn case(&self, number: usize, cookie: &str, exposed: &[String]) -> Case {
        let (mut given, mut when, mut seen) = (BTreeMap::new(), Vec::new(), Vec::new());
        let is_websocket = self.question.mode == "websocket";
        if is_websocket || self.question.credentials == "include" {
            let url = cookie_url(&self.question.url);
            given.insert(url.clone(), Arc::new(cookie_behaviour(cookie)));
            let options = FetchProbe {
                mode: Some("no-cors".to_owned()),
                credentials: Some("include".to_owned()),
                ..FetchProbe::default()
            };
            when.push(Probe::Fetch(url, options));
            let response_type = Some(ResponseType::Opaque);
            seen.push(PageResult { result: ResultKind::Response, response_type, ..PageResult::default() });
        }
        let (probe, result) = self.probe(exposed);
        when.push(probe);
        seen.push(result);
        let is_blocked = seen.last().is_some_and(|last| last.result == ResultKind::NetworkError);
        // What an engine says about a WebSocket cannot be told apart from what it says about others.
        let reason = self.reason.iter().find(|_| is_blocked && !is_websocket);
        let stated = Stated {
            id: number.to_string(),
            title: "A page does what the check did".to_owned(),
            requires: Vec::new(),
            why: None,
            level: Level::Required,
            needs: Vec::new(),
            page: self.document(),
            given,
            when,
            then: Outcome {
                page: seen,
                wire: None,
                grade: None,
                reason: reason.map(|class| Reason { classes: vec![class.clone()], text: None }),
            },
        };
        Case {
            id: format!("confirm/{number}"),
            topic: "confirm".to_owned(),
            stated: Arc::new(stated),
            file: PathBuf::new(),
            line: 0,
            generated: true,
            predicted: true,
            controls: Vec::new(),
        }
    }

    fn document(&self) -> Document {
        let page = |origin: &str| Document {
            headers: if self.question.require_corp {
                vec![("Cross-Origin-Embedder-Policy".to_owned(), "require-corp".to_owned())]
            } else {
                Vec::new()
            },
            ..Document::page(origin)
        };
        if self.question.page != "null" {
            return page(&self.question.page);
        }
        let within = Some(Box::new(page(EMBEDDER)));
        Document { kind: DocumentKind::Data, origin: None, within, ..Document::page("") }
    }

    fn probe(&self, exposed: &[String]) -> (Probe, PageResult) {
        if let Some(callback) = self.callback {
            let result =
                PageResult { result: ResultKind::Value, value: Some(json!("called")), ..PageResult::default() };
            return (Probe::Evaluate(script(&self.question.url, callback), EvaluateProbe::default()), result);
        }
        let probe = match self.question.probe() {
            // What another page left in the cache is nothing to go by.
            Probe::Fetch(url, options) => {
                Probe::Fetch(url, FetchProbe { cache: Some("no-store".to_owned()), ..options })
            }
            other => other,
        };
        let names = exposed.iter().map(|name| name.to_ascii_lowercase());
        let hidden = names.filter(|name| !self.page.headers.contains_key(name)).map(|name| (name, None));
        let result = PageResult {
            result: self.page.result,
            response_type: self.page.response_type,
            status: self.page.status,
            headers: hidden.filter(|_| self.page.result == ResultKind::Response).collect(),
            ..PageResult::default()
        };
        (probe, result)
    }

    /// What a page did, in a sentence.
    pub(crate) fn said(&self, expected: &Outcome, observed: &Outcome) -> String {
        let page = &self.question.page;
        let Some(last) = observed.page.last() else { return "The page gave no result.".to_owned() };
        match last.result {
            ResultKind::Response if self.question.mode == "websocket" => format!("A page of {page} opened it."),
            ResultKind::Response if last.response_type == Some(ResponseType::Opaque) => {
                format!("A page of {page} got an answer that it cannot read.")
            }
            ResultKind::Response => {
                let hidden: Vec<&str> = expected
                    .page
                    .last()
                    .into_iter()
                    .flat_map(|expected| &expected.headers)
                    .filter(|(name, value)| value.is_none() && !last.headers.contains_key(*name))
                    .map(|(name, _)| name.as_str())
                    .collect();
                let but = if hidden.is_empty() { String::new() } else { format!(" but not {}", hidden.join(", ")) };
                format!("A page of {page} read the answer, status {}{but}.", last.status.unwrap_or_default())
            }
            ResultKind::Value if last.value == Some(json!("called")) => {
                format!("A page of {page} ran the script, which handed over the data.")
            }
            ResultKind::Value => format!("A page of {page} loaded the script, and nothing was handed over."),
            _ => {
                let text = observed.reason.as_ref().and_then(|reason| reason.text.as_deref());
                match text {
                    Some(text) => {
                        // What stands before it are the URLs, which are known.
                        let (_, text) = text.split_once("blocked by CORS policy: ").unwrap_or(("", text));
                        format!("A page of {page} was kept out: {}", text.trim())
                    }
                    None => format!("A page of {page} got a network error; the browser says no more."),
                }
            }
        }
    }
}

/// Host and port.
fn authority(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// A URL of the same host where a fake server can set cookies: ports do not tell cookies apart, schemes may.
fn cookie_url(server: &Url) -> String {
    let host = server.host_str().unwrap_or_default();
    let scheme = if matches!(server.scheme(), "https" | "wss") { "https" } else { "http" };
    let port = match (scheme, server.port_or_known_default()) {
        ("http", Some(80)) => ":8080",
        ("https", Some(443)) => ":8443",
        _ => "",
    };
    format!("{scheme}://{host}{port}/cookie")
}

/// The cookie is partitioned: browsers that block third-party cookies take it, too, and send it to the server in requests
/// of the page that got it.
fn cookie_behaviour(cookie: &str) -> Behaviour {
    let mut behaviour = Behaviour::default();
    for pair in cookie.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        behaviour.headers.push("Set-Cookie", format!("{pair}; Path=/; SameSite=None; Secure; Partitioned").as_str());
    }
    behaviour.headers.push("Cross-Origin-Resource-Policy", "cross-origin");
    behaviour
}

/// An expression that loads a script and says whether it called.
fn script(url: &Url, callback: &str) -> String {
    let url = json!(url.as_str());
    format!(
        "new Promise((resolve) => {{ \
           window.{callback} = () => resolve(\"called\"); \
           const script = document.createElement(\"script\"); \
           script.onload = () => resolve(\"loaded\"); \
           script.onerror = () => resolve(\"not loaded\"); \
           script.src = {url}; \
           document.body.append(script); \
         }})"
    )
}
