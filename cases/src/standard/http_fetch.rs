//! Fetch, *HTTP fetch* and *HTTP-network-or-cache fetch*.

use crosscheck_servers::{ByteString, Fields};

use super::client::EmbedderPolicy;
use super::cookies::SameSiteMode;
use super::corp::corp_check;
use super::cors_check::cors_check;
use super::fetch::{NetworkError, Response, UserAgent};
use super::fetch_metadata;
use super::http_cache::HttpCache;
use super::lna::{self, Access, AddressSpace};
use super::machine::{MessageKind, Received};
use super::origin::Origin;
use super::referrer::origin_header;
use super::request::{Cache, Credentials, Mode, Redirect, RedirectTaint, Referrer, Request, Tainting};
use super::safelist::{is_safelisted_method, unsafe_header_names};
use crate::ResponseType;

/// *Keepalive* requests may hold this many bytes. (`fetch.network-or-cache.8.10a`)
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
                self.preflight_fetch(&announced).await?; // 4.1.2
            }
        }
        let mut response = self.network_or_cache_fetch(request).await?; // 4.3
        if request.tainting == Tainting::Cors {
            let requirement =
                if request.redirect_count > 0 { "fetch.http-fetch.4.4c" } else { "fetch.http-fetch.4.4a" };
            let checked = cors_check(&mut self.trace, request, &response.received.headers);
            if let Err(error) = checked
                && self.trace.rule(requirement, true)
            {
                return Err(error); // 4.4
            }
            self.trace.rule("fetch.http-fetch.4.4b", response.received.status >= 400);
            self.trace.rule("fetch.http-fetch.4.4h", make_cors_preflight);
        } else {
            self.trace.rule("fetch.http-fetch.4.4g", true);
        }
        if request.tainting == Tainting::Opaque {
            let checked = corp_check(
                &mut self.trace,
                &request.origin,
                self.client.embedder_policy,
                (request.url(), &response.received.headers),
                response.includes_credentials,
                false,
            );
            let requirement =
                if is_redirect(response.received.status) { "fetch.http-fetch.5b" } else { "fetch.http-fetch.5a" };
            if let Err(error) = checked
                && self.trace.rule(requirement, true)
            {
                return Err(error); // 5
            }
        } else if response.received.headers.contains("cross-origin-resource-policy") {
            self.trace.rule(
                if request.tainting == Tainting::Cors { "fetch.http-fetch.5d" } else { "fetch.http-fetch.5c" },
                true,
            );
        }
        if !is_redirect(response.received.status) {
            self.trace.rule("fetch.location-url.1", response.received.headers.contains("location"));
            return Ok(response);
        }
        self.trace.rule("fetch.status.redirect", true);
        match request.redirect {
            Redirect::Error if self.trace.rule("fetch.http-fetch.6.3.error", true) => {
                Err(NetworkError::new("redirect-in-error-mode", "fetch.http-fetch.6.3.error"))
            }
            Redirect::Manual if self.trace.rule("fetch.http-fetch.6.3.manual.a", true) => {
                self.trace.rule("fetch.http-fetch.6.3.manual.b", request.tainting == Tainting::Cors);
                response.kind = ResponseType::Opaqueredirect;
                Ok(response)
            }
            _ => {
                self.trace.rule("fetch.http-fetch.6.3.follow", true);
                self.redirect_fetch(request, response).await
            }
        }
    }

    /// The request as its preflight and the preflight cache see it: with the same origin, tainted or not.
    fn announced(&mut self, request: &Request) -> Request {
        let mut announced = request.clone();
        if request.redirect_taint(&mut self.trace) != RedirectTaint::SameOrigin
            && !self.trace.rule("fetch.preflight.1b", true)
        {
            announced.url_list = vec![request.url().clone()];
        }
        announced
    }

    /// HTTP fetch 4.1: whether the preflight cache leaves something open.
    fn needs_preflight(&mut self, request: &Request) -> bool {
        let key = self.preflight_key(request);
        let now = self.memory.now;
        let trace = &mut self.trace;
        let memory = &self.memory.preflights;
        let method_open = !memory.has_method(trace, &key, &request.method, now)
            && (!is_safelisted_method(trace, &request.method) || request.use_cors_preflight);
        if method_open && trace.rule("fetch.http-fetch.4.1a", true) {
            return true;
        }
        let safelisted = is_safelisted_method(trace, &request.method);
        trace.rule("fetch.preflight-cache.match.safelisted", safelisted);
        let names = unsafe_header_names(trace, &request.headers);
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
            let resendable = request.body.as_ref().is_none_or(|body| body.has_source);
            match response.received.status {
                // 15
                401 if request.tainting == Tainting::Cors => {
                    self.trace.rule("fetch.network-or-cache.15a", true);
                }
                401 if !response.includes_credentials => {
                    self.trace.rule("fetch.network-or-cache.15b", true);
                }
                // Without anybody to ask, only user name and password of the URL can be tried.
                401 if resendable
                    && request.use_url_credentials
                    && !is_authentication_fetch
                    && !request.url().username().is_empty() =>
                {
                    is_authentication_fetch = true;
                    continue;
                }
                407 if self.trace.rule("fetch.network-or-cache.16", true) => {
                    return Err(NetworkError::new("connection-failed", "fetch.network-or-cache.16"));
                }
                421 if resendable && !is_new_connection_fetch && self.trace.rule("fetch.network-or-cache.17", true) => {
                    is_new_connection_fetch = true;
                    continue;
                }
                _ => {}
            }
            if is_authentication_fetch && let Some(value) = url_authorization(request) {
                self.memory.authentication.push((Origin::of(request.url()), value)); // 18
            }
            response.url_list.clone_from(&request.url_list);
            return Ok(response);
        }
    }

    async fn network_or_cache_fetch_once(
        &mut self,
        request: &Request,
        is_authentication_fetch: bool,
    ) -> Result<Response, NetworkError> {
        let include_credentials = self.includes_credentials(request); // 8.3, 8.4
        let headers = self.complete_headers(request, include_credentials, is_authentication_fetch)?;
        let mut cache = request.cache;
        let conditional = ["if-modified-since", "if-none-match", "if-unmodified-since", "if-match", "if-range"];
        if cache == Cache::Default
            && conditional.iter().any(|name| request.headers.contains(name))
            && self.trace.rule("fetch.network-or-cache.8.16", true)
        {
            cache = Cache::NoStore;
        }
        let partition = self.partition();
        let now = self.memory.now;
        let mut validation: Option<Fields> = None;
        if !matches!(cache, Cache::NoStore | Cache::Reload) && request.method == *"GET" {
            let selected = self.memory.http_cache.select(&partition, request.url(), &headers); // 8.26
            if let Some(stored) = selected
                && self.trace.rule("fetch.network-or-cache.8.26", true)
            {
                let usable = match cache {
                    Cache::NoCache => false,
                    Cache::ForceCache | Cache::OnlyIfCached => true,
                    _ => stored.is_fresh(now),
                };
                if usable {
                    self.trace.rule("fetch.http-fetch.4.4d", request.tainting == Tainting::Cors);
                    return Ok(Response::new(stored.response.clone(), request.url_list.clone()));
                }
                let mut lines = headers.clone();
                if let Some(etag) = stored.response.headers.get("etag") {
                    lines.push("If-None-Match", etag);
                }
                if let Some(modified) = stored.response.headers.get("last-modified") {
                    lines.push("If-Modified-Since", modified);
                }
                if lines.len() > headers.len() && self.trace.rule("fetch.network-or-cache.8.26.revalidate", true) {
                    validation = Some(lines);
                }
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
            self.memory.http_cache.invalidate(&partition, request.url());
        }
        let now = self.memory.now;
        if revalidating
            && received.status == 304
            && let Some(stored) = self.memory.http_cache.select(&partition, request.url(), &headers)
            && self.trace.rule("fetch.http-fetch.4.4f", true)
        {
            HttpCache::freshen(stored, &received.headers, now);
            let mut response = Response::new(stored.response.clone(), request.url_list.clone());
            response.includes_credentials = include_credentials;
            return Ok(response);
        }
        if cache != Cache::NoStore {
            self.memory.http_cache.store(&partition, request.url(), &request.method, &headers, &received, now);
        }
        let mut response = Response::new(received, request.url_list.clone());
        response.includes_credentials = include_credentials;
        Ok(response)
    }

    /// HTTP-network-or-cache fetch 8.3 and 8.4.
    pub(crate) fn includes_credentials(&mut self, request: &Request) -> bool {
        let trace = &mut self.trace;
        let include = match request.credentials {
            Credentials::Omit => !trace.rule("fetch.request.credentials-omit", true),
            Credentials::Include => trace.rule("fetch.network-or-cache.8.3a", true),
            Credentials::SameOrigin => {
                request.tainting == Tainting::Basic || !trace.rule("fetch.network-or-cache.8.3b", true)
            }
        };
        // *Cross-Origin-Embedder-Policy allows credentials*
        if request.mode != Mode::NoCors {
            trace
                .rule("fetch.coep-allows-credentials.2", self.client.embedder_policy == EmbedderPolicy::Credentialless);
            return include;
        }
        if self.client.embedder_policy != EmbedderPolicy::Credentialless {
            trace.rule("fetch.coep-allows-credentials.4", true);
            return include;
        }
        let own = Origin::of(request.url()).is_same_origin(&request.origin);
        // The condition of step 5 reads as inverted: it is taken as it is meant.
        if own && request.redirect_taint(trace) == RedirectTaint::SameOrigin {
            trace.rule("fetch.coep-allows-credentials.5", true);
            return include;
        }
        include && !trace.rule("fetch.coep-allows-credentials.6", true)
    }

    /// *Determine the same-site mode*, and RFC 6265bis's *same-site* status of the request, which the text of Fetch
    /// leaves to it for subresources of a top-level page.
    fn same_site_mode(&mut self, request: &Request) -> SameSiteMode {
        let taint = request.redirect_taint(&mut self.trace);
        let trace = &mut self.trace;
        if trace.rule("fetch.same-site-mode.4", self.client.has_cross_site_ancestor)
            || trace.rule("fetch.same-site-mode.5", taint == RedirectTaint::CrossSite)
            || !Origin::of(request.url()).is_same_site(&self.client.top_level)
        {
            return SameSiteMode::Unset;
        }
        trace.rule("fetch.same-site-mode.6", true);
        SameSiteMode::Strict
    }

    /// HTTP-network-or-cache fetch 8.5 to 8.21: the header lines that go out.
    fn complete_headers(
        &mut self,
        request: &Request,
        include_credentials: bool,
        is_authentication_fetch: bool,
    ) -> Result<Fields, NetworkError> {
        let mut headers = request.headers.clone();
        match &request.body {
            None if (request.method == *"POST" || request.method == *"PUT")
                && self.trace.rule("fetch.network-or-cache.8.7", true) =>
            {
                headers.push("Content-Length", "0"); // 8.7
            }
            Some(body) if body.has_source => {
                headers.push("Content-Length", body.bytes.len().to_string().as_str()); // 8.8, 8.9
                if request.keepalive
                    && body.bytes.len() > KEEPALIVE_LIMIT
                    && self.trace.rule("fetch.network-or-cache.8.10a", true)
                {
                    return Err(NetworkError::new("keepalive-quota", "fetch.network-or-cache.8.10a"));
                }
                self.trace
                    .rule("fetch.network-or-cache.8.10b", request.keepalive && body.bytes.len() == KEEPALIVE_LIMIT);
            }
            _ => {}
        }
        if let Referrer::Url(url) = &request.referrer
            && self.trace.rule("fetch.network-or-cache.8.11", true)
        {
            headers.push("Referer", url.as_str());
        }
        self.trace.rule("fetch.network-or-cache.8.12", request.redirect_count > 0);
        if let Some(origin) = origin_header(&mut self.trace, request) {
            headers.push("Origin", origin);
        }
        fetch_metadata::append(&mut self.trace, request, &mut headers); // 8.13
        if request.cache == Cache::NoCache && !headers.contains("cache-control") {
            headers.push("Cache-Control", "max-age=0"); // 8.17
        }
        if matches!(request.cache, Cache::NoStore | Cache::Reload)
            && self.trace.rule("fetch.network-or-cache.8.18", true)
        {
            if !headers.contains("pragma") {
                headers.push("Pragma", "no-cache");
            }
            if !headers.contains("cache-control") {
                headers.push("Cache-Control", "no-cache");
            }
        }
        if headers.contains("range") && self.trace.rule("fetch.network-or-cache.8.19", true) {
            headers.push("Accept-Encoding", "identity");
        }
        self.trace.rule("fetch.network-or-cache.8.21b", request.headers.contains("authorization"));
        if include_credentials {
            let mode = self.same_site_mode(request);
            match self.memory.cookies.header(request.url(), mode, self.memory.now) {
                Some(cookie) if self.trace.rule("fetch.network-or-cache.8.21a", true) => headers.push("Cookie", cookie),
                _ => {
                    self.trace.rule("fetch.cookie.6", true);
                }
            }
            if !headers.contains("authorization") {
                let origin = Origin::of(request.url());
                let entry = self.memory.authentication.iter().rev().find(|(entry, _)| entry.is_same_origin(&origin));
                let value = match entry {
                    Some((_, value)) if !request.use_url_credentials || request.url().username().is_empty() => {
                        Some(value.clone())
                    }
                    _ => url_authorization(request).filter(|_| is_authentication_fetch),
                };
                if let Some(value) = value {
                    headers.push("Authorization", value);
                }
            }
        }
        Ok(headers)
    }

    /// *HTTP-network fetch*
    async fn network_fetch(
        &mut self,
        request: &Request,
        headers: Fields,
        include_credentials: bool,
    ) -> Result<Received, NetworkError> {
        let streamed = request.body.as_ref().is_some_and(|body| !body.has_source);
        let http2 = Origin::of(request.url()).has_http2();
        if streamed && !http2 && self.trace.rule("fetch.network.8.3", true) {
            return Err(NetworkError::new("connection-failed", "fetch.network.8.3"));
        }
        self.check_address_space(request)?;
        let kind = match request.mode {
            Mode::WebSocket => MessageKind::Handshake,
            _ if request.method == *"OPTIONS" && headers.contains("access-control-request-method") => {
                MessageKind::Preflight
            }
            _ => MessageKind::Request,
        };
        let preflight = kind == MessageKind::Preflight;
        let received = self.send(kind, request, headers).await?;
        if received.status == 101 && request.mode != Mode::WebSocket && self.trace.rule("fetch.network.8.5.5", true) {
            return Err(NetworkError::new("malformed-response", "fetch.network.8.5.5"));
        }
        let lines: Vec<ByteString> = received.headers.all("set-cookie").cloned().collect();
        if !lines.is_empty() {
            let store = if include_credentials {
                self.trace.rule("fetch.network.17a", true)
            } else {
                !self.trace.rule(if preflight { "fetch.network.17c" } else { "fetch.network.17b" }, true)
            };
            if store {
                let mode = self.same_site_mode(request);
                for line in &lines {
                    self.memory.cookies.store(line, request.url(), mode, self.memory.now); // fetch.set-cookie.6
                }
            }
        }
        Ok(received)
    }
}

impl UserAgent {
    /// The local network access check of HTTP-network fetch, on the address that is connected to.
    fn check_address_space(&mut self, request: &Request) -> Result<(), NetworkError> {
        let connection = match request.url().host() {
            Some(url::Host::Ipv4(address)) => AddressSpace::by_table(&mut self.trace, address.into()),
            Some(url::Host::Ipv6(address)) => AddressSpace::by_table(&mut self.trace, address.into()),
            _ => self.client.space_of_names,
        };
        let access = Access {
            origin: &request.origin,
            target: &Origin::of(request.url()),
            target_space: request.target_space,
            connection,
            permission: self.client.local_network_permission,
        };
        lna::check(&mut self.trace, &self.client, &access)
    }
}

/// *Redirect status* (`fetch.status.redirect`)
pub(crate) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// *Converted to an `Authorization` value*: Basic, of user name and password in the URL.
fn url_authorization(request: &Request) -> Option<ByteString> {
    use base64::Engine as _;

    let url = request.url();
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let text = format!("{}:{}", url.username(), url.password().unwrap_or_default());
    Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text)).as_str().into())
}
