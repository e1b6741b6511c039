//! Fetch, *HTTP fetch* and *HTTP-network-or-cache fetch*.

use crosscheck_servers::{ByteString, Fields, is_interim};
use std::borrow::Cow;

use super::cookies::{CookieRequest, SameSiteMode, is_same_site};
use super::corp::internal_check;
use super::cors_check::cors_check;
use super::embedder_policy::EmbedderPolicyValue;
use super::fetch::{NetworkError, Response, UserAgent, wire_url};
use super::fetch_metadata;
use super::header_value::percent_decode;
use super::http_cache::{HttpCache, Slot};
use super::integrity;
use super::lna::{self, Access, AddressSpace};
use super::machine::{MessageKind, Received};
use super::origin::Origin;
use super::referrer::origin_header;
use super::request::{
    Cache, Credentials, Mode, Redirect, RedirectTaint, Referrer, Request, Tainting, includes_credentials,
};
use super::safelist::is_safelisted_method;
use super::trace::Trace;
use crate::{ResponseType, space_of_host};

/// *Keepalive* requests may hold this many bytes.
const KEEPALIVE_LIMIT: usize = 65_536;

impl UserAgent {
    /// *HTTP fetch*
    pub(crate) async fn http_fetch(
        &mut self,
        request: &mut Request,
        make_cors_preflight: bool,
    ) -> Result<Response, NetworkError> {
        if make_cors_preflight {
            let announced = self.announced(request);
            if self.needs_preflight(&announced) {
                match self.preflight_fetch(&announced).await {
                    Err(error) if error == NetworkError::NEVER || self.trace.rule("fetch.http-fetch.4.1.2", true) => {
                        return Err(error); // 4.1.2
                    }
                    _ => {}
                }
            }
        }
        let mut response = self.network_or_cache_fetch(request).await?; // 4.3
        self.check_origin(request, &response, make_cors_preflight)?; // 4.4
        self.check_resource_policy(request, &response)?; // 5
        let status = response.received.status;
        let redirects = if is_redirect(status) {
            self.trace.rule("fetch.status.redirect", true)
        } else {
            response.received.headers.contains("location") && !self.trace.rule("fetch.location-url.1", true)
        };
        if !redirects {
            return Ok(response);
        }
        match request.redirect {
            Redirect::Error if self.trace.rule("fetch.http-fetch.6.3.error", true) => {
                Err(NetworkError::new("redirect-in-error-mode", "fetch.http-fetch.6.3.error"))
            }
            Redirect::Manual if self.trace.rule("fetch.http-fetch.6.3.manual.a", true) => {
                response.kind = ResponseType::Opaqueredirect;
                Ok(response)
            }
            _ if self.trace.rule("fetch.http-fetch.6.3.follow", true) => self.redirect_fetch(request, response).await,
            _ => Ok(response),
        }
    }

    /// HTTP fetch 4.4: the CORS check, for responses of tainting cors alone.
    fn check_origin(
        &mut self,
        request: &Request,
        response: &Response,
        make_cors_preflight: bool,
    ) -> Result<(), NetworkError> {
        let trace = &mut self.trace;
        let received = &response.received;
        if request.tainting != Tainting::Cors && trace.rule("fetch.http-fetch.4.4g", true) {
            return Ok(());
        }
        let redirect = is_redirect(received.status);
        let skipped = make_cors_preflight && !trace.rule("fetch.http-fetch.4.4h", true)
            || response.from_cache && !trace.rule("fetch.http-fetch.4.4d", true)
            || redirect && request.redirect == Redirect::Manual && !trace.rule("fetch.http-fetch.6.3.manual.b", true);
        if skipped {
            return Ok(());
        }
        let requirement = if redirect { "fetch.http-fetch.4.4c" } else { "fetch.http-fetch.4.4a" };
        if let Err(error) = cors_check(trace, request, &received.headers) {
            // Whoever trusts the hash alone forgets that a page learns from it what it may not read.
            let proven = !request.integrity.is_empty()
                && integrity::matches(&received.body, &request.integrity)
                && !trace.rule("fetch.main-fetch.23.order", true);
            return if !proven && trace.rule(requirement, true) { Err(error) } else { Ok(()) };
        }
        if received.status >= 400 && !trace.rule("fetch.http-fetch.4.4b", true) {
            return Err(NetworkError::new("connection-failed", "fetch.http-fetch.4.4b"));
        }
        if make_cors_preflight
            && !received.headers.contains("access-control-allow-methods")
            && !received.headers.contains("access-control-allow-headers")
            && !trace.rule("fetch.http-fetch.4.4i", true)
        {
            return Err(NetworkError::new("method-not-allowed", "fetch.http-fetch.4.4i"));
        }
        Ok(())
    }

