use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};

use crate::behaviour::DEFAULT_STATUS;
use crate::{
    Behaviour, Body, ByteString, Condition, Fields, Framing, HeaderTest, Length, Message, Reply, Request, RequestCount,
    Response, Token, WebSocketAccept, WebSocketAction, WebSocketAnswer, ends_with_head,
};

/// How many requests a route has had so far, the present one included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// CORS preflights.
    pub preflights: u32,
    /// All other requests.
    pub others: u32,
}

impl Counts {
    /// Counts a request.
    pub fn add(&mut self, request: &Request) {
        if request.is_preflight() {
            self.preflights += 1;
        } else {
            self.others += 1;
        }
    }

    fn of(self, request: &Request) -> u32 {
        if request.is_preflight() { self.preflights } else { self.others }
    }
}

/// What a fake server does with `request`: a function of values, without any I/O. `counts` already includes the
/// request.
#[must_use]
pub fn respond(behaviour: &Behaviour, request: &Request, counts: Counts) -> Reply {
    let count = counts.of(request);
    let behaviour = select(behaviour, request, count);
    Reply {
        after: behaviour.after.clone(),
        delay: Duration::from_millis(behaviour.delay_ms.into()),
        message: message(behaviour, &Filler { request, count }),
    }
}

/// Follows `preflight` and `rules` to the answer that is meant for this request.
fn select<'b>(mut behaviour: &'b Behaviour, request: &Request, count: u32) -> &'b Behaviour {
    loop {
        if let Some(preflight) = behaviour.preflight.as_deref().filter(|_| request.is_preflight()) {
            behaviour = preflight;
        } else if let Some(rule) = behaviour.rules.iter().find(|rule| holds(&rule.condition, request, count)) {
            behaviour = &rule.then;
        } else {
            return behaviour;
        }
    }
}

fn holds(condition: &Condition, request: &Request, count: u32) -> bool {
    let Condition { method, preflight, origin, cookie, headers, request: number, not } = condition;
    (method.is_empty() || method.contains(&request.method))
        && preflight.is_none_or(|wanted| wanted == request.is_preflight())
        && (origin.is_empty() || request.headers.get("origin").is_some_and(|value| origin.contains(&value)))
        && cookie.as_deref().is_none_or(|wanted| has_cookie(request, wanted))
        && headers.iter().all(|(name, test)| passes(test, request.headers.get(name)))
        && number.is_none_or(|wanted| match wanted {
            RequestCount::Is(number) => count == number,
            RequestCount::From(number) => count >= number,
        })
        && not.as_deref().is_none_or(|not| !holds(not, request, count))
}

fn passes(test: &HeaderTest, value: Option<ByteString>) -> bool {
    match (test, value) {
        (HeaderTest::Present, value) => value.is_some(),
        (HeaderTest::Absent, value) => value.is_none(),
        (HeaderTest::Is(wanted), value) => value.as_ref() == Some(wanted),
        (HeaderTest::Contains(wanted), Some(value)) => value.decode().contains(&*wanted.decode()),
        (HeaderTest::Begins(wanted), Some(value)) => value.as_bytes().starts_with(wanted.as_bytes()),
        (HeaderTest::Ends(wanted), Some(value)) => value.as_bytes().ends_with(wanted.as_bytes()),
        (HeaderTest::Contains(_) | HeaderTest::Begins(_) | HeaderTest::Ends(_), None) => false,
    }
}

fn has_cookie(request: &Request, wanted: &str) -> bool {
    request.headers.all("cookie").any(|line| {
        line.decode().split(';').map(str::trim).any(|cookie| {
            cookie == wanted
                || (!wanted.contains('=') && cookie.split_once('=').is_some_and(|(name, _)| name == wanted))
        })
    })
}

fn message(behaviour: &Behaviour, filler: &Filler<'_>) -> Message {
    if let Some(bytes) = &behaviour.verbatim {
        return Message::Verbatim(bytes.clone());
    }
    if let Some(answer) = behaviour.websocket.as_ref().filter(|_| filler.request.is_websocket()) {
        return websocket(answer, filler);
    }
    let response = response(behaviour, filler);
    match behaviour.fault {
        Some(fault) => Message::Fault(fault, response),
        None => Message::Response(response),
    }
}

