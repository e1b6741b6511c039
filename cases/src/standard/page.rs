//! What a page sees: the results of `fetch()`, `XMLHttpRequest`, `EventSource` and `sendBeacon()`.

use std::collections::BTreeMap;

use super::fetch::{NetworkError, Response, UserAgent};
use super::header_value::{essence_of, extract_mime_type};
use super::request::{Cache, Credentials, Mode, Request};
use super::request_class::{construct, extract_body, parse_url};
use super::safelist::is_safelisted_header;
use super::trace::Trace;
use crate::{BeaconProbe, BodyKind, EventSourceProbe, FetchProbe, PageResult, Reading, ResponseType, ResultKind};

/// What came of a step, and why it was blocked where it was.
pub(crate) type StepResult = (PageResult, Option<NetworkError>);

pub(crate) fn exception(name: &str) -> PageResult {
    PageResult { result: ResultKind::Exception, error: Some(name.to_owned()), ..PageResult::default() }
}

pub(crate) fn of_kind(result: ResultKind) -> PageResult {
    PageResult { result, ..PageResult::default() }
}

/// *CORS-safelisted response-header name*, without those that Access-Control-Expose-Headers adds.
const SAFELISTED: [(&str, &str); 7] = [
    ("cache-control", "fetch.cors-safelisted-response-header-name.cache-control"),
    ("content-language", "fetch.cors-safelisted-response-header-name.content-language"),
    ("content-length", "fetch.cors-safelisted-response-header-name.content-length"),
    ("content-type", "fetch.cors-safelisted-response-header-name.content-type"),
    ("expires", "fetch.cors-safelisted-response-header-name.expires"),
    ("last-modified", "fetch.cors-safelisted-response-header-name.last-modified"),
    ("pragma", "fetch.cors-safelisted-response-header-name.pragma"),
];

/// The headers that a filtered response shows, by lower-case name.
pub(crate) fn readable_headers(trace: &mut Trace, response: &Response) -> BTreeMap<String, Option<String>> {
    let headers = &response.received.headers;
    let mut readable = BTreeMap::new();
    match response.kind {
        ResponseType::Opaque if trace.rule("fetch.filtered.opaque.headers", true) => return readable,
        ResponseType::Opaqueredirect => return readable,
        _ => {}
    }
    for (name, _) in headers {
        let name = name.decode().to_ascii_lowercase();
        if readable.contains_key(&name) || !is_readable(trace, response, &name) {
            continue;
        }
        let value = headers.get(&name).map(|value| value.decode().into_owned());
        readable.insert(name, value);
    }
    readable
}

fn is_readable(trace: &mut Trace, response: &Response, name: &str) -> bool {
    let listed = response.exposed.as_ref().map(|names| names.iter().any(|listed| listed.eq_ignore_ascii_case(name)));
    let forbidden = match name {
        "set-cookie" => {
            trace.note("cookies.set-cookie-unreadable", true);
            trace.rule("fetch.forbidden-response-header-name.a", true)
        }
        "set-cookie2" => trace.rule("fetch.forbidden-response-header-name.b", true),
        _ => false,
    };
    if forbidden {
        return listed == Some(true) && !trace.rule("fetch.cors-safelisted-response-header-name.forbidden", true);
    }
    let Some(listed) = listed else { return true };
    if let Some((_, requirement)) = SAFELISTED.iter().find(|(safelisted, _)| *safelisted == name)
        && trace.rule(requirement, true)
    {
        return true;
    }
    listed && trace.rule("fetch.cors-safelisted-response-header-name.listed", true)
        || !trace.rule("fetch.cors-safelisted-response-header-name.unlisted", true)
}

/// UTF-8 decode.
pub(crate) fn decode_text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

