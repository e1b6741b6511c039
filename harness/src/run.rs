use std::collections::HashMap;
use std::time::{Duration, Instant};

use crosscheck_cases::{Case, DocumentKind, PageResult, Placed, Probe, ResultKind, Suite};
use crosscheck_reports::{AgentRecord, CaseRecord, FORMAT, RunRecord, SuiteRecord, Summary, Verdict};
use crosscheck_servers::{Exchange, Stage, StageConfig, StageError, Token};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::guard::Guard;
use crate::judge::{Judgement, combine, judge};
use crate::page::{Report, add_mark, publish, reports};
use crate::plan::{Window, plan};
use crate::reasons::Messages;
use crate::session::{Session, Source};
use crate::{Engine, Expectations, JournalError, RunEvent, SessionError, client, observe};

/// How long nothing at all may come from a window before its cases count as stuck. Longer than any step may take.
const SILENCE_LIMIT: Duration = Duration::from_secs(25);
/// How often a browser is asked whether it is still there while nothing comes from it.
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// How long messages and requests that follow a result may take to come in.
const STRAGGLER_LIMIT: Duration = Duration::from_secs(2);
/// How many sessions in a row may be lost before the environment counts as broken.
const LOST_SESSIONS: usize = 3;

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

/// What one attempt at a case gave.
#[derive(Clone, Debug)]
enum Attempt {
    Observed { page: Vec<PageResult>, ms: f64 },
    Skipped(String),
    Broken(String),
}

impl Attempt {
    /// Whether the last step came to nothing.
    fn blocked(&self) -> bool {
        matches!(self, Self::Observed { page, .. } if page.last().is_some_and(is_blocked))
    }
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

