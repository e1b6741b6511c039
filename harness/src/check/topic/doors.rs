//! Doors beside CORS: WebSockets, JSONP, embedding, frames, and the server's own pages.

use futures_util::future::join_all;
use url::Url;

use super::{Subject, names, value};
use crate::check::ask::Asked;
use crate::check::claim::Claim;
use crate::check::fault::Severity;
use crate::check::origins::{Allowed, UNKNOWN};
use crate::check::policy::{Embed, Role};
use crate::check::replay::Replay;
use crate::explain::Verdict;
use crate::explain::question::Question;

/// The name of the callback that is asked for.
const CALLBACK: &str = "crosscheckCallback";

/// WebSocket endpoints.
pub(crate) async fn websocket(subject: &Subject<'_>) -> Vec<Claim> {
    let mut url = subject.url.clone();
    // http and https can be exchanged for these.
    let _ = url.set_scheme(if url.scheme() == "https" { "wss" } else { "ws" });
    let question =
        |page: &str| Question { url: url.clone(), mode: "websocket".to_owned(), ..subject.question(page, "include") };
    let samples = subject.samples();
    let allowed =
        join_all(samples.iter().map(|page| async { (page.clone(), subject.asker.ask(&question(page)).await) })).await;
    let others = if subject.allowed.contains(&Allowed::Any) { Vec::new() } else { subject.hostile() };
    let others = join_all(
        others
            .iter()
            .map(|hostile| async { (hostile.origin.clone(), subject.asker.ask(&question(&hostile.origin)).await) }),
    )
    .await;
    let mut claims = Vec::new();
    for (page, asked) in &allowed {
        if !asked.is_readable() {
            let said = format!("A page of {page} cannot open the WebSocket.");
            claims.push(
                Claim::new("websocket-refused", Severity::Break, subject.path(), said, asked).about([page.clone()]),
            );
        }
    }
    let open: Vec<&(String, Asked)> = others.iter().filter(|(_, asked)| asked.is_readable()).collect();
    if let Some((page, shown)) = open.first() {
        let said = format!("A page of {page} opens the WebSocket, and the user's cookies are sent.");
        claims.push(
            Claim::new("websocket-origin", Severity::Hole, subject.path(), said, shown)
                .about(open.iter().map(|(page, _)| page.clone()))
                .with(open.iter().skip(1).map(|(_, asked)| asked)),
        );
    }
    claims
}

/// All other doors of a route.
pub(crate) async fn check(subject: &Subject<'_>) -> Vec<Claim> {
    let mut claims = Vec::new();
    if subject.route.role == Role::Data {
        claims.extend(jsonp(subject).await);
        claims.extend(own_origin(subject).await);
    }
    if let Some(embed) = subject.route.embed {
        claims.extend(embedding(subject, embed).await);
    }
    if let Some(frame) = subject.route.frame {
        claims.extend(framing(subject, frame).await);
    }
    claims
}

async fn jsonp(subject: &Subject<'_>) -> Option<Claim> {
    let name = subject.route.jsonp.as_deref().unwrap_or("callback");
    let mut url = subject.url.clone();
    url.query_pairs_mut().append_pair(name, CALLBACK);
    let question = Question { url, mode: "no-cors".to_owned(), ..subject.question(UNKNOWN, "include") };
    let asked = subject.asker.ask(&question).await;
    let answer = asked.request().filter(|answer| answer.status < 300 && asked.verdict() == Some(Verdict::Opaque))?;
    let body = String::from_utf8_lossy(&answer.body);
    let body = body.trim_start();
    let begins = [CALLBACK, "/**/", ";", "typeof", "try", "window."].iter().any(|start| body.starts_with(start));
    let kind = value(answer, "content-type").unwrap_or_default().to_ascii_lowercase();
    let nosniff = names(answer, "x-content-type-options").first().is_some_and(|first| first == "nosniff");
    let is_script = kind.contains("javascript") || kind.contains("ecmascript");
    // Other types run too, unless nosniff forbids it; of text/html nobody means that.
    let runs = is_script || (!nosniff && !kind.contains("html"));
    if !begins || !body.contains(&format!("{CALLBACK}(")) || !runs {
        return None;
    }
    let severity = if subject.policy.is_private(subject.route) { Severity::Hole } else { Severity::Note };
    let said = format!("With ?{name}={CALLBACK} the answer is a script that hands the data to any page.");
    let replay = Replay::of(&asked).map(|replay| replay.calling(CALLBACK));
    Some(Claim::new("jsonp", severity, subject.path(), said, &asked).replayed_as(replay))
}

