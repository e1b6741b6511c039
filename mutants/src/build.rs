//! Builds the model with all its mutants at once, without those that do not compile.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use serde_json::Value;

use crate::instrument::{Instrumented, instrument};
use crate::list::Mutant;

/// The switch, as the end of the crate's root.
const SWITCH: &str = r#"
static MUTANT: std::sync::LazyLock<std::sync::atomic::AtomicUsize> = std::sync::LazyLock::new(|| {
    let named = std::env::var("MUTANT").ok().and_then(|named| named.parse().ok());
    std::sync::atomic::AtomicUsize::new(named.unwrap_or(usize::MAX))
});

/// Whether this mutant is the one that is on.
#[inline]
pub(crate) fn mutated(mutant: usize) -> bool {
    MUTANT.load(std::sync::atomic::Ordering::Relaxed) == mutant
}

/// Turns on this mutant alone.
pub fn mutate(mutant: usize) {
    MUTANT.store(mutant, std::sync::atomic::Ordering::Relaxed);
}
"#;

/// What tries one mutant after another in one process, as the end of the tests' root: first the test of the
/// recordings, then every other.
const EACH: &str = r#"
#[test]
#[ignore]
fn each_mutant() {
    std::panic::set_hook(Box::new(|_| {}));
    let fails = |test: &fn()| std::panic::catch_unwind(test).is_err();
    if let Some((name, _)) = TESTS.iter().find(|(_, test)| fails(test)) {
        println!("\n{name} fails without any mutant");
        return;
    }
    println!("\nready");
    for line in std::io::stdin().lines() {
        let mutant = line.expect("a line").parse().expect("a number");
        crosscheck_cases::mutate(mutant);
        let failed = TESTS.iter().position(|(_, test)| fails(test));
        crosscheck_cases::mutate(usize::MAX);
        println!("\nmutant {mutant} {}", match failed {
            Some(0) => "observed",
            Some(_) => "stated",
            None => "survived",
        });
    }
}
"#;

/// The folder of the tests that hold the model against observations, against cases that browsers pass, and against
/// itself.
const TESTS: &str = "cases/tests/model/";

/// The test among them that holds it against observations.
const OBSERVATIONS: &str = "recordings";

/// The model with its mutants, built.
pub(crate) struct Built {
    /// The executable of the tests.
    pub(crate) tests: PathBuf,
    /// The executable of the unit tests.
    pub(crate) unit_tests: PathBuf,
    /// The folder that tests run in.
    pub(crate) folder: PathBuf,
    /// Mutants that do not compile, with the compiler's message.
    pub(crate) unviable: BTreeMap<usize, String>,
    /// Mutants that cannot be switched on, with the cause.
    pub(crate) left: BTreeMap<usize, String>,
}

/// Writes a file where it says something else than before, so that no more is built again than has to be.
fn write(path: &Path, text: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|before| before == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).into_diagnostic()?;
    }
    std::fs::write(path, text).into_diagnostic().wrap_err_with(|| format!("{} cannot be written", path.display()))
}

/// Copies what git keeps to a folder of its own, in which nothing is left of an earlier copy.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to).into_diagnostic()?;
    }
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(from)
        .output()
        .into_diagnostic()
        .wrap_err("git does not say which files the project has")?;
    let mut tests = Vec::new();
    for name in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|name| !name.is_empty()) {
        // What was deleted and not yet committed is listed too.
        let Ok(mut text) = std::fs::read(from.join(name)) else { continue };
        if name == "cases/src/lib.rs" {
            text.extend(SWITCH.as_bytes());
        }
        match name.strip_prefix(TESTS).and_then(|name| name.strip_suffix(".rs")) {
            Some("main") => continue,
            Some(module) => {
                let code = String::from_utf8_lossy(&text).replace("#[test]\nfn ", "#[test]\npub(crate) fn ");
                let named = code.split("#[test]\npub(crate) fn ").skip(1).filter_map(|rest| rest.split('(').next());
                tests.extend(named.map(|test| format!("{module}::{test}")));
                text = code.into_bytes();
            }
            None => {}
        }
        write(&to.join(name), &text)?;
    }
    tests.sort_by_key(|test| !test.starts_with(OBSERVATIONS));
    let listed: String = tests.iter().map(|test| format!("    (\"{test}\", {test}),\n")).collect();
    let root = PathBuf::from(TESTS).join("main.rs");
    let text = std::fs::read_to_string(from.join(&root)).into_diagnostic()?;
    let list = format!("\nconst TESTS: &[(&str, fn())] = &[\n{listed}];\n");
    write(&to.join(root), [&text, &list, EACH].concat().as_bytes())
}

