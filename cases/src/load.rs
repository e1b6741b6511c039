use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::control::shown_by;
use crate::deserialize_all::deserialize_all;
use crate::matrix::{Combination, combinations};
use crate::read::{WRITTEN_LIMIT, read_text};
use crate::source_map::{Segment, SourceMap};
use crate::{
    Absence, Case, CaseFile, Control, Fault, Faults, Permissions, Stated, StatedControl, grade, lint, placeholder,
};

/// All cases of a folder of case files.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    /// The cases, in the order of files and of their members.
    pub cases: Vec<Case>,
    /// What each topic is about, by topic.
    pub topics: Vec<(String, String)>,
    /// How far the matrices that cover pairs do so.
    pub covers: Vec<Cover>,
}

/// How many of the pairs of values of two dimensions stand in a case of a matrix with `"cover": "pairs"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    /// The matrix: `topic/id`.
    pub matrix: String,
    /// How many cases it has.
    pub cases: usize,
    /// How many pairs there are.
    pub pairs: usize,
    /// How many of them stand in a case.
    pub covered: usize,
    /// How many the matrix' exceptions rule out.
    pub excepted: usize,
}

/// Reads every `*.json` below `folder` (or the one file that it names) and expands the matrices.
///
/// # Errors
/// All mistakes of all files, and files that cannot be read.
pub fn load(folder: &Path) -> Result<Suite, Faults> {
    let mut files = Vec::new();
    let mut unreadable = Vec::new();
    collect(folder, &mut files, &mut unreadable);
    files.sort();
    let mut texts = Vec::new();
    for file in files {
        match read_text(&file, WRITTEN_LIMIT) {
            Ok(text) => texts.push((file, text)),
            Err(error) => unreadable.push(cannot_read(&file, &error)),
        }
    }
    if texts.is_empty() && unreadable.is_empty() {
        let error = std::io::Error::new(std::io::ErrorKind::NotFound, "there is no case file (*.json) here");
        unreadable.push(cannot_read(folder, &error));
    }
    load_texts(folder, &texts, unreadable)
}

/// Reads one case file from its text. `file` is what faults name.
///
/// # Errors
/// All mistakes of the text.
pub fn load_text(file: &Path, text: &str) -> Result<Suite, Faults> {
    load_texts(file, &[(file.to_owned(), text.to_owned())], Vec::new())
}

fn load_texts(folder: &Path, texts: &[(PathBuf, String)], mut faults: Vec<Fault>) -> Result<Suite, Faults> {
    let mut suite = Suite::default();
    let mut permissions_of: HashMap<String, (Permissions, String)> = HashMap::new();
    let mut first_with_id: HashMap<String, (PathBuf, usize)> = HashMap::new();
    for (file, text) in texts {
        let source = SourceMap::new(file, text);
        let loaded = Loader { source, file, faults: &mut faults, covers: &mut suite.covers }.load(folder, text);
        let Some((topic, about, cases)) = loaded else { continue };
        for case in &cases {
            let place = (case.file.clone(), case.line);
            if let Some((other, line)) = first_with_id.insert(case.id.clone(), place) {
                let message = format!("the id {:?} stands already in {}:{line}", case.id, other.display());
                faults.push(SourceMap::new(file, text).fault_at_line(case.line, 1, message));
            }
            for case in std::iter::once(case).chain(case.own_controls()) {
                let top = case.stated.page.top();
                let origin = top.origin.clone().unwrap_or_default();
                let (permissions, other) =
                    permissions_of.entry(origin.clone()).or_insert_with(|| (top.permissions, case.id.clone()));
                if *permissions != top.permissions {
                    let message = format!(
                        "permissions belong to origins, and {other} has others for {origin}: a page with these needs an \
                         origin of its own"
                    );
                    faults.push(SourceMap::new(file, text).fault_at_line(case.line, 1, message));
                }
            }
        }
        suite.topics.push((topic, about));
        suite.cases.extend(cases);
    }
    if faults.is_empty() {
        faults = other_controls(&suite, texts);
    }
    if faults.is_empty() { Ok(suite) } else { Err(Faults::new(faults, texts)) }
}

