//! What is said about one request.

use crosscheck_cases::standard::{Answer, Decision, Failure, Message, MessageKind, NetworkError, Performance};
use crosscheck_cases::{PageResult, ReasonClass, ResponseType, ResultKind, reason_class, requirement};
use crosscheck_servers::Fields;
use serde::{Deserialize, Serialize};

use super::drive::{Drive, Exchanged};
use super::question::is_harmless;
use super::redact::Redaction;

/// What a browser does with a request, and why. Nothing secret stands in it: cookies and credentials are hidden.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// The serialised origin of the page.
    pub page: String,
    /// What it asks.
    pub url: String,
    /// The method.
    pub method: String,
    /// The request's mode.
    pub mode: String,
    /// The request's credentials mode.
    pub credentials: String,
    /// What an archive says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Recorded>,
    /// What goes out and comes back, in order.
    pub exchanges: Vec<Shown>,
    /// The rules that matter, in the order in which they apply.
    pub steps: Vec<Step>,
    /// How it ends.
    pub verdict: Verdict,
    /// Whether the server receives the request itself (and not only a preflight), and so may act on it; nothing where
    /// that is not known.
    pub executed: Option<bool>,
    /// The class of the reason of a block (`cases/reasons.json`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// All of it in a sentence or two.
    pub conclusion: String,
    /// What to change, and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What else is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Which entry of an archive it is, and what the browser did.
#[derive(Clone, Debug, Serialize)]
pub struct Recorded {
    /// Its position, counted from 1.
    pub entry: usize,
    /// What the browser did, as far as the archive says so.
    pub browser: String,
}

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The page reads the answer.
    Readable,
    /// The page learns that there was an answer, and nothing of it.
    Opaque,
    /// A rule keeps the answer from the page, or the request from the server.
    Blocked,
    /// There is no usable answer; no cross-origin rule is the cause.
    Failed,
    /// `fetch()` refuses its arguments.
    Refused,
    /// It depends on what is not known here.
    Undecided,
}

/// A message, and what came back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Whether it is a preflight.
    pub preflight: bool,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The header lines that the standard determines.
    pub headers: Vec<(String, String)>,
    /// The response; nothing where there is none.
    pub response: Option<ShownResponse>,
}

/// A response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownResponse {
    /// The status code.
    pub status: u16,
    /// The header lines.
    pub headers: Vec<(String, String)>,
}

/// A rule of the standard that applies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// The id of the requirement.
    pub requirement: String,
    /// What it demands.
    pub text: String,
    /// Where the standard says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// How many messages had been sent before.
    pub after: usize,
    /// Whether it is the one that blocks.
    pub decides: bool,
}

/// Rules that every request goes by, and that nobody wonders about.
const ORDINARY: [&str; 37] = [
    "cookies.fetch-",
    "fetch.coep-allows-credentials.",
    "fetch.cookie.",
    "fetch.cors-safelisted-request-header.2",
    "fetch.cors-unsafe-request-header-byte.",
    "fetch.extract-header-list-values.",
    "fetch.fetch-method.",
    "fetch.fetching.",
    "fetch.filtered.",
    "fetch.forbidden-request-header.",
    "fetch.header-list",
    "fetch.http-fetch.",
    "fetch.main-fetch.12.cors.side-effect",
    "fetch.main-fetch.12.preflight.clear",
    "fetch.main-fetch.14.",
    "fetch.main-fetch.22",
    "fetch.main-fetch.24",
    "fetch.main-fetch.8",
    "fetch.main-fetch.9",
    "fetch.network-or-cache.",
    "fetch.origin-header.",
    "fetch.preflight.1",
    "fetch.preflight.2",
    "fetch.preflight.3",
    "fetch.preflight.5",
    "fetch.preflight.6",
    "fetch.preflight.7.order",
    "fetch.request-class.",
    "fetch.request.",
    "fetch.same-site-mode.",
    "fetch.sec-purpose.",
    "fetch.serialize-request-origin.3a",
    "lna.check.6",
    "lna.fetch-hook.",
    "lna.request.",
    "lna.space.",
    "referrer.",
];

