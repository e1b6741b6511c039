use crosscheck_servers::{Behaviour, Body, ByteString, Route, Site, Token, WebSocketAction};

use crate::standard::Origin;
use crate::{Case, PageResult, Probe, placeholder};

/// A case with a token of its own: what the servers publish and what the page does.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The token in every URL of the case.
    pub token: Token,
    /// The behaviours, by route.
    pub site: Site,
    /// The steps, with absolute URLs that carry the token.
    pub steps: Vec<Probe>,
}

impl Case {
    /// Puts the case under a token.
    #[must_use]
    pub fn place(&self, token: &Token) -> Placed {
        let mut site = Site::new();
        for (url, behaviour) in &self.stated.given {
            // A URL that cannot be a route was refused when the case was loaded.
            if let Some(route) = route(url) {
                let mut behaviour = Behaviour::clone(behaviour);
                place_behaviour(&mut behaviour, token);
                site.insert(route, behaviour);
            }
        }
        let mut steps = self.stated.when.clone();
        for step in &mut steps {
            let elsewhere =
                step.url().filter(|url| is_elsewhere(url, &site, self.stated.given.keys())).map(ToOwned::to_owned);
            let place = |url: &str| match &elsewhere {
                Some(elsewhere) if elsewhere == url => mark(url, token),
                _ => place(&fill(url, token), token),
            };
            step.map_texts(&place, &|text| fill(text, token));
        }
        Placed { token: token.clone(), site, steps }
    }
}

/// Puts the token at the front of the path of an http(s) or ws(s) URL, or of a path that begins with `/`. Other texts
/// stay as they are.
#[must_use]
pub fn place(url: &str, token: &Token) -> String {
    let Some((before, rest)) = split_at_path(url) else { return url.to_owned() };
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    if rest.starts_with(token.as_str()) {
        return url.to_owned();
    }
    [before, "/", token.as_str(), "/", rest].concat()
}

/// Whether a step asks a server that is none of ours: nothing is given for its origin. No case file may do that. `given`
/// are the URLs of the site as they are written, which is most often how the step has them too.
fn is_elsewhere<'g>(url: &str, site: &Site, mut given: impl Iterator<Item = &'g String>) -> bool {
    let start = |url| split_at_path(url).map(|(start, _)| start);
    !given.any(|given| start(given) == start(url)) && route(url).is_some_and(|route| !site.has_origin(&route.origin))
}

