//! Which rules the suite really tests: those without which some case comes out otherwise.

use std::collections::BTreeMap;

use crate::standard::consulted;
use crate::{Case, Outcome};

impl Case {
    /// What the case states, without what a prediction leaves open of a load: what scripts throw or find when they look,
    /// and how long a sound is.
    #[must_use]
    pub fn stated_as_far_as(&self, predicted: &Outcome) -> Outcome {
        let mut stated = self.stated.then.clone();
        for (seen, said) in stated.page.iter_mut().zip(&predicted.page) {
            seen.seen.retain(|name, _| said.seen.contains_key(name));
        }
        stated
    }

    /// Whether the case fails in an agent that does not keep a rule of the executable standard.
    #[must_use]
    pub fn catches(&self, rule: &str) -> bool {
        let Some(broken) = self.predict_breaking(&[rule.to_owned()]) else { return false };
        !self.stated_as_far_as(&broken.outcome).differences_and_reason(&broken.outcome).is_empty()
    }
}

/// How many cases are tried for a rule at the most: what so many do not tell, the others hardly do.
const TRIED: usize = 3000;

/// What cases say of a rule of the executable standard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach<'c> {
    /// How many cases follow the rule, or find that it does not apply to them.
    pub reached: usize,
    /// A case that an agent without the rule fails: one that names the rule, where there is such a one.
    pub caught_by: Option<&'c Case>,
}

/// How far cases reach each rule that the executable standard can leave out. A case that is in dispute with it tells
/// nothing.
#[must_use]
pub fn reach<'c>(cases: impl IntoIterator<Item = &'c Case>) -> BTreeMap<&'static str, Reach<'c>> {
    let mut by_rule: BTreeMap<&'static str, Vec<&Case>> = consulted().iter().map(|rule| (*rule, Vec::new())).collect();
    for case in cases {
        let Some(prediction) = case.predict() else { continue };
        if !case.stated_as_far_as(&prediction.outcome).differences(&prediction.outcome).is_empty() {
            continue;
        }
        // A case in whose right course a rule does not apply cannot tell its absence.
        for decision in prediction.decisions {
            let Some(reaching) = by_rule.get_mut(&*decision.requirement) else { continue };
            if reaching.last().is_none_or(|last| last.id != case.id) {
                reaching.push(case);
            }
        }
    }
    by_rule
        .into_iter()
        .map(|(rule, mut cases)| {
            let reached = cases.len();
            cases.sort_by_key(|case| !case.stated.requires.iter().any(|required| required == rule));
            (rule, Reach { reached, caught_by: cases.into_iter().take(TRIED).find(|case| case.catches(rule)) })
        })
        .collect()
}
