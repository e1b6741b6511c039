use crosscheck_cases::{Case, Difference, Level, Outcome};
use crosscheck_reports::Verdict;

use crate::expectations::Expectations;

/// A verdict and what stands behind it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) differences: Vec<Difference>,
    pub(crate) note: Option<String>,
    pub(crate) link: Option<String>,
}

/// Compares an observed outcome with the expected one. A block for the wrong reason, and a block for which the agent
/// `owes` a reason and gave none, are differences like any other.
pub(crate) fn judge(case: &Case, observed: &Outcome, owes: bool, expectations: &Expectations) -> Judgement {
    let expected = &case.stated.then;
    let mut differences = expected.differences_and_reason(observed);
    if let (Some(reason), None) = (&expected.reason, &observed.reason)
        && owes
    {
        differences.push(Difference {
            at: "reason".to_owned(),
            expected: reason.classes.join(" or "),
            observed: "the agent gave no reason".to_owned(),
        });
    }
    let entry = expectations.of_observed(case, observed);
    let plain =
        |verdict, note: Option<String>| Judgement { verdict, differences: differences.clone(), note, link: None };
    match (differences.is_empty(), entry) {
        (true, None) => plain(Verdict::Pass, None),
        (true, Some(entry)) => plain(
            Verdict::Fixed,
            Some(format!(
                "passes now, although {} expects a deviation ({}): take the entry out, or narrow its globs",
                expectations.path().display(),
                entry.cause
            )),
        ),
        (false, _) if case.stated.level == Level::Information => {
            plain(Verdict::Pass, Some("for information: the standards leave this open".to_owned()))
        }
        (false, None) => plain(Verdict::Fail, None),
        (false, Some(entry)) if expectations.explains(entry, case, observed) => Judgement {
            verdict: Verdict::Known,
            note: Some(entry.cause.clone()),
            link: entry.link.clone(),
            differences,
        },
        (false, Some(entry)) => {
            plain(Verdict::Fail, Some(format!("deviates in another way than the known one ({})", entry.cause)))
        }
    }
}

/// The verdict of a case over several attempts: flaky where they differ.
pub(crate) fn combine(verdicts: &[Verdict]) -> Verdict {
    match verdicts {
        [] => Verdict::Error,
        [first, rest @ ..] if rest.iter().all(|verdict| verdict == first) => *first,
        _ => Verdict::Flaky,
    }
}
