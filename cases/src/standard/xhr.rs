//! XMLHttpRequest.

use crosscheck_servers::{ByteString, is_token};

use super::fetch::{NetworkError, Response, UserAgent};
use super::header_value::parse_mime_type;
use super::page::{StepResult, decode_text, exception, of_kind, readable_headers};
use super::request::{Credentials, Mode, Request, includes_credentials};
use super::request_class::{extract_body, normalize_value, parse_url};
use super::safelist::{FORBIDDEN_METHODS, is_forbidden_header, normalize_method};
use super::trace::Trace;
use crate::{BodyKind, PageResult, ResultKind, XhrProbe};

impl UserAgent {
    /// `open()`, `setRequestHeader()`, `send()`
    pub(crate) async fn xhr_step(&mut self, url: &str, options: &XhrProbe) -> StepResult {
        let mut request = match self.open(url, options) {
            Ok(request) => request,
            Err(name) => return (exception(name), None),
        };
        let sync = options.sync == Some(true);
        let has_response_type = options.response_type.as_deref().is_some_and(|kind| !kind.is_empty());
        if sync && self.client.is_window && (has_response_type || options.timeout.is_some_and(|timeout| timeout > 0)) {
            return (exception("InvalidAccessError"), None);
        }
        if let Err(name) = self.set_headers(&mut request, options) {
            return (exception(name), None);
        }
        set_body(&mut self.trace, &mut request, options);
        let listens = options.upload_listener == Some(true) && !sync;
        if options.upload_listener == Some(true) && self.trace.rule("fetch.request.use-cors-preflight-flag.a", true) {
            request.use_cors_preflight = true;
        }
        let uploads = listens && request.body.is_some();
        let mut events = vec!["readystatechange 1".to_owned()];
        let mut fire = |names: &[&str]| events.extend(names.iter().map(|name| (*name).to_owned()));
        if !sync {
            fire(&["loadstart"]);
        }
        if uploads {
            fire(&["upload.loadstart"]);
        }
        self.body_sent = false;
        let fetched = self.fetching(&mut request).await;
        let uploaded = self.body_sent;
        if uploads && uploaded {
            fire(&["upload.load", "upload.loadend"]);
        }
        let (response, ended) = match fetched {
            Ok(response) if response.received.complete || response.has_null_body => (response, None),
            Ok(_) => {
                let error = NetworkError::new("connection-failed", "fetch.fetch-method.12.3");
                // How much of a broken body was seen before is a matter of packets.
                return self.failed(options, sync, false, None, "error", Some(error));
            }
            Err(NetworkError::NEVER) => {
                let name = if options.timeout.is_some_and(|timeout| timeout > 0) { "timeout" } else { "" };
                return self.failed(options, sync, uploads && !uploaded, Some(events), name, None);
            }
            Err(error) => {
                return self.failed(options, sync, uploads && !uploaded, Some(events), "error", Some(error));
            }
        };
        let empty = response.has_null_body || response.received.body.is_empty();
        if !sync {
            fire(&["readystatechange 2"]);
            if !empty {
                fire(&["readystatechange 3"]);
            }
        }
        fire(&["readystatechange 4", "load", "loadend"]);
        (self.loaded(&response, options, events), ended)
    }

