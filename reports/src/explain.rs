//! A result in words: what is wrong, why, and what to do about it.

use crosscheck_cases::{Difference, Grade, Outcome, reason_class, shown_value};

use crate::text::count_of;
use crate::{CaseRecord, ControlRecord, RunRecord, Verdict};

/// `page[0].status: expected 200, observed 0`.
pub(crate) fn difference_line(difference: &Difference) -> String {
    format!("{}: expected {}, observed {}", difference.at, quoted(&difference.expected), quoted(&difference.observed))
}

/// An empty value would read as if the sentence broke off.
fn quoted(value: &str) -> &str {
    if value.is_empty() { "\"\" (empty)" } else { value }
}

/// What the agent said, with the class that it can mean; only the class where it gave no words.
pub(crate) fn reason_line(observed: &Outcome) -> Option<String> {
    let reason = observed.reason.as_ref()?;
    let classes = reason.classes.join(" or ");
    match &reason.text {
        Some(text) if classes.is_empty() => Some(format!("{text} (no known class)")),
        Some(text) => Some(format!("{text} ({classes})")),
        None if classes.is_empty() => None,
        None => Some(match reason_class(&reason.classes[0]) {
            Some(class) if reason.classes.len() == 1 => format!("{classes}: {}", class.title),
            _ => classes,
        }),
    }
}

/// How header lines of an agent's requests deviate in known ways, in one line; nothing where they do not.
pub(crate) fn header_line(run: &RunRecord) -> Option<String> {
    let cases = run.results.iter().filter(|result| !result.deviations.is_empty()).count();
    let causes = run.headers.iter().filter(|cause| cause.cases > 0).count();
    let (known, cases) = (count_of(causes, "known cause"), count_of(cases, "case"));
    (causes > 0).then(|| format!("header lines of requests differ by {known}, in {cases}"))
}

/// What is worth knowing of a result beside its verdict, in sentences.
pub(crate) fn also(result: &CaseRecord) -> Vec<String> {
    let deviations = result.deviations.iter().map(|one| {
        let (expected, observed) = (shown_value(one.expected.as_deref()), shown_value(one.observed.as_deref()));
        format!("Known of its requests: {} is {observed}, by the standard {expected} ({}).", one.at, one.requires)
    });
    let page = result.observed.unpack().map(|seen| seen.page).unwrap_or_default();
    let unasked = page.iter().flat_map(|step| &step.unasked);
    let unasked =
        unasked.map(|message| format!("A message that no step asked for, from {}: {}", message.origin, message.data));
    let slow = (result.slowness > 1.0)
        .then(|| format!("The machine was slow: limits of time were multiplied by {}.", result.slowness));
    let controls = result.controls.iter().map(control_line);
    deviations.chain(controls).chain(unasked).chain(slow).collect()
}

/// What a control came to.
fn control_line(control: &ControlRecord) -> String {
    let ControlRecord { id, about, places, missing, verdict, differences, .. } = control;
    let name = match about {
        Some(about) if !about.starts_with("The control of ") => format!("the case {about}"),
        Some(about) => about.split_once(": ").map_or_else(|| id.clone(), |(_, about)| format!("the case {about}")),
        None => id.clone(),
    };
    let places = places.join(", ");
    if missing.is_empty() {
        return format!("Its control, {name}, has what is absent here: {places}.");
    }
    let differences: Vec<String> = differences.iter().map(difference_line).collect();
    let why = if differences.is_empty() { verdict.to_string() } else { differences.join("; ") };
    format!("Its control, {name}, should have what is absent here ({places}), and lacks {}: {why}.", missing.join(", "))
}

/// What is wrong with a result, in one line; nothing where all is as it should be.
pub(crate) fn what_happened(result: &CaseRecord) -> String {
    let difference = result.differences.first().map(difference_line);
    let more = match result.differences.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    match (result.verdict, difference, &result.note) {
        (Verdict::Fixed, _, Some(note)) => format!("as expected now; the expectations still say: {note}"),
        (Verdict::Flaky, Some(line), Some(note)) => format!("{note}; {line}{more}"),
        (_, Some(line), _) => format!("{line}{more}"),
        (_, None, Some(note)) => note.clone(),
        (_, None, None) => verdict_meaning(result.verdict).to_owned(),
    }
}

/// What a verdict says, for people.
pub(crate) const fn verdict_meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "As expected.",
        Verdict::NotShown => "As expected, but nothing shows that what is absent could have been there.",
        Verdict::Fail => "Not as expected.",
        Verdict::Known => "Not as expected; the expectations name the cause.",
        Verdict::Fixed => "As expected now, although the expectations say otherwise.",
        Verdict::Flaky => "Came out differently in several attempts.",
        Verdict::Differs => "Not as stated; the standards leave open what comes out.",
        Verdict::Skipped => "Not run.",
        Verdict::Error => "The harness could not tell.",
    }
}

/// What somebody should do about a verdict; nothing where nobody has to do anything.
pub(crate) const fn what_to_do(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Pass | Verdict::NotShown | Verdict::Known | Verdict::Differs | Verdict::Skipped => None,

        Verdict::Fail => Some(
            "Find out whether the agent, the case or the standard is wrong. If it is the agent, report the bug and add an \
             entry with its link to the expectations.",
        ),
        Verdict::Fixed => {
            Some("The deviation is gone: remove its entry from the expectations, so that a relapse is noticed.")
        }
        Verdict::Flaky => Some(
            "Run the case alone and repeatedly. If the agent really varies, add an entry with a link that explains it.",
        ),
        Verdict::Error => {
            Some("This says nothing about the agent. Read the note, repair the set-up and run the case again.")
        }
    }
}

/// What a grade means.
pub(crate) const fn grade_meaning(grade: Grade) -> &'static str {
    match grade {
        Grade::NeverSent => "No request reached any server.",
        Grade::PreflightOnly => "Only the preflight reached the server; the request itself was held back.",
        Grade::ResponseHidden => {
            "The request reached the server, which may have acted on it. The page learns nothing of the answer."
        }
        Grade::Opaque => "The request was answered. The page knows that, and nothing of what the answer says.",
        Grade::Readable => "The request was answered, and the page reads the answer.",
    }
}
