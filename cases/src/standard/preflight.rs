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

#[cfg(test)]
mod tests {
    use crosscheck_servers::ByteString;

    use super::super::client::Client;
    use super::super::machine::{Answer, Machine, Received, Wire};
    use super::super::origin::Origin;
    use super::super::request::Credentials;
    use super::Extracted::{Failure, Null, Values};
    use super::*;
    use crate::Document;

    const PAGE: &str = "https://page.test";

    fn agent(wire: Wire, broken: &str) -> UserAgent {
        let client = Client::of(&Document::page(PAGE), "/");
        UserAgent::new(client, Trace::breaking([broken.to_owned()]), wire)
    }

    fn fields(lines: &[(&str, &str)]) -> Fields {
        lines.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    /// A request of the page to another site.
    fn request(method: &str, headers: &[(&str, &str)], credentials: Credentials) -> Request {
        let url = |text: &str| text.parse().expect("a URL");
        let mut request = Request::new(url("https://api.test/"), Origin::of(&url(PAGE)));
        request.mode = Mode::Cors;
        request.tainting = Tainting::Cors;
        request.method = method.into();
        request.headers = fields(headers);
        request.credentials = credentials;
        request
    }

    /// The requirements of a trace that are of this family.
    fn followed(trace: &Trace, family: &[&str]) -> Vec<&'static str> {
        trace.requirements().into_iter().filter(|id| family.iter().any(|prefix| id.starts_with(prefix))).collect()
    }

    /// What a PUT comes to whose preflight has this answer.
    fn announced(
        credentials: Credentials,
        status: u16,
        headers: &[(&str, &str)],
        broken: &str,
    ) -> (Result<(), NetworkError>, Vec<&'static str>) {
        let (broken, headers) = (broken.to_owned(), fields(headers));
        let machine = Machine::new(move |wire| async move {
            let mut agent = agent(wire, &broken);
            let result = agent.preflight_fetch(&request("PUT", &[], credentials)).await;
            (result, followed(&agent.trace, &["fetch.preflight.7.status-", "fetch.preflight.7.cors-"]))
        });
        let answer = Received { status, headers, complete: true, ..Received::default() };
        machine.run(|_| Answer::Response(answer.clone()))
    }

    #[test]
    fn only_success_lets_a_preflight_pass() {
        let allowed = [("Access-Control-Allow-Origin", PAGE), ("Access-Control-Allow-Methods", "PUT")];
        let located = [&allowed[..], &[("Location", "/other")]].concat();
        let (any, redirect, other) =
            ("fetch.preflight.7.status-a", "fetch.preflight.7.status-b", "fetch.preflight.7.status-c");
        for (status, headers, broken, class, follows) in [
            (200, &allowed[..], "", None, &[][..]),
            (204, &allowed, "", None, &[any]),
            (299, &allowed, "", None, &[any]),
            (200, &allowed, any, None, &[]),
            (204, &allowed, any, Some("preflight-status"), &[]),
            (301, &located, "", Some("preflight-redirect"), &[redirect]),
            (308, &located, "", Some("preflight-redirect"), &[redirect]),
            (301, &allowed, "", Some("preflight-status"), &[redirect]),
            (304, &located, "", Some("preflight-status"), &[redirect]),
            (404, &allowed, "", Some("preflight-status"), &[other]),
            (404, &located, "", Some("preflight-status"), &[other]),
            (500, &allowed, other, None, &[]),
        ] {
            let (result, followed) = announced(Credentials::Omit, status, headers, broken);
            assert_eq!(result.err().and_then(|error| error.class), class, "{status} {headers:?} {broken}");
            assert_eq!(followed, follows, "{status} {headers:?} {broken}");
        }
    }

    #[test]
    fn the_cors_check_of_a_preflight_goes_by_the_credentials_of_the_request() {
        use Credentials::{Include, Omit};
        let (origin, by_credentials, any) =
            ("fetch.preflight.7.cors-a", "fetch.preflight.7.cors-b", "fetch.preflight.7.cors-c");
        let name = "Access-Control-Allow-Origin";
        for (credentials, header, broken, class, follows) in [
            (Omit, ("X", ""), "", Some("missing-allow-origin"), &[origin][..]),
            (Omit, (name, "https://other.test"), "", Some("allow-origin-mismatch"), &[origin]),
            (Include, (name, "https://other.test"), "", Some("allow-origin-mismatch"), &[origin]),
            (Include, (name, "*"), "", Some("wildcard-with-credentials"), &[by_credentials]),
            (Include, (name, PAGE), "", Some("missing-allow-credentials"), &[by_credentials]),
            (Include, (name, PAGE), by_credentials, None, &[]),
            (Omit, (name, "https://other.test"), origin, None, &[]),
            (Omit, (name, "*"), "", None, &[any]),
            (Omit, (name, "*"), any, Some("allow-origin-mismatch"), &[]),
            (Omit, (name, PAGE), "", None, &[]),
            (Omit, (name, PAGE), any, None, &[]),
        ] {
            let headers = [header, ("Access-Control-Allow-Methods", "PUT")];
            let (result, followed) = announced(credentials, 200, &headers, broken);
            assert_eq!(result.err().and_then(|error| error.class), class, "{credentials:?} {header:?} {broken}");
            assert_eq!(followed, follows, "{credentials:?} {header:?} {broken}");
        }
    }

