//! WebSockets: the constructor, *establish a WebSocket connection*, and what a page sees. (`ws.*`)

use crosscheck_servers::{ByteString, Fields, is_token};
use url::Url;

use super::fetch::{NetworkError, UserAgent};
use super::machine::{Answer, Message, MessageKind, SocketEvent};
use super::page::{StepResult, exception, of_kind};
use super::request::{Cache, Credentials, Mode, Redirect, Referrer, Request};
use super::request_class::parse_url;
use super::trace::Trace;
use crate::{PageResult, ResultKind, WebSocketProbe};

/// The header lines of every handshake, with their requirements.
const HANDSHAKE_HEADERS: [(&str, &str, &str); 5] = [
    ("ws.handshake.3", "Upgrade", "websocket"),
    ("ws.handshake.4", "Connection", "Upgrade"),
    ("ws.handshake.6", "Sec-WebSocket-Key", KEY),
    ("ws.handshake.7", "Sec-WebSocket-Version", "13"),
    ("ws.handshake.10", "Sec-WebSocket-Extensions", "permessage-deflate"),
];

/// The key of the example in RFC 6455. A real agent sends 16 random bytes.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What accepts that key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

impl UserAgent {
    /// `new WebSocket()`, and the events up to the end of the connection.
    pub(crate) async fn websocket_step(&mut self, url: &str, options: &WebSocketProbe) -> StepResult {
        let request = match self.handshake_request(url, options) {
            Ok(request) => request,
            Err(name) => return (exception(name), None),
        };
        match self.establish(request, options).await {
            Ok((protocol, events)) => {
                let page = PageResult {
                    events: Some(events),
                    protocol: Some(protocol.decode().into_owned()),
                    ..of_kind(ResultKind::Response)
                };
                (page, None)
            }
            Err(NetworkError::NEVER) => (of_kind(ResultKind::Timeout), None),
            Err(error) => {
                let trace = &mut self.trace;
                if !trace.rule("ws.handshake.11.1b", true) {
                    return (of_kind(ResultKind::Timeout), Some(error));
                }
                let mut events = Vec::new();
                if trace.rule("ws.feedback.fail-events", true) {
                    events.push("error".to_owned());
                }
                let indistinct =
                    trace.rule("ws.feedback.fail-code", true) && trace.rule("ws.feedback.fail-indistinct", true);
                events.push(format!("close {} unclean", if indistinct { 1006 } else { 1002 }));
                let events = Some(events);
                let page = PageResult { events, protocol: Some(String::new()), ..of_kind(ResultKind::NetworkError) };
                (page, Some(error))
            }
        }
    }

