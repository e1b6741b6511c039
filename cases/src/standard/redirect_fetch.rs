//! The parts of Fetch's *HTTP-redirect fetch* that need no network.

use crosscheck_servers::Fields;
use url::Url;

use super::fetch::NetworkError;
use super::machine::Received;
use super::origin::Origin;
use super::referrer::parse_policy;
use super::request::{Mode, Request, Tainting};
use super::trace::Trace;

/// *Location URL*
pub(crate) enum Location {
    None,
    /// By this requirement.
    Failure(&'static str),
    Url(Url),
}

/// *Location URL* of a response with a redirect status, with the request's fragment.
pub(crate) fn location_url(trace: &mut Trace, request: &Request, headers: &Fields) -> Location {
    let mut lines = headers.all("location");
    let Some(line) = lines.next() else {
        trace.rule("fetch.redirect.4", true);
        return Location::None;
    };
    if lines.next().is_some() && trace.rule("fetch.location-url.2", true) {
        return Location::Failure("fetch.location-url.2");
    }
    let text = match std::str::from_utf8(line.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => line.decode().into_owned(),
    };
    match request.url().join(&text) {
        Ok(mut url) => {
            trace.rule("fetch.location-url.3a", Url::parse(&text).is_err());
            if url.fragment().is_none()
                && request.url().fragment().is_some()
                && trace.rule("fetch.location-url.4", true)
            {
                url.set_fragment(request.url().fragment());
            }
            Location::Url(url)
        }
        Err(_) => {
            trace.rule("fetch.location-url.3b", true);
            Location::Failure("fetch.location-url.3b")
        }
    }
}

/// HTTP-redirect fetch 6 to 19: the request as it goes on, or why it does not.
pub(crate) fn follow(
    trace: &mut Trace,
    request: &mut Request,
    response: &Received,
    location: Url,
) -> Result<(), NetworkError> {
    if !matches!(location.scheme(), "http" | "https") && trace.rule("fetch.redirect.6", true) {
        return Err(NetworkError::new("redirect-to-other-scheme", "fetch.redirect.6"));
    }
    if request.redirect_count >= 20 && trace.rule("fetch.redirect.7b", true) {
        return Err(NetworkError::new("too-many-redirects", "fetch.redirect.7b"));
    }
    request.redirect_count += 1; // 8
    trace.rule("fetch.redirect.7a", request.redirect_count == 20);
    let target = Origin::of(&location);
    let includes_credentials = !location.username().is_empty() || location.password().is_some();
    if includes_credentials {
        let own = request.origin.is_same_origin(&target);
        if request.mode == Mode::Cors && !own && trace.rule("fetch.redirect.9", true) {
            return Err(NetworkError::new("redirect-to-credentials", "fetch.redirect.9"));
        }
        if request.tainting == Tainting::Cors && trace.rule("fetch.redirect.10", true) {
            return Err(NetworkError::new("redirect-to-credentials", "fetch.redirect.10"));
        }
        trace.rule("fetch.redirect.9.same-origin", own && request.mode == Mode::Cors);
        trace.rule("fetch.redirect.9.no-cors", request.mode == Mode::NoCors);
    }
    let streamed = request.body.as_ref().is_some_and(|body| !body.has_source);
    let post = request.method == *"POST";
    if streamed && response.status != 303 {
        let requirement =
            if matches!(response.status, 307 | 308) { "fetch.redirect.11a" } else { "fetch.redirect.11b" };
        if trace.rule(requirement, true) {
            return Err(NetworkError::new("redirect-of-stream", requirement));
        }
    }
    trace.rule("fetch.redirect.11c", streamed && response.status == 303);
    let simple = request.method == *"GET" || request.method == *"HEAD";
    let rewrites = match response.status {
        301 => post && trace.rule("fetch.redirect.12a", true),
        302 => post && trace.rule("fetch.redirect.12b", true),
        303 => !simple && trace.rule("fetch.redirect.12d", true),
        _ => false,
    };
    if rewrites {
        request.method = "GET".into();
        request.body = None;
        if trace.rule("fetch.redirect.12.2", true) {
            for name in ["Content-Encoding", "Content-Language", "Content-Location", "Content-Type"] {
                request.headers.remove(name);
            }
        }
    } else {
        match response.status {
            301 | 302 if !simple && !post => trace.rule("fetch.redirect.12c", true),
            303 if request.method == *"HEAD" => trace.rule("fetch.redirect.12e", true),
            307 | 308 => trace.rule("fetch.redirect.12f", true),
            _ => false,
        };
        trace.rule("fetch.redirect.14", request.body.is_some());
    }
    if request.headers.contains("authorization") {
        if Origin::of(request.url()).is_same_origin(&target) {
            trace.rule("fetch.redirect.13b", true);
        } else if trace.rule("fetch.redirect.13a", true) {
            request.headers.remove("Authorization"); // 13
        }
    }
    request.url_list.push(location); // 18
    if let Some(policy) = response.headers.get("referrer-policy").and_then(|value| parse_policy(&value.decode()))
        && trace.rule("fetch.redirect.19", true)
    {
        request.referrer_policy = policy;
    }
    Ok(())
}
