//! Origins that the policy does not name: is one of them let in?

use std::collections::HashSet;

use futures_util::future::join_all;

use super::{Subject, value};
use crate::check::ask::Asked;
use crate::check::claim::Claim;
use crate::check::fault::Severity;
use crate::check::origins::{Allowed, EXTENSIONS, Hostile, Likeness, UNKNOWN, further, impossible, is_sent};
use crate::check::policy::Role;

/// What came of it.
pub(crate) struct Found {
    pub(crate) claims: Vec<Claim>,
    /// Whether every origin is let in.
    pub(crate) is_loose: bool,
    /// Origins that are let in, each with its credentials mode.
    pub(crate) let_in: HashSet<(String, String)>,
}

struct Tried {
    hostile: Hostile,
    with: Asked,
    without: Asked,
}

impl Tried {
    fn is_let_in(&self) -> bool {
        self.with.is_readable() || self.without.is_readable()
    }

    /// The request that shows most.
    fn shown(&self) -> &Asked {
        if self.with.is_readable() { &self.with } else { &self.without }
    }
}

/// How many of those that were let in are looked at for others that resemble them.
const FURTHER: usize = 8;

pub(crate) async fn check(subject: &Subject<'_>) -> Found {
    let open = subject.allowed.contains(&Allowed::Any);
    let mut list = subject.hostile();
    if open {
        // Everybody reads anonymous answers; whether those with cookies too is the question.
        list = vec![
            Hostile { likeness: Likeness::Unrelated, origin: UNKNOWN.to_owned() },
            Hostile { likeness: Likeness::Null, origin: "null".to_owned() },
        ];
    }
    if open && subject.allow.credentials {
        list.clear();
    }
    let private = private_answer(subject).await;
    let mut tried = ask(subject, list).await;
    if !open {
        // Origins that an answer names, and those that resemble one which was let in.
        let mut more = named(subject, &tried);
        let is_loose = tried.iter().any(|tried| tried.hostile.likeness == Likeness::Unrelated && tried.is_let_in());
        if !is_loose {
            let let_in = tried.iter().filter(|tried| tried.is_let_in()).take(FURTHER);
            more.extend(let_in.flat_map(|tried| further(&tried.hostile, &subject.allowed)));
        }
        let mut seen: HashSet<String> = tried.iter().map(|tried| tried.hostile.origin.clone()).collect();
        more.retain(|hostile| seen.insert(hostile.origin.clone()));
        tried.extend(ask(subject, more).await);
    }
    let mut found = judge(subject, &tried, open, private.as_deref());
    let asked = tried.iter().flat_map(|tried| [(tried, "include", &tried.with), (tried, "omit", &tried.without)]);
    let let_in = asked.filter(|(.., asked)| asked.is_readable());
    found.let_in = let_in.map(|(tried, mode, _)| (tried.hostile.origin.clone(), mode.to_owned())).collect();
    if !found.is_loose && !open {
        found.claims.extend(extensions(subject).await);
        // Where a real origin is wrongly let in, one that no browser sends is no news.
        if subject.route.role == Role::Data && !found.claims.iter().any(|claim| claim.severity == Severity::Hole) {
            found.claims.extend(never_sent(subject).await);
        }
    }
    found
}

async fn ask(subject: &Subject<'_>, list: Vec<Hostile>) -> Vec<Tried> {
    join_all(list.into_iter().map(|hostile| async {
        let with = subject.question(&hostile.origin, "include");
        let without = subject.question(&hostile.origin, "omit");
        let (with, without) = tokio::join!(subject.ask(&with), subject.ask(&without));
        Tried { hostile, with, without }
    }))
    .await
}

/// What stands on the route for whoever is logged in, where the policy says that it is for one user only.
async fn private_answer(subject: &Subject<'_>) -> Option<Vec<u8>> {
    if subject.route.private != Some(true) {
        return None;
    }
    let asked = subject.send("GET", &subject.url, &[("Cookie", subject.asker.cookie())]).await;
    asked.last().filter(|answer| (200..300).contains(&answer.status)).map(|answer| answer.body.clone())
}

