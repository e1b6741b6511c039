//! Controls in a run: whether something that passing cases expect to be absent could have been there, in the same browser.

use std::collections::HashMap;
use std::sync::Arc;

use crosscheck_cases::{Absence, Case, Controls, Outcome, Shows, Stated};
use crosscheck_reports::{CaseRecord, ControlRecord, Verdict};

/// The controls that the passing cases of a run need.
pub(crate) struct Plan {
    wanted: Vec<Wanted>,
}

/// What one case needs.
struct Wanted {
    /// The case's id, and what it states.
    id: String,
    stated: Arc<Stated>,
    controls: Vec<Shows>,
    /// What no control shows, and what the case file says of it.
    left: Vec<Absence>,
    none: Option<String>,
}

impl Plan {
    /// What the cases that passed need beside the reasons that the agent gave.
    pub(crate) fn of<'c>(
        controls: &Controls<'_>,
        cases: impl IntoIterator<Item = &'c Case>,
        records: &HashMap<String, CaseRecord>,
    ) -> Self {
        let mut wanted = Vec::new();
        for case in cases {
            let Some(record) = records.get(&case.id).filter(|record| record.verdict == Verdict::Pass) else { continue };
            let mut absences = controls.absences(case);
            if !absences.is_empty() && has_reason(record) {
                let steps = case.stated.then.page.len();
                absences.retain(|absence| !absence.is_shown_by_reason(steps));
            }
            if absences.is_empty() {
                continue;
            }
            // What is known to deviate in this browser shows less than what does not.
            let passed = |other: &Case| records.get(&other.id).is_none_or(|record| record.verdict == Verdict::Pass);
            let shown = controls.find_preferring(case, absences, &passed);
            wanted.push(Wanted {
                id: case.id.clone(),
                stated: Arc::clone(&case.stated),
                controls: shown.controls,
                left: shown.left,
                none: shown.none,
            });
        }
        Self { wanted }
    }

    /// The controls that have not run yet, each once.
    pub(crate) fn to_run(&self, records: &HashMap<String, CaseRecord>) -> Vec<Arc<Case>> {
        let mut cases: HashMap<&str, &Arc<Case>> = HashMap::new();
        for control in self.wanted.iter().flat_map(|wanted| &wanted.controls) {
            if !records.contains_key(&control.case.id) {
                cases.insert(&control.case.id, &control.case);
            }
        }
        let mut cases: Vec<Arc<Case>> = cases.into_values().cloned().collect();
        cases.sort_by(|one, other| one.id.cmp(&other.id));
        cases
    }

    /// The controls among those that ran in which something is still missing that they have to show.
    pub(crate) fn missing(&self, ran: &HashMap<String, CaseRecord>) -> Vec<Arc<Case>> {
        let mut missing: HashMap<&str, &Arc<Case>> = HashMap::new();
        for (wanted, control) in
            self.wanted.iter().flat_map(|wanted| wanted.controls.iter().map(move |one| (wanted, one)))
        {
            if ran.get(&control.case.id).is_some_and(|record| !wanted.lacks(control, record).is_empty()) {
                missing.insert(&control.case.id, &control.case);
            }
        }
        missing.into_values().cloned().collect()
    }

    /// Writes into the records of the cases what their controls came to. A case of which something is not shown passes
    /// no longer.
    pub(crate) fn judge(self, records: &mut HashMap<String, CaseRecord>, ran: &HashMap<String, CaseRecord>) {
        for wanted in self.wanted {
            let mut not_shown: Vec<String> = Vec::new();
            let mut told = Vec::with_capacity(wanted.controls.len());
            for control in &wanted.controls {
                let Some(record) = ran.get(&control.case.id).or_else(|| records.get(&control.case.id)) else {
                    continue;
                };
                let missing = wanted.lacks(control, record);
                if !missing.is_empty() {
                    not_shown.push(format!("{} in its control {} ({})", missing.join(", "), record.id, record.verdict));
                }
                let is_own = !records.contains_key(&record.id);
                told.push(ControlRecord {
                    id: record.id.clone(),
                    kind: control.kind,
                    about: is_own.then(|| control.case.stated.title.clone()),
                    differences: record.differences.clone(),
                    places: control.shows.iter().map(Absence::to_string).collect(),
                    missing,
                    verdict: record.verdict,
                });
            }
            if !wanted.left.is_empty() {
                let places: Vec<String> = wanted.left.iter().map(Absence::to_string).collect();
                let why = wanted.none.as_deref().unwrap_or("it has no control");
                not_shown.push(format!("{}: {why}", places.join(", ")));
            }
            let Some(record) = records.get_mut(&wanted.id) else { continue };
            record.controls = told;
            if !not_shown.is_empty() {
                record.verdict = Verdict::NotShown;
                record.note = Some(format!("nothing shows that this could have been there: {}", not_shown.join("; ")));
            }
        }
    }
}

fn has_reason(record: &CaseRecord) -> bool {
    record.observed.unpack().is_some_and(|observed| observed.reason.is_some())
}

impl Wanted {
    /// What a control should have shown and did not.
    fn lacks(&self, control: &Shows, record: &CaseRecord) -> Vec<String> {
        let observed: Outcome = record.observed.unpack().unwrap_or_default();
        let is_there = |absence: &&Absence| absence.is_present_in(&observed, &self.stated.then);
        control.shows.iter().filter(|absence| !is_there(absence)).map(Absence::to_string).collect()
    }
}
