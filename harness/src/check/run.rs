//! A check from its beginning to its end.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::join_all;
use url::Url;

use super::ask::{Asker, Tally};
use super::claim::Claim;
use super::finding::{Access, CheckRecord, Finding, Ignored, group};
use super::origins::Allowed;
use super::policy::{Authenticate, Policy, Role, Route};
use super::topic::{Subject, allowed, caches, doors, hostile, preflights, steady};
use crate::explain::question::literal_space;
use crate::transport::{TlsSetupError, Transport, Trouble, Trust};
use crosscheck_cases::standard::{AddressSpace, Message};

/// How a server is checked.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// Whether requests are sent that may change something (other methods than GET, HEAD and OPTIONS).
    pub changes: bool,
    /// Whether preflights with very long lists are sent, to measure what they cost.
    pub cost: bool,
    /// Which certificates are taken.
    pub trust: Trust,
}

/// A server cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It does not answer.
    #[error("{target} cannot be asked: {trouble}{hint}")]
    Unanswered {
        /// The server.
        target: String,
        /// Why.
        trouble: Trouble,
        /// What may help.
        hint: String,
    },
    /// It stopped to answer.
    #[error("{target} stopped to answer after {requests} requests: {trouble}")]
    Gone {
        /// The server.
        target: String,
        /// How many requests were sent.
        requests: u32,
        /// What happened last.
        trouble: String,
    },
    /// The limits were reached.
    #[error(
        "the check of {target} was ended by its limits after {requests} requests and {seconds} seconds: raise \"limits\" in the policy, or name fewer routes"
    )]
    Limits {
        /// The server.
        target: String,
        /// How many requests were sent.
        requests: u32,
        /// How long it took.
        seconds: u64,
    },
    /// A secret is not in the environment.
    #[error("the policy authenticates with the environment variable {0}, which is not set")]
    Secret(String),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

/// Whether a target is this machine.
#[must_use]
pub fn is_local(target: &Url) -> bool {
    literal_space(target) == Some(AddressSpace::Loopback)
}

/// Checks a server. `name` is that of the policy file; `requests` is how many were sent so far, for whoever waits.
///
/// # Errors
/// The server cannot be asked, or not to the end.
pub async fn check(
    policy: &Policy,
    name: &str,
    options: CheckOptions,
    requests: &Arc<AtomicU32>,
) -> Result<CheckRecord, CheckError> {
    let started = Instant::now();
    let (secrets, cookie) = secrets(&policy.authenticate)?;
    let Some(target) = Url::parse(&policy.target).ok() else {
        // The lint has refused this.
        return Err(CheckError::Secret(policy.target.clone()));
    };
    let errors = policy.routes.iter().filter(|route| route.role == Role::Error);
    let errors = errors.filter_map(|route| Url::parse(&policy.url(&route.path)).ok()).collect();
    let asker = Asker::new(target, policy.limits, cookie, options, errors, Arc::clone(requests))?;
    let urls = policy.routes.iter().filter_map(|route| Some((route, Url::parse(&policy.url(&route.path)).ok()?)));
    let urls: Vec<(&Route, Url)> = urls.collect();
    if let Some((_, url)) = urls.iter().find(|(route, _)| route.role != Role::Websocket).or(urls.first())
        && let Err(trouble) = asker.reach(url).await
    {
        let hint = hint(&trouble, url, options.trust).await;
        return Err(CheckError::Unanswered { target: policy.target.clone(), trouble, hint });
    }
    let access = Mutex::default();
    let everywhere = everywhere(policy);
    let claims = join_all(urls.into_iter().map(|(route, url)| {
        let allow = policy.allow(route);
        let allowed: Vec<Allowed> = allow.origins.iter().filter_map(|origin| Allowed::parse(origin)).collect();
        let is_foreign = |origin: &&String| !allowed.iter().any(|allowed| allowed.matches(origin));
        let elsewhere = everywhere.iter().filter(is_foreign).cloned().collect();
        let (secrets, asker, access) = (&secrets, &asker, &access);
        let subject = Subject { policy, route, allow, allowed, elsewhere, url, secrets, asker, access };
        async move { route_claims(&subject, options.cost).await }
    }))
    .await;
    let requests = asker.sent();
    if let Some(trouble) = asker.gone() {
        return Err(CheckError::Gone { target: policy.target.clone(), requests, trouble });
    }
    if asker.is_spent() {
        let seconds = started.elapsed().as_secs();
        return Err(CheckError::Limits { target: policy.target.clone(), requests, seconds });
    }
    let tally = asker.tally();
    let (findings, ignored) = accept(group(without_consequences(claims.concat(), policy)), policy);
    let mut access: Vec<Access> = access.into_inner().unwrap_or_else(PoisonError::into_inner);
    access.sort();
    access.dedup();
    let duration_ms = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    let mut record = CheckRecord {
        format: 1,
        target: policy.target.clone(),
        policy: name.to_owned(),
        requests,
        duration_ms,
        unanswered: tally.values().map(|tally| tally.unanswered).sum(),
        answered_late: tally.values().map(|tally| tally.late).sum(),
        not_judged: not_judged(&tally),
        findings,
        ignored,
        access,
    };
    record.hide(&hidden(&secrets, asker.cookie(), policy));
    Ok(record)
}

