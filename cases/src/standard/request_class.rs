//! Fetch, *Request class*: what the constructor makes of its arguments, or refuses.

use crosscheck_servers::{ByteString, Fields};
use url::Url;

use super::client::Client;
use super::header_value::{is_http_whitespace, is_token, trim};
use super::lna::AddressSpace;
use super::origin::Origin;
use super::request::{Cache, Credentials, Mode, Redirect, Referrer, Request, RequestBody};
use super::safelist::{is_forbidden_header, is_forbidden_method, is_no_cors_safelisted, normalize_method};
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
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    throw_if(trace, "fetch.request-class.5.3", has_credentials)?;
    let mut request = Request::new(url, client.origin.clone());
    request.unsafe_request = true;
    trace.rule("fetch.fetching.populate.2", true);
    trace.rule("fetch.request-class.5.5", options.mode.is_none());
    // The conversion of enumerations throws before anything else; the constructor refuses navigate by itself.
    throw_if(trace, "fetch.request-class.17", options.mode.as_deref() == Some("navigate"))?;
    request.mode = match options.mode.as_deref() {
        None | Some("cors") => Mode::Cors,
        Some("no-cors") => Mode::NoCors,
        Some("same-origin") => Mode::SameOrigin,
        Some(_) => return Err(TYPE_ERROR),
    };
    trace.rule("fetch.request.credentials-default", options.credentials.is_none());
    request.credentials = match options.credentials.as_deref() {
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
        Some("local" | "loopback") => {
            trace.rule("lna.api.loopback", true);
        }
        Some("public") => {
            trace.rule("lna.api.public", true);
        }
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
        let (body, content_type) = extract_body(body); // 37
        if let Some(content_type) = content_type
            && !request.headers.contains("content-type")
        {
            append(trace, &mut request.headers, no_cors, "Content-Type", &content_type); // 37.4
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
    let foreign = !Origin::of(&url).is_same_origin(&client.origin);
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
    trace.rule("fetch.header-value.normalize", normalized.len() != bytes.as_bytes().len());
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
        let measured = if trace.rule("fetch.headers-class.append.3", headers.contains(name)) { &joined } else { value };
        if !is_no_cors_safelisted(trace, &name.into(), measured) {
            return; // 3
        }
    }
    headers.push(name, value.clone()); // 4
}

/// *Extract a body*: the bytes and the type.
pub(crate) fn extract_body(body: &BodyKind) -> (RequestBody, Option<ByteString>) {
    let source = |bytes: Vec<u8>| RequestBody { bytes, has_source: true };
    let form = || -> ByteString { "application/x-www-form-urlencoded;charset=UTF-8".into() };
    let text = || -> ByteString { "text/plain;charset=UTF-8".into() };
    match body {
        BodyKind::Text(content) => (source(content.clone().into_bytes()), Some(text())),
        BodyKind::Fill(length) => (source(vec![b'x'; *length as usize]), Some(text())),
        BodyKind::UrlSearchParams(pairs) => {
            let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            (source(encoded.into_bytes()), Some(form()))
        }
        BodyKind::FormData(pairs) => {
            let boundary = "----crosscheck";
            let mut bytes = String::new();
            for (name, value) in pairs {
                bytes.push_str(&format!(
                    "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                ));
            }
            bytes.push_str(&format!("--{boundary}--\r\n"));
            let content_type = format!("multipart/form-data; boundary={boundary}");
            (source(bytes.into_bytes()), Some(content_type.as_str().into()))
        }
        BodyKind::Blob(kind, content) => {
            let kind = kind.as_deref().unwrap_or_default();
            let valid = kind.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            let content_type = (valid && !kind.is_empty()).then(|| kind.to_ascii_lowercase().as_str().into());
            (source(content.clone().into_bytes()), content_type)
        }
        BodyKind::ArrayBuffer(bytes) => (source(bytes.chars().map(|byte| byte as u8).collect()), None),
        BodyKind::Stream(content) => (RequestBody { bytes: content.clone().into_bytes(), has_source: false }, None),
    }
}
