//! Fetch, *Request class*: what the constructor makes of its arguments, or refuses.

use crosscheck_servers::{ByteString, Fields, is_token};
use url::Url;

use super::client::Client;
use super::header_value::{is_http_whitespace, trim};
use super::lna::AddressSpace;
use super::request::{Cache, Credentials, Mode, Redirect, Referrer, Request, RequestBody, includes_credentials};
use super::safelist::{
    is_forbidden_header, is_forbidden_method, is_no_cors_safelisted, is_safelisted_header, normalize_method,
};
use super::trace::Trace;
use crate::{BodyKind, FetchProbe};

/// The name of the exception that the constructor throws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exception(pub(crate) &'static str);

const TYPE_ERROR: Exception = Exception("TypeError");

fn throw_if(trace: &mut Trace, requirement: &'static str, condition: bool) -> Result<(), Exception> {
    if trace.rule(requirement, condition) { Err(TYPE_ERROR) } else { Ok(()) }
}

/// `new Request(url, options)`
pub(crate) fn construct(
    trace: &mut Trace,
    client: &Client,
    url: &str,
    options: &FetchProbe,
) -> Result<Request, Exception> {
    let url = parse_url(client, url).ok_or(TYPE_ERROR)?; // 5.1, 5.2
    throw_if(trace, "fetch.request-class.5.3", includes_credentials(&url))?;
    let origin = if trace.rule("fetch.fetching.populate.2", true) { &client.origin } else { &client.top_level };
    let mut request = Request::new(url, origin.clone());
    request.unsafe_request = true;
    // The conversion of enumerations throws before anything else; the constructor refuses navigate by itself.
    throw_if(trace, "fetch.request-class.17", options.mode.as_deref() == Some("navigate"))?;
    request.mode = match options.mode.as_deref() {
        None if !trace.rule("fetch.request-class.5.5", true) => Mode::NoCors,
        None | Some("cors") => Mode::Cors,
        Some("no-cors") => Mode::NoCors,
        Some("same-origin") => Mode::SameOrigin,
        Some("navigate") => Mode::Cors,
        Some(_) => return Err(TYPE_ERROR),
    };
    request.credentials = match options.credentials.as_deref() {
        None if !trace.rule("fetch.request.credentials-default", true) => Credentials::Include,
        None | Some("same-origin") => Credentials::SameOrigin,
        Some("omit") => Credentials::Omit,
        Some("include") => Credentials::Include,
        Some(_) => return Err(TYPE_ERROR),
    };
    request.redirect = match options.redirect.as_deref() {
        None | Some("follow") => Redirect::Follow,
        Some("error") => Redirect::Error,
        Some("manual") => Redirect::Manual,
        Some(_) => return Err(TYPE_ERROR),
    };
    request.cache = match options.cache.as_deref() {
        None | Some("default") => Cache::Default,
        Some("no-store") => Cache::NoStore,
        Some("reload") => Cache::Reload,
        Some("no-cache") => Cache::NoCache,
        Some("force-cache") => Cache::ForceCache,
        Some("only-if-cached") => Cache::OnlyIfCached,
        Some(_) => return Err(TYPE_ERROR),
    };
    match options.referrer_policy.as_deref() {
        None | Some("") => {}
        Some(policy) if super::referrer::POLICIES.contains(&policy) => {
            policy.clone_into(&mut request.referrer_policy);
        }
        Some(_) => return Err(TYPE_ERROR),
    }
    match options.target_address_space.as_deref() {
        None => {}
        Some("local") if trace.rule("lna.api.local", true) => request.target_space = Some(AddressSpace::Local),
        Some("loopback") if !trace.rule("lna.api.loopback", true) => {
            request.target_space = Some(AddressSpace::Loopback);
        }
        Some("public") if !trace.rule("lna.api.public", true) => request.target_space = Some(AddressSpace::Public),
        Some("local" | "loopback" | "public") => {}
        Some(_) => throw_if(trace, "lna.api.invalid", true)?,
    }
    if options.duplex.as_deref().is_some_and(|duplex| duplex != "half") {
        return Err(TYPE_ERROR);
    }
    if let Some(referrer) = &options.referrer {
        request.referrer = construct_referrer(trace, client, referrer)?; // 14
    }
    let uncached = request.cache == Cache::OnlyIfCached && request.mode != Mode::SameOrigin;
    throw_if(trace, "fetch.request-class.21", uncached)?;
    if let Some(integrity) = &options.integrity {
        request.integrity.clone_from(integrity);
    }
    request.keepalive = options.keepalive.unwrap_or(false);
    if let Some(method) = &options.method {
        if !is_token(method.as_bytes()) || is_forbidden_method(trace, method) {
            return Err(TYPE_ERROR);
        }
        request.method = normalize_method(trace, method).as_str().into(); // 25
    }
    let no_cors = request.mode == Mode::NoCors;
    let simple = ["GET", "HEAD", "POST"].iter().any(|method| request.method == **method);
    throw_if(trace, "fetch.request-class.32.1", no_cors && !simple)?;
    fill_headers(trace, &mut request, &options.headers)?; // 33
    if let Some(body) = &options.body {
        if request.method == *"GET" || request.method == *"HEAD" {
            return Err(TYPE_ERROR); // 35
        }
        let streamed = matches!(body, BodyKind::Stream(_));
        throw_if(trace, "fetch.request-class.extract.keepalive", streamed && request.keepalive)?;
        let (body, content_type) = extract_body(trace, body); // 37
        if let Some(content_type) = content_type
            && !request.headers.contains("content-type")
        {
            append_type(trace, &mut request.headers, no_cors, &content_type); // 37.4
        }
        if streamed {
            throw_if(trace, "fetch.request-class.39.1", options.duplex.is_none())?;
            throw_if(trace, "fetch.request-class.39.2", no_cors)?;
            request.use_cors_preflight = trace.rule("fetch.request.use-cors-preflight-flag.b", true); // 39.3
        }
        request.body = Some(body);
    }
    Ok(request)
}

