//! What somebody types to try a case by hand: JavaScript for a browser's developer tools, and curl.

use std::fmt::Write as _;

use crosscheck_cases::{
    BodyKind, FetchProbe, LoadProbe, Loader, Probe, Reading, Stated, WireMessage, XhrProbe, strip_tokens,
};
use crosscheck_servers::Exchange;
use serde_json::{Map, Value};

use crosscheck_cases::is_invisible;

/// JavaScript that does what the page of a case does, to be pasted into a browser's developer tools on a page of the
/// case's origin. Empty where no browser takes part.
#[must_use]
pub fn javascript(steps: &[Probe]) -> String {
    let scripts: Vec<String> = steps.iter().map(script).filter(|script| !script.is_empty()).collect();
    let code = match scripts.as_slice() {
        [one] => one.clone(),
        // A block of its own, as steps use the same names.
        many => many
            .iter()
            .enumerate()
            .map(|(index, script)| format!("// Step {}\n{{\n{}\n}}", index + 1, indented(script)))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    without_url_placeholders(&code)
}

fn indented(script: &str) -> String {
    script.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// `{url https://a.test/}` stands for that URL under the token of a run; by hand there is none.
fn without_url_placeholders(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("{url ") {
        out.push_str(before);
        match after.split_once('}') {
            Some((url, after)) if !url.contains(char::is_whitespace) => {
                out.push_str(url);
                rest = after;
            }
            _ => {
                out.push_str("{url ");
                rest = after;
            }
        }
    }
    out + rest
}

fn script(probe: &Probe) -> String {
    match probe {
        Probe::Fetch(url, options) => fetch(url, options),
        Probe::Xhr(url, options) => xhr(url, options),
        Probe::EventSource(url, options) => {
            let init = if options.with_credentials == Some(true) { ", { withCredentials: true }" } else { "" };
            format!(
                "const source = new EventSource({}{init});\n\
                 source.onopen = () => console.log(\"open\");\n\
                 source.onmessage = (event) => console.log(\"message\", event.data, event.origin);\n\
                 source.onerror = () => {{\n  console.log(\"error\");\n  source.close();\n}};",
                literal(url)
            )
        }
        Probe::Beacon(url, options) => {
            let (before, body) = body(options.body.as_ref());
            let body = body.map(|body| format!(", {body}")).unwrap_or_default();
            format!("{before}console.log(navigator.sendBeacon({}{body}));", literal(url))
        }
        Probe::WebSocket(url, options) => {
            let protocols = match options.protocols.as_slice() {
                [] => String::new(),
                list => format!(", [{}]", list.iter().map(|one| literal(one)).collect::<Vec<_>>().join(", ")),
            };
            let send = options.send.as_ref().map(|text| format!("\n  socket.send({});", literal(text)));
            format!(
                "const socket = new WebSocket({}{protocols});\n\
                 socket.onopen = () => {{\n  console.log(\"open\", socket.protocol);{}\n}};\n\
                 socket.onmessage = (event) => console.log(\"message\", event.data);\n\
                 socket.onerror = () => console.log(\"error\");\n\
                 socket.onclose = (event) => console.log(\"close\", event.code, event.reason);",
                literal(url),
                send.unwrap_or_default()
            )
        }
        Probe::Evaluate(expression, _) => format!("console.log(await ({expression}));"),
        Probe::Load(url, options) => load(url, options),
        Probe::Client(..) => String::new(),
    }
}

fn fetch(url: &str, options: &FetchProbe) -> String {
    let (before, body) = body(options.body.as_ref());
    let mut members: Vec<String> = Vec::new();
    for (name, value) in [
        ("method", &options.method),
        ("mode", &options.mode),
        ("credentials", &options.credentials),
        ("redirect", &options.redirect),
        ("cache", &options.cache),
        ("integrity", &options.integrity),
        ("referrer", &options.referrer),
        ("referrerPolicy", &options.referrer_policy),
        ("targetAddressSpace", &options.target_address_space),
        ("duplex", &options.duplex),
    ] {
        members.extend(value.iter().map(|value| format!("{name}: {}", literal(value))));
    }
    members.extend(options.keepalive.map(|keepalive| format!("keepalive: {keepalive}")));
    if !options.headers.is_empty() {
        members.push(format!("headers: {}", pairs(&options.headers, "  ")));
    }
    members.extend(body.map(|body| if body == "body" { body } else { format!("body: {body}") }));
    let init = if members.is_empty() { String::new() } else { format!(", {{\n  {},\n}}", members.join(",\n  ")) };
    let read = match options.read {
        Some(Reading::None) => "",
        Some(Reading::Text) | None => "\nconsole.log(await response.text());",
    };
    format!(
        "{before}const response = await fetch({}{init});\n\
         console.log(response.type, response.status, response.url, [...response.headers]);{read}",
        literal(url)
    )
}

/// The markup or call that loads it; the runner's own ways of looking at what came stand in `seen`.
fn load(url: &str, options: &LoadProbe) -> String {
    let mut attributes: Vec<(&str, &str)> = Vec::new();
    for (name, value) in [
        ("crossorigin", &options.crossorigin),
        ("integrity", &options.integrity),
        ("as", &options.destination),
        ("type", &options.kind),
    ] {
        attributes.extend(value.iter().map(|value| (name, value.as_str())));
    }
    attributes.extend(options.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let listed: String = attributes.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "element.setAttribute({}, {});", literal(name), literal(value));
        text
    });
    let element = |name: &str, before: &str, source: &str| {
        format!(
            "const element = document.createElement({});\n{before}{listed}\
             element.onload = () => console.log(\"load\");\n\
             element.onerror = () => console.log(\"error\");\n\
             element.setAttribute({}, {});\ndocument.body.append(element);",
            literal(name),
            literal(source),
            literal(url)
        )
    };
    let styled = |declaration: &str| {
        format!(
            "const element = document.createElement(\"div\");\nelement.style.cssText = {};\n\
             document.body.append(element);",
            literal(&format!("width: 9px; height: 9px; {declaration}: url({url})"))
        )
    };
    let link = |rel: &str| element("link", &format!("element.rel = {};\n", literal(rel)), "href");
    match options.element {
        Loader::Img => element("img", "", "src"),
        Loader::Srcset | Loader::Picture => element("img", "", "srcset"),
        Loader::SvgImage | Loader::SvgUse => {
            let name = if options.element == Loader::SvgUse { "use" } else { "image" };
            format!(
                "const svg = document.body.appendChild(document.createElementNS(\"http://www.w3.org/2000/svg\", \"svg\"));\n\
                 const element = document.createElementNS(svg.namespaceURI, {});\n{listed}\
                 element.onload = () => console.log(\"load\");\n\
                 element.onerror = () => console.log(\"error\");\n\
                 element.setAttribute(\"href\", {});\nsvg.append(element);",
                literal(name),
                literal(url)
            )
        }
        Loader::Input => element("input", "element.type = \"image\";\n", "src"),
        Loader::Script => element("script", "", "src"),
        Loader::Module => element("script", "element.type = \"module\";\n", "src"),
        Loader::Import => format!("console.log(await import({}));", literal(url)),
        Loader::Style => link("stylesheet"),
        Loader::Preload => link("preload"),
        Loader::Prefetch => link("prefetch"),
        Loader::Modulepreload => link("modulepreload"),
        Loader::CssImport => format!(
            "const element = document.createElement(\"style\");\nelement.textContent = {};\n\
             document.head.append(element);",
            literal(&format!("@import url({url});"))
        ),
        Loader::Font | Loader::CssFont => {
            format!("console.log(await new FontFace(\"tried\", {}).load());", literal(&format!("url({url})")))
        }
        Loader::CssBackground => styled("background-image"),
        Loader::CssMask => styled("mask-image"),
        Loader::CssShape => styled("float: left; shape-outside"),
        Loader::CssFilter => styled("filter"),
        Loader::CssContent => styled("content"),
        Loader::Poster => element("video", "", "poster"),
        Loader::Audio => element("audio", "", "src"),
        Loader::Video => element("video", "", "src"),
        Loader::Track => element("track", "", "src"),
        Loader::Iframe => element("iframe", "", "src"),
        Loader::Object => element("object", "", "data"),
        Loader::Embed => element("embed", "", "src"),
        Loader::Worker => format!("new Worker({}).onerror = () => console.log(\"error\");", literal(url)),
        Loader::SharedWorker => format!("new SharedWorker({}).onerror = () => console.log(\"error\");", literal(url)),
        Loader::ImportScripts => format!("importScripts({}); // in a dedicated worker", literal(url)),
        Loader::AudioWorklet => {
            format!("await new OfflineAudioContext(1, 1, 44100).audioWorklet.addModule({});", literal(url))
        }
    }
}

