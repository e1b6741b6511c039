//! Fetch, *main fetch*, and what every algorithm of a fetch shares.

use std::time::Duration;

use crosscheck_servers::{ByteString, Fields};
use url::{Host, Url};

use super::blocking::{blocked_by_csp, blocked_by_mixed_content, is_bad_port, upgrade_mixed_content};
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
use super::request::{Credentials, Destination, Mode, Redirect, Referrer, Request, Tainting};
use super::safelist::is_safelisted_method;
use super::trace::Trace;
use crate::ResponseType;

/// Why a fetch came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError {
    /// The class of reason (`cases/reasons.json`); nothing where no answer came in time.
    pub class: Option<&'static str>,
    /// A further class that fits as well, where the standard's order of two checks shows in nothing else.
    pub also: Option<&'static str>,
    /// The requirement that decided; empty where none did.
    pub requirement: &'static str,
}

impl NetworkError {
    pub(crate) const fn new(class: &'static str, requirement: &'static str) -> Self {
        Self { class: Some(class), also: None, requirement }
    }

    /// Nothing came back while the page waited.
    pub(crate) const NEVER: Self = Self { class: None, also: None, requirement: "" };
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
    /// *Cache state* local
    pub(crate) from_cache: bool,
}

impl Response {
    pub(crate) const fn new(received: Received, url_list: Vec<Url>) -> Self {
        Self {
            kind: ResponseType::Default,
            received,
            url_list,
            exposed: None,
            has_null_body: false,
            includes_credentials: false,
            from_cache: false,
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
    /// Whether cookies or authentication went out in the current step.
    pub(crate) credentials_sent: bool,
    /// *Network partition key*: the site of the top-level page.
    pub(crate) partition: ByteString,
}

const MESSAGE_LIMIT: u32 = 64;

impl UserAgent {
    pub(crate) fn new(client: Client, trace: Trace, wire: Wire) -> Self {
        Self {
            partition: partition_key(&client),
            client,
            trace,
            memory: Memory::default(),
            wire,
            step: 0,
            messages: 0,
            deadline: Duration::MAX,
            body_sent: false,
            credentials_sent: false,
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
        // A preflight has none.
        self.body_sent |= request.body.is_some();
        match self.wire.exchange(message).await {
            Answer::Response(mut received) => {
                self.memory.now = self.memory.now.saturating_add(received.took);
                if self.memory.now > self.deadline {
                    self.memory.now = self.deadline;
                    return Err(NetworkError::NEVER);
                }
                trim_values(&mut self.trace, &mut received.headers);
                Ok(received)
            }
            Answer::Failed(Failure::Connection) => {
                Err(NetworkError::new("connection-failed", "fetch.fetch-method.12.3"))
            }
            Answer::Failed(Failure::Malformed) => {
                Err(NetworkError::new("malformed-response", "fetch.fetch-method.12.3"))
            }
            Answer::Conversation(_) | Answer::Never => {
                self.memory.now = self.deadline;
                Err(NetworkError::NEVER)
            }
        }
    }

    pub(crate) fn preflight_key(&mut self, request: &Request) -> Key {
        Key {
            partition: self.partition.clone(),
            origin: request.serialize_origin(&mut self.trace),
            url: request.url().clone(),
            credentials: request.includes_credentials_mode(),
        }
    }

    /// *Fetch*
    pub(crate) async fn fetching(&mut self, request: &mut Request) -> Result<Response, NetworkError> {
        request.states_target_space = request.target_space.is_some();
        request.target_space = target_space(&mut self.trace, request); // lna: fetch 1
        if !request.headers.contains("accept") && self.trace.rule("fetch.fetching.12.1", true) {
            request.headers.push("Accept", default_accept(request.destination));
        }
        let mut response = self.main_fetch(request).await?;
        if response.kind != ResponseType::Opaqueredirect {
            self.filter(request, &mut response); // main fetch 14
        }
        // Main fetch 20, which looks at the internal response.
        if let Err(error) = mime_checks(&mut self.trace, request.destination, &response.received.headers)
            && (response.kind != ResponseType::Opaque || self.trace.rule("fetch.main-fetch.20a", true))
        {
            return Err(error);
        }
        let null_status = matches!(response.received.status, 101 | 103 | 204 | 205 | 304);
        if request.method == *"HEAD" && self.trace.rule("fetch.main-fetch.22a", true)
            || null_status && self.trace.rule("fetch.main-fetch.22b", true)
        {
            response.has_null_body = true; // main fetch 22
        }
        self.check_integrity(request, &response)?; // main fetch 23
        Ok(response)
    }

    /// *Main fetch* up to its step 13, where it ends for a redirect.
    async fn main_fetch(&mut self, request: &mut Request) -> Result<Response, NetworkError> {
        upgrade_mixed_content(&mut self.trace, &self.client, request); // 6
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
        self.dispatch(request).await // 12
    }

    /// Main fetch 7: bad port, mixed content, Content Security Policy.
    pub(crate) fn should_be_blocked(&mut self, request: &Request) -> Result<(), NetworkError> {
        if is_bad_port(&mut self.trace, request) {
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
        if blocked_by_csp(&mut self.trace, &self.client, request) && self.trace.rule("fetch.main-fetch.7b", true) {
            return Err(NetworkError::new("csp", "fetch.main-fetch.7b"));
        }
        Ok(())
    }

    /// Main fetch 12.
    async fn dispatch(&mut self, request: &mut Request) -> Result<Response, NetworkError> {
        if self.is_basic(request) {
            request.tainting = Tainting::Basic;
            if request.mode == Mode::WebSocket && !self.trace.rule("ws.handshake.2.mode-preflight", true) {
                self.preflight_fetch(request).await?;
            }
            return self.scheme_fetch(request).await;
        }
        let trace = &mut self.trace;
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
        let http = matches!(request.url().scheme(), "http" | "https");
        if !http && trace.rule("fetch.main-fetch.12.non-http", true) {
            return Err(NetworkError::new("unsupported-scheme", "fetch.main-fetch.12.non-http"));
        }
        let takes_preflight = self.takes_preflight_path(request);
        request.tainting = Tainting::Cors;
        let response = self.http_fetch(request, takes_preflight).await;
        if response.is_err() {
            self.clear_preflights(request, takes_preflight);
        }
        response
    }

    /// Main fetch 12: whether the response is for the request's own origin, or of no interest to others.
    fn is_basic(&mut self, request: &Request) -> bool {
        let trace = &mut self.trace;
        let mode = request.mode;
        let own = request.is_same_origin();
        if own {
            let requirement = match mode {
                Mode::NoCors => "fetch.main-fetch.12.no-cors.sameorigin",
                _ => "fetch.main-fetch.12.same-origin",
            };
            let untainted = match request.tainting {
                Tainting::Basic => true,
                Tainting::Cors => !trace.rule("fetch.main-fetch.12.same-origin.tainted", true),
                Tainting::Opaque => false,
            };
            if untainted && trace.rule(requirement, true) {
                return true;
            }
        }
        if trace.rule("fetch.main-fetch.12.data", request.url().scheme() == "data") {
            return true;
        }
        if mode == Mode::WebSocket {
            return trace.rule("fetch.main-fetch.12.navigate", true) && trace.rule("ws.handshake.2.mode-cors", true);
        }
        // The request has left its own origin by a redirect just now.
        !own && request.redirect_count > 0
            && request.tainting == Tainting::Basic
            && (mode == Mode::Cors && !trace.rule("fetch.redirect.22a", true)
                || mode == Mode::NoCors && !trace.rule("fetch.redirect.22d", true))
    }

    /// Main fetch 12: whether a preflight may be due.
    fn takes_preflight_path(&mut self, request: &mut Request) -> bool {
        let by_flag = request.use_cors_preflight && self.trace.rule("fetch.main-fetch.12.preflight.flag", true);
        let needed = by_flag
            || request.unsafe_request
                && (!is_safelisted_method(&mut self.trace, &request.method)
                    && self.trace.rule("fetch.main-fetch.12.preflight.method", true)
                    || !self.unsafe_names(request).is_empty()
                        && self.trace.rule("fetch.main-fetch.12.preflight.headers", true));
        let trace = &mut self.trace;
        if needed {
            // It has come here by a redirect, from its own origin or from another one.
            return match request.tainting {
                _ if request.redirect_count == 0 => true,
                Tainting::Cors => trace.rule("fetch.redirect.22c", true),
                _ => trace.rule("fetch.redirect.22b", true),
            };
        }
        if trace.rule("fetch.main-fetch.12.cors.simple", true)
            && trace.rule("fetch.main-fetch.12.cors.side-effect", true)
        {
            return false;
        }
        request.use_cors_preflight = true;
        true
    }

    /// *Clear cache entries* after a network error on the preflight path.
    fn clear_preflights(&mut self, request: &Request, took_preflight_path: bool) {
        if self.memory.preflights.is_empty() {
            return;
        }
        let key = self.preflight_key(request);
        let clears = if took_preflight_path {
            self.trace.rule("fetch.main-fetch.12.preflight.clear", true)
                && self.trace.rule("fetch.preflight-cache.clear.b", true)
        } else {
            !self.trace.rule("fetch.preflight-cache.clear.d", true)
        };
        if clears {
            self.memory.preflights.clear(&mut self.trace, &key);
        }
    }

    /// *Scheme fetch*
    async fn scheme_fetch(&mut self, request: &mut Request) -> Result<Response, NetworkError> {
        match request.url().scheme() {
            "http" | "https" => self.http_fetch(request, false).await,
            "about" if request.url().path() == "blank" => {
                Ok(local_response("text/html;charset=utf-8", Vec::new(), request))
            }
            "data" => {
                let data = data_url::DataUrl::process(request.url().as_str()).ok();
                let decoded = data.and_then(|data| {
                    let body = data.decode_to_vec().ok()?.0;
                    Some((data.mime_type().to_string(), body))
                });
                match decoded {
                    Some((mime, body)) => Ok(local_response(&mime, body, request)),
                    None => Err(NetworkError::new("unsupported-scheme", "fetch.scheme-fetch.4")),
                }
            }
            // Script alone can make one that exists.
            "blob" if self.trace.rule("fetch.scheme-fetch.blob.2", true) => {
                Err(NetworkError::new("blob-method", "fetch.scheme-fetch.blob.2"))
            }
            _ if self.trace.rule("fetch.scheme-fetch.4", true) => {
                Err(NetworkError::new("unsupported-scheme", "fetch.scheme-fetch.4"))
            }
            _ => Ok(local_response("text/plain", Vec::new(), request)),
        }
    }

    /// Main fetch 14: the filtered response that the tainting calls for.
    fn filter(&mut self, request: &Request, response: &mut Response) {
        let trace = &mut self.trace;
        let headers = &response.received.headers;
        response.kind = match request.tainting {
            Tainting::Basic if trace.rule("fetch.filtered.basic.type", true) => ResponseType::Basic,
            Tainting::Opaque if trace.rule("fetch.filtered.opaque.type", true) => ResponseType::Opaque,
            Tainting::Cors if trace.rule("fetch.filtered.cors.type", true) => ResponseType::Cors,
            _ => ResponseType::Default,
        };
        let narrows = match response.kind {
            ResponseType::Cors => true,
            ResponseType::Basic => headers.contains(EXPOSE_HEADERS) && !trace.rule("fetch.main-fetch.14.1.basic", true),
            _ => false,
        };
        if narrows {
            let names = extract_tokens(trace, headers, EXPOSE_HEADERS, "fetch.cors-abnf.aceh"); // 14.1.1
            response.exposed = exposed_names(trace, request, names, self.credentials_sent);
        }
    }

    /// Main fetch 23.
    fn check_integrity(&mut self, request: &Request, response: &Response) -> Result<(), NetworkError> {
        let trace = &mut self.trace;
        if request.integrity.is_empty() && trace.rule("fetch.main-fetch.24", true) {
            return Ok(());
        }
        let block = |requirement| Err(NetworkError::new("integrity-mismatch", requirement));
        match response.kind {
            ResponseType::Opaque if trace.rule("fetch.main-fetch.23.2a", true) => {
                return block("fetch.main-fetch.23.2a");
            }
            ResponseType::Opaqueredirect => return block("fetch.main-fetch.23.2b"),
            _ if response.has_null_body && trace.rule("fetch.main-fetch.23.2b", true) => {
                return block("fetch.main-fetch.23.2b");
            }
            _ => {}
        }
        if !response.received.complete {
            return Err(NetworkError::new("connection-failed", "fetch.main-fetch.23.3.1a"));
        }
        let matches = integrity::matches(&response.received.body, &request.integrity);
        if matches && (response.kind != ResponseType::Cors || trace.rule("fetch.main-fetch.23.3.1b", true)) {
            return Ok(());
        }
        if matches || trace.rule("fetch.main-fetch.23.3.1a", true) {
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
        if !request.states_target_space && !self.trace.rule("lna.target.redirect", true) {
            request.target_space = None;
            request.target_space = target_space(&mut self.trace, request);
        }
        Box::pin(self.main_fetch(request)).await // 22
    }
}

const EXPOSE_HEADERS: &str = "access-control-expose-headers";

/// Main fetch 14.1: the *CORS-exposed header-name list*; nothing where all names are exposed.
fn exposed_names(
    trace: &mut Trace,
    request: &Request,
    names: Extracted,
    credentials_sent: bool,
) -> Option<Vec<ByteString>> {
    let include = request.credentials == Credentials::Include;
    let wildcard = names.values().iter().any(|name| *name == *"*");
    if wildcard {
        let with = if trace.rule("fetch.main-fetch.14.1.2c", true) { include } else { credentials_sent };
        let alone = names.values().len() == 1;
        let opens = match with {
            false => {
                trace.rule("fetch.main-fetch.14.1.2a", true)
                    && trace.rule("fetch.cors-abnf.wildcard", true)
                    && (alone || trace.rule("fetch.main-fetch.14.1.2b", true))
            }
            true => !trace.rule("fetch.main-fetch.14.1.3a", true),
        };
        if opens {
            return None; // 14.1.2
        }
    }
    match names {
        Extracted::Values(names) if include && !names.is_empty() && !trace.rule("fetch.main-fetch.14.1.3b", true) => {
            drop(names);
            Some(Vec::new())
        }
        Extracted::Values(names) => Some(names), // 14.1.3
        Extracted::Failure if !trace.rule("fetch.main-fetch.14.1.3c", true) => None,
        Extracted::Failure | Extracted::Null => Some(Vec::new()),
    }
}

/// A response that needs no network.
fn local_response(mime: &str, body: Vec<u8>, request: &Request) -> Response {
    let headers = [(ByteString::from("Content-Type"), mime.into())].into_iter().collect();
    let took = Duration::ZERO;
    let received = Received { status: 200, reason: "OK".into(), headers, body, complete: true, took };
    Response::new(received, request.url_list.clone())
}

/// *Determine the network partition key*: the site of the top-level page.
fn partition_key(client: &Client) -> ByteString {
    match &client.top_level {
        Origin::Opaque => "null".into(),
        Origin::Tuple(tuple) => {
            let site = registrable_domain(&tuple.host).unwrap_or(&tuple.host);
            format!("{}://{site}", tuple.scheme.as_str()).as_str().into()
        }
    }
}

/// *Target address space* of a request: what it states, else what a local address or name in its first URL says.
fn target_space(trace: &mut Trace, request: &Request) -> Option<AddressSpace> {
    if request.target_space.is_some() && trace.rule("lna.target.explicit", true) {
        return request.target_space;
    }
    let (space, requirement) = match request.url().host()? {
        Host::Ipv4(address) => (AddressSpace::by_table(trace, address.into()), "lna.target.1.1"),
        Host::Ipv6(address) => (AddressSpace::by_table(trace, address.into()), "lna.target.1.1"),
        Host::Domain(name) if name == "local" || name.ends_with(".local") => (AddressSpace::Local, "lna.target.1.2"),
        Host::Domain("localhost") => (AddressSpace::Loopback, ""),
        Host::Domain(_) => (AddressSpace::Public, ""),
    };
    match space {
        AddressSpace::Local => trace.rule(requirement, true).then_some(AddressSpace::Local),
        AddressSpace::Loopback if trace.rule("lna.target.1.loopback", true) => None,
        AddressSpace::Loopback => Some(AddressSpace::Local),
        AddressSpace::Public => None,
    }
}

/// The URL as a server sees it: without user name, password and fragment, `ws` as `http`.
pub(crate) fn wire_url(url: &Url) -> Url {
    let mut url = url.clone();
    // These cannot fail for http(s) URLs with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url
}

/// Header values have no white space at their ends.
fn trim_values(trace: &mut Trace, headers: &mut Fields) {
    use super::header_value::{is_tab_or_space, trim};

    let padded = headers.iter().any(|(_, value)| trim(value.as_bytes(), is_tab_or_space) != value.as_bytes());
    if padded && trace.rule("fetch.header-value.trim-response", true) {
        *headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), trim(value.as_bytes(), is_tab_or_space).into()))
            .collect();
    }
}

/// *Fetch*, step 12.3: what the user agent should accept, by the destination.
const fn default_accept(destination: Destination) -> &'static str {
    match destination {
        Destination::Image => "image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
        Destination::Style => "text/css,*/*;q=0.1",
        Destination::Empty
        | Destination::Script
        | Destination::Font
        | Destination::Audio
        | Destination::Video
        | Destination::Track => "*/*",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    #[test]
    fn the_network_is_partitioned_by_the_site_at_the_top() {
        for (page, key) in [
            ("https://page.test", "https://page.test"),
            ("https://api.page.test:8443", "https://page.test"),
            ("http://page.test", "http://page.test"),
            ("http://127.0.0.1", "http://127.0.0.1"),
        ] {
            assert_eq!(partition_key(&Client::of(&Document::page(page), "/")), *key, "{page}");
        }
        let mut opaque = Client::of(&Document::page("https://page.test"), "/");
        opaque.top_level = Origin::Opaque;
        assert_eq!(partition_key(&opaque), *"null");
    }
}