impl Diagnosis {
    pub(crate) fn of(drive: Drive<'_>, redaction: Redaction) -> Self {
        let Drive { question, exchanged, performance, stopped, notes, .. } = drive;
        let (page, blocked, decisions) = match performance {
            Some(Performance { page, blocked, decisions }) => (page, blocked, decisions),
            None => (Vec::new(), None, Vec::new()),
        };
        let result = page.into_iter().next().unwrap_or_default();
        let requested = exchanged.iter().any(|one| one.message.kind != MessageKind::Preflight);
        let told = Told { result: &result, blocked, stopped: stopped.as_deref(), requested, exchanged: &exchanged };
        let verdict = told.verdict();
        let class = told.class();
        let mut diagnosis = Self {
            page: question.page.clone(),
            url: redaction.url(&question.url),
            method: question.method.clone(),
            mode: question.mode.clone(),
            credentials: question.credentials.clone(),
            recorded: None,
            exchanges: exchanged.iter().map(|one| shown(one, redaction)).collect(),
            steps: steps(&decisions, blocked),
            verdict,
            executed: (verdict != Verdict::Undecided || !requested).then_some(requested),
            reason: class.map(|class| class.id.clone()),
            conclusion: told.conclusion(&question.method),
            advice: class.filter(|_| verdict == Verdict::Blocked).map(|class| class.advice.clone()),
            notes,
        };
        diagnosis.add_notes(&told, question, &decisions);
        diagnosis
    }

    fn add_notes(&mut self, told: &Told<'_>, question: &super::Question, decisions: &[Decision]) {
        if decisions.iter().any(|decision| decision.requirement == "lna.check.5.12") {
            self.notes.push(
                "The server is in a more private network than the page. Browsers with local network access ask the user \
                 for permission first; here the user is taken to agree."
                    .to_owned(),
            );
        }
        let request = told.exchanged.iter().rfind(|one| one.message.kind != MessageKind::Preflight);
        if let Some(Exchanged { message, answer: Some(Answer::Response(received)) }) = request {
            let ignored: Vec<&str> = question
                .headers
                .iter()
                .map(|(name, _)| name.as_str())
                .filter(|name| !message.headers.contains(name))
                .collect();
            if !ignored.is_empty() {
                self.notes.push(format!("Script may not set {}: the browser leaves that out.", ignored.join(", ")));
            }
            let hidden: Vec<String> = received
                .headers
                .iter()
                .map(|(name, _)| name.to_string())
                .filter(|name| !told.result.headers.contains_key(&name.to_ascii_lowercase()))
                .filter(|name| !["set-cookie", "set-cookie2"].contains(&name.to_ascii_lowercase().as_str()))
                .filter(|name| !name.to_ascii_lowercase().starts_with("access-control-"))
                .collect();
            if self.verdict == Verdict::Readable && !hidden.is_empty() {
                self.notes.push(format!(
                    "The page does not see the response headers {}; Access-Control-Expose-Headers would show them.",
                    hidden.join(", ")
                ));
            }
            if self.verdict == Verdict::Readable && depends_on_origin(&received.headers) {
                self.notes.push(
                    "The response names one origin and has no Vary: Origin, so a cache may give it to a page of another \
                     origin, which is then blocked. Send Vary: Origin."
                        .to_owned(),
                );
            }
        }
    }
}

fn depends_on_origin(headers: &Fields) -> bool {
    let names =
        |value: &str| value.split(',').any(|name| ["*", "origin"].contains(&name.trim().to_ascii_lowercase().as_str()));
    headers.get("access-control-allow-origin").is_some_and(|value| value != *"*")
        && !headers.get("vary").is_some_and(|value| names(&value.decode()))
}

/// What is known of how it ended.
struct Told<'t> {
    result: &'t PageResult,
    blocked: Option<NetworkError>,
    stopped: Option<&'t str>,
    /// Whether the request itself was sent.
    requested: bool,
    exchanged: &'t [Exchanged],
}

