//! The executable standard's rules on embedder policies predict the hand-written cases.

use crosscheck_cases::standard::{
    Answered, Checked, Client, Container, Containers, CreationUrl, Disposition, Embedded, EmbedderPolicy,
    EmbedderPolicyReport, EmbedderPolicyValue, FrameBlock, Origin, check_resource_policy, navigate,
};
use crosscheck_cases::{Case, LoadProbe, Loader, Outcome, PageResult, Probe, ResultKind, WireMessage, outcome};
use crosscheck_servers::Fields;
use serde_json::{Value, json};
use url::Url;

use crate::support::{Followed, SUITE};

fn url(text: &str) -> Url {
    Url::parse(text).expect("a sound URL")
}

/// What the case's server answers on the way from a URL, redirects included.
fn answers(case: &Case, from: &str) -> Vec<(Url, Fields)> {
    let mut found = Vec::new();
    let mut next = Some(from.to_owned());
    while let Some(text) = next {
        let asked = text.split('#').next().unwrap_or_default();
        let Some(behaviour) = case.stated.given.get(asked) else { panic!("{}: nothing answers at {text}", case.id) };
        found.push((url(&text), behaviour.headers.clone()));
        next = behaviour.redirect.clone();
    }
    found
}

/// The client of a case whose document is a page at the top.
fn client(case: &Case) -> Client {
    Client::of(&case.stated.page, "/")
}

/// What a no-cors load of an element comes to.
fn load(
    client: &Client,
    destination: &str,
    answers: &[(Url, Fields)],
    followed: &mut Followed,
) -> (Checked, Vec<EmbedderPolicyReport>) {
    let mut reports = Vec::new();
    let mut checked = Checked::default();
    for (url, headers) in answers {
        let own = Origin::of(url).is_same_origin(&client.origin);
        // *Cross-Origin-Embedder-Policy allows credentials*
        let includes_credentials = own || client.embedder_policy.value != EmbedderPolicyValue::Credentialless;
        let response = Embedded {
            first_url: &answers[0].0,
            url,
            headers,
            destination,
            includes_credentials,
            for_navigation: false,
        };
        checked = followed.take(check_resource_policy(&client.origin, &client.embedder_policy, response));
        reports.extend(checked.reports.clone());
        if checked.error.is_some() {
            break;
        }
    }
    (checked, reports)
}

/// What the navigation of a frame in a page comes to.
fn frame(client: &Client, answers: &[(Url, Fields)], followed: &mut Followed) -> crosscheck_cases::standard::Navigated {
    let container = Container {
        policy: &client.embedder_policy,
        is_secure_context: client.is_secure_context,
        origins: std::slice::from_ref(&client.origin),
    };
    let answered: Vec<Answered<'_>> = answers.iter().map(|(url, headers)| Answered { url, headers }).collect();
    let destination = answers.last().map_or(Origin::Opaque, |(url, _)| Origin::of(url));
    followed.take(navigate(Some(container), &answered, &destination))
}

/// What the start of a worker comes to.
fn worker(client: &Client, answers: &[(Url, Fields)], is_dedicated: bool, followed: &mut Followed) -> Checked {
    let (first, headers) = &answers[0];
    let response = followed.take(EmbedderPolicy::obtain(headers, client.is_secure_context));
    let owner = &client.embedder_policy;
    let policy = followed.take(EmbedderPolicy::of_worker(CreationUrl::Network, owner, owner, &response));
    followed.take(policy.check_worker(first, is_dedicated, owner))
}

fn messages(answers: &[(Url, Fields)]) -> Vec<WireMessage> {
    let message = |(url, _): &(Url, Fields)| WireMessage {
        method: "GET".to_owned(),
        url: Some(url.to_string()),
        ..WireMessage::default()
    };
    answers.iter().map(message).collect()
}

/// What a frame or a worker of a page comes to.
fn predict(case: &Case, at: &str, probe: &LoadProbe, followed: &mut Followed) -> Option<Outcome> {
    let client = client(case);
    let answers = answers(case, at);
    let (error, asked, seen) = match probe.element {
        Loader::Iframe => {
            let navigated = frame(&client, &answers, followed);
            let error = match navigated.blocked {
                Some(FrameBlock::ResourcePolicy(error) | FrameBlock::EmbedderPolicy(error)) => Some(error),
                Some(FrameBlock::FrameAncestors | FrameBlock::FrameOptions) => return None,
                None => None,
            };
            let is_same = answers.last().is_some_and(|(url, _)| Origin::of(url).is_same_origin(&client.origin));
            (error, navigated.answers, vec![("message", json!("here")), ("document", json!(is_same))])
        }
        Loader::Worker => {
            let checked = worker(&client, &answers, true, followed);
            (checked.error, 1, vec![("message", json!("here"))])
        }
        _ => return None,
    };
    let mut page = PageResult { result: ResultKind::NetworkError, ..PageResult::default() };
    if error.is_none() {
        page.result = ResultKind::Loaded;
        page.seen = seen.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    }
    Some(outcome(vec![page], messages(&answers[..asked]), error))
}