    /// HTTP fetch 5, and *cross-origin resource policy check*, for responses of tainting opaque alone.
    fn check_resource_policy(&mut self, request: &Request, response: &Response) -> Result<(), NetworkError> {
        let trace = &mut self.trace;
        let redirect = is_redirect(response.received.status);
        let stated = response.received.headers.contains("cross-origin-resource-policy");
        let checked = match request.tainting {
            Tainting::Opaque if redirect => trace.rule("fetch.http-fetch.5b", true),
            Tainting::Opaque => trace.rule("fetch.http-fetch.5a", true),
            _ if !stated => false,
            _ if request.mode == Mode::WebSocket => !trace.rule("ws.handshake.2.mode-corp", true),
            Tainting::Basic => !trace.rule("fetch.http-fetch.5c", true),
            Tainting::Cors => !trace.rule("fetch.http-fetch.5d", true),
        };
        if !checked {
            return Ok(());
        }
        let policy = self.client.embedder_policy.value;
        let result = internal_check(
            trace,
            &request.origin,
            policy,
            (request.url(), &response.received.headers),
            response.includes_credentials,
            false,
        );
        match result {
            Err(error) if error.class == Some("corp-required") && !trace.rule("fetch.corp-check.6", true) => Ok(()),
            Ok(()) if policy.is_compatible_with_isolation() && !trace.rule("fetch.corp-check.5", true) => {
                Err(NetworkError::new("corp-required", "fetch.corp-check.5"))
            }
            other => other,
        }
    }

