//! Origins that the policy does not name: is one of them let in?

use futures_util::future::join_all;

use super::{Subject, value};
use crate::check::ask::Asked;
use crate::check::claim::Claim;
use crate::check::fault::Severity;
use crate::check::origins::{Allowed, Hostile, Likeness, hostile, impossible};
use crate::check::policy::Role;

/// What came of it.
pub(crate) struct Found {
    pub(crate) claims: Vec<Claim>,
    /// Whether every origin is let in.
    pub(crate) is_loose: bool,
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

pub(crate) async fn check(subject: &Subject<'_>) -> Found {
    let open = subject.allowed.contains(&Allowed::Any);
    let mut list = if open {
        // Everybody reads anonymous answers; whether those with cookies too is the question.
        hostile(&[])
    } else {
        hostile(&subject.allowed)
    };
    if open || subject.route.role != Role::Data {
        list.retain(|hostile| matches!(hostile.likeness, Likeness::Unrelated | Likeness::Null));
    }
    if open && subject.allow.credentials {
        list.clear();
    }
    let tried = join_all(list.into_iter().map(|hostile| async {
        let with = subject.question(&hostile.origin, "include");
        let without = subject.question(&hostile.origin, "omit");
        let (with, without) = tokio::join!(subject.ask(&with), subject.ask(&without));
        Tried { hostile, with, without }
    }))
    .await;
    let mut found = judge(subject, &tried, open);
    if !found.is_loose && !open && subject.route.role == Role::Data {
        let swallows = ["suffix-match", "substring-match"];
        if !found.claims.iter().any(|claim| swallows.contains(&claim.fault)) {
            found.claims.extend(never_sent(subject).await);
        }
    }
    found
}

fn judge(subject: &Subject<'_>, tried: &[Tried], open: bool) -> Found {
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
            return Found { claims, is_loose: true };
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
            let severity = if subject.policy.is_private(subject.route) { Severity::Hygiene } else { Severity::Hole };
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
        let (fault, severity) = weigh(subject, tried);
        let cookies = if tried.with.is_readable() { "with the user's cookies" } else { "without cookies" };
        let said = format!("A page of {} reads the answer to a request {cookies}.", tried.hostile.origin);
        claims.push(
            Claim::new(fault, severity, subject.path(), said, tried.shown())
                .about([tried.hostile.origin.clone()])
                .with([&tried.with, &tried.without]),
        );
    }
    Found { claims, is_loose }
}

fn weigh(subject: &Subject<'_>, tried: &Tried) -> (&'static str, Severity) {
    let with = tried.with.is_readable();
    // Where cookies tell users apart, an answer without them is nobody's secret.
    let hole = if with || !subject.policy.is_private(subject.route) { Severity::Hole } else { Severity::Hygiene };
    let with_cookies = if with { Severity::Hole } else { Severity::Hygiene };
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
