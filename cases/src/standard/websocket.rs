//! WebSockets: the constructor, *establish a WebSocket connection*, and what a page sees. (`ws.*`)

use crosscheck_servers::{ByteString, Fields};

use super::fetch::{NetworkError, UserAgent};
use super::header_value::{is_token, is_token_byte};
use super::http_fetch::is_redirect;
use super::machine::{Answer, Message, MessageKind, SocketEvent};
use super::page::{StepResult, exception, of_kind};
use super::request::{Cache, Credentials, Mode, Redirect, Referrer, Request};
use super::request_class::parse_url;
use crate::{PageResult, ResultKind, WebSocketProbe};

/// The key of the example in RFC 6455. A real agent sends 16 random bytes. (`ws.handshake.6`)
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
                self.trace.rule("ws.feedback.fail-events", true);
                self.trace.rule("ws.feedback.fail-code", true);
                let events = Some(vec!["error".to_owned(), "close 1006 unclean".to_owned()]);
                let page = PageResult { events, protocol: Some(String::new()), ..of_kind(ResultKind::NetworkError) };
                (page, Some(error))
            }
        }
    }

    /// The constructor, and establish 1 to 10.
    fn handshake_request(&mut self, url: &str, options: &WebSocketProbe) -> Result<Request, &'static str> {
        const SYNTAX_ERROR: &str = "SyntaxError";
        let trace = &mut self.trace;
        let Some(mut url) = parse_url(&self.client, url) else {
            trace.rule("ws.constructor.3", true);
            return Err(SYNTAX_ERROR);
        };
        let scheme = match url.scheme() {
            "ws" => "http",
            "http" if trace.rule("ws.constructor.4", true) => "http",
            "wss" => "https",
            "https" if trace.rule("ws.constructor.5", true) => "https",
            _ => {
                trace.rule("ws.constructor.6", true);
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
        // These special schemes can be exchanged. (`ws.handshake.1a`, `ws.connection.5`)
        let _ = url.set_scheme(scheme);
        let mut request = Request::new(url, self.client.origin.clone());
        request.mode = Mode::WebSocket; // `ws.handshake.2.mode-cors`, `ws.handshake.2.mode-preflight`
        request.credentials = Credentials::Include; // `ws.handshake.2.credentials`
        request.cache = Cache::NoStore; // `ws.handshake.2.cache`
        request.redirect = Redirect::Error; // `ws.handshake.2.redirect`
        request.referrer = Referrer::NoReferrer; // `ws.handshake.2.referrer`
        request.headers.push("Upgrade", "websocket"); // 3 (`ws.handshake.3`)
        request.headers.push("Connection", "Upgrade"); // 4 (`ws.handshake.4`)
        request.headers.push("Sec-WebSocket-Key", KEY); // 6 (`ws.handshake.6`)
        request.headers.push("Sec-WebSocket-Version", "13"); // 7 (`ws.handshake.7`)
        if options.protocols.is_empty() {
            trace.rule("ws.handshake.8b", true);
        } else if trace.rule("ws.handshake.8a", true) {
            request.headers.push("Sec-WebSocket-Protocol", options.protocols.join(", ").as_str());
        }
        request.headers.push("Sec-WebSocket-Extensions", "permessage-deflate"); // 10 (`ws.handshake.10`)
        Ok(request)
    }

    /// Establish 11 and what follows: the subprotocol and the events.
    async fn establish(
        &mut self,
        mut request: Request,
        options: &WebSocketProbe,
    ) -> Result<(ByteString, Vec<String>), NetworkError> {
        let response = match self.main_fetch(&mut request, false).await {
            Err(error) if error.class == Some("redirect-in-error-mode") => {
                return Err(NetworkError::new("websocket-status", "ws.handshake.2.redirect"));
            }
            other => other?,
        };
        let (status, headers) = (response.received.status, &response.received.headers);
        if (status != 101 || is_redirect(status)) && self.trace.rule("ws.handshake.11.1a", true) {
            return Err(NetworkError::new("websocket-status", "ws.handshake.11.1a"));
        }
        let protocol = self.check_handshake(options, headers)?;
        self.trace.rule("ws.feedback.open", true);
        let mut events = vec!["open".to_owned()];
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
        let is = |name: &str, wanted: &str| {
            headers
                .get(name)
                .is_some_and(|value| value.decode().split(',').any(|token| token.trim().eq_ignore_ascii_case(wanted)))
        };
        let handshake = |requirement| Err(NetworkError::new("websocket-handshake", requirement));
        let upgrade = headers.get("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        if !upgrade && trace.rule("ws.handshake.11.3.2", true) {
            return handshake("ws.handshake.11.3.2");
        }
        if !is("connection", "upgrade") && trace.rule("ws.handshake.11.3.3", true) {
            return handshake("ws.handshake.11.3.3");
        }
        let accepted = headers.get("sec-websocket-accept").is_some_and(|value| value == *ACCEPT);
        if !accepted && trace.rule("ws.handshake.11.3.4", true) {
            return handshake("ws.handshake.11.3.4");
        }
        let foreign = headers.get("sec-websocket-extensions").is_some_and(|value| {
            value
                .decode()
                .split(',')
                .map(|extension| extension.split(';').next().unwrap_or_default().trim().to_owned())
                .any(|extension| !extension.is_empty() && extension != "permessage-deflate")
        });
        if foreign && trace.rule("ws.handshake.11.3.5", true) {
            return handshake("ws.handshake.11.3.5");
        }
        let lines: Vec<&ByteString> = headers.all("sec-websocket-protocol").collect();
        let block = |requirement| Err(NetworkError::new("websocket-protocol", requirement));
        match (lines.as_slice(), options.protocols.is_empty()) {
            ([], true) => Ok(ByteString::default()),
            ([], false) => {
                if trace.rule("ws.handshake.11.2a", true) {
                    block("ws.handshake.11.2a")
                } else {
                    Ok(ByteString::default())
                }
            }
            ([protocol], true) => {
                if trace.rule("ws.handshake.11.3.6b", true) {
                    block("ws.handshake.11.3.6b")
                } else {
                    Ok((*protocol).clone())
                }
            }
            ([protocol], false) => {
                let text = protocol.decode();
                let malformed = text.is_empty() || !text.bytes().all(is_token_byte);
                if malformed && trace.rule("ws.handshake.11.2b", true) {
                    return block("ws.handshake.11.2b");
                }
                let offered = options.protocols.iter().any(|offered| offered.as_str() == text);
                if !offered && trace.rule("ws.handshake.11.3.6a", true) {
                    return block("ws.handshake.11.3.6a");
                }
                Ok((*protocol).clone())
            }
            ([first, ..], asked) => {
                let requirement = if asked { "ws.handshake.11.3.6b" } else { "ws.handshake.11.2b" };
                if trace.rule(requirement, true) { block(requirement) } else { Ok((*first).clone()) }
            }
        }
    }
}