/// What is wrong with controls that are other cases of the suite.
fn other_controls(suite: &Suite, texts: &[(PathBuf, String)]) -> Vec<Fault> {
    let named = suite.cases.iter().flat_map(|case| case.controls.iter().map(move |control| (case, control)));
    let mut faults = Vec::new();
    for (case, id) in named.filter_map(|(case, control)| match control {
        Control::Other(id) => Some((case, id)),
        _ => None,
    }) {
        let message = match suite.cases.iter().find(|other| other.id == *id) {
            None => format!("its control {id:?} is no case of the suite"),
            Some(other) => match shown_by(&other.stated.then, case, &case.absences()).is_empty() {
                true => absent_too(case, &case.absences(), id),
                false => continue,
            },
        };
        if let Some((file, text)) = texts.iter().find(|(file, _)| *file == case.file) {
            faults.push(SourceMap::new(file, text).fault_at_line(case.line, 1, message));
        }
    }
    faults
}

fn absent_too(case: &Case, absences: &[Absence], control: &str) -> String {
    let places: Vec<String> = absences.iter().map(Absence::to_string).collect();
    format!("{control} has nothing where {} expects that something is absent: {}", case.id, places.join(", "))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>, unreadable: &mut Vec<Fault>) {
    if path.is_dir() {
        match std::fs::read_dir(path) {
            Ok(entries) => entries.flatten().for_each(|entry| collect(&entry.path(), files, unreadable)),
            Err(error) => unreadable.push(cannot_read(path, &error)),
        }
    } else if path.extension().is_some_and(|extension| extension == "json") {
        files.push(path.to_owned());
    } else if !path.exists() {
        unreadable.push(cannot_read(path, &std::io::Error::from(std::io::ErrorKind::NotFound)));
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Fault {
    Fault { file: path.to_owned(), line: 1, column: 1, span: (0, 0), message: format!("cannot be read: {error}") }
}

struct Loader<'l> {
    file: &'l Path,
    source: SourceMap<'l>,
    faults: &'l mut Vec<Fault>,
    covers: &'l mut Vec<Cover>,
}

impl Loader<'_> {
    fn load(&mut self, folder: &Path, text: &str) -> Option<(String, String, Vec<Case>)> {
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                let fault = self.source.fault_at_line(error.line(), error.column(), format!("not JSON: {error}"));
                self.faults.push(fault);
                return None;
            }
        };
        self.faults.extend(self.source.repeated_members());
        let file: CaseFile = match deserialize_all(&value) {
            Ok(file) => file,
            Err(mistakes) => {
                self.faults.extend(mistakes.into_iter().map(|(path, message)| self.source.fault(&path, message)));
                return None;
            }
        };
        if let Ok(below) = self.file.strip_prefix(folder)
            && !below.as_os_str().is_empty()
            && Path::new(&file.topic) != below.with_extension("")
        {
            let expected = below.with_extension("").display().to_string().replace('\\', "/");
            let message = format!("the topic {:?} is not the file's path: expected {expected:?}", file.topic);
            self.faults.push(self.source.fault(&[Segment::Member("topic".to_owned())], message));
        }
        let mut cases = Vec::new();
        for (index, value) in file.cases.iter().enumerate() {
            let at = vec![Segment::Member("cases".to_owned()), Segment::Item(index)];
            cases.extend(self.case(&file, value, &at, None));
        }
        for (index, value) in file.matrices.iter().enumerate() {
            let at = vec![Segment::Member("matrices".to_owned()), Segment::Item(index)];
            cases.extend(self.matrix(&file, value, &at));
        }
        Some((file.topic, file.about, cases))
    }

    fn matrix(&mut self, file: &CaseFile, value: &Value, at: &[Segment]) -> Vec<Case> {
        let Some(members) = value.as_object() else {
            self.faults.push(self.source.fault(at, "a matrix is an object"));
            return Vec::new();
        };
        let mut template = members.clone();
        let over = template.shift_remove("over").unwrap_or_default();
        let except = template.shift_remove("except");
        let cover = template.shift_remove("cover");
        let (combinations, pairs) = match combinations(&over, except.as_ref(), cover.as_ref()) {
            Ok(combinations) => combinations,
            Err(message) => {
                self.faults.push(self.source.fault(at, message));
                return Vec::new();
            }
        };
        if let Some(pairs) = pairs {
            let id = template.get("id").and_then(Value::as_str).unwrap_or_default();
            self.covers.push(Cover {
                matrix: format!("{}/{id}", file.topic),
                cases: combinations.len(),
                pairs: pairs.all,
                covered: pairs.covered,
                excepted: pairs.excepted,
            });
        }
        let template = Value::Object(template);
        let mut cases = Vec::new();
        for combination in combinations {
            let before = self.faults.len();
            cases.extend(self.case(file, &template, at, Some(&combination)));
            // One faulty combination says it all; the others mostly repeat it.
            if self.faults.len() > before {
                break;
            }
        }
        cases
    }

    fn case(
        &mut self,
        file: &CaseFile,
        value: &Value,
        at: &[Segment],
        combination: Option<&Combination>,
    ) -> Option<Case> {
        let Some(own) = value.as_object() else {
            self.faults.push(self.source.fault(at, "a case is an object"));
            return None;
        };
        let mut members: Map<String, Value> = own.clone();
        for (name, value) in &file.defaults {
            if !members.contains_key(name) {
                members.insert(name.clone(), value.clone());
            }
        }
        let mut value = Value::Object(members);
        if let Some(combination) = combination {
            value = combination.fill(&value);
        }
        let controls = value.as_object_mut().and_then(|members| members.shift_remove("control"));
        let made = Made { file, own, at, combination };
        let mut case = self.made(&made, value.clone(), &[])?;
        if let Some(controls) = controls {
            let before = self.faults.len();
            case.controls = self.controls(&made, &case, &value, controls);
            if self.faults.len() > before {
                return None;
            }
        }
        Some(case)
    }

    /// The controls that a case states.
    fn controls(&mut self, made: &Made<'_>, case: &Case, members: &Value, controls: Value) -> Vec<Control> {
        let mut absences = case.absences();
        if absences.is_empty() && made.combination.is_none() {
            absences = case.values();
        }
        let prefix = vec![Segment::Member("control".to_owned())];
        if absences.is_empty() {
            // Of a matrix some cases expect that something is absent, and their neighbours show that it could be there.
            if made.combination.is_none() {
                let message = "a case that expects nothing to be absent has no control".to_owned();
                self.fault(made, prefix, message);
            }
            return Vec::new();
        }
        let (list, is_list) = match controls {
            Value::Array(list) => (list, true),
            one => (vec![one], false),
        };
        let mut read = Vec::new();
        for (index, control) in list.into_iter().enumerate() {
            let mut path = prefix.clone();
            path.extend(is_list.then_some(Segment::Item(index)));
            match self.control(made, (case, &absences), members, control, &path, read.len() + 1) {
                Ok(control) => read.push(control),
                Err(Some(message)) => self.fault(made, path, message),
                // It is told already.
                Err(None) => {}
            }
        }
        read
    }

    fn control(
        &mut self,
        made: &Made<'_>,
        (case, absences): (&Case, &[Absence]),
        members: &Value,
        control: Value,
        path: &[Segment],
        number: usize,
    ) -> Result<Control, Option<String>> {
        match control {
            Value::String(id) if id.contains('/') => return Ok(Control::Other(id)),
            Value::String(id) => return Ok(Control::Other(format!("{}/{id}", case.topic))),
            Value::Object(members) if members.len() == 1 && members.contains_key("none") => {
                return match members["none"].as_str() {
                    Some(why) => Ok(Control::None(why.to_owned())),
                    None => Err(Some("\"none\" says in words why there is no control".to_owned())),
                };
            }
            Value::Object(_) => {}
            _ => {
                let message = "a control is the id of another case, an object with what it has in place of the case's members, \
                               or {\"none\": \"why there is none\"}";
                return Err(Some(message.to_owned()));
            }
        }
        let stated: StatedControl = deserialize_all(&control).map_err(|mistakes| {
            for (below, message) in mistakes {
                self.fault(made, [path, &below].concat(), message);
            }
            None
        })?;
        let members = stated.apply(members.as_object().unwrap_or(&Map::new())).map_err(Some)?;
        let mut own = self.made(made, Value::Object(members), path).ok_or(None)?;
        own.id = format!("{}~{number}", case.id);
        if shown_by(&own.stated.then, case, absences).is_empty() {
            let hint = match own.stated.then.page.len() > case.stated.then.page.len() {
                true => "; of a control with more steps, each message of \"wire\" states its \"step\"",
                false => "",
            };
            return Err(Some(format!("{}{hint}", absent_too(case, absences, "it"))));
        }
        Ok(Control::Own(Arc::new(own)))
    }

    /// A case of these members, all placeholders of matrices filled in. `below` is where they stand in the case's own.
    fn made(&mut self, made: &Made<'_>, mut value: Value, below: &[Segment]) -> Option<Case> {
        let Made { file, at, combination, .. } = *made;
        fill_page(&mut value);
        let then = [below, &[Segment::Member("then".to_owned())]].concat();
        let predicted = match take_predicted(&mut value) {
            Ok(predicted) => predicted,
            Err(message) => {
                self.fault(made, then, message);
                return None;
            }
        };
        if predicted.is_some() && combination.is_none() && below.is_empty() {
            let message = "a case that stands for itself states its own outcome; only a matrix can have it predicted";
            self.fault(made, then, message.to_owned());
            return None;
        }
        let mut stated: Stated = match deserialize_all(&value) {
            Ok(stated) => stated,
            Err(mistakes) => {
                for (path, message) in mistakes {
                    self.fault(made, [below, &path].concat(), message);
                }
                return None;
            }
        };
        stated.page.complete();
        let mistakes = lint::mistakes(&stated, predicted.is_some());
        if !mistakes.is_empty() {
            for (path, message) in mistakes {
                self.fault(made, [below, &path].concat(), message);
            }
            return None;
        }
        if stated.then.grade.is_none() {
            stated.then.grade = grade(&stated.then.page, stated.then.wire.as_deref().unwrap_or_default());
        }
        let id = match combination {
            None => format!("{}/{}", file.topic, stated.id),
            Some(combination) => format!("{}/{}/{}", file.topic, stated.id, combination.label()),
        };
        let line = self.source.line(at);
        let generated = combination.is_some();
        let mut case = Case {
            id,
            topic: file.topic.clone(),
            stated: Arc::new(stated),
            file: self.file.to_owned(),
            line,
            generated,
            predicted: predicted.is_some(),
            controls: Vec::new(),
        };
        if let Some(also) = predicted {
            if let Err(why) = case.is_modelled() {
                self.fault(made, then, format!("the outcome cannot be predicted: {why}"));
                return None;
            }
            let then = case.predict()?.expected(&case.stated, &also);
            Arc::make_mut(&mut case.stated).then = then;
        }
        Some(case)
    }

    /// A fault in a case: at its own member, or at the file's default where the member comes from there.
    fn fault(&mut self, made: &Made<'_>, path: Vec<Segment>, message: String) {
        let Made { own, at, combination, .. } = *made;
        let from_defaults = matches!(path.first(), Some(Segment::Member(name)) if !own.contains_key(name));
        let defaults = [Segment::Member("defaults".to_owned())];
        let path: Vec<Segment> = if from_defaults && self.source.has(&[&defaults[..], &path[..1]].concat()) {
            defaults.into_iter().chain(path).collect()
        } else {
            at.iter().cloned().chain(path).collect()
        };
        let message = match combination {
            Some(combination) => format!("{message} (with {})", combination.label()),
            None => message,
        };
        self.faults.push(self.source.fault(&path, message));
    }
}

