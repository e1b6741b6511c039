//! Fetch, *main fetch*, and what every algorithm of a fetch shares.

use std::time::Duration;

use crosscheck_servers::{ByteString, Fields};
use url::{Host, Url};

use super::blocking::{blocked_by_csp, blocked_by_mixed_content, is_bad_port};
use super::client::Client;
use super::cookies::CookieJar;
use super::header_value::{Extracted, extract_tokens};
use super::http_cache::HttpCache;
use super::integrity;
use super::lna::AddressSpace;
use super::machine::{Answer, Failure, Message, MessageKind, Received, Wire};
use super::nosniff::mime_checks;
use super::origin::{Origin, registrable_domain};
use super::preflight_cache::{Key, PreflightCache};
use super::redirect_fetch::Location;
use super::referrer::referer;
use super::request::{Credentials, Mode, Redirect, Referrer, Request, Tainting};
use super::safelist::{is_safelisted_method, unsafe_header_names};
use super::trace::Trace;
use crate::ResponseType;

/// Why a fetch came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError {
    /// The class of reason (`cases/reasons.json`); nothing where no answer came in time.
    pub class: Option<&'static str>,
    /// The requirement that decided; empty where none did.
    pub requirement: &'static str,
}

impl NetworkError {
    pub(crate) const fn new(class: &'static str, requirement: &'static str) -> Self {
        Self { class: Some(class), requirement }
    }

    /// Nothing came back while the page waited.
    pub(crate) const NEVER: Self = Self { class: None, requirement: "" };
}

/// A response with its filter. (Fetch, *Responses*)
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) kind: ResponseType,
    /// The *internal response* of a filtered one.
    pub(crate) received: Received,
    pub(crate) url_list: Vec<Url>,
    /// *CORS-exposed header-name list*; nothing where all names are exposed.
    pub(crate) exposed: Option<Vec<ByteString>>,
    pub(crate) has_null_body: bool,
    pub(crate) includes_credentials: bool,
}

impl Response {
    pub(crate) const fn new(received: Received, url_list: Vec<Url>) -> Self {
        Self {
            kind: ResponseType::Default,
            received,
            url_list,
            exposed: Some(Vec::new()),
            has_null_body: false,
            includes_credentials: false,
        }
    }
}

/// What a user agent remembers between fetches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) cookies: CookieJar,
    pub(crate) preflights: PreflightCache,
    pub(crate) http_cache: HttpCache,
    /// *Authentication entries*: origins and Authorization values.
    pub(crate) authentication: Vec<(Origin, ByteString)>,
    pub(crate) now: Duration,
}

/// A user agent at work for one client.
#[derive(Debug)]
pub(crate) struct UserAgent {
    pub(crate) client: Client,
    pub(crate) trace: Trace,
    pub(crate) memory: Memory,
    pub(crate) wire: Wire,
    pub(crate) step: usize,
    /// Messages for the current step; a wrong agent must not go on for ever.
    pub(crate) messages: u32,
    /// When the page stops waiting for the current step.
    pub(crate) deadline: Duration,
    /// Whether a request with a body went out in the current step.
    pub(crate) body_sent: bool,
}

const MESSAGE_LIMIT: u32 = 64;

impl UserAgent {
    pub(crate) fn new(client: Client, trace: Trace, wire: Wire) -> Self {
        Self {
            client,
            trace,
            memory: Memory::default(),
            wire,
            step: 0,
            messages: 0,
            deadline: Duration::MAX,
            body_sent: false,
        }
    }

    /// Sends a message and takes what came back.
    pub(crate) async fn send(
        &mut self,
        kind: MessageKind,
        request: &Request,
        headers: Fields,
    ) -> Result<Received, NetworkError> {
        self.messages += 1;
        if self.messages > MESSAGE_LIMIT {
            return Err(NetworkError::NEVER);
        }
        self.trace.sent();
        let message = Message {
            step: self.step,
            kind,
            method: request.method.clone(),
            url: wire_url(request.url()),
            headers,
            body: request.body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default(),
        };
        self.body_sent |= message.kind == MessageKind::Request && request.body.is_some();
        match self.wire.exchange(message).await {
            Answer::Response(mut received) => {
                self.memory.now = self.memory.now.saturating_add(received.took);
                if self.memory.now > self.deadline {
                    return Err(NetworkError::NEVER);
                }
                received.headers = trim_values(&mut self.trace, &received.headers);
                Ok(received)
            }
            Answer::Failed(Failure::Connection) => {
                Err(NetworkError::new("connection-failed", "fetch.fetch-method.12.3"))
            }
            Answer::Failed(Failure::Malformed) => {
                Err(NetworkError::new("malformed-response", "fetch.fetch-method.12.3"))
            }
            Answer::Conversation(_) | Answer::Never => Err(NetworkError::NEVER),
        }
    }

