//! Fetch, *CORS-preflight fetch*.

use std::time::Duration;

use crosscheck_servers::Fields;

use super::cors_check::cors_check;
use super::fetch::{NetworkError, UserAgent};
use super::header_value::{Extracted, extract_max_age, extract_tokens};
use super::http_fetch::is_redirect;
use super::preflight_cache::is_non_wildcard;
use super::request::{Cache, Mode, Request, Tainting};
use super::safelist::{is_safelisted_method, unsafe_header_names};
use super::trace::Trace;

/// What a preflight is cached for without a valid Access-Control-Max-Age.
const DEFAULT_MAX_AGE: u64 = 5;
/// The limit on the age of an entry that all engines stay below or at.
const MAX_AGE_LIMIT: u64 = 86_400;

impl UserAgent {
    /// *CORS-preflight fetch*: success fills the cache.
    pub(crate) async fn preflight_fetch(&mut self, request: &Request) -> Result<(), NetworkError> {
        let mut preflight = self.preflight_request(request);
        let mut response = self.network_or_cache_fetch(&preflight).await?; // 6
        let location = response.received.headers.get("location").filter(|_| is_redirect(response.received.status));
        if let Some(location) = location
            && let Ok(url) = request.url().join(&location.decode())
            && !self.trace.rule("fetch.preflight.6a", true)
        {
            preflight.url_list.push(url);
            response = self.network_or_cache_fetch(&preflight).await?;
        }
        let (status, headers) = (response.received.status, &response.received.headers);
        self.check_preflight_origin(request, headers)?;
        if !(200..300).contains(&status) {
            let redirect = is_redirect(status) || status == 304;
            let requirement = if redirect { "fetch.preflight.7.status-b" } else { "fetch.preflight.7.status-c" };
            let followable = is_redirect(status) && headers.contains("location");
            let class = if followable { "preflight-redirect" } else { "preflight-status" };
            if self.trace.rule(requirement, true) {
                return Err(NetworkError::new(class, requirement)); // 8
            }
        } else if status != 200 && !self.trace.rule("fetch.preflight.7.status-a", true) {
            return Err(NetworkError::new("preflight-status", "fetch.preflight.7.status-a"));
        }
        self.check_answer(request, headers)
    }

    /// CORS-preflight fetch 7: the CORS check, with the credentials mode of the announced request.
    fn check_preflight_origin(&mut self, request: &Request, headers: &Fields) -> Result<(), NetworkError> {
        let trace = &mut self.trace;
        match cors_check(trace, request, headers) {
            Err(error) => {
                let by_credentials = error.requirement == "fetch.cors-check.3c"
                    || matches!(error.class, Some("missing-allow-credentials"));
                let requirement = if by_credentials { "fetch.preflight.7.cors-b" } else { "fetch.preflight.7.cors-a" };
                if trace.rule(requirement, true) { Err(error) } else { Ok(()) } // 8
            }
            Ok(()) => {
                let wildcard = headers.get("access-control-allow-origin").is_some_and(|value| value == *"*");
                if wildcard && !trace.rule("fetch.preflight.7.cors-c", true) {
                    return Err(NetworkError::new("allow-origin-mismatch", "fetch.preflight.7.cors-c"));
                }
                Ok(())
            }
        }
    }

    /// CORS-preflight fetch 1 to 5.
    fn preflight_request(&mut self, request: &Request) -> Request {
        let names = self.announced_names(request); // 4
        let trace = &mut self.trace;
        let mut preflight = Request::new(request.url().clone(), request.origin.clone());
        preflight.method = "OPTIONS".into();
        preflight.url_list.clone_from(&request.url_list);
        if request.url().query().is_some() && !trace.rule("fetch.preflight.1a", true) {
            let last = preflight.url_list.len() - 1;
            preflight.url_list[last].set_query(None);
        }
        if request.includes_credentials_mode() && !trace.rule("fetch.preflight.1c", true) {
            preflight.credentials = request.credentials;
        }
        if !trace.rule("fetch.preflight.1d", true) {
            preflight.headers.clone_from(&request.headers);
            preflight.headers.remove("accept");
            preflight.body.clone_from(&request.body);
        }
        preflight.destination = request.destination;
        preflight.referrer = request.referrer.clone();
        preflight.referrer_policy.clone_from(&request.referrer_policy);
        preflight.mode = Mode::Cors;
        preflight.tainting = Tainting::Cors;
        preflight.redirect_count = request.redirect_count;
        preflight.cache = Cache::Default;
        if trace.rule("fetch.preflight.2", true) {
            preflight.headers.push("Accept", "*/*");
        }
        let simple = matches!(request.method.as_bytes(), b"GET" | b"HEAD" | b"POST");
        if !simple || trace.rule("fetch.preflight.3.safelisted", true) {
            let method = match trace.rule("fetch.preflight.3", true) {
                true => request.method.clone(),
                false => request.method.decode().to_ascii_lowercase().as_str().into(),
            };
            preflight.headers.push("Access-Control-Request-Method", method); // 3
        }
        if names.is_empty() {
            if !trace.rule("fetch.preflight.5a", true) {
                preflight.headers.push("Access-Control-Request-Headers", "");
            }
        } else {
            let separator = if trace.rule("fetch.preflight.5b", true) { "," } else { ", " };
            let names = names.join(separator).chars().map(|character| character as u8).collect::<Vec<u8>>();
            preflight.headers.push("Access-Control-Request-Headers", names); // 5
        }
        preflight
    }

