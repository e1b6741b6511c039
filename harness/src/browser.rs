//! Runs in a browser: sessions, attempts in them, and what a crash or a hang leaves to be tried again.

use crosscheck_cases::{Case, DocumentKind};
use crosscheck_reports::{AgentRecord, CaseRecord, Verdict};
use crosscheck_servers::Stage;

use crate::attempt::{Attempt, End, Setting, Settled, attempt};
use crate::attempts::{Attempts, MOST_ALONE};
use crate::engine::PermissionSetting;
use crate::guard::Guard;
use crate::network::Network;
use crate::page::{Manner, Spaces};
use crate::plan::split_frames;
use crate::record::{Observed, judged, unobserved};
use crate::reference::Performer;
use crate::run::{Results, RunError, RunOptions};
use crate::session::{Session, Source};
use crate::slowness::Slowness;
use crate::{Engine, ReasonSource, SessionError, observe};

/// How many sessions in a row may be lost before the environment counts as broken.
const LOST_SESSIONS: usize = 3;
/// Up to how many cases without a result are tried again each alone at once.
const ALONE: usize = 24;
/// By how much the limits of time are longer for cases that are asked again.
const PATIENCE: f64 = 3.0;
/// How many controls run together, but for those of one area.
const CONTROLS: usize = 400;
/// How many times a case is tried that comes to no result at all.
const ATTEMPTS: u32 = 3;

/// The runs of a browser.
pub(crate) struct Browser<'r> {
    options: &'r RunOptions<'r>,
    engine: Engine,
    guard: &'r Guard,
    source: Source,
    stage: &'r Stage,
    network: Network,
    /// What sends the probes of cases without a browser.
    client: Performer,
    session: Option<Session>,
    agent: AgentRecord,
    /// Sessions lost in a row without a result in between.
    lost: usize,
    /// By what the pages' limits of time are multiplied.
    patience: f64,
    /// How many cases of a document run at the same time.
    lanes: usize,
    slowness: Slowness,
}

impl<'r> Browser<'r> {
    /// Starts the browser.
    pub(crate) async fn start(
        options: &'r RunOptions<'r>,
        engine: &Engine,
        webdriver: Option<&str>,
        guard: &'r Guard,
        stage: &'r Stage,
    ) -> Result<Self, RunError> {
        let source = Source::find(engine, webdriver)?;
        let mut engine = engine.clone();
        engine.reasons.partial = webdriver.is_some() && engine.reasons.sources.contains(&ReasonSource::BrowserOutput);
        let client = Performer::new(stage, None)?;
        let agent = AgentRecord::default();
        // A case may need the control of another one that is not to run.
        let cases = &options.suite.cases;
        let network = Network::of(stage, cases.iter().chain(cases.iter().flat_map(Case::own_controls)));
        let mut browser = Self {
            options,
            engine,
            guard,
            source,
            stage,
            network,
            client,
            session: None,
            agent,
            lost: 0,
            patience: 1.0,
            lanes: options.lanes,
            slowness: Slowness::measure(),
        };
        browser.session().await?;
        Ok(browser)
    }

    /// What it says of itself.
    pub(crate) fn agent(&self) -> AgentRecord {
        self.agent.clone()
    }

    /// Ends the browser, as far as there is one. A next round has a browser of its own: nothing that this one leaves in
    /// a cache can change it.
    pub(crate) async fn stop(&mut self) {
        if let Some(session) = self.session.take() {
            session.stop().await;
        }
    }

