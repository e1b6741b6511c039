//! Mistakes that the format allows and no case should have.

use std::collections::HashSet;

use crosscheck_servers::{Behaviour, Route};

use crate::placement::route;
use crate::source_map::Segment;
use crate::{DocumentKind, Probe, ResultKind, Stated, feature, placeholder, reason_class, requirement};

fn member(names: &[&str]) -> Vec<Segment> {
    names.iter().map(|name| Segment::Member((*name).to_owned())).collect()
}

/// Everything wrong with a case that could be read, with the path of the faulty member. A predicted outcome is not looked
/// at.
pub(crate) fn mistakes(stated: &Stated, predicted: bool) -> Vec<(Vec<Segment>, String)> {
    let mut mistakes = Vec::new();
    let mut add = |path: &[&str], message: String| mistakes.push((member(path), message));
    if !is_kebab(&stated.id) {
        add(&["id"], format!("the id {:?} is not lower-case words and digits joined with \"-\"", stated.id));
    }
    if stated.requires.is_empty() {
        add(&["requires"], "a case names at least one requirement of the inventory (cases/requirements)".to_owned());
    }
    for id in stated.requires.iter().filter(|id| requirement(id).is_none()) {
        add(&["requires"], format!("no requirement has the id {id:?}; ids stand in cases/requirements/*.json"));
    }
    for need in stated.needs.iter().filter(|need| feature(need).is_none()) {
        add(&["needs"], format!("no feature has the name {need:?}; features stand in cases/features.json"));
    }
    for message in stated.page.mistakes() {
        add(&["page"], message);
    }
    for message in routes(stated) {
        add(&message.0.iter().map(String::as_str).collect::<Vec<_>>(), message.1);
    }
    steps(stated, &mut add);
    if !predicted {
        expectation(stated, &mut add);
    }
    mistakes
}

fn is_kebab(id: &str) -> bool {
    !id.is_empty()
        && id
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

type Add<'a> = &'a mut dyn FnMut(&[&str], String);

/// URLs of probes and redirects must stand in `given`: a request that no server expects proves nothing.
fn routes(stated: &Stated) -> Vec<(Vec<String>, String)> {
    let mut mistakes = Vec::new();
    let mut known: HashSet<Route> = HashSet::new();
    for url in stated.given.keys() {
        match route(url) {
            Some(route) => drop(known.insert(route)),
            None => mistakes.push((
                vec!["given".to_owned(), url.clone()],
                format!("{url:?} is not an absolute http(s) or ws(s) URL"),
            )),
        }
    }
    let is_given = |url: &str| match route(url) {
        None => true,
        Some(exact) => {
            let bare = Route { path: exact.path.split('?').next().unwrap_or_default().to_owned(), ..exact.clone() };
            known.contains(&exact) || known.contains(&bare)
        }
    };
    for url in stated.when.iter().filter_map(Probe::url).filter(|url| !is_given(url)) {
        mistakes.push((
            vec!["when".to_owned()],
            format!("nothing is given for {url:?}: a request to a server that is not there proves nothing"),
        ));
    }
    for (url, behaviour) in &stated.given {
        targets(behaviour, &mut |what, target| {
            if !is_given(target) {
                mistakes.push((
                    vec!["given".to_owned(), url.clone()],
                    format!("it {what} {target:?}, for which nothing is given"),
                ));
            }
        });
        texts(behaviour, &mut |text| {
            for name in placeholder::names(text) {
                let known = name == "token"
                    || name.starts_with("url ")
                    || name.starts_with("request.header ")
                    || ["request.origin", "request.method", "request.count", "request.body"].contains(&name);
                if !known {
                    mistakes.push((
                        vec!["given".to_owned(), url.clone()],
                        format!("there is no placeholder {{{name}}}; there are {{page}}, {{token}}, {{url URL}}, {{request.origin}}, {{request.method}}, {{request.count}}, {{request.body}}, {{request.header NAME}} and a matrix' dimensions"),
                    ));
                }
            }
        });
    }
    mistakes
}

fn targets(behaviour: &Behaviour, report: &mut dyn FnMut(&str, &str)) {
    behaviour.redirect.iter().for_each(|url| report("redirects to", url));
    behaviour.after.iter().for_each(|url| report("waits for", url));
    behaviour.preflight.iter().for_each(|preflight| targets(preflight, report));
    behaviour.rules.iter().for_each(|rule| targets(&rule.then, report));
}

fn texts(behaviour: &Behaviour, report: &mut dyn FnMut(&str)) {
    behaviour.headers.iter().for_each(|(_, value)| report(&value.decode()));
    behaviour.redirect.iter().for_each(|url| report(url));
    behaviour.cookies.iter().for_each(|cookie| report(&cookie.value.decode()));
    behaviour.preflight.iter().for_each(|preflight| texts(preflight, report));
    behaviour.rules.iter().for_each(|rule| texts(&rule.then, report));
}

fn steps(stated: &Stated, add: Add<'_>) {
    if stated.when.is_empty() {
        add(&["when"], "a case has at least one probe".to_owned());
    }
    let no_browser = stated.page.kind == DocumentKind::None;
    if stated.when.iter().any(|probe| matches!(probe, Probe::Client(..)) != no_browser) {
        add(
            &["when"],
            "\"client\" probes and a \"page\" of kind \"none\" go together, and with nothing else".to_owned(),
        );
    }
}

fn expectation(stated: &Stated, add: Add<'_>) {
    let then = &stated.then;
    if then.page.len() != stated.when.len() {
        add(
            &["then", "page"],
            format!(
                "{} steps, but {} expected page results: state one for each step",
                stated.when.len(),
                then.page.len()
            ),
        );
    }
    let evaluates = stated.when.iter().all(|probe| matches!(probe, Probe::Evaluate(..)));
    if then.wire.is_none() && !evaluates {
        add(
            &["then"],
            "state what goes over the wire: \"wire\": [\"preflight\", \"PUT\"], or [] for nothing".to_owned(),
        );
    }
    let blocked = then.page.last().is_some_and(|last| last.result == ResultKind::NetworkError);
    match &then.reason {
        None if blocked => add(&["then"], "an expected block names its \"reason\" (cases/reasons.json)".to_owned()),
        Some(reason) => {
            for class in reason.classes.iter().filter(|class| reason_class(class).is_none()) {
                add(
                    &["then", "reason"],
                    format!("no reason has the name {class:?}; reasons stand in cases/reasons.json"),
                );
            }
        }
        None => {}
    }
    if blocked && stated.when.len() > 1 && then.grade.is_none() {
        add(&["then"], "with several steps the \"grade\" of a blocked last step must be stated".to_owned());
    }
}