    /// The request as its preflight and the preflight cache see it: with the same origin, tainted or not.
    fn announced<'a>(&mut self, request: &'a Request) -> Cow<'a, Request> {
        if request.redirect_taint(&mut self.trace) == RedirectTaint::SameOrigin
            || self.trace.rule("fetch.preflight.1b", true)
        {
            return Cow::Borrowed(request);
        }
        let mut untainted = request.clone();
        untainted.url_list = vec![request.url().clone()];
        Cow::Owned(untainted)
    }

    /// HTTP fetch 4.1: whether the preflight cache leaves something open.
    fn needs_preflight(&mut self, request: &Request) -> bool {
        let key = self.preflight_key(request);
        let now = self.memory.now;
        let (trace, memory) = (&mut self.trace, &self.memory.preflights);
        let method_open = !memory.has_method(trace, &key, &request.method, now)
            && (request.use_cors_preflight
                || !is_safelisted_method(trace, &request.method)
                || !trace.rule("fetch.preflight-cache.match.safelisted", true));
        if method_open && trace.rule("fetch.http-fetch.4.1a", true) {
            return true;
        }
        let names = self.unsafe_names(request);
        let (trace, memory) = (&mut self.trace, &self.memory.preflights);
        if names.iter().any(|name| !memory.has_header(trace, &key, name, now))
            && trace.rule("fetch.http-fetch.4.1b", true)
        {
            return true;
        }
        !trace.rule("fetch.http-fetch.4.1c", true)
    }

    /// *HTTP-network-or-cache fetch*
    pub(crate) async fn network_or_cache_fetch(&mut self, request: &Request) -> Result<Response, NetworkError> {
        let mut is_authentication_fetch = false;
        let mut is_new_connection_fetch = false;
        loop {
            let mut response = self.network_or_cache_fetch_once(request, is_authentication_fetch).await?;
            let status = response.received.status;
            let resendable = request.body.as_ref().is_none_or(|body| body.has_source);
            if status == 401 && self.may_authenticate(request, &response) {
                if !resendable {
                    return Err(NetworkError::new("connection-failed", "fetch.fetch-method.12.3")); // 15.2.1
                }
                // There is nobody to ask, so only user name and password of the URL can be tried.
                if request.use_url_credentials && !is_authentication_fetch && includes_credentials(request.url()) {
                    is_authentication_fetch = true;
                    continue;
                }
            }
            if status == 407 && !self.client.is_window && self.trace.rule("fetch.network-or-cache.16", true) {
                return Err(NetworkError::new("connection-failed", "fetch.network-or-cache.16"));
            }
            if status == 421
                && resendable
                && !is_new_connection_fetch
                && self.trace.rule("fetch.network-or-cache.17", true)
            {
                is_new_connection_fetch = true;
                continue;
            }
            if is_authentication_fetch && let Some(value) = url_authorization(request) {
                self.memory.authentication.push((Origin::of(request.url()), value)); // 18
            }
            response.url_list.clone_from(&request.url_list);
            return Ok(response);
        }
    }

    /// HTTP-network-or-cache fetch 15: whether a 401 is a reason to ask again with credentials.
    fn may_authenticate(&mut self, request: &Request, response: &Response) -> bool {
        if request.tainting == Tainting::Cors && self.trace.rule("fetch.network-or-cache.15a", true)
            || !response.includes_credentials && self.trace.rule("fetch.network-or-cache.15b", true)
        {
            return false;
        }
        // *Traversable for user prompts*
        self.client.is_window
    }

    async fn network_or_cache_fetch_once(
        &mut self,
        request: &Request,
        is_authentication_fetch: bool,
    ) -> Result<Response, NetworkError> {
        let include_credentials = self.includes_credentials(request); // 8.3, 8.4
        let mut cache = request.cache;
        let conditional = ["if-modified-since", "if-none-match", "if-unmodified-since", "if-match", "if-range"];
        if cache == Cache::Default
            && conditional.iter().any(|name| request.headers.contains(name))
            && self.trace.rule("fetch.network-or-cache.8.16", true)
        {
            cache = Cache::NoStore;
        }
        let headers = self.complete_headers(request, cache, include_credentials, is_authentication_fetch)?;
        let respond = |received: Received, from_cache: bool| {
            let mut response = Response::new(received, Vec::new());
            response.includes_credentials = include_credentials; // 14
            response.from_cache = from_cache;
            response
        };
        let now = self.memory.now;
        let method = request.method.clone();
        let is_preflight = method == *"OPTIONS" && headers.contains("access-control-request-method");
        let cacheable = method == *"GET" || is_preflight && !self.trace.rule("fetch.preflight.6b", true);
        let slot = Slot { partition: self.partition.clone(), method, url: wire_url(request.url()) };
        let mut validation: Option<Fields> = None;
        if cacheable && !matches!(cache, Cache::NoStore | Cache::Reload) {
            let selected = self.memory.http_cache.select(&mut self.trace, &slot, &headers); // 8.26
            if let Some(stored) = selected {
                let usable = match cache {
                    Cache::NoCache => false,
                    Cache::ForceCache | Cache::OnlyIfCached => true,
                    _ => stored.is_fresh(now),
                };
                if usable {
                    let response = respond(stored.response.clone(), true);
                    if self.trace.rule("lna.fetch-hook.cache", true) {
                        self.check_address_space(request)?;
                    }
                    return Ok(response);
                }
                let mut lines = headers.clone();
                if let Some(etag) = stored.response.headers.get("etag") {
                    lines.push("If-None-Match", etag);
                }
                if let Some(modified) = stored.response.headers.get("last-modified") {
                    lines.push("If-Modified-Since", modified);
                }
                validation = (lines.len() > headers.len()).then_some(lines);
            }
        }
        if cache == Cache::OnlyIfCached && self.trace.rule("fetch.network-or-cache.11.1", true) {
            return Err(NetworkError::new("not-cached", "fetch.network-or-cache.11.1"));
        }
        let revalidating = validation.is_some();
        let received =
            self.network_fetch(request, validation.unwrap_or_else(|| headers.clone()), include_credentials).await?;
        let safe = request.method == *"GET" || request.method == *"HEAD" || request.method == *"OPTIONS";
        if !safe && (200..400).contains(&received.status) {
            self.memory.http_cache.invalidate(&slot);
        }
        let now = self.memory.now;
        if revalidating
            && received.status == 304
            && let Some(stored) = self.memory.http_cache.select(&mut self.trace, &slot, &headers)
            && self.trace.rule("fetch.http-fetch.4.4f", true)
        {
            HttpCache::freshen(stored, &received.headers, now);
            return Ok(respond(stored.response.clone(), false));
        }
        if cacheable && cache != Cache::NoStore {
            self.memory.http_cache.store(slot, &headers, &received, now);
        }
        Ok(respond(received, false))
    }

    /// Whether a request would be sent to validate a stored response.
    pub(crate) fn has_stale_copy(&mut self, request: &Request) -> bool {
        if self.memory.http_cache.is_empty() {
            return false;
        }
        let slot =
            Slot { partition: self.partition.clone(), method: request.method.clone(), url: wire_url(request.url()) };
        let now = self.memory.now;
        match self.memory.http_cache.select(&mut Trace::default(), &slot, &request.headers) {
            Some(stored) => request.cache == Cache::NoCache || !stored.is_fresh(now),
            None => false,
        }
    }

    /// HTTP-network-or-cache fetch 8.3 and 8.4.
    pub(crate) fn includes_credentials(&mut self, request: &Request) -> bool {
        let trace = &mut self.trace;
        trace.note("cookies.fetch-same-origin-default", request.credentials == Credentials::SameOrigin);
        let include = match request.credentials {
            Credentials::Omit => {
                trace.note("cookies.fetch-omit", true);
                !trace.rule("fetch.request.credentials-omit", true)
            }
            Credentials::Include => trace.rule("fetch.network-or-cache.8.3a", true),
            Credentials::SameOrigin if request.tainting == Tainting::Basic => true,
            Credentials::SameOrigin => {
                let returned = request.is_same_origin();
                !trace.rule("fetch.network-or-cache.8.3b", true) || returned && !trace.rule("fetch.redirect.22g", true)
            }
        };
        if !include {
            return false;
        }
        // *Cross-Origin-Embedder-Policy allows credentials*
        let credentialless = self.client.embedder_policy.value == EmbedderPolicyValue::Credentialless;
        if request.mode != Mode::NoCors && (!credentialless || trace.rule("fetch.coep-allows-credentials.2", true)) {
            return true;
        }
        if !credentialless && trace.rule("fetch.coep-allows-credentials.4", true) {
            return true;
        }
        let own = request.is_same_origin();
        // The condition of step 5 reads as inverted: it is taken as it is meant.
        if own
            && request.redirect_taint(trace) == RedirectTaint::SameOrigin
            && trace.rule("fetch.coep-allows-credentials.5", true)
        {
            return true;
        }
        !trace.rule("fetch.coep-allows-credentials.6", true)
    }

    /// *Determine the same-site mode*, and RFC 6265bis's *same-site* status of the request, which the text of Fetch
    /// leaves to it for subresources of a top-level page.
    fn same_site_mode(&mut self, request: &Request, target: &Origin) -> SameSiteMode {
        let taint = request.redirect_taint(&mut self.trace);
        let trace = &mut self.trace;
        trace.note("cookies.samesite.ancestor", self.client.has_cross_site_ancestor);
        if trace.rule("fetch.same-site-mode.4", self.client.has_cross_site_ancestor)
            || trace.rule("fetch.same-site-mode.5", taint == RedirectTaint::CrossSite)
            || !is_same_site(trace, target, &self.client.top_level)
            || !trace.rule("fetch.same-site-mode.6", true)
        {
            return SameSiteMode::Unset;
        }
        SameSiteMode::Strict
    }

    /// What cookies have to know of a request.
    fn cookie_request<'r>(&mut self, request: &'r Request) -> CookieRequest<'r> {
        let url = request.url();
        let target = Origin::of(url);
        let mode = self.same_site_mode(request, &target);
        CookieRequest { url, is_same_origin: target.is_same_origin(&request.origin), mode, now: self.memory.now }
    }

    /// HTTP-network-or-cache fetch 8.5 to 8.21: the header lines that go out.
    fn complete_headers(
        &mut self,
        request: &Request,
        cache: Cache,
        include_credentials: bool,
        is_authentication_fetch: bool,
    ) -> Result<Fields, NetworkError> {
        let mut headers = request.headers.clone();
        let trace = &mut self.trace;
        match &request.body {
            None if (request.method == *"POST" || request.method == *"PUT")
                && trace.rule("fetch.network-or-cache.8.7", true) =>
            {
                headers.push("Content-Length", "0"); // 8.7
            }
            Some(body) if body.has_source => {
                let length = body.bytes.len();
                headers.push("Content-Length", length.to_string().as_str()); // 8.8, 8.9
                if request.keepalive
                    && (length > KEEPALIVE_LIMIT && trace.rule("fetch.network-or-cache.8.10a", true)
                        || length == KEEPALIVE_LIMIT && !trace.rule("fetch.network-or-cache.8.10b", true))
                {
                    return Err(NetworkError::new("keepalive-quota", "fetch.network-or-cache.8.10a"));
                }
            }
            _ => {}
        }
        if let Referrer::Url(url) = &request.referrer
            && trace.rule("fetch.network-or-cache.8.11", true)
        {
            headers.push("Referer", url.as_str());
        }
        if let Some(origin) = origin_header(trace, request) {
            headers.push("Origin", origin); // 8.12
        }
        fetch_metadata::append(trace, request, &mut headers); // 8.13
        if cache == Cache::NoCache && !headers.contains("cache-control") {
            headers.push("Cache-Control", "max-age=0"); // 8.17
        }
        if matches!(cache, Cache::NoStore | Cache::Reload) {
            // 8.18
            if !headers.contains("pragma") {
                headers.push("Pragma", "no-cache");
            }
            if !headers.contains("cache-control") {
                headers.push("Cache-Control", "no-cache");
            }
        }
        if headers.contains("range") && trace.rule("fetch.network-or-cache.8.19", true) {
            headers.push("Accept-Encoding", "identity");
        }
        let is_preflight = request.method == *"OPTIONS" && headers.contains("access-control-request-method");
        if is_preflight && !headers.contains("accept-language") && !trace.rule("fetch.network-or-cache.8.20", true) {
            headers.push("Accept-Language", "en");
        }
        if headers.contains("authorization") && !trace.rule("fetch.network-or-cache.8.21b", true) {
            headers.remove("Authorization");
        }
        if include_credentials {
            self.append_credentials(request, &mut headers, is_authentication_fetch); // 8.21
        }
        Ok(headers)
    }

    /// HTTP-network-or-cache fetch 8.21.
    fn append_credentials(&mut self, request: &Request, headers: &mut Fields, is_authentication_fetch: bool) {
        let cookie_request = self.cookie_request(request);
        match self.memory.cookies.header(&mut self.trace, &cookie_request) {
            Some(cookie) if self.trace.rule("fetch.network-or-cache.8.21a", true) => {
                headers.push("Cookie", cookie);
                self.credentials_sent = true;
            }
            Some(_) => {}
            None if self.trace.rule("fetch.cookie.6", true) => {}
            None => headers.push("Cookie", ""),
        }
        if headers.contains("authorization") {
            return;
        }
        let origin = Origin::of(request.url());
        let entry = self.memory.authentication.iter().rev().find(|(entry, _)| entry.is_same_origin(&origin));
        let value = match entry {
            Some((_, value)) if !request.use_url_credentials || !includes_credentials(request.url()) => {
                Some(value.clone())
            }
            _ => url_authorization(request).filter(|_| is_authentication_fetch),
        };
        if let Some(value) = value {
            headers.push("Authorization", value);
            self.credentials_sent = true;
        }
    }

    /// *HTTP-network fetch*
    async fn network_fetch(
        &mut self,
        request: &Request,
        headers: Fields,
        include_credentials: bool,
    ) -> Result<Received, NetworkError> {
        let before = self.trace.rule("lna.fetch-hook.network.1", true);
        if before {
            self.check_address_space(request)?;
        }
        let streamed = request.body.as_ref().is_some_and(|body| !body.has_source);
        let http2 = Origin::of(request.url()).has_http2();
        if streamed && !http2 && self.trace.rule("fetch.network.8.3", true) {
            return Err(NetworkError::new("connection-failed", "fetch.network.8.3"));
        }
        let kind = match request.mode {
            Mode::WebSocket => MessageKind::Handshake,
            _ if request.method == *"OPTIONS" && headers.contains("access-control-request-method") => {
                MessageKind::Preflight
            }
            _ => MessageKind::Request,
        };
        let is_preflight = kind == MessageKind::Preflight;
        let received = self.send(kind, request, headers).await?;
        if !before {
            self.check_address_space(request)?;
        }
        let is_upgrade = received.status == 101 && request.mode == Mode::WebSocket;
        if is_interim(received.status) && !is_upgrade && self.trace.rule("fetch.network.8.5.5", true) {
            return Err(NetworkError::new("malformed-response", "fetch.network.8.5.5"));
        }
        if received.headers.contains("set-cookie") {
            self.store_cookies(request, &received, include_credentials, is_preflight); // 17
        }
        Ok(received)
    }

    /// HTTP-network fetch 17.
    fn store_cookies(&mut self, request: &Request, received: &Received, include_credentials: bool, preflight: bool) {
        let trace = &mut self.trace;
        let store = if include_credentials {
            trace.rule("fetch.network.17a", true)
                && (request.mode != Mode::WebSocket || trace.rule("ws.handshake.2.set-cookie", true))
        } else {
            !trace.rule(if preflight { "fetch.network.17c" } else { "fetch.network.17b" }, true)
        };
        if !store {
            return;
        }
        let each = trace.rule("fetch.set-cookie.6", true);
        let cookie_request = self.cookie_request(request);
        let joined = received.headers.get("set-cookie").filter(|_| !each);
        let lines = received.headers.all("set-cookie").filter(|_| each);
        for line in lines.chain(joined.as_ref()) {
            self.memory.cookies.store(&mut self.trace, line, &cookie_request);
        }
    }

    /// The local network access check, on the address that is connected to.
    fn check_address_space(&mut self, request: &Request) -> Result<(), NetworkError> {
        let trace = &mut self.trace;
        if request.mode == Mode::WebSocket && !trace.rule("lna.websocket.check", true)
            || request.redirect_count > 0 && !trace.rule("lna.fetch-hook.network.2", true)
        {
            return Ok(());
        }
        let connection = match request.url().host() {
            Some(url::Host::Ipv4(address)) => AddressSpace::by_table(trace, address.into()),
            Some(url::Host::Ipv6(address)) => AddressSpace::by_table(trace, address.into()),
            Some(url::Host::Domain(name)) if trace.rule("lna.request.by-address", true) => {
                self.client.space_of_names.unwrap_or_else(|| space_of_host(name))
            }
            _ => AddressSpace::Public,
        };
        let access = Access {
            origin: &request.origin,
            target: &Origin::of(request.url()),
            target_space: request.target_space,
            connection,
        };
        lna::check(trace, &self.client, &access)
    }
}

/// *Redirect status*
pub(crate) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// *Converted to an `Authorization` value*: Basic, of user name and password in the URL.
fn url_authorization(request: &Request) -> Option<ByteString> {
    use base64::Engine as _;

    let url = request.url();
    if !includes_credentials(url) {
        return None;
    }
    let pair = [percent_decode(url.username()), percent_decode(url.password().unwrap_or_default())].join(&b':');
    Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)).as_str().into())
}
