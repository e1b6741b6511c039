//! Text for a terminal.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};

use crosscheck_cases::visible;

/// The width that texts are wrapped to.
pub(crate) const WIDTH: usize = 100;

pub(crate) const BOLD: &str = "1";
pub(crate) const DIM: &str = "2";

/// A text that grows line by line, coloured or plain. Nothing that stands in a line reaches the terminal but as something
/// that is seen: what comes from servers and files may hold escapes.
pub(crate) struct Page {
    pub(crate) out: String,
    /// What marks a style of ours in a text: nobody outside can know it.
    mark: Option<String>,
}

/// Begin a style, end its name, end the styled text: characters that are never shown as they are.
const STYLE: [char; 3] = ['\u{fff9}', '\u{fffa}', '\u{fffb}'];

impl Page {
    pub(crate) fn new(coloured: bool) -> Self {
        let mark = coloured.then(|| format!("{:x};", RandomState::new().hash_one(0)));
        Self { out: String::new(), mark }
    }

    /// A text in a style, an SGR parameter.
    pub(crate) fn paint(&self, style: &str, text: &str) -> String {
        let [begin, named, end] = STYLE;
        match &self.mark {
            Some(mark) => format!("{begin}{mark}{style}{named}{text}{end}{mark}"),
            None => text.to_owned(),
        }
    }

    /// A line.
    pub(crate) fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.out, "{:indent$}{}", "", self.shown(text));
    }

    /// The text as it may go to a terminal: our own styles as escapes, all else visible.
    fn shown(&self, text: &str) -> String {
        let [begin, named, end] = STYLE;
        let Some(mark) = &self.mark else { return visible(text) };
        let (begin, end) = (format!("{begin}{mark}"), format!("{end}{mark}"));
        let mut shown = String::with_capacity(text.len());
        for (position, part) in text.split(&begin).enumerate() {
            let (style, part) = match position {
                0 => ("", part),
                _ => part.split_once(named).unwrap_or(("0", part)),
            };
            if position > 0 {
                let _ = write!(shown, "\u{1b}[{style}m");
            }
            let ended: Vec<String> = part.split(&end).map(visible).collect();
            shown.push_str(&ended.join("\u{1b}[0m"));
        }
        shown
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_styles_reach_a_terminal() {
        let hostile = "\u{1b}[2J\u{7}\u{9b}31m\u{202e}\u{fff9}1;31\u{fffa}x\u{fffb}\r\n";
        for coloured in [false, true] {
            let mut page = Page::new(coloured);
            let text = format!("{} {}: {hostile}", page.paint(BOLD, hostile), page.paint(DIM, "own"));
            page.line(2, &text);
            page.wrapped(0, hostile);
            let ours = page.out.replace("\u{1b}[1m", "").replace("\u{1b}[2m", "").replace("\u{1b}[0m", "");
            assert!(
                !ours.chars().any(|character| character != '\n' && crosscheck_cases::is_invisible(character)),
                "{ours:?}"
            );
            assert_eq!(page.out.contains("\u{1b}[2mown\u{1b}[0m"), coloured);
            assert!(page.out.contains("\\u{1b}[2J\\u{7}"), "{}", page.out);
        }
    }
}
