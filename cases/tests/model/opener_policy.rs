//! The executable standard's rules on opener policies predict the hand-written cases.

use crosscheck_cases::standard::{Client, Governed, OpenerPolicy, Origin, switches_group};
use crosscheck_cases::{Case, DocumentKind, Probe, ResultKind, requirement};
use serde_json::json;
use url::Url;

use crate::support::SUITE;

/// The URL of the named pop-up that a script opens.
fn opened_url(script: &str) -> Option<&str> {
    let (_, rest) = script.split_once("window.open('{url ")?;
    let (url, rest) = rest.split_once('}')?;
    rest.starts_with("', '{token}')").then_some(url)
}

/// What the case's server answers on the way from a URL, redirects included: the policies and origins of the answers.
fn answers(case: &Case, from: &str) -> Vec<(OpenerPolicy, Origin)> {
    let mut found = Vec::new();
    let mut next = Some(from.to_owned());
    while let Some(text) = next {
        let url = Url::parse(&text).expect("a sound URL");
        let origin = Origin::of(&url);
        let Some(behaviour) = case.stated.given.get(&text) else { panic!("{}: nothing answers at {text}", case.id) };
        let policy = OpenerPolicy::obtain(&behaviour.headers, origin.is_potentially_trustworthy());
        for id in &policy.follows {
            assert!(requirement(id).is_some(), "{id}");
        }
        found.push((policy.outcome, origin));
        next = behaviour.redirect.clone();
    }
    found
}

fn governed(answers: &[(OpenerPolicy, Origin)]) -> Vec<Governed<'_>> {
    answers.iter().map(|(policy, origin)| Governed { policy: *policy, origin }).collect()
}

#[test]
fn pop_ups_are_cut_off_where_the_cases_say() {
    let mut predicted = 0;
    let mut faults = Vec::new();
    for case in SUITE.cases.iter().filter(|case| case.id.starts_with("coop/")) {
        let page = &case.stated.page;
        let [Probe::Evaluate(script, _)] = case.stated.when.as_slice() else { continue };
        let Some(url) = opened_url(script) else { continue };
        let [result] = case.stated.then.page.as_slice() else { continue };
        let seen = result.value.clone().filter(|seen| seen.get("opener").is_some() && seen.get("closed").is_some());
        let (DocumentKind::Page, ResultKind::Value, Some(seen)) = (page.kind, result.result, seen) else { continue };
        let client = Client::of(page, "/");
        let policy = OpenerPolicy::obtain(&page.fields(), client.is_secure_context);
        let opener = Governed { policy: policy.outcome, origin: &client.origin };
        let chain = answers(case, url);
        let chain = governed(&chain);
        let opened = switches_group(true, opener, &chain);
        let mut switches = opened.outcome;
        let mut follows = [policy.follows, opened.follows].concat();
        if case.id.starts_with("coop/navigation/navigate-") {
            let to = answers(case, "https://page.test/popup");
            let gone_on = switches_group(false, *chain.last().expect("an answer"), &governed(&to));
            switches |= gone_on.outcome;
            follows.extend(gone_on.follows);
        }
        predicted += 1;
        if seen != json!({ "opener": !switches, "closed": switches }) {
            faults.push(format!("{}: predicted {switches}, the case says {seen} ({})", case.id, follows.join(", ")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(predicted >= 200, "only {predicted} cases were predicted");
}
