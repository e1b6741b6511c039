use std::collections::HashMap;
use std::time::Instant;

use crosscheck_cases::{Case, DocumentKind, Level, Probe, Reason, Suite};
use crosscheck_reports::{AgentRecord, CaseRecord, FORMAT, RunRecord, SuiteRecord, Summary, Verdict};
use crosscheck_servers::{Exchange, Stage, StageConfig, StageError, Token};

use crate::attempt::{Attempt, Setting, Settled, attempt};
use crate::guard::Guard;
use crate::judge::{Judgement, combine, judge};
use crate::session::{Session, Source};
use crate::{Engine, Expectations, JournalError, ReasonSource, RunEvent, SessionError, client, observe};

/// How many sessions in a row may be lost before the environment counts as broken.
const LOST_SESSIONS: usize = 3;
/// How many times a case is tried that comes to no result at all.
const ATTEMPTS: u32 = 3;

/// What to run, and how.
#[derive(Debug)]
pub struct RunOptions<'r> {
    /// The browser.
    pub engine: &'r Engine,
    /// A WebDriver that runs already, in place of one that is started.
    pub webdriver: Option<String>,
    /// The whole suite.
    pub suite: &'r Suite,
    /// The cases to run.
    pub cases: Vec<&'r Case>,
    /// The filter that chose them, for the record.
    pub filter: String,
    /// Known deviations.
    pub expectations: &'r Expectations,
    /// How many times every case is run.
    pub repeat: u32,
    /// How many cases of one document run at the same time.
    pub lanes: usize,
    /// The address of the fake servers: 127.0.0.1 with port 0 for a free one.
    pub bind: std::net::SocketAddr,
    /// Results of an earlier part of this run; their cases are not run again.
    pub finished: Vec<CaseRecord>,
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
    /// Results cannot be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The run was interrupted.
    #[error("interrupted; what was finished is in the journal, and --resume goes on from there")]
    Interrupted,
}

/// Runs cases in a browser. `listen` gets every event as it happens and may end the run with an error.
///
/// # Errors
/// The environment fails: no browser, no port, no disk.
pub async fn run(
    options: RunOptions<'_>,
    guard: &Guard,
    listen: &mut dyn FnMut(&RunEvent) -> Result<(), RunError>,
) -> Result<RunRecord, RunError> {
    let source = Source::find(options.engine, options.webdriver.as_deref())?;
    let mut engine = options.engine.clone();
    engine.reasons.partial =
        options.webdriver.is_some() && engine.reasons.sources.contains(&ReasonSource::BrowserOutput);
    let options = RunOptions { engine: &engine, ..options };
    let stage = Stage::start(StageConfig { bind: vec![options.bind], ..StageConfig::default() }).await?;
    let mut runner =
        Runner { options: &options, guard, source, stage, session: None, agent: AgentRecord::default(), lost: 0 };
    let outcome = runner.run(listen).await;
    if let Some(session) = runner.session.take() {
        session.stop().await;
    }
    runner.stage.stop().await;
    outcome
}

struct Runner<'r> {
    options: &'r RunOptions<'r>,
    guard: &'r Guard,
    source: Source,
    stage: Stage,
    session: Option<Session>,
    agent: AgentRecord,
    /// Sessions lost in a row without a result in between.
    lost: usize,
}

impl<'r> Runner<'r> {
    async fn run(&mut self, listen: &mut dyn FnMut(&RunEvent) -> Result<(), RunError>) -> Result<RunRecord, RunError> {
        self.session().await?;
        let done: HashMap<&str, &CaseRecord> =
            self.options.finished.iter().map(|record| (record.id.as_str(), record)).collect();
        let cases: Vec<&'r Case> =
            self.options.cases.iter().copied().filter(|case| !done.contains_key(case.id.as_str())).collect();
        listen(&RunEvent::Started { agent: self.agent.clone(), cases: cases.len() })?;
        let started = std::time::SystemTime::now();
        let clock = Instant::now();
        let requests_before = self.stage.requests();
        let mut records: HashMap<String, CaseRecord> =
            self.options.finished.iter().map(|record| (record.id.clone(), record.clone())).collect();
        for round in 0..self.options.repeat.max(1) {
            let last = round + 1 >= self.options.repeat.max(1);
            // Each round has a browser of its own: nothing that the one before left in a cache can change it.
            if round > 0
                && let Some(session) = self.session.take()
            {
                session.stop().await;
            }
            self.round(&cases, last, &mut records, listen).await?;
        }
        let duration_ms = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        let requests = self.stage.requests() - requests_before;
        let results: Vec<CaseRecord> = self.options.cases.iter().filter_map(|case| records.remove(&case.id)).collect();
        let summary = Summary::count(&results, requests, duration_ms);
        Ok(RunRecord {
            format: FORMAT,
            suite: SuiteRecord {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                filter: self.options.filter.clone(),
                cases: self.options.suite.cases.len(),
                topics: self.options.suite.topics.iter().cloned().collect(),
            },
            agent: self.agent.clone(),
            started: timestamp(started),
            duration_ms,
            results,
            summary,
            warnings: Vec::new(),
        })
    }

