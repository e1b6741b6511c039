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
    let leaves_origin = !target.is_origin_of(request.url());
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
        301 | 302 => !trace.rule("fetch.redirect.12c", true),
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
    } else if let Some(value) = request.removed_authorization.clone()
        && target.is_origin_of(&request.url_list[0])
        && !trace.rule("fetch.redirect.13c", true)
    {
        request.headers.push("Authorization", value);
    }
    let own = |name: &ByteString| !name.eq_ignore_ascii_case("accept") && !name.eq_ignore_ascii_case("authorization");
    if leaves_origin && request.headers.iter().any(|(name, _)| own(name)) && !trace.rule("fetch.redirect.13d", true) {
        request.headers = request.headers.iter().filter(|(name, _)| !own(name)).cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://page.test/";
    const API: &str = "https://api.test/";

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    /// A request of https://page.test for a URL.
    fn request(at: &str, mode: Mode) -> Request {
        let mut request = Request::new(url(at), Origin::of(&url(PAGE)));
        request.mode = mode;
        request
    }

    fn fields(lines: &[(&str, &str)]) -> Fields {
        lines.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn names(headers: &Fields) -> Vec<String> {
        headers.iter().map(|(name, _)| name.decode().into_owned()).collect()
    }

    #[test]
    fn a_fragment_carries_over_to_a_location_without_one() {
        let carries = "fetch.location-url.4";
        for (from, location, broken, to, follows) in [
            ("https://page.test/#own", "https://api.test/", "", "https://api.test/#own", &[carries][..]),
            ("https://page.test/#own", "https://api.test/", carries, "https://api.test/", &[]),
            ("https://page.test/#own", "https://api.test/#new", "", "https://api.test/#new", &[]),
            ("https://page.test/", "https://api.test/", "", "https://api.test/", &[]),
            ("https://page.test/", "https://api.test/#new", "", "https://api.test/#new", &[]),
        ] {
            let mut trace = Trace::breaking([broken.to_owned()]);
            let headers = fields(&[("Location", location)]);
            let Location::Url(found) = location_url(&mut trace, &request(from, Mode::Cors), &headers) else {
                panic!("{from} {location} leads nowhere");
            };
            assert_eq!(found.as_str(), to, "{from} {location} {broken}");
            assert_eq!(trace.requirements(), follows, "{from} {location} {broken}");
        }
    }

    #[test]
    fn twenty_redirects_are_followed() {
        let (twenty, more) = ("fetch.redirect.7a", "fetch.redirect.7b");
        for (before, broken, follows_it, follows) in [
            (0, "", true, &[][..]),
            (0, twenty, true, &[]),
            (18, "", true, &[]),
            (19, "", true, &[twenty]),
            (19, twenty, false, &[]),
            (20, "", false, &[more]),
            (20, more, true, &[]),
        ] {
            let mut request = request(API, Mode::Cors);
            request.redirect_count = before;
            let mut trace = Trace::breaking([broken.to_owned()]);
            let response = Received { status: 302, ..Received::default() };
            let result = follow(&mut trace, &mut request, &response, url("https://api.test/next"));
            let class = result.err().and_then(|error| error.class);
            assert_eq!(class, (!follows_it).then_some("too-many-redirects"), "{before} {broken}");
            assert_eq!(trace.requirements(), follows, "{before} {broken}");
        }
    }

    #[test]
    fn whither_a_redirect_may_carry_a_password() {
        use Tainting::{Basic, Cors, Opaque};
        let (foreign, tainted) = ("fetch.redirect.9", "fetch.redirect.10");
        let (own, lax) = ("fetch.redirect.9.same-origin", "fetch.redirect.9.no-cors");
        for (mode, tainting, target, broken, refused, follows) in [
            (Mode::Cors, Basic, API, "", Some(foreign), &[foreign][..]),
            (Mode::Cors, Cors, API, foreign, Some(tainted), &[tainted]),
            (Mode::Cors, Cors, PAGE, "", Some(tainted), &[tainted]),
            (Mode::Cors, Basic, PAGE, "", None, &[own]),
            (Mode::Cors, Basic, PAGE, own, Some(own), &[]),
            (Mode::Cors, Cors, PAGE, tainted, None, &[own]),
            (Mode::NoCors, Opaque, API, "", None, &[lax]),
            (Mode::NoCors, Opaque, API, lax, Some(lax), &[]),
            (Mode::NoCors, Basic, PAGE, "", None, &[]),
            (Mode::NoCors, Basic, PAGE, own, None, &[]),
            (Mode::NoCors, Basic, PAGE, lax, None, &[]),
            (Mode::SameOrigin, Basic, PAGE, "", None, &[]),
            (Mode::SameOrigin, Basic, API, "", None, &[]),
        ] {
            let request = Request { tainting, ..request(PAGE, mode) };
            let mut trace = Trace::breaking([broken.to_owned()]);
            let result = check_credentials(&mut trace, &request, &Origin::of(&url(target)));
            let row = format!("{mode:?} {tainting:?} {target} {broken}");
            let expected = refused.map(|id| NetworkError::new("redirect-to-credentials", id));
            assert_eq!(result.err(), expected, "{row}");
            assert_eq!(trace.requirements(), follows, "{row}");
        }
    }

    #[test]
    fn which_methods_become_get() {
        for (status, method, rule, becomes) in [
            (301, "POST", Some("12a"), true),
            (302, "POST", Some("12b"), true),
            (301, "PUT", Some("12c"), false),
            (302, "DELETE", Some("12c"), false),
            (301, "HEAD", Some("12c"), false),
            (302, "HEAD", Some("12c"), false),
            (303, "POST", Some("12d"), true),
            (303, "PUT", Some("12d"), true),
            (303, "HEAD", Some("12e"), false),
            (307, "POST", Some("12f"), false),
            (308, "PUT", Some("12f"), false),
            (301, "GET", None, false),
            (303, "GET", None, false),
        ] {
            let request = Request { method: method.into(), ..request(PAGE, Mode::Cors) };
            let rule = rule.map(|id| format!("fetch.redirect.{id}"));
            let mut trace = Trace::default();
            assert_eq!(turns_into_get(&mut trace, &request, status), becomes, "{status} {method}");
            assert_eq!(trace.requirements(), Vec::from_iter(rule.as_deref()), "{status} {method}");
            let is_broken = rule.is_some();
            let mut wrong = Trace::breaking(rule);
            assert_eq!(turns_into_get(&mut wrong, &request, status), becomes != is_broken, "{status} {method}");
        }
    }

    #[test]
    fn what_goes_with_the_body_when_the_method_becomes_get() {
        let (dropped, kept, announced) = ("fetch.redirect.12.2", "fetch.redirect.12.2b", "fetch.redirect.12.2c");
        let (accept, custom) = (("Accept", "*/*"), ("X-Custom", "a"));
        let (json, text) = (("Content-Type", "application/json"), ("Content-Type", "text/plain"));
        let language = ("Content-Language", "en");
        for (headers, leaves_origin, broken, left, follows) in [
            (&[accept][..], true, "", &["Accept"][..], &[dropped][..]),
            (&[accept, custom], true, "", &["Accept", "X-Custom"], &[dropped, kept]),
            (&[custom], true, "", &["X-Custom"], &[dropped, kept]),
            (&[custom], false, kept, &[], &[dropped]),
            (&[accept, json, language], true, "", &["Accept"], &[announced, dropped]),
            (&[accept, json, language], true, announced, &["Accept", "Content-Type"], &[dropped, kept]),
            (&[accept, json, language], false, "", &["Accept"], &[dropped]),
            (&[accept, text], true, "", &["Accept"], &[dropped]),
            (&[accept, json], true, dropped, &["Accept", "Content-Type"], &[announced, kept]),
        ] {
            let mut request = Request { headers: fields(headers), ..request(PAGE, Mode::Cors) };
            let mut trace = Trace::breaking([broken.to_owned()]);
            rewrite(&mut trace, &mut request, leaves_origin);
            let row = format!("{headers:?} {leaves_origin} {broken}");
            assert_eq!(names(&request.headers), left, "{row}");
            assert_eq!(trace.requirements(), follows, "{row}");
        }
    }

    #[test]
    fn authorization_stays_within_its_origin_and_other_headers_go_along() {
        let (a, b, e) = ("fetch.redirect.13a", "fetch.redirect.13b", "fetch.redirect.13e");
        let others = "fetch.redirect.13d";
        let (accept, custom, secret) = (("Accept", "*/*"), ("X-Custom", "a"), ("Authorization", "secret"));
        for (from, to, mode, headers, broken, left, follows) in [
            (PAGE, PAGE, Mode::Cors, &[secret][..], "", &["Authorization"][..], &[b][..]),
            (PAGE, PAGE, Mode::Cors, &[secret], b, &[], &[]),
            (PAGE, API, Mode::Cors, &[secret], "", &[], &[a, e]),
            (PAGE, API, Mode::Cors, &[secret], a, &["Authorization"], &[]),
            (PAGE, API, Mode::Cors, &[secret], e, &["Authorization"], &[a]),
            // Nothing is announced to the page's own origin, nor in other modes.
            (API, PAGE, Mode::Cors, &[secret], "", &[], &[a]),
            (PAGE, API, Mode::SameOrigin, &[secret], e, &[], &[a]),
            (PAGE, API, Mode::Cors, &[accept], "", &["Accept"], &[]),
            (PAGE, API, Mode::Cors, &[accept, custom], "", &["Accept", "X-Custom"], &[others]),
            (PAGE, API, Mode::Cors, &[accept, custom], others, &["Accept"], &[]),
            (PAGE, PAGE, Mode::Cors, &[accept, custom], "", &["Accept", "X-Custom"], &[]),
            (PAGE, PAGE, Mode::Cors, &[accept, custom], others, &["Accept", "X-Custom"], &[]),
            (PAGE, API, Mode::Cors, &[secret, custom], others, &[], &[a, e]),
        ] {
            let mut request = Request { headers: fields(headers), ..request(from, mode) };
            let mut trace = Trace::breaking([broken.to_owned()]);
            strip_headers(&mut trace, &mut request, &Origin::of(&url(to)), from != to);
            let row = format!("{from} {to} {mode:?} {headers:?} {broken}");
            assert_eq!(names(&request.headers), left, "{row}");
            assert_eq!(trace.requirements(), follows, "{row}");
        }
    }

    #[test]
    fn authorization_does_not_come_back() {
        let gone = "fetch.redirect.13c";
        for (to, broken, left, follows) in [
            (PAGE, "", &[][..], &[gone][..]),
            (PAGE, gone, &["Authorization"], &[]),
            (API, "", &[], &[]),
            (API, gone, &[], &[]),
        ] {
            let mut request = request(PAGE, Mode::Cors);
            request.url_list.push(url(API));
            request.removed_authorization = Some("secret".into());
            let mut trace = Trace::breaking([broken.to_owned()]);
            strip_headers(&mut trace, &mut request, &Origin::of(&url(to)), to != API);
            assert_eq!(names(&request.headers), left, "{to} {broken}");
            assert_eq!(trace.requirements(), follows, "{to} {broken}");
        }
    }
}
