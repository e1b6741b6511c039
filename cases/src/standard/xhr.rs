//! XMLHttpRequest.

use crosscheck_servers::ByteString;

use super::fetch::{NetworkError, Response, UserAgent};
use super::header_value::{is_token, parse_mime_type};
use super::page::{StepResult, decode_text, exception, of_kind, readable_headers};
use super::request::{Credentials, Mode, Request, RequestBody, includes_credentials};
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
                return self.failed(options, sync, uploads && !uploaded, events, "error", Some(error), true);
            }
            Err(NetworkError::NEVER) => {
                let name = if options.timeout.is_some_and(|timeout| timeout > 0) { "timeout" } else { "" };
                return self.failed(options, sync, uploads && !uploaded, events, name, None, false);
            }
            Err(error) => {
                return self.failed(options, sync, uploads && !uploaded, events, "error", Some(error), false);
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

    /// The end of a request that came to nothing.
    #[expect(clippy::too_many_arguments, reason = "the state of an XMLHttpRequest at its end")]
    fn failed(
        &mut self,
        options: &XhrProbe,
        sync: bool,
        upload_open: bool,
        mut events: Vec<String>,
        name: &str,
        error: Option<NetworkError>,
        after_headers: bool,
    ) -> StepResult {
        if sync {
            let thrown = if name == "timeout" { "TimeoutError" } else { "NetworkError" };
            return (exception(thrown), error);
        }
        let result = match name {
            "timeout" | "" => ResultKind::Timeout,
            _ => ResultKind::NetworkError,
        };
        if after_headers {
            events.push("readystatechange 2".to_owned());
        }
        if !name.is_empty() {
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
            // How much of a broken body was seen before is a matter of packets.
            events: (!after_headers).then_some(events),
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
    let (body, content_type) = extract_body(trace, kind);
    let stated = request.headers.get("content-type");
    match stated {
        None => {
            if let Some(content_type) = content_type {
                request.headers.push("Content-Type", content_type);
            }
        }
        // These go out as UTF-8, so a stated charset that says otherwise is corrected.
        Some(stated) if matches!(kind, BodyKind::Text(_) | BodyKind::Fill(_) | BodyKind::UrlSearchParams(_)) => {
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
    request.body = Some(RequestBody { has_source: true, ..body });
}