    /// Runs every case once; cases that fail, a second time, to tell flaky from wrong.
    async fn round(
        &mut self,
        cases: &[&'r Case],
        last: bool,
        records: &mut HashMap<String, CaseRecord>,
        listen: &mut dyn FnMut(&RunEvent) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let mut finish = |record: CaseRecord| {
            let record = match records.remove(&record.id) {
                Some(earlier) => merge(earlier, record),
                None => record,
            };
            if last {
                listen(&RunEvent::Finished(record.clone()))?;
            }
            records.insert(record.id.clone(), record);
            Ok::<(), RunError>(())
        };
        let (without, with): (Vec<&Case>, Vec<&Case>) =
            cases.iter().partition(|case| case.stated.page.kind == DocumentKind::None);
        for case in without {
            finish(self.run_client(case).await)?;
        }
        let mut failed: HashMap<String, CaseRecord> = HashMap::new();
        self.run_all(&with, &mut |record| match record.verdict {
            Verdict::Fail | Verdict::Error => {
                failed.insert(record.id.clone(), record);
                Ok(())
            }
            _ => finish(record),
        })
        .await?;
        let again: Vec<&Case> = with.iter().copied().filter(|case| failed.contains_key(&case.id)).collect();
        self.run_all(&again, &mut |record| match failed.remove(&record.id) {
            Some(first) => finish(merge(first, record)),
            None => finish(record),
        })
        .await
    }

    /// Runs every case to a record. Cases that a crash or a hang leaves without a result are tried again, each alone,
    /// in a fresh session.
    async fn run_all(
        &mut self,
        cases: &[&Case],
        finish: &mut dyn FnMut(CaseRecord) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        for (case, why) in self.attempt(cases, 1, finish).await? {
            let mut left = Some(why);
            for number in 2..=ATTEMPTS {
                left = self.attempt(&[case], number, finish).await?.pop().map(|(_, why)| why);
                if left.is_none() {
                    break;
                }
            }
            if let Some(why) = left {
                finish(record(self.options, case, Attempt::Broken(why), Vec::new(), None, ATTEMPTS))?;
            }
        }
        Ok(())
    }

    /// One attempt at cases. Gives those that came to no result, with what kept them from it.
    async fn attempt<'c>(
        &mut self,
        cases: &[&'c Case],
        number: u32,
        finish: &mut dyn FnMut(CaseRecord) -> Result<(), RunError>,
    ) -> Result<Vec<(&'c Case, String)>, RunError> {
        if cases.is_empty() {
            return Ok(Vec::new());
        }
        self.session().await?;
        let Some(mut session) = self.session.take() else { return Ok(Vec::new()) };
        let options = self.options;
        let setting = Setting {
            stage: &self.stage,
            reasons: &options.engine.reasons,
            expectations: options.expectations,
            lanes: options.lanes,
        };
        let mut settled = vec![false; cases.len()];
        let outcome = attempt(setting, &mut session, cases, &mut |one: Settled| {
            settled[one.position] = true;
            finish(record(options, cases[one.position], one.attempt, one.log, one.reason, number))
        })
        .await;
        if settled.contains(&true) {
            self.lost = 0;
        }
        let why = match outcome {
            Err(error) => {
                session.stop().await;
                return Err(error);
            }
            Ok(None) => {
                self.session = Some(session);
                "the page gave no result".to_owned()
            }
            Ok(Some(why)) => {
                tracing::warn!("the session is given up: {why}");
                session.abandon().await;
                self.lost += 1;
                if self.lost >= LOST_SESSIONS {
                    return Err(SessionError::Lost(format!("{why} ({LOST_SESSIONS} sessions in a row)")).into());
                }
                why
            }
        };
        let left = cases.iter().zip(settled).filter(|(_, settled)| !settled);
        Ok(left.map(|(case, _)| (*case, why.clone())).collect())
    }

    /// The running session, or a new one.
    async fn session(&mut self) -> Result<&mut Session, RunError> {
        if self.session.is_none() {
            let port = self.stage.addresses().first().map_or(0, std::net::SocketAddr::port);
            let engine = self.options.engine;
            let session = Session::start(engine, &self.source, self.guard, port).await?;
            self.agent = AgentRecord {
                name: engine.name.clone(),
                label: engine.label.clone(),
                version: session.version.clone(),
                engine: engine.engine.clone(),
                platform: session.platform.clone(),
                reasons: engine.reasons.about.clone(),
            };
            self.session = Some(session);
        }
        self.session.as_mut().ok_or_else(|| SessionError::Lost("no session".to_owned()).into())
    }

    /// A case without a browser.
    async fn run_client(&mut self, case: &Case) -> CaseRecord {
        let token = Token::random();
        let placed = case.place(&token);
        let mut page = Vec::new();
        let clock = Instant::now();
        self.stage.publish(token.clone(), placed.site);
        for (step, probe) in placed.steps.iter().enumerate() {
            if let (Probe::Client(url, probe), Some(address)) = (probe, self.stage.addresses().first()) {
                tracing::trace!("step {step} of {}", case.id);
                page.push(client::request(*address, url, probe).await);
            }
        }
        let log = self.stage.withdraw(&token);
        let ms = clock.elapsed().as_secs_f64() * 1000.0;
        record(self.options, case, Attempt::Observed { page, ms }, log, None, 1)
    }
}

/// The record of a case from what came of an attempt at it.
fn record(
    options: &RunOptions<'_>,
    case: &Case,
    attempt: Attempt,
    log: Vec<Exchange>,
    reason: Option<Reason>,
    attempts: u32,
) -> CaseRecord {
    let mut record = CaseRecord {
        id: case.id.clone(),
        area: case.topic.clone(),
        requires: case.stated.requires.clone(),
        verdict: Verdict::Error,
        level: case.stated.level,
        note: None,
        link: None,
        case: case.stated.clone(),
        observed: None,
        differences: Vec::new(),
        wire: Vec::new(),
        attempts,
        duration_ms: 0.0,
        source: format!("{}:{}", case.file.display(), case.line),
    };
    // A page without a block may still have said something; only blocks have reasons.
    let reason = reason.filter(|_| attempt.blocked());
    match attempt {
        Attempt::Skipped(why) => {
            record.verdict = Verdict::Skipped;
            record.note = Some(why);
        }
        Attempt::Broken(why) => record.note = Some(why),
        Attempt::Observed { page, ms } => {
            let (mut observed, wire) = observe::observe(page, log, reason);
            let Judgement { verdict, differences, note, link } =
                judge(case, &observed, &options.engine.reasons, options.expectations);
            observe::trim(&mut observed, &case.stated.then);
            record.verdict = verdict;
            record.differences = differences;
            record.note = note;
            record.link = link;
            record.observed = Some(observed);
            record.wire = wire;
            record.duration_ms = ms;
        }
    }
    record
}

/// One record of two attempts at a case: the later one, with a verdict over both.
fn merge(earlier: CaseRecord, later: CaseRecord) -> CaseRecord {
    let attempts = earlier.attempts + later.attempts;
    let verdict = combine(&[earlier.verdict, later.verdict]);
    // Where the standard allows both, it allows now the one and now the other: a browser that drops an entry of its
    // preflight cache early keeps the rules.
    if later.level == Level::Optional
        && let Some(passed) = [&later, &earlier].into_iter().find(|record| record.verdict == Verdict::Pass)
    {
        let note = (verdict == Verdict::Flaky || passed.note.is_some())
            .then(|| "not in every attempt; the standard leaves it to the browser".to_owned());
        return CaseRecord { note, attempts, ..passed.clone() };
    }
    let note = match verdict {
        Verdict::Flaky => Some(format!(
            "{} in one attempt, {} in another{}",
            earlier.verdict,
            later.verdict,
            [&earlier, &later]
                .iter()
                .flat_map(|record| &record.differences)
                .next()
                .map(|one| format!(" ({}: expected {}, observed {})", one.at, one.expected, one.observed))
                .unwrap_or_default()
        )),
        _ => later.note.clone(),
    };
    CaseRecord { verdict, note, attempts, ..later }
}

fn timestamp(at: std::time::SystemTime) -> String {
    time::OffsetDateTime::from(at)
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_else(|error| error.to_string())
}
