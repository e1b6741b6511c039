use std::cell::RefCell;
use std::path::Path;

use crosscheck::guard::Guard;
use crosscheck::{Agent, Engine, Expectations, Journal, RunError, RunEvent, RunOptions, discover};
use crosscheck_cases::{Case, Suite};
use crosscheck_reports::RunRecord;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::again::{self, Unexpected};
use super::arguments::{EXPECTATIONS, RunArguments};
use super::progress::{BEAT, Progress};
use super::{Ended, Failure};

pub(crate) async fn run(arguments: RunArguments) -> Result<Ended, Failure> {
    let prepared = Prepared::load(&arguments)?;
    let mut agents = agents(&arguments)?;
    if let Some(unexpected) = &prepared.unexpected {
        agents.retain(|agent| unexpected.concerns(agent.name()));
        if agents.is_empty() {
            return Err(Failure::Usage("nothing is unexpected in the runs of these agents".to_owned()));
        }
    }
    if arguments.webdriver.is_some() && !matches!(agents.as_slice(), [Chosen::Browser(_)]) {
        return Err(Failure::Usage("--webdriver goes with exactly one --agent, a browser".to_owned()));
    }
    let expectations =
        agents.iter().map(|agent| prepared.expectations(&arguments, agent.name())).collect::<Result<Vec<_>, _>>()?;
    let mut interrupts = Interrupts::take()?;
    let guard = match agents.iter().any(|agent| matches!(agent, Chosen::Browser(_))) {
        true => Some(guard()?),
        false => None,
    };
    if !arguments.bind.ip().is_loopback() {
        tell!(
            "warning: the fake servers listen at {}, where others reach them too; they answer whoever asks",
            arguments.bind.ip()
        );
    }
    announce(&agents, &prepared, arguments.repeat);
    let mut records = Vec::new();
    let mut failed: Option<Failure> = None;
    for (chosen, expectations) in agents.iter().zip(&expectations) {
        let agent = match (chosen, &guard) {
            (Chosen::Browser(engine), Some(guard)) => {
                Agent::Browser { engine, webdriver: arguments.webdriver.clone(), guard }
            }
            _ => Agent::Reference { broken: None },
        };
        match run_agent(chosen, agent, expectations, &arguments, &prepared, &mut interrupts).await {
            Ok(record) => records.push(record),
            Err(failure @ Failure::Interrupted(_)) => {
                failed = Some(failure);
                break;
            }
            // The other agents can still be tested.
            Err(failure) => {
                tell!("{}: {failure}", chosen.label());
                failed = Some(failure);
            }
        }
    }
    if let Some(guard) = guard {
        guard.finish().await;
    }
    if !records.is_empty() {
        tell!("Writing the reports.");
        let page = super::report::all(&arguments.out, &records)?;
        if let Some(command) = again::command(&arguments, &records) {
            say!("\nJust what was unexpected, once more:\n\n    {command}");
        }
        say!("\nThe report: {}", link(&page));
    }
    match failed {
        Some(failure @ Failure::Interrupted(_)) => Err(failure),
        Some(_) => Err(Failure::Environment("not every agent could be run (see above)".to_owned())),
        None if records.iter().flat_map(|record| &record.results).any(|result| result.verdict.is_unexpected()) => {
            Ok(Ended::Unexpected)
        }
        None => Ok(Ended::AsExpected),
    }
}

/// One engine, without reports.
pub(crate) async fn one(engine: &Engine, arguments: &RunArguments, guard: &Guard) -> Result<RunRecord, Failure> {
    let prepared = Prepared::load(arguments)?;
    let expectations = prepared.expectations(arguments, &engine.name)?;
    let agent = Agent::Browser { engine, webdriver: None, guard };
    let chosen = Chosen::Browser(Box::new(engine.clone()));
    run_agent(&chosen, agent, &expectations, arguments, &prepared, &mut Interrupts::take()?).await
}

/// The guard of a run.
pub(crate) fn guard() -> Result<Guard, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::Environment(format!("this program's own path is unknown: {error}")))?;
    Guard::start(&program).map_err(|error| Failure::Environment(format!("the run's guard cannot be started: {error}")))
}

/// Says what comes, and roughly how long it takes.
fn announce(agents: &[Chosen], prepared: &Prepared, rounds: u32) {
    /// About what each engine's whole suite comes to on two cores that have nothing else to do.
    const CASES_IN_A_MINUTE: usize = 12_000;
    let browsers = agents.iter().filter(|agent| matches!(agent, Chosen::Browser(_)));
    let cases: usize = browsers.map(|agent| prepared.cases(agent.name()).len()).sum();
    let minutes = (cases * rounds as usize).div_ceil(CASES_IN_A_MINUTE);
    let labels: Vec<&str> = agents.iter().map(Chosen::label).collect();
    let time = match minutes {
        0 | 1 => "this takes about a minute or less on two idle cores".to_owned(),
        minutes => format!("this takes about {minutes} minutes on two idle cores"),
    };
    let order = if agents.len() > 1 { ", one after another" } else { "" };
    tell!("Running the suite in {}{order}: {time}.", labels.join(", "));
}

/// A path as a link that a terminal or a CI system makes clickable.
fn link(page: &Path) -> String {
    let link = page.canonicalize().ok().and_then(|path| url::Url::from_file_path(path).ok());
    link.map_or_else(|| page.display().to_string(), String::from)
}