    fn open(&mut self, url: &str, options: &XhrProbe) -> Result<Request, &'static str> {
        let method = options.method.as_deref().unwrap_or("GET");
        if ByteString::encode(method).is_err() {
            return Err("TypeError");
        }
        if !is_token(method.as_bytes()) {
            return Err("SyntaxError");
        }
        if FORBIDDEN_METHODS.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(method)) {
            return Err("SecurityError");
        }
        let url = parse_url(&self.client, url).ok_or("SyntaxError")?;
        let mut request = Request::new(url, self.client.origin.clone());
        request.method = normalize_method(&mut self.trace, method).as_str().into();
        request.mode = Mode::Cors;
        request.unsafe_request = true;
        request.use_url_credentials = includes_credentials(request.url());
        if options.with_credentials == Some(true) {
            request.credentials = Credentials::Include;
        }
        Ok(request)
    }

    /// `setRequestHeader()`: values of one name are combined.
    fn set_headers(&mut self, request: &mut Request, options: &XhrProbe) -> Result<(), &'static str> {
        for (name, value) in &options.headers {
            // These are byte strings, so the conversion of the arguments throws first.
            if ByteString::encode(name).is_err() || ByteString::encode(value).is_err() {
                return Err("TypeError");
            }
            if !is_token(name.as_bytes()) {
                return Err("SyntaxError");
            }
            let value = normalize_value(&mut self.trace, value).ok_or("SyntaxError")?;
            if is_forbidden_header(&mut self.trace, name, &value) {
                continue;
            }
            let combined = match request.headers.get(name) {
                Some(old) => [old.as_bytes(), b", ", value.as_bytes()].concat().into(),
                None => value,
            };
            let first = request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let name = first.map_or_else(|| name.as_str().into(), |(known, _)| known.clone());
            request.headers.remove(&name.decode());
            request.headers.push(name, combined);
        }
        Ok(())
    }

    /// The end of a request that came to nothing, with the events before it where they are certain.
    fn failed(
        &mut self,
        options: &XhrProbe,
        sync: bool,
        upload_open: bool,
        mut events: Option<Vec<String>>,
        name: &str,
        error: Option<NetworkError>,
    ) -> StepResult {
        if sync {
            let thrown = if name == "timeout" { "TimeoutError" } else { "NetworkError" };
            return (exception(thrown), error);
        }
        let result = match name {
            "timeout" | "" => ResultKind::Timeout,
            _ => ResultKind::NetworkError,
        };
        if let Some(events) = events.as_mut().filter(|_| !name.is_empty()) {
            events.push("readystatechange 4".to_owned());
            if upload_open {
                events.extend([format!("upload.{name}"), "upload.loadend".to_owned()]);
            }
            events.extend([name.to_owned(), "loadend".to_owned()]);
        }
        let body = (options.response_type.is_none()).then(String::new);
        let page = PageResult {
            status: Some(if self.trace.rule("fetch.filtered.network-error.a", true) { 0 } else { 200 }),
            status_text: Some(String::new()),
            url: Some(String::new()),
            body,
            events,
            ..of_kind(result)
        };
        (page, error)
    }

    fn loaded(&mut self, response: &Response, options: &XhrProbe, events: Vec<String>) -> PageResult {
        let text = if response.has_null_body { String::new() } else { decode_text(&response.received.body) };
        let body = match options.response_type.as_deref() {
            Some("json") => {
                serde_json::from_str::<serde_json::Value>(&text).map_or_else(|_| String::new(), |json| json.to_string())
            }
            _ => text,
        };
        let mut url = response.url_list.last().cloned();
        if let Some(url) = &mut url {
            url.set_fragment(None);
        }
        PageResult {
            status: Some(response.received.status),
            status_text: Some(response.received.reason.decode().into_owned()),
            url: url.map(String::from),
            headers: readable_headers(&mut self.trace, response),
            body: Some(body),
            events: Some(events),
            ..of_kind(ResultKind::Response)
        }
    }
}