#[test]
fn frames_and_workers_are_kept_out_where_the_cases_say() {
    let (mut predicted, mut faults) = (0, Vec::new());
    for case in SUITE.cases.iter().filter(|case| case.id.starts_with("coep/")) {
        let [Probe::Load(at, probe)] = case.stated.when.as_slice() else { continue };
        // No standard has this attribute yet.
        if probe.attributes.iter().any(|(name, _)| name == "credentialless") {
            continue;
        }
        let mut followed = Followed::default();
        let Some(expected) = predict(case, at, probe, &mut followed) else { continue };
        predicted += 1;
        let then = &case.stated.then;
        for difference in then.differences_and_reason(&expected) {
            faults.push(format!(
                "{}: {}: predicted {}, the case says {} ({})",
                case.id,
                difference.at,
                difference.observed,
                difference.expected,
                followed.0.join(", ")
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(predicted >= 813, "only {predicted} cases were predicted");
}

#[test]
fn elements_are_kept_from_what_does_not_open_itself() {
    let (mut predicted, mut faults) = (0, Vec::new());
    for case in SUITE.cases.iter().filter(|case| case.id.starts_with("coep/loads/")) {
        let [Probe::Load(at, _)] = case.stated.when.as_slice() else { continue };
        let [result] = case.stated.then.page.as_slice() else { continue };
        let answers = answers(case, at);
        // Who opens itself by CORS is loaded in that mode, in which nothing of this is asked.
        if answers.iter().any(|(_, headers)| headers.contains("access-control-allow-origin")) {
            continue;
        }
        let mut followed = Followed::default();
        let (checked, _) = load(&client(case), "", &answers, &mut followed);
        predicted += 1;
        let class = checked.error.and_then(|error| error.class);
        let stated = case.stated.then.reason.as_ref().and_then(|reason| reason.classes.first()).map(String::as_str);
        if (result.result == ResultKind::NetworkError) != checked.error.is_some() || class != stated {
            faults.push(format!("{}: predicted {class:?}, the case says {stated:?}", case.id));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(predicted >= 35, "only {predicted} cases were predicted");
}

/// The URLs that a piece of script names.
fn named(script: &str) -> Vec<String> {
    let name = |rest: &str| {
        let (url, after) = rest.split_once('}').expect("a closed brace");
        let fragment = after.split('\'').next().filter(|fragment| fragment.starts_with('#')).unwrap_or_default();
        format!("{url}{fragment}")
    };
    script.split("{url ").skip(1).map(name).collect()
}

#[test]
fn what_is_kept_out_is_reported_as_the_cases_say() {
    let (mut predicted, mut faults) = (0, Vec::new());
    for case in SUITE.cases.iter().filter(|case| case.id.starts_with("coep/reports/")) {
        let [Probe::Evaluate(script, _)] = case.stated.when.as_slice() else { continue };
        let [result] = case.stated.then.page.as_slice() else { continue };
        let (_, inner) = script.split_once("run(inner, ").expect("what runs in the document with the policy");
        let mut document = crosscheck_cases::Document::page("https://page.test");
        let (_, own) = answers(case, "https://page.test/frame").remove(0);
        document.headers = own.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let client = Client::of(&document, "/");
        let mut followed = Followed::default();
        let mut reports = Vec::new();
        for url in named(inner) {
            let answers = answers(case, &url);
            reports.extend(if inner.contains("new Image()") {
                load(&client, "image", &answers, &mut followed).1
            } else if inner.contains("new Worker(") {
                worker(&client, &answers, true, &mut followed).reports
            } else {
                frame(&client, &answers, &mut followed).reports
            });
        }
        predicted += 1;
        let Some(report) = reports.first() else {
            faults.push(format!("{}: no report is predicted", case.id));
            continue;
        };
        assert_eq!(report.endpoint, "to", "{}", case.id);
        let body = serde_json::to_value(report).expect("a report");
        if result.value.as_ref() != Some(&body) {
            faults.push(format!("{}: predicted {body}, the case says {:?}", case.id, result.value));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(predicted >= 6, "only {predicted} cases were predicted");
}

/// Whether a document with a policy gets a no-cors response from a URL of the case, as its script tells it.
fn asks(client: &Client, policy: EmbedderPolicy, case: &Case, at: &str, followed: &mut Followed) -> &'static str {
    let mut client = client.clone();
    client.embedder_policy = policy;
    if load(&client, "", &answers(case, at), followed).0.error.is_some() { "blocked" } else { "opaque" }
}

/// What a case about documents sees, where it rests on embedder policies alone.
fn document_value(case: &Case, followed: &mut Followed) -> Option<Value> {
    let client = client(case);
    let owner = &client.embedder_policy;
    Some(match case.id.strip_prefix("coep/documents/")? {
        "top-level" => {
            let urls = ["https://page.test/first", "https://api.other.test/second"];
            let is_shown = urls.iter().all(|url| {
                let answers = answers(case, url);
                let answered: Vec<_> = answers.iter().map(|(url, headers)| Answered { url, headers }).collect();
                followed.take(navigate(None, &answered, &Origin::of(&answers[0].0))).blocked.is_none()
            });
            json!(if is_shown { "shown" } else { "blocked" })
        }
        "load-event" => {
            let navigated = frame(&client, &answers(case, "https://page.test/frame"), followed);
            assert!(navigated.blocked.is_some(), "{navigated:?}");
            json!([null, "SecurityError"])
        }
        "history" => {
            let (_, headers) = answers(case, "https://page.test/first").remove(0);
            let first = followed.take(EmbedderPolicy::obtain(&headers, true));
            let from = |containers| EmbedderPolicy::of_document(CreationUrl::Local, containers);
            let at_first = followed.take(from(Containers { initiator: Some(&first), ..Containers::default() }));
            let initiator = EmbedderPolicy::default();
            let history = Containers { history: Some(&at_first), initiator: Some(&initiator), ..Containers::default() };
            let again = followed.take(from(history));
            let mut asks = |policy| asks(&client, policy, case, "https://api.other.test/", followed);
            json!(["first", asks(at_first), "last", asks(again)])
        }
        "shared-worker" => {
            let checked = worker(&client, &answers(case, "https://page.test/"), false, followed);
            json!(if checked.error.is_none() { "here" } else { "error" })
        }
        name @ ("data-worker" | "blob-worker") => {
            let (kind, at) = match name {
                "blob-worker" => (CreationUrl::Blob, "blob:https://page.test/x"),
                _ => (CreationUrl::Local, "data:,"),
            };
            let policy = followed.take(EmbedderPolicy::of_worker(kind, owner, owner, &EmbedderPolicy::default()));
            assert_eq!(followed.take(policy.check_worker(&url(at), true, owner)), Checked::default());
            let mut asks = |at| asks(&client, policy.clone(), case, at, followed);
            json!([asks("https://api.other.test/"), asks("https://api.other.test/open")])
        }
        _ => return None,
    })
}

#[test]
fn documents_have_the_policies_that_the_cases_say() {
    let (mut predicted, mut faults) = (0, Vec::new());
    for case in &SUITE.cases {
        let mut followed = Followed::default();
        let Some(value) = document_value(case, &mut followed) else { continue };
        predicted += 1;
        if case.stated.then.page[0].value.as_ref() != Some(&value) {
            faults.push(format!("{}: predicted {value} ({})", case.id, followed.0.join(", ")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(predicted >= 6, "only {predicted} cases were predicted");
}

/// What the header's `report-to` gives, which no page can see.
#[test]
fn endpoints_are_named_by_a_string_of_a_policy_that_demands_something() {
    let read = |name: &str, value: &str, is_secure_context| {
        let headers = [(name.into(), value.into())].into_iter().collect();
        EmbedderPolicy::obtain(&headers, is_secure_context).outcome
    };
    let enforced = |value| read("Cross-Origin-Embedder-Policy", value, true);
    assert_eq!(enforced("require-corp; report-to=\"x\"").reporting_endpoint, "x");
    assert_eq!(enforced("unsafe-none; report-to=\"x\""), EmbedderPolicy::default());
    assert_eq!(enforced("require-corp; report-to=x; report-to=1").reporting_endpoint, "");
    let reported = read("Cross-Origin-Embedder-Policy-Report-Only", "credentialless; report-to=\"x\"", true);
    assert_eq!(
        reported,
        EmbedderPolicy {
            report_only_value: EmbedderPolicyValue::Credentialless,
            report_only_reporting_endpoint: "x".to_owned(),
            ..EmbedderPolicy::default()
        }
    );
    assert_eq!(read("Cross-Origin-Embedder-Policy", "require-corp", false), EmbedderPolicy::default());
}

/// Both policies of a page can have something to say about one frame or worker, first what is only reported.
#[test]
fn a_page_with_both_policies_reports_twice() {
    let both = EmbedderPolicy {
        value: EmbedderPolicyValue::RequireCorp,
        report_only_value: EmbedderPolicyValue::Credentialless,
        ..EmbedderPolicy::default()
    };
    let at = url("https://a:b@page.test/frame#here");
    let response = EmbedderPolicy::default();
    for checked in [response.check_navigation(&at, Some(&both)), response.check_worker(&at, true, &both)] {
        let reports = checked.outcome.reports;
        let dispositions: Vec<_> = reports.iter().map(|report| report.disposition).collect();
        assert_eq!(dispositions, [Disposition::Reporting, Disposition::Enforce]);
        assert_eq!(reports[0].blocked_url, "https://page.test/frame");
        assert!(checked.outcome.error.is_some());
    }
    let reporting = EmbedderPolicy { value: EmbedderPolicyValue::UnsafeNone, ..both };
    assert!(response.check_navigation(&at, Some(&reporting)).outcome.error.is_none());
    assert!(reporting.check_navigation(&at, None).outcome.reports.is_empty(), "a top-level page");
}
