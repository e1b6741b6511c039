//! The executable standard's rules on who may frame a document predict the hand-written cases.

use crosscheck_cases::standard::{
    Answered, Client, Container, EmbedderPolicy, FrameBlock, Origin, SandboxingFlag, SandboxingFlags,
    adheres_to_frame_options, navigate,
};
use crosscheck_cases::{Case, Document};
use crosscheck_servers::Fields;
use serde_json::{Value, json};
use url::Url;

use crate::support::{Followed, scripts_give};

/// The origins of the documents around a frame that a document holds.
fn origins(document: &Document) -> Vec<Origin> {
    let mut found = vec![document.active_origin()];
    if document.kind.is_frame() {
        found.extend(document.within.as_deref().map(origins).unwrap_or_default());
    }
    found
}

/// The URLs that a script names, in order.
fn named(script: &str) -> Vec<&str> {
    script.split("{url ").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}

/// The value of the sandbox attribute that a script sets.
fn sandbox(script: &str) -> Option<&str> {
    let rest = script.split_once("sandbox: '").or(script.split_once("sandbox = '"))?.1;
    Some(rest.split_once('\'')?.0)
}

/// What a script sees of the document that it frames, or opens: the forms of these topics.
fn seen(script: &str, is_shown: bool, is_same_origin: bool) -> Option<Value> {
    let text = if is_shown { "shown" } else { "blocked" };
    Some(if script.contains("const inside =") {
        json!([is_shown, if is_shown && is_same_origin { "own origin" } else { "other origin" }])
    } else if script.contains("'first {token}'") {
        json!(is_shown)
    } else if script.contains("popup.close()") {
        json!(if is_shown { "here" } else { "nothing" })
    } else if script.contains("thrown(() => f.contentWindow.document)") {
        assert!(!is_shown, "what the case is about");
        json!([null, "SecurityError", 0])
    } else if script.contains("'shown'") {
        json!(text)
    } else {
        return None;
    })
}

fn predict(case: &Case, script: &str, followed: &mut Followed) -> Option<Value> {
    let client = Client::of(&case.stated.page, "/");
    let urls = named(script);
    let (framed, mut ancestors) = match (urls.as_slice(), case.id.contains("/grandparent/")) {
        ([holder, framed], true) => (framed, vec![Origin::of(&Url::parse(holder).ok()?)]),
        // The document that speaks last is named first.
        ([_, framed], false) if script.contains("element.data = ") => (framed, Vec::new()),
        ([framed, ..], false) => (framed, Vec::new()),
        _ => return None,
    };
    ancestors.extend(origins(&case.stated.page));
    let behaviour = case.stated.given.get(*framed)?;
    let url = Url::parse(framed).ok()?;
    let flags = sandbox(script).map(|tokens| SandboxingFlags::parse(tokens).outcome).unwrap_or_default();
    let is_opaque = flags.with_policies(&behaviour.headers).outcome.has(SandboxingFlag::Origin);
    let destination = if is_opaque { Origin::Opaque } else { Origin::of(&url) };
    let container =
        Container { policy: &client.embedder_policy, is_secure_context: client.is_secure_context, origins: &ancestors };
    let opens = script.contains("popup(") || script.contains("window.open(");
    let answers = [Answered { url: &url, headers: &behaviour.headers }];
    let navigated = followed.take(navigate((!opens).then_some(container), &answers, &destination));
    seen(script, navigated.blocked.is_none(), ancestors[0].is_same_origin(&destination))
}

#[test]
fn documents_are_framed_where_the_cases_say() {
    scripts_give(&["csp/frame-ancestors/", "csp/x-frame-options/", "frames/x-frame-options/"], 118, predict);
}

/// The standard's own table of values that should not be sent.
#[test]
fn confused_values_block_where_they_meant_something() {
    let page = Origin::of(&Url::parse("https://page.test").expect("a URL"));
    for (value, outcome, follows) in [
        ("SAMEORIGIN, SAMEORIGIN", true, "html.xfo.sameorigin.ok"),
        ("SAMEORIGIN, DENY", false, "html.xfo.conflict"),
        ("SAMEORIGIN,", false, "html.xfo.sameorigin-comma"),
        ("SAMEORIGIN, ALLOWALL", false, "html.xfo.conflict"),
        ("SAMEORIGIN, INVALID", false, "html.xfo.conflict"),
        ("ALLOWALL, INVALID", false, "html.xfo.conflict"),
        ("ALLOWALL,", false, "html.xfo.conflict"),
        ("INVALID, INVALID", true, "html.xfo.invalid-single"),
        ("INVALID, \"DENY, DENY\"", true, "html.xfo.invalid-multiple"),
    ] {
        let headers: Fields = [("X-Frame-Options".into(), value.into())].into_iter().collect();
        let decided = adheres_to_frame_options(&headers, std::slice::from_ref(&page), &page);
        assert_eq!(decided.outcome, outcome, "{value}");
        assert!(decided.follows.contains(&follows), "{value}: {:?}", decided.follows);
        assert!(adheres_to_frame_options(&headers, &[], &page).outcome, "a top-level page");
    }
}

/// What blocks first is what the reason names.
#[test]
fn checks_come_in_the_standard_s_order() {
    let page = Url::parse("https://page.test/").expect("a URL");
    let other = Url::parse("https://api.other.test/").expect("a URL");
    let demanding = EmbedderPolicy::obtain(
        &[("Cross-Origin-Embedder-Policy".into(), "require-corp".into())].into_iter().collect(),
        true,
    );
    let origins = [Origin::of(&page)];
    let container = Container { policy: &demanding.outcome, is_secure_context: true, origins: &origins };
    let mut lines = vec![("X-Frame-Options", "DENY"), ("Content-Security-Policy", "frame-ancestors 'none'")];
    let mut blocked = |added: Option<(&'static str, &'static str)>, without: usize| {
        lines.truncate(lines.len() - without);
        lines.extend(added);
        let headers: Fields = lines.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let answers = [Answered { url: &other, headers: &headers }];
        navigate(Some(container), &answers, &Origin::of(&other)).outcome.blocked
    };
    let Some(FrameBlock::ResourcePolicy(error)) = blocked(None, 0) else { panic!("not by the check of the fetch") };
    assert_eq!((error.class, error.also), (Some("corp-required"), Some("embedder-policy")));
    let opened = ("Cross-Origin-Resource-Policy", "cross-origin");
    assert_eq!(blocked(Some(opened), 0), Some(FrameBlock::FrameAncestors));
    assert!(matches!(blocked(Some(opened), 2), Some(FrameBlock::EmbedderPolicy(_))));
    assert_eq!(blocked(Some(("Cross-Origin-Embedder-Policy", "credentialless")), 0), Some(FrameBlock::FrameOptions));
}
