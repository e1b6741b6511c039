//! What cargo-mutants would change.

use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;

/// What kind of place a mutant changes, as cargo-mutants calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

/// A mutant of cargo-mutants' list.
#[derive(Debug, Deserialize)]
pub(crate) struct Mutant {
    /// The whole name: file, line, column and what is done.
    pub(crate) name: String,
    /// The file, from the top of the workspace.
    pub(crate) file: PathBuf,
    pub(crate) genre: Genre,
    /// What stands in place of the span.
    pub(crate) replacement: String,
    pub(crate) span: Between,
}

/// Where the text to replace begins and ends.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Between {
    pub(crate) start: At,
    pub(crate) end: At,
}

/// A line and a column in characters, both counted from one.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct At {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl At {
    /// The place in bytes of the file's text.
    fn byte(self, text: &str) -> usize {
        let line = text.split_inclusive('\n').take(self.line - 1).map(str::len).sum::<usize>();
        text[line..].char_indices().nth(self.column - 1).map_or(text.len(), |(column, _)| line + column)
    }
}

impl Mutant {
    /// Where the text to replace stands, in bytes of the file's text.
    pub(crate) fn bytes(&self, text: &str) -> Range<usize> {
        self.span.start.byte(text)..self.span.end.byte(text)
    }

    /// What is done, without line and column.
    pub(crate) fn change(&self) -> &str {
        self.name.splitn(4, ':').last().unwrap_or(&self.name).trim_start()
    }

    /// The line of code in which it begins, without the white space around.
    pub(crate) fn line<'a>(&self, text: &'a str) -> &'a str {
        text.lines().nth(self.span.start.line - 1).unwrap_or_default().trim()
    }
}