impl UserAgent {
    /// `fetch()`
    pub(crate) async fn fetch_step(&mut self, url: &str, options: &FetchProbe) -> StepResult {
        let mut request = match construct(&mut self.trace, &self.client, url, options) {
            Ok(request) => request,
            Err(thrown) => return (exception(thrown.0), None),
        };
        match self.fetching(&mut request).await {
            Ok(response) if response.received.status < 400 || self.trace.rule("fetch.fetch-method.12.5", true) => {
                (self.fetched(&response, options.read), None)
            }
            Ok(_) => (of_kind(ResultKind::NetworkError), None),
            Err(NetworkError::NEVER) => (of_kind(ResultKind::Timeout), None),
            Err(error) => {
                let name = if self.trace.rule("fetch.fetch-method.12.3", true) { "TypeError" } else { "NetworkError" };
                let result = PageResult { error: Some(name.to_owned()), ..of_kind(ResultKind::NetworkError) };
                (result, Some(error))
            }
        }
    }

    fn fetched(&mut self, response: &Response, read: Option<Reading>) -> PageResult {
        let trace = &mut self.trace;
        let received = &response.received;
        let opaque = response.kind == ResponseType::Opaque;
        let redirect = response.kind == ResponseType::Opaqueredirect;
        let headers = readable_headers(trace, response);
        let kind = match redirect && !trace.rule("fetch.filtered.opaque-redirect.type", true) {
            true => ResponseType::Basic,
            false => response.kind,
        };
        let mut result =
            PageResult { result: ResultKind::Response, response_type: Some(kind), headers, ..PageResult::default() };
        let url = match response.kind {
            ResponseType::Opaque if trace.rule("fetch.filtered.opaque.url", true) => None,
            ResponseType::Opaqueredirect if trace.rule("fetch.filtered.opaque-redirect.url", true) => {
                response.url_list.first()
            }
            ResponseType::Opaqueredirect => None,
            _ => response.url_list.last(),
        };
        let mut url = url.cloned();
        if let Some(url) = &mut url {
            url.set_fragment(None);
        }
        result.url = Some(url.map(String::from).unwrap_or_default());
        if redirect || opaque && trace.rule("fetch.filtered.opaque.status", true) {
            result.status = Some(0);
            result.status_text = Some(String::new());
            result.redirected = Some(false);
        } else {
            result.status = Some(received.status);
            result.status_text = Some(received.reason.decode().into_owned());
            result.redirected = Some(response.url_list.len() > 1 && trace.rule("fetch.redirect.redirected", true));
        }
        if read != Some(Reading::None) {
            let hidden = redirect || opaque && trace.rule("fetch.filtered.opaque.body", true);
            if hidden || response.has_null_body {
                result.body = Some(String::new());
            } else if received.complete {
                result.body = Some(decode_text(&received.body));
            } else {
                result.body_error = Some("TypeError".to_owned());
            }
        }
        result
    }

    /// `EventSource` (HTML, *Server-sent events*)
    pub(crate) async fn event_source_step(&mut self, url: &str, options: &EventSourceProbe) -> StepResult {
        let Some(url) = parse_url(&self.client, url) else { return (exception("SyntaxError"), None) };
        let mut request = Request::new(url, self.client.origin.clone());
        request.mode = Mode::Cors;
        if options.with_credentials == Some(true) {
            request.credentials = Credentials::Include;
        }
        request.use_url_credentials = true;
        request.cache = Cache::NoStore;
        request.headers.push("Accept", "text/event-stream");
        let wanted = options.messages.unwrap_or(1);
        let fail = |class, events: Option<&str>| {
            let events = events.map(|event| vec![event.to_owned()]);
            (PageResult { events, ..of_kind(ResultKind::NetworkError) }, Some(NetworkError::new(class, "")))
        };
        let response = match self.fetching(&mut request).await {
            Ok(response) => response,
            Err(NetworkError::NEVER) => return (of_kind(ResultKind::Timeout), None),
            // Whether it tries again, or knows that to be futile, is the user agent's choice.
            Err(error) => return (of_kind(ResultKind::NetworkError), Some(error)),
        };
        let mime = extract_mime_type(&response.received.headers);
        if response.received.status != 200 {
            return fail("event-source-status", Some("error 2"));
        }
        let other_type = mime.is_none_or(|mime| essence_of(&mime) != "text/event-stream");
        if self.trace.rule("html.eventsource.bad-type", other_type) {
            return fail("event-source-type", Some("error 2"));
        }
        let mut events = vec!["open".to_owned()];
        let messages = event_stream(&decode_text(&response.received.body));
        let count = messages.len();
        events.extend(messages.into_iter().take(wanted as usize).map(|data| format!("message {data}")));
        if count < wanted as usize {
            events.push("error 0".to_owned());
        }
        (PageResult { events: Some(events), ..of_kind(ResultKind::Response) }, None)
    }

