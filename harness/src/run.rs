use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crosscheck_cases::{Case, Controls, Suite};
use crosscheck_reports::{AgentRecord, CaseRecord, FORMAT, RunRecord, SuiteRecord, Summary};
use crosscheck_servers::{Stage, StageError};

use crate::attempts::merge;
use crate::browser::Browser;
use crate::control::Plan;
use crate::guard::Guard;
use crate::network::start_stage;
use crate::reference::Reference;
use crate::transport::TlsSetupError;
use crate::{Engine, Expectations, JournalError, RunEvent, SessionError};

/// What to run, and how.
#[derive(Debug)]
pub struct RunOptions<'r> {
    /// Who is under test.
    pub agent: Agent<'r>,
    /// The whole suite.
    pub suite: &'r Suite,
    /// The cases to run.
    pub cases: Vec<&'r Case>,
    /// The filter that chose them, for the record.
    pub filter: String,
    /// Known deviations.
    pub expectations: &'r Expectations,
    /// Whether the controls of passing cases are run. They ask servers of the suite, and never those of others.
    pub controls: bool,
    /// How many times every case is run.
    pub repeat: u32,
    /// How many cases run at the same time: those of one document in a browser, all of the reference agent.
    pub lanes: usize,
    /// The address of the fake servers: 127.0.0.1 with port 0 for a free one.
    pub bind: SocketAddr,
    /// Results of an earlier part of this run; their cases are not run again.
    pub finished: Vec<CaseRecord>,
}

/// Who is under test.
#[derive(Clone, Debug)]
pub enum Agent<'r> {
    /// A browser.
    Browser {
        /// Which.
        engine: &'r Engine,
        /// A WebDriver that runs already, in place of one that is started.
        webdriver: Option<String>,
        /// What cleans up after the browser.
        guard: &'r Guard,
    },
    /// The executable standard itself, which sends real requests.
    Reference {
        /// The id of a requirement that it shall not keep: a deliberately wrong agent.
        broken: Option<String>,
    },
}

/// A run could not be made, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The fake servers do not start.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The browser does not start, or is lost again and again.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The harness' own HTTP client cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// Results cannot be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The run was interrupted.
    #[error("interrupted; what was finished is in the journal, and --resume goes on from there")]
    Interrupted,
}

/// Runs cases. `listen` gets every event as it happens and may end the run with an error.
///
/// # Errors
/// The environment fails: no browser, no port, no disk.
pub async fn run(
    options: RunOptions<'_>,
    listen: &mut dyn FnMut(&RunEvent) -> Result<(), RunError>,
) -> Result<RunRecord, RunError> {
    let stage = start_stage(options.bind).await?;
    let outcome = match &options.agent {
        Agent::Browser { engine, webdriver, guard } => {
            match Browser::start(&options, engine, webdriver.as_deref(), guard, &stage).await {
                Ok(mut browser) => {
                    let outcome = run_rounds(&options, Runner::Browser(&mut browser), &stage, listen).await;
                    browser.stop().await;
                    outcome
                }
                Err(error) => Err(error),
            }
        }
        Agent::Reference { broken } => match Reference::new(&options, &stage, broken.clone()) {
            Ok(reference) => run_rounds(&options, Runner::Reference(&reference), &stage, listen).await,
            Err(error) => Err(error.into()),
        },
    };
    stage.stop().await;
    outcome
}

/// An agent at work.
enum Runner<'a, 'r> {
    Browser(&'a mut Browser<'r>),
    Reference(&'a Reference<'r>),
}

impl Runner<'_, '_> {
    /// Runs controls once, with more time than cases have.
    async fn controls(&mut self, cases: &[&Case], ran: &mut HashMap<String, CaseRecord>) -> Result<(), RunError> {
        let mut finish = |record: CaseRecord| {
            ran.insert(record.id.clone(), record);
            Ok(())
        };
        match self {
            Self::Browser(browser) => browser.controls(cases, &mut finish).await,
            Self::Reference(reference) => reference.controls(cases, &mut finish).await,
        }
    }
}

