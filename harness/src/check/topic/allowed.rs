//! Pages that the policy lets in: is one of them kept out?

use crosscheck_cases::standard::{Answer, MessageKind};
use futures_util::future::join_all;

use super::{Subject, names, value};
use crate::check::ask::Asked;
use crate::check::claim::Claim;
use crate::check::fault::Severity;
use crate::check::policy::Role;
use crate::explain::Verdict;
use crate::explain::question::Question;

/// What is asked of an allowed page's behalf.
struct Wish {
    /// What for, as it goes on after "A page of … cannot ".
    what: String,
    question: Question,
}

pub(crate) async fn check(subject: &Subject<'_>) -> Vec<Claim> {
    let wishes = wishes(subject);
    let asked = join_all(wishes.iter().map(|wish| subject.ask(&wish.question))).await;
    let mut claims = Vec::new();
    let is_plain = |wish: &Wish| wish.question.method == "GET" && wish.question.headers.len() <= subject.secrets.len();
    // Pages for which the plainest request works: of them a fault of another request says more.
    let works: Vec<(&str, &str)> = wishes
        .iter()
        .zip(&asked)
        .filter(|(wish, asked)| is_plain(wish) && asked.is_readable())
        .map(|(wish, _)| (wish.question.page.as_str(), wish.question.credentials.as_str()))
        .collect();
    for (wish, asked) in wishes.iter().zip(&asked) {
        if let Some(fault) =
            blame(wish, asked, works.contains(&(wish.question.page.as_str(), wish.question.credentials.as_str())))
        {
            claims.push(claim(subject, fault, wish, asked));
        }
        claims.extend(exposed(subject, wish, asked));
        if is_plain(wish) {
            claims.extend(not_as_stated(subject, asked));
        }
    }
    if claims.iter().any(|claim| claim.fault == "allowed-origin-refused") {
        default_port(subject, &works, &mut claims).await;
    }
    claims
}

fn wishes(subject: &Subject<'_>) -> Vec<Wish> {
    let mut wishes = Vec::new();
    let allow = subject.allow;
    let mut add = |what: &str, question: Question| wishes.push(Wish { what: what.to_owned(), question });
    let samples = subject.samples();
    for origin in &samples {
        if allow.credentials {
            add("read the answer with cookies", subject.authenticated(origin, "include"));
        }
        add("read the answer", subject.authenticated(origin, "omit"));
    }
    let Some(first) = samples.first().filter(|_| subject.route.role == Role::Data) else { return wishes };
    let basic = subject.authenticated(first, subject.credentials());
    let own: Vec<(String, String)> = allow
        .request_headers
        .iter()
        .filter(|name| *name != "*" && !basic.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)))
        .map(|name| (name.clone(), header_value(name)))
        .collect();
    for method in &allow.methods {
        match method.as_str() {
            "GET" => {}
            method => add(&format!("send {method}"), Question { method: method.to_owned(), ..basic.clone() }),
        }
    }
    if !own.is_empty() {
        let headers = basic.headers.iter().cloned().chain(own).collect();
        add("set the request headers that the policy allows", Question { headers, ..basic.clone() });
    }
    if allow.request_headers.iter().any(|name| name == "*") {
        let mut headers = basic.headers.clone();
        headers.push(("x-crosscheck-any".to_owned(), "1".to_owned()));
        add("set any request header, as the policy allows", Question { headers, ..basic });
    }
    wishes
}

/// A value with which a header needs a preflight.
fn header_value(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "content-type" => "application/json".to_owned(),
        "accept" | "accept-language" | "content-language" => "\"".to_owned(),
        "range" => "bytes=0-0,2-2".to_owned(),
        "authorization" => "Bearer crosscheck".to_owned(),
        _ => "1".to_owned(),
    }
}

fn claim(subject: &Subject<'_>, fault: &'static str, wish: &Wish, asked: &Asked) -> Claim {
    let page = &wish.question.page;
    let (said, severity) = if asked.is_readable() {
        // Nobody is kept out: the page reads an answer, only not that of what it asked for.
        let said = format!("A page of {page} sends {}, and reads{}.", wish.question.method, status(asked));
        (said, if fault == "head-refused" { Severity::Break } else { Severity::Note })
    } else {
        (format!("A page of {page} cannot {}: {}.", wish.what, failed(asked)), Severity::Break)
    };
    Claim::new(fault, severity, subject.path(), said, asked).about([page.clone()])
}