    /// *Determine the network partition key*: the site of the top-level page.
    pub(crate) fn partition(&self) -> ByteString {
        match &self.client.top_level {
            Origin::Opaque => "null".into(),
            Origin::Tuple(tuple) => {
                let site = registrable_domain(&tuple.host).unwrap_or(&tuple.host);
                format!("{}://{site}", tuple.scheme.as_str()).as_str().into()
            }
        }
    }

    pub(crate) fn preflight_key(&mut self, request: &Request) -> Key {
        Key {
            partition: self.partition(),
            origin: request.serialize_origin(&mut self.trace),
            url: request.url().clone(),
            credentials: request.includes_credentials_mode(),
        }
    }

    /// *Main fetch*
    pub(crate) async fn main_fetch(
        &mut self,
        request: &mut Request,
        recursive: bool,
    ) -> Result<Response, NetworkError> {
        if !recursive {
            request.target_space = target_space(&mut self.trace, request); // lna: fetch 1
        }
        self.should_be_blocked(request)?; // 7
        if request.referrer_policy.is_empty() && self.trace.rule("fetch.main-fetch.8", true) {
            request.referrer_policy.clone_from(&self.client.referrer_policy); // 8
        }
        if request.referrer != Referrer::NoReferrer && self.trace.rule("fetch.main-fetch.9", true) {
            request.referrer = match referer(request, &self.client) {
                Some(url) => Referrer::Url(Box::new(url)),
                None => Referrer::NoReferrer,
            }; // 9
        }
        let response = self.dispatch(request).await; // 12
        if recursive {
            return response; // 13
        }
        let mut response = response?;
        if response.kind != ResponseType::Opaqueredirect {
            self.filter(request, &mut response); // 14
        }
        mime_checks(&mut self.trace, request.destination, &response.received.headers)?; // 20
        let null_status = matches!(response.received.status, 101 | 103 | 204 | 205 | 304);
        if self.trace.rule("fetch.main-fetch.22a", request.method == *"HEAD")
            || self.trace.rule("fetch.main-fetch.22b", null_status)
        {
            response.has_null_body = true; // 22
        }
        self.check_integrity(request, &response)?; // 23
        Ok(response)
    }

    /// Main fetch 7: bad port, mixed content, Content Security Policy.
    pub(crate) fn should_be_blocked(&mut self, request: &Request) -> Result<(), NetworkError> {
        if is_bad_port(&mut self.trace, request.url()) {
            let requirement = if request.redirect_count == 0 { "fetch.bad-port.2a" } else { "fetch.bad-port.2c" };
            if self.trace.rule(requirement, true) {
                return Err(NetworkError::new("bad-port", requirement));
            }
        }
        if blocked_by_mixed_content(&mut self.trace, &self.client, request)
            && self.trace.rule("fetch.main-fetch.7a", true)
        {
            return Err(NetworkError::new("mixed-content", "fetch.main-fetch.7a"));
        }
        if blocked_by_csp(&self.client, request) && self.trace.rule("fetch.main-fetch.7b", true) {
            return Err(NetworkError::new("csp", "fetch.main-fetch.7b"));
        }
        Ok(())
    }