fn response(behaviour: &Behaviour, filler: &Filler<'_>) -> Response {
    let mut headers: Fields = behaviour
        .headers
        .iter()
        .filter_map(|(name, value)| filler.fill_bytes(value).map(|value| (name.clone(), value)))
        .collect();
    if let Some(url) = &behaviour.redirect {
        headers.push("Location", ByteString::from(filler.fill(url).as_str()));
    }
    for cookie in &behaviour.cookies {
        headers.push("Set-Cookie", filler.set_cookie(&cookie.name, &cookie.value, &cookie.attributes));
    }
    // Nobody reads the body of a preflight's answer, and browsers that leave it unread give up the connection.
    let unstated = behaviour.body == Body::default();
    let content = if unstated && filler.request.is_preflight() { &Body::Empty } else { &behaviour.body };
    if let Some(content_type) = content.content_type().filter(|_| !headers.contains("content-type")) {
        headers.push("Content-Type", content_type);
    }
    let status = match behaviour.redirect {
        Some(_) if behaviour.status == DEFAULT_STATUS => 302,
        _ => behaviour.status,
    };
    let mut body = content.pieces(|text| filler.fill(text));
    let size = body.iter().map(|piece| piece.len() as u64).sum();
    let bodiless = ends_with_head(status);
    let in_pieces = matches!(content, Body::Pieces(_) | Body::Events(_));
    let framing = match behaviour.length {
        Length::True if bodiless => Framing::None,
        Length::True if in_pieces => Framing::Chunked,
        Length::True => Framing::Length(size),
        Length::Chunked => Framing::Chunked,
        Length::Close => Framing::Close,
        Length::Stated(length) => Framing::Length(length),
    };
    if bodiless || filler.request.method == *"HEAD" {
        body.clear();
    }
    let reason = behaviour.reason.clone().unwrap_or_else(|| reason_phrase(status));
    Response { status, reason, headers, body, framing, pause: Duration::from_millis(behaviour.pause_ms.into()) }
}

/// The registered reason phrase, empty for an unregistered status.
pub(crate) fn reason_phrase(status: u16) -> ByteString {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default().into()
}

/// RFC 6455, 4.2.2.
fn websocket(answer: &WebSocketAnswer, filler: &Filler<'_>) -> Message {
    let mut headers = Fields::new();
    headers.push("Upgrade", "websocket");
    headers.push("Connection", "Upgrade");
    let key = match answer.accept {
        WebSocketAccept::Right => filler.request.headers.get("sec-websocket-key"),
        WebSocketAccept::Wrong => Some("another key".into()),
        WebSocketAccept::Missing => None,
    };
    if let Some(key) = key {
        headers.push("Sec-WebSocket-Accept", accept_value(&key).as_str());
    }
    if let Some(protocol) = &answer.protocol {
        headers.push("Sec-WebSocket-Protocol", protocol.clone());
    }
    for name in &answer.leave_out {
        headers.remove(name);
    }
    for (name, value) in &answer.headers {
        if let Some(value) = filler.fill_bytes(value) {
            headers.push(name.clone(), value);
        }
    }
    let script = answer
        .then
        .iter()
        .map(|action| match action {
            WebSocketAction::Send(text) => WebSocketAction::Send(filler.fill(text)),
            other => other.clone(),
        })
        .collect();
    let response = |status, framing| {
        let reason = reason_phrase(status);
        Response { status, reason, headers, body: Vec::new(), framing, pause: Duration::ZERO }
    };
    match answer.status {
        Some(status) if status != 101 => Message::Response(response(status, Framing::Length(0))),
        _ => Message::WebSocket(response(101, Framing::None), script),
    }
}

fn accept_value(key: &ByteString) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(hash.finalize())
}

/// Puts parts of the request in the place of `{request.…}` placeholders.
struct Filler<'r> {
    request: &'r Request,
    count: u32,
}