/// Same-origin requests other than GET and HEAD carry Origin, and must not be refused for it. A GET stands in for them.
async fn own_origin(subject: &Subject<'_>) -> Option<Claim> {
    let own = Url::parse(&subject.policy.target).ok()?.origin().ascii_serialization();
    if subject.is_allowed(&own) {
        return None;
    }
    let plain = subject.send("GET", &subject.url, &[]).await;
    let with = subject.send("GET", &subject.url, &[("Origin", &own)]).await;
    let (before, after) = (plain.last()?.status, with.last()?.status);
    if before >= 400 || !matches!(after, 400 | 401 | 403 | 500) {
        return None;
    }
    let said = format!("With Origin: {own}, as same-origin POST requests have it, status {before} becomes {after}.");
    Some(Claim::new("own-origin-refused", Severity::Break, subject.path(), said, &with).with([&plain]))
}

async fn embedding(subject: &Subject<'_>, embed: Embed) -> Option<Claim> {
    let question = Question {
        mode: "no-cors".to_owned(),
        require_corp: embed == Embed::Anyone,
        ..subject.question(UNKNOWN, if embed == Embed::Anyone { "omit" } else { "include" })
    };
    let asked = subject.asker.ask(&question).await;
    let by_corp = matches!(asked.reason(), Some("corp" | "corp-required"));
    match embed {
        Embed::Anyone if by_corp => {
            let said = format!("A page of {UNKNOWN} with Cross-Origin-Embedder-Policy: require-corp cannot embed it.");
            Some(Claim::new("corp", Severity::Break, subject.path(), said, &asked))
        }
        Embed::SameSite | Embed::SameOrigin | Embed::Nobody if asked.verdict() == Some(Verdict::Opaque) => {
            let said = format!("A page of {UNKNOWN} can embed it.");
            Some(Claim::new("corp-missing", Severity::Hygiene, subject.path(), said, &asked))
        }
        _ => None,
    }
}

/// X-Frame-Options and frame-ancestors. (HTML, *check a navigation response's adherence*; CSP, *frame-ancestors*)
async fn framing(subject: &Subject<'_>, frame: Embed) -> Option<Claim> {
    let asked = subject.send("GET", &subject.url, &[]).await;
    let answer = asked.last().filter(|answer| answer.status < 300)?;
    let ancestors = value(answer, "content-security-policy").and_then(|policy| {
        let directives: Vec<String> = policy.split([';', ',']).map(|one| one.trim().to_ascii_lowercase()).collect();
        directives.into_iter().find_map(|one| one.strip_prefix("frame-ancestors").map(|list| list.trim().to_owned()))
    });
    let restricted = match &ancestors {
        Some(list) => !list.split_whitespace().any(|source| source == "*"),
        None => names(answer, "x-frame-options").iter().any(|one| one == "deny" || one == "sameorigin"),
    };
    match frame {
        Embed::Anyone if restricted => {
            let said = "Other sites cannot show it in a frame, though the policy lets them.";
            Some(Claim::new("framing", Severity::Break, subject.path(), said, &asked))
        }
        Embed::SameSite | Embed::SameOrigin | Embed::Nobody if !restricted => {
            let said = "Every site can show it in a frame.";
            Some(Claim::new("framing", Severity::Hygiene, subject.path(), said, &asked))
        }
        _ => None,
    }
}