/// The exchange that failed, for a sentence.
fn failed(asked: &Asked) -> String {
    let Some(one) = asked.exchanged.last() else { return "nothing could be sent".to_owned() };
    let what = match one.message.kind {
        MessageKind::Preflight => "the preflight".to_owned(),
        _ => format!("the {} of {}", one.message.method, one.message.url.path()),
    };
    match &one.answer {
        Some(Answer::Response(received)) => format!("it fails at {what}, which gets status {}", received.status),
        _ => format!("it fails at {what}, which gets no answer"),
    }
}

/// The status of the answer, for a sentence.
fn status(asked: &Asked) -> String {
    let status = asked.request().map(|answer| answer.status);
    match status {
        Some(status) if swallowed(asked) => format!(" an empty answer to a preflight with status {status}"),
        Some(status) => format!(" an answer with status {status}"),
        None => " nothing".to_owned(),
    }
}

/// The fault that keeps a page out, where it is kept out.
fn blame(wish: &Wish, asked: &Asked, plain_works: bool) -> Option<&'static str> {
    let method = wish.question.method.as_str();
    match asked.verdict()? {
        Verdict::Readable => {
            let status = asked.request().map_or(0, |answer| answer.status);
            match method {
                "HEAD" if plain_works && matches!(status, 404 | 405 | 501) => Some("head-refused"),
                "OPTIONS" if swallowed(asked) || matches!(status, 400 | 403 | 404 | 405 | 501) => {
                    Some("plain-options-refused")
                }
                _ => None,
            }
        }
        Verdict::Undecided | Verdict::Opaque | Verdict::Refused => None,
        Verdict::Failed => Some("unanswered"),
        Verdict::Blocked => Some(match asked.request() {
            None => blame_preflight(asked, plain_works),
            Some(_) if method == "HEAD" && plain_works => "head-refused",
            Some(_) if method == "OPTIONS" && plain_works => "plain-options-refused",
            Some(_) => blame_request(asked),
        }),
    }
}

/// Whether an OPTIONS that is no preflight was answered as if it were one.
fn swallowed(asked: &Asked) -> bool {
    asked
        .request()
        .is_some_and(|answer| answer.headers.contains("access-control-allow-methods") && answer.body.is_empty())
}

fn blame_preflight(asked: &Asked, plain_works: bool) -> &'static str {
    let Some(answer) = asked.preflight() else { return "allowed-origin-refused" };
    match answer.status {
        304 => return "preflight-not-modified",
        300..=399 => return "preflight-redirected",
        status if !(200..300).contains(&status) => return "preflight-refused",
        _ => {}
    }
    match (asked.reason(), asked.requirement()) {
        (Some("method-not-allowed"), Some("fetch.preflight.7.5g")) => "wildcard-lists-with-credentials",
        (Some("method-not-allowed"), Some("fetch.preflight.7.5e")) => "method-case",
        (Some("method-not-allowed"), _) => "method-refused",
        (Some("header-not-allowed"), Some("fetch.preflight.7.6a")) => "authorization-wildcard",
        (Some("header-not-allowed"), Some("fetch.preflight.7.7e")) => "wildcard-lists-with-credentials",
        (Some("header-not-allowed"), _) => "request-headers-refused",
        (Some("invalid-allow-methods" | "invalid-allow-headers"), _) => "list-syntax",
        // Where the origin is refused anyway, its preflights are too.
        _ if plain_works && !answer.headers.contains("access-control-allow-origin") => "preflight-bare",
        _ => blame_origin(asked),
    }
}

fn blame_request(asked: &Asked) -> &'static str {
    let Some(answer) = asked.request() else { return "allowed-origin-refused" };
    let bare = !answer.headers.contains("access-control-allow-origin");
    match asked.reason() {
        Some("too-many-redirects") => "redirect-loop",
        _ if bare && answer.status >= 400 => "bare-errors",
        _ if bare && (300..400).contains(&answer.status) => "redirect-bare",
        _ => blame_origin(asked),
    }
}

