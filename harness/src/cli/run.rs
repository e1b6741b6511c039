use std::path::Path;

use crosscheck::guard::Guard;
use crosscheck::{Engine, Expectations, Journal, RunError, RunEvent, RunOptions, discover};
use crosscheck_cases::{Case, Suite};
use crosscheck_reports::{CaseRecord, RunRecord, Verdict};

use super::arguments::RunArguments;
use super::progress::Progress;
use super::{Ended, Failure};

pub(crate) async fn run(arguments: RunArguments) -> Result<Ended, Failure> {
    let filter: crosscheck_cases::Filter = arguments.selection.filter.parse()?;
    let suite = crosscheck_cases::load(&arguments.selection.suite)?;
    let mut cases: Vec<&Case> = suite.cases.iter().filter(|case| filter.takes(case)).collect();
    if let Some(shard) = arguments.shard {
        cases = cases.into_iter().skip(shard.index - 1).step_by(shard.count).collect();
    }
    if cases.is_empty() {
        return Err(Failure::Usage(format!("no case matches the filter {:?}", arguments.selection.filter)));
    }
    let engines = engines(&arguments)?;
    if arguments.webdriver.is_some() && engines.len() != 1 {
        return Err(Failure::Usage("--webdriver goes with exactly one --agent".to_owned()));
    }
    let expectations = engines
        .iter()
        .map(|engine| Expectations::load(&arguments.expectations.join(format!("{}.json", engine.name)), &suite.cases))
        .collect::<Result<Vec<_>, _>>()?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::Environment(format!("this program's own path is unknown: {error}")))?;
    let guard = Guard::start(&program)
        .map_err(|error| Failure::Environment(format!("the run's guard cannot be started: {error}")))?;
    let mut records = Vec::new();
    let mut failed = None;
    for (engine, expectations) in engines.iter().zip(&expectations) {
        match run_agent(engine, expectations, &arguments, &suite, &cases, &guard).await {
            Ok(record) => records.push(record),
            Err(failure) => {
                failed = Some(failure);
                break;
            }
        }
    }
    guard.finish().await;
    if let Some(failure) = failed {
        return Err(failure);
    }
    for record in &records {
        print_summary(record);
    }
    let unexpected = records.iter().flat_map(|record| &record.results).any(|result| result.verdict.is_unexpected());
    Ok(if unexpected { Ended::Unexpected } else { Ended::AsExpected })
}

/// The engines that were named, or every one that is here.
fn engines(arguments: &RunArguments) -> Result<Vec<Engine>, Failure> {
    let all = arguments.agent.is_empty() || arguments.agent == ["all"];
    if !all {
        return arguments.agent.iter().map(|name| Engine::find(name).map_err(Failure::from)).collect();
    }
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for engine in Engine::built_in()? {
        match discover(&engine) {
            Ok(_) => found.push(engine),
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
    engine: &Engine,
    expectations: &Expectations,
    arguments: &RunArguments,
    suite: &Suite,
    cases: &[&Case],
    guard: &Guard,
) -> Result<RunRecord, Failure> {
    let folder = arguments.out.join(&engine.name);
    let (mut journal, finished) = Journal::open(&folder, arguments.resume)?;
    let mut progress = Progress::new();
    let options = RunOptions {
        engine,
        webdriver: arguments.webdriver.clone(),
        suite,
        cases: cases.to_vec(),
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
            RunEvent::Started { .. } | RunEvent::Warning(_) => Ok(()),
        }
    };
    let record = tokio::select! {
        record = crosscheck::run(options, guard, &mut listen) => record,
        () = interrupted() => Err(RunError::Interrupted),
    };
    progress.end();
    let record = record?;
    write_record(&folder, &record)?;
    Ok(record)
}

/// Returns when somebody asks the program to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

fn write_record(folder: &Path, record: &RunRecord) -> Result<(), Failure> {
    let path = folder.join("run.json");
    let fault = |error: std::io::Error| Failure::Environment(format!("{}: cannot be written: {error}", path.display()));
    let text = serde_json::to_vec(record).map_err(|error| fault(error.into()))?;
    std::fs::write(&path, text).map_err(fault)
}

fn print_summary(record: &RunRecord) {
    println!(
        "{} {}: {:?} {} requests, {:.0}/s, {} ms",
        record.agent.label, record.agent.version, record.summary.verdicts, record.summary.requests,
        record.summary.requests_per_second, record.duration_ms
    );
    let unexpected: Vec<&CaseRecord> = record.results.iter().filter(|one| one.verdict.is_unexpected()).collect();
    for result in unexpected.iter().take(40) {
        println!("  {} {}", result.verdict, result.id);
        for difference in &result.differences {
            println!("      {}: expected {}, observed {}", difference.at, difference.expected, difference.observed);
        }
        if let Some(note) = &result.note {
            println!("      {note}");
        }
        if result.verdict == Verdict::Error {
            println!("      {}", result.source);
        }
    }
}
