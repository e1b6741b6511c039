//! Controls: what shows that a thing which a case expects to be absent could have been there.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::derive::derive;
use crate::{Absence, Case, Outcome, Suite};

/// What a case file says of a case's control.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// Another case of the suite, by its whole id.
    Other(String),
    /// The case with the one cause taken away. Its id is the case's with `~` and a number.
    Own(Arc<Case>),
    /// There is none, and why.
    None(String),
}

/// A control as it stands in a case file: the members that it has in place of its case's own. Whatever it leaves out is as
/// in the case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatedControl {
    /// What is different, for reports: "with SameSite=None".
    pub about: String,
    /// Texts in `page`, `given` and `when`, in names of members too, and what stands in their place.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub replace: Map<String, Value>,
    /// Where its probes run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Value>,
    /// What the servers answer at these URLs; `null` takes a URL out.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub given: Map<String, Value>,
    /// What the page does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Value>,
    /// Features that it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Value>,
    /// Its own outcome: what was absent is there.
    pub then: Value,
}

impl StatedControl {
    /// The members of the control's case, made of those of its case; or what is wrong with it.
    pub(crate) fn apply(&self, case: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut members = case.clone();
        for (from, to) in &self.replace {
            let to = to.as_str().ok_or_else(|| format!("what stands in place of {from:?} is a text"))?;
            let mut count = 0;
            for name in ["page", "given", "when"] {
                if let Some(member) = members.get_mut(name) {
                    replace(member, from, to, &mut count);
                }
            }
            if count == 0 {
                return Err(format!("{from:?} stands nowhere in the case's page, given or when"));
            }
        }
        for (name, value) in [("page", &self.page), ("when", &self.when), ("needs", &self.needs)] {
            if let Some(value) = value {
                members.insert(name.to_owned(), value.clone());
            }
        }
        if !self.given.is_empty() {
            let given = members.entry("given").or_insert_with(|| Value::Object(Map::new()));
            let given = given.as_object_mut().ok_or("\"given\" of the case is no object")?;
            for (url, behaviour) in &self.given {
                match behaviour {
                    Value::Null => drop(given.shift_remove(url)),
                    behaviour => drop(given.insert(url.clone(), behaviour.clone())),
                }
            }
        }
        members.insert("title".to_owned(), Value::String(self.about.clone()));
        members.insert("then".to_owned(), self.then.clone());
        Ok(members)
    }
}

/// Replaces a text in all texts of a value, names of members included, and counts how often.
pub(crate) fn replace(value: &mut Value, from: &str, to: &str, count: &mut usize) {
    match value {
        Value::String(text) => {
            *count += text.matches(from).count();
            *text = text.replace(from, to);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, from, to, count)),
        Value::Object(members) => {
            *members = std::mem::take(members)
                .into_iter()
                .map(|(name, mut member)| {
                    *count += name.matches(from).count();
                    replace(&mut member, from, to, count);
                    (name.replace(from, to), member)
                })
                .collect();
        }
        _ => {}
    }
}

/// Where a control comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ControlKind {
    /// The case file states it.
    Declared,
    /// A case of the same matrix.
    Neighbour,
    /// The executable standard found it: the case with one thing taken away.
    Derived,
}

/// A case that shows that what another one expects to be absent could have been there.
#[derive(Clone, Debug)]
pub struct Shows {
    /// The control.
    pub case: Arc<Case>,
    /// Where it comes from.
    pub kind: ControlKind,
    /// What it has that the other one has not.
    pub shows: Vec<Absence>,
}

/// The controls of a case.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The controls, those that are declared first.
    pub controls: Vec<Shows>,
    /// What none of them shows.
    pub left: Vec<Absence>,
    /// Why the case file says that there is none.
    pub none: Option<String>,
}

/// Finds the controls of the cases of a suite.
#[derive(Debug)]
pub struct Controls<'s> {
    by_id: HashMap<&'s str, &'s Case>,
    by_matrix: HashMap<&'s str, Vec<&'s Case>>,
}

impl<'s> Controls<'s> {
    /// Of all cases of a suite.
    #[must_use]
    pub fn of(suite: &'s Suite) -> Self {
        let mut by_matrix: HashMap<&str, Vec<&Case>> = HashMap::new();
        for case in suite.cases.iter().filter(|case| case.generated) {
            by_matrix.entry(matrix(case)).or_default().push(case);
        }
        Self { by_id: suite.cases.iter().map(|case| (case.id.as_str(), case)).collect(), by_matrix }
    }

