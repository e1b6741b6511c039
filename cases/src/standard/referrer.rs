//! Referrer Policy, and the Origin header that depends on it.

use crosscheck_servers::{ByteString, Scheme};
use url::Url;

use super::client::Client;
use super::origin::Origin;
use super::request::{Mode, Referrer, Request, Tainting};
use super::trace::Trace;

/// The policy of a client that states none.
pub(crate) const DEFAULT_POLICY: &str = "strict-origin-when-cross-origin";

/// The referrer policies. (Referrer Policy, *Referrer Policies*)
pub(crate) const POLICIES: [&str; 8] = [
    "no-referrer",
    "no-referrer-when-downgrade",
    "same-origin",
    "origin",
    "strict-origin",
    "origin-when-cross-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
];

/// *Parse a referrer policy from a Referrer-Policy header*: the last one that is known.
pub(crate) fn parse_policy(value: &str) -> Option<String> {
    value.split(',').map(str::trim).rfind(|token| POLICIES.contains(token)).map(ToOwned::to_owned)
}

/// *Determine request's referrer*: the value of a Referer header.
pub(crate) fn referer(request: &Request, client: &Client) -> Option<Url> {
    let source = match &request.referrer {
        Referrer::NoReferrer => return None,
        Referrer::Client => client.referrer_source.as_ref()?,
        Referrer::Url(url) => url,
    };
    let (shown, asked) = (Origin::of(source), Origin::of(request.url()));
    let same_origin = shown.is_same_origin(&asked);
    let downgrade = shown.is_potentially_trustworthy() && !asked.is_potentially_trustworthy();
    let full = || strip(source, false).filter(|full| full.as_str().len() <= 4096).or_else(|| strip(source, true));
    let origin = || strip(source, true);
    match request.referrer_policy.as_str() {
        "no-referrer" => None,
        "origin" => origin(),
        "unsafe-url" => full(),
        "strict-origin" if downgrade => None,
        "strict-origin" => origin(),
        "same-origin" if same_origin => full(),
        "same-origin" => None,
        "origin-when-cross-origin" if same_origin => full(),
        "origin-when-cross-origin" => origin(),
        "no-referrer-when-downgrade" if downgrade => None,
        "no-referrer-when-downgrade" => full(),
        // strict-origin-when-cross-origin
        _ if same_origin => full(),
        _ if downgrade => None,
        _ => origin(),
    }
}

/// *Strip url for use as a referrer*
fn strip(url: &Url, origin_only: bool) -> Option<Url> {
    if matches!(url.scheme(), "about" | "blob" | "data") {
        return None;
    }
    let mut url = url.clone();
    // Neither can fail for a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    if origin_only {
        url.set_path("");
        url.set_query(None);
    }
    Some(url)
}

/// *Append a request `Origin` header*: its value, or nothing where there is none.
pub(crate) fn origin_header(trace: &mut Trace, request: &Request) -> Option<ByteString> {
    let serialized = match request.redirect_count > 0 && !trace.rule("fetch.network-or-cache.8.12", true) {
        true => request.origin.serialize(),
        false => {
            let serialized = request.serialize_origin(trace); // 2
            written(trace, serialized)
        }
    };
    if request.tainting == Tainting::Cors && trace.rule("fetch.origin-header.3a", true)
        || request.mode == Mode::WebSocket
            && trace.rule("fetch.origin-header.3b", true)
            && trace.rule("ws.handshake.2.mode-origin", true)
    {
        let hidden = request.referrer_policy == "no-referrer" && !trace.rule("fetch.origin-header.3c", true);
        return Some(if hidden { "null".into() } else { serialized }); // 3
    }
    let simple = request.method == *"GET" || request.method == *"HEAD";
    if simple && trace.rule("fetch.origin-header.4a", true) {
        return None;
    }
    let same_origin = request.is_same_origin();
    if !trace.rule(if same_origin { "fetch.origin-header.4b" } else { "fetch.origin-header.4c" }, true) {
        return None;
    }
    if request.mode == Mode::Cors && trace.rule("fetch.origin-header.4.1.cors", true) {
        return Some(serialized);
    }
    let downgrade = request.origin.scheme() == Some(Scheme::Https) && request.url().scheme() != "https";
    let hidden = match request.referrer_policy.as_str() {
        "no-referrer" => trace.rule("fetch.origin-header.4.1.no-referrer", true),
        "no-referrer-when-downgrade" => downgrade && trace.rule("fetch.origin-header.4.1.strict.a", true),
        "strict-origin" => downgrade && trace.rule("fetch.origin-header.4.1.strict.b", true),
        "strict-origin-when-cross-origin" => downgrade && trace.rule("fetch.origin-header.4.1.strict.c", true),
        "same-origin" if same_origin => !trace.rule("fetch.origin-header.4.1.same-origin.b", true),
        "same-origin" => trace.rule("fetch.origin-header.4.1.same-origin.a", true),
        _ => !trace.rule("fetch.origin-header.4.1.otherwise", true),
    };
    Some(if hidden { "null".into() } else { serialized }) // 4.2
}

