//! Prediction: the executable standard against the fake servers' pure `respond`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crosscheck_servers::{
    Behaviour, Body, Counts, Fault, Fields, Framing, Message as Reply, Protocol, Request, Response, Route, Site, Token,
    WebSocketAction, ends_with_head, is_preflight, read_response, respond,
};

use crate::sent::Sent;
use crate::standard::{
    Answer, Client, Decision, Failure, Message, MessageKind, NetworkError, Origin, Performance, Received, SEEN,
    SocketEvent, is_load_modelled, perform,
};
use crate::{Case, Outcome, PageResult, Probe, Reason, ResultKind, Stated, WireMessage, grade, strip_tokens};

/// What the standard says of a case.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The whole outcome, as an agent that keeps the rules would be observed.
    pub outcome: Outcome,
    /// The decisions that led to it.
    pub decisions: Vec<Decision>,
}

impl Case {
    /// Whether the executable standard can tell all of the outcome that the case states; why not otherwise.
    ///
    /// # Errors
    /// What the case does that is not modelled.
    pub fn is_modelled(&self) -> Result<(), &'static str> {
        self.is_predictable()?;
        let mut seen = self.stated.then.page.iter().flat_map(|result| result.seen.keys());
        match seen.any(|name| !SEEN.contains(&name.as_str())) {
            true => Err("it looks at what was loaded for more than the model tells"),
            false => Ok(()),
        }
    }

    /// Whether the executable standard can tell what is sent and what kind of result the page gets.
    fn is_predictable(&self) -> Result<(), &'static str> {
        if self.stated.when.iter().any(|probe| matches!(probe, Probe::Evaluate(..))) {
            return Err("it evaluates a script");
        }
        for probe in &self.stated.when {
            if let Probe::Load(_, options) = probe {
                is_load_modelled(options)?;
                if self.stated.given.values().any(|behaviour| loads_or_throws(behaviour)) {
                    return Err("what it loads loads more, or throws");
                }
            }
        }
        if self.stated.when.iter().any(|probe| matches!(probe, Probe::Xhr(_, options) if options.abort == Some(true))) {
            return Err("whether an aborted request has left is a matter of time");
        }
        Ok(())
    }

    /// The outcome that the standard leads to, without what the model leaves open of a load; nothing where the case is
    /// not modelled.
    #[must_use]
    pub fn predict(&self) -> Option<Prediction> {
        self.predict_breaking(&[])
    }

    /// The outcome with an agent that does not keep these requirements.
    #[must_use]
    pub fn predict_breaking(&self, requirements: &[String]) -> Option<Prediction> {
        let mut log = Vec::new();
        let performance = self.perform(requirements, |message| log.push(wire_message(message)))?;
        Some(Prediction {
            outcome: outcome(performance.page, log, performance.blocked),
            decisions: performance.decisions,
        })
    }

    /// The requests that an agent sends which keeps all rules but these, with all their header lines; nothing where the
    /// case is not modelled.
    #[must_use]
    pub fn predict_sent(&self, breaking: &[String]) -> Option<Vec<Sent>> {
        let mut log: Vec<Sent> = Vec::new();
        // The step of the last request that was no preflight.
        let mut last = None;
        self.perform(breaking, |message| {
            let sent = Sent::predicted(message, last == Some(message.step));
            if !sent.preflight {
                last = Some(message.step);
            }
            log.push(sent);
        })?;
        Some(log)
    }

    /// Performs the case with an agent that does not keep these requirements; `log` gets every request.
    fn perform(&self, breaking: &[String], log: impl FnMut(&Message)) -> Option<Performance> {
        self.is_predictable().ok()?;
        let placed = self.place(&fixed_token()?);
        let client = Client::of(&self.stated.page, &format!("/{}/", placed.token));
        let machine = perform(client, placed.steps, breaking.iter().cloned());
        let mut servers = Servers { site: placed.site, counts: HashMap::new(), log, script: Vec::new() };
        Some(machine.run(|message| servers.answer(message)))
    }
}

/// Request headers that tell of cross-origin rules: predicted outcomes say of each what was sent, or that it was not.
pub(crate) const TOLD: [&str; 5] =
    ["access-control-request-headers", "access-control-request-method", "authorization", "cookie", "origin"];

/// Engines do not name these apart in the same way, and no standard asks them to.
const ALLOW_ORIGIN_CLASSES: [&str; 3] = ["allow-origin-mismatch", "invalid-allow-origin", "multiple-allow-origin"];

