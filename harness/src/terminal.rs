//! Text for a terminal.

use std::fmt::Write as _;

/// The width that texts are wrapped to.
pub(crate) const WIDTH: usize = 100;

pub(crate) const BOLD: &str = "1";
pub(crate) const DIM: &str = "2";

/// A text that grows line by line, coloured or plain.
pub(crate) struct Page {
    pub(crate) out: String,
    coloured: bool,
}

impl Page {
    pub(crate) const fn new(coloured: bool) -> Self {
        Self { out: String::new(), coloured }
    }

    /// A text in a style, an SGR parameter.
    pub(crate) fn paint(&self, style: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A line as it is.
    pub(crate) fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.out, "{:indent$}{text}", "");
    }

    /// A text without styles, in lines of the width.
    pub(crate) fn wrapped(&mut self, indent: usize, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(indent, &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(indent, &line);
    }
}
