use crosscheck_cases::{Absence, Case, Control, ControlKind, Controls, Shown};
use serde_json::json;

use super::arguments::{Format, ListArguments};
use super::{Ended, Failure};

/// Lists the cases that expect something to be absent, with their controls.
pub(crate) fn controls(arguments: &ListArguments) -> Result<Ended, Failure> {
    let filter: crosscheck_cases::Filter = arguments.selection.filter.parse()?;
    let suite = crosscheck_cases::load(&arguments.selection.suite)?;
    let controls = Controls::of(&suite);
    let found: Vec<(&Case, Vec<Absence>, Shown)> = suite
        .cases
        .iter()
        .filter(|case| filter.takes(case))
        .map(|case| (case, controls.absences(case)))
        .filter(|(_, absences)| !absences.is_empty())
        .map(|(case, absences)| (case, absences.clone(), controls.find(case, absences)))
        .collect();
    match arguments.format {
        Format::Json => {
            let list: Vec<_> = found.iter().map(|(case, absences, shown)| entry(case, absences, shown)).collect();
            say!("{}", serde_json::Value::from(list));
        }
        Format::Table => found.iter().for_each(|(case, absences, shown)| tell(case, absences, shown)),
    }
    if arguments.format == Format::Table {
        let with = found.iter().filter(|(_, _, shown)| shown.left.is_empty()).count();
        let without = found.iter().filter(|(case, ..)| is_excepted(case)).count();
        say!(
            "{} cases expect something to be absent; {with} have a control for all of it, {without} say why there is none",
            found.len()
        );
    }
    Ok(Ended::AsExpected)
}

fn is_excepted(case: &Case) -> bool {
    case.controls.iter().any(|control| matches!(control, Control::None(_)))
}

const fn name(kind: ControlKind) -> &'static str {
    match kind {
        ControlKind::Declared => "declared",
        ControlKind::Neighbour => "neighbour",
        ControlKind::Derived => "derived",
    }
}

fn words(absences: &[Absence]) -> Vec<String> {
    absences.iter().map(Absence::to_string).collect()
}

fn entry(case: &Case, absences: &[Absence], shown: &Shown) -> serde_json::Value {
    let controls: Vec<_> = shown
        .controls
        .iter()
        .map(|control| {
            json!({
                "id": control.case.id, "kind": control.kind, "title": control.case.stated.title,
                "shows": words(&control.shows),
            })
        })
        .collect();
    json!({
        "id": case.id, "generated": case.generated, "absent": words(absences), "controls": controls,
        "left": words(&shown.left), "none": shown.none, "source": format!("{}:{}", case.file.display(), case.line),
    })
}

fn tell(case: &Case, absences: &[Absence], shown: &Shown) {
    say!("{}\n    absent: {}", case.id, words(absences).join(", "));
    for control in &shown.controls {
        let title = match control.kind {
            ControlKind::Declared | ControlKind::Derived => format!(": {}", control.case.stated.title),
            ControlKind::Neighbour => String::new(),
        };
        say!("    {} {} shows {}{title}", name(control.kind), control.case.id, words(&control.shows).join(", "));
    }
    if !shown.left.is_empty() {
        let why = shown.none.as_deref().unwrap_or("nothing shows it");
        say!("    left: {} ({why})", words(&shown.left).join(", "));
    }
}
