//! The executable standard agrees with what real browsers were observed to do.
//!
//! `recordings/<agent>.json.gz` hold the outcomes of a full run of each engine; `ci/recordings` makes them anew. This is
//! the test that has to fail when a rule of the model is changed: `ci/mutants` tries that for every line.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::LazyLock;

use crosscheck_cases::{Case, Difference, Level, Outcome, Prediction, Recording};
use flate2::read::GzDecoder;

use crate::support::{SUITE, all_agree};

static RECORDINGS: LazyLock<[Recording; 3]> = LazyLock::new(|| ["chromium", "firefox", "webkit"].map(recording));

fn recording(agent: &str) -> Recording {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recordings/{agent}.json.gz"));
    let file = File::open(&path).expect("a recording");
    serde_json::from_reader(BufReader::new(GzDecoder::new(file))).expect("a sound recording")
}

/// An observation without what the model leaves open (of WebSockets, event sources, loads and failures).
fn as_far_as_predicted(observed: &Outcome, predicted: &Outcome) -> Outcome {
    let mut observed = observed.clone();
    for (seen, said) in observed.page.iter_mut().zip(&predicted.page) {
        seen.url = seen.url.take().filter(|_| said.url.is_some());
        seen.status = seen.status.take().filter(|_| said.status.is_some());
        seen.events = seen.events.take().filter(|_| said.events.is_some());
        seen.body = seen.body.take().filter(|_| said.body.is_some());
        // Whether a font that cannot be had throws, or is just not there, is not the same in all engines.
        seen.error = seen.error.take().filter(|_| said.error.is_some());
        seen.seen.retain(|name, _| said.seen.contains_key(name));
    }
    observed
}

/// Rules of which `ci/expectations` says that an engine does not keep them in loads. It shows in cases, too, that are about
/// something else and do not state it.
const BROKEN_IN_LOADS: [(&str, &str); 3] = [
    ("chromium", "fetch.origin-header.4a"),
    ("webkit", "fetch.origin-header.4a"),
    ("webkit", "html.font.cors-required"),
];

fn differences(case: &Case, observed: &Outcome, predicted: &Prediction) -> Vec<Difference> {
    let predicted = case.stated.recorded(&predicted.outcome);
    let observed = as_far_as_predicted(observed, &predicted);
    let mut differences = observed.differences(&predicted);
    differences.extend(predicted.differences(&observed));
    differences
}

/// Holds each prediction against each observation of its case: what they disagree in, or nothing.
fn comparisons() -> impl Iterator<Item = Option<String>> {
    SUITE.cases.iter().flat_map(move |case| {
        let predicted = case.predict();
        let compare = move |recording: &Recording| {
            let predicted = predicted.as_ref()?;
            // A case that is new since the run has no observation yet.
            let observed = recording.passed.get(&case.id)?;
            let mut differences = differences(case, observed, predicted);
            if !differences.is_empty() {
                let broken = BROKEN_IN_LOADS.iter().filter(|(agent, _)| *agent == recording.agent);
                let mut broken = broken.filter_map(|(_, rule)| case.predict_breaking(&[(*rule).to_owned()]));
                if broken.any(|broken| self::differences(case, observed, &broken).is_empty()) {
                    differences.clear();
                }
            }
            // Where the standard leaves both open, a browser may do either.
            let first = differences.first().filter(|_| case.stated.level == Level::Required);
            Some(first.map(|first| {
                format!(
                    "{} in {} {}: {} observed {}, predicted {}",
                    case.id, recording.agent, recording.version, first.at, first.expected, first.observed
                )
            }))
        };
        RECORDINGS.iter().filter_map(compare)
    })
}

#[test]
fn the_model_agrees_with_the_recorded_observations_of_real_browsers() {
    all_agree(comparisons(), 40_000);
}