/// What a case is made of.
struct Made<'m> {
    file: &'m CaseFile,
    /// Its own members, without the file's defaults.
    own: &'m Map<String, Value>,
    /// Where it stands.
    at: &'m [Segment],
    combination: Option<&'m Combination>,
}

/// What an outcome that is predicted leaves to be stated: `"then": "predicted"`, or `{"predicted": [NAME, …]}` with the
/// names of request headers that are to be compared beside the usual ones. Nothing where the outcome is stated.
fn take_predicted(value: &mut Value) -> Result<Option<Vec<String>>, String> {
    let Some(then) = value.get_mut("then") else { return Ok(None) };
    let names = match &*then {
        Value::String(text) if text == "predicted" => Vec::new(),
        Value::Object(members) if members.len() == 1 && members.contains_key("predicted") => members["predicted"]
            .as_array()
            .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_ascii_lowercase)).collect())
            .ok_or("\"predicted\" lists the names of request headers: {\"predicted\": [\"referer\"]}")?,
        _ => return Ok(None),
    };
    *then = serde_json::json!({ "page": [] });
    Ok(Some(names))
}

/// Replaces `{page}` everywhere with the serialised origin of the case's document.
fn fill_page(value: &mut Value) {
    let origin = match value.get("page") {
        None => Some("https://page.test".to_owned()),
        Some(page) => serde_json::from_value::<crate::Document>(page.clone()).ok().map(|mut page| {
            page.complete();
            page.serialized_origin()
        }),
    };
    if let Some(origin) = origin {
        fill_texts(value, &|name| (name == "page").then(|| origin.clone()));
    }
}