/// Request constructor 14.
fn construct_referrer(trace: &mut Trace, client: &Client, referrer: &str) -> Result<Referrer, Exception> {
    if referrer.is_empty() {
        return Ok(Referrer::NoReferrer);
    }
    let url = parse_url(client, referrer).ok_or(TYPE_ERROR)?;
    if url.as_str() == "about:client" {
        return Ok(Referrer::Client);
    }
    let foreign = !client.origin.is_origin_of(&url);
    if trace.rule("fetch.request-class.14.3", foreign) {
        return Ok(Referrer::Client);
    }
    Ok(Referrer::Url(Box::new(url)))
}

pub(crate) fn parse_url(client: &Client, url: &str) -> Option<Url> {
    match &client.base {
        Some(base) => base.join(url).ok(),
        None => Url::parse(url).ok(),
    }
}

/// *Fill* the headers of a request under its guard.
fn fill_headers(trace: &mut Trace, request: &mut Request, pairs: &[(String, String)]) -> Result<(), Exception> {
    let no_cors = request.mode == Mode::NoCors;
    for (name, value) in pairs {
        if !is_token(name.as_bytes()) {
            return Err(TYPE_ERROR);
        }
        let value = normalize_value(trace, value).ok_or(TYPE_ERROR)?;
        append(trace, &mut request.headers, no_cors, name, &value);
    }
    Ok(())
}

/// *Normalize* a header value; nothing where it is none.
pub(crate) fn normalize_value(trace: &mut Trace, value: &str) -> Option<ByteString> {
    let bytes = ByteString::encode(value).ok()?;
    let normalized = trim(bytes.as_bytes(), is_http_whitespace);
    let padded = normalized.len() != bytes.as_bytes().len();
    let normalized =
        if padded && !trace.rule("fetch.header-value.normalize", true) { bytes.as_bytes() } else { normalized };
    let invalid = normalized.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r'));
    if trace.rule("fetch.header-value.invalid", invalid) { None } else { Some(normalized.into()) }
}

/// *Append* to a Headers object with guard `request` or `request-no-cors`.
fn append(trace: &mut Trace, headers: &mut Fields, no_cors: bool, name: &str, value: &ByteString) {
    if is_forbidden_header(trace, name, value) {
        return; // 2: validate
    }
    if no_cors {
        let joined: ByteString = match headers.get(name) {
            Some(old) => [old.as_bytes(), b", ", value.as_bytes()].concat().into(),
            None => value.clone(),
        };
        let appends = headers.contains(name);
        let measured = if trace.rule("fetch.headers-class.append.3", appends) { &joined } else { value };
        if !is_no_cors_safelisted(trace, &name.into(), measured) {
            return; // 3
        }
    }
    headers.push(name, value.clone()); // 4
}

/// The Content-Type of a body, which the page has not stated.
fn append_type(trace: &mut Trace, headers: &mut Fields, no_cors: bool, content_type: &ByteString) {
    let name: ByteString = "Content-Type".into();
    let is_safe = || is_safelisted_header(&mut Trace::default(), &name, content_type);
    if no_cors && !is_safe() && !trace.rule("fetch.request-class.37.4e", true) {
        headers.push(name.clone(), content_type.clone());
        return;
    }
    append(trace, headers, no_cors, "Content-Type", content_type);
}

