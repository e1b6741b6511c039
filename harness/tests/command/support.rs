//! What the tests of the command share.
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crosscheck_reports::{CaseRecord, RunRecord, read_run};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Whether an agent can be run here. Where `CROSSCHECK_REQUIRE_BROWSERS` is set, every browser must be.
pub(crate) fn available(engine: &str) -> bool {
    if engine == "reference" {
        return true;
    }
    let engine = crosscheck::Engine::find(engine).expect("an engine that comes with the program");
    match crosscheck::discover(&engine) {
        Ok(_) => true,
        Err(missing) if std::env::var_os("CROSSCHECK_REQUIRE_BROWSERS").is_some() => panic!("{missing}"),
        Err(missing) => {
            eprintln!("skipped: {missing}");
            false
        }
    }
}

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder of its own for a test, with a suite of one file, and a command that runs in it.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("tmp")).expect("a folder");
        Self { folder }
    }

    /// A bench whose suite has these cases, each with defaults for what it leaves out.
    pub(crate) fn with_cases(cases: Value) -> Self {
        let bench = Self::new();
        let file = json!({
            "topic": "sample",
            "about": "A sample.",
            "defaults": { "requires": ["fetch.cors-check.4b"], "when": { "fetch": "https://api.other.test/" } },
            "cases": cases
        });
        bench.write("suite/sample.json", &file.to_string());
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// `crosscheck` in the bench's folder, with temporary files in `tmp` below it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosscheck"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TMPDIR", self.path("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A run of the bench's own suite.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(&[&["run", "--suite", "suite", "--out", "out"], arguments].concat()).output().expect("it starts")
    }

    pub(crate) fn start_run(&self, arguments: &[&str]) -> Child {
        self.command(&[&["run", "--suite", "suite", "--out", "out"], arguments].concat()).spawn().expect("it starts")
    }

    pub(crate) fn record(&self, agent: &str) -> RunRecord {
        read_run(&self.path("out").join(agent)).expect("a run record")
    }

    /// The one result of a run of one case.
    pub(crate) fn only_result(&self, agent: &str) -> CaseRecord {
        let record = self.record(agent);
        assert_eq!(record.results.len(), 1);
        record.results.into_iter().next().expect("a result")
    }

    /// Processes of runs of this bench that are still there.
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
        let mark = format!("CROSSCHECK_RUN={}", self.path("tmp").display());
        let entries = std::fs::read_dir("/proc").expect("/proc");
        entries
            .flatten()
            .filter_map(|entry| {
                let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
                let environment = std::fs::read(entry.path().join("environ")).ok()?;
                let marked = environment.split(|byte| *byte == 0).any(|one| one.starts_with(mark.as_bytes()));
                let command = std::fs::read(entry.path().join("cmdline")).ok()?;
                marked.then(|| (pid, String::from_utf8_lossy(&command).replace('\0', " ")))
            })
            .collect()
    }

    /// Nothing is left of any run: no process and no temporary file.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.processes(), [], "processes are left");
        let left: Vec<_> = std::fs::read_dir(self.path("tmp")).expect("a folder").flatten().collect();
        assert!(left.is_empty(), "temporary files are left: {left:?}");
    }
}

/// Looks again and again until there is something to see.
pub(crate) fn wait_until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Some(seen) = look() {
            return seen;
        }
        std::thread::yield_now();
    }
    panic!("waited in vain for {what}");
}

/// Reads what a run says until it says `part`; the rest is read and dropped. Gives what was read.
pub(crate) fn wait_for_line(run: &mut Child, part: &str) -> String {
    let mut lines = BufReader::new(run.stderr.take().expect("it is piped")).lines();
    let mut said = String::new();
    for line in lines.by_ref().map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if line.contains(part) {
            std::thread::spawn(move || lines.for_each(drop));
            return said;
        }
    }
    panic!("it never said {part:?}: {said}");
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A case that passes in every engine.
pub(crate) fn sound_case(id: &str) -> Value {
    json!({
        "id": id, "title": "The page's own origin opens the response",
        "given": { "https://api.other.test/": { "headers": [["Access-Control-Allow-Origin", "{page}"]] } },
        "then": { "page": { "result": "response", "type": "cors", "body": "hello" }, "wire": ["GET"] }
    })
}

/// A case that keeps the page waiting for a while.
pub(crate) fn slow_case(id: &str) -> Value {
    let mut case = sound_case(id);
    case["given"]["https://api.other.test/"]["delay-ms"] = 5000.into();
    case
}