    /// What a case expects to be absent and needs a control for. That a request of a predicted matrix lacks a header line
    /// counts only where another case of the matrix has that line: the prediction names the usual ones for all.
    #[must_use]
    pub fn absences(&self, case: &Case) -> Vec<Absence> {
        let mut absences = case.absences();
        if case.predicted {
            absences.retain(|absence| match absence {
                Absence::Header(..) | Absence::Unreadable(..) => {
                    self.neighbours(case).any(|other| absence.is_present_in(&other.stated.then, &case.stated.then))
                }
                _ => true,
            });
        }
        absences
    }

    /// The controls for these of a case's absences: what its file declares, else the nearest case of its matrix that has
    /// what is absent, else what the executable standard makes of the case with something taken away.
    #[must_use]
    pub fn find(&self, case: &Case, left: Vec<Absence>) -> Shown {
        self.find_preferring(case, left, &|_| true)
    }

    /// The same; of its matrix, cases that are preferred come before all others.
    #[must_use]
    pub fn find_preferring(&self, case: &Case, mut left: Vec<Absence>, is_preferred: &dyn Fn(&Case) -> bool) -> Shown {
        let mut shown = Shown::default();
        for control in &case.controls {
            match control {
                Control::None(why) => shown.none = Some(why.clone()),
                Control::Own(own) => shown.add(case, Arc::clone(own), ControlKind::Declared, &mut left),
                Control::Other(id) => {
                    if let Some(other) = self.by_id.get(id.as_str()) {
                        shown.add(case, Arc::new((*other).clone()), ControlKind::Declared, &mut left);
                    }
                }
            }
        }
        while let Some(absence) = left.first().filter(|_| case.generated) {
            let has = |other: &&Case| absence.is_present_in(&other.stated.then, &case.stated.then);
            // Of what is stated by hand, a case that differs in more than one dimension differs in more than one cause.
            let is_near = |other: &&Case| case.predicted || distance(case, other) == 1;
            let nearest = self.neighbours(case).filter(has).filter(is_near);
            let Some(nearest) = nearest.min_by_key(|other| (!is_preferred(other), distance(case, other))) else {
                break;
            };
            shown.add(case, Arc::new(nearest.clone()), ControlKind::Neighbour, &mut left);
        }
        if !left.is_empty() && shown.none.is_none() {
            for derived in derive(case, &left) {
                shown.add(case, Arc::new(derived), ControlKind::Derived, &mut left);
            }
        }
        shown.left = left;
        shown
    }

    /// The other cases of its matrix.
    fn neighbours<'c>(&'c self, case: &'c Case) -> impl Iterator<Item = &'s Case> + 'c {
        let all = if case.generated { self.by_matrix.get(matrix(case)) } else { None };
        all.into_iter().flatten().copied().filter(|other| other.id != case.id)
    }
}

impl Shown {
    fn add(&mut self, case: &Case, control: Arc<Case>, kind: ControlKind, left: &mut Vec<Absence>) {
        let shows = shown_by(&control.stated.then, case, left);
        if !shows.is_empty() {
            left.retain(|absence| !shows.contains(absence));
            self.controls.push(Shows { case: control, kind, shows });
        }
    }
}

/// Which of a case's absences are there in another outcome.
pub(crate) fn shown_by(other: &Outcome, case: &Case, absences: &[Absence]) -> Vec<Absence> {
    absences.iter().filter(|absence| absence.is_present_in(other, &case.stated.then)).cloned().collect()
}

/// The id of a case's matrix: `topic/id`.
fn matrix(case: &Case) -> &str {
    case.id.rsplit_once('/').map_or(case.id.as_str(), |(matrix, _)| matrix)
}

/// The labels of a case of a matrix, one for each dimension.
fn labels(case: &Case) -> impl Iterator<Item = &str> {
    case.id.rsplit('/').next().unwrap_or_default().split(',')
}