    /// CORS-preflight fetch 4: the names that a preflight announces.
    fn announced_names(&mut self, request: &Request) -> Vec<String> {
        let mut names = self.unsafe_names(request);
        if !self.memory.preflights.is_empty() {
            let (key, now) = (self.preflight_key(request), self.memory.now);
            let memory = &self.memory.preflights;
            let cached = |name: &String| memory.has_header(&mut Trace::default(), &key, name, now);
            if names.iter().any(cached) && !self.trace.rule("fetch.preflight.4", true) {
                names.retain(|name| !cached(name));
            }
        }
        let trace = &mut self.trace;
        let safe: Vec<String> = request
            .headers
            .iter()
            .map(|(name, _)| name.decode().to_ascii_lowercase())
            .filter(|name| !names.contains(name))
            .collect();
        if !safe.is_empty() && !trace.rule("fetch.preflight.5c", true) {
            names.extend(safe);
        }
        // What user agents add by themselves comes later. (HTTP-network-or-cache fetch 8)
        if !trace.rule("fetch.network-or-cache.8.13c", true) {
            names.extend(["sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site"].map(ToOwned::to_owned));
        }
        names
    }

    /// *CORS-unsafe request-header names* of a request, before the user agent adds its own.
    pub(crate) fn unsafe_names(&mut self, request: &Request) -> Vec<String> {
        let mut names = unsafe_header_names(&mut self.trace, &request.headers);
        let mut add = |added: &[&str]| names.extend(added.iter().map(|name| (*name).to_owned()));
        if matches!(request.cache, Cache::NoStore | Cache::Reload)
            && !self.trace.rule("fetch.network-or-cache.8.18", true)
        {
            add(&["cache-control", "pragma"]);
        }
        if self.has_stale_copy(request) && !self.trace.rule("fetch.network-or-cache.8.26.revalidate", true) {
            add(&["if-none-match"]);
        }
        names
    }

    /// CORS-preflight fetch 7.1 to 7.15.
    fn check_answer(&mut self, request: &Request, headers: &Fields) -> Result<(), NetworkError> {
        let trace = &mut self.trace;
        let mut methods = extract_tokens(trace, headers, "access-control-allow-methods", "fetch.cors-abnf.acam"); // 7.1
        let names = extract_tokens(trace, headers, "access-control-allow-headers", "fetch.cors-abnf.acah"); // 7.2
        if methods == Extracted::Failure && trace.rule("fetch.preflight.7.3a", true) {
            return Err(NetworkError::new("invalid-allow-methods", "fetch.preflight.7.3a"));
        }
        if names == Extracted::Failure && trace.rule("fetch.preflight.7.3b", true) {
            return Err(NetworkError::new("invalid-allow-headers", "fetch.preflight.7.3b"));
        }
        if methods == Extracted::Null && request.use_cors_preflight && trace.rule("fetch.preflight.7.4", true) {
            methods = Extracted::Values(vec![request.method.clone()]);
        }
        let credentials = request.includes_credentials_mode();
        let checked = match self.check_method(request, &methods, credentials) {
            Ok(()) => self.check_names(request, &names, credentials), // 7.6, 7.7
            refused => refused,                                       // 7.5
        };
        let trace = &mut self.trace;
        if checked.is_err() && trace.rule("fetch.preflight.7.order", true) {
            return checked;
        }
        let max_age = max_age(trace, headers); // 7.8 to 7.10
        let key = self.preflight_key(request);
        let now = self.memory.now;
        let (trace, cache) = (&mut self.trace, &mut self.memory.preflights);
        cache.allow_methods(trace, &key, methods.values(), max_age, now); // 7.12, 7.13
        cache.allow_headers(trace, &key, names.values(), max_age, now); // 7.14, 7.15
        checked
    }

