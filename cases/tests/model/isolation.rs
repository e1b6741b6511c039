//! The executable standard's rules on cross-origin isolation predict the hand-written cases.

use std::time::Duration;

use crosscheck_cases::standard::{Client, Isolation, IsolationMode, Origin};
use crosscheck_cases::{Case, Document, DocumentKind};
use serde_json::{Value, json};
use url::Url;

use crate::support::{Followed, scripts_give};

/// What a script sees, where that rests on isolation alone.
fn predict(case: &Case, script: &str, followed: &mut Followed) -> Option<Value> {
    let page = &case.stated.page;
    let isolation = followed.take(Isolation::of(page, IsolationMode::Concrete));
    Some(if case.id == "coep/documents/shared-worker-isolated" {
        let (_, script) = case.stated.given.first_key_value()?;
        let worker = Document {
            kind: DocumentKind::SharedWorker,
            headers: script.headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            within: Some(Box::new(page.clone())),
            ..Document::page("https://page.test")
        };
        json!(followed.take(Isolation::of(&worker, IsolationMode::Concrete)).is_capable)
    } else if script.ends_with("self.crossOriginIsolated") {
        json!(isolation.is_capable)
    } else if script == "typeof SharedArrayBuffer" {
        json!(if followed.take(isolation.has_shared_array_buffer()) { "function" } else { "undefined" })
    } else if script.contains("structuredClone(buffer)") {
        json!(if followed.take(isolation.serializes_shared_memory(false)) { "cloned" } else { "DataCloneError" })
    } else if script.contains("history.replaceState(buffer") {
        json!(if followed.take(isolation.serializes_shared_memory(true)) { "stored" } else { "DataCloneError" })
    } else if script.contains("measureUserAgentSpecificMemory()") {
        json!(if followed.take(isolation.measures_memory()) { "measured" } else { "refused" })
    } else if script.contains("steps.add(performance.now())") {
        json!(followed.take(isolation.time_resolution()) >= Duration::from_micros(100))
    } else if case.id == "coep/documents/document-domain" {
        let domain = if followed.take(isolation.changes_domain()) { "page.test" } else { "api.page.test" };
        json!([null, domain])
    } else if case.id.starts_with("coep/documents/shared-memory") {
        assert!(followed.take(isolation.serializes_shared_memory(false)), "what the case is about");
        let other = case.stated.given.keys().next().and_then(|url| Url::parse(url).ok())?;
        let arrives = followed.take(isolation.shares_memory(&Client::of(page, "/").origin, &Origin::of(&other)));
        json!(if arrives { "message" } else { "messageerror" })
    } else {
        return None;
    })
}

#[test]
fn documents_and_workers_are_isolated_where_the_cases_say() {
    scripts_give(&["coep/"], 30, predict);
}

/// Where a browser has no processes to spare, the restrictions come without what is given for them.
#[test]
fn logical_isolation_restricts_and_gives_nothing() {
    let mut page = Document::page("https://page.test");
    for (name, value) in
        [("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Embedder-Policy", "require-corp")]
    {
        page.headers.push((name.to_owned(), value.to_owned()));
    }
    let decided = Isolation::of(&page, IsolationMode::Logical);
    assert!(decided.follows.contains(&"html.coi.logical"));
    let isolation = decided.outcome;
    assert_eq!(isolation, Isolation { mode: IsolationMode::Logical, is_capable: false });
    assert!(isolation.has_shared_array_buffer().outcome);
    assert!(!isolation.serializes_shared_memory(false).outcome);
    assert!(!isolation.changes_domain().outcome);
    let origin = |url: &str| Origin::of(&Url::parse(url).expect("a URL"));
    let (own, sibling) = (origin("https://page.test"), origin("https://api.page.test"));
    assert!(!isolation.shares_memory(&own, &sibling).outcome);
    let plain = Isolation::default();
    assert!(plain.shares_memory(&own, &sibling).outcome && plain.changes_domain().outcome);
    assert_eq!(plain.time_resolution().outcome, Duration::from_micros(100));
}

/// A worker that a worker started, and one of a frame that was not let in.
#[test]
fn dedicated_workers_have_at_most_what_their_owner_has() {
    let document = |kind, within: Option<&Document>, policies: &[(&str, &str)]| Document {
        kind,
        headers: policies.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        within: within.cloned().map(Box::new),
        ..Document::page("https://page.test")
    };
    let coep = ("Cross-Origin-Embedder-Policy", "require-corp");
    let off = ("Permissions-Policy", "cross-origin-isolated=()");
    let page = document(DocumentKind::Page, None, &[("Cross-Origin-Opener-Policy", "same-origin"), coep]);
    let worker = document(DocumentKind::Worker, Some(&page), &[coep]);
    let frame = document(DocumentKind::Iframe, Some(&page), &[coep, off]);
    let of = |document: &Document| Isolation::of(document, IsolationMode::Concrete).outcome;
    assert!(of(&document(DocumentKind::Worker, Some(&worker), &[coep])).is_capable);
    let kept_out = of(&document(DocumentKind::Worker, Some(&frame), &[coep]));
    assert_eq!(kept_out, Isolation { mode: IsolationMode::Concrete, is_capable: false });
    let popup = document(DocumentKind::Popup, Some(&page), &[]);
    assert_eq!(of(&popup), Isolation::default(), "in a group of its own");
    assert_eq!(of(&document(DocumentKind::SharedWorker, Some(&page), &[])), Isolation::default());
}
