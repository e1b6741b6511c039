//! The executable standard's rules on opener policies predict the hand-written cases.

use crosscheck_cases::standard::{Client, Governed, OpenerPolicy, Origin, switches_group};
use crosscheck_cases::{Case, DocumentKind};
use serde_json::{Value, json};
use url::Url;

use crate::support::{Followed, scripts_give};

/// The URL of the named pop-up that a script opens.
fn opened_url(script: &str) -> Option<&str> {
    let (_, rest) = script.split_once("window.open('{url ")?;
    let (url, rest) = rest.split_once('}')?;
    rest.starts_with("', '{token}')").then_some(url)
}

/// What the case's server answers on the way from a URL, redirects included: the policies and origins of the answers.
fn answers(case: &Case, from: &str, followed: &mut Followed) -> Vec<(OpenerPolicy, Origin)> {
    let mut found = Vec::new();
    let mut next = Some(from.to_owned());
    while let Some(text) = next {
        let url = Url::parse(&text).expect("a sound URL");
        let origin = Origin::of(&url);
        let Some(behaviour) = case.stated.given.get(&text) else { panic!("{}: nothing answers at {text}", case.id) };
        let policy = OpenerPolicy::obtain(&behaviour.headers, origin.is_potentially_trustworthy());
        found.push((followed.take(policy), origin));
        next = behaviour.redirect.clone();
    }
    found
}

fn governed(answers: &[(OpenerPolicy, Origin)]) -> Vec<Governed<'_>> {
    answers.iter().map(|(policy, origin)| Governed { policy: *policy, origin }).collect()
}

/// Whether the opener of a case is cut off from the pop-up that it opens and looks at.
fn predict(case: &Case, script: &str, followed: &mut Followed) -> Option<Value> {
    let page = &case.stated.page;
    let url = opened_url(script).filter(|_| page.kind == DocumentKind::Page)?;
    let looked_at = case.stated.then.page[0].value.as_ref()?;
    looked_at.get("opener").and(looked_at.get("closed"))?;
    let client = Client::of(page, "/");
    let policy = followed.take(OpenerPolicy::obtain(&page.fields(), client.is_secure_context));
    let opener = Governed { policy, origin: &client.origin };
    let chain = answers(case, url, followed);
    let chain = governed(&chain);
    let mut switches = followed.take(switches_group(true, opener, &chain));
    if case.id.starts_with("coop/navigation/navigate-") {
        let to = answers(case, "https://page.test/popup", followed);
        switches |= followed.take(switches_group(false, *chain.last()?, &governed(&to)));
    }
    Some(json!({ "opener": !switches, "closed": switches }))
}

#[test]
fn pop_ups_are_cut_off_where_the_cases_say() {
    scripts_give(&["coop/"], 200, predict);
}
