use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A decision on the way to an outcome: the requirement that applied, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decision {
    /// The id of the requirement.
    pub requirement: Cow<'static, str>,
    /// How many messages had been sent before.
    pub after: usize,
}

/// What was decided, with the ids of the requirements that it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<T> {
    /// The outcome.
    pub outcome: T,
    /// The requirements, in order.
    pub follows: Vec<&'static str>,
}

/// The rules that applied, in order. Every decision of the model goes through [`Trace::rule`].
///
/// A rule that does not apply, because the agent does not keep it, lets the algorithm go the way of the most natural
/// mistake: the step is left out, or its opposite done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    applied: Vec<(&'static str, usize)>,
    sent: usize,
    broken: Vec<String>,
}

/// Most cases decide less often than this.
const EXPECTED: usize = 64;

impl Trace {
    /// A trace of a deliberately wrong agent: the rules with these ids never apply.
    pub(crate) fn breaking(rules: impl IntoIterator<Item = String>) -> Self {
        Self { broken: rules.into_iter().collect(), applied: Vec::with_capacity(EXPECTED), sent: 0 }
    }

    /// Whether the rule of a requirement applies. It is recorded where it does.
    #[must_use = "a rule decides something; what only follows from others is a note"]
    pub(crate) fn rule(&mut self, requirement: &'static str, condition: bool) -> bool {
        let applies = condition && !self.broken.iter().any(|broken| broken == requirement);
        if applies && self.applied.last() != Some(&(requirement, self.sent)) {
            self.applied.push((requirement, self.sent));
        }
        applies
    }

    /// Records that an outcome is also what this requirement says, where other rules have brought it about.
    pub(crate) fn note(&mut self, requirement: &'static str, condition: bool) {
        let _ = self.rule(requirement, condition);
    }

    /// Records that a message was sent.
    pub(crate) fn sent(&mut self) {
        self.sent += 1;
    }

    /// The requirements that applied so far.
    pub(crate) fn requirements(&self) -> Vec<&'static str> {
        self.applied.iter().map(|(requirement, _)| *requirement).collect()
    }

    /// The decisions so far.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        self.applied
            .iter()
            .map(|&(requirement, after)| Decision { requirement: Cow::Borrowed(requirement), after })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_has_each_rule_that_applied_once_between_two_messages() {
        let mut trace = Trace::breaking(["broken".to_owned()]);
        assert!(trace.rule("one", true));
        assert!(trace.rule("one", true));
        assert!(!trace.rule("two", false));
        assert!(!trace.rule("broken", true));
        trace.note("three", true);
        trace.note("two", false);
        assert!(trace.rule("one", true));
        trace.sent();
        trace.sent();
        assert!(trace.rule("one", true));
        assert_eq!(trace.requirements(), ["one", "three", "one", "one"]);
        let after: Vec<usize> = trace.decisions().iter().map(|decision| decision.after).collect();
        assert_eq!(after, [0, 0, 0, 2]);
    }
}
