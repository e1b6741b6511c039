//! What elements, style sheets and modules load. (HTML, *create a potential-CORS request* and what each element makes of
//! the response; CSS Values, *fetch a style resource*; CSS Font Loading)

use std::collections::{BTreeMap, VecDeque};

use serde_json::json;

use super::fetch::{NetworkError, Response, UserAgent};
use super::header_value::{essence_of, extract_mime_type, is_javascript};
use super::page::{StepResult, decode_text, exception, of_kind};
use super::referrer::parse_policy;
use super::request::{Credentials, Destination, Mode, Referrer, Request};
use super::request_class::parse_url;
use super::trace::Trace;
use crate::{LoadProbe, Loader, PageResult, ResponseType, ResultKind};

/// What the model tells of what a page sees of a load: not what scripts throw or find when they look, and not how long
/// a sound is.
pub(crate) const SEEN: [&str; 4] = ["cues", "rules", "tainted", "width"];

/// Whether a load can be predicted; why not otherwise.
pub(crate) fn is_modelled(options: &LoadProbe) -> Result<(), &'static str> {
    // Most look at what is there; these ask for more.
    if options.look.as_ref().is_some_and(|look| ["Image(", "url", "fonts"].iter().any(|word| look.contains(word))) {
        return Err("its script loads something");
    }
    if options.attributes.iter().any(|(name, _)| name != "referrerpolicy") {
        return Err("it sets attributes of an element that the model does not know");
    }
    match use_of(options) {
        Some(_) => Ok(()),
        None => Err("it loads something with an element that the model does not know"),
    }
}

/// What is loaded, and so how it is asked for and what becomes of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Image,
    ClassicScript,
    ImportedScript,
    Module,
    StyleSheet,
    Font,
    Media,
    Track,
    /// A preload: nobody looks at what came.
    Nothing,
}

fn use_of(options: &LoadProbe) -> Option<(Use, Destination)> {
    Some(match options.element {
        Loader::Img | Loader::Srcset | Loader::Picture | Loader::SvgImage | Loader::Input | Loader::CssContent => {
            (Use::Image, Destination::Image)
        }
        Loader::Script => (Use::ClassicScript, Destination::Script),
        Loader::ImportScripts => (Use::ImportedScript, Destination::Script),
        Loader::Module | Loader::Import | Loader::Modulepreload if options.kind.is_none() => {
            (Use::Module, Destination::Script)
        }
        Loader::Style | Loader::CssImport => (Use::StyleSheet, Destination::Style),
        Loader::Font | Loader::CssFont => (Use::Font, Destination::Font),
        Loader::Audio => (Use::Media, Destination::Audio),
        Loader::Video => (Use::Media, Destination::Video),
        Loader::Track => (Use::Track, Destination::Track),
        Loader::Preload => {
            let destination = match options.destination.as_deref()? {
                "fetch" => Destination::Empty,
                "font" => Destination::Font,
                "image" => Destination::Image,
                "script" => Destination::Script,
                "style" => Destination::Style,
                "track" => Destination::Track,
                _ => return None,
            };
            (Use::Nothing, destination)
        }
        _ => return None,
    })
}

/// *Create a potential-CORS request*: mode and credentials mode.
fn cors_settings(trace: &mut Trace, element: Loader, crossorigin: Option<&str>) -> (Mode, Credentials) {
    const ANONYMOUS: (Mode, Credentials) = (Mode::Cors, Credentials::SameOrigin);
    const NO_CORS: (Mode, Credentials) = (Mode::NoCors, Credentials::Include);
    // Other elements have the attribute as well: the inventory has rows for these.
    let [absent, anonymous, use_credentials] = match element {
        Loader::Img | Loader::Srcset | Loader::Picture | Loader::SvgImage => {
            ["html.crossorigin.img.absent", "html.crossorigin.img.anonymous", "html.crossorigin.img.use-credentials"]
        }
        Loader::Script => [
            "html.crossorigin.script.absent",
            "html.crossorigin.script.anonymous",
            "html.crossorigin.script.use-credentials",
        ],
        Loader::Style => {
            ["html.crossorigin.link.absent", "html.crossorigin.link.anonymous", "html.crossorigin.link.use-credentials"]
        }
        Loader::Audio => [
            "html.crossorigin.audio.absent",
            "html.crossorigin.audio.anonymous",
            "html.crossorigin.audio.use-credentials",
        ],
        Loader::Video => [
            "html.crossorigin.video.absent",
            "html.crossorigin.video.anonymous",
            "html.crossorigin.video.use-credentials",
        ],
        _ => ["", "", ""],
    };
    let Some(value) = crossorigin else {
        return if trace.rule(absent, true) { NO_CORS } else { ANONYMOUS };
    };
    let lower = value.to_ascii_lowercase();
    let is_known = matches!(lower.as_str(), "anonymous" | "use-credentials");
    let is_understood = match value {
        "" => trace.rule("html.crossorigin.empty", true),
        _ if !is_known => trace.rule("html.crossorigin.invalid", true),
        _ => lower == value || trace.rule("html.crossorigin.case", true),
    };
    match lower.as_str() {
        _ if !is_understood => NO_CORS,
        "use-credentials" if trace.rule(use_credentials, true) => (Mode::Cors, Credentials::Include),
        // Also what an agent makes of use-credentials that does not know it.
        _ if trace.rule(anonymous, true) => ANONYMOUS,
        _ => (Mode::Cors, Credentials::Include),
    }
}