    /// CORS-preflight fetch 7.5.
    fn check_method(&mut self, request: &Request, methods: &Extracted, credentials: bool) -> Result<(), NetworkError> {
        let trace = &mut self.trace;
        if methods.values().contains(&request.method) && trace.rule("fetch.preflight.7.5a", true) {
            return Ok(());
        }
        if is_safelisted_method(trace, &request.method) && trace.rule("fetch.preflight.7.5d", true) {
            return Ok(());
        }
        let wildcard = methods.values().iter().any(|method| *method == *"*");
        if wildcard
            && !credentials
            && trace.rule("fetch.preflight.7.5f", true)
            && trace.rule("fetch.cors-abnf.wildcard", true)
        {
            return Ok(());
        }
        let other_case = methods.values().iter().any(|method| method.eq_ignore_ascii_case(request.method.as_bytes()));
        let requirement = if *methods == Extracted::Null {
            "fetch.preflight.7.5c"
        } else if wildcard && credentials {
            "fetch.preflight.7.5g"
        } else if other_case {
            "fetch.preflight.7.5e"
        } else {
            "fetch.preflight.7.5b"
        };
        if trace.rule(requirement, true) {
            return Err(NetworkError::new("method-not-allowed", requirement));
        }
        Ok(())
    }

    /// CORS-preflight fetch 7.6 and 7.7.
    fn check_names(&mut self, request: &Request, names: &Extracted, credentials: bool) -> Result<(), NetworkError> {
        let unsafe_names = self.unsafe_names(request);
        let trace = &mut self.trace;
        let refuse = |requirement| Err(NetworkError::new("header-not-allowed", requirement));
        let listed = |name: &str| names.values().iter().any(|listed| listed.eq_ignore_ascii_case(name));
        let wildcard = names.values().iter().any(|name| *name == *"*");
        if request.headers.contains("authorization") {
            if !listed("authorization") {
                if wildcard && is_non_wildcard(trace, "authorization") && trace.rule("fetch.preflight.7.6a", true) {
                    return refuse("fetch.preflight.7.6a");
                }
            } else if !trace.rule("fetch.preflight.7.6b", true) {
                return refuse("fetch.preflight.7.6b");
            }
        }
        for name in &unsafe_names {
            if listed(name) && trace.rule("fetch.preflight.7.7a", true) {
                continue;
            }
            if wildcard
                && !credentials
                && trace.rule("fetch.preflight.7.7d", true)
                && trace.rule("fetch.cors-abnf.wildcard", true)
            {
                continue;
            }
            let requirement = if *names == Extracted::Null {
                "fetch.preflight.7.7c"
            } else if wildcard && credentials {
                "fetch.preflight.7.7e"
            } else if matches!(
                name.as_str(),
                "accept" | "accept-language" | "content-language" | "content-type" | "range"
            ) {
                "fetch.preflight.7.7f"
            } else {
                "fetch.preflight.7.7b"
            };
            if trace.rule(requirement, true) {
                return refuse(requirement);
            }
        }
        let more = names.values().len() > unsafe_names.len();
        if more && !trace.rule("fetch.preflight.7.7g", true) {
            return refuse("fetch.preflight.7.7g");
        }
        Ok(())
    }
}

/// CORS-preflight fetch 7.8 to 7.10.
fn max_age(trace: &mut Trace, headers: &Fields) -> Duration {
    let seconds = match extract_max_age(trace, headers) {
        Some(0) if !trace.rule("fetch.preflight.7.9c", true) => DEFAULT_MAX_AGE,
        Some(seconds) => seconds,
        None => {
            let stated = headers.contains("access-control-max-age");
            let requirement = if stated { "fetch.preflight.7.9b" } else { "fetch.preflight.7.9a" };
            if trace.rule(requirement, true) { DEFAULT_MAX_AGE } else { 0 }
        }
    };
    let limited = seconds <= MAX_AGE_LIMIT || trace.rule("fetch.preflight.7.10", true);
    Duration::from_secs(if limited { seconds.min(MAX_AGE_LIMIT) } else { seconds })
}
