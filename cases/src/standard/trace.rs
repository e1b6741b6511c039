use serde::{Deserialize, Serialize};

/// A decision on the way to an outcome: the requirement that applied, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decision {
    /// The id of the requirement.
    pub requirement: String,
    /// How many messages had been sent before.
    pub after: usize,
}

/// The rules that applied, in order. Every decision of the model goes through [`Trace::rule`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    applied: Vec<(&'static str, usize)>,
    sent: usize,
    broken: Vec<String>,
}

impl Trace {
    /// A trace of a deliberately wrong agent: the rules with these ids never apply.
    pub(crate) fn breaking(rules: impl IntoIterator<Item = String>) -> Self {
        Self { broken: rules.into_iter().collect(), ..Self::default() }
    }

    /// Whether the rule of a requirement applies. It is recorded where it does.
    pub(crate) fn rule(&mut self, requirement: &'static str, condition: bool) -> bool {
        let applies = condition && !self.broken.iter().any(|broken| broken == requirement);
        if applies {
            self.applied.push((requirement, self.sent));
        }
        applies
    }

    /// Records that a message was sent.
    pub(crate) fn sent(&mut self) {
        self.sent += 1;
    }

    /// The decisions so far.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        self.applied
            .iter()
            .map(|&(requirement, after)| Decision { requirement: requirement.to_owned(), after })
            .collect()
    }
}
