//! Texts from outside, for people: they may hold anything: terminal escapes, line breaks, characters that turn the direction
//! of the text around them.

use std::fmt::Write as _;

/// The text in one line, with every character that cannot be seen, or that would change how others are seen, written
/// as its number: `\u{202e}`. For all that came from outside: servers, browsers, files.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_invisible(character) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out
}

/// Whether a character cannot be seen, or changes how others are seen.
#[must_use]
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            | '\u{fffe}' | '\u{ffff}'
        )
}

/// A text whose places stay where they are: each byte of what cannot be seen is a `?`. Line breaks and tabs stay.
pub(crate) fn visible_in_place(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' | '\t' => character.to_string(),
        _ if is_invisible(character) => "?".repeat(character.len_utf8()),
        _ => character.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_as_its_number() {
        assert_eq!(visible("a\0b\u{1b}[31m\u{202e}c\r\n"), "a\\u{0}b\\u{1b}[31m\\u{202e}c\\r\\n");
        assert_eq!(visible("plain é 日本"), "plain é 日本");
    }

    #[test]
    fn places_in_a_text_stay_where_they_are() {
        let hostile = "a\u{1b}[31m\u{202e}b\n\tc";
        let shown = visible_in_place(hostile);
        assert_eq!(shown, "a?[31m???b\n\tc");
        assert_eq!(shown.len(), hostile.len());
    }
}