/// The values that came from the environment.
pub(crate) fn hidden(headers: &[(String, String)], cookie: &str, policy: &Policy) -> Vec<String> {
    let cookie = policy.authenticate.cookie.is_some().then(|| cookie.to_owned());
    headers.iter().map(|(_, value)| value.clone()).chain(cookie).collect()
}

/// Why the answers say too little, where they do: more than one in twenty requests stayed without an answer, or all of a
/// path.
fn not_judged(tally: &BTreeMap<String, Tally>) -> Option<String> {
    if let Some((path, tally)) =
        tally.iter().find(|(_, tally)| tally.requests > 0 && tally.unanswered == tally.requests)
    {
        return Some(format!("none of {} requests for {path} was answered", tally.requests));
    }
    let requests: u32 = tally.values().map(|tally| tally.requests).sum();
    let unanswered: u32 = tally.values().map(|tally| tally.unanswered).sum();
    (unanswered * 20 > requests).then(|| format!("{unanswered} of {requests} requests were not answered"))
}

/// One origin of each entry of any route's list.
fn everywhere(policy: &Policy) -> Vec<String> {
    let lists = policy.routes.iter().map(|route| policy.allow(route)).chain([&policy.allow]);
    let entries = lists.flat_map(|allow| &allow.origins).filter_map(|origin| Allowed::parse(origin));
    let mut origins: Vec<String> = entries
        .filter(|allowed| *allowed != Allowed::Any)
        .filter_map(|allowed| allowed.samples().into_iter().next())
        .collect();
    origins.sort();
    origins.dedup();
    origins
}

async fn route_claims(subject: &Subject<'_>, cost: bool) -> Vec<Claim> {
    match subject.route.role {
        Role::Websocket => doors::websocket(subject).await,
        Role::Asset => doors::check(subject).await,
        Role::Data | Role::Error | Role::Redirect => {
            // First, while no cache has seen anything.
            let mut claims = caches::check(subject).await;
            let (hostile, allowed, doors) =
                tokio::join!(hostile::check(subject), allowed::check(subject), doors::check(subject));
            claims.extend(hostile.claims.iter().cloned());
            claims.extend(allowed);
            claims.extend(doors);
            claims.extend(preflights::check(subject, &hostile, cost).await);
            claims.extend(steady::check(subject).await);
            claims
        }
    }
}