/// Origins that answers name to others, and that the policy does not.
fn named(subject: &Subject<'_>, tried: &[Tried]) -> Vec<Hostile> {
    let answers = tried.iter().flat_map(|tried| [&tried.with, &tried.without]).filter_map(Asked::last);
    let named = answers.filter_map(|answer| value(answer, "access-control-allow-origin"));
    let is_new = |origin: &String| origin != "null" && is_sent(origin) && !subject.is_allowed(origin);
    named.filter(is_new).map(|origin| Hostile { likeness: Likeness::Elsewhere, origin }).collect()
}

/// Extensions ask with an origin of their own scheme, which no page has.
async fn extensions(subject: &Subject<'_>) -> Vec<Claim> {
    let asked = join_all(EXTENSIONS.map(|origin| async move {
        let headers = [("Origin", origin), ("Cookie", subject.asker.cookie())];
        (origin, subject.asker.send("GET", &subject.url, &headers).await)
    }))
    .await;
    let let_in = asked.iter().filter_map(|(origin, asked)| {
        let answer = asked.last()?;
        let names_it = value(answer, "access-control-allow-origin").as_deref() == Some(origin);
        let with_cookies = value(answer, "access-control-allow-credentials").as_deref() == Some("true");
        names_it.then_some((origin, asked, with_cookies))
    });
    let let_in: Vec<_> = let_in.collect();
    let Some((origin, shown, _)) = let_in.first() else { return Vec::new() };
    let with_cookies = let_in.iter().any(|(.., with_cookies)| *with_cookies);
    let severity = if with_cookies { Severity::Hole } else { Severity::Hygiene };
    let cookies = if with_cookies { "with the user's cookies" } else { "without cookies" };
    let said = format!("Any extension of a browser, such as {origin}, reads the answer to a request {cookies}.");
    let claim = Claim::new("extension-origin", severity, subject.path(), said, shown);
    vec![
        claim.about(let_in.iter().map(|(origin, ..)| (**origin).to_owned())).with(asked.iter().map(|(_, asked)| asked)),
    ]
}

fn judge(subject: &Subject<'_>, tried: &[Tried], open: bool, private: Option<&[u8]>) -> Found {
    let mut claims = Vec::new();
    let mut covered: Vec<Likeness> = Vec::new();
    let unrelated = tried.iter().find(|tried| tried.hostile.likeness == Likeness::Unrelated);
    let mut is_loose = false;
    if let Some(tried_one) = unrelated.filter(|tried| tried.is_let_in()) {
        let Tried { with, without, hostile } = tried_one;
        let all = tried.iter().filter(|tried| tried.is_let_in()).map(|tried| tried.hostile.origin.clone());
        let requests = tried.iter().filter(|tried| tried.is_let_in()).flat_map(|tried| [&tried.with, &tried.without]);
        if with.is_readable() {
            let fault = if without.is_readable() { "reflected-origin" } else { "reflected-with-cookie" };
            let said = format!("A page of {} reads the answer, and the user's cookies are sent.", hostile.origin);
            claims.push(Claim::new(fault, Severity::Hole, subject.path(), said, with).about(all).with(requests));
            return Found { claims, is_loose: true, let_in: HashSet::new() };
        }
        let wildcard = without.request().and_then(|answer| value(answer, "access-control-allow-origin"));
        // With credentials in the policy, * keeps the allowed pages out: that is said there.
        let said_elsewhere = subject.allow.credentials && wildcard.as_deref() == Some("*");
        if !open {
            is_loose = true;
            covered =
                tried.iter().filter(|tried| !tried.with.is_readable()).map(|tried| tried.hostile.likeness).collect();
        }
        if !open && !said_elsewhere {
            let severity = weight(subject, tried_one, private);
            let said = format!("A page of {} reads the answer to a request without cookies.", hostile.origin);
            claims.push(
                Claim::new("reflected-origin", severity, subject.path(), said, without).about(all).with(requests),
            );
        }
    }
    for tried in tried.iter().filter(|tried| tried.is_let_in()) {
        covered.extend(match tried.hostile.likeness {
            Likeness::Substring => &[
                Likeness::Suffix,
                Likeness::Prefix,
                Likeness::Subdomain,
                Likeness::Port,
                Likeness::OddCharacter,
                Likeness::TrailingDot,
                Likeness::Scheme,
            ][..],
            Likeness::Suffix => &[Likeness::Port, Likeness::OddCharacter, Likeness::TrailingDot],
            Likeness::Prefix => &[Likeness::Subdomain, Likeness::Scheme, Likeness::Dot],
            _ => &[],
        });
    }
    for tried in tried.iter().filter(|tried| tried.hostile.likeness != Likeness::Unrelated) {
        let let_in = if open { tried.with.is_readable() } else { tried.is_let_in() };
        if !let_in || covered.contains(&tried.hostile.likeness) {
            continue;
        }
        let (fault, severity) = weigh(subject, tried, private);
        let cookies = if tried.with.is_readable() { "with the user's cookies" } else { "without cookies" };
        let said = format!("A page of {} reads the answer to a request {cookies}.", tried.hostile.origin);
        claims.push(
            Claim::new(fault, severity, subject.path(), said, tried.shown())
                .about([tried.hostile.origin.clone()])
                .with([&tried.with, &tried.without]),
        );
    }
    Found { claims, is_loose, let_in: HashSet::new() }
}