/// *Extract a body*: the bytes and the type.
pub(crate) fn extract_body(trace: &mut Trace, body: &BodyKind) -> (RequestBody, Option<ByteString>) {
    let source = |bytes: Vec<u8>| RequestBody { bytes, has_source: true };
    let mut typed =
        |content_type: &str, requirement| trace.rule(requirement, true).then(|| ByteString::from(content_type));
    match body {
        BodyKind::Text(content) => {
            (source(content.clone().into_bytes()), typed("text/plain;charset=UTF-8", "fetch.request-class.37.4a"))
        }
        BodyKind::Fill(length) => {
            (source(vec![b'x'; *length as usize]), typed("text/plain;charset=UTF-8", "fetch.request-class.37.4a"))
        }
        BodyKind::UrlSearchParams(pairs) => {
            let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let content_type = "application/x-www-form-urlencoded;charset=UTF-8";
            (source(encoded.into_bytes()), typed(content_type, "fetch.request-class.37.4b"))
        }
        BodyKind::FormData(pairs) => {
            let boundary = "----crosscheck";
            let mut text = String::new();
            for (name, value) in pairs {
                let name = line_ends(name).replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22");
                let value = line_ends(value);
                text.push_str(&format!(
                    "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                ));
            }
            text.push_str(&format!("--{boundary}--\r\n"));
            let content_type = format!("multipart/form-data; boundary={boundary}");
            (source(text.into_bytes()), typed(&content_type, "fetch.request-class.37.4b"))
        }
        BodyKind::Blob(kind, content) => {
            let kind = kind.as_deref().unwrap_or_default();
            let valid = kind.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            let content_type = match valid && !kind.is_empty() {
                true => typed(&kind.to_ascii_lowercase(), "fetch.request-class.37.4c"),
                false => untyped(trace),
            };
            (source(content.clone().into_bytes()), content_type)
        }
        BodyKind::ArrayBuffer(bytes) => (source(bytes.chars().map(|byte| byte as u8).collect()), untyped(trace)),
        BodyKind::Stream(content) => (RequestBody { bytes: content.clone().into_bytes(), has_source: false }, None),
    }
}

/// The type of bytes without a type: none.
fn untyped(trace: &mut Trace) -> Option<ByteString> {
    if trace.rule("fetch.request-class.37.4d", true) { None } else { Some("application/octet-stream".into()) }
}

/// HTML, *multipart/form-data encoding algorithm* 1: every line ends in CR LF.
fn line_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn constructed(trace: &mut Trace, method: &str, mode: &str, body: BodyKind) -> Result<Request, Exception> {
        let client = Client::of(&Document::page("https://page.test"), "/");
        let options = FetchProbe {
            method: Some(method.to_owned()),
            mode: Some(mode.to_owned()),
            body: Some(body),
            ..FetchProbe::default()
        };
        construct(trace, &client, "/", &options)
    }

    #[test]
    fn get_and_head_have_no_body() {
        for (method, is_constructed) in [("GET", false), ("HEAD", false), ("get", false), ("POST", true), ("PUT", true)]
        {
            let request = constructed(&mut Trace::default(), method, "cors", BodyKind::Text("a".to_owned()));
            assert_eq!(request.err(), (!is_constructed).then_some(TYPE_ERROR), "{method}");
        }
    }

    #[test]
    fn a_body_s_type_goes_with_it_where_the_mode_allows() {
        const DROPPED: &str = "fetch.request-class.37.4e";
        let text = || BodyKind::Text("a".to_owned());
        let json = || BodyKind::Blob(Some("application/json".to_owned()), "{}".to_owned());
        for (mode, body, sent, is_dropped) in [
            ("cors", text(), Some("text/plain;charset=UTF-8"), false),
            ("cors", json(), Some("application/json"), false),
            ("no-cors", text(), Some("text/plain;charset=UTF-8"), false),
            ("no-cors", json(), None, true),
        ] {
            let mut trace = Trace::default();
            let request = constructed(&mut trace, "POST", mode, body.clone()).expect("a request");
            let stated = |request: &Request| request.headers.get("content-type").map(|value| value.to_string());
            assert_eq!(stated(&request).as_deref(), sent, "{mode} {body:?}");
            assert_eq!(trace.requirements().contains(&DROPPED), is_dropped, "{mode} {body:?}");
            let is_judged = trace.requirements().contains(&"fetch.cors-safelisted-request-header.2.content-type.4c");
            assert_eq!(is_judged, mode == "no-cors" && sent.is_some(), "{mode} {body:?}");
            let mut wrong = Trace::breaking([DROPPED.to_owned()]);
            let request = constructed(&mut wrong, "POST", mode, body.clone()).expect("a request");
            assert_eq!(stated(&request).as_deref(), sent.or(Some("application/json")), "{mode} {body:?}");
        }
    }

    #[test]
    fn lines_of_form_data_end_in_carriage_return_and_line_feed() {
        for (text, ended) in
            [("ab", "ab"), ("a\nb", "a\r\nb"), ("a\rb\r\nc\n", "a\r\nb\r\nc\r\n"), ("\n\r", "\r\n\r\n")]
        {
            let form = BodyKind::FormData(vec![("n\n".to_owned(), text.to_owned())]);
            let (body, _) = extract_body(&mut Trace::default(), &form);
            let body = String::from_utf8(body.bytes).expect("text");
            let part = format!("Content-Disposition: form-data; name=\"n%0D%0A\"\r\n\r\n{ended}\r\n--");
            assert!(body.contains(&part), "{body:?}");
        }
    }
}