/// Leaves out what only follows from something else: where an origin is refused on another route, and this one does let others
/// in, it is refused here too, and nothing is wrong with the headers of errors and redirects.
fn without_consequences(claims: Vec<Claim>, policy: &Policy) -> Vec<Claim> {
    let causes = ["allowed-origin-refused", "default-port"];
    let consequences = ["bare-errors", "redirect-bare"];
    let of = |faults: &'static [&'static str]| -> HashSet<(String, String)> {
        let claims = claims.iter().filter(|claim| faults.contains(&claim.fault));
        claims.flat_map(|claim| claim.origins.iter().map(|origin| (claim.route.clone(), origin.clone()))).collect()
    };
    let refused: HashSet<String> =
        claims.iter().filter(|claim| causes.contains(&claim.fault)).flat_map(|claim| claim.origins.clone()).collect();
    let bare = of(&["bare-errors", "redirect-bare"]);
    // Whether some page that the policy lets in on this route gets CORS headers there.
    let lets_others_in = |route: &str| {
        let allow = policy.routes.iter().find(|one| one.path == route).map(|one| policy.allow(one));
        let entries = allow.into_iter().flat_map(|allow| &allow.origins).filter_map(|origin| Allowed::parse(origin));
        entries.flat_map(|allowed| allowed.samples()).any(|origin| !bare.contains(&(route.to_owned(), origin)))
    };
    let has_default_port = |route: &str| of(&["default-port"]).iter().any(|(on, _)| on == route);
    let follows = |claim: &Claim| match claim.fault {
        fault if consequences.contains(&fault) => {
            claim.origins.iter().all(|origin| refused.contains(origin)) && lets_others_in(&claim.route)
        }
        "impossible-origin" => has_default_port(&claim.route),
        _ => false,
    };
    let follows: Vec<bool> = claims.iter().map(follows).collect();
    claims.into_iter().zip(follows).filter(|(_, follows)| !follows).map(|(claim, _)| claim).collect()
}

/// What the environment holds: headers, and a cookie.
#[expect(clippy::type_complexity, reason = "two values that are used at once")]
pub(crate) fn secrets(authenticate: &Authenticate) -> Result<(Vec<(String, String)>, Option<String>), CheckError> {
    let read = |variable: &String| std::env::var(variable).map_err(|_| CheckError::Secret(variable.clone()));
    let headers = authenticate
        .headers
        .iter()
        .map(|(name, variable)| Ok((name.clone(), read(variable)?)))
        .collect::<Result<_, CheckError>>()?;
    Ok((headers, authenticate.cookie.as_ref().map(read).transpose()?))
}

/// Parts findings from those that the policy accepts.
fn accept(findings: Vec<Finding>, policy: &Policy) -> (Vec<Finding>, Vec<Ignored>) {
    let (mut left, mut ignored) = (Vec::new(), Vec::new());
    for mut finding in findings {
        for ignore in policy.ignore.iter().filter(|ignore| ignore.finding == finding.id) {
            let matches = |seen: &super::Seen| ignore.route.as_ref().is_none_or(|route| *route == seen.route);
            let (accepted, rest): (Vec<_>, Vec<_>) = finding.seen.drain(..).partition(matches);
            finding.seen = rest;
            if !accepted.is_empty() {
                let finding = Finding { seen: accepted, ..finding.clone() };
                ignored.push(Ignored { finding, reason: ignore.reason.clone() });
            }
        }
        if !finding.seen.is_empty() {
            left.push(finding);
        }
    }
    (left, ignored)
}

/// Whether the other scheme would do.
async fn hint(trouble: &Trouble, url: &Url, trust: Trust) -> String {
    let other = match (url.scheme(), trouble) {
        ("http", Trouble::Broken { .. } | Trouble::Malformed { .. }) => "https",
        ("https", Trouble::Tls { source, .. }) => {
            if trust == Trust::Roots && source.to_string().contains("certificate") {
                return "; --insecure takes any certificate".to_owned();
            }
            "http"
        }
        ("http", Trouble::Unconnected { .. }) => {
            return "; is it running? \"start\" in the policy can start it".to_owned();
        }
        _ => return String::new(),
    };
    let mut changed = url.clone();
    if changed.set_scheme(other).is_err() {
        return String::new();
    }
    let Ok(transport) = Transport::to_network(Trust::Anything) else { return String::new() };
    let message = Message::plain("GET", &changed, &[]);
    match transport.exchanges().exchange(&message, std::time::Duration::from_secs(3)).await {
        Ok(_) => format!("; it speaks {other}: write {other}:// in the policy"),
        Err(_) => String::new(),
    }
}
