//! What a fake server answers, laid out for people: one entry for each kind of request that it tells apart.

use crosscheck_servers::{
    Behaviour, Body, Condition, Fault, HeaderTest, Length, RequestCount, WebSocketAccept, WebSocketAction,
};
use serde::Serialize;

/// One answer of a behaviour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Answer {
    /// Which requests get it, such as `a preflight`.
    to: String,
    /// The status code.
    status: u16,
    /// Header lines; those that the servers add are among them.
    headers: Vec<(String, String)>,
    /// The body, in words where it is not text.
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
    /// What is unusual about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// Every answer that a behaviour can give, in the order in which the server chooses between them.
pub(crate) fn answers(behaviour: &Behaviour) -> Vec<Answer> {
    let mut all = Vec::new();
    collect(behaviour, &mut Vec::new(), &mut all);
    all
}

fn collect(behaviour: &Behaviour, conditions: &mut Vec<String>, all: &mut Vec<Answer>) {
    for rule in &behaviour.rules {
        conditions.push(condition(&rule.condition));
        collect(&rule.then, conditions, all);
        conditions.pop();
    }
    if let Some(preflight) = &behaviour.preflight {
        conditions.push("a preflight".to_owned());
        collect(preflight, conditions, all);
        conditions.pop();
    }
    let alone = behaviour.rules.is_empty() && behaviour.preflight.is_none();
    let to = match (conditions.is_empty(), alone) {
        (true, true) => "every request".to_owned(),
        (true, false) => "any other request".to_owned(),
        (false, true) => conditions.join(", and "),
        (false, false) => format!("{}, and anything else", conditions.join(", and ")),
    };
    all.push(answer(behaviour, to));
}

fn answer(behaviour: &Behaviour, to: String) -> Answer {
    let mut status = behaviour.status;
    let mut headers: Vec<(String, String)> =
        behaviour.headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    if !behaviour.headers.contains("content-type")
        && let Some(kind) = behaviour.body.content_type()
    {
        headers.push(("Content-Type".to_owned(), kind.to_owned()));
    }
    for cookie in &behaviour.cookies {
        let attributes = cookie.attributes.to_string();
        let separator = if attributes.is_empty() { "" } else { "; " };
        headers.push(("Set-Cookie".to_owned(), format!("{}={}{separator}{attributes}", cookie.name, cookie.value)));
    }
    if let Some(location) = &behaviour.redirect {
        headers.push(("Location".to_owned(), location.clone()));
        if status == Behaviour::default().status {
            status = 302;
        }
    }
    let mut body = body(&behaviour.body);
    let mut notes = notes(behaviour);
    if let Some(verbatim) = &behaviour.verbatim {
        notes.push("these bytes in place of an HTTP response".to_owned());
        body = verbatim.to_string();
        headers.clear();
    }
    Answer { to, status, headers, body, notes }
}

fn body(body: &Body) -> String {
    match body {
        Body::Empty => String::new(),
        Body::Text(text) | Body::Html(text) | Body::Script(text) | Body::Style(text) => text.clone(),
        Body::Json(value) => value.to_string(),
        Body::File(file) => format!("({file:?} file)").to_lowercase(),
        Body::Bytes(bytes) => bytes.to_string(),
        Body::Pieces(pieces) => pieces.concat(),
        Body::Events(events) => events.iter().map(|event| format!("data: {}\n\n", event.data)).collect(),
        Body::Fill(length) => format!("({length} bytes x)"),
    }
}

fn notes(behaviour: &Behaviour) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(reason) = &behaviour.reason {
        notes.push(format!("reason phrase \"{reason}\""));
    }
    if !behaviour.after.is_empty() {
        notes.push(format!("begins when there was a request for {}", behaviour.after.join(" and ")));
    }
    if behaviour.delay_ms > 0 {
        notes.push(format!("begins after {} ms", behaviour.delay_ms));
    }
    if behaviour.pause_ms > 0 {
        notes.push(format!("{} ms between pieces", behaviour.pause_ms));
    }
    match behaviour.length {
        Length::True => {}
        Length::Chunked => notes.push("in chunks".to_owned()),
        Length::Close => notes.push("ends with the connection".to_owned()),
        Length::Stated(length) => notes.push(format!("states Content-Length {length}")),
    }
    match behaviour.fault {
        None => {}
        Some(Fault::Reset) => notes.push("the connection is reset before anything is sent".to_owned()),
        Some(Fault::Close) => notes.push("the connection is closed before anything is sent".to_owned()),
        Some(Fault::ResetInHeaders) => notes.push("the connection is reset in the middle of the headers".to_owned()),
        Some(Fault::ResetInBody) => notes.push("the connection is reset after half of the body".to_owned()),
        Some(Fault::NeverAnswer) => notes.push("nothing is ever sent".to_owned()),
    }
    if let Some(websocket) = &behaviour.websocket {
        notes.push("a WebSocket handshake is accepted with 101".to_owned());
        match websocket.accept {
            WebSocketAccept::Right => {}
            WebSocketAccept::Wrong => notes.push("Sec-WebSocket-Accept is wrong".to_owned()),
            WebSocketAccept::Missing => notes.push("Sec-WebSocket-Accept is missing".to_owned()),
        }
        if let Some(protocol) = &websocket.protocol {
            notes.push(format!("Sec-WebSocket-Protocol: {protocol}"));
        }
        notes.extend(websocket.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        notes.extend(websocket.then.iter().map(|action| match action {
            WebSocketAction::Send(text) => format!("then sends \"{text}\""),
            WebSocketAction::Echo => "then sends every message back".to_owned(),
            WebSocketAction::Close(code) => format!("then closes with {code}"),
        }));
    }
    notes
}

fn condition(condition: &Condition) -> String {
    let list = |values: &[crosscheck_servers::ByteString]| {
        values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    };
    let mut parts = Vec::new();
    match condition.preflight {
        Some(true) => parts.push("a preflight".to_owned()),
        Some(false) => parts.push("no preflight".to_owned()),
        None => {}
    }
    if !condition.method.is_empty() {
        parts.push(format!("method {}", list(&condition.method)));
    }
    if !condition.origin.is_empty() {
        parts.push(format!("Origin {}", list(&condition.origin)));
    }
    if let Some(cookie) = &condition.cookie {
        parts.push(format!("with the cookie {cookie}"));
    }
    for (name, test) in &condition.headers {
        parts.push(match test {
            HeaderTest::Present => format!("with {name}"),
            HeaderTest::Absent => format!("without {name}"),
            HeaderTest::Is(value) => format!("{name} is \"{value}\""),
            HeaderTest::Contains(value) => format!("{name} contains \"{value}\""),
            HeaderTest::Begins(value) => format!("{name} begins with \"{value}\""),
            HeaderTest::Ends(value) => format!("{name} ends with \"{value}\""),
        });
    }
    match condition.request {
        Some(RequestCount::Is(number)) => parts.push(format!("request number {number}")),
        Some(RequestCount::From(number)) => parts.push(format!("request number {number} and later")),
        None => {}
    }
    if let Some(not) = &condition.not {
        parts.push(format!("not ({})", self::condition(not)));
    }
    if parts.is_empty() { "every request".to_owned() } else { parts.join(", ") }
}