    /// Main fetch 12.
    async fn dispatch(&mut self, request: &mut Request) -> Result<Response, NetworkError> {
        let trace = &mut self.trace;
        let own = Origin::of(request.url()).is_same_origin(&request.origin);
        let http = matches!(request.url().scheme(), "http" | "https");
        if own
            && request.tainting == Tainting::Basic
            && trace.rule(
                if request.mode == Mode::NoCors {
                    "fetch.main-fetch.12.no-cors.sameorigin"
                } else {
                    "fetch.main-fetch.12.same-origin"
                },
                true,
            )
            || trace.rule("fetch.main-fetch.12.data", request.url().scheme() == "data")
            || trace.rule("fetch.main-fetch.12.navigate", request.mode == Mode::WebSocket)
        {
            request.tainting = Tainting::Basic;
            return self.scheme_fetch(request).await;
        }
        trace.rule("fetch.main-fetch.12.same-origin.tainted", own);
        if request.mode == Mode::SameOrigin {
            let requirement = if request.redirect_count == 0 {
                "fetch.main-fetch.12.same-origin-mode"
            } else {
                "fetch.main-fetch.12.same-origin-mode.redirect"
            };
            if trace.rule(requirement, true) {
                return Err(NetworkError::new("cross-origin-in-same-origin-mode", requirement));
            }
        }
        if request.mode == Mode::NoCors {
            let requirement = match request.redirect {
                Redirect::Follow => None,
                Redirect::Error => Some("fetch.main-fetch.12.no-cors.1a"),
                Redirect::Manual => Some("fetch.main-fetch.12.no-cors.1b"),
            };
            if let Some(requirement) = requirement
                && trace.rule(requirement, true)
            {
                return Err(NetworkError::new("no-cors-redirect-mode", requirement));
            }
            if trace.rule("fetch.main-fetch.12.no-cors.2", true) && trace.rule("fetch.main-fetch.12.no-cors.3", true) {
                request.tainting = Tainting::Opaque;
                return self.scheme_fetch(request).await;
            }
        }
        if !http && trace.rule("fetch.main-fetch.12.non-http", true) {
            return Err(NetworkError::new("unsupported-scheme", "fetch.main-fetch.12.non-http"));
        }
        let unsafe_request = request.unsafe_request;
        let needs_preflight = trace.rule("fetch.main-fetch.12.preflight.flag", request.use_cors_preflight)
            || unsafe_request
                && (!is_safelisted_method(trace, &request.method)
                    && trace.rule("fetch.main-fetch.12.preflight.method", true)
                    || !unsafe_header_names(trace, &request.headers).is_empty()
                        && trace.rule("fetch.main-fetch.12.preflight.headers", true));
        request.tainting = Tainting::Cors;
        if needs_preflight {
            let response = self.http_fetch(request, true).await;
            if response.is_err() && self.trace.rule("fetch.main-fetch.12.preflight.clear", true) {
                let key = self.preflight_key(request);
                self.memory.preflights.clear(&key);
            }
            return response;
        }
        let at_once = trace.rule("fetch.main-fetch.12.cors.simple", true);
        self.http_fetch(request, !at_once).await
    }

    /// *Scheme fetch*
    async fn scheme_fetch(&mut self, request: &mut Request) -> Result<Response, NetworkError> {
        match request.url().scheme() {
            "http" | "https" => self.http_fetch(request, false).await,
            "data" => match data_url::DataUrl::process(request.url().as_str()).map(|data| {
                let mime = data.mime_type().to_string();
                data.decode_to_vec().map(|(body, _)| (mime, body))
            }) {
                Ok(Ok((mime, body))) => {
                    let headers = [(ByteString::from("Content-Type"), mime.as_str().into())].into_iter().collect();
                    let received = Received {
                        status: 200,
                        reason: "OK".into(),
                        headers,
                        body,
                        complete: true,
                        took: Duration::ZERO,
                    };
                    Ok(Response::new(received, request.url_list.clone()))
                }
                _ => Err(NetworkError::new("unsupported-scheme", "fetch.scheme-fetch.4")),
            },
            // Script alone can make one that exists.
            "blob" => {
                self.trace.rule("fetch.scheme-fetch.blob.2", true);
                Err(NetworkError::new("blob-method", "fetch.scheme-fetch.blob.2"))
            }
            _ => {
                self.trace.rule("fetch.scheme-fetch.4", true);
                Err(NetworkError::new("unsupported-scheme", "fetch.scheme-fetch.4"))
            }
        }
    }

    /// Main fetch 14: the filtered response that the tainting calls for.
    fn filter(&mut self, request: &Request, response: &mut Response) {
        let trace = &mut self.trace;
        match request.tainting {
            Tainting::Basic => {
                trace.rule("fetch.filtered.basic.type", true);
                trace.rule(
                    "fetch.main-fetch.14.1.basic",
                    response.received.headers.contains("access-control-expose-headers"),
                );
                response.kind = ResponseType::Basic;
            }
            Tainting::Opaque => {
                trace.rule("fetch.filtered.opaque.type", true);
                response.kind = ResponseType::Opaque;
            }
            Tainting::Cors => {
                trace.rule("fetch.filtered.cors.type", true);
                response.kind = ResponseType::Cors;
                let names = extract_tokens(&response.received.headers, "access-control-expose-headers"); // 14.1.1
                let wildcard = names.values().iter().any(|name| *name == *"*");
                let without = request.credentials != Credentials::Include;
                if wildcard && without && trace.rule("fetch.main-fetch.14.1.2a", true) {
                    trace.rule("fetch.main-fetch.14.1.2b", names.values().len() > 1);
                    response.exposed = None; // 14.1.2
                } else {
                    trace.rule("fetch.main-fetch.14.1.3a", wildcard);
                    trace.rule("fetch.main-fetch.14.1.3b", !without && !names.values().is_empty());
                    trace.rule("fetch.main-fetch.14.1.3c", names == Extracted::Failure);
                    if wildcard && !self.trace_allows_literal_star() {
                        response.exposed = None;
                    } else {
                        response.exposed = Some(names.values().to_vec()); // 14.1.3
                    }
                }
            }
        }
    }

