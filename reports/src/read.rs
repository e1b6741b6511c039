use std::io;
use std::path::{Path, PathBuf};

use crosscheck_cases::read_text;
use serde::Deserialize;

use crate::{FORMAT, RunRecord};

/// Why a run record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is nothing at the path.
    #[error("{} does not exist: expected a run record (run.json), or the folder that a run wrote with --out", .path.display())]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// The folder holds no run.
    #[error("{} holds no run: expected run.json in it, or in a folder for each agent (chromium/run.json)", .folder.display())]
    NoRun {
        /// What was asked for.
        folder: PathBuf,
    },
    /// The folder holds several runs where one was asked for.
    #[error("{} holds {count} runs where one is expected: name one of them, such as {}", .folder.display(), .first.display())]
    Several {
        /// What was asked for.
        folder: PathBuf,
        /// How many runs are in it.
        count: usize,
        /// The first of them.
        first: PathBuf,
    },
    /// The operating system refuses.
    #[error("{} cannot be read: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file is not JSON; a run that was broken off leaves its results in `journal.jsonl`.
    #[error("{}:{}:{}: not JSON ({error}); a run that was broken off leaves a journal.jsonl: crosscheck run --resume finishes it",
        .file.display(), .error.line(), .error.column())]
    NotJson {
        /// The file.
        file: PathBuf,
        /// What the parser says.
        #[source]
        error: serde_json::Error,
    },
    /// The file is JSON and not a run record.
    #[error("{} is not a run record: it has no \"format\" that is a number, which every run.json begins with", .file.display())]
    NotARun {
        /// The file.
        file: PathBuf,
    },
    /// The file is written in another version of the format.
    #[error("{} is a run record of format {found}, written by crosscheck {written_by}; this program reads format {FORMAT}: \
        use that version of crosscheck, or run the suite again", .file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// The format that it states.
        found: u64,
        /// The version of the program that wrote it, as it states.
        written_by: String,
    },
    /// A member is not what the format demands.
    #[error("{}: {at}: {message}; reports/schema/run.json describes what is expected", .file.display())]
    Member {
        /// The file.
        file: PathBuf,
        /// The path of the member, such as `results[3].verdict`.
        at: String,
        /// What is wrong with it.
        message: String,
    },
}

/// Reads one run: `run.json`, or a folder that holds just one.
///
/// # Errors
/// Nothing there, several runs, not a run record, or one of another format.
pub fn read_run(path: &Path) -> Result<RunRecord, ReadError> {
    let files = run_files(path)?;
    match files.as_slice() {
        [file] => read_file(file),
        _ => Err(ReadError::Several { folder: path.to_owned(), count: files.len(), first: files[0].clone() }),
    }
}

/// Reads every run at a path: `run.json` itself, the one in a folder, or one in each of its folders (`DIR/*/run.json`)
/// in the order of their names. Never empty.
///
/// # Errors
/// Those of [`read_run`], but for several runs.
pub fn read_runs(path: &Path) -> Result<Vec<RunRecord>, ReadError> {
    run_files(path)?.iter().map(|file| read_file(file)).collect()
}

fn run_files(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.exists() {
        return Err(ReadError::Missing { path: path.to_owned() });
    }
    if !path.is_dir() {
        // A pipe or a device: reading it says what it is.
        return Ok(vec![path.to_owned()]);
    }
    let own = path.join("run.json");
    if own.is_file() {
        return Ok(vec![own]);
    }
    let unreadable = |source| ReadError::Io { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path().join("run.json");
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() { Err(ReadError::NoRun { folder: path.to_owned() }) } else { Ok(files) }
}

/// How large a run record may be.
const LIMIT: u64 = 1 << 30;

/// What is looked at before the rest is trusted to be in this format.
#[derive(Deserialize)]
struct Envelope {
    format: Option<serde_json::Value>,
    suite: Option<serde_json::Value>,
}

fn read_file(file: &Path) -> Result<RunRecord, ReadError> {
    let text = read_text(file, LIMIT).map_err(|source| ReadError::Io { path: file.to_owned(), source })?;
    // Another format may look like anything else, so the number is read before the record.
    let envelope: Envelope = serde_json::from_str(&text).map_err(|error| {
        if error.is_data() && error.to_string().contains("duplicate field") {
            ReadError::Member {
                file: file.to_owned(),
                at: "format".to_owned(),
                message: "a member stands twice".to_owned(),
            }
        } else if error.is_data() {
            ReadError::NotARun { file: file.to_owned() }
        } else {
            ReadError::NotJson { file: file.to_owned(), error }
        }
    })?;
    let found = envelope.format.as_ref().and_then(serde_json::Value::as_u64);
    match found {
        None => return Err(ReadError::NotARun { file: file.to_owned() }),
        Some(found) if found != u64::from(FORMAT) => {
            let version = envelope.suite.as_ref().and_then(|suite| suite.get("version")?.as_str());
            let written_by = version.unwrap_or("of unknown version").to_owned();
            return Err(ReadError::Format { file: file.to_owned(), found, written_by });
        }
        Some(_) => {}
    }
    let mut reader = serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| ReadError::Member {
        file: file.to_owned(),
        at: error.path().to_string(),
        message: error.inner().to_string(),
    })
}