/// How bad it is that a page reads this, by what it learns.
fn weight(subject: &Subject<'_>, tried: &Tried, private: Option<&[u8]>) -> Severity {
    if tried.with.is_readable() {
        return Severity::Hole;
    }
    let Some(answer) = tried.without.request() else { return Severity::Hygiene };
    // Where no cookie is needed for what is meant for one user, whoever reaches the server from the user's network reads it.
    if let Some(private) = private {
        return if answer.body == private { Severity::Hole } else { Severity::Hygiene };
    }
    // Where cookies tell users apart, an answer without them is nobody's secret; nor is what everybody may read.
    let is_for_all = value(answer, "access-control-allow-origin").as_deref() == Some("*");
    if subject.policy.is_private(subject.route) || is_for_all { Severity::Hygiene } else { Severity::Hole }
}

fn weigh(subject: &Subject<'_>, tried: &Tried, private: Option<&[u8]>) -> (&'static str, Severity) {
    let hole = weight(subject, tried, private);
    // Nobody needs to break in to be one of these: without cookies there is nothing to gain.
    let with_cookies = if tried.with.is_readable() || private.is_some() { hole } else { Severity::Hygiene };
    match tried.hostile.likeness {
        Likeness::Unrelated => ("reflected-origin", hole),
        Likeness::Null => ("null-origin", with_cookies),
        Likeness::Substring => ("substring-match", hole),
        Likeness::Suffix => ("suffix-match", hole),
        Likeness::Prefix => ("prefix-match", hole),
        Likeness::Dot => ("unescaped-dot", hole),
        Likeness::Subdomain => ("undeclared-subdomain", hole),
        Likeness::Scheme => ("scheme-downgrade", with_cookies),
        Likeness::Port => ("other-port", hole),
        Likeness::OddCharacter => ("odd-host-characters", Severity::Hygiene),
        Likeness::TrailingDot => ("trailing-dot", Severity::Note),
        Likeness::Elsewhere => ("other-routes-origin", hole),
        Likeness::Loopback => ("loopback-origin", with_cookies),
    }
}

/// Values of Origin that no browser sends: at most worth knowing.
async fn never_sent(subject: &Subject<'_>) -> Vec<Claim> {
    let Some(Allowed::Exact(origin)) = subject.allowed.iter().find(|allowed| matches!(allowed, Allowed::Exact(_)))
    else {
        return Vec::new();
    };
    let asked = join_all(impossible(origin).into_iter().map(|(how, sent)| async move {
        let asked = subject.send("GET", &subject.url, &[("Origin", &sent)]).await;
        (how, sent, asked)
    }))
    .await;
    asked
        .iter()
        .filter(|(_, sent, asked)| {
            let echoed = asked.last().and_then(|answer| value(answer, "access-control-allow-origin"));
            // Whoever sends back the right form of it has only read it generously.
            echoed.as_ref() == Some(sent)
        })
        .map(|(how, sent, asked)| {
            let said = format!("An origin {how} ({sent}) is sent back; no browser sends it.");
            Claim::new("impossible-origin", Severity::Note, subject.path(), said, asked)
        })
        .collect()
}