impl Prediction {
    /// The prediction as an expectation that compares the same request headers as another one.
    #[must_use]
    pub fn expected_like(&self, stated: &Stated) -> Outcome {
        let also: BTreeSet<String> =
            stated.then.wire.iter().flatten().flat_map(|message| message.headers.keys().cloned()).collect();
        self.expected(stated, &also.into_iter().collect::<Vec<_>>())
    }

    /// The prediction as an expectation: without what no case is about. `also` names further request headers that are
    /// compared.
    #[must_use]
    pub fn expected(&self, stated: &Stated, also: &[String]) -> Outcome {
        let mut names = BTreeSet::new();
        stated.given.values().for_each(|behaviour| header_names(behaviour, &mut names));
        let page = self.outcome.page.iter().map(|result| expected_result(result, &names)).collect();
        let wire = self.outcome.wire.iter().flatten().map(|message| expected_message(message, also)).collect();
        let reason = self.outcome.reason.clone().map(|reason| {
            let classes = reason.classes;
            match ALLOW_ORIGIN_CLASSES.iter().any(|class| classes.iter().any(|one| one == class)) {
                true => Reason { classes: ALLOW_ORIGIN_CLASSES.map(ToOwned::to_owned).to_vec(), text: None },
                false => Reason { classes, text: None },
            }
        });
        Outcome { page, wire: Some(wire), grade: self.outcome.grade, reason }
    }
}

/// Whether a body is a style sheet that names others, or a script that may throw or asks for more: the model knows static
/// imports alone.
fn loads_or_throws(behaviour: &Behaviour) -> bool {
    let words = ["@import", "url(", "import(", "throw", "fetch(", "Image("];
    let text = match &behaviour.body {
        Body::Script(text) | Body::Style(text) | Body::Text(text) => text,
        _ => "",
    };
    words.iter().any(|word| text.contains(word)) || behaviour.rules.iter().any(|rule| loads_or_throws(&rule.then))
}

/// The names of all header lines that a behaviour states, in lower case.
fn header_names(behaviour: &Behaviour, names: &mut BTreeSet<String>) {
    names.extend(behaviour.headers.iter().map(|(name, _)| name.decode().to_ascii_lowercase()));
    behaviour.rules.iter().for_each(|rule| header_names(&rule.then, names));
}

fn expected_result(result: &PageResult, names: &BTreeSet<String>) -> PageResult {
    let answered = result.result == ResultKind::Response && result.response_type.is_some();
    let headers = names.iter().map(|name| (name.clone(), result.headers.get(name).cloned().flatten()));
    PageResult {
        headers: if answered { headers.collect() } else { BTreeMap::new() },
        status_text: None,
        // A kept connection to a slow or broken server shows more or less of a body.
        events: result.events.clone().filter(|_| result.result != ResultKind::Timeout && result.status.is_none()),
        ..result.clone()
    }
}

fn expected_message(message: &WireMessage, also: &[String]) -> WireMessage {
    let told = TOLD.into_iter().chain(also.iter().map(String::as_str));
    let headers = told.map(|name| (name.to_owned(), message.headers.get(name).cloned().flatten())).collect();
    let multipart = message.body.as_deref().is_some_and(|body| body.starts_with("------"));
    WireMessage { headers, body: message.body.clone().filter(|_| !multipart), ..message.clone() }
}

/// The token of all predictions: they never meet.
fn fixed_token() -> Option<Token> {
    "~crosscheckprediction".parse().ok()
}

/// The observed form of a performance.
#[must_use]
pub fn outcome(mut page: Vec<PageResult>, wire: Vec<WireMessage>, blocked: Option<NetworkError>) -> Outcome {
    page.iter_mut().for_each(PageResult::strip_tokens);
    let grade = grade(&page, &wire);
    let reason = blocked.and_then(|error| {
        let classes = error.class.into_iter().chain(error.also).map(str::to_owned).collect();
        error.class.map(|_| Reason { classes, text: None })
    });
    Outcome { page, wire: Some(wire), grade, reason }
}

/// The form in which a message is observed at a server.
#[must_use]
pub fn wire_message(message: &Message) -> WireMessage {
    let headers: BTreeMap<String, Option<String>> = message
        .headers
        .iter()
        .map(|(name, _)| {
            let name = name.decode().to_ascii_lowercase();
            let value = message.headers.get(&name).map(|value| strip_tokens(&value.decode()));
            (name, value)
        })
        .collect();
    WireMessage {
        method: message.method.to_string(),
        preflight: is_preflight(&message.method, &message.headers),
        url: Some(strip_tokens(message.url.as_str())),
        headers,
        body: Some(strip_tokens(&String::from_utf8_lossy(&message.body))),
        step: Some(message.step),
    }
}

