//! The reference agent: the executable standard with real requests to the real fake servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crosscheck_cases::standard::{Client, Next, Performance, perform};
use crosscheck_cases::{Case, PageResult, Placed, Probe, Reason, ResultKind};
use crosscheck_reports::{AgentRecord, Verdict};
use crosscheck_servers::{Behaviour, Exchange, Stage, Token};
use tokio::task::JoinSet;

use crate::attempts::Attempts;
use crate::observe;
use crate::record::{Observed, judged, unobserved};
use crate::run::{Results, RunError, RunOptions};
use crate::transport::{TlsSetupError, Transport};

/// The reference agent in a run.
pub(crate) struct Reference<'r> {
    options: &'r RunOptions<'r>,
    performer: Performer,
}

impl<'r> Reference<'r> {
    pub(crate) fn new(
        options: &'r RunOptions<'r>,
        stage: &Stage,
        broken: Option<String>,
    ) -> Result<Self, TlsSetupError> {
        Ok(Self { options, performer: Performer::new(stage, broken)? })
    }

    pub(crate) fn agent(&self) -> AgentRecord {
        AgentRecord {
            name: "reference".to_owned(),
            label: "Reference".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: "the executable standard".to_owned(),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            reasons: "the rule that decided, with every rule before it".to_owned(),
        }
    }

    /// Runs every case once; what is unexpected a second time, and what is in doubt then a third time, alone.
    pub(crate) async fn round(&self, cases: &[&'r Case], results: &mut Results<'_>) -> Result<(), RunError> {
        let mut attempts = Attempts::default();
        let mut open = cases.to_vec();
        for lanes in [self.options.lanes, self.options.lanes, 1] {
            self.run_all(&open, lanes, &mut |record| attempts.finish(record, results)).await?;
            open = attempts.open(&open);
        }
        Ok(())
    }

    /// Runs controls, each once.
    pub(crate) async fn controls(
        &self,
        cases: &[&Case],
        finish: &mut dyn FnMut(crosscheck_reports::CaseRecord) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        self.run_all(cases, self.options.lanes, finish).await
    }

    async fn run_all(
        &self,
        cases: &[&Case],
        lanes: usize,
        finish: &mut dyn FnMut(crosscheck_reports::CaseRecord) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let mut waiting: Vec<(usize, &Case)> = Vec::new();
        for (position, case) in cases.iter().enumerate() {
            match case.is_modelled() {
                Ok(()) => waiting.push((position, case)),
                Err(why) => {
                    let why = format!("the executable standard does not tell: {why}");
                    finish(unobserved(case, Verdict::Skipped, why, 1))?;
                }
            }
        }
        // Taken from the end: what waits begins early, so that the others run beside it.
        waiting.sort_by_key(|(_, case)| is_slow(case));
        let mut running: JoinSet<(usize, Observed)> = JoinSet::new();
        loop {
            while running.len() < lanes.max(1)
                && let Some((position, case)) = waiting.pop()
            {
                let performer = self.performer.clone();
                let task = Task::of(case);
                running.spawn(async move { (position, performer.run(task).await) });
            }
            let Some(ended) = running.join_next().await else { return Ok(()) };
            match ended {
                Ok((position, observed)) => {
                    finish(judged(cases[position], observed, true, self.options.expectations, 1))?;
                }
                // Only a mistake of ours makes a task panic.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }
}

/// Whether the case has to wait for something.
fn is_slow(case: &Case) -> bool {
    let waits = |behaviour: &Behaviour| {
        behaviour.delay_ms > 0 || behaviour.pause_ms > 0 || !behaviour.after.is_empty() || behaviour.fault.is_some()
    };
    any_behaviour(case, &waits)
}

/// Whether it holds for one of the behaviours of a case, those of preflights and rules included.
fn any_behaviour(case: &Case, holds: &dyn Fn(&Behaviour) -> bool) -> bool {
    fn within(behaviour: &Behaviour, holds: &dyn Fn(&Behaviour) -> bool) -> bool {
        holds(behaviour)
            || behaviour.preflight.as_deref().is_some_and(|preflight| within(preflight, holds))
            || behaviour.rules.iter().any(|rule| within(&rule.then, holds))
    }
    case.stated.given.values().any(|behaviour| within(behaviour, holds))
}

/// A case, ready to be performed.
struct Task {
    placed: Placed,
    client: Client,
    /// Whether its servers break connections.
    breaks: bool,
}

impl Task {
    fn of(case: &Case) -> Self {
        let placed = case.place(&Token::random());
        let client = Client::of(&case.stated.page, &format!("/{}/", placed.token));
        let breaks = any_behaviour(case, &|behaviour| behaviour.fault.is_some());
        Self { placed, client, breaks }
    }
}

/// Performs cases: puts their servers on the stage, drives the executable standard, and takes them down again.
#[derive(Clone, Debug)]
pub(crate) struct Performer {
    stage: Stage,
    transport: Arc<Transport>,
    broken: Option<String>,
}

impl Performer {
    pub(crate) fn new(stage: &Stage, broken: Option<String>) -> Result<Self, TlsSetupError> {
        let address = stage.addresses().first().copied().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Ok(Self { stage: stage.clone(), transport: Arc::new(Transport::to_stage(address)?), broken })
    }

    /// What the executable standard makes of a case, as it is observed.
    pub(crate) async fn perform(&self, case: &Case) -> Observed {
        self.run(Task::of(case)).await
    }

    async fn run(&self, task: Task) -> Observed {
        let Task { placed: Placed { token, site, steps }, client, breaks } = task;
        let exchanges = self.transport.exchanges();
        let mut exchanges = if breaks { exchanges.without_reuse() } else { exchanges };
        self.stage.publish(token.clone(), site);
        let clock = Instant::now();
        let mut machine = perform(client, steps.clone(), self.broken.clone());
        let mut answer = None;
        // How many requests had arrived at the beginning of each step.
        let mut arrived = vec![0];
        let performance = loop {
            match machine.next(answer.take()) {
                Next::Send(message) => {
                    while arrived.len() <= message.step {
                        arrived.push(self.stage.log(&token).len());
                    }
                    let limit = steps.get(message.step).map_or(Duration::ZERO, Probe::patience);
                    let reply = exchanges.exchange(&message, limit).await;
                    answer = Some(reply.unwrap_or_else(|trouble| trouble.answer()));
                }
                Next::Done(performance) => break performance,
            }
        };
        let log: Vec<(usize, Exchange)> = self
            .stage
            .withdraw(&token)
            .into_iter()
            .enumerate()
            .map(|(position, exchange)| (arrived.partition_point(|from| *from <= position) - 1, exchange))
            .collect();
        let ms = clock.elapsed().as_secs_f64() * 1000.0;
        let Performance { page, blocked, decisions } = performance;
        let reason = blocked.filter(|_| page.last().is_some_and(is_blocked)).and_then(|error| error.class);
        let reason = reason.map(|class| Reason { classes: vec![class.to_owned()], text: None });
        let (outcome, wire) = observe::join(page, log, reason);
        Observed { outcome, wire, trace: decisions, ms }
    }
}

const fn is_blocked(result: &PageResult) -> bool {
    matches!(result.result, ResultKind::NetworkError | ResultKind::Exception | ResultKind::Sent | ResultKind::Timeout)
}
