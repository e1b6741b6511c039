//! The executable standard agrees with what real browsers were observed to do.
//!
//! `recordings/<agent>.json.gz` hold the outcomes of a full run of each engine; `ci/recordings` makes them anew. This is
//! the test that has to fail when a rule of the model is changed: `ci/mutants` tries that for every line.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crosscheck_cases::{Outcome, Recording, load};
use flate2::read::GzDecoder;

const AGENTS: [&str; 3] = ["chromium", "firefox", "webkit"];

fn recording(agent: &str) -> Recording {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recordings/{agent}.json.gz"));
    let file = File::open(&path).expect("a recording");
    serde_json::from_reader(BufReader::new(GzDecoder::new(file))).expect("a sound recording")
}

/// An observation without what the model leaves open (of WebSockets, event sources and failures).
fn as_far_as_predicted(observed: &Outcome, predicted: &Outcome) -> Outcome {
    let mut observed = observed.clone();
    for (seen, said) in observed.page.iter_mut().zip(&predicted.page) {
        seen.url = seen.url.take().filter(|_| said.url.is_some());
        seen.status = seen.status.take().filter(|_| said.status.is_some());
        seen.events = seen.events.take().filter(|_| said.events.is_some());
        seen.body = seen.body.take().filter(|_| said.body.is_some());
    }
    observed
}

#[test]
fn the_model_agrees_with_the_recorded_observations_of_real_browsers() {
    let suite = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("suite")).expect("a sound suite");
    let recordings = AGENTS.map(recording);
    let mut compared = 0;
    let mut disagreements = Vec::new();
    for case in &suite.cases {
        let Some(prediction) = case.predict() else { continue };
        let predicted = case.stated.recorded(&prediction.outcome);
        for recording in &recordings {
            // A case that is new since the run has no observation yet.
            let Some(observed) = recording.passed.get(&case.id) else { continue };
            compared += 1;
            let observed = &as_far_as_predicted(observed, &predicted);
            let mut differences = observed.differences(&predicted);
            differences.extend(predicted.differences(observed));
            // Where the standard leaves both open, a browser may do either.
            if let Some(first) = differences.first()
                && case.stated.level == crosscheck_cases::Level::Required
            {
                disagreements.push(format!(
                    "{} in {} {}: {} observed {}, predicted {}",
                    case.id, recording.agent, recording.version, first.at, first.expected, first.observed
                ));
            }
        }
    }
    assert!(compared > 40_000, "{compared}");
    let shown: Vec<&str> = disagreements.iter().take(20).map(String::as_str).collect();
    assert!(disagreements.is_empty(), "{} of {compared} disagree:\n{}", disagreements.len(), shown.join("\n"));
}
