use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crosscheck::check::report::{render_change, render_html, render_junit, render_markdown, render_sarif, render_text};
use crosscheck::check::{
    CheckOptions, CheckRecord, Policy, Severity, check, compare, confirm, init, is_local, read_policy, start,
};
use crosscheck::guard::Guard;
use crosscheck::transport::Trust;
use crosscheck::{Engine, discover};
use url::Url;

use super::arguments::{FailOn, ServerArguments, ServerCommand, ServerFormat};
use super::progress::BEAT;
use super::{Ended, Failure};
use crosscheck_cases::read_text;

/// Checks a server against its policy.
pub(crate) async fn server(arguments: ServerArguments) -> Result<Ended, Failure> {
    if let Some(ServerCommand::Compare { before, after, format }) = &arguments.command {
        return compare_files(before, after, *format);
    }
    let trust = if arguments.insecure { Trust::Anything } else { Trust::Roots };
    if let Some(url) = &arguments.init {
        return first_policy(url, &arguments, trust).await;
    }
    let Some(path) = &arguments.policy else {
        return Err(Failure::Usage("name a policy file, or write a first one: --init URL".to_owned()));
    };
    let policy = read_policy(path)?;
    may_ask(&policy.target, &arguments)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let options = CheckOptions { changes: arguments.changes, cost: arguments.measure_cost, trust };
    let engines = engines(&arguments)?;
    let mut interrupts = super::run::Interrupts::take()?;
    let guard = if engines.is_empty() { None } else { Some(super::run::guard()?) };
    let browsers = guard.as_ref().map(|guard| (engines.as_slice(), guard));
    let record = tokio::select! {
        record = checked(&policy, path, folder, options, browsers) => record,
        () = interrupts.wait() => Err(Failure::Interrupted("interrupted".to_owned())),
    };
    if let Some(guard) = guard {
        guard.finish().await;
    }
    let record = record?;
    write(&record, &arguments)?;
    if record.has_disagreement() {
        tell!(
            "A browser does not do what the executable standard says (see DISAGREEMENT above). Unless the server treats \
             browsers otherwise than this check, that is a fault of Crosscheck or of the browser: please report it."
        );
        return Ok(Ended::Disagreement);
    }
    if let Some(why) = &record.not_judged {
        return Err(Failure::Environment(format!(
            "not judged: {why}, though each was sent several times and ever more slowly. Ask it more gently (\"limits\" in the \
             policy), or see what the server does with them"
        )));
    }
    let worst = record.findings.iter().map(|finding| finding.severity).min();
    let fails = worst.is_some_and(|worst| worst <= severity(arguments.fail_on));
    Ok(if fails { Ended::Unexpected } else { Ended::AsExpected })
}

async fn checked(
    policy: &Policy,
    path: &Path,
    folder: &Path,
    options: CheckOptions,
    browsers: Option<(&[Engine], &Guard)>,
) -> Result<CheckRecord, Failure> {
    // It ends when this does.
    let _started = start(policy, folder).await.map_err(Failure::Environment)?;
    let requests = Arc::new(AtomicU32::new(0));
    let name = path.display().to_string();
    let mut checking = std::pin::pin!(check(policy, &name, options, &requests));
    let started = Instant::now();
    let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + BEAT, BEAT);
    let mut record = loop {
        tokio::select! {
            record = &mut checking => break record?,
            _ = beat.tick() => {
                let (sent, seconds) = (requests.load(Ordering::Relaxed), started.elapsed().as_secs());
                tell!("{}: {sent} requests after {seconds} s", policy.target);
            }
        }
    };
    for (engine, guard) in browsers.iter().flat_map(|(engines, guard)| engines.iter().map(move |one| (one, *guard))) {
        confirm(policy, &mut record, options, engine, guard)
            .await
            .map_err(|error| Failure::Environment(format!("{}: {error}", engine.label)))?;
    }
    Ok(record)
}