fn xhr(url: &str, options: &XhrProbe) -> String {
    let (before, body) = body(options.body.as_ref());
    let method = literal(options.method.as_deref().unwrap_or("GET"));
    let synchronous = options.sync == Some(true);
    let mut code = format!(
        "{before}const xhr = new XMLHttpRequest();\nxhr.open({method}, {}{});\n",
        literal(url),
        if synchronous { ", false" } else { "" }
    );
    if let Some(with) = options.with_credentials {
        let _ = writeln!(code, "xhr.withCredentials = {with};");
    }
    if let Some(kind) = &options.response_type {
        let _ = writeln!(code, "xhr.responseType = {};", literal(kind));
    }
    if let Some(timeout) = options.timeout {
        let _ = writeln!(code, "xhr.timeout = {timeout};");
    }
    for (name, value) in &options.headers {
        let _ = writeln!(code, "xhr.setRequestHeader({}, {});", literal(name), literal(value));
    }
    if options.upload_listener == Some(true) {
        code.push_str("xhr.upload.onprogress = () => {};\n");
    }
    code.push_str(
        "xhr.onloadend = () => console.log(xhr.status, xhr.responseURL, xhr.getAllResponseHeaders(), xhr.response);\n\
         xhr.onerror = () => console.log(\"error\");\n",
    );
    let _ = write!(code, "xhr.send({});", body.unwrap_or_default());
    if options.abort == Some(true) {
        code.push_str("\nxhr.abort();");
    }
    code
}

