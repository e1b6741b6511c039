use std::fmt::Write as _;

use indexmap::IndexSet;
use serde::Serialize;

use crosscheck_cases::is_invisible;

/// Values that stand once in the file, however often they are used: cases and engines share most of what they say.
#[derive(Default)]
pub(super) struct Pool {
    values: IndexSet<String>,
}

impl Pool {
    /// The place of a value, which is added where it is new.
    pub(super) fn add(&mut self, value: &impl Serialize) -> usize {
        self.values.insert_full(json(value)).0
    }

    /// All values as a JSON array.
    pub(super) fn into_json(self) -> String {
        let mut all = String::with_capacity(self.values.iter().map(|value| value.len() + 2).sum());
        for value in self.values {
            all.push_str(if all.is_empty() { "[" } else { ",\n" });
            all.push_str(&value);
        }
        all.push_str(if all.is_empty() { "[]" } else { "]" });
        all
    }
}

/// JSON that can stand in a `<script>` element: nothing in it ends the element or begins a comment, and nothing in it is
/// invisible or turns the text around for whoever reads the file.
pub(super) fn json(value: &impl Serialize) -> String {
    // All that is serialised here are our own types of strings, numbers and lists.
    let json = serde_json::to_string(value).expect("values that JSON can hold");
    let harmful = |character| matches!(character, '<' | '>' | '&') || is_invisible(character);
    if !json.contains(harmful) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 32);
    for character in json.chars() {
        if harmful(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_once_and_cannot_end_its_element() {
        let mut pool = Pool::default();
        assert_eq!([pool.add(&"</script>"), pool.add(&["a&b"]), pool.add(&"</script>")], [0, 1, 0]);
        assert_eq!(pool.into_json(), "[\"\\u003c/script\\u003e\",\n[\"a\\u0026b\"]]");
        assert_eq!(json(&"\u{2028}\u{202e}\u{e0001}"), r#""\u2028\u202e\udb40\udc01""#);
    }
}