/// The suite, and the positions of the cases to run.
struct Prepared {
    suite: Suite,
    chosen: Vec<usize>,
    /// With `--again`: what each agent has to run of them.
    unexpected: Option<Unexpected>,
}

impl Prepared {
    fn load(arguments: &RunArguments) -> Result<Self, Failure> {
        let filter: crosscheck_cases::Filter = arguments.selection.filter.parse()?;
        let suite = crosscheck_cases::load(&arguments.selection.suite)?;
        let chosen = (0..suite.cases.len()).filter(|position| filter.takes(&suite.cases[*position]));
        let chosen: Vec<usize> = match arguments.shard {
            Some(shard) => chosen.skip(shard.index - 1).step_by(shard.count).collect(),
            None => chosen.collect(),
        };
        if chosen.is_empty() {
            return Err(Failure::Usage(format!("no case matches the filter {:?}", arguments.selection.filter)));
        }
        let unexpected = arguments.again.as_deref().map(Unexpected::read).transpose()?;
        Ok(Self { suite, chosen, unexpected })
    }

    /// The cases that an agent has to run.
    fn cases(&self, agent: &str) -> Vec<&Case> {
        let cases = self.chosen.iter().map(|position| &self.suite.cases[*position]);
        cases.filter(|case| self.unexpected.as_ref().is_none_or(|again| again.has(agent, &case.id))).collect()
    }

    fn expectations(&self, arguments: &RunArguments, agent: &str) -> Result<Expectations, Failure> {
        let folder = &arguments.expectations;
        if folder.as_path() != Path::new(EXPECTATIONS) && !folder.is_dir() {
            let folder = folder.display();
            return Err(Failure::Usage(format!(
                "{folder}: there is no such folder of known deviations (--expectations)"
            )));
        }
        let path = folder.join(format!("{agent}.json"));
        Ok(Expectations::load(&path, &self.suite.cases)?)
    }
}

/// An agent that was chosen.
enum Chosen {
    Browser(Box<Engine>),
    Reference,
}

impl Chosen {
    fn find(name: &str) -> Result<Self, Failure> {
        if name == "reference" {
            return Ok(Self::Reference);
        }
        Ok(Self::Browser(Box::new(Engine::find(name)?)))
    }

    fn name(&self) -> &str {
        match self {
            Self::Browser(engine) => &engine.name,
            Self::Reference => "reference",
        }
    }

    fn label(&self) -> &str {
        match self {
            Self::Browser(engine) => &engine.label,
            Self::Reference => "Reference",
        }
    }
}

/// The agents that were named, or every browser that is here.
fn agents(arguments: &RunArguments) -> Result<Vec<Chosen>, Failure> {
    let all = arguments.agent.is_empty() || arguments.agent == ["all"];
    if !all {
        return arguments.agent.iter().map(|name| Chosen::find(name)).collect();
    }
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for engine in Engine::built_in()? {
        match discover(&engine) {
            Ok(_) => found.push(Chosen::Browser(Box::new(engine))),
            Err(error) => missing.push(error.to_string()),
        }
    }
    if found.is_empty() || (arguments.agent == ["all"] && !missing.is_empty()) {
        return Err(Failure::Environment(missing.join("\n")));
    }
    for missing in missing {
        tell!("note: {missing}");
    }
    Ok(found)
}

async fn run_agent(
    chosen: &Chosen,
    agent: Agent<'_>,
    expectations: &Expectations,
    arguments: &RunArguments,
    prepared: &Prepared,
    interrupts: &mut Interrupts,
) -> Result<RunRecord, Failure> {
    let folder = arguments.out.join(chosen.name());
    let (mut journal, finished) = Journal::open(&folder, arguments.resume)?;
    let progress = RefCell::new(Progress::new(chosen.label()));
    let options = RunOptions {
        agent,
        suite: &prepared.suite,
        cases: prepared.cases(chosen.name()),
        filter: arguments.chosen_by(),
        expectations,
        controls: true,
        repeat: arguments.repeat,
        lanes: arguments.jobs.into(),
        bind: arguments.bind,
        finished,
    };
    let mut listen = |event: &RunEvent| {
        progress.borrow_mut().event(event);
        match event {
            RunEvent::Finished(record) => journal.write(record).map_err(RunError::from),
            RunEvent::Started { .. } | RunEvent::Round(_) | RunEvent::Ran(_) | RunEvent::Controls(_) => Ok(()),
        }
    };
    let record = {
        let mut run = std::pin::pin!(crosscheck::run(options, &mut listen));
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + BEAT, BEAT);
        loop {
            tokio::select! {
                record = &mut run => break record,
                () = interrupts.wait() => break Err(RunError::Interrupted),
                _ = beat.tick() => progress.borrow().beat(),
            }
        }
    };
    progress.borrow().end();
    let record = record?;
    super::report::write_json(&folder.join("run.json"), &record)?;
    Ok(record)
}

/// Ctrl-C and the like.
pub(crate) struct Interrupts([Signal; 2]);

impl Interrupts {
    /// Takes over these signals from now on.
    pub(crate) fn take() -> Result<Self, Failure> {
        let of = |kind| signal(kind).map_err(|error| Failure::Environment(format!("signals cannot be taken: {error}")));
        Ok(Self([of(SignalKind::interrupt())?, of(SignalKind::terminate())?]))
    }

    /// Returns when somebody asks the program to end.
    pub(crate) async fn wait(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