/// Statements that have to stand before, and the expression of a body.
fn body(kind: Option<&BodyKind>) -> (String, Option<String>) {
    let Some(kind) = kind else { return (String::new(), None) };
    let expression = match kind {
        BodyKind::Text(text) => literal(text),
        BodyKind::UrlSearchParams(list) => format!("new URLSearchParams({})", pairs(list, "")),
        BodyKind::FormData(list) => {
            let mut before = "const body = new FormData();\n".to_owned();
            for (name, value) in list {
                let _ = writeln!(before, "body.append({}, {});", literal(name), literal(value));
            }
            return (before, Some("body".to_owned()));
        }
        BodyKind::Blob(None, text) => format!("new Blob([{}])", literal(text)),
        BodyKind::Blob(Some(kind), text) => format!("new Blob([{}], {{ type: {} }})", literal(text), literal(kind)),
        BodyKind::ArrayBuffer(bytes) => {
            format!("Uint8Array.from({}, (byte) => byte.charCodeAt(0)).buffer", literal(bytes))
        }
        BodyKind::Stream(text) => format!("new Blob([{}]).stream()", literal(text)),
        BodyKind::Fill(length) => format!("\"x\".repeat({length})"),
    };
    (String::new(), Some(expression))
}

/// A list of pairs; one pair a line where there are several.
fn pairs(list: &[(String, String)], indent: &str) -> String {
    let each = list.iter().map(|(name, value)| format!("[{}, {}]", literal(name), literal(value)));
    match list.len() {
        0 | 1 => format!("[{}]", each.collect::<String>()),
        _ => {
            let lines: String = each.map(|pair| format!("\n{indent}  {pair},")).collect();
            format!("[{lines}\n{indent}]")
        }
    }
}

/// A string literal in which nothing is invisible.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for character in Value::from(text).to_string().chars() {
        if is_invisible(character) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out
}

/// Headers that curl writes itself, or that say who asks and nothing that a server decides on here.
const LEFT_TO_CURL: [&str; 14] = [
    "host",
    "content-length",
    "transfer-encoding",
    "user-agent",
    "accept-encoding",
    "accept-language",
    "accept",
    "priority",
    "te",
    "dnt",
    "upgrade-insecure-requests",
    "connection",
    "keep-alive",
    "proxy-connection",
];

/// A curl command line that sends a request as it arrived, without the headers that only describe the browser. Tokens
/// are taken out of the URL.
#[must_use]
pub fn curl(exchange: &Exchange) -> String {
    let url = strip_tokens(&format!("{}{}", exchange.origin, exchange.target));
    let upgrade = exchange.headers.contains("upgrade");
    let headers = exchange.headers.iter().filter(|(name, _)| {
        let name = name.decode().to_ascii_lowercase();
        let descriptive = LEFT_TO_CURL.contains(&name.as_str()) || name.starts_with("sec-ch-");
        !descriptive || (upgrade && name == "connection")
    });
    let headers = headers.map(|(name, value)| (name.as_bytes().to_vec(), strip_bytes(value.as_bytes())));
    command(exchange.method.as_bytes(), &url, upgrade, &headers.collect::<Vec<_>>(), exchange.body.as_bytes())
}

/// Takes tokens out where the bytes are text.
fn strip_bytes(bytes: &[u8]) -> Vec<u8> {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.to_vec(), |text| strip_tokens(text).into_bytes())
}

/// curl command lines for the requests that a case expects, without having run it: what a browser adds of its own
/// accord is left out, but for Origin and the headers of a preflight.
#[must_use]
pub fn curl_expected(case: &Stated) -> Vec<String> {
    let unstated = [WireMessage::default()];
    let messages = match case.then.wire.as_deref() {
        Some(messages) if !messages.is_empty() => messages,
        _ => unstated.as_slice(),
    };
    messages.iter().filter_map(|message| expected(case, message)).collect()
}

