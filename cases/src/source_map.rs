use std::path::{Path, PathBuf};

use jsonc_parser::ast::{ObjectPropName, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::Fault;

/// A step into a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Member(String),
    Item(usize),
}

/// The text of a JSON file, to find where a path into it stands.
pub(crate) struct SourceMap<'t> {
    file: PathBuf,
    text: &'t str,
    root: Option<Value<'t>>,
}

impl<'t> SourceMap<'t> {
    pub(crate) fn new(file: &Path, text: &'t str) -> Self {
        let root = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default())
            .ok()
            .and_then(|parsed| parsed.value);
        Self { file: file.to_owned(), text, root }
    }

    /// A fault at the deepest part of `path` that the file has.
    pub(crate) fn fault(&self, path: &[Segment], message: impl Into<String>) -> Fault {
        self.fault_at(self.range(path), message)
    }

    /// A fault at a line and column as serde_json counts them (both from 1).
    pub(crate) fn fault_at_line(&self, line: usize, column: usize, message: impl Into<String>) -> Fault {
        let start: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let at = (start + column.saturating_sub(1)).min(self.text.len());
        self.fault_at((at, at), message)
    }

    fn fault_at(&self, (start, end): (usize, usize), message: impl Into<String>) -> Fault {
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        // A long object is shown by its first line.
        let shown = self.text.get(start..end).unwrap_or_default();
        let length = shown.find('\n').unwrap_or(shown.len());
        Fault {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span: (start, length),
            message: cut(message.into()),
        }
    }

    /// The line of a path, counted from 1.
    pub(crate) fn line(&self, path: &[Segment]) -> usize {
        self.fault(path, "").line
    }

    /// Whether the file has something at this path.
    pub(crate) fn has(&self, path: &[Segment]) -> bool {
        self.follow(path).1
    }

    fn range(&self, path: &[Segment]) -> (usize, usize) {
        self.follow(path).0
    }

    /// The range of the deepest part of `path` that is there, and whether that is all of it.
    fn follow(&self, path: &[Segment]) -> ((usize, usize), bool) {
        let Some(mut value) = self.root.as_ref() else { return ((0, 0), false) };
        let mut range = value.range();
        for segment in path {
            let next = match (segment, value) {
                (Segment::Member(name), Value::Object(object)) => {
                    object.properties.iter().find(|property| property_name(&property.name) == name.as_str()).map(
                        |property| {
                            range = property.range;
                            &property.value
                        },
                    )
                }
                (Segment::Item(index), Value::Array(array)) => array.elements.get(*index).inspect(|element| {
                    range = element.range();
                }),
                _ => None,
            };
            match next {
                Some(next) => value = next,
                None => return ((range.start, range.end), false),
            }
        }
        ((range.start, range.end), true)
    }

    /// Members that stand twice in one object; JSON readers silently keep the last.
    pub(crate) fn repeated_members(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut open: Vec<&Value<'_>> = self.root.iter().collect();
        while let Some(value) = open.pop() {
            match value {
                Value::Object(object) => {
                    for (index, property) in object.properties.iter().enumerate() {
                        let name = property_name(&property.name);
                        if object.properties[..index].iter().any(|other| property_name(&other.name) == name) {
                            faults.push(self.fault_at(
                                (property.range.start, property.range.end),
                                format!("the member {name:?} stands twice in this object"),
                            ));
                        }
                        open.push(&property.value);
                    }
                }
                Value::Array(array) => open.extend(&array.elements),
                _ => {}
            }
        }
        faults
    }
}

/// How long a message may be: it may quote what stands in the file.
const LONGEST_MESSAGE: usize = 500;

fn cut(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
        message.truncate(end);
        message.push('…');
    }
    message
}

fn property_name<'a>(name: &'a ObjectPropName<'_>) -> &'a str {
    match name {
        ObjectPropName::String(text) => text.value.as_ref(),
        ObjectPropName::Word(word) => word.value,
    }
}