    /// The constructor, and establish 1 to 10.
    fn handshake_request(&mut self, url: &str, options: &WebSocketProbe) -> Result<Request, &'static str> {
        const SYNTAX_ERROR: &str = "SyntaxError";
        let trace = &mut self.trace;
        let is_relative = Url::parse(url).is_err();
        let Some(mut url) = parse_url(&self.client, url) else {
            trace.note("ws.constructor.3", true);
            return Err(SYNTAX_ERROR);
        };
        if is_relative && !trace.rule("ws.constructor.2", true) {
            return Err(SYNTAX_ERROR);
        }
        let scheme = match url.scheme() {
            "ws" if trace.rule("ws.handshake.1a", true) => "http",
            "http" if trace.rule("ws.constructor.4", true) => "http",
            "wss" if trace.rule("ws.connection.5", true) => "https",
            "https" if trace.rule("ws.constructor.5", true) => "https",
            "ws" => "https",
            "wss" => "http",
            _ => {
                trace.note("ws.constructor.6", true);
                return Err(SYNTAX_ERROR);
            }
        };
        if trace.rule("ws.constructor.7", url.fragment().is_some()) {
            return Err(SYNTAX_ERROR);
        }
        let mut seen: Vec<&String> = Vec::new();
        for protocol in &options.protocols {
            if trace.rule("ws.constructor.9a", seen.contains(&protocol))
                || trace.rule("ws.constructor.9b", !is_token(protocol.as_bytes()))
            {
                return Err(SYNTAX_ERROR);
            }
            seen.push(protocol);
        }
        url.set_fragment(None);
        // These special schemes can be exchanged.
        let _ = url.set_scheme(scheme); // establish 1
        if url.query().is_some() && !trace.rule("ws.connection.4", true) {
            url.set_query(None);
        }
        let mut request = Request::new(url, self.client.origin.clone());
        request.mode = Mode::WebSocket; // 2
        if !trace.rule("ws.handshake.2.method", true) {
            request.method = "POST".into();
        }
        // In mode same-origin they would go along too: the response tainting of a handshake is basic.
        let includes = trace.rule("ws.handshake.2.credentials", true);
        request.credentials = if includes { Credentials::Include } else { Credentials::Omit };
        if trace.rule("ws.handshake.2.cache", true) {
            request.cache = Cache::NoStore;
        }
        if trace.rule("ws.handshake.2.redirect", true) {
            request.redirect = Redirect::Error;
        }
        if trace.rule("ws.handshake.2.referrer", true) {
            request.referrer = Referrer::NoReferrer;
        }
        for (requirement, name, value) in HANDSHAKE_HEADERS {
            if trace.rule(requirement, true) {
                request.headers.push(name, value); // 3 to 7, 10
            }
        }
        let protocols = options.protocols.join(", ");
        if options.protocols.is_empty() {
            if !trace.rule("ws.handshake.8b", true) {
                request.headers.push("Sec-WebSocket-Protocol", "");
            }
        } else if trace.rule("ws.handshake.8a", true) {
            request.headers.push("Sec-WebSocket-Protocol", protocols.as_str());
        }
        Ok(request)
    }

    /// Establish 11 and what follows: the subprotocol and the events.
    async fn establish(
        &mut self,
        mut request: Request,
        options: &WebSocketProbe,
    ) -> Result<(ByteString, Vec<String>), NetworkError> {
        let response = match self.fetching(&mut request).await {
            Err(error) if error.requirement == "fetch.http-fetch.6.3.error" => {
                return Err(NetworkError::new("websocket-status", "ws.handshake.2.redirect"));
            }
            other => other?,
        };
        let (status, headers) = (response.received.status, &response.received.headers);
        if status != 101 && self.trace.rule("ws.handshake.11.1a", true) {
            return Err(NetworkError::new("websocket-status", "ws.handshake.11.1a"));
        }
        let protocol = self.check_handshake(options, headers)?;
        let mut events = Vec::new();
        if self.trace.rule("ws.feedback.open", true) {
            events.push("open".to_owned());
        }
        let conversation = Message {
            step: self.step,
            kind: MessageKind::Conversation { send: options.send.clone(), messages: options.messages.unwrap_or(0) },
            method: request.method.clone(),
            url: request.url().clone(),
            headers: Fields::new(),
            body: Vec::new(),
        };
        match self.wire.exchange(conversation).await {
            Answer::Conversation(seen) => events.extend(seen.iter().map(|event| match event {
                SocketEvent::Message(text) => format!("message {text}"),
                SocketEvent::Close { code, clean } => {
                    format!("close {code} {}", if *clean { "clean" } else { "unclean" })
                }
            })),
            _ => return Err(NetworkError::NEVER),
        }
        Ok((protocol, events))
    }

    /// Establish 11.2 to 11.5 and RFC 6455, 4.1: the subprotocol that was agreed.
    fn check_handshake(&mut self, options: &WebSocketProbe, headers: &Fields) -> Result<ByteString, NetworkError> {
        let trace = &mut self.trace;
        let lines: Vec<&ByteString> = headers.all("sec-websocket-protocol").collect();
        let block = |requirement| Err(NetworkError::new("websocket-protocol", requirement));
        // Which of 11.2 and 11.3 comes first shows in nothing but the words of the agent's reason.
        let early = |requirement| {
            let also = check_connection(&mut Trace::default(), headers).err().and_then(|error| error.class);
            Err(NetworkError { also, ..NetworkError::new("websocket-protocol", requirement) })
        };
        let mut answered = headers.get("sec-websocket-protocol");
        if !options.protocols.is_empty() {
            // 11.2
            if lines.is_empty() && trace.rule("ws.handshake.11.2a", true) {
                return early("ws.handshake.11.2a");
            }
            let malformed = lines.len() > 1 || lines.iter().any(|line| !is_token(line.as_bytes()));
            if malformed {
                if trace.rule("ws.handshake.11.2b", true) {
                    return early("ws.handshake.11.2b");
                }
                answered = lines.last().map(|line| (*line).clone());
            }
        }
        check_connection(trace, headers)?; // 11.3
        let Some(protocol) = answered else { return Ok(ByteString::default()) };
        let offered = options.protocols.iter().any(|offered| offered.as_bytes() == protocol.as_bytes());
        if !offered {
            let requirement =
                if options.protocols.is_empty() { "ws.handshake.11.3.6b" } else { "ws.handshake.11.3.6a" };
            if trace.rule(requirement, true) {
                return block(requirement);
            }
        }
        Ok(protocol)
    }
}

/// RFC 6455, 4.1: steps 2 to 5 on the server's handshake.
fn check_connection(trace: &mut Trace, headers: &Fields) -> Result<(), NetworkError> {
    let refuse = |requirement| Err(NetworkError::new("websocket-handshake", requirement));
    let upgrade = headers.get("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    if !upgrade && trace.rule("ws.handshake.11.3.2", true) {
        return refuse("ws.handshake.11.3.2");
    }
    let connection = headers
        .get("connection")
        .is_some_and(|value| value.decode().split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade")));
    if !connection && trace.rule("ws.handshake.11.3.3", true) {
        return refuse("ws.handshake.11.3.3");
    }
    let accepted = headers.get("sec-websocket-accept").is_some_and(|value| value == *ACCEPT);
    if !accepted && trace.rule("ws.handshake.11.3.4", true) {
        return refuse("ws.handshake.11.3.4");
    }
    let foreign = headers.get("sec-websocket-extensions").is_some_and(|value| {
        value
            .decode()
            .split(',')
            .map(|extension| extension.split(';').next().unwrap_or_default().trim().to_owned())
            .any(|extension| !extension.is_empty() && extension != "permessage-deflate")
    });
    if foreign && trace.rule("ws.handshake.11.3.5", true) {
        return refuse("ws.handshake.11.3.5");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_may_agree_on_the_extension_that_was_offered() {
        for (extensions, refused) in [
            (None, None),
            (Some(""), None),
            (Some("permessage-deflate"), None),
            (Some("permessage-deflate; server_no_context_takeover, permessage-deflate"), None),
            (Some("x-other"), Some("ws.handshake.11.3.5")),
            (Some("permessage-deflate, x-other"), Some("ws.handshake.11.3.5")),
        ] {
            let lines = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)];
            let lines = lines.into_iter().chain(extensions.map(|value| ("Sec-WebSocket-Extensions", value)));
            let headers: Fields = lines.map(|(name, value)| (name.into(), value.into())).collect();
            let checked = check_connection(&mut Trace::default(), &headers);
            assert_eq!(checked.err().map(|error| error.requirement), refused, "{extensions:?}");
        }
    }
}