fn fill_texts(value: &mut Value, fill: &dyn Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) => *text = placeholder::fill(text, fill),
        Value::Array(items) => items.iter_mut().for_each(|item| fill_texts(item, fill)),
        Value::Object(members) => members.values_mut().for_each(|member| fill_texts(member, fill)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grade;

    fn faults(text: &str) -> Vec<String> {
        load_text(Path::new("sample.json"), text)
            .expect_err("a faulty file")
            .faults
            .iter()
            .map(|fault| format!("{}:{}: {}", fault.line, fault.column, fault.message))
            .collect()
    }

    const SOUND: &str = r#"{
  "topic": "cors/sample", "about": "A sample.",
  "defaults": { "requires": ["fetch.cors-check.4b"], "given": { "https://api.other.test/": { "headers": [["Access-Control-Allow-Origin", "{page}{end}"]] } } },
  "matrices": [{
    "id": "slash", "title": "Allow-Origin {page}{end.label}", "over": { "end": ["/", "/a"] },
    "when": { "fetch": "https://api.other.test/" },
    "then": { "page": "network-error", "wire": ["GET"], "reason": "allow-origin-mismatch" }
  }]
}"#;

    #[test]
    fn a_matrix_expands_with_its_defaults_and_placeholders() {
        let suite = load_text(Path::new("sample.json"), SOUND).expect("a sound file");
        let ids: Vec<&str> = suite.cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(ids, ["cors/sample/slash/end=%2F", "cors/sample/slash/end=%2Fa"]);
        let case = &suite.cases[1];
        assert_eq!(case.stated.title, "Allow-Origin https://page.test%2Fa");
        let (_, value) = case.stated.given["https://api.other.test/"].headers.iter().next().expect("a header");
        assert_eq!(value.to_string(), "https://page.test/a");
        assert_eq!(case.stated.then.grade, Some(Grade::ResponseHidden), "it follows from page and wire");
        assert_eq!((case.line, case.generated), (4, true));
    }

    #[test]
    fn all_mistakes_are_reported_at_once_with_their_places() {
        let text = r#"{
  "topic": "cors/sample", "about": "A sample.",
  "cases": [
    {
      "id": "Not Kebab", "title": "x", "requires": ["fetch.no-such-row"], "given": {},
      "when": { "fetch": "https://api.other.test/" },
      "then": { "page": "network-error", "reason": "no-such-reason" }
    },
    {
      "id": "b", "title": "x", "requires": ["fetch.cors-check.2"], "gven": {},
      "when": { "fetch": "https://api.other.test/", "credential": "omit" },
      "then": { "page": "netwrk-error", "wire": [] }
    }
  ]
}"#;
        let faults = faults(text);
        for expected in [
            "5:7: the id \"Not Kebab\"",
            "5:40: no requirement has the id \"fetch.no-such-row\"",
            "6:7: nothing is given for \"https://api.other.test/\"",
            "7:7: state what goes over the wire",
            "7:42: no reason has the name \"no-such-reason\"",
            "10:68: unknown field `gven`",
            "11:53: unknown field `credential`",
            "12:17: invalid value: string \"netwrk-error\", expected a page result",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}\n{faults:#?}");
        }
        assert_eq!(faults.len(), 8, "{faults:#?}");
    }

    #[test]
    fn broken_json_repeated_members_and_unknown_placeholders_are_faults() {
        assert!(faults("{\n  \"topic\": }")[0].starts_with("2:12: not JSON"));
        let twice = SOUND.replace("\"id\": \"slash\"", "\"id\": \"other\", \"id\": \"slash\"");
        assert_eq!(faults(&twice), ["5:20: the member \"id\" stands twice in this object"]);
        let typo = SOUND.replace("{page}{end}", "{pgae}{end}");
        assert!(faults(&typo)[0].contains("there is no placeholder {pgae}"), "{:?}", faults(&typo));
    }
}
