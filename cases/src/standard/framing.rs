//! Who may frame a document: HTML, *the X-Frame-Options header*; CSP, *frame-ancestors*; and a frame's navigation under
//! both and the policies of the document around it.

use crosscheck_servers::Fields;
use url::Url;

use super::corp::{Embedded, check_resource_policy};
use super::csp::SourceList;
use super::embedder_policy::{EmbedderPolicy, EmbedderPolicyReport};
use super::fetch::NetworkError;
use super::header_value::get_decode_split;
use super::origin::Origin;
use super::trace::Decided;

/// The document around a frame.
#[derive(Clone, Copy, Debug)]
pub struct Container<'c> {
    /// Its embedder policy.
    pub policy: &'c EmbedderPolicy,
    /// Whether it is a secure context.
    pub is_secure_context: bool,
    /// Its origin, then those of the documents around it, up to the top-level page.
    pub origins: &'c [Origin],
}

/// An answer to a navigation: a redirect, or at last the response that a document is made of.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The URL that was asked.
    pub url: &'a Url,
    /// The header lines.
    pub headers: &'a Fields,
}

/// What keeps a document out of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameBlock {
    /// An answer's Cross-Origin-Resource-Policy, or its lack of one.
    ResourcePolicy(NetworkError),
    /// The frame-ancestors of its own Content Security Policy.
    FrameAncestors,
    /// The embedder policy of the document around the frame.
    EmbedderPolicy(NetworkError),
    /// X-Frame-Options.
    FrameOptions,
}

/// What a navigation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Navigated {
    /// What it is blocked by, if it is.
    pub blocked: Option<FrameBlock>,
    /// The reports that are due.
    pub reports: Vec<EmbedderPolicyReport>,
    /// How many of the answers it got to.
    pub answers: usize,
}