async fn run_rounds<'r>(
    options: &'r RunOptions<'r>,
    mut runner: Runner<'_, 'r>,
    stage: &Stage,
    listen: &mut dyn FnMut(&RunEvent) -> Result<(), RunError>,
) -> Result<RunRecord, RunError> {
    let done: HashMap<&str, &CaseRecord> = options.finished.iter().map(|record| (record.id.as_str(), record)).collect();
    let cases: Vec<&Case> = options.cases.iter().copied().filter(|case| !done.contains_key(case.id.as_str())).collect();
    let agent = match &runner {
        Runner::Browser(browser) => browser.agent(),
        Runner::Reference(reference) => reference.agent(),
    };
    let rounds = options.repeat.max(1);
    listen(&RunEvent::Started { agent, cases: cases.len(), rounds })?;
    let started = std::time::SystemTime::now();
    let clock = Instant::now();
    let requests_before = stage.requests();
    let records = options.finished.iter().map(|record| (record.id.clone(), record.clone())).collect();
    let mut results = Results { records, last: false, listen };
    for round in 1..=rounds {
        results.last = round == rounds;
        (results.listen)(&RunEvent::Round(round))?;
        match &mut runner {
            Runner::Browser(browser) => {
                if round > 1 {
                    browser.stop().await;
                }
                browser.round(&cases, &mut results).await?;
            }
            Runner::Reference(reference) => reference.round(&cases, &mut results).await?,
        }
    }
    if options.controls {
        run_controls(options, &mut runner, &mut results).await?;
    }
    let duration_ms = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    let requests = stage.requests() - requests_before;
    let agent = match &runner {
        Runner::Browser(browser) => browser.agent(),
        Runner::Reference(reference) => reference.agent(),
    };
    Ok(record(options, agent, results.records, started, requests, duration_ms))
}

/// Runs the controls that passing cases need and that have not run as cases, and writes what they came to into the records.
async fn run_controls(
    options: &RunOptions<'_>,
    runner: &mut Runner<'_, '_>,
    results: &mut Results<'_>,
) -> Result<(), RunError> {
    let controls = Controls::of(options.suite);
    let plan = Plan::of(&controls, options.cases.iter().copied(), &results.records);
    let to_run = plan.to_run(&results.records);
    let mut ran = HashMap::new();
    if !to_run.is_empty() {
        (results.listen)(&RunEvent::Controls(to_run.len()))?;
        runner.controls(&to_run.iter().map(Arc::as_ref).collect::<Vec<_>>(), &mut ran).await?;
        // What nothing came of may have been late.
        let again = plan.missing(&ran);
        runner.controls(&again.iter().map(Arc::as_ref).collect::<Vec<_>>(), &mut ran).await?;
    }
    plan.judge(&mut results.records, &ran);
    Ok(())
}

fn record(
    options: &RunOptions<'_>,
    agent: AgentRecord,
    mut records: HashMap<String, CaseRecord>,
    started: std::time::SystemTime,
    requests: u64,
    duration_ms: u64,
) -> RunRecord {
    let results: Vec<CaseRecord> = options.cases.iter().filter_map(|case| records.remove(&case.id)).collect();
    let summary = Summary::count(&results, requests, duration_ms);
    let headers = options.expectations.header_causes(&results);
    // A part of the suite says nothing about entries for the rest.
    let is_whole = results.len() == options.suite.cases.len();
    let warnings = headers
        .iter()
        .filter(|cause| is_whole && cause.cases == 0)
        .map(|cause| {
            let path = options.expectations.path().display();
            format!("{path}: the entry for the header {} explains nothing ({}): take it out", cause.header, cause.cause)
        })
        .collect();
    RunRecord {
        format: FORMAT,
        suite: SuiteRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            filter: options.filter.clone(),
            cases: options.suite.cases.len(),
            topics: options.suite.topics.iter().cloned().collect(),
        },
        agent,
        started: timestamp(started),
        duration_ms,
        headers,
        results,
        summary,
        warnings,
    }
}

/// The results of a run as they come.
pub(crate) struct Results<'l> {
    records: HashMap<String, CaseRecord>,
    /// Whether it is the last round: its results are final.
    last: bool,
    listen: &'l mut dyn FnMut(&RunEvent) -> Result<(), RunError>,
}

impl Results<'_> {
    /// Takes in what came of a case in a round.
    pub(crate) fn finish(&mut self, record: CaseRecord) -> Result<(), RunError> {
        let record = match self.records.remove(&record.id) {
            Some(earlier) => merge(earlier, record),
            None => record,
        };
        let event = if self.last { RunEvent::Finished(record.clone()) } else { RunEvent::Ran(record.verdict) };
        (self.listen)(&event)?;
        self.records.insert(record.id.clone(), record);
        Ok(())
    }
}

fn timestamp(at: std::time::SystemTime) -> String {
    time::OffsetDateTime::from(at)
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_else(|error| error.to_string())
}