/// How a loader asks: mode and credentials mode.
fn asks(trace: &mut Trace, kind: Use, options: &LoadProbe) -> (Mode, Credentials) {
    let crossorigin = options.crossorigin.as_deref();
    let includes = crossorigin.is_some_and(|value| value.eq_ignore_ascii_case("use-credentials"));
    match (kind, options.element) {
        (Use::Module, element) => {
            let requirement = match element {
                Loader::Modulepreload => "html.link.modulepreload",
                _ => "html.module.cors-always",
            };
            let mode = if trace.rule(requirement, true) { Mode::Cors } else { Mode::NoCors };
            let requirement = if includes { "html.module.use-credentials" } else { "html.module.credentials-default" };
            let credentials = match trace.rule(requirement, true) == includes {
                true => Credentials::Include,
                false => Credentials::SameOrigin,
            };
            (mode, credentials)
        }
        (Use::Font, _) => match trace.rule("html.font.cors-required", true) {
            true => (Mode::Cors, Credentials::SameOrigin),
            false => (Mode::NoCors, Credentials::Include),
        },
        (Use::Track, element) => match cors_settings(trace, element, crossorigin) {
            (Mode::NoCors, credentials) if trace.rule("html.media.tracks", true) => (Mode::SameOrigin, credentials),
            settings => settings,
        },
        (Use::ImportedScript, _) => (Mode::NoCors, Credentials::SameOrigin),
        (_, Loader::Input | Loader::CssContent | Loader::CssImport) => (Mode::NoCors, Credentials::Include),
        (_, element) => cors_settings(trace, element, crossorigin),
    }
}

impl UserAgent {
    /// The load of an element, a style sheet or a module.
    pub(crate) async fn load_step(&mut self, url: &str, options: &LoadProbe) -> StepResult {
        let (Some(url), Some((kind, destination))) = (parse_url(&self.client, url), use_of(options)) else {
            return (exception("SyntaxError"), None);
        };
        let mut request = Request::new(url, self.client.origin.clone());
        (request.mode, request.credentials) = asks(&mut self.trace, kind, options);
        request.destination = destination;
        request.is_image_set = matches!(options.element, Loader::Srcset | Loader::Picture);
        request.use_url_credentials = true;
        if matches!(kind, Use::ClassicScript | Use::Module | Use::StyleSheet | Use::Nothing) {
            request.integrity = options.integrity.clone().unwrap_or_default();
        }
        for (_, value) in options.attributes.iter().filter(|(name, _)| name == "referrerpolicy") {
            request.referrer_policy = parse_policy(value).unwrap_or_default();
        }
        if kind == Use::ImportedScript {
            // The worker that imports has a blob: URL, which no Referer tells.
            request.referrer = Referrer::NoReferrer;
        }
        match self.load(kind, options.element, request).await {
            Ok(seen) => (PageResult { seen, ..of_kind(ResultKind::Loaded) }, None),
            Err(NetworkError::NEVER) => (of_kind(ResultKind::Timeout), None),
            Err(error) => {
                let name = match options.element {
                    Loader::Import => Some("TypeError"),
                    Loader::Font | Loader::ImportScripts => Some("NetworkError"),
                    _ => None,
                };
                let name = name.map(ToOwned::to_owned);
                (PageResult { error: name, ..of_kind(ResultKind::NetworkError) }, Some(error))
            }
        }
    }

    /// Fetches what a request asks for, with all that a module imports, and says what the page sees of it.
    async fn load(&mut self, kind: Use, element: Loader, request: Request) -> Result<Seen, NetworkError> {
        let mut seen = None;
        let mut open = VecDeque::from([request]);
        while let Some(mut request) = open.pop_front() {
            let response = self.fetching(&mut request).await?;
            if !response.received.complete {
                return Err(NetworkError::new("connection-failed", ""));
            }
            let taken = self.take(kind, element, &response)?;
            seen.get_or_insert(taken);
            let Some(base) = response.url_list.last().filter(|_| kind == Use::Module) else { continue };
            for specifier in imports(&decode_text(&response.received.body)) {
                let Ok(url) = base.join(&specifier) else { continue };
                let mut imported = Request::new(url, request.origin.clone());
                // The options of the fetch are those of the module that imports.
                (imported.mode, imported.credentials) = (request.mode, request.credentials);
                imported.destination = request.destination;
                imported.referrer = Referrer::Url(Box::new(base.clone()));
                if self.trace.rule("html.module.imports", true) {
                    open.push_back(imported);
                }
            }
        }
        Ok(seen.unwrap_or_default())
    }