/// *Create navigation params by fetching* and *attempt to populate the history entry's document*, as far as they can
/// keep a document out of a frame: its answers, and the origin that the document at their end would have, which the
/// frame's sandbox can make opaque. A top-level page is in no container.
#[must_use]
pub fn navigate(
    container: Option<Container<'_>>,
    answers: &[Answered<'_>],
    destination: &Origin,
) -> Decided<Navigated> {
    let mut follows = Vec::new();
    let mut navigated = Navigated::default();
    let (Some(first), Some(last)) = (answers.first(), answers.last()) else {
        return Decided { outcome: navigated, follows };
    };
    let is_secure_context = Origin::of(last.url).is_potentially_trustworthy()
        && container.is_none_or(|container| container.is_secure_context);
    let policy = EmbedderPolicy::obtain(last.headers, is_secure_context);
    let adheres = policy.outcome.check_navigation(first.url, container.map(|container| container.policy));
    // *Create navigation params by fetching*, 13: each answer is checked against the document around the frame.
    if let Some((container, origin)) = container.and_then(|within| Some((within, within.origins.first()?))) {
        for answer in answers {
            let checked = check_resource_policy(origin, container.policy, embedded(first.url, answer));
            follows.extend(checked.follows);
            navigated.answers += 1;
            let is_redirect = navigated.answers < answers.len();
            if is_redirect && container.policy.value.is_compatible_with_isolation() {
                let mut note = |requirement| follows.push(requirement);
                note("html.coep.nested.redirect-corp");
            }
            navigated.reports.extend(checked.outcome.reports);
            if let Some(mut error) = checked.outcome.error {
                // Nothing but a report can tell which of the two checks comes first.
                error.also = adheres.outcome.error.filter(|_| !is_redirect).and_then(|error| error.class);
                navigated.blocked = Some(FrameBlock::ResourcePolicy(error));
                return Decided { outcome: navigated, follows };
            }
        }
    }
    navigated.answers = answers.len();
    // *Attempt to populate the history entry's document*, 5
    let ancestors = container.map_or(&[][..], |container| container.origins);
    let allowed = frame_ancestors_allow(last, ancestors);
    follows.extend(allowed.follows);
    if !allowed.outcome {
        navigated.blocked = Some(FrameBlock::FrameAncestors);
        return Decided { outcome: navigated, follows };
    }
    // 6
    follows.extend(policy.follows);
    follows.extend(adheres.follows);
    navigated.reports.extend(adheres.outcome.reports);
    if let Some(error) = adheres.outcome.error {
        navigated.blocked = Some(FrameBlock::EmbedderPolicy(error));
        return Decided { outcome: navigated, follows };
    }
    // 7
    let adheres = adheres_to_frame_options(last.headers, ancestors, destination);
    follows.extend(adheres.follows);
    navigated.blocked = (!adheres.outcome).then_some(FrameBlock::FrameOptions);
    Decided { outcome: navigated, follows }
}

/// An answer to the navigation of a frame, which always goes with credentials. (`html.frame.request`)
const fn embedded<'a>(first_url: &'a Url, answer: &Answered<'a>) -> Embedded<'a> {
    Embedded {
        first_url,
        url: answer.url,
        headers: answer.headers,
        destination: "iframe",
        includes_credentials: true,
        for_navigation: true,
    }
}

/// *Check a navigation response's adherence to X-Frame-Options*. `ancestors` are the origins of the documents around the
/// frame, from its container up; a top-level page has none.
#[must_use]
pub fn adheres_to_frame_options(headers: &Fields, ancestors: &[Origin], destination: &Origin) -> Decided<bool> {
    let mut follows = Vec::new();
    let mut note = |requirement| follows.push(requirement);
    // 1
    let Some(parent) = ancestors.first() else {
        note("html.xfo.top-level");
        return Decided { outcome: true, follows };
    };
    // 2
    if !lists(headers, None).is_empty() {
        note("html.xfo.frame-ancestors-wins");
        return Decided { outcome: true, follows };
    }
    if headers.contains("content-security-policy-report-only") {
        note("html.xfo.frame-ancestors-report-only");
    }
    // 3
    let raw = get_decode_split(headers, "x-frame-options").unwrap_or_default();
    if headers.all("x-frame-options").count() > 1 {
        note("html.xfo.two-headers");
    }
    // 4, 5
    let mut options: Vec<String> = Vec::new();
    for value in &raw {
        let lower = value.to_ascii_lowercase();
        if options.contains(&lower) {
            note("html.xfo.duplicate");
        } else {
            options.push(lower);
        }
    }
    let is_known = |value: &str| ["deny", "allowall", "sameorigin"].contains(&value);
    if raw
        .iter()
        .any(|value| is_known(&value.to_ascii_lowercase()) && value.bytes().any(|byte| byte.is_ascii_lowercase()))
    {
        note("html.xfo.case");
    }
    let outcome = match options.as_slice() {
        // 6
        [_, _, ..] if options.iter().any(|value| is_known(value)) => {
            let has_comma = ["sameorigin", ""].iter().all(|part| options.iter().any(|option| option == part));
            note(if has_comma { "html.xfo.sameorigin-comma" } else { "html.xfo.conflict" });
            false
        }
        // 7
        [_, _, ..] => {
            note("html.xfo.invalid-multiple");
            true
        }
        // 8
        [only] if only == "deny" => {
            note("html.xfo.deny");
            false
        }
        // 9
        [only] if only == "sameorigin" => {
            let passes = ancestors.iter().all(|ancestor| ancestor.is_same_origin(destination));
            note(match (passes, destination) {
                (true, _) => "html.xfo.sameorigin.ok",
                (false, Origin::Opaque) => "html.xfo.sameorigin.sandboxed",
                (false, _) if parent.is_same_origin(destination) => "html.xfo.sameorigin.grandparent",
                (false, _) => "html.xfo.sameorigin.parent-cross",
            });
            passes
        }
        // 10
        [_] => {
            note("html.xfo.invalid-single");
            true
        }
        [] => {
            note("html.xfo.absent");
            true
        }
    };
    if !outcome {
        note("html.xfo.outcome");
    }
    Decided { outcome, follows }
}

/// CSP, *frame-ancestors navigation response check*, for all policies of a response that comes from a server.
fn frame_ancestors_allow(response: &Answered<'_>, ancestors: &[Origin]) -> Decided<bool> {
    let mut follows = Vec::new();
    let mut note = |requirement| follows.push(requirement);
    let lists = lists(response.headers, Some(&Origin::of(response.url)));
    if lists.is_empty() {
        if response.headers.contains("content-security-policy-report-only") {
            note("csp.frame-ancestors.report-only");
        }
        if response.headers.contains("content-security-policy") {
            note("csp.frame-ancestors.no-default-src");
        }
        return Decided { outcome: true, follows };
    }
    // 4
    if ancestors.is_empty() {
        note("csp.frame-ancestors.top-level");
        return Decided { outcome: true, follows };
    }
    // 6
    note("csp.frame-ancestors.all-ancestors");
    let outcome = ancestors.iter().all(|ancestor| {
        let Ok(url) = Url::parse(&ancestor.serialize().decode()) else {
            note("csp.frame-ancestors.opaque-ancestor");
            return false;
        };
        lists.iter().all(|list| {
            note(if list.names_hosts() {
                "csp.frame-ancestors.host-list"
            } else if list.names_own_origin() {
                "csp.frame-ancestors.self"
            } else {
                "csp.frame-ancestors.none"
            });
            list.allows(&url, 0)
        })
    });
    Decided { outcome, follows }
}

/// The frame-ancestors directives of a response's enforced policies.
fn lists(headers: &Fields, own: Option<&Origin>) -> Vec<SourceList> {
    headers
        .all("content-security-policy")
        .flat_map(|value| SourceList::of(&value.decode(), &["frame-ancestors"], own))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standard::EmbedderPolicyValue;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn origin(text: &str) -> Origin {
        Origin::of(&url(text))
    }

    const PAGE: &str = "https://page.test";
    const OTHER: &str = "https://other.test";

    #[test]
    fn values_of_frame_options_are_read_and_named() {
        let (page, other) = (origin(PAGE), origin(OTHER));
        for (values, ancestors, destination, outcome, follows) in [
            (&[][..], &[&page][..], &page, true, &["html.xfo.absent"][..]),
            (&["DENY"], &[], &page, true, &["html.xfo.top-level"]),
            (&["DENY"], &[&page], &page, false, &["html.xfo.deny", "html.xfo.outcome"]),
            (&["deny"], &[&page], &page, false, &["html.xfo.case", "html.xfo.deny", "html.xfo.outcome"]),
            (&["foo"], &[&page], &page, true, &["html.xfo.invalid-single"]),
            (
                &["DENY", "DENY"],
                &[&page],
                &page,
                false,
                &["html.xfo.two-headers", "html.xfo.duplicate", "html.xfo.deny", "html.xfo.outcome"],
            ),
            (
                &["DENY", "SAMEORIGIN"],
                &[&page],
                &page,
                false,
                &["html.xfo.two-headers", "html.xfo.conflict", "html.xfo.outcome"],
            ),
            (&["SAMEORIGIN"], &[&page, &page], &page, true, &["html.xfo.sameorigin.ok"]),
            (&["SAMEORIGIN"], &[&page, &other], &page, false, &["html.xfo.sameorigin.grandparent", "html.xfo.outcome"]),
            (&["SAMEORIGIN"], &[&other], &page, false, &["html.xfo.sameorigin.parent-cross", "html.xfo.outcome"]),
            (&["SAMEORIGIN"], &[&page], &Origin::Opaque, false, &["html.xfo.sameorigin.sandboxed", "html.xfo.outcome"]),
        ] {
            let headers = values.iter().map(|value| ("X-Frame-Options".into(), (*value).into())).collect();
            let ancestors: Vec<Origin> = ancestors.iter().map(|ancestor| (*ancestor).clone()).collect();
            let decided = adheres_to_frame_options(&headers, &ancestors, destination);
            assert_eq!(decided.outcome, outcome, "{values:?} {ancestors:?}");
            assert_eq!(decided.follows, follows, "{values:?} {ancestors:?}");
        }
    }

    /// A navigation through these URLs, all of whose answers may be embedded by all, under the embedder policy
    /// require-corp for the document and `within` around it: whether the embedder policy blocks it, and what it follows.
    fn navigated(urls: &[&str], within: EmbedderPolicyValue, is_secure_context: bool) -> (bool, Vec<&'static str>) {
        let policy = EmbedderPolicy { value: within, ..EmbedderPolicy::default() };
        let origins = [origin(PAGE)];
        let container = Container { policy: &policy, is_secure_context, origins: &origins };
        let headers = [
            ("Cross-Origin-Embedder-Policy".into(), "require-corp".into()),
            ("Cross-Origin-Resource-Policy".into(), "cross-origin".into()),
        ]
        .into_iter()
        .collect();
        let urls: Vec<Url> = urls.iter().map(|text| url(text)).collect();
        let answers: Vec<Answered<'_>> = urls.iter().map(|url| Answered { url, headers: &headers }).collect();
        let decided = navigate(Some(container), &answers, &Origin::of(answers[answers.len() - 1].url));
        assert_eq!(decided.outcome.answers, answers.len());
        (matches!(decided.outcome.blocked, Some(FrameBlock::EmbedderPolicy(_))), decided.follows)
    }

    #[test]
    fn an_embedder_policy_counts_where_the_document_and_all_around_it_are_secure() {
        use EmbedderPolicyValue::RequireCorp;

        for (url, is_secure_context, is_blocked) in
            [(OTHER, true, false), (OTHER, false, true), ("http://other.test", true, true)]
        {
            let (blocked, follows) = navigated(&[url], RequireCorp, is_secure_context);
            assert_eq!(blocked, is_blocked, "{url} {is_secure_context}");
            assert_eq!(follows.contains(&"html.coep.parse.insecure"), is_blocked, "{follows:?}");
            assert_eq!(follows.contains(&"html.coep.nested.mixed-ok"), !is_blocked, "{follows:?}");
        }
    }

    #[test]
    fn redirects_of_a_frame_are_checked_under_an_embedder_policy() {
        use EmbedderPolicyValue::{Credentialless, RequireCorp, UnsafeNone};

        for (urls, within, redirects) in [
            (&[OTHER][..], RequireCorp, 0),
            (&[OTHER], UnsafeNone, 0),
            (&[OTHER, PAGE], RequireCorp, 1),
            (&[OTHER, PAGE, OTHER], Credentialless, 2),
            (&[OTHER, PAGE], UnsafeNone, 0),
        ] {
            let (blocked, follows) = navigated(urls, within, true);
            assert!(!blocked, "{urls:?} {within:?}");
            let named = follows.iter().filter(|id| **id == "html.coep.nested.redirect-corp").count();
            assert_eq!(named, redirects, "{urls:?} {within:?}");
        }
    }
}
