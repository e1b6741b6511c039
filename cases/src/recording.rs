use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::predict::TOLD;
use crate::{Outcome, Prediction, Stated};

/// What one agent was observed to do in a full run, kept compactly as test data: the witness that the executable
/// standard is held against.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The agent's name, such as `chromium`.
    pub agent: String,
    /// Its version.
    pub version: String,
    /// When the run began: RFC 3339, UTC.
    pub started: String,
    /// The observed outcomes of all cases that passed, by id, in the form of [`Stated::recorded`].
    pub passed: BTreeMap<String, Outcome>,
    /// The ids of cases in which the agent is known to deviate from the standard.
    pub deviates: Vec<String>,
}

impl Stated {
    /// An observed or predicted outcome without what is not compared: texts of exceptions, reasons, readable headers
    /// that the case does not state, and request headers that tell nothing of cross-origin rules.
    #[must_use]
    pub fn recorded(&self, outcome: &Outcome) -> Outcome {
        let whole = Prediction { outcome: outcome.clone(), decisions: Vec::new() };
        let mut recorded = whole.expected_like(self);
        recorded.reason = None;
        for result in &mut recorded.page {
            result.message = None;
        }
        let stated = self.then.wire.as_deref().unwrap_or_default();
        for (at, message) in recorded.wire.iter_mut().flatten().enumerate() {
            message.body = message.body.take().filter(|body| !body.is_empty());
            // Of a message, a run keeps the headers that the case states for it.
            message.headers.retain(|name, _| {
                TOLD.contains(&name.as_str()) || stated.get(at).is_some_and(|stated| stated.headers.contains_key(name))
            });
        }
        recorded
    }
}
