//! Confirms findings: pages in a real browser ask the real server again.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crosscheck_cases::{Case, ResultKind, Suite};
use crosscheck_reports::{CaseRecord, RunRecord, Verdict};
use url::Url;

use super::ask::Asker;
use super::fault::Severity;
use super::finding::{CheckRecord, Confirmation, Replayed};
use super::policy::Policy;
use super::replay::Replay;
use super::run::{CheckError, CheckOptions, hidden, secrets};
use crate::guard::Guard;
use crate::{Agent, Engine, Expectations, RunError, RunOptions, run};

/// How many questions of a page are under way at the same time.
const LANES: usize = 8;

/// Findings cannot be confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// The engine's file does not say how a real server is reached.
    #[error("{0} cannot confirm findings: \"direct\" is missing in the description of the engine")]
    NoWay(String),
    /// The browser does not start, or is lost.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The server cannot be asked again.
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// Where a replay stands in the record: finding, and route.
type Place = (usize, usize);

/// Asks the server again for each HOLE and BREAK, from pages of the same origins in a browser, and writes into the
/// record what came of it. The pages come from fake servers; the browser asks the server itself, at its own host and
/// port. Where the browser does not do as the check says, the server is asked once more by the executable standard, to
/// tell a server that answers otherwise by now from a mistake.
///
/// # Errors
/// The browser does not start, or is lost again and again.
pub async fn confirm(
    policy: &Policy,
    record: &mut CheckRecord,
    options: CheckOptions,
    engine: &Engine,
    guard: &Guard,
) -> Result<(), ConfirmError> {
    let started = Instant::now();
    let (headers, cookie) = secrets(&policy.authenticate)?;
    let target = Url::parse(&policy.target).map_err(|_| CheckError::Secret(policy.target.clone()))?;
    let asker =
        Asker::new(target, policy.limits, cookie, options, Vec::new(), Arc::default()).map_err(CheckError::Tls)?;
    let local_is_mixed = engine.direct.as_ref().is_some_and(|direct| direct.local_is_mixed);
    let mut outcomes: HashMap<Place, (Replayed, String)> = HashMap::new();
    let mut replays: Vec<(Place, &Replay)> = Vec::new();
    for (number, finding) in record.findings.iter().enumerate().filter(|(_, finding)| is_grave(finding.severity)) {
        for (position, seen) in finding.seen.iter().enumerate() {
            let place = (number, position);
            let obstacle = match &seen.replay {
                None => Some("No page can ask this, or see what came of it.".to_owned()),
                Some(replay) => replay.obstacle(options.changes, local_is_mixed),
            };
            match (obstacle, &seen.replay) {
                (None, Some(replay)) => replays.push((place, replay)),
                (why, _) => drop(outcomes.insert(place, (Replayed::NotReplayed, why.unwrap_or_default()))),
            }
        }
    }
    let mut browser = engine.label.clone();
    if !replays.is_empty() {
        let cases = replays
            .iter()
            .enumerate()
            .map(|(number, (_, replay))| replay.case(number, asker.cookie(), exposed(policy, &replay.question.url)));
        let ran = replay(engine, guard, &replays, cases.collect()).await?;
        browser = format!("{} {}", engine.label, ran.agent.version);
        let mut results: HashMap<&str, &CaseRecord> =
            ran.results.iter().map(|result| (result.id.as_str(), result)).collect();
        for (number, (place, replay)) in replays.iter().enumerate() {
            let Some(result) = results.remove(format!("confirm/{number}").as_str()) else { continue };
            outcomes.insert(*place, judge(&asker, engine, replay, result).await);
        }
    }
    for (number, finding) in record.findings.iter_mut().enumerate() {
        let of_finding: Vec<(&str, &(Replayed, String))> = finding
            .seen
            .iter()
            .enumerate()
            .filter_map(|(position, seen)| Some((seen.route.as_str(), outcomes.get(&(number, position))?)))
            .collect();
        if let Some(outcome) = of_finding.iter().map(|(_, (outcome, _))| *outcome).max() {
            let said = together(&of_finding);
            finding.browsers.push(Confirmation { browser: browser.clone(), outcome, said });
        }
    }
    record.requests += asker.sent();
    record.duration_ms += u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    record.hide(&hidden(&headers, asker.cookie(), policy));
    Ok(())
}