/// In how many dimensions two cases of a matrix differ.
fn distance(one: &Case, other: &Case) -> usize {
    labels(one).zip(labels(other)).filter(|(one, other)| one != other).count()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::load_text;

    fn file(cases: &Value) -> Result<Suite, Vec<String>> {
        let text =
            json!({ "topic": "t", "about": "a", "defaults": { "requires": ["fetch.cors-check.2"] }, "cases": cases });
        let told = |faults: crate::Faults| faults.faults.into_iter().map(|fault| fault.message).collect();
        load_text(Path::new("t.json"), &text.to_string()).map_err(told)
    }

    fn scripted(id: &str, value: &Value, control: &Value) -> Value {
        let mut case = json!({
            "id": id, "title": "t", "given": { "https://api.other.test/": { "headers": [["X-Frame-Options", "DENY"]] } },
            "when": { "evaluate": "look('{url https://api.other.test/}')" },
            "then": { "page": { "result": "value", "value": value } }
        });
        if !control.is_null() {
            case["control"] = control.clone();
        }
        case
    }

    #[test]
    fn a_stated_control_is_its_case_with_what_it_states_in_place() {
        let control = json!({
            "about": "of the page's own origin", "replace": { "api.other.test": "page.test", "look": "see" },
            "given": { "https://page.test/b": {} }, "then": { "page": { "result": "value", "value": "here" } }
        });
        let suite = file(&json!([scripted("a", &json!("blocked"), &control)])).expect("sound cases");
        let own: Vec<&Case> = suite.cases[0].own_controls().collect();
        let urls: Vec<&String> = own[0].stated.given.keys().collect();
        assert_eq!((own[0].id.as_str(), own[0].stated.title.as_str()), ("t/a~1", "of the page's own origin"));
        assert_eq!(urls, ["https://page.test/", "https://page.test/b"]);
        assert_eq!(
            own[0].stated.when[0],
            serde_json::from_value(json!({ "evaluate": "see('{url https://page.test/}')" })).expect("a probe")
        );
        let controls = Controls::of(&suite);
        let shown = controls.find(&suite.cases[0], controls.absences(&suite.cases[0]));
        assert_eq!((shown.controls.len(), shown.left), (1, Vec::new()));
    }

    #[test]
    fn a_control_that_shows_nothing_is_a_fault() {
        let then = |value: &str| json!({ "page": { "result": "value", "value": value } });
        let here = scripted("b", &json!("here"), &Value::Null);
        for (control, fault) in [
            (
                json!({ "about": "a", "replace": { "nowhere": "b" }, "then": then("here") }),
                "\"nowhere\" stands nowhere",
            ),
            (
                json!({ "about": "a", "then": then("blocked") }),
                "it has nothing where t/a expects that something is absent: page[0].value",
            ),
            (json!({ "about": "a", "then": { "page": [] } }), "1 steps, but 0 expected page results"),
            (json!({ "abuot": "a", "then": then("here") }), "unknown field `abuot`"),
            (json!("no-such-case"), "its control \"t/no-such-case\" is no case of the suite"),
            (json!(1), "a control is the id of another case"),
        ] {
            let faults = file(&json!([scripted("a", &json!("blocked"), &control), here])).expect_err("a fault");
            assert!(faults.iter().any(|one| one.contains(fault)), "{fault}\n{faults:?}");
        }
        // Where no word says that something is absent, it may be all the same: a list without an item.
        let idle = file(&json!([scripted("a", &json!("here"), &json!("b")), here])).expect_err("a fault");
        assert!(idle[0].contains("t/b has nothing where t/a expects"), "{idle:?}");
        let listed = json!({ "about": "a", "then": then("here, there") });
        assert!(file(&json!([scripted("a", &json!("here"), &listed)])).is_ok());
        assert!(file(&json!([scripted("a", &json!("blocked"), &json!("b")), here])).is_ok());
        assert!(file(&json!([scripted("a", &json!("blocked"), &json!({ "none": "why" })), here])).is_ok());
    }

    #[test]
    fn what_can_be_predicted_has_a_control_that_takes_one_thing_away() {
        let given = |lines: Value| json!({ "https://api.other.test/": { "headers": lines } });
        let credentials =
            json!([["Access-Control-Allow-Origin", "{page}"], ["Access-Control-Allow-Credentials", "true"]]);
        let cases = json!([
            { "id": "csp", "title": "t", "page": { "kind": "page", "origin": "https://page.test", "headers": [["Content-Security-Policy", "connect-src 'self'"]] },
              "given": given(json!([["Access-Control-Allow-Origin", "*"]])), "when": { "fetch": "https://api.other.test/" },
              "then": { "page": "network-error", "wire": [], "reason": "csp" } },
            { "id": "hidden", "title": "t", "given": given(json!([])), "when": { "fetch": "https://api.other.test/" },
              "then": { "page": "network-error", "wire": ["GET"], "reason": "missing-allow-origin" } },
            { "id": "cookie", "title": "t", "given": given(credentials), "when": { "fetch": "https://api.other.test/" },
              "then": { "page": "cors", "wire": [{ "method": "GET", "headers": { "cookie": null } }] } }
        ]);
        let suite = file(&cases).expect("sound cases");
        let controls = Controls::of(&suite);
        for (case, about) in suite.cases.iter().zip([
            "without Content-Security-Policy: connect-src 'self'",
            "with mode no-cors",
            "with credentials include, after https://api.other.test/ had set a cookie",
        ]) {
            let shown = controls.find(case, controls.absences(case));
            assert_eq!(shown.left, [], "{}", case.id);
            assert_eq!(shown.controls[0].case.stated.title, format!("The control of {}: {about}", case.id));
        }
    }
}
