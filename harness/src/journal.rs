use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crosscheck_reports::CaseRecord;

/// A run's results as they come: `DIR/<agent>/journal.jsonl`, one [`CaseRecord`] a line. A run that was cut off goes on
/// from it.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

/// The journal cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{}: the run's journal cannot be {action}: {source}", path.display())]
pub struct JournalError {
    /// The file.
    pub path: PathBuf,
    /// What was tried.
    pub action: &'static str,
    /// Why it failed.
    pub source: std::io::Error,
}

impl Journal {
    /// Opens the journal of a folder: a new one, or with `resume` the one that is there, whose results it returns. A
    /// last line that was cut off is dropped.
    ///
    /// # Errors
    /// The folder or file cannot be made, read or written.
    pub fn open(folder: &Path, resume: bool) -> Result<(Self, Vec<CaseRecord>), JournalError> {
        let path = folder.join("journal.jsonl");
        let fault = |action| {
            let path = path.clone();
            move |source| JournalError { path, action, source }
        };
        std::fs::create_dir_all(folder).map_err(fault("made"))?;
        let mut records = Vec::new();
        if resume && path.exists() {
            let old = BufReader::new(File::open(&path).map_err(fault("read"))?);
            for line in old.lines() {
                let line = line.map_err(fault("read"))?;
                match serde_json::from_str(&line) {
                    Ok(record) => records.push(record),
                    Err(error) => {
                        tracing::warn!("{}: a line was cut off ({error}); its case runs again", path.display())
                    }
                }
            }
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path).map_err(fault("written"))?;
        let mut journal = Self { file, path };
        for record in &records {
            journal.write(record)?;
        }
        Ok((journal, records))
    }

    /// Appends a result, in one piece.
    ///
    /// # Errors
    /// It cannot be written: the disk is full, say.
    pub fn write(&mut self, record: &CaseRecord) -> Result<(), JournalError> {
        let fault = |source| JournalError { path: self.path.clone(), action: "written", source };
        let mut line = serde_json::to_vec(record).map_err(|error| fault(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(fault)
    }
}