    /// Runs every case once; cases that fail, a second time in a window of their own, to tell flaky from wrong.
    async fn round(
        &mut self,
        cases: &[&'r Case],
        last: bool,
        records: &mut HashMap<String, CaseRecord>,
        listen: &mut dyn FnMut(&RunEvent) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let mut again: Vec<&'r Case> = Vec::new();
        let mut finish = |record: CaseRecord, records: &mut HashMap<String, CaseRecord>| {
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
        for case in cases.iter().filter(|case| case.stated.page.kind == DocumentKind::None) {
            let record = self.run_client(case).await;
            finish(record, records)?;
        }
        for window in plan(cases) {
            for record in self.run_window(&window, cases).await? {
                if matches!(record.verdict, Verdict::Fail | Verdict::Error) {
                    let case = cases.iter().find(|case| case.id == record.id);
                    again.extend(case.copied());
                    records.insert(format!("first attempt at {}", record.id), record);
                } else {
                    finish(record, records)?;
                }
            }
        }
        for window in plan(&again) {
            for record in self.run_window(&window, &again).await? {
                let merged = match records.remove(&format!("first attempt at {}", record.id)) {
                    Some(first) => merge(first, record),
                    None => record,
                };
                finish(merged, records)?;
            }
        }
        Ok(())
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

    /// Runs the cases of a window. Cases that a crash or a hang leaves without a result are tried again, each alone,
    /// in a fresh session.
    async fn run_window(&mut self, window: &Window, cases: &[&'r Case]) -> Result<Vec<CaseRecord>, RunError> {
        let (mut records, unfinished) = self.attempt_window(window, cases).await?;
        for (position, why) in unfinished {
            let case = cases[position];
            let alone = [case];
            let mut attempts = 1;
            let record = loop {
                attempts += 1;
                let windows = plan(&alone);
                let Some(window) = windows.first() else {
                    break self.record(case, Attempt::Broken(why.clone()), Vec::new(), None, attempts);
                };
                let (mut finished, unfinished) = self.attempt_window(window, &alone).await?;
                if let Some(mut record) = finished.pop() {
                    record.attempts = attempts;
                    break record;
                }
                if attempts > 2 {
                    let why = unfinished.into_iter().next().map_or(why, |(_, why)| why);
                    break self.record(case, Attempt::Broken(why), Vec::new(), None, attempts);
                }
            };
            records.push(record);
        }
        Ok(records)
    }

    /// One attempt at a window: the records of the cases that gave a result, and the others with what kept them from it.
    async fn attempt_window(
        &mut self,
        window: &Window,
        cases: &[&'r Case],
    ) -> Result<(Vec<CaseRecord>, Vec<(usize, String)>), RunError> {
        let positions: Vec<usize> = window.nodes.iter().flat_map(|node| node.cases.iter().copied()).collect();
        let wanted: HashMap<usize, ()> = positions.iter().map(|position| (*position, ())).collect();
        // Only the window's own cases get a token; the others keep their place in the list.
        let idle = Token::random();
        let placed: Vec<Placed> = cases
            .iter()
            .enumerate()
            .map(
                |(position, case)| {
                    if wanted.contains_key(&position) { case.place(&Token::random()) } else { empty(&idle) }
                },
            )
            .collect();
        for position in &positions {
            let mut site = placed[*position].site.clone();
            add_mark(&mut site, &cases[*position].stated.page);
            self.stage.publish(placed[*position].token.clone(), site);
        }
        let (watcher, mut arrivals) = mpsc::unbounded_channel();
        let published = publish(&self.stage, window, cases, &placed, self.options.lanes, &watcher);
        drop(watcher);
        let mut attempts: HashMap<usize, Attempt> = HashMap::new();
        let clock = Instant::now();
        let mut lost = self.drive(window, cases, &published.url, &mut arrivals, &mut attempts).await?;
        let driven = clock.elapsed();
        let mut messages = Messages::default();
        if lost.is_none()
            && let Err(error) = self.read_messages(cases, &placed, &attempts, &mut messages).await
        {
            lost = Some(error.to_string());
        }
        tracing::debug!(
            "{} cases in {} documents of {}: {} ms in the page, {} ms for its messages",
            positions.len(),
            window.nodes.len(),
            window.nodes.first().map(|node| node.document.to_string()).unwrap_or_default(),
            driven.as_millis(),
            (clock.elapsed() - driven).as_millis()
        );
        let mut records = Vec::new();
        let mut unfinished = Vec::new();
        for position in positions {
            let case = cases[position];
            let token = &placed[position].token;
            match attempts.remove(&position) {
                Some(attempt) => {
                    let log = self.log(case, token, &attempt).await;
                    let reason = messages.reason(&self.options.engine.reasons, token);
                    records.push(self.record(case, attempt, log, reason, 1));
                }
                None => {
                    self.stage.withdraw(token);
                    unfinished.push((position, lost.clone().unwrap_or_else(|| "the page gave no result".to_owned())));
                }
            }
        }
        for token in &published.tokens {
            self.stage.withdraw(token);
        }
        tracing::debug!("{} ms in all", clock.elapsed().as_millis());
        if !records.is_empty() {
            self.lost = 0;
        }
        if let Some(why) = lost {
            self.lost += 1;
            tracing::warn!("the session is given up: {why}");
            if let Some(session) = self.session.take() {
                session.abandon().await;
            }
            if self.lost >= LOST_SESSIONS {
                return Err(SessionError::Lost(format!("{why} ({LOST_SESSIONS} sessions in a row)")).into());
            }
        }
        Ok((records, unfinished))
    }

    /// Loads a window and collects what its documents report, until all are done. Returns why the session has to be
    /// given up, where it has.
    async fn drive(
        &mut self,
        window: &Window,
        cases: &[&'r Case],
        url: &str,
        arrivals: &mut mpsc::UnboundedReceiver<Exchange>,
        attempts: &mut HashMap<usize, Attempt>,
    ) -> Result<Option<String>, RunError> {
        let session = self.session().await?;
        if let Err(error) = session.navigate(url).await {
            return Ok(Some(error.to_string()));
        }
        let mut waiting = window.nodes.len();
        let mut alive = interval(ALIVE_INTERVAL);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        alive.reset();
        let mut last_arrival = Instant::now();
        while waiting > 0 {
            let exchange = tokio::select! {
                arrival = arrivals.recv() => arrival,
                _ = alive.tick() => {
                    if let Err(error) = session.ping().await {
                        return Ok(Some(error.to_string()));
                    }
                    if last_arrival.elapsed() > SILENCE_LIMIT {
                        return Ok(Some(format!("the page was silent for {} seconds", SILENCE_LIMIT.as_secs())));
                    }
                    continue;
                }
            };
            let Some(exchange) = exchange else { break };
            last_arrival = Instant::now();
            let Some(batch) = reports(&exchange) else { continue };
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return Ok(Some(format!("a page sent a report that cannot be read: {error}"))),
            };
            for report in batch {
                match report {
                    Report::Ran { case, page, ms } => {
                        let attempt = match serde_json::from_value(page) {
                            Ok(page) => Attempt::Observed { page, ms },
                            Err(error) => Attempt::Broken(format!("a result that cannot be read: {error}")),
                        };
                        attempts.insert(case, attempt);
                    }
                    Report::Missing { case, missing } => {
                        let about =
                            crosscheck_cases::feature(&missing).map_or(missing.as_str(), |one| one.about.as_str());
                        attempts.insert(case, Attempt::Skipped(format!("the browser has no {about}")));
                    }
                    Report::Broken { case, broken } => {
                        attempts.insert(case, Attempt::Broken(broken));
                    }
                    Report::Failed { child, failed } => {
                        waiting -= fail_node(window, child, &failed, cases, attempts);
                    }
                    Report::Done { .. } => waiting -= 1,
                }
            }
        }
        Ok(None)
    }

    /// Reads the engine's messages; again, for a while, as long as an expected block has none yet.
    async fn read_messages(
        &mut self,
        cases: &[&'r Case],
        placed: &[Placed],
        attempts: &HashMap<usize, Attempt>,
        messages: &mut Messages,
    ) -> Result<(), RunError> {
        let reasons = &self.options.engine.reasons;
        let expecting: Vec<&Token> = attempts
            .iter()
            .filter(|(position, attempt)| {
                let case = cases[**position];
                reasons.owed(case) && attempt.blocked() && self.options.expectations.of(case).is_none()
            })
            .map(|(position, _)| &placed[*position].token)
            .collect();
        let deadline = Instant::now() + STRAGGLER_LIMIT;
        let mut looks = interval(Duration::from_millis(100));
        loop {
            looks.tick().await;
            let session = self.session().await?;
            messages.add(session.messages().await?);
            if expecting.iter().all(|token| messages.has(token)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let silent = expecting.iter().filter(|token| !messages.has(token)).count();
                tracing::debug!("{silent} blocks are left without a reason");
                return Ok(());
            }
        }
    }

    /// The wire log of a case. Where the page does not wait for an answer, it is waited for here.
    async fn log(&self, case: &Case, token: &Token, attempt: &Attempt) -> Vec<Exchange> {
        if let Attempt::Observed { page, .. } = attempt
            && page.iter().any(|result| result.result == ResultKind::Sent)
            && self.options.expectations.of(case).is_none()
        {
            let wanted = case.stated.then.wire.as_ref().map_or(0, Vec::len) + page.len() - 1;
            self.stage.wait_for(token, STRAGGLER_LIMIT, |log| log.len() >= wanted).await;
        }
        self.stage.withdraw(token)
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
        self.record(case, Attempt::Observed { page, ms }, log, None, 1)
    }

    fn record(
        &self,
        case: &Case,
        attempt: Attempt,
        log: Vec<Exchange>,
        reason: Option<crosscheck_cases::Reason>,
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
        match attempt {
            Attempt::Skipped(why) => {
                record.verdict = Verdict::Skipped;
                record.note = Some(why);
            }
            Attempt::Broken(why) => record.note = Some(why),
            Attempt::Observed { page, ms } => {
                // A page without a block may still have said something; only blocks have reasons.
                let blocked = page.last().is_some_and(is_blocked);
                let (mut observed, wire) = observe::observe(page, log, reason.filter(|_| blocked));
                let reasons = &self.options.engine.reasons;
                let Judgement { verdict, differences, note, link } =
                    judge(case, &observed, reasons, self.options.expectations);
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
}

fn is_blocked(result: &PageResult) -> bool {
    matches!(result.result, ResultKind::NetworkError | ResultKind::Exception | ResultKind::Sent | ResultKind::Timeout)
}

/// Gives up a document that did not start, with everything in it; returns how many documents that are. Its cases are
/// skipped where they need the very feature, and errors otherwise.
fn fail_node(
    window: &Window,
    node: usize,
    why: &str,
    cases: &[&Case],
    attempts: &mut HashMap<usize, Attempt>,
) -> usize {
    let Some(failed) = window.nodes.get(node) else { return 0 };
    let kind = failed.document.kind;
    let feature = match kind {
        DocumentKind::SharedWorker => "shared-worker",
        DocumentKind::ServiceWorker => "service-worker",
        _ => "",
    };
    for position in &failed.cases {
        let attempt = if cases[*position].stated.needs.iter().any(|need| need == feature) {
            Attempt::Skipped(format!("the browser cannot start a {feature} here: {why}"))
        } else {
            Attempt::Broken(format!("{} did not start: {why}", failed.document))
        };
        attempts.entry(*position).or_insert(attempt);
    }
    let children: Vec<usize> =
        (0..window.nodes.len()).filter(|child| window.nodes[*child].parent == Some(node)).collect();
    1 + children.into_iter().map(|child| fail_node(window, child, why, cases, attempts)).sum::<usize>()
}

/// One record of two attempts at a case: the later one, with a verdict over both.
fn merge(earlier: CaseRecord, later: CaseRecord) -> CaseRecord {
    let verdict = combine(&[earlier.verdict, later.verdict]);
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
    CaseRecord { verdict, note, attempts: earlier.attempts + later.attempts, ..later }
}

fn empty(token: &Token) -> Placed {
    Placed { token: token.clone(), site: crosscheck_servers::Site::new(), steps: Vec::new() }
}

fn timestamp(at: std::time::SystemTime) -> String {
    time::OffsetDateTime::from(at)
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_else(|error| error.to_string())
}