/// A URL of another server, which knows no tokens: the token stands in the fragment, which is not sent, so that what an
/// engine says can be told apart. WebSockets' URLs must not have one.
fn mark(url: &str, token: &Token) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if matches!(parsed.scheme(), "http" | "https") => {
            parsed.set_fragment(Some(&format!("/{token}")));
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

/// The scheme with authority, and what follows it; the first is empty for a path.
fn split_at_path(url: &str) -> Option<(&str, &str)> {
    if url.starts_with('/') && !url.starts_with("//") {
        return Some(("", url));
    }
    let (scheme, rest) = url.split_once("://")?;
    if !["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some(url.split_at(scheme.len() + "://".len() + end))
}

/// The route that a URL of `given` stands for.
pub(crate) fn route(url: &str) -> Option<Route> {
    let parsed = url::Url::parse(url).ok()?;
    parsed.host()?; // A `blob:` URL has none, but the origin of its creator.
    let Origin::Tuple(origin) = Origin::of(&parsed) else { return None };
    let path = match parsed.query() {
        Some(query) => format!("{}?{query}", parsed.path()),
        None => parsed.path().to_owned(),
    };
    Some(Route { origin, path })
}

/// Removes every token from a text that was observed, where it has one.
fn strip(text: &mut String) {
    if text.contains("/~") {
        *text = strip_tokens(text);
    }
}

/// Removes every token from a text that was observed: `https://a.test/~…/b` becomes `https://a.test/b`.
#[must_use]
pub fn strip_tokens(text: &str) -> String {
    replace_tokens(text, "")
}

/// Puts a text in the place of every token and the slash before it.
pub(crate) fn replace_tokens(text: &str, replacement: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("/~") {
        let (before, from) = rest.split_at(at);
        replaced.push_str(before);
        match from.get(1..1 + Token::TEXT_LENGTH).filter(|text| Token::is_token(text)) {
            Some(token) => {
                replaced.push_str(replacement);
                rest = &from[1 + token.len()..];
            }
            None => {
                replaced.push_str("/~");
                rest = &from[2..];
            }
        }
    }
    replaced.push_str(rest);
    replaced
}

impl PageResult {
    /// Removes every token from what was observed.
    pub fn strip_tokens(&mut self) {
        let texts = [&mut self.url, &mut self.body, &mut self.message, &mut self.protocol, &mut self.status_text];
        for text in texts.into_iter().flatten() {
            strip(text);
        }
        self.headers.values_mut().flatten().for_each(strip);
        self.events.iter_mut().flatten().for_each(strip);
        self.seen.values_mut().for_each(strip_value);
        self.unasked.iter_mut().for_each(|message| strip(&mut message.data));
        if let Some(value) = &mut self.value {
            strip_value(value);
        }
    }
}

fn strip_value(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => strip(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(strip_value),
        serde_json::Value::Object(members) => members.values_mut().for_each(strip_value),
        _ => {}
    }
}

fn fill(text: &str, token: &Token) -> String {
    placeholder::fill(text, &|name| match name {
        "token" => Some(token.as_str().to_owned()),
        _ => name.strip_prefix("url ").map(|url| place(url, token)),
    })
}

fn place_behaviour(behaviour: &mut Behaviour, token: &Token) {
    let fill_bytes = |value: &mut ByteString| {
        if value.as_bytes().contains(&b'{') {
            let filled = fill(&value.decode(), token);
            *value = ByteString::encode(&filled).unwrap_or_else(|_| filled.as_str().into());
        }
    };
    let fill_text = |text: &mut String| {
        if text.contains('{') {
            *text = fill(text, token);
        }
    };
    behaviour.headers.values_mut().for_each(fill_bytes);
    for cookie in &mut behaviour.cookies {
        fill_bytes(&mut cookie.value);
        fill_bytes(&mut cookie.attributes);
    }
    if let Some(url) = &mut behaviour.redirect {
        *url = place(&fill(url, token), token);
    }
    behaviour.verbatim.iter_mut().for_each(fill_bytes);
    match &mut behaviour.body {
        Body::Text(text) | Body::Html(text) | Body::Script(text) | Body::Style(text) => fill_text(text),
        Body::Pieces(pieces) => pieces.iter_mut().for_each(fill_text),
        Body::Events(events) => events.iter_mut().for_each(|event| fill_text(&mut event.data)),
        Body::Empty | Body::Json(_) | Body::File(_) | Body::Bytes(_) | Body::Fill(_) => {}
    }
    if let Some(websocket) = &mut behaviour.websocket {
        websocket.headers.values_mut().for_each(fill_bytes);
        for action in &mut websocket.then {
            if let WebSocketAction::Send(text) = action {
                fill_text(text);
            }
        }
    }
    if let Some(preflight) = &mut behaviour.preflight {
        place_behaviour(preflight, token);
    }
    for rule in &mut behaviour.rules {
        place_behaviour(&mut rule.then, token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_the_front_of_the_path() {
        let token: Token = "~aaaaaaaaaaaaaaaaaaaa".parse().expect("a token");
        for (url, placed) in [
            ("https://a.test", "https://a.test/~aaaaaaaaaaaaaaaaaaaa/"),
            ("https://a.test/", "https://a.test/~aaaaaaaaaaaaaaaaaaaa/"),
            ("https://a.test/b?c#d", "https://a.test/~aaaaaaaaaaaaaaaaaaaa/b?c#d"),
            ("https://a.test?c", "https://a.test/~aaaaaaaaaaaaaaaaaaaa/?c"),
            ("wss://u:p@a.test:1/b", "wss://u:p@a.test:1/~aaaaaaaaaaaaaaaaaaaa/b"),
            ("/b", "/~aaaaaaaaaaaaaaaaaaaa/b"),
            ("data:text/plain,x", "data:text/plain,x"),
            ("//a.test/", "//a.test/"),
        ] {
            assert_eq!(place(url, &token), placed);
            assert_eq!(place(placed, &token), placed, "placing twice changes nothing");
        }
    }

    #[test]
    fn urls_of_other_servers_stay_as_they_are_and_are_marked() {
        let token = Token::random();
        let mut site = Site::new();
        let given = "https://a.test/".to_owned();
        site.insert(route(&given).expect("a route"), Behaviour::default());
        for (url, elsewhere) in [
            ("http://127.0.0.1:7101/b", true),
            ("https://a.test:1/", true),
            ("https://a.test/other", false),
            ("https://A.test:443/other", false),
            ("/b", false),
        ] {
            assert_eq!(is_elsewhere(url, &site, std::iter::once(&given)), elsewhere, "{url}");
        }
        assert_eq!(mark("http://127.0.0.1:7101/b?c", &token), format!("http://127.0.0.1:7101/b?c#/{token}"));
        assert_eq!(mark("ws://127.0.0.1:7101/b", &token), "ws://127.0.0.1:7101/b");
    }

    #[test]
    fn tokens_are_stripped_wherever_they_stand() {
        let token = Token::random();
        let text = format!("a https://a.test/{token}/b and https://b.test/{token} or /~home/c");
        assert_eq!(strip_tokens(&text), "a https://a.test/b and https://b.test or /~home/c");
    }
}
