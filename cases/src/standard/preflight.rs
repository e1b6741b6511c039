//! Fetch, *CORS-preflight fetch*.

use std::time::Duration;

use crosscheck_servers::{ByteString, Fields};

use super::cors_check::cors_check;
use super::fetch::{NetworkError, UserAgent};
use super::header_value::{Extracted, extract_max_age, extract_tokens};
use super::http_fetch::is_redirect;
use super::request::{Cache, Mode, Request, Tainting};
use super::safelist::{is_safelisted_method, unsafe_header_names};

/// What a preflight is cached for without a valid Access-Control-Max-Age. (`fetch.preflight.7.9a`)
const DEFAULT_MAX_AGE: u64 = 5;
/// The limit on the age of an entry that all engines stay below or at. (`fetch.preflight.7.10`)
const MAX_AGE_LIMIT: u64 = 86_400;

impl UserAgent {
    /// *CORS-preflight fetch*: success fills the cache.
    pub(crate) async fn preflight_fetch(&mut self, request: &Request) -> Result<(), NetworkError> {
        let preflight = self.preflight_request(request);
        let response = self.network_or_cache_fetch(&preflight).await?; // 6
        let (status, headers) = (response.received.status, &response.received.headers);
        if let Err(error) = cors_check(&mut self.trace, request, headers) {
            let requirement = if request.includes_credentials_mode() {
                "fetch.preflight.7.cors-b"
            } else {
                "fetch.preflight.7.cors-a"
            };
            if self.trace.rule(requirement, true) {
                return Err(error); // 7, 8
            }
        }
        if !(200..300).contains(&status) {
            let (class, requirement) = if is_redirect(status) && headers.contains("location") {
                ("preflight-redirect", "fetch.preflight.7.status-b")
            } else if (300..400).contains(&status) {
                ("preflight-status", "fetch.preflight.7.status-b")
            } else {
                ("preflight-status", "fetch.preflight.7.status-c")
            };
            if self.trace.rule(requirement, true) {
                return Err(NetworkError::new(class, requirement)); // 8
            }
        } else {
            self.trace.rule("fetch.preflight.7.status-a", true);
        }
        self.check_answer(request, headers)
    }

    /// CORS-preflight fetch 1 to 5.
    fn preflight_request(&mut self, request: &Request) -> Request {
        let trace = &mut self.trace;
        let mut preflight = Request::new(request.url().clone(), request.origin.clone());
        preflight.method = "OPTIONS".into();
        preflight.url_list.clone_from(&request.url_list);
        preflight.destination = request.destination;
        preflight.referrer = request.referrer.clone();
        preflight.referrer_policy.clone_from(&request.referrer_policy);
        preflight.mode = Mode::Cors;
        preflight.tainting = Tainting::Cors;
        preflight.redirect_count = request.redirect_count;
        // It is answered from no cache, and stored in none. (`fetch.preflight.6b`)
        preflight.cache = Cache::Default;
        preflight.headers.push("Accept", "*/*"); // 2
        preflight.headers.push("Access-Control-Request-Method", request.method.clone()); // 3
        let names = unsafe_header_names(trace, &request.headers); // 4
        if names.is_empty() {
            trace.rule("fetch.preflight.5a", true);
        } else if trace.rule("fetch.preflight.5b", true) {
            let names: Vec<Vec<u8>> = names.iter().map(|name| name.chars().map(|c| c as u8).collect()).collect();
            preflight.headers.push("Access-Control-Request-Headers", ByteString::from(names.join(&b','))); // 5
        }
        preflight
    }

    /// CORS-preflight fetch 7.1 to 7.15.
    fn check_answer(&mut self, request: &Request, headers: &Fields) -> Result<(), NetworkError> {
        let trace = &mut self.trace;
        let mut methods = extract_tokens(headers, "access-control-allow-methods"); // 7.1
        let names = extract_tokens(headers, "access-control-allow-headers"); // 7.2
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
        self.check_method(request, &methods, credentials)?; // 7.5
        self.check_names(request, &names, credentials)?; // 7.6, 7.7
        let trace = &mut self.trace;
        let stated = extract_max_age(headers); // 7.8
        let max_age = stated.unwrap_or_else(|| {
            let requirement = match headers.contains("access-control-max-age") {
                true => "fetch.preflight.7.9b",
                false => "fetch.preflight.7.9a",
            };
            if trace.rule(requirement, true) { DEFAULT_MAX_AGE } else { 0 }
        });
        trace.rule("fetch.preflight.7.9c", max_age == 0);
        let max_age = Duration::from_secs(max_age.min(MAX_AGE_LIMIT)); // 7.10
        let key = self.preflight_key(request);
        let now = self.memory.now;
        let (trace, cache) = (&mut self.trace, &mut self.memory.preflights);
        cache.allow_methods(trace, &key, methods.values(), max_age, now); // 7.12, 7.13
        cache.allow_headers(trace, &key, names.values(), max_age, now); // 7.14, 7.15
        Ok(())
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
        if wildcard && !credentials && trace.rule("fetch.preflight.7.5f", true) {
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
        let trace = &mut self.trace;
        let listed = |name: &str| names.values().iter().any(|listed| listed.eq_ignore_ascii_case(name));
        let wildcard = names.values().iter().any(|name| *name == *"*");
        let authorization = request.headers.contains("authorization");
        if authorization && !listed("authorization") && trace.rule("fetch.preflight.7.6a", true) {
            return Err(NetworkError::new("header-not-allowed", "fetch.preflight.7.6a"));
        }
        trace.rule("fetch.preflight.7.6b", authorization);
        let unsafe_names = unsafe_header_names(trace, &request.headers);
        for name in &unsafe_names {
            if listed(name) && trace.rule("fetch.preflight.7.7a", true) {
                continue;
            }
            if wildcard && !credentials && trace.rule("fetch.preflight.7.7d", true) {
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
                return Err(NetworkError::new("header-not-allowed", requirement));
            }
        }
        trace.rule("fetch.preflight.7.7g", names.values().len() > unsafe_names.len());
        Ok(())
    }
}