/// How a serialised origin is written in a header: one origin in lower-case ASCII, or `null`.
fn written(trace: &mut Trace, origin: ByteString) -> ByteString {
    let text = origin.decode();
    let host = text.split_once("://").map_or("", |(_, host)| host);
    if host.contains("xn--") && !trace.rule("fetch.origin-header.abnf.b", true) {
        return text.to_ascii_uppercase().as_str().into();
    }
    if host.starts_with('[') && !trace.rule("fetch.origin-header.abnf.c", true) {
        return text.replace(['[', ']'], "").as_str().into();
    }
    if !trace.rule("fetch.origin-header.abnf.a", true) {
        return format!("{text} {text}").as_str().into();
    }
    origin
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    const PAGE: &str = "https://page.test/";
    const OTHER: &str = "https://other.test/";
    const INSECURE: &str = "http://page.test/";

    fn referer_of(source: &str, policy: &str, target: &str) -> Option<String> {
        let client = Client::of(&Document::page("https://page.test"), "/");
        let mut request = Request::new(url(target), client.origin.clone());
        request.referrer = Referrer::Url(Box::new(url(source)));
        policy.clone_into(&mut request.referrer_policy);
        referer(&request, &client).map(String::from)
    }

    #[test]
    fn policies_show_all_of_a_url_or_its_origin_or_nothing() {
        let (all, origin) = (Some("https://page.test/a?b"), Some(PAGE));
        // To the same origin, to another, and to one that is less secure.
        for (policy, same, other, insecure) in [
            ("no-referrer", None, None, None),
            ("no-referrer-when-downgrade", all, all, None),
            ("same-origin", all, None, None),
            ("origin", origin, origin, origin),
            ("strict-origin", origin, origin, None),
            ("origin-when-cross-origin", all, origin, origin),
            ("strict-origin-when-cross-origin", all, origin, None),
            ("unsafe-url", all, all, all),
        ] {
            for (target, expected) in [(PAGE, same), (OTHER, other), (INSECURE, insecure)] {
                let sent = referer_of("https://user:pass@page.test/a?b#c", policy, target);
                assert_eq!(sent.as_deref(), expected, "{policy} to {target}");
            }
        }
    }

    #[test]
    fn a_url_of_more_than_4096_characters_is_cut_to_its_origin() {
        for (length, is_whole) in [(4095, true), (4096, true), (4097, false)] {
            let source = format!("{PAGE}{}", "x".repeat(length - PAGE.len()));
            let expected = if is_whole { source.as_str() } else { PAGE };
            assert_eq!(referer_of(&source, "unsafe-url", PAGE).as_deref(), Some(expected), "{length}");
        }
    }

    #[test]
    fn the_origin_header_is_computed_for_every_hop_and_hidden_in_other_modes_alone() {
        const AGAIN: &str = "fetch.network-or-cache.8.12";
        const SHOWN: &str = "fetch.origin-header.3c";
        for (urls, policy, value, named, without) in [
            (&[OTHER][..], "origin", "https://page.test", &[][..], "https://page.test"),
            (&[OTHER], "no-referrer", "https://page.test", &[SHOWN], "null"),
            (&[PAGE, OTHER], "origin", "https://page.test", &[AGAIN], "https://page.test"),
            (&[OTHER, "https://third.test/"], "origin", "null", &[AGAIN], "https://page.test"),
        ] {
            let mut request = Request::new(url(urls[0]), Origin::of(&url(PAGE)));
            request.url_list = urls.iter().map(|text| url(text)).collect();
            request.redirect_count = u32::from(urls.len() > 1);
            request.tainting = Tainting::Cors;
            request.mode = Mode::Cors;
            policy.clone_into(&mut request.referrer_policy);
            let mut trace = Trace::default();
            assert_eq!(origin_header(&mut trace, &request), Some(value.into()), "{urls:?} {policy}");
            let follows: Vec<&str> =
                trace.requirements().into_iter().filter(|id| [AGAIN, SHOWN].contains(id)).collect();
            assert_eq!(follows, named, "{urls:?} {policy}");
            let mut wrong = Trace::breaking([AGAIN.to_owned(), SHOWN.to_owned()]);
            assert_eq!(origin_header(&mut wrong, &request), Some(without.into()), "{urls:?} {policy}");
        }
    }
}