fn expected(case: &Stated, message: &WireMessage) -> Option<String> {
    let probe = message.step.map_or_else(|| case.when.last(), |step| case.when.get(step))?;
    let stated = message.url.as_deref().or_else(|| probe.url())?;
    let (url, websocket) = match (stated.strip_prefix("wss:"), stated.strip_prefix("ws:")) {
        (Some(rest), _) => (format!("https:{rest}"), true),
        (_, Some(rest)) => (format!("http:{rest}"), true),
        _ => (stated.to_owned(), false),
    };
    let options = serde_json::to_value(probe).ok()?;
    let own_method = options.get("method").and_then(Value::as_str).unwrap_or(match probe {
        Probe::Beacon(..) => "POST",
        _ => "GET",
    });
    let own: Vec<(String, String)> =
        options.get("headers").and_then(|list| serde_json::from_value(list.clone()).ok()).unwrap_or_default();
    let method = if message.method.is_empty() { own_method } else { &message.method };
    let mut headers: Vec<(String, String)> = Vec::new();
    let origin = case.page.serialized_origin();
    if !origin.is_empty() && (websocket || !url.starts_with(&format!("{origin}/"))) && sends_origin(&options, method) {
        headers.push(("Origin".to_owned(), origin));
    }
    if message.preflight {
        headers.push(("Access-Control-Request-Method".to_owned(), own_method.to_owned()));
        let mut names: Vec<String> = own.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        if !names.is_empty() {
            headers.push(("Access-Control-Request-Headers".to_owned(), names.join(",")));
        }
    } else {
        headers.extend(own);
    }
    for (name, value) in &message.headers {
        match (headers.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)), value) {
            (Some((_, stated)), Some(value)) => stated.clone_from(value),
            (None, Some(value)) => headers.push((name.clone(), value.clone())),
            (_, None) => headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name)),
        }
    }
    if websocket {
        for (name, value) in [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let body = match (message.preflight, &message.body, options.get("body")) {
        (true, ..) => String::new(),
        (false, Some(body), _) => body.clone(),
        (false, None, Some(Value::String(text))) => text.clone(),
        // Of the other kinds of bodies only the browser knows what they look like on the wire.
        (false, None, Some(kind)) => kind.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        (false, None, None) => String::new(),
    };
    let lines: Vec<_> = headers.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect();
    Some(without_url_placeholders(&command(method.as_bytes(), &url, websocket, &lines, body.as_bytes())))
}

/// Whether a request to another origin says where it comes from.
fn sends_origin(options: &Value, method: &str) -> bool {
    let none = Map::new();
    let options = options.as_object().unwrap_or(&none);
    let no_cors = options.get("mode").and_then(Value::as_str) == Some("no-cors");
    let plain_load = options.contains_key("load") && !options.contains_key("crossorigin");
    let silent = plain_load || no_cors && ["GET", "HEAD"].contains(&method);
    !silent && !options.contains_key("client")
}

fn command(method: &[u8], url: &str, upgrade: bool, headers: &[(Vec<u8>, Vec<u8>)], body: &[u8]) -> String {
    let mut parts = vec!["curl -i".to_owned()];
    if upgrade {
        parts[0].push_str(" --http1.1");
    }
    match method {
        b"GET" if body.is_empty() => {}
        b"HEAD" => parts[0] = parts[0].replace("-i", "--head"),
        _ => {
            let _ = write!(parts[0], " -X {}", quoted(method));
        }
    }
    let _ = write!(parts[0], " {}", quoted(url.as_bytes()));
    for (name, value) in headers {
        // With a colon and nothing after it curl leaves the line out.
        let separator: &[u8] = if value.is_empty() { b";" } else { b": " };
        parts.push(format!("-H {}", quoted(&[name.as_slice(), separator, value.as_slice()].concat())));
    }
    if !body.is_empty() {
        parts.push(format!("--data-binary {}", quoted(body)));
    }
    parts.join(" \\\n  ")
}

/// One word of a shell command; bytes that are no visible ASCII characters are written as bash's `$'\xff'`.
fn quoted(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._/:?=%+,@".contains(byte)) && !bytes.is_empty() {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let plain = bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let mut word = if plain { "'".to_owned() } else { "$'".to_owned() };
    for byte in bytes {
        match byte {
            b'\'' if plain => word.push_str("'\\''"),
            b'\'' | b'\\' if !plain => {
                word.push('\\');
                word.push(char::from(*byte));
            }
            _ if byte.is_ascii_graphic() || *byte == b' ' => word.push(char::from(*byte)),
            _ => {
                let _ = write!(word, "\\x{byte:02x}");
            }
        }
    }
    word.push('\'');
    word
}
