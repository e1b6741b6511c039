use std::path::PathBuf;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use crate::visible::{visible, visible_in_place};

/// One mistake in a case file (or another JSON file that people write), with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1.
    pub column: usize,
    /// Byte offset and length in the file's text.
    pub span: (usize, usize),
    /// What is wrong, and what was expected.
    pub message: String,
}

/// All mistakes of a set of files, together with their texts, so that they can be shown in place.
#[derive(Debug, thiserror::Error)]
#[error("{}", faults_line(.faults))]
pub struct Faults {
    /// The mistakes, in the order of files and lines.
    pub faults: Vec<Fault>,
    shown: Vec<ShownFault>,
}

fn faults_line(faults: &[Fault]) -> String {
    match faults.len() {
        1 => "a mistake in the file".to_owned(),
        count => format!("{count} mistakes in the files"),
    }
}

impl Faults {
    /// Joins faults with the texts of their files.
    #[must_use]
    pub fn new(mut faults: Vec<Fault>, texts: &[(PathBuf, String)]) -> Self {
        faults.sort_by(|a, b| (&a.file, a.span).cmp(&(&b.file, b.span)));
        faults.dedup();
        let shown = faults
            .iter()
            .map(|fault| {
                let text = texts.iter().find(|(file, _)| *file == fault.file).map(|(_, text)| visible_in_place(text));
                ShownFault {
                    message: visible(&format!(
                        "{}:{}:{}: {}",
                        fault.file.display(),
                        fault.line,
                        fault.column,
                        fault.message
                    )),
                    span: fault.span,
                    text: NamedSource::new(visible(&fault.file.display().to_string()), text.unwrap_or_default()),
                }
            })
            .collect();
        Self { faults, shown }
    }
}

impl Diagnostic for Faults {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.shown.iter().map(|fault| fault as &dyn Diagnostic)))
    }
}

/// The longest line that is shown.
const LONGEST_LINE: usize = 1000;

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct ShownFault {
    message: String,
    span: (usize, usize),
    text: NamedSource<String>,
}

impl Diagnostic for ShownFault {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        // A file that is one endless line cannot be shown in place; the message names line and column.
        let is_there = !self.text.inner().is_empty();
        let readable = is_there && self.text.inner().lines().all(|line| line.len() <= LONGEST_LINE);
        readable.then_some(&self.text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.span))))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn a_file_of_one_endless_line_is_reported_without_showing_it() {
        let text = format!(r#"{{"topic": "t", "about": "{}", "cases": 1}}"#, "x".repeat(70_000));
        let faults = crate::load_text(Path::new("long.json"), &text).expect_err("a faulty file");
        let shown = format!("{:?}", miette::Report::new(faults));
        assert!(shown.contains("long.json:1:70") && shown.len() < 1000, "{shown}");
    }
}