impl Filler<'_> {
    fn value(&self, placeholder: &str) -> Option<ByteString> {
        match placeholder.strip_prefix("request.")? {
            "origin" => self.request.headers.get("origin"),
            "method" => Some(self.request.method.clone()),
            "count" => Some(self.count.to_string().as_str().into()),
            "body" => Some(self.request.body.as_slice().into()),
            other => self.request.headers.get(other.strip_prefix("header ")?),
        }
    }

    /// The bytes with all placeholders filled, or nothing where one has no value.
    fn fill_bytes(&self, template: &ByteString) -> Option<ByteString> {
        let mut rest = template.as_bytes();
        if !rest.contains(&b'{') {
            return Some(template.clone());
        }
        let mut filled = Vec::new();
        while let Some((before, placeholder, after)) = next_placeholder(rest) {
            filled.extend_from_slice(before);
            filled.extend_from_slice(self.value(placeholder)?.as_bytes());
            rest = after;
        }
        filled.extend_from_slice(rest);
        Some(filled.into())
    }

    /// The text with all placeholders filled, an absent value as nothing.
    fn fill(&self, template: &str) -> String {
        let mut rest = template.as_bytes();
        let mut filled = Vec::new();
        while let Some((before, placeholder, after)) = next_placeholder(rest) {
            filled.extend_from_slice(before);
            filled.extend_from_slice(self.value(placeholder).unwrap_or_default().as_bytes());
            rest = after;
        }
        filled.extend_from_slice(rest);
        String::from_utf8_lossy(&filled).into_owned()
    }

    fn set_cookie(&self, name: &ByteString, value: &ByteString, attributes: &ByteString) -> ByteString {
        let mut line = [name.as_bytes(), b"=", self.fill_bytes(value).unwrap_or_default().as_bytes()].concat();
        if !attributes.as_bytes().is_empty() {
            line.extend_from_slice(b"; ");
            line.extend_from_slice(attributes.as_bytes());
        }
        let states_path = attributes
            .decode()
            .split(';')
            .any(|attribute| attribute.split('=').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("path")));
        if let Some((token, _)) = Token::split(&self.request.target).filter(|_| !states_path) {
            line.extend_from_slice(format!("; Path=/{token}/").as_bytes());
        }
        line.into()
    }
}