    /// Runs every case once; what is unexpected a second time, and what is in doubt then a third time, alone.
    pub(crate) async fn round(&mut self, cases: &[&'r Case], results: &mut Results<'_>) -> Result<(), RunError> {
        let (without, with): (Vec<&Case>, Vec<&Case>) =
            cases.iter().partition(|case| case.stated.page.kind == DocumentKind::None);
        for case in without {
            let observed = self.client.perform(case).await;
            results.finish(judged(case, observed, false, self.options.expectations, 1))?;
        }
        let mut attempts = Attempts::default();
        self.run_all(&with, &mut |record| attempts.finish(record, results)).await?;
        self.patience = PATIENCE;
        let again = attempts.open(&with);
        self.run_all(&again, &mut |record| attempts.finish(record, results)).await?;
        self.lanes = 1;
        for (position, case) in attempts.open(&again).into_iter().enumerate() {
            if position < MOST_ALONE {
                self.run_all(&[case], &mut |record| attempts.finish(record, results)).await?;
            } else if let Some(settled) = attempts.settle(case) {
                results.finish(settled)?;
            }
        }
        self.patience = 1.0;
        self.lanes = self.options.lanes;
        Ok(())
    }

    /// Runs controls, each once.
    pub(crate) async fn controls(
        &mut self,
        cases: &[&Case],
        finish: &mut dyn FnMut(CaseRecord) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let (without, with): (Vec<&Case>, Vec<&Case>) =
            cases.iter().partition(|case| case.stated.page.kind == DocumentKind::None);
        for case in without {
            let observed = self.client.perform(case).await;
            finish(judged(case, observed, false, self.options.expectations, 1))?;
        }
        self.patience = PATIENCE;
        // Topic by topic, as far as they are large: as many controls that make frames in one page as all together Firefox
        // stops to load.
        let area = |case: &Case| case.topic.split('/').next().unwrap_or_default().to_owned();
        let mut batch: Vec<&Case> = Vec::new();
        for topic in with.chunk_by(|one, other| area(one) == area(other)) {
            if !batch.is_empty() && batch.len() + topic.len() > CONTROLS {
                self.run_all(&std::mem::take(&mut batch), finish).await?;
            }
            batch.extend(topic);
        }
        self.run_all(&batch, finish).await?;
        self.patience = 1.0;
        Ok(())
    }

    /// Runs every case to a record: first those that need a cache without other entries, in a fresh session, then those
    /// that look at errors of scripts, those after which the driver is of no use, and all others.
    async fn run_all(
        &mut self,
        cases: &[&Case],
        finish: &mut dyn FnMut(CaseRecord) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let remembers = |case: &&Case| self.engine.forgets_preflights && looks_at_preflight_cache(case);
        let (remembering, cases): (Vec<&Case>, Vec<&Case>) = cases.iter().copied().partition(remembers);
        if !remembering.is_empty() && self.session.as_ref().is_some_and(Session::is_used) {
            self.stop().await;
        }
        self.run_together(&remembering, finish).await?;
        let looks = |case: &&Case| self.engine.runs_scripts_in_open && looks_at_script_errors(case);
        let (looking, cases): (Vec<&Case>, Vec<&Case>) = cases.into_iter().partition(looks);
        self.run_together(&looking, finish).await?;
        let (framed, others) = if self.engine.busy_with_frames { split_frames(&cases) } else { (Vec::new(), cases) };
        self.run_together(&framed, finish).await?;
        self.run_together(&others, finish).await
    }

    /// Runs cases to records. Those that a crash or a hang leaves without a result are tried again in a fresh session:
    /// together as long as that brings results, then each alone.
    async fn run_together(
        &mut self,
        cases: &[&Case],
        finish: &mut dyn FnMut(CaseRecord) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let mut left = self.attempt(cases, 1, finish).await?;
        while left.len() > ALONE {
            let together: Vec<&Case> = left.iter().map(|(case, _)| *case).collect();
            left = self.attempt(&together, 2, finish).await?;
            if left.len() == together.len() {
                break;
            }
        }
        for (case, why) in left {
            let mut left = Some(why);
            for number in 2..=ATTEMPTS {
                left = self.attempt(&[case], number, finish).await?.pop().map(|(_, why)| why);
                if left.is_none() {
                    break;
                }
            }
            if let Some(why) = left {
                finish(unobserved(case, Verdict::Error, why, ATTEMPTS))?;
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
        let engine = &self.engine;
        let setting = Setting {
            stage: self.stage,
            reasons: &engine.reasons,
            expectations: options.expectations,
            manner: Manner { lanes: self.lanes, patience: self.patience, spaces: Spaces::of(engine, &self.network) },
            sets_permissions: matches!(engine.permissions, Some(PermissionSetting::Command)),
            busy_with_frames: engine.busy_with_frames,
            slowness: &self.slowness,
        };
        let mut settled = vec![false; cases.len()];
        let outcome = attempt(setting, &mut session, cases, &mut |one: Settled| {
            settled[one.position] = true;
            finish(record(options, engine, cases[one.position], one, number))
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
            Ok(End::Ready) => {
                self.session = Some(session);
                "the page gave no result".to_owned()
            }
            Ok(End::Spent) => {
                session.abandon().await;
                "the page gave no result".to_owned()
            }
            Ok(End::Lost(why)) => {
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
            let engine = &self.engine;
            let session = Session::start(engine, &self.source, self.guard, &self.network).await?;
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
}

/// Whether a case's outcome rests on what the browser remembers of a preflight.
fn looks_at_preflight_cache(case: &Case) -> bool {
    let wire = case.stated.then.wire.as_deref().unwrap_or_default();
    case.stated.when.len() > 1 && wire.iter().any(|message| message.preflight)
}

/// Whether a case looks at what a page learns of an error in a script.
fn looks_at_script_errors(case: &Case) -> bool {
    case.stated.then.page.iter().any(|result| ["muted", "threw"].iter().any(|name| result.seen.contains_key(*name)))
}

/// The record of a case from what came of an attempt at it.
fn record(options: &RunOptions<'_>, engine: &Engine, case: &Case, settled: Settled, attempts: u32) -> CaseRecord {
    let Settled { attempt, log, reason, slowness, .. } = settled;
    // A page without a block may still have said something; only blocks have reasons.
    let reason = reason.filter(|_| attempt.blocked());
    let record = match attempt {
        Attempt::Skipped(why) => unobserved(case, Verdict::Skipped, why, attempts),
        Attempt::Broken(why) => unobserved(case, Verdict::Error, why, attempts),
        Attempt::Observed { page, ms } => {
            let (outcome, wire) = observe::observe(page, log, reason);
            let observed = Observed { outcome, wire, trace: Vec::new(), ms };
            judged(case, observed, engine.reasons.owed(case), options.expectations, attempts)
        }
    };
    CaseRecord { slowness, ..record }
}