fn blame_origin(asked: &Asked) -> &'static str {
    let Some(answer) = asked.last() else { return "allowed-origin-refused" };
    match asked.reason() {
        Some("multiple-allow-origin") if answer.headers.all("access-control-allow-origin").count() > 1 => {
            "duplicate-allow-origin"
        }
        Some("multiple-allow-origin") => "several-origins",
        Some("invalid-allow-origin") => "malformed-allow-origin",
        Some("allow-origin-mismatch") => {
            let sent = value(answer, "access-control-allow-origin").unwrap_or_default();
            let page = asked.diagnosis.as_ref().map(|diagnosis| diagnosis.page.as_str()).unwrap_or_default();
            let meant = url::Url::parse(&sent).is_ok_and(|url| url.origin().ascii_serialization() == page);
            if meant { "malformed-allow-origin" } else { "allowed-origin-refused" }
        }
        Some("wildcard-with-credentials") => "wildcard-with-credentials",
        Some("missing-allow-credentials") if answer.headers.contains("access-control-allow-credentials") => {
            "credentials-value"
        }
        Some("missing-allow-credentials") => "credentials-refused",
        _ => "allowed-origin-refused",
    }
}

/// Response headers that the policy exposes, and that the page does not see.
fn exposed(subject: &Subject<'_>, wish: &Wish, asked: &Asked) -> Option<Claim> {
    let answer = asked.request().filter(|answer| asked.is_readable() && answer.status < 300)?;
    if wish.question.method != "GET" || subject.route.role != Role::Data {
        return None;
    }
    let listed = names(answer, "access-control-expose-headers");
    let any = listed.iter().any(|name| name == "*");
    let hidden: Vec<&str> = subject
        .allow
        .expose
        .iter()
        .map(String::as_str)
        .filter(|name| {
            let name = name.to_ascii_lowercase();
            if answer.headers.contains(&name) {
                !asked.page.headers.contains_key(&name)
            } else {
                !(listed.contains(&name) || any && wish.question.credentials != "include")
            }
        })
        .collect();
    if hidden.is_empty() {
        return None;
    }
    let fault = if any && wish.question.credentials == "include" {
        "wildcard-lists-with-credentials"
    } else {
        "expose-headers"
    };
    let said = format!("A page of {} cannot read the response headers {}.", wish.question.page, hidden.join(", "));
    Some(Claim::new(fault, Severity::Break, subject.path(), said, asked).about([wish.question.page.clone()]))
}

/// A route that is not what the policy says teaches nothing.
fn not_as_stated(subject: &Subject<'_>, asked: &Asked) -> Option<Claim> {
    let status = asked.exchanged.iter().find_map(|one| match &one.answer {
        Some(Answer::Response(received)) if one.message.kind != MessageKind::Preflight => Some(received.status),
        _ => None,
    })?;
    let (fits, stated) = match subject.route.role {
        Role::Data => (status < 300, "data"),
        Role::Error => (status >= 400, "error"),
        Role::Redirect => ((300..400).contains(&status), "redirect"),
        Role::Websocket | Role::Asset => return None,
    };
    // Where the page is kept out by a redirect or an error, that is said already.
    if fits || (!asked.is_readable() && subject.route.role == Role::Data) {
        return None;
    }
    let said = format!("The policy says that this is a route of role \"{stated}\", and GET gives status {status}.");
    Some(Claim::new("route-not-as-stated", Severity::Note, subject.path(), said, asked))
}

/// Whether an origin is refused only because the server's list has it with its default port.
async fn default_port(subject: &Subject<'_>, works: &[(&str, &str)], claims: &mut Vec<Claim>) {
    // Where its plainest request works, an origin is on the list.
    for origin in subject.samples().into_iter().filter(|origin| !works.iter().any(|(page, _)| page == origin)) {
        let Ok(url) = url::Url::parse(&origin) else { continue };
        let (None, Some(port)) = (url.port(), url.port_or_known_default()) else { continue };
        let listed = format!("{origin}:{port}");
        let asked = subject.send("GET", &subject.url, &[("Origin", &listed)]).await;
        let echoed = asked.last().and_then(|answer| value(answer, "access-control-allow-origin"));
        if echoed.as_deref() == Some(listed.as_str()) {
            let said = format!("A page of {origin} is refused, and {listed} would be let in.");
            let is_it = |claim: &Claim| claim.fault == "allowed-origin-refused" && claim.origins.contains(&origin);
            let replay = claims.iter().find(|claim| is_it(claim)).and_then(|claim| claim.replay.clone());
            claims.retain(|claim| !is_it(claim));
            claims.push(
                Claim::new("default-port", Severity::Break, subject.path(), said, &asked)
                    .about([origin.clone()])
                    .replayed_as(replay),
            );
        }
    }
}