    #[test]
    fn what_a_preflight_announces() {
        let (safelisted, method) = ("fetch.preflight.3.safelisted", "fetch.preflight.3");
        let (nothing, joined, safe) = ("fetch.preflight.5a", "fetch.preflight.5b", "fetch.preflight.5c");
        let (accept, a, b) = (("Accept", "*/*"), ("X-A", "1"), ("X-B", "1"));
        for (name, headers, broken, announced, names, follows) in [
            ("PUT", &[][..], "", Some("PUT"), None, &[method, nothing][..]),
            ("patch", &[], "", Some("patch"), None, &[method, nothing]),
            ("PUT", &[], method, Some("put"), None, &[nothing]),
            ("PUT", &[], nothing, Some("PUT"), Some(""), &[method]),
            ("PUT", &[], safelisted, Some("PUT"), None, &[method, nothing]),
            ("GET", &[a], "", Some("GET"), Some("x-a"), &[safelisted, method, joined]),
            ("HEAD", &[a], "", Some("HEAD"), Some("x-a"), &[safelisted, method, joined]),
            ("POST", &[a], "", Some("POST"), Some("x-a"), &[safelisted, method, joined]),
            ("POST", &[a], safelisted, None, Some("x-a"), &[joined]),
            ("PUT", &[b, a], "", Some("PUT"), Some("x-a,x-b"), &[method, joined]),
            ("PUT", &[b, a], joined, Some("PUT"), Some("x-a, x-b"), &[method]),
            ("PUT", &[accept, a], "", Some("PUT"), Some("x-a"), &[safe, method, joined]),
            ("PUT", &[accept, a], safe, Some("PUT"), Some("x-a,accept"), &[method, joined]),
        ] {
            let mut agent = agent(Wire::default(), broken);
            let preflight = agent.preflight_request(&request(name, headers, Credentials::Omit));
            let row = format!("{name} {headers:?} {broken}");
            let stated = |name: &str| preflight.headers.get(name).map(|value| value.decode().into_owned());
            assert_eq!(stated("access-control-request-method").as_deref(), announced, "{row}");
            assert_eq!(stated("access-control-request-headers").as_deref(), names, "{row}");
            assert_eq!(followed(&agent.trace, &["fetch.preflight.3", "fetch.preflight.5"]), follows, "{row}");
        }
    }

    #[test]
    fn names_that_the_cache_covers_are_announced_all_the_same() {
        let all = "fetch.preflight.4";
        for (cached, broken, names, follows) in [
            (&[][..], "", &["x-a", "x-b"][..], &[][..]),
            (&["x-c"], "", &["x-a", "x-b"], &[]),
            (&["x-a"], "", &["x-a", "x-b"], &[all]),
            (&["x-a"], all, &["x-b"], &[]),
            (&["x-a", "x-b"], all, &[], &[]),
        ] {
            let mut agent = agent(Wire::default(), broken);
            let request = request("GET", &[("X-A", "1"), ("X-B", "1")], Credentials::Omit);
            let key = agent.preflight_key(&request);
            let cached: Vec<ByteString> = cached.iter().map(|name| (*name).into()).collect();
            let (mut trace, age) = (Trace::default(), Duration::from_secs(60));
            agent.memory.preflights.allow_headers(&mut trace, &key, &cached, age, Duration::ZERO);
            assert_eq!(agent.announced_names(&request), names, "{cached:?} {broken}");
            assert_eq!(followed(&agent.trace, &[all]), follows, "{cached:?} {broken}");
        }
    }

    fn values(listed: &[&str]) -> Extracted {
        Values(listed.iter().map(|value| (*value).into()).collect())
    }

    #[test]
    fn which_methods_an_answer_allows() {
        for (method, methods, credentials, broken, refused, follows) in [
            ("PUT", values(&["GET", "PUT"]), false, "", None, &["7.5a"][..]),
            ("POST", Null, true, "", None, &["7.5d"]),
            ("POST", values(&["PUT"]), true, "", None, &["7.5d"]),
            ("PUT", values(&["GET", "*"]), false, "", None, &["7.5f"]),
            ("PUT", values(&["*"]), false, "7.5f", Some("7.5b"), &["7.5b"]),
            ("PUT", values(&["*"]), true, "", Some("7.5g"), &["7.5g"]),
            ("*", values(&["*"]), true, "", None, &["7.5a"]),
            ("PUT", Null, false, "", Some("7.5c"), &["7.5c"]),
            ("PUT", Null, true, "", Some("7.5c"), &["7.5c"]),
            ("PUT", values(&["GET"]), false, "", Some("7.5b"), &["7.5b"]),
            ("PUT", values(&["GET"]), true, "", Some("7.5b"), &["7.5b"]),
            ("PUT", values(&["GET"]), true, "7.5b", None, &[]),
            ("PUT", values(&["put"]), true, "", Some("7.5e"), &["7.5e"]),
            ("PUT", Failure, false, "", Some("7.5b"), &["7.5b"]),
        ] {
            let row = format!("{method} {methods:?} {credentials} {broken}");
            let mut agent = agent(Wire::default(), &format!("fetch.preflight.{broken}"));
            let result = agent.check_method(&request(method, &[], Credentials::Omit), &methods, credentials);
            let refused = refused.map(|id| (Some("method-not-allowed"), format!("fetch.preflight.{id}")));
            assert_eq!(result.err().map(|error| (error.class, error.requirement.to_owned())), refused, "{row}");
            let follows: Vec<String> = follows.iter().map(|id| format!("fetch.preflight.{id}")).collect();
            assert_eq!(followed(&agent.trace, &["fetch.preflight."]), follows, "{row}");
        }
    }