    /// Whether the agent keeps `fetch.main-fetch.14.1.3a`: with credentials, `*` is an ordinary name.
    fn trace_allows_literal_star(&mut self) -> bool {
        self.trace.rule("fetch.main-fetch.14.1.2c", true)
    }

    /// Main fetch 23.
    fn check_integrity(&mut self, request: &Request, response: &Response) -> Result<(), NetworkError> {
        let trace = &mut self.trace;
        if request.integrity.is_empty() {
            trace.rule("fetch.main-fetch.24", true);
            return Ok(());
        }
        let block = |requirement| Err(NetworkError::new("integrity-mismatch", requirement));
        let opaque = matches!(response.kind, ResponseType::Opaque | ResponseType::Opaqueredirect);
        if opaque && trace.rule("fetch.main-fetch.23.2a", true) {
            return block("fetch.main-fetch.23.2a");
        }
        if response.has_null_body && trace.rule("fetch.main-fetch.23.2b", true) {
            return block("fetch.main-fetch.23.2b");
        }
        if !response.received.complete {
            return Err(NetworkError::new("connection-failed", "fetch.main-fetch.23.3.1a"));
        }
        if integrity::matches(&response.received.body, &request.integrity)
            && trace.rule("fetch.main-fetch.23.3.1b", true)
        {
            return Ok(());
        }
        if trace.rule("fetch.main-fetch.23.3.1a", true) {
            return block("fetch.main-fetch.23.3.1a");
        }
        Ok(())
    }

    /// *HTTP-redirect fetch*
    pub(crate) async fn redirect_fetch(
        &mut self,
        request: &mut Request,
        response: Response,
    ) -> Result<Response, NetworkError> {
        let location = super::redirect_fetch::location_url(&mut self.trace, request, &response.received.headers); // 3
        let url = match location {
            Location::None => return Ok(response), // 4
            Location::Failure(requirement) => return Err(NetworkError::new("invalid-redirect", requirement)), // 5
            Location::Url(url) => url,
        };
        super::redirect_fetch::follow(&mut self.trace, request, &response.received, url)?; // 6 to 19
        Box::pin(self.main_fetch(request, true)).await // 22
    }
}

/// *Target address space* of a request: what it states, else what a local address or name in its first URL says.
fn target_space(trace: &mut Trace, request: &Request) -> Option<AddressSpace> {
    if request.target_space.is_some() {
        trace.rule("lna.target.explicit", true);
        return request.target_space;
    }
    let local = match request.url().host()? {
        Host::Ipv4(address) => {
            AddressSpace::of(address.into()) == AddressSpace::Local && trace.rule("lna.target.1.1", true)
        }
        Host::Ipv6(address) => {
            AddressSpace::of(address.into()) == AddressSpace::Local && trace.rule("lna.target.1.1", true)
        }
        Host::Domain(name) => name.ends_with(".local") && trace.rule("lna.target.1.2", true),
    };
    local.then_some(AddressSpace::Local)
}

/// The URL as a server sees it: without user name, password and fragment, `ws` as `http`.
fn wire_url(url: &Url) -> Url {
    let mut url = url.clone();
    // These cannot fail for http(s) URLs with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url
}

/// Header values have no white space at their ends. (`fetch.header-value.trim-response`)
fn trim_values(trace: &mut Trace, headers: &Fields) -> Fields {
    use super::header_value::{is_tab_or_space, trim};

    let padded = headers.iter().any(|(_, value)| trim(value.as_bytes(), is_tab_or_space) != value.as_bytes());
    if !padded || !trace.rule("fetch.header-value.trim-response", true) {
        return headers.clone();
    }
    headers.iter().map(|(name, value)| (name.clone(), trim(value.as_bytes(), is_tab_or_space).into())).collect()
}
