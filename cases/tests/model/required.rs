//! What hand-written cases say they test is what the executable standard decides them by.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crosscheck_cases::standard::consulted;

use crate::support::SUITE;

#[test]
fn every_rule_decides_a_case_that_names_it() {
    let mut named: BTreeMap<&str, bool> = BTreeMap::new();
    let mut followed = BTreeSet::new();
    for case in SUITE.cases.iter().filter(|case| !case.predicted) {
        let Some(prediction) = case.predict() else { continue };
        let decisions: BTreeSet<Cow<'_, str>> = prediction.decisions.into_iter().map(|one| one.requirement).collect();
        for id in &case.stated.requires {
            *named.entry(id).or_default() |= decisions.contains(id.as_str());
        }
        followed.extend(decisions);
    }
    // Others are decided elsewhere: about documents, which the cases are given.
    let decided = |id: &str| consulted().contains(id) || followed.contains(id);
    let faults: Vec<&str> = named.iter().filter(|(id, decides)| !**decides && decided(id)).map(|(id, _)| *id).collect();
    assert!(faults.is_empty(), "these rules are named by cases, and decide none of them:\n{}", faults.join("\n"));
    let proven = named.values().filter(|decides| **decides).count();
    assert!(proven > 500, "{proven}");
}