/// `send()` 4: the body and its Content-Type.
fn set_body(trace: &mut Trace, request: &mut Request, options: &XhrProbe) {
    let Some(kind) = &options.body else { return };
    if request.method == *"GET" || request.method == *"HEAD" {
        return;
    }
    // Streams are not among the bodies of an XMLHttpRequest, and so become strings.
    let text = BodyKind::Text("[object ReadableStream]".to_owned());
    let kind = if matches!(kind, BodyKind::Stream(_)) { &text } else { kind };
    let (body, content_type) = extract_body(trace, kind);
    let stated = request.headers.get("content-type");
    match stated {
        None => {
            if let Some(content_type) = content_type {
                request.headers.push("Content-Type", content_type);
            }
        }
        // Strings go out as UTF-8, so a stated charset that says otherwise is corrected.
        Some(stated) if matches!(kind, BodyKind::Text(_) | BodyKind::Fill(_)) => {
            if let Some(mut mime) = parse_mime_type(&stated.decode()) {
                let charset = mime.get_parameter("charset").map(str::to_ascii_lowercase);
                if charset.is_some_and(|charset| charset != "utf-8") {
                    for (name, value) in &mut mime.parameters {
                        if name == "charset" {
                            "UTF-8".clone_into(value);
                        }
                    }
                    request.headers.remove("content-type");
                    request.headers.push("Content-Type", mime.to_string().as_str());
                }
            }
        }
        Some(_) => {}
    }
    request.body = Some(body);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::standard::testing::{answer, perform_on_page};
    use crate::standard::{Answer, Failure, Received};

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_page_may_not_wait_with_a_timeout_or_for_other_than_text() {
        for (sync, timeout, response_type, is_refused) in [
            (true, Some(1), None, true),
            (true, Some(0), None, false),
            (true, None, None, false),
            (true, None, Some("json"), true),
            (true, None, Some(""), false),
            (false, Some(1), Some("json"), false),
        ] {
            let probe = json!({ "xhr": "/", "sync": sync, "timeout": timeout, "responseType": response_type });
            let performed = perform_on_page(&probe, "", |_| answer(200, &[], "{}"));
            let error = is_refused.then_some("InvalidAccessError");
            assert_eq!(performed.page.error.as_deref(), error, "{probe}");
            assert_eq!(performed.sent.is_empty(), is_refused, "{probe}");
        }
    }

    #[test]
    fn a_header_that_is_no_byte_string_is_a_type_error() {
        for (name, value, error) in [
            ("X-A", "\u{100}", Some("TypeError")),
            ("X-\u{100}", "a", Some("TypeError")),
            ("X A", "\u{100}", Some("TypeError")),
            ("X A", "a", Some("SyntaxError")),
            ("X-A", "a\nb", Some("SyntaxError")),
            ("X-A", "\u{ff}", None),
        ] {
            let probe = json!({ "xhr": "/", "headers": [[name, value]] });
            let performed = perform_on_page(&probe, "", |_| answer(200, &[], ""));
            assert_eq!(performed.page.error.as_deref(), error, "{probe}");
        }
    }

    #[test]
    fn what_fires_when_nothing_comes_of_a_request() {
        let broken_off = Answer::Response(Received { status: 200, ..Received::default() });
        let begun = ["readystatechange 1", "loadstart"];
        let at_end = |name| [&begun[..], &["readystatechange 4", name, "loadend"]].concat();
        let never_sent = [&begun[..], &["upload.loadstart", "readystatechange 4", "upload.error"]].concat();
        for (options, answered, result, events) in [
            (json!({}), Answer::Never, ResultKind::Timeout, Some(begun.to_vec())),
            (json!({ "timeout": 0 }), Answer::Never, ResultKind::Timeout, Some(begun.to_vec())),
            (json!({ "timeout": 1 }), Answer::Never, ResultKind::Timeout, Some(at_end("timeout"))),
            (json!({}), Answer::Failed(Failure::Connection), ResultKind::NetworkError, Some(at_end("error"))),
            (json!({}), broken_off, ResultKind::NetworkError, None),
            (
                json!({ "url": "http://page.test/", "method": "POST", "body": "a", "uploadListener": true }),
                Answer::Never,
                ResultKind::NetworkError,
                Some([&never_sent[..], &["upload.loadend", "error", "loadend"]].concat()),
            ),
        ] {
            let mut probe = json!({ "xhr": options.get("url").cloned().unwrap_or("/".into()) });
            for (name, option) in options.as_object().expect("options").iter().filter(|(name, _)| *name != "url") {
                probe[name] = option.clone();
            }
            let performed = perform_on_page(&probe, "", |_| answered.clone());
            assert_eq!(performed.page.result, result, "{probe} {answered:?}");
            assert_eq!(performed.page.status, Some(0), "{probe} {answered:?}");
            let texts = [&performed.page.status_text, &performed.page.url, &performed.page.body];
            assert_eq!(texts.map(Option::as_deref), [Some(""); 3], "{probe} {answered:?}");
            assert_eq!(performed.page.events, events.as_deref().map(strings), "{probe} {answered:?}");
        }
    }

    #[test]
    fn a_synchronous_request_throws_when_nothing_comes_of_it() {
        let performed =
            perform_on_page(&json!({ "xhr": "/", "sync": true }), "", |_| Answer::Failed(Failure::Connection));
        assert_eq!(performed.page, exception("NetworkError"));
    }

    #[test]
    fn get_and_head_go_without_a_body() {
        for (method, body) in [("GET", ""), ("HEAD", ""), ("PUT", "a")] {
            let probe = json!({ "xhr": "/", "method": method, "body": "a" });
            let performed = perform_on_page(&probe, "", |_| answer(200, &[], ""));
            assert_eq!(performed.sent[0].body, body.as_bytes(), "{method}");
            assert_eq!(performed.sent[0].headers.contains("content-type"), !body.is_empty(), "{method}");
        }
    }

    #[test]
    fn what_a_page_sees_of_a_response() {
        for (response_type, body, seen) in [
            (None, "{\"a\": [1]}", "{\"a\": [1]}"),
            (Some("text"), "{\"a\": [1]}", "{\"a\": [1]}"),
            (Some("json"), "{\"a\": [1]}", "{\"a\":[1]}"),
            (Some("json"), "{", ""),
        ] {
            let probe = json!({ "xhr": "/#a", "responseType": response_type });
            let page = perform_on_page(&probe, "", |_| answer(200, &[], body)).page;
            assert_eq!(page.result, ResultKind::Response, "{probe}");
            assert_eq!((page.status, page.status_text.as_deref()), (Some(200), Some("OK")), "{probe}");
            assert_eq!(page.url.as_deref(), Some("https://page.test/"), "{probe}");
            assert_eq!(page.body.as_deref(), Some(seen), "{probe}");
        }
    }

    #[test]
    fn a_stated_charset_is_corrected_for_strings_alone() {
        let latin = "text/plain;charset=latin1";
        let utf8 = "text/plain;charset=UTF-8";
        for (body, stated, sent, bytes) in [
            (json!("a"), None, Some(utf8), "a"),
            (json!("a"), Some(latin), Some(utf8), "a"),
            (json!({ "fill": 2 }), Some(latin), Some(utf8), "xx"),
            (json!("a"), Some("text/plain;charset=utf-8"), Some("text/plain;charset=utf-8"), "a"),
            (json!("a"), Some("text/plain"), Some("text/plain"), "a"),
            (json!("a"), Some("charset=latin1"), Some("charset=latin1"), "a"),
            (json!({ "blob": ["text/html", "a"] }), Some(latin), Some(latin), "a"),
            (json!({ "url-search-params": [["a", "b"]] }), Some(latin), Some(latin), "a=b"),
            (json!({ "array-buffer": "a" }), None, None, "a"),
            (json!({ "stream": "a" }), None, Some(utf8), "[object ReadableStream]"),
        ] {
            let mut probe = json!({ "xhr": "/", "method": "POST", "body": body });
            if let Some(stated) = stated {
                probe["headers"] = json!([["Content-Type", stated]]);
            }
            let performed = perform_on_page(&probe, "", |_| answer(200, &[], ""));
            let [message] = performed.sent.as_slice() else { panic!("{} messages", performed.sent.len()) };
            let header = |name: &str| message.headers.get(name).map(|value| value.to_string());
            assert_eq!(header("content-type").as_deref(), sent, "{probe}");
            assert_eq!(header("content-length"), Some(bytes.len().to_string()), "{probe}");
            assert_eq!(message.body, bytes.as_bytes(), "{probe}");
        }
    }
}
