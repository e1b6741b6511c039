//! The parts of Fetch's *HTTP-redirect fetch* that need no network.

use crosscheck_servers::{ByteString, Fields};
use url::Url;

use super::fetch::NetworkError;
use super::machine::Received;
use super::origin::Origin;
use super::referrer::parse_policy;
use super::request::{Mode, Request, Tainting, includes_credentials};
use super::safelist::is_safelisted_header;
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
        let none = trace.rule("fetch.redirect.4", true);
        return if none { Location::None } else { Location::Failure("fetch.redirect.4") };
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
            if Url::parse(&text).is_err() && !trace.rule("fetch.location-url.3a", true) {
                return Location::Failure("fetch.location-url.3a");
            }
            if url.fragment().is_none()
                && request.url().fragment().is_some()
                && trace.rule("fetch.location-url.4", true)
            {
                url.set_fragment(request.url().fragment());
            }
            Location::Url(url)
        }
        Err(_) if trace.rule("fetch.location-url.3b", true) => Location::Failure("fetch.location-url.3b"),
        Err(_) => Location::None,
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
    if request.redirect_count >= 20 && trace.rule("fetch.redirect.7b", true)
        || request.redirect_count == 19 && !trace.rule("fetch.redirect.7a", true)
    {
        return Err(NetworkError::new("too-many-redirects", "fetch.redirect.7b")); // 7
    }
    request.redirect_count += 1; // 8
    let target = Origin::of(&location);
    if includes_credentials(&location) {
        check_credentials(trace, request, &target)?; // 9, 10
    }
    let streamed = request.body.as_ref().is_some_and(|body| !body.has_source);
    if streamed {
        let (requirement, refused) = match response.status {
            303 => ("fetch.redirect.11c", false),
            307 | 308 => ("fetch.redirect.11a", true),
            _ => ("fetch.redirect.11b", true),
        };
        if trace.rule(requirement, true) == refused {
            return Err(NetworkError::new("redirect-of-stream", requirement)); // 11
        }
    }
    let leaves_origin = !Origin::of(request.url()).is_same_origin(&target);
    if turns_into_get(trace, request, response.status) {
        rewrite(trace, request, leaves_origin); // 12
    } else if request.body.is_some() && !trace.rule("fetch.redirect.14", true) {
        request.body = None; // 14
    }
    strip_headers(trace, request, &target, leaves_origin); // 13
    request.url_list.push(location); // 18
    if let Some(policy) = response.headers.get("referrer-policy").and_then(|value| parse_policy(&value.decode()))
        && trace.rule("fetch.redirect.19", true)
    {
        request.referrer_policy = policy;
    }
    Ok(())
}

/// HTTP-redirect fetch 9 and 10, for a location with user name or password.
fn check_credentials(trace: &mut Trace, request: &Request, target: &Origin) -> Result<(), NetworkError> {
    let refuse = |requirement| Err(NetworkError::new("redirect-to-credentials", requirement));
    let own = request.origin.is_same_origin(target);
    if request.mode == Mode::Cors && !own && trace.rule("fetch.redirect.9", true) {
        return refuse("fetch.redirect.9");
    }
    if request.tainting == Tainting::Cors && trace.rule("fetch.redirect.10", true) {
        return refuse("fetch.redirect.10");
    }
    if own && request.mode == Mode::Cors && !trace.rule("fetch.redirect.9.same-origin", true) {
        return refuse("fetch.redirect.9.same-origin");
    }
    if request.mode == Mode::NoCors && !own && !trace.rule("fetch.redirect.9.no-cors", true) {
        return refuse("fetch.redirect.9.no-cors");
    }
    Ok(())
}

/// HTTP-redirect fetch 12: whether the method becomes GET.
fn turns_into_get(trace: &mut Trace, request: &Request, status: u16) -> bool {
    let post = request.method == *"POST";
    if request.method == *"GET" {
        return false;
    }
    match status {
        301 if post => trace.rule("fetch.redirect.12a", true),
        302 if post => trace.rule("fetch.redirect.12b", true),
        301 | 302 if request.method != *"HEAD" => !trace.rule("fetch.redirect.12c", true),
        303 if request.method == *"HEAD" => !trace.rule("fetch.redirect.12e", true),
        303 => trace.rule("fetch.redirect.12d", true),
        307 | 308 => !trace.rule("fetch.redirect.12f", true),
        _ => false,
    }
}

/// HTTP-redirect fetch 12.1 and 12.2.
fn rewrite(trace: &mut Trace, request: &mut Request, leaves_origin: bool) {
    request.method = "GET".into();
    request.body = None;
    let unsafe_type = request.headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("content-type") && !is_safelisted_header(&mut Trace::default(), name, value)
    });
    let keeps_type = leaves_origin && unsafe_type && !trace.rule("fetch.redirect.12.2c", true);
    if trace.rule("fetch.redirect.12.2", true) {
        for name in ["Content-Encoding", "Content-Language", "Content-Location", "Content-Type"] {
            if name != "Content-Type" || !keeps_type {
                request.headers.remove(name);
            }
        }
    }
    let others = request.headers.iter().any(|(name, _)| !name.eq_ignore_ascii_case("accept"));
    if others && !trace.rule("fetch.redirect.12.2b", true) {
        request.headers = Fields::new();
    }
}

/// HTTP-redirect fetch 13: Authorization stays within its origin, and nothing else is held back.
fn strip_headers(trace: &mut Trace, request: &mut Request, target: &Origin, leaves_origin: bool) {
    if let Some(value) = &request.removed_authorization
        && Origin::of(&request.url_list[0]).is_same_origin(target)
        && !trace.rule("fetch.redirect.13c", true)
    {
        let value = value.clone();
        request.headers.push("Authorization", value);
    }
    if let Some(value) = request.headers.get("authorization") {
        let stripped = if leaves_origin {
            // Where another origin is asked, a header that is still there would have to be announced.
            let announced = request.mode == Mode::Cors && !request.origin.is_same_origin(target);
            trace.rule("fetch.redirect.13a", true) && (!announced || trace.rule("fetch.redirect.13e", true))
        } else {
            !trace.rule("fetch.redirect.13b", true)
        };
        if stripped {
            request.headers.remove("Authorization");
            request.removed_authorization = Some(value);
        }
    }
    let own = |name: &ByteString| !name.eq_ignore_ascii_case("accept") && !name.eq_ignore_ascii_case("authorization");
    if leaves_origin && request.headers.iter().any(|(name, _)| own(name)) && !trace.rule("fetch.redirect.13d", true) {
        request.headers = request.headers.iter().filter(|(name, _)| !own(name)).cloned().collect();
    }
}
