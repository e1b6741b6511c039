//! What a single probe shows, before one fault becomes one finding.

use super::ask::Asked;
use super::fault::Severity;
use super::finding::Evidence;
use super::replay::Replay;

/// A fault that was seen on a route.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) fault: &'static str,
    pub(crate) severity: Severity,
    pub(crate) route: String,
    /// What was seen, in a sentence.
    pub(crate) said: String,
    /// Whom it is about, where that is an origin.
    pub(crate) origins: Vec<String>,
    pub(crate) evidence: Evidence,
    /// How a page in a browser does the same.
    pub(crate) replay: Option<Replay>,
    /// How many requests it rests on.
    pub(crate) requests: usize,
}

impl Claim {
    pub(crate) fn new(
        fault: &'static str,
        severity: Severity,
        route: &str,
        said: impl Into<String>,
        asked: &Asked,
    ) -> Self {
        Self {
            fault,
            severity,
            route: route.to_owned(),
            said: said.into(),
            origins: Vec::new(),
            evidence: Evidence::of(asked),
            replay: Replay::of(asked),
            requests: asked.exchanged.len(),
        }
    }

    /// Other requests that it rests on, too.
    pub(crate) fn with<'a>(mut self, others: impl IntoIterator<Item = &'a Asked>) -> Self {
        self.requests += others.into_iter().map(|asked| asked.exchanged.len()).sum::<usize>();
        self
    }

    /// What a browser is to be asked in the place of this, which no page sends.
    pub(crate) fn replayed_as(mut self, replay: Option<Replay>) -> Self {
        self.replay = replay;
        self
    }

    pub(crate) fn about(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        for origin in origins {
            if !self.origins.contains(&origin) {
                self.origins.push(origin);
            }
        }
        self
    }
}