/// What is to be said of each route; routes of which the same is to be said together.
fn together(of_finding: &[(&str, &(Replayed, String))]) -> String {
    let mut said: Vec<(Vec<&str>, &str)> = Vec::new();
    for (route, (_, text)) in of_finding {
        match said.iter_mut().find(|(_, known)| known == text) {
            Some((routes, _)) => routes.push(route),
            None => said.push((vec![route], text)),
        }
    }
    said.iter().map(|(routes, text)| format!("{}: {text}", routes.join(", "))).collect::<Vec<_>>().join(" ")
}

const fn is_grave(severity: Severity) -> bool {
    matches!(severity, Severity::Hole | Severity::Break)
}

/// The response headers that the policy lets pages read at a URL.
fn exposed<'p>(policy: &'p Policy, url: &Url) -> &'p [String] {
    let route = policy.routes.iter().find(|route| Url::parse(&policy.url(&route.path)).is_ok_and(|one| one == *url));
    route.map_or(&policy.allow.expose, |route| &policy.allow(route).expose)
}

/// Runs the replays in the browser.
async fn replay(
    engine: &Engine,
    guard: &Guard,
    replays: &[(Place, &Replay)],
    cases: Vec<Case>,
) -> Result<RunRecord, ConfirmError> {
    let mut servers: Vec<String> = replays.iter().flat_map(|(_, replay)| replay.servers()).cloned().collect();
    servers.sort();
    servers.dedup();
    let engine = engine.reaching(&servers).ok_or_else(|| ConfirmError::NoWay(engine.label.clone()))?;
    let suite = Suite { cases, ..Suite::default() };
    let expectations = Expectations::of_stated_headers_alone();
    let options = RunOptions {
        agent: Agent::Browser { engine: &engine, webdriver: None, guard },
        suite: &suite,
        cases: suite.cases.iter().collect(),
        filter: String::new(),
        expectations: &expectations,
        controls: false,
        repeat: 1,
        lanes: LANES,
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        finished: Vec::new(),
    };
    Ok(run(options, &mut |_| Ok(())).await?)
}

/// What a replay shows.
async fn judge(asker: &Asker, engine: &Engine, replay: &Replay, result: &CaseRecord) -> (Replayed, String) {
    let Some(observed) = &result.observed.unpack() else {
        let why = result.note.as_deref().unwrap_or("the browser gave no result");
        return (Replayed::NotReplayed, format!("{why}."));
    };
    let said = replay.said(&result.case.then, observed);
    match result.verdict {
        Verdict::Pass => return (Replayed::Confirmed, said),
        Verdict::Flaky => {
            return (Replayed::Confirmed, format!("{said} (In one of two attempts.)"));
        }
        _ => {}
    }
    let is_first_step = |at: &str| result.case.when.len() > 1 && at.starts_with("page[0]");
    if !result.differences.is_empty() && result.differences.iter().all(|one| is_first_step(&one.at)) {
        return (Replayed::NotReplayed, "The browser does not take the cookie.".to_owned());
    }
    let is_read = observed.page.last().is_some_and(|last| last.result == ResultKind::Response);
    if let Some(cause) = replay.known(engine).filter(|_| is_read) {
        return (Replayed::KnownDeviation, format!("{said} The browser is known not to keep this rule: {cause}"));
    }
    let differences: Vec<String> = result
        .differences
        .iter()
        .map(|one| format!("{}: {}, and not {}", one.at, one.observed, one.expected))
        .collect();
    let again = asker.ask(&replay.question).await;
    if replay.is_like(&again) {
        let said = format!(
            "{said} By the executable standard it should not be so ({}). Asked again, the server answers as before: \
             either it treats browsers otherwise than this check, or this is a fault of Crosscheck or of the browser.",
            differences.join("; ")
        );
        return (Replayed::Disagreement, said);
    }
    let conclusion = again.diagnosis.map(|diagnosis| diagnosis.conclusion).unwrap_or_default();
    (Replayed::Refuted, format!("{said} The server answers otherwise by now: {conclusion}"))
}