/// The fake servers of one case, in memory.
struct Servers<L> {
    site: Site,
    counts: HashMap<Route, Counts>,
    /// Gets every request before it is answered.
    log: L,
    /// What the server does on the WebSocket connection that it accepted last.
    script: Vec<WebSocketAction>,
}

impl<L: FnMut(&Message)> Servers<L> {
    fn answer(&mut self, message: Message) -> Answer {
        if let MessageKind::Conversation { send, messages } = &message.kind {
            return Answer::Conversation(converse(&self.script, send.as_deref(), *messages));
        }
        (self.log)(&message);
        let Some(request) = request(message) else { return Answer::Failed(Failure::Connection) };
        let found = Token::split(&request.target).and_then(|(_, path)| self.site.find(&request.origin, path));
        let Some((route, behaviour)) = found else {
            return Answer::Response(Received { status: 404, complete: true, ..Received::default() });
        };
        let counts = self.counts.entry(route).or_default();
        counts.add(&request);
        let reply = respond(&behaviour, &request, *counts);
        if let Reply::WebSocket(_, script) = &reply.message {
            self.script.clone_from(script);
        }
        received(reply.message, &request, reply.delay)
    }
}

/// The request as a fake server receives it.
fn request(message: Message) -> Option<Request> {
    let Message { url, method, headers, body, .. } = message;
    let Origin::Tuple(origin) = Origin::of(&url) else { return None };
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    Some(Request { method, origin, target, headers, body, protocol: Protocol::Http11 })
}

/// What a client makes of a reply.
fn received(reply: Reply, request: &Request, took: Duration) -> Answer {
    match reply {
        // Lines that frame the body by hand may contradict each other, and then it is no response.
        Reply::Response(response) if is_framed_by_hand(&response.headers) => {
            let is_head = request.method == *"HEAD";
            Answer::read(&read_response(&response.http1(is_head), is_head, true), took)
        }
        Reply::Response(response) => Answer::Response(response_received(request, response, took, true)),
        Reply::WebSocket(response, _) => Answer::Response(response_received(request, response, took, true)),
        Reply::Verbatim(bytes) => Answer::read(&read_response(bytes.as_bytes(), request.method == *"HEAD", true), took),
        Reply::Fault(Fault::ResetInBody, response) => {
            Answer::Response(response_received(request, response, took, false))
        }
        Reply::Fault(Fault::NeverAnswer, _) => Answer::Never,
        Reply::Fault(Fault::Reset | Fault::Close | Fault::ResetInHeaders, _) => Answer::Failed(Failure::Connection),
    }
}

fn is_framed_by_hand(headers: &Fields) -> bool {
    headers.contains("content-length") || headers.contains("transfer-encoding")
}

fn response_received(request: &Request, response: Response, took: Duration, complete: bool) -> Received {
    let has_no_body = request.method == *"HEAD" || ends_with_head(response.status);
    let mut headers: Fields = response.headers;
    let pauses = u32::try_from(response.body.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let took = took.saturating_add(response.pause.saturating_mul(pauses));
    let mut body = response.body.concat();
    let mut complete = complete;
    match response.framing {
        Framing::Length(length) => {
            headers.push("Content-Length", length.to_string().as_str());
            let stated = usize::try_from(length).unwrap_or(usize::MAX);
            complete &= has_no_body || stated <= body.len();
            body.truncate(stated);
        }
        Framing::Chunked => headers.push("Transfer-Encoding", "chunked"),
        Framing::Close | Framing::None => {}
    }
    Received { status: response.status, reason: response.reason, headers, body, complete, took }
}

/// What a page sees of a server's script, which it ends by closing after so many messages.
fn converse(script: &[WebSocketAction], send: Option<&str>, messages: u32) -> Vec<SocketEvent> {
    let normal = SocketEvent::Close { code: 1000, clean: true };
    let mut events = Vec::new();
    if messages == 0 {
        return vec![normal];
    }
    for action in script {
        match action {
            WebSocketAction::Send(text) => events.push(SocketEvent::Message(text.clone())),
            WebSocketAction::Echo => events.extend(send.map(|text| SocketEvent::Message(text.to_owned()))),
            WebSocketAction::Close(code) => {
                events.push(SocketEvent::Close { code: *code, clean: true });
                return events;
            }
        }
        if events.len() == messages as usize {
            events.push(normal);
            return events;
        }
    }
    events
}

/// [`Performance`] as seen by drivers that log by themselves.
impl Performance {
    /// The observed form, with what arrived at the servers.
    #[must_use]
    pub fn observed(self, wire: Vec<WireMessage>) -> Outcome {
        outcome(self.page, wire, self.blocked)
    }
}
