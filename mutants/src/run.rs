//! Turns on one mutant after another and sees which tests fail.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, bail};

use crate::build::Built;

/// A mutant that takes longer than this goes on for ever, and is caught by that.
const LONGEST: Duration = Duration::from_secs(120);

/// How the tests took a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The model disagrees with an observation of a browser.
    Observed,
    /// The model disagrees with what a hand-written case states, or a further test fails.
    Stated,
    /// A test went on for longer than [`LONGEST`].
    TimedOut,
    Survived,
}

/// A process that tries one mutant after another against the model's tests, and reads suite and recordings once.
struct Trier {
    child: Child,
    asks: ChildStdin,
    answers: mpsc::Receiver<String>,
}

impl Trier {
    fn start(test: &Path, folder: &Path) -> Result<Self> {
        let mut child = Command::new(test)
            .args(["--ignored", "--exact", "each_mutant", "--nocapture"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .into_diagnostic()
            .wrap_err_with(|| format!("{} does not start", test.display()))?;
        let (Some(asks), Some(says)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the test's input and output are not there");
        };
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(says).lines().map_while(std::io::Result::ok);
            lines
                .filter(|line| line == "ready" || line.starts_with("mutant ") || line.ends_with("any mutant"))
                .all(|line| sender.send(line).is_ok())
        });
        let trier = Self { child, asks, answers };
        match trier.answers.recv_timeout(LONGEST) {
            Ok(ready) if ready == "ready" => Ok(trier),
            Ok(fault) => bail!("{fault}"),
            _ => bail!("{} did not get ready in {LONGEST:?}", test.display()),
        }
    }

    /// Tries a mutant; the process is of no use any more where nothing is returned.
    fn try_one(&mut self, mutant: usize) -> Option<Fate> {
        writeln!(self.asks, "{mutant}").ok()?;
        match self.answers.recv_timeout(LONGEST).ok()?.rsplit(' ').next()? {
            "observed" => Some(Fate::Observed),
            "stated" => Some(Fate::Stated),
            _ => Some(Fate::Survived),
        }
    }
}

impl Drop for Trier {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets several threads take from a queue until it is empty.
fn spread<T: Send>(
    jobs: usize,
    queue: impl IntoIterator<Item = usize>,
    work: impl Fn(&dyn Fn() -> Option<usize>) -> Result<Vec<T>> + Sync,
) -> Result<Vec<T>> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new(queue.into_iter().collect());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(|| work(&next))).collect();
        let mut all = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(done) => all.extend(done?),
                Err(_) => bail!("a thread panicked"),
            }
        }
        Ok(all)
    })
}

/// Tries each of these mutants: first against the model's tests, many in one process; those that survive, then, in
/// processes of their own, against the unit tests.
///
/// # Errors
///
/// When a test does not start, or fails without any mutant.
pub(crate) fn run(built: &Built, mutants: &[usize], jobs: usize) -> Result<BTreeMap<usize, Fate>> {
    if alone(&built.unit_tests, &built.folder, usize::MAX) != Fate::Survived {
        bail!("a unit test fails without any mutant");
    }
    let tried = AtomicUsize::new(0);
    let first = spread(jobs, mutants.iter().copied(), |next| {
        let mut trier = Trier::start(&built.tests, &built.folder)?;
        let mut done = Vec::new();
        while let Some(mutant) = next() {
            let fate = match trier.try_one(mutant) {
                Some(fate) => fate,
                None => {
                    trier = Trier::start(&built.tests, &built.folder)?;
                    Fate::TimedOut
                }
            };
            done.push((mutant, fate));
            let tried = tried.fetch_add(1, Ordering::Relaxed) + 1;
            if tried.is_multiple_of(100) {
                eprintln!("  {tried} of {}", mutants.len());
            }
        }
        Ok(done)
    })?;
    let mut fates: BTreeMap<usize, Fate> = first.into_iter().collect();
    let survived: Vec<usize> =
        fates.iter().filter(|(_, fate)| **fate == Fate::Survived).map(|(mutant, _)| *mutant).collect();
    eprintln!("  {} of {} survive the model's tests; now the unit tests", survived.len(), fates.len());
    let second = spread(jobs, survived, |next| {
        let mut done = Vec::new();
        while let Some(mutant) = next() {
            done.push((mutant, alone(&built.unit_tests, &built.folder, mutant)));
        }
        Ok(done)
    })?;
    fates.extend(second);
    Ok(fates)
}

/// Runs one test in a process of its own.
fn alone(test: &Path, folder: &Path, mutant: usize) -> Fate {
    let started = Command::new(test)
        .env("MUTANT", mutant.to_string())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = started else { return Fate::Stated };
    let id = child.id();
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut child = child;
        sender.send(child.wait().is_ok_and(|status| status.success()))
    });
    match ended.recv_timeout(LONGEST) {
        Ok(true) => Fate::Survived,
        Ok(false) => Fate::Stated,
        Err(_) => {
            // The thread that waits for it ends with it.
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
            Fate::TimedOut
        }
    }
}