    /// What a loader makes of a response: what the page sees of it.
    fn take(&mut self, kind: Use, element: Loader, response: &Response) -> Result<Seen, NetworkError> {
        let trace = &mut self.trace;
        let received = &response.received;
        let mime = extract_mime_type(&received.headers);
        let is_ok = (200..300).contains(&received.status);
        let refuse = |class, requirement| Err(NetworkError::new(class, requirement));
        let mut seen = Seen::new();
        match kind {
            Use::Image | Use::Media => {
                let width = image_width(&received.body, mime.as_ref().map(essence_of).as_deref());
                let decodes = if kind == Use::Image { width.is_some() } else { is_media(&received.body) };
                if !is_ok && (kind == Use::Media || !trace.rule("html.img.load-event", true)) {
                    return refuse("bad-status", "");
                }
                if !decodes {
                    return refuse("not-decodable", "html.img.load-event");
                }
                if matches!(element, Loader::Img | Loader::Srcset | Loader::Picture | Loader::CssContent) {
                    seen.insert("width".to_owned(), json!(width));
                }
                if !matches!(element, Loader::Audio | Loader::Input | Loader::CssContent) {
                    let taints = match (kind, response.kind) {
                        (Use::Image, ResponseType::Opaque) => trace.rule("html.canvas.draw-image.taint", true),
                        (_, ResponseType::Opaque) => trace.rule("html.canvas.draw-video.taint", true),
                        (Use::Image, ResponseType::Cors) => !trace.rule("html.canvas.draw-image.cors-clean", true),
                        (Use::Image, _) => !trace.rule("html.canvas.draw-image.same-origin", true),
                        _ => false,
                    };
                    seen.insert("tainted".to_owned(), json!(taints));
                }
            }
            Use::ClassicScript => {
                if !is_ok && trace.rule("html.script.classic.bad-status", true) {
                    return refuse("bad-status", "html.script.classic.bad-status");
                }
                let is_script = mime.as_ref().is_some_and(is_javascript);
                if !is_script && !trace.rule("html.script.classic.no-mime-check", true) {
                    return refuse("wrong-type", "html.script.classic.no-mime-check");
                }
            }
            Use::ImportedScript | Use::Module => {
                if !is_ok {
                    return refuse("bad-status", "");
                }
                let requirement = match kind {
                    Use::Module => "html.module.mime",
                    _ => "html.worker.import-scripts.mime",
                };
                if !mime.as_ref().is_some_and(is_javascript) && trace.rule(requirement, true) {
                    return refuse("wrong-type", requirement);
                }
            }
            Use::StyleSheet => {
                if !is_ok {
                    return refuse("bad-status", "");
                }
                let is_css = mime.as_ref().is_none_or(|mime| essence_of(mime) == "text/css");
                let own = response.url_list.last().is_some_and(|url| self.client.origin.is_origin_of(url));
                if !is_css && (own || trace.rule("html.css.mime-cross-origin", true)) {
                    return refuse("wrong-type", "html.css.mime-cross-origin");
                }
                let hidden = match response.kind {
                    ResponseType::Opaque => trace.rule("html.css.css-rules-throw", true),
                    ResponseType::Cors => !trace.rule("html.css.cors-readable", true),
                    _ => false,
                };
                let rules = decode_text(&received.body).matches('}').count();
                seen.insert("rules".to_owned(), if hidden { json!("SecurityError") } else { json!(rules) });
            }
            Use::Font => {
                if !is_ok || !received.body.starts_with(b"wOF2") {
                    return refuse("not-decodable", "html.font.css-font-loading");
                }
            }
            Use::Track => {
                if !is_ok || !received.body.starts_with(b"WEBVTT") {
                    return refuse("not-decodable", "");
                }
                seen.insert("cues".to_owned(), json!(decode_text(&received.body).matches("-->").count()));
            }
            Use::Nothing => {}
        }
        Ok(seen)
    }
}

/// The specifiers of the static imports of a module without comments, whose statements each name one.
fn imports(text: &str) -> Vec<String> {
    let statements = text.split([';', '\n']).map(str::trim).filter(|statement| statement.starts_with("import"));
    let quoted = statements.filter(|statement| !statement.starts_with("import("));
    quoted.filter_map(|statement| Some(statement.split(['\'', '"']).nth(1)?.to_owned())).collect()
}