/// The browsers that confirm; all of them are there.
fn engines(arguments: &ServerArguments) -> Result<Vec<Engine>, Failure> {
    let engines = arguments.confirm.iter().map(|name| Engine::find(name)).collect::<Result<Vec<_>, _>>()?;
    for engine in &engines {
        discover(engine).map_err(|missing| Failure::Environment(missing.to_string()))?;
    }
    Ok(engines)
}

/// Other people's servers are not probed by mistake.
fn may_ask(target: &str, arguments: &ServerArguments) -> Result<(), Failure> {
    let local = Url::parse(target).is_ok_and(|url| is_local(&url));
    if local || arguments.i_own_this_host {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{target} is not this machine. Hundreds of requests would be sent to it: add --i-own-this-host if you run it, \
         or have its owner's permission"
    )))
}

async fn first_policy(url: &str, arguments: &ServerArguments, trust: Trust) -> Result<Ended, Failure> {
    let url = match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        _ => return Err(Failure::Usage(format!("{url:?} is not an http or https URL"))),
    };
    may_ask(url.as_str(), arguments)?;
    let policy =
        init(&url, &arguments.origin, trust).await.map_err(|trouble| Failure::Environment(trouble.to_string()))?;
    say!("{}", super::json(&policy)?);
    tell!(
        "This is what the server does, not what it should do: read it, correct it, then check the server against it."
    );
    Ok(Ended::AsExpected)
}

fn write(record: &CheckRecord, arguments: &ServerArguments) -> Result<(), Failure> {
    let json = || super::json(record);
    let save = |path: &Path, text: &str| {
        std::fs::write(path, text)
            .map_err(|error| Failure::Environment(format!("{} cannot be written: {error}", path.display())))
    };
    if let Some(path) = &arguments.json {
        save(path, &json()?)?;
    }
    if let Some(path) = &arguments.sarif {
        save(path, &super::json(&render_sarif(record))?)?;
    }
    if let Some(path) = &arguments.junit {
        let junit = render_junit(record, severity(arguments.fail_on));
        save(path, &junit.map_err(|error| Failure::Environment(error.to_string()))?)?;
    }
    if let Some(path) = &arguments.markdown {
        save(path, &render_markdown(record))?;
    }
    if let Some(path) = &arguments.html {
        save(path, &render_html(record).map_err(|error| Failure::Environment(error.to_string()))?)?;
    }
    match arguments.format {
        ServerFormat::Json => say!("{}", json()?),
        ServerFormat::Markdown => super::write_out(&render_markdown(record)),
        ServerFormat::Text => {
            let coloured =
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            super::write_out(&render_text(record, coloured, arguments.verbose));
        }
    }
    Ok(())
}

fn compare_files(before: &Path, after: &Path, format: ServerFormat) -> Result<Ended, Failure> {
    let read = |path: &Path| -> Result<CheckRecord, Failure> {
        let text = read_text(path, 256 << 20)
            .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))?;
        let record: CheckRecord = serde_json::from_str(&text).map_err(|error| {
            Failure::Usage(format!("{} is not the result of a check (--json): {error}", path.display()))
        })?;
        if record.format != 1 {
            return Err(Failure::Usage(format!("{} has the unknown format {}", path.display(), record.format)));
        }
        Ok(record)
    };
    let change = compare(&read(before)?, &read(after)?);
    match format {
        ServerFormat::Json => {
            say!("{}", super::json(&change)?);
        }
        ServerFormat::Text | ServerFormat::Markdown => super::write_out(&render_change(&change)),
    }
    Ok(if change.is_worse() { Ended::Unexpected } else { Ended::AsExpected })
}

const fn severity(fail_on: FailOn) -> Severity {
    match fail_on {
        FailOn::Hole => Severity::Hole,
        FailOn::Break => Severity::Break,
        FailOn::Poison => Severity::Poison,
        FailOn::Cost => Severity::Cost,
        FailOn::Hygiene => Severity::Hygiene,
        FailOn::Note => Severity::Note,
    }
}