    #[test]
    fn which_header_names_an_answer_allows() {
        let (a, json, secret) = (("X-A", "1"), ("Content-Type", "application/json"), ("Authorization", "secret"));
        for (headers, names, credentials, broken, refused, follows) in [
            (&[][..], Null, false, "", None, &[][..]),
            (&[], values(&["x-b"]), false, "", None, &["7.7g"]),
            (&[a], values(&["X-A"]), true, "", None, &["7.7a"]),
            (&[a], values(&["X-A"]), true, "7.7g", None, &["7.7a"]),
            (&[a], values(&["x-a", "x-b"]), true, "", None, &["7.7a", "7.7g"]),
            (&[a], values(&["x-a", "x-b"]), true, "7.7g", Some("7.7g"), &["7.7a"]),
            (&[a], values(&["*"]), false, "", None, &["7.7d"]),
            (&[a], values(&["*"]), true, "", Some("7.7e"), &["7.7e"]),
            (&[a], Null, true, "", Some("7.7c"), &["7.7c"]),
            (&[a], values(&["x-b"]), false, "", Some("7.7b"), &["7.7b"]),
            (&[a], values(&["x-b"]), true, "", Some("7.7b"), &["7.7b"]),
            (&[a], values(&["x-b"]), true, "7.7b", None, &[]),
            (&[json], values(&["x-b"]), true, "", Some("7.7f"), &["7.7f"]),
            (&[json], values(&["content-type"]), true, "", None, &["7.7a"]),
            (&[secret], values(&["*"]), false, "", Some("7.6a"), &["7.6a"]),
            (&[secret], values(&["*"]), true, "", Some("7.6a"), &["7.6a"]),
            (&[secret], values(&["x-b"]), false, "", Some("7.7b"), &["7.7b"]),
            (&[secret], Null, false, "", Some("7.7c"), &["7.7c"]),
            (&[secret], values(&["AUTHORIZATION"]), false, "", None, &["7.6b", "7.7a"]),
            (&[secret], values(&["*", "authorization"]), true, "", None, &["7.6b", "7.7a", "7.7g"]),
        ] {
            let row = format!("{headers:?} {names:?} {credentials} {broken}");
            let mut agent = agent(Wire::default(), &format!("fetch.preflight.{broken}"));
            let result = agent.check_names(&request("GET", headers, Credentials::Omit), &names, credentials);
            let refused = refused.map(|id| (Some("header-not-allowed"), format!("fetch.preflight.{id}")));
            assert_eq!(result.err().map(|error| (error.class, error.requirement.to_owned())), refused, "{row}");
            let follows: Vec<String> = follows.iter().map(|id| format!("fetch.preflight.{id}")).collect();
            assert_eq!(followed(&agent.trace, &["fetch.preflight."]), follows, "{row}");
        }
    }

    #[test]
    fn how_long_a_preflight_is_kept() {
        let (absent, bad, zero, limit) =
            ("fetch.preflight.7.9a", "fetch.preflight.7.9b", "fetch.preflight.7.9c", "fetch.preflight.7.10");
        for (lines, broken, seconds, follows) in [
            (&[][..], "", 5, &[absent][..]),
            (&["-1"], "", 5, &[bad]),
            (&["60", "60"], "", 5, &[bad]),
            (&["0"], "", 0, &[zero]),
            (&["0"], zero, 5, &[]),
            (&["60"], "", 60, &[]),
            (&["60"], limit, 60, &[]),
            (&["86400"], "", 86_400, &[]),
            (&["86401"], "", 86_400, &[limit]),
            (&["86401"], limit, 86_401, &[]),
        ] {
            let mut trace = Trace::breaking([broken.to_owned()]);
            let headers = lines.iter().map(|line| ("Access-Control-Max-Age".into(), (*line).into())).collect();
            assert_eq!(max_age(&mut trace, &headers), Duration::from_secs(seconds), "{lines:?} {broken}");
            assert_eq!(followed(&trace, &["fetch.preflight."]), follows, "{lines:?} {broken}");
        }
    }
}