impl Told<'_> {
    fn class(&self) -> Option<&'static ReasonClass> {
        self.blocked.filter(|_| self.stopped.is_none()).and_then(|error| error.class).and_then(reason_class)
    }

    /// Whether the last exchange came to nothing below HTTP.
    fn broke(&self) -> bool {
        self.exchanged.last().is_some_and(|last| !matches!(last.answer, Some(Answer::Response(_))))
    }

    fn verdict(&self) -> Verdict {
        if self.stopped.is_some() {
            return Verdict::Undecided;
        }
        match self.result.result {
            ResultKind::Response | ResultKind::Loaded | ResultKind::Sent | ResultKind::Value => {
                match self.result.response_type {
                    Some(ResponseType::Opaque | ResponseType::Opaqueredirect) => Verdict::Opaque,
                    _ => Verdict::Readable,
                }
            }
            ResultKind::NetworkError if self.broke() => Verdict::Failed,
            ResultKind::NetworkError => Verdict::Blocked,
            ResultKind::Exception => Verdict::Refused,
            ResultKind::Timeout => Verdict::Failed,
        }
    }

    fn conclusion(&self, method: &str) -> String {
        match self.verdict() {
            Verdict::Undecided => self.stopped.unwrap_or_default().to_owned(),
            Verdict::Readable => {
                let status = self.result.status.map(|status| format!(" (status {status})")).unwrap_or_default();
                format!("The page reads the answer{status}.")
            }
            Verdict::Opaque => format!(
                "The {method} is sent and the server may act on it, but the page learns nothing of the answer, not even \
                 the status."
            ),
            Verdict::Refused => "fetch() throws a TypeError because of its arguments; nothing is sent.".to_owned(),
            Verdict::Failed => {
                let last = self.exchanged.last();
                let what = if last.is_some_and(|last| last.message.kind == MessageKind::Preflight) {
                    "the preflight"
                } else {
                    "the request"
                };
                let how = match last.and_then(|last| last.answer.as_ref()) {
                    Some(Answer::Failed(Failure::Malformed)) => "is answered with what is not HTTP",
                    Some(Answer::Failed(Failure::Connection)) => "gets no answer: the connection fails",
                    _ => "gets no answer in time",
                };
                format!("No cross-origin rule is the cause: {what} {how}.")
            }
            Verdict::Blocked => self.blocked_conclusion(method),
        }
    }

    fn blocked_conclusion(&self, method: &str) -> String {
        let title = self.class().map_or("A rule of the standard forbids it.", |class| class.title.as_str());
        if self.requested {
            let changes = if is_harmless(method) { "" } else { " and may have acted on it" };
            return format!(
                "{title} The server received the {method}{changes}; only its answer is kept from the page."
            );
        }
        if self.exchanged.is_empty() {
            return format!("{title} Nothing was sent.");
        }
        format!(
            "{title} That is so of the answer to the preflight, so the {method} itself was never sent: the server did not \
             act on it."
        )
    }
}

pub(crate) fn shown(exchanged: &Exchanged, redaction: Redaction) -> Shown {
    let Message { kind, method, url, headers, .. } = &exchanged.message;
    let lines = |headers: &Fields| -> Vec<(String, String)> {
        headers
            .iter()
            .map(|(name, value)| {
                let name = name.to_string();
                let value = redaction.header(&name, &value.to_string());
                (name, value)
            })
            .collect()
    };
    let response = match &exchanged.answer {
        Some(Answer::Response(received)) => {
            Some(ShownResponse { status: received.status, headers: lines(&received.headers) })
        }
        _ => None,
    };
    Shown {
        preflight: *kind == MessageKind::Preflight,
        method: method.to_string(),
        url: redaction.url(url),
        headers: lines(headers),
        response,
    }
}

fn steps(decisions: &[Decision], blocked: Option<NetworkError>) -> Vec<Step> {
    let deciding = blocked.and_then(|error| {
        decisions
            .iter()
            .rposition(|decision| !error.requirement.is_empty() && decision.requirement == error.requirement)
    });
    let mut steps: Vec<Step> = Vec::new();
    for (position, decision) in decisions.iter().enumerate() {
        let decides = deciding == Some(position);
        let ordinary = ORDINARY.iter().any(|prefix| decision.requirement.starts_with(prefix));
        let repeated = steps.iter().any(|step| step.requirement == decision.requirement);
        let Some(row) = requirement(&decision.requirement).filter(|_| decides || !(ordinary || repeated)) else {
            continue;
        };
        steps.push(Step {
            requirement: decision.requirement.clone().into_owned(),
            text: row.requirement.clone(),
            link: row.link(),
            after: decision.after,
            decides,
        });
    }
    steps
}
