//! Changes the executable standard in every way that cargo-mutants knows and sees whether a test fails.
//!
//! cargo-mutants says what to change. It would build the model once for each change, some two thousand times; here all
//! changes are built at once, each behind a switch, and the tests run once for each switch.

mod build;
mod instrument;
mod list;
mod run;

use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Parser;
use miette::{IntoDiagnostic, Result, WrapErr, bail};
use serde::Deserialize;

use crate::list::Mutant;
use crate::run::Fate;

/// The least share of viable mutants that the tests have to catch, in percent.
const WANTED: f64 = 95.0;

/// Tries all mutants of the executable standard against the recorded observations of real browsers.
#[derive(Parser)]
struct Arguments {
    /// Only the mutants of these files.
    #[arg(long = "file", value_name = "GLOB", default_value = "cases/src/standard/**/*.rs")]
    files: Vec<String>,
    /// Only part I of N of the mutants.
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// How many are tried at the same time.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
    /// Also prints the mutants that do not compile and those that no switch can turn on.
    #[arg(long)]
    verbose: bool,
}

/// A mutant that no test can catch, of `ci/mutants-survivors.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivor {
    /// The file, from the top of the project.
    file: String,
    /// What is done, as cargo-mutants says it.
    mutant: String,
    /// The line of code in which it begins, without the white space around.
    line: String,
    /// Why no observation can tell it from the original.
    #[expect(dead_code, reason = "it is for readers")]
    why: String,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().into_diagnostic()?;
    let mutants = listed(&project, &arguments)?;
    let survivors = std::fs::read_to_string(project.join("ci/mutants-survivors.json")).into_diagnostic()?;
    let survivors: Vec<Survivor> =
        serde_json::from_str(&survivors).into_diagnostic().wrap_err("ci/mutants-survivors.json is broken")?;
    eprintln!("{} mutants; building them", mutants.len());
    let built = build::build(&project, &project.join("target/mutants"), &mutants)?;
    let tried: Vec<usize> = (0..mutants.len())
        .filter(|mutant| !built.unviable.contains_key(mutant) && !built.left.contains_key(mutant))
        .collect();
    eprintln!("trying {}", tried.len());
    let fates = run::run(&built, &tried, arguments.jobs)?;

    let count = |wanted| fates.values().filter(|fate| **fate == wanted).count();
    let survived = fates.iter().filter(|(_, fate)| **fate == Fate::Survived).map(|(mutant, _)| &mutants[*mutant]);
    let (mut explained, mut unexplained) = (Vec::new(), Vec::new());
    for mutant in survived {
        let text = std::fs::read_to_string(project.join(&mutant.file)).into_diagnostic()?;
        let line = mutant.line(&text).to_owned();
        let is_it = |known: &&Survivor| {
            mutant.file == Path::new(&known.file) && mutant.change() == known.mutant && line == known.line
        };
        match survivors.iter().find(is_it) {
            Some(_) => explained.push(mutant),
            None => unexplained.push((mutant, line)),
        }
    }
    if arguments.verbose {
        for (kind, of_kind) in [("does not compile", &built.unviable), ("cannot be switched", &built.left)] {
            for (mutant, message) in of_kind {
                println!("{kind}: {}: {message}", mutants[*mutant].name);
            }
        }
    }
    for (mutant, line) in &unexplained {
        println!("survived: {}\n    {line}", mutant.name);
    }
    let (observed, stated, slow) = (count(Fate::Observed), count(Fate::Stated), count(Fate::TimedOut));
    let (caught, viable) = (observed + stated + slow, fates.len());
    let share = percent(caught, viable);
    println!("{} mutants, {viable} viable, {} not tried", mutants.len(), built.left.len());
    println!(
        "{caught} caught, {share:.1} %: {observed} by observations of browsers, {stated} by other tests, {slow} never end"
    );
    println!("{} survive with a reason, {} without one", explained.len(), unexplained.len());
    Ok(if share >= WANTED && unexplained.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn percent(part: usize, of: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let (part, of) = (part as f64, of.max(1) as f64);
    100.0 * part / of
}

/// The mutants that cargo-mutants knows.
fn listed(project: &Path, arguments: &Arguments) -> Result<Vec<Mutant>> {
    let output = Command::new("cargo")
        .args(["mutants", "--list", "--json", "--package", "crosscheck-cases"])
        .args(arguments.files.iter().flat_map(|file| ["--file", file]))
        .args(arguments.shard.iter().flat_map(|shard| ["--shard", shard]))
        .current_dir(project)
        .output()
        .into_diagnostic()
        .wrap_err("cargo does not start")?;
    if !output.status.success() {
        bail!("cargo mutants does not list its mutants:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).into_diagnostic().wrap_err("the list of cargo-mutants is not as expected")
}