/// The text before the first `{request.…}`, the placeholder without braces, and the text after it.
fn next_placeholder(text: &[u8]) -> Option<(&[u8], &str, &[u8])> {
    let start = text.windows(9).position(|window| window == b"{request.")?;
    let end = start + text[start..].iter().position(|byte| *byte == b'}')?;
    let placeholder = std::str::from_utf8(&text[start + 1..end]).ok()?;
    Some((&text[..start], placeholder, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Protocol, Scheme};

    fn behaviour(json: serde_json::Value) -> Behaviour {
        serde_json::from_value(json).expect("a behaviour")
    }

    fn request(method: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: method.into(),
            origin: crate::Origin::from_authority(Scheme::Https, "api.other.test").expect("an origin"),
            target: "/~aaaaaaaaaaaaaaaaaaaa/".to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: Vec::new(),
            protocol: Protocol::Http11,
        }
    }

    fn answer(json: serde_json::Value, method: &str, headers: &[(&str, &str)]) -> Response {
        let request = request(method, headers);
        let mut counts = Counts::default();
        counts.add(&request);
        match respond(&behaviour(json), &request, counts).message {
            Message::Response(response) => response,
            other => panic!("expected a response, got {other:?}"),
        }
    }

    const PREFLIGHT: &[(&str, &str)] = &[("Origin", "https://page.test"), ("Access-Control-Request-Method", "PUT")];

    #[test]
    fn nothing_stated_is_a_200_with_a_text_and_no_cors_header() {
        let response = answer(json!({}), "GET", &[]);
        assert_eq!((response.status, response.reason), (200, "OK".into()));
        assert_eq!(response.headers.iter().count(), 1);
        assert_eq!(response.headers.get("content-type"), Some("text/plain; charset=utf-8".into()));
        assert_eq!((response.body.concat(), response.framing), (b"hello".to_vec(), Framing::Length(5)));
    }

    #[test]
    fn a_preflight_has_an_answer_of_its_own() {
        let rules = json!({"status": 201, "preflight": {"status": 204}});
        assert_eq!(answer(rules.clone(), "OPTIONS", PREFLIGHT).status, 204);
        assert_eq!(answer(rules.clone(), "OPTIONS", &[]).status, 201, "an OPTIONS that is no preflight");
        assert_eq!(answer(rules, "PUT", &PREFLIGHT[..1]).status, 201);
    }

    #[test]
    fn a_preflight_is_answered_without_a_body_unless_one_is_stated() {
        let response = answer(json!({}), "OPTIONS", PREFLIGHT);
        assert_eq!((response.body.concat(), response.framing), (Vec::new(), Framing::Length(0)));
        assert!(!response.headers.contains("content-type"));
        assert_eq!(answer(json!({"body": "text"}), "OPTIONS", PREFLIGHT).body.concat(), b"text");
    }

    #[test]
    fn an_origin_is_reflected_and_left_out_where_none_was_sent() {
        let reflecting = json!({"headers": [["Access-Control-Allow-Origin", "{request.origin}"], ["Vary", "Origin"]]});
        let response = answer(reflecting.clone(), "GET", PREFLIGHT);
        assert_eq!(response.headers.get("access-control-allow-origin"), Some("https://page.test".into()));
        let response = answer(reflecting, "GET", &[]);
        assert!(!response.headers.contains("access-control-allow-origin"));
        assert!(response.headers.contains("vary"));
    }

    #[test]
    fn the_first_rule_that_holds_replaces_the_answer() {
        let rules = json!({"rules": [
            {"if": {"cookie": "session=1"}, "then": {"status": 201}},
            {"if": {"headers": {"if-none-match": {"is": "\"v1\""}}}, "then": {"status": 304}},
            {"if": {"origin": ["https://a.test"], "not": {"method": ["GET"]}}, "then": {"status": 202}},
            {"if": {"headers": {"authorization": "absent"}, "request": {"from": 1}, "method": ["DELETE"]},
             "then": {"status": 401}}
        ]});
        for (method, headers, status) in [
            ("GET", &[("Cookie", "a=b; session=1")][..], 201),
            ("GET", &[("Cookie", "session=2")], 200),
            ("GET", &[("If-None-Match", "\"v1\"")], 304),
            ("POST", &[("Origin", "https://a.test")], 202),
            ("GET", &[("Origin", "https://a.test")], 200),
            ("DELETE", &[], 401),
        ] {
            assert_eq!(answer(rules.clone(), method, headers).status, status, "{method} {headers:?}");
        }
    }

    #[test]
    fn a_cookie_stays_within_its_token_unless_it_names_a_path() {
        let response = answer(
            json!({"cookies": [{"name": "a", "value": "1"}, {"name": "b", "attributes": "path=/; Secure"}]}),
            "GET",
            &[],
        );
        let lines: Vec<String> = response.headers.all("set-cookie").map(ToString::to_string).collect();
        assert_eq!(lines, ["a=1; Path=/~aaaaaaaaaaaaaaaaaaaa/", "b=; path=/; Secure"]);
    }

    #[test]
    fn a_redirect_is_a_302_unless_it_states_a_status() {
        let response = answer(json!({"redirect": "https://other.test/"}), "GET", &[]);
        assert_eq!((response.status, response.headers.get("location")), (302, Some("https://other.test/".into())));
        assert_eq!(answer(json!({"redirect": "/", "status": 307}), "GET", &[]).status, 307);
    }

    #[test]
    fn the_answer_to_head_announces_the_body_and_sends_none() {
        let response = answer(json!({}), "HEAD", &[]);
        assert_eq!((response.body.concat(), response.framing), (Vec::new(), Framing::Length(5)));
        assert_eq!(answer(json!({"status": 204}), "GET", &[]).framing, Framing::None);
    }

    #[test]
    fn a_websocket_handshake_is_answered_with_the_value_of_rfc_6455() {
        let request = request("GET", &[("Upgrade", "websocket"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]);
        let reply = respond(&behaviour(json!({"websocket": {"then": ["echo"]}})), &request, Counts::default());
        let Message::WebSocket(response, script) = reply.message else { panic!("{reply:?}") };
        assert_eq!(response.headers.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into()));
        assert_eq!(script, [WebSocketAction::Echo]);
        let without = behaviour(json!({"websocket": {"leave-out": ["connection"], "headers": [["X-A", "1"]]}}));
        let Message::WebSocket(response, _) = respond(&without, &request, Counts::default()).message else { panic!() };
        let names: Vec<String> = response.headers.iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, ["Upgrade", "Sec-WebSocket-Accept", "X-A"]);
        let refused = respond(&behaviour(json!({"websocket": {"status": 200}})), &request, Counts::default());
        let Message::Response(response) = refused.message else { panic!("{refused:?}") };
        assert_eq!((response.status, response.framing), (200, Framing::Length(0)));
        assert_eq!(response.headers.get("upgrade"), Some("websocket".into()));
        let plain = respond(&behaviour(json!({"status": 403})), &request, Counts::default());
        assert!(matches!(plain.message, Message::Response(Response { status: 403, .. })));
    }
}
