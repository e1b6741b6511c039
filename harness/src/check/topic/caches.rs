//! Caches: does an answer say what it depends on? Single requests cannot tell, so this asks in sequence.

use crosscheck_cases::standard::Received;

use super::{Subject, names, value};
use crate::check::ask::Asked;
use crate::check::claim::Claim;
use crate::check::fault::Severity;
use crate::check::origins::UNKNOWN;
use crate::check::policy::Role;

/// Statuses that caches may keep without being told. (RFC 9110, 15.1)
const HEURISTIC: [u16; 12] = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501];

struct Variant {
    who: String,
    asked: Asked,
}

pub(crate) async fn check(subject: &Subject<'_>) -> Vec<Claim> {
    let mut origins = vec![None, Some(UNKNOWN.to_owned())];
    // A second one of the same pattern says nothing new.
    let firsts = subject.allowed.iter().filter_map(|allowed| allowed.samples().into_iter().next());
    origins.extend(firsts.take(2).map(Some));
    let mut variants = Vec::new();
    for origin in origins {
        let headers: Vec<(&str, &str)> = origin.iter().map(|origin| ("Origin", origin.as_str())).collect();
        let asked = subject.send("GET", &subject.url, &headers).await;
        variants.push(Variant { who: origin.unwrap_or_else(|| "no Origin".to_owned()), asked });
    }
    let mut claims: Vec<Claim> = judge(subject, &variants).into_iter().collect();
    claims.extend(lost(subject, &variants));
    if subject.route.role == Role::Data
        && let Some(first) = subject.samples().first()
    {
        claims.extend(copied(subject, first).await);
        claims.extend(renewed(subject, first).await);
    }
    claims
}

/// What of an answer depends on the Origin.
fn essence(answer: &Received) -> (u16, Option<String>, Option<String>, Option<String>) {
    (
        answer.status,
        value(answer, "access-control-allow-origin"),
        value(answer, "access-control-allow-credentials"),
        value(answer, "access-control-expose-headers"),
    )
}

fn names_origin(answer: &Received) -> bool {
    names(answer, "vary").iter().any(|name| name == "origin" || name == "*")
}

/// Whether every page without cookies reads it.
fn is_for_all(answer: &Received) -> bool {
    value(answer, "access-control-allow-origin").as_deref() == Some("*")
}

/// Whether a shared cache may keep it.
fn is_kept(answer: &Received) -> bool {
    let control = names(answer, "cache-control");
    let says = |word: &str| control.iter().any(|one| one.split('=').next() == Some(word));
    if says("no-store") || says("private") {
        return false;
    }
    HEURISTIC.contains(&answer.status)
        || says("public")
        || says("max-age")
        || says("s-maxage")
        || answer.headers.contains("expires")
}

fn judge(subject: &Subject<'_>, variants: &[Variant]) -> Option<Claim> {
    let answers: Vec<(&Variant, &Received)> =
        variants.iter().filter_map(|variant| Some((variant, variant.asked.last()?))).collect();
    let (_, first) = answers.first()?;
    let depends = answers.iter().any(|(_, answer)| essence(answer) != essence(first));
    // An answer that opens itself to everybody can be given to everybody, whatever else the server answers.
    let silent: Vec<&(&Variant, &Received)> = answers
        .iter()
        .filter(|(_, answer)| {
            is_kept(answer) && !names_origin(answer) && (subject.allow.credentials || !is_for_all(answer))
        })
        .collect();
    if !depends || silent.is_empty() {
        return None;
    }
    let without = answers.iter().find(|(variant, _)| variant.who == "no Origin");
    let default = without
        .and_then(|(_, answer)| value(answer, "access-control-allow-origin"))
        .filter(|origin| origin != "*" && silent.iter().all(|(variant, _)| variant.who == "no Origin"));
    let who: Vec<&str> = silent.iter().map(|(variant, _)| variant.who.as_str()).collect();
    let (fault, said) = match default {
        Some(origin) => (
            "default-allow-origin",
            format!(
                "A request without Origin gets Access-Control-Allow-Origin: {origin}; a cache gives that to pages of other origins."
            ),
        ),
        None => {
            ("missing-vary", format!("The answer depends on Origin, but has no Vary: Origin for {}.", who.join(", ")))
        }
    };
    let shown = &silent[0].0.asked;
    Some(
        Claim::new(fault, Severity::Poison, subject.path(), said, shown)
            .with(variants.iter().map(|variant| &variant.asked)),
    )
}

/// What stands in Vary without Origin must stand there with one.
fn lost(subject: &Subject<'_>, variants: &[Variant]) -> Option<Claim> {
    let plain = variants.iter().find(|variant| variant.who == "no Origin")?;
    let answer = plain.asked.last()?;
    let own: Vec<String> = names(answer, "vary").into_iter().filter(|name| name != "origin").collect();
    variants.iter().filter(|variant| variant.who != "no Origin").find_map(|variant| {
        let other = variant.asked.last().filter(|other| other.status == answer.status && is_kept(other))?;
        let there = names(other, "vary");
        let gone: Vec<&str> =
            own.iter().map(String::as_str).filter(|name| !there.iter().any(|one| one == name || one == "*")).collect();
        if gone.is_empty() {
            return None;
        }
        let said =
            format!("Without Origin, Vary names {}; with the Origin {} it does not.", gone.join(", "), variant.who);
        Some(Claim::new("vary-lost", Severity::Poison, subject.path(), said, &variant.asked).with([&plain.asked]))
    })
}

async fn copied(subject: &Subject<'_>, origin: &str) -> Option<Claim> {
    let asked = subject.send("GET", &subject.url, &[("Origin", origin), ("Vary", "X-Crosscheck")]).await;
    let copied = asked.last().is_some_and(|answer| names(answer, "vary").iter().any(|name| name == "x-crosscheck"));
    copied.then(|| {
        let said = "A request with Vary: X-Crosscheck gets Vary: X-Crosscheck back.";
        Claim::new("vary-copied", Severity::Poison, subject.path(), said, &asked)
    })
}

/// A conditional request, as caches send them.
async fn renewed(subject: &Subject<'_>, origin: &str) -> Option<Claim> {
    let first = subject.send("GET", &subject.url, &[("Origin", origin)]).await;
    let answer = first.last().filter(|answer| answer.status == 200)?;
    let condition = match (value(answer, "etag"), value(answer, "last-modified")) {
        (Some(tag), _) => ("If-None-Match", tag),
        (None, Some(time)) => ("If-Modified-Since", time),
        (None, None) => return None,
    };
    let again = subject.send("GET", &subject.url, &[("Origin", origin), (condition.0, &condition.1)]).await;
    let renewed = again.last().filter(|answer| answer.status == 304)?;
    let sent = value(renewed, "access-control-allow-origin")?;
    if value(answer, "access-control-allow-origin").as_ref() == Some(&sent) {
        return None;
    }
    let said = format!(
        "To {origin}, status 200 says otherwise than status 304, which says {sent}: the stored answer is changed to that."
    );
    Some(
        Claim::new("not-modified", Severity::Break, subject.path(), said, &again)
            .about([origin.to_owned()])
            .with([&first]),
    )
}
