use crosscheck::guard::Guard;
use crosscheck::{Agent, Engine, Expectations, Journal, RunError, RunEvent, RunOptions, discover};
use crosscheck_cases::Suite;
use crosscheck_reports::RunRecord;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::arguments::RunArguments;
use super::progress::Progress;
use super::{Ended, Failure};

pub(crate) async fn run(arguments: RunArguments) -> Result<Ended, Failure> {
    let prepared = Prepared::load(&arguments)?;
    let agents = agents(&arguments)?;
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
    let mut records = Vec::new();
    let mut failed: Option<Failure> = None;
    for (chosen, expectations) in agents.iter().zip(&expectations) {
        let agent = match (chosen, &guard) {
            (Chosen::Browser(engine), Some(guard)) => {
                Agent::Browser { engine, webdriver: arguments.webdriver.clone(), guard }
            }
            _ => Agent::Reference { broken: None },
        };
        match run_agent(chosen.name(), agent, expectations, &arguments, &prepared, &mut interrupts).await {
            Ok(record) => records.push(record),
            Err(failure @ Failure::Interrupted(_)) => {
                failed = Some(failure);
                break;
            }
            // The other agents can still be tested.
            Err(failure) => {
                eprintln!("{}: {failure}", chosen.label());
                failed = Some(failure);
            }
        }
    }
    if let Some(guard) = guard {
        guard.finish().await;
    }
    if !records.is_empty() {
        let page = super::report::all(&arguments.out, &records)?;
        say!("\nThe report: {}", page.display());
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
    run_agent(&engine.name, agent, &expectations, arguments, &prepared, &mut Interrupts::take()?).await
}

/// The guard of a run.
pub(crate) fn guard() -> Result<Guard, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::Environment(format!("this program's own path is unknown: {error}")))?;
    Guard::start(&program).map_err(|error| Failure::Environment(format!("the run's guard cannot be started: {error}")))
}

/// The suite, and the positions of the cases to run.
struct Prepared {
    suite: Suite,
    chosen: Vec<usize>,
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
        Ok(Self { suite, chosen })
    }

    fn expectations(&self, arguments: &RunArguments, agent: &str) -> Result<Expectations, Failure> {
        let path = arguments.expectations.join(format!("{agent}.json"));
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
        eprintln!("note: {missing}");
    }
    Ok(found)
}

async fn run_agent(
    name: &str,
    agent: Agent<'_>,
    expectations: &Expectations,
    arguments: &RunArguments,
    prepared: &Prepared,
    interrupts: &mut Interrupts,
) -> Result<RunRecord, Failure> {
    let folder = arguments.out.join(name);
    let (mut journal, finished) = Journal::open(&folder, arguments.resume)?;
    let mut progress = Progress::new();
    let options = RunOptions {
        agent,
        suite: &prepared.suite,
        cases: prepared.chosen.iter().map(|position| &prepared.suite.cases[*position]).collect(),
        filter: arguments.selection.filter.clone(),
        expectations,
        repeat: arguments.repeat,
        lanes: arguments.jobs.into(),
        bind: arguments.bind,
        finished,
    };
    let mut listen = |event: &RunEvent| {
        progress.event(event);
        match event {
            RunEvent::Finished(record) => journal.write(record).map_err(RunError::from),
            RunEvent::Started { .. } | RunEvent::Round(_) | RunEvent::Ran(_) => Ok(()),
        }
    };
    let record = tokio::select! {
        record = crosscheck::run(options, &mut listen) => record,
        () = interrupts.wait() => Err(RunError::Interrupted),
    };
    progress.end();
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
