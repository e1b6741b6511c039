use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::deserialize_all::deserialize_all;
use crate::source_map::{Segment, SourceMap};
use crate::{Fault, Faults};

/// How large a file may be that people write: cases, policies, engines, expectations.
pub const WRITTEN_LIMIT: u64 = 16 << 20;

/// Reads a text file of at most `limit` bytes.
///
/// # Errors
/// It cannot be read, is no ordinary file (a pipe or a device may never end), is larger, or is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let other = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        let kind = if meta.is_dir() { "a folder" } else { "a pipe, a socket or a device" };
        return Err(other(format!("it is {kind}, and a file is expected")));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(other(format!("it is larger than {} MB, the most that is read here", limit >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        other(format!("it is not UTF-8: line {line}, byte {column}"))
    })
}

/// A JSON file that people write: its value, and where things stand in its text.
pub struct JsonFile<'t> {
    file: PathBuf,
    text: &'t str,
    source: SourceMap<'t>,
}

impl<'t> JsonFile<'t> {
    /// A file with this text.
    #[must_use]
    pub fn new(file: &Path, text: &'t str) -> Self {
        Self { file: file.to_owned(), text, source: SourceMap::new(file, text) }
    }

    /// Reads the text.
    ///
    /// # Errors
    /// All mistakes, each with its place: it is not JSON, a member stands twice, or the value does not fit the type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Faults> {
        let value: Value = match serde_json::from_str(self.text) {
            Ok(value) => value,
            Err(error) => {
                let message = format!("not JSON: {error}");
                return Err(self.faults(vec![self.source.fault_at_line(error.line(), error.column(), message)]));
            }
        };
        let mut faults = self.source.repeated_members();
        match deserialize_all(&value) {
            Ok(read) if faults.is_empty() => Ok(read),
            Ok(_) => Err(self.faults(faults)),
            Err(mistakes) => {
                faults.extend(mistakes.into_iter().map(|(path, message)| self.source.fault(&path, message)));
                Err(self.faults(faults))
            }
        }
    }

    /// A fault at the deepest part of a JSON pointer (without escapes) that the file has.
    #[must_use]
    pub fn fault(&self, pointer: &str, message: impl Into<String>) -> Fault {
        let path: Vec<Segment> = pointer
            .split('/')
            .skip(1)
            .map(|part| match part.parse() {
                Ok(index) => Segment::Item(index),
                Err(_) => Segment::Member(part.to_owned()),
            })
            .collect();
        self.source.fault(&path, message)
    }

    /// Faults that are shown in this file.
    #[must_use]
    pub fn faults(&self, faults: Vec<Fault>) -> Faults {
        Faults::new(faults, &[(self.file.clone(), self.text.to_owned())])
    }
}

impl std::fmt::Debug for JsonFile<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("JsonFile").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ordinary_files_of_bounded_size_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        for (bytes, limit, fault) in [
            (&b"plain"[..], 5, None),
            (b"longer", 5, Some("larger than 0 MB")),
            (b"one\ntwo \xff", 100, Some("not UTF-8: line 2, byte 5")),
        ] {
            std::fs::write(&path, bytes).expect("a file");
            let read = read_text(&path, limit);
            match fault {
                None => assert_eq!(read.expect("a text").as_bytes(), bytes),
                Some(fault) => assert!(read.expect_err("a fault").to_string().contains(fault)),
            }
        }
        for (path, fault) in [(Path::new("/dev/zero"), "a device"), (folder.path(), "a folder")] {
            assert!(read_text(path, 100).expect_err("a fault").to_string().contains(fault));
        }
    }
}