/// Builds everything; mutants that do not compile are left out until the rest does.
///
/// # Errors
///
/// When the project cannot be read, or does not compile for another cause than a mutant.
pub(crate) fn build(project: &Path, work: &Path, mutants: &[Mutant]) -> Result<Built> {
    let copied = &work.join("project");
    copy(project, copied)?;
    let mut unviable: BTreeMap<usize, String> = BTreeMap::new();
    let mut left: BTreeMap<usize, String> = BTreeMap::new();
    let files: BTreeSet<&PathBuf> = mutants.iter().map(|mutant| &mutant.file).collect();
    loop {
        let mut instrumented: BTreeMap<&PathBuf, Instrumented> = BTreeMap::new();
        for &file in &files {
            let text = std::fs::read_to_string(project.join(file))
                .into_diagnostic()
                .wrap_err_with(|| format!("{} cannot be read", file.display()))?;
            let is_on = |mutant: &usize| !unviable.contains_key(mutant) && !left.contains_key(mutant);
            let here: Vec<usize> =
                (0..mutants.len()).filter(|&mutant| mutants[mutant].file == *file).filter(is_on).collect();
            let done = instrument(&text, mutants, &here)
                .into_diagnostic()
                .wrap_err_with(|| format!("{} is no Rust", file.display()))?;
            left.extend(done.left.iter().map(|&mutant| (mutant, "no switch can stand there".to_owned())));
            unviable.extend(done.needed.iter().map(|&mutant| (mutant, "the match needs this arm".to_owned())));
            write(&copied.join(file), done.text.as_bytes())?;
            instrumented.insert(file, done);
        }
        let (tests, errors) = compile(copied, &work.join("target"))?;
        if errors.is_empty() {
            let [tests, unit_tests] = tests;
            return Ok(Built { tests, unit_tests, folder: copied.join("cases"), unviable, left });
        }
        let (known, mut other) = (unviable.len() + left.len(), String::new());
        for error in errors {
            let of_file = |file: &PathBuf| instrumented.get(file).map_or([].as_slice(), |done| &done.places);
            let is_in = |at: &Range<usize>, range: &Range<usize>| range.start <= at.start && at.end <= range.end;
            let places =
                error.spans.iter().flat_map(|(file, at)| of_file(file).iter().map(move |place| (file, place, at)));
            let own = places.clone().find(|(_, place, at)| is_in(at, &place.own));
            let around = places.filter(|(_, place, at)| is_in(at, &place.whole));
            if let Some((_, place, _)) = own {
                unviable.insert(place.mutant, error.message);
            } else if let Some((file, innermost, _)) = around.min_by_key(|(_, place, _)| place.whole.len()) {
                let same = of_file(file).iter().filter(|other| other.whole == innermost.whole);
                left.extend(same.map(|other| (other.mutant, error.message.clone())));
            } else {
                other.push_str(&error.rendered);
            }
        }
        if known == unviable.len() + left.len() {
            bail!("the model does not compile with its mutants:\n{other}");
        }
        eprintln!("  {} mutants do not compile, {} cannot be switched", unviable.len(), left.len());
    }
}

/// An error of the compiler.
struct CompileError {
    message: String,
    rendered: String,
    /// Files and ranges in bytes, the primary ones first.
    spans: Vec<(PathBuf, Range<usize>)>,
}

/// Compiles the tests: their executables and those of the unit tests, and the compiler's errors.
fn compile(folder: &Path, target: &Path) -> Result<([PathBuf; 2], Vec<CompileError>)> {
    let output = Command::new("cargo")
        .args(["test", "--profile", "mutants", "--package", "crosscheck-cases", "--lib", "--test", "model"])
        .args(["--no-run", "--message-format=json", "--quiet"])
        .env("CARGO_TARGET_DIR", target)
        .current_dir(folder)
        .stderr(Stdio::null())
        .output()
        .into_diagnostic()
        .wrap_err("cargo does not start")?;
    let (mut tests, mut errors) = (BTreeMap::new(), Vec::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(said) = serde_json::from_str::<Value>(line) else { continue };
        if let (Some(name), Some(path)) = (said["target"]["name"].as_str(), said["executable"].as_str()) {
            tests.insert(name.to_owned(), PathBuf::from(path));
        }
        let message = &said["message"];
        if message["level"] == "error" {
            errors.push(error(message));
        }
    }
    let built = ["model", "crosscheck_cases"].map(|name| tests.remove(name).unwrap_or_default());
    if errors.is_empty() && !output.status.success() {
        bail!("cargo does not build the tests of {}", folder.display());
    }
    Ok((built, errors))
}

fn error(message: &Value) -> CompileError {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
    let mut spans = Vec::new();
    for is_primary in [true, false] {
        let of_kind = message["spans"].as_array().into_iter().flatten().filter(|span| span["is_primary"] == is_primary);
        spans.extend(of_kind.map(|span| {
            (PathBuf::from(text(&span["file_name"])), number(&span["byte_start"])..number(&span["byte_end"]))
        }));
    }
    CompileError { message: text(&message["message"]), rendered: text(&message["rendered"]), spans }
}