    /// `navigator.sendBeacon()` (Beacon)
    pub(crate) async fn beacon_step(&mut self, url: &str, options: &BeaconProbe) -> StepResult {
        let Some(url) = parse_url(&self.client, url).filter(|url| matches!(url.scheme(), "http" | "https")) else {
            return (exception("TypeError"), None);
        };
        if matches!(options.body, Some(BodyKind::Stream(_))) {
            return (exception("TypeError"), None);
        }
        let mut request = Request::new(url, self.client.origin.clone());
        request.method = "POST".into();
        request.mode = Mode::NoCors;
        request.keepalive = true;
        request.credentials = Credentials::Include;
        if let Some(body) = &options.body {
            let (body, content_type) = extract_body(&mut self.trace, body);
            if body.bytes.len() > 65_536 && self.trace.rule("fetch.network-or-cache.8.10a", true) {
                let error = NetworkError::new("keepalive-quota", "fetch.network-or-cache.8.10a");
                return (of_kind(ResultKind::NetworkError), Some(error));
            }
            if let Some(content_type) = content_type {
                if !is_safelisted_header(&mut self.trace, &"Content-Type".into(), &content_type) {
                    request.mode = Mode::Cors;
                    request.unsafe_request = true;
                }
                request.headers.push("Content-Type", content_type);
            }
            request.body = Some(body);
        }
        let error = self.fetching(&mut request).await.err();
        (of_kind(ResultKind::Sent), error.filter(|error| *error != NetworkError::NEVER))
    }
}