type Seen = BTreeMap<String, serde_json::Value>;

/// The width of an image in one of the formats of the fake servers, in pixels; nothing where it is none.
fn image_width(body: &[u8], essence: Option<&str>) -> Option<u32> {
    if let Some(header) = body.strip_prefix(b"\x89PNG\r\n\x1a\n") {
        return Some(u32::from_be_bytes(header.get(8..12)?.try_into().ok()?));
    }
    let text = String::from_utf8_lossy(body);
    let (_, after) = text.split_once("<svg").filter(|_| essence == Some("image/svg+xml"))?;
    let (_, width) = after.split_once("width=\"")?;
    width.split_once('"')?.0.parse().ok()
}

/// Whether it is audio or video in one of the formats of the fake servers: WAV, WebM.
fn is_media(body: &[u8]) -> bool {
    body.starts_with(b"RIFF") || body.starts_with(b"\x1a\x45\xdf\xa3")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::testing::{Performed, answer, perform_on_page};
    use super::*;

    const OWN: &str = "https://page.test/x";

    /// A load from the page's own origin, answered with a body of a type.
    fn load(probe: &Value, status: u16, content_type: &str, body: &str) -> Performed {
        perform_on_page(probe, "", |_| answer(status, &[("Content-Type", content_type)], body))
    }

    #[test]
    fn a_preload_says_for_what_it_is() {
        for destination in ["font", "image", "script", "style", "track"] {
            let probe = json!({"load": OWN, "element": "preload", "as": destination});
            let sent = load(&probe, 200, "text/plain", "").sent;
            assert_eq!(sent[0].headers.get("sec-fetch-dest"), Some(destination.into()));
        }
        let fetch = load(&json!({"load": OWN, "element": "preload", "as": "fetch"}), 200, "text/plain", "");
        assert_eq!(fetch.sent[0].headers.get("sec-fetch-dest"), Some("empty".into()));
        assert_eq!(load(&json!({"load": OWN, "element": "preload"}), 200, "text/plain", "").sent.len(), 0);
    }

    #[test]
    fn a_referrer_policy_attribute_counts_and_imported_scripts_have_no_referrer() {
        for (element, attributes, referrer) in [
            ("img", json!([]), Some(OWN.replace('x', ""))),
            ("img", json!([["referrerpolicy", "no-referrer"]]), None),
            ("img", json!([["sizes", "no-referrer"]]), Some(OWN.replace('x', ""))),
            ("import-scripts", json!([]), None),
        ] {
            let probe = json!({"load": OWN, "element": element, "attributes": attributes});
            let sent = load(&probe, 200, "text/javascript", "").sent;
            let told = sent[0].headers.get("referer").map(|value| value.to_string());
            assert_eq!(told, referrer.filter(|_| element != "import-scripts"), "{probe}");
        }
    }

    #[test]
    fn no_attribute_but_the_referrer_policy_is_modelled() {
        let probe =
            |name: &str| LoadProbe { attributes: vec![(name.to_owned(), "x".to_owned())], ..LoadProbe::default() };
        assert!(is_modelled(&probe("referrerpolicy")).is_ok());
        assert!(is_modelled(&probe("sizes")).is_err());
    }

    #[test]
    fn what_is_no_picture_sound_font_or_track_is_refused() {
        const SVG: &str = "<svg width=\"1\" height=\"1\"></svg>";
        for (element, status, content_type, body, result) in [
            ("img", 200, "image/svg+xml", SVG, ResultKind::Loaded),
            ("img", 200, "text/plain", SVG, ResultKind::NetworkError),
            ("img", 200, "image/svg+xml", "<p width=\"1\">", ResultKind::NetworkError),
            ("audio", 200, "audio/wav", "RIFF", ResultKind::Loaded),
            ("audio", 200, "audio/wav", "noise", ResultKind::NetworkError),
            ("audio", 404, "audio/wav", "RIFF", ResultKind::NetworkError),
            ("font", 200, "font/woff2", "wOF2", ResultKind::Loaded),
            ("font", 200, "font/woff2", "letters", ResultKind::NetworkError),
            ("font", 404, "font/woff2", "wOF2", ResultKind::NetworkError),
            ("track", 200, "text/vtt", "WEBVTT", ResultKind::Loaded),
            ("track", 200, "text/vtt", "cues", ResultKind::NetworkError),
            ("track", 404, "text/vtt", "WEBVTT", ResultKind::NetworkError),
        ] {
            let loaded = load(&json!({"load": OWN, "element": element}), status, content_type, body);
            assert_eq!(loaded.page.result, result, "{element} {status} {content_type} {body}");
        }
    }
}
