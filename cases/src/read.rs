use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::deserialize_all::deserialize_all;
use crate::source_map::{Segment, SourceMap};
use crate::{Fault, Faults};

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