/// The data of the events of an event stream, without those whose type is not `message`.
fn event_stream(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let (mut data, mut kind): (Vec<&str>, &str) = (Vec::new(), "");
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for line in text.split('\n') {
        if line.is_empty() {
            if !data.is_empty() && (kind.is_empty() || kind == "message") {
                messages.push(data.join("\n"));
            }
            data.clear();
            kind = "";
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => data.push(value),
            "event" => kind = value,
            _ => {}
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::standard::testing::{answer, perform_on_page};
    use crate::standard::{Answer, Failure, Received};

    #[test]
    fn lines_of_an_event_stream_end_in_three_ways() {
        assert_eq!(event_stream("data: a\rdata: b\r\r"), ["a\nb"]);
        assert_eq!(event_stream("data:a\r\n\r\ndata:b\n\n"), ["a", "b"]);
        assert_eq!(event_stream("event: x\ndata:a\n\n: c\ndata: b\n\ndata: open"), ["b"]);
    }

    #[test]
    fn which_headers_of_a_response_are_readable() {
        const COOKIE: &str = "cookies.set-cookie-unreadable";
        const FORBIDDEN: &str = "fetch.forbidden-response-header-name.a";
        const NOT_BY_LISTING: &str = "fetch.cors-safelisted-response-header-name.forbidden";
        for (name, exposed, readable, named) in [
            ("set-cookie", None, false, &[COOKIE, FORBIDDEN][..]),
            ("set-cookie", Some(&[][..]), false, &[COOKIE, FORBIDDEN]),
            ("set-cookie", Some(&["Set-Cookie"]), false, &[COOKIE, FORBIDDEN, NOT_BY_LISTING]),
            ("set-cookie2", Some(&["set-cookie2"]), false, &["fetch.forbidden-response-header-name.b", NOT_BY_LISTING]),
            ("x-a", None, true, &[]),
            ("x-a", Some(&["X-A"]), true, &["fetch.cors-safelisted-response-header-name.listed"]),
            ("x-a", Some(&["x-b"]), false, &["fetch.cors-safelisted-response-header-name.unlisted"]),
            ("pragma", Some(&[]), true, &["fetch.cors-safelisted-response-header-name.pragma"]),
        ] {
            let mut response = Response::new(Received::default(), Vec::new());
            response.exposed = exposed.map(|names: &[&str]| names.iter().map(|name| (*name).into()).collect());
            let mut trace = Trace::default();
            assert_eq!(is_readable(&mut trace, &response, name), readable, "{name} {exposed:?}");
            assert_eq!(trace.requirements(), named, "{name} {exposed:?}");
        }
        let mut response = Response::new(Received::default(), Vec::new());
        response.exposed = Some(vec!["set-cookie".into()]);
        assert!(is_readable(&mut Trace::breaking([NOT_BY_LISTING.to_owned()]), &response, "set-cookie"));
    }

    #[test]
    fn an_error_status_rejects_no_promise() {
        const RESOLVES: &str = "fetch.fetch-method.12.5";
        for (status, is_error) in [(200, false), (399, false), (400, true), (404, true), (500, true)] {
            let probe = json!({ "fetch": "/" });
            let right = perform_on_page(&probe, "", |_| answer(status, &[], ""));
            assert_eq!((right.page.result, right.page.status), (ResultKind::Response, Some(status)));
            assert_eq!(right.names(RESOLVES), is_error, "{status}");
            let wrong = perform_on_page(&probe, RESOLVES, |_| answer(status, &[], ""));
            let result = if is_error { ResultKind::NetworkError } else { ResultKind::Response };
            assert_eq!(wrong.page.result, result, "{status}");
        }
    }

    #[test]
    fn an_event_source_that_wants_more_than_there_is_sees_an_error() {
        for (stream, messages, events) in [
            ("data: a\n\n", None, &["open", "message a"][..]),
            ("data: a\n\n", Some(2), &["open", "message a", "error 0"]),
            ("data: a\n\ndata: b\n\n", Some(2), &["open", "message a", "message b"]),
            ("data: a\n\ndata: b\n\n", Some(1), &["open", "message a"]),
            ("", None, &["open", "error 0"]),
        ] {
            let probe = json!({ "eventSource": "/", "messages": messages });
            let performed =
                perform_on_page(&probe, "", |_| answer(200, &[("Content-Type", "text/event-stream")], stream));
            assert_eq!(
                performed.page.events.as_deref(),
                Some(&*events.iter().map(|event| (*event).to_owned()).collect::<Vec<_>>()),
                "{stream:?}"
            );
        }
    }

    #[test]
    fn a_beacon_holds_64_kibibytes() {
        const QUOTA: &str = "fetch.network-or-cache.8.10a";
        for (broken, length, is_sent, exactly) in [
            ("", 65_535, true, false),
            ("", 65_536, true, true),
            ("", 65_537, false, false),
            (QUOTA, 65_537, true, false),
        ] {
            let probe = json!({ "beacon": "/", "body": { "fill": length } });
            let performed = perform_on_page(&probe, broken, |_| answer(204, &[], ""));
            let result = if is_sent { ResultKind::Sent } else { ResultKind::NetworkError };
            assert_eq!(performed.page.result, result, "{length}");
            assert_eq!(performed.sent.len(), usize::from(is_sent), "{length}");
            assert_eq!(performed.blocked.and_then(|error| error.class), (!is_sent).then_some("keepalive-quota"));
            assert_eq!(performed.names(QUOTA), !is_sent, "{length}");
            assert_eq!(performed.names("fetch.network-or-cache.8.10b"), exactly, "{length}");
        }
    }

    #[test]
    fn no_page_sees_what_becomes_of_a_beacon() {
        for (answered, reason) in [
            (answer(204, &[], ""), None),
            (Answer::Never, None),
            (Answer::Failed(Failure::Connection), Some("connection-failed")),
        ] {
            let performed = perform_on_page(&json!({ "beacon": "/" }), "", |_| answered.clone());
            assert_eq!(performed.page, of_kind(ResultKind::Sent), "{answered:?}");
            assert_eq!(performed.blocked.and_then(|error| error.class), reason, "{answered:?}");
        }
    }
}
