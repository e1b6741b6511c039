//! HTML, *cross-origin embedder policies* and *policy containers*: how the header is read, whose policy a document
//! without a response of its own has, and which frames and workers a policy keeps out.

use crosscheck_servers::Fields;
use serde::Serialize;
use url::Url;

use super::fetch::NetworkError;
use super::trace::Decided;

/// *Embedder policy value*
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmbedderPolicyValue {
    /// No demand.
    #[default]
    UnsafeNone,
    /// Cross-origin responses must say that they may be embedded.
    RequireCorp,
    /// Cross-origin no-cors requests go without credentials.
    Credentialless,
}

impl EmbedderPolicyValue {
    /// *Compatible with cross-origin isolation*
    #[must_use]
    pub const fn is_compatible_with_isolation(self) -> bool {
        matches!(self, Self::RequireCorp | Self::Credentialless)
    }
}

/// *Embedder policy*
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbedderPolicy {
    /// What is enforced.
    pub value: EmbedderPolicyValue,
    /// The name of the endpoint that hears of what is blocked, or nothing.
    pub reporting_endpoint: String,
    /// What is only reported.
    pub report_only_value: EmbedderPolicyValue,
    /// The name of the endpoint that hears of what would be blocked, or nothing.
    pub report_only_reporting_endpoint: String,
}

/// Where a document or worker comes from, as far as it decides whose policies it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreationUrl {
    /// `about:srcdoc`
    Srcdoc,
    /// A `blob:` URL.
    Blob,
    /// Another local URL: `data:`, `about:blank`.
    Local,
    /// A URL that a server answers.
    Network,
}

/// Whom a document can have its embedder policy from. (*Determine navigation params policy container*)
#[derive(Clone, Copy, Debug, Default)]
pub struct Containers<'p> {
    /// What its entry of the session history has stored.
    pub history: Option<&'p EmbedderPolicy>,
    /// The document that started the navigation.
    pub initiator: Option<&'p EmbedderPolicy>,
    /// The document around its frame.
    pub parent: Option<&'p EmbedderPolicy>,
    /// Its own response.
    pub response: Option<&'p EmbedderPolicy>,
}

/// Whether what a report tells of was blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposition {
    /// It was blocked.
    Enforce,
    /// It would have been.
    Reporting,
}

/// A report of the type `coep`, as its body is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbedderPolicyReport {
    /// `navigation`, `worker initialization` or `corp`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The URL that was asked first, without user, password and fragment.
    #[serde(rename = "blockedURL")]
    pub blocked_url: String,
    /// Whether it was blocked.
    pub disposition: Disposition,
    /// The destination of the request, in reports about resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The name of the endpoint that hears of it; where there is none, only observers in the page do.
    #[serde(skip)]
    pub endpoint: String,
}

/// What a check of a response comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Why the response is blocked, if it is.
    pub error: Option<NetworkError>,
    /// The reports that are due.
    pub reports: Vec<EmbedderPolicyReport>,
}

impl EmbedderPolicy {
    /// *Obtain an embedder policy* from a response's headers, for a secure context or another.
    #[must_use]
    pub fn obtain(headers: &Fields, is_secure_context: bool) -> Decided<Self> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        // 2
        if !is_secure_context {
            note("html.coep.parse.insecure");
            return Decided { outcome: Self::default(), follows };
        }
        // 3, 4
        let enforced = header(headers, "cross-origin-embedder-policy");
        follows.extend(enforced.follows);
        let (value, reporting_endpoint) = enforced.outcome;
        // 5, 6
        let reported = header(headers, "cross-origin-embedder-policy-report-only");
        let (report_only_value, report_only_reporting_endpoint) = reported.outcome;
        if report_only_value.is_compatible_with_isolation() {
            let mut note = |requirement| follows.push(requirement);
            note("html.coep.report-only");
        }
        // 7
        let outcome = Self { value, reporting_endpoint, report_only_value, report_only_reporting_endpoint };
        Decided { outcome, follows }
    }

    /// *Determine navigation params policy container*, of which this is the embedder policy.
    #[must_use]
    pub fn of_document(url: CreationUrl, containers: Containers<'_>) -> Decided<Self> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        let outcome = match (url, containers) {
            // 1: a URL that *requires storing the policy container in history* is local, and not `blob:`.
            (CreationUrl::Srcdoc | CreationUrl::Local, Containers { history: Some(history), .. }) => {
                note("html.coep.history");
                history.clone()
            }
            // 2
            (CreationUrl::Srcdoc, Containers { parent: Some(parent), .. }) => {
                note("html.coep.srcdoc-inherits");
                parent.clone()
            }
            // 3
            (CreationUrl::Blob, Containers { initiator: Some(initiator), .. }) => {
                note("html.coep.blob-inherits");
                initiator.clone()
            }
            (CreationUrl::Local, Containers { initiator: Some(initiator), .. }) => {
                note("html.coep.local-inherits");
                initiator.clone()
            }
            // 4, 5
            (_, Containers { response, .. }) => response.cloned().unwrap_or_default(),
        };
        Decided { outcome, follows }
    }

    /// *Initialize a worker global scope's policy container*, of which this is the embedder policy. `maker` made the URL
    /// of a `blob:` worker.
    #[must_use]
    pub fn of_worker(url: CreationUrl, owner: &Self, maker: &Self, response: &Self) -> Decided<Self> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        let outcome = match url {
            // 1
            CreationUrl::Srcdoc | CreationUrl::Local => {
                note("html.coep.worker.data-inherits");
                owner
            }
            // 2, *create a policy container from a fetch response*
            CreationUrl::Blob => {
                note("html.coep.worker.blob-inherits");
                maker
            }
            CreationUrl::Network => response,
        };
        Decided { outcome: outcome.clone(), follows }
    }

    /// *Check a navigation response's adherence to its embedder policy*, for the policy of the response that was asked
    /// at a URL. `parent` is the policy of the document around the frame; a top-level page has none.
    #[must_use]
    pub fn check_navigation(&self, url: &Url, parent: Option<&Self>) -> Decided<Checked> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        // 1
        let Some(parent) = parent else {
            note("html.coep.nested.top-level");
            return Decided { outcome: Checked::default(), follows };
        };
        // 3, 5
        let reports = self.inheritance_violations(parent, "navigation", url);
        for report in &reports {
            match report.disposition {
                Disposition::Reporting => note("html.coep.nested.report-only"),
                Disposition::Enforce => note("html.coep.nested.report"),
            }
        }
        // 4, 6
        let error = if !parent.value.is_compatible_with_isolation() {
            note("html.coep.nested.parent-none");
            None
        } else if self.value.is_compatible_with_isolation() {
            note("html.coep.nested.mixed-ok");
            None
        } else {
            note("html.coep.nested.blocked");
            note("html.coep.nested.load-event");
            Some(NetworkError::new("embedder-policy", "html.coep.nested.blocked"))
        };
        Decided { outcome: Checked { error, reports }, follows }
    }

    /// *Check a global object's embedder policy*, for the policy of a worker whose script was asked at a URL.
    #[must_use]
    pub fn check_worker(&self, url: &Url, is_dedicated: bool, owner: &Self) -> Decided<Checked> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        // 1
        if !is_dedicated {
            note("html.coep.worker.shared-exempt");
            return Decided { outcome: Checked::default(), follows };
        }
        // 4, 6
        let reports = self.inheritance_violations(owner, "worker initialization", url);
        if reports.iter().any(|report| report.disposition == Disposition::Enforce) {
            note("html.coep.worker.report");
        }
        // 5, 7
        let error = if !owner.value.is_compatible_with_isolation() || self.value.is_compatible_with_isolation() {
            note("html.coep.worker.dedicated-ok");
            None
        } else {
            note("html.coep.worker.dedicated-blocked");
            Some(NetworkError::new("embedder-policy", "html.coep.worker.dedicated-blocked"))
        };
        Decided { outcome: Checked { error, reports }, follows }
    }

    /// The reports of both checks: for each value of the container that is compatible with isolation where this policy
    /// is not. (*Queue a cross-origin embedder policy inheritance violation*)
    fn inheritance_violations(&self, container: &Self, kind: &'static str, url: &Url) -> Vec<EmbedderPolicyReport> {
        if self.value.is_compatible_with_isolation() {
            return Vec::new();
        }
        let report = |value: EmbedderPolicyValue, disposition, endpoint: &str| {
            value.is_compatible_with_isolation().then(|| EmbedderPolicyReport {
                kind,
                blocked_url: serialize_for_reporting(url),
                disposition,
                destination: None,
                endpoint: endpoint.to_owned(),
            })
        };
        let reporting =
            report(container.report_only_value, Disposition::Reporting, &container.report_only_reporting_endpoint);
        reporting
            .into_iter()
            .chain(report(container.value, Disposition::Enforce, &container.reporting_endpoint))
            .collect()
    }
}

/// Fetch, *serialize a response URL for reporting*: of the first URL of its list.
pub(crate) fn serialize_for_reporting(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    // Only URLs without a host have no user, and nothing to take away.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// The value of one of the two headers and its `report-to`; what is not compatible with isolation leaves both initial.
fn header(headers: &Fields, name: &str) -> Decided<(EmbedderPolicyValue, String)> {
    let mut follows = Vec::new();
    let mut note = |requirement| follows.push(requirement);
    let none = (EmbedderPolicyValue::UnsafeNone, String::new());
    let Some(value) = headers.get(name) else {
        note("html.coep.parse.missing");
        return Decided { outcome: none, follows };
    };
    let sent = value.decode();
    // Whitespace around a value is not part of it. (Fetch, *normalize*)
    let text = sent.trim_matches([' ', '\t']);
    let Ok(item) = sfv::Parser::new(text).parse::<sfv::Item>() else {
        // Lines are joined by commas.
        let is_list = text.contains(',');
        note(if is_list { "html.coep.parse.list" } else { "html.coep.parse.invalid" });
        return Decided { outcome: none, follows };
    };
    let value = match item.bare_item.as_token().map(sfv::TokenRef::as_str) {
        Some("require-corp") => {
            note("html.coep.parse.require-corp");
            EmbedderPolicyValue::RequireCorp
        }
        Some("credentialless") => {
            note("html.coep.parse.credentialless");
            EmbedderPolicyValue::Credentialless
        }
        Some("unsafe-none") => {
            note("html.coep.parse.unsafe-none");
            return Decided { outcome: none, follows };
        }
        other => {
            let known = ["require-corp", "credentialless", "unsafe-none"];
            let is_case = other.is_some_and(|other| known.iter().any(|known| known.eq_ignore_ascii_case(other)));
            note(if is_case { "html.coep.parse.case" } else { "html.coep.parse.invalid" });
            return Decided { outcome: none, follows };
        }
    };
    if !item.params.is_empty() {
        note("html.coep.parse.parameters");
    }
    let endpoint = item.params.get("report-to").and_then(sfv::BareItem::as_string).map(ToString::to_string);
    Decided { outcome: (value, endpoint.unwrap_or_default()), follows }
}

#[cfg(test)]
mod tests {
    use super::EmbedderPolicyValue::{Credentialless, RequireCorp, UnsafeNone};
    use super::*;

    #[test]
    fn how_the_header_is_read() {
        for (lines, value, endpoint, follows) in [
            (&[][..], UnsafeNone, "", &["missing"][..]),
            (&["require-corp"], RequireCorp, "", &["require-corp"]),
            (&["credentialless"], Credentialless, "", &["credentialless"]),
            (&[" require-corp\t"], RequireCorp, "", &["require-corp"]),
            (&["require-corp; report-to=\"ours\""], RequireCorp, "ours", &["require-corp", "parameters"]),
            (&["credentialless;x=1"], Credentialless, "", &["credentialless", "parameters"]),
            (&["unsafe-none; report-to=\"ours\""], UnsafeNone, "", &["unsafe-none"]),
            (&["nobody"], UnsafeNone, "", &["invalid"]),
            (&["\"require-corp\""], UnsafeNone, "", &["invalid"]),
            (&["require-corp require-corp"], UnsafeNone, "", &["invalid"]),
            (&["require-corp, require-corp"], UnsafeNone, "", &["list"]),
            (&["require-corp", "require-corp"], UnsafeNone, "", &["list"]),
            (&["", ""], UnsafeNone, "", &["list"]),
            (&["Require-Corp"], UnsafeNone, "", &["case"]),
        ] {
            let name = "Cross-Origin-Embedder-Policy";
            let headers = lines.iter().map(|line| (name.into(), (*line).into())).collect();
            let decided = EmbedderPolicy::obtain(&headers, true);
            let outcome =
                EmbedderPolicy { value, reporting_endpoint: endpoint.to_owned(), ..EmbedderPolicy::default() };
            let follows: Vec<String> = follows.iter().map(|id| format!("html.coep.parse.{id}")).collect();
            assert_eq!(decided.outcome, outcome, "{lines:?}");
            assert_eq!(decided.follows, follows, "{lines:?}");
        }
    }

    #[test]
    fn a_worker_that_is_blocked_is_reported() {
        let url = "https://page.test/worker".parse().expect("a URL");
        let (shared, passes) = ("html.coep.worker.shared-exempt", "html.coep.worker.dedicated-ok");
        let (blocked, report) = ("html.coep.worker.dedicated-blocked", "html.coep.worker.report");
        for (is_dedicated, (owner, owner_reports), value, dispositions, follows) in [
            (true, (UnsafeNone, UnsafeNone), UnsafeNone, &[][..], &[passes][..]),
            (true, (RequireCorp, UnsafeNone), Credentialless, &[], &[passes]),
            (true, (RequireCorp, UnsafeNone), UnsafeNone, &[Disposition::Enforce], &[report, blocked]),
            (true, (UnsafeNone, RequireCorp), UnsafeNone, &[Disposition::Reporting], &[passes]),
            (
                true,
                (Credentialless, RequireCorp),
                UnsafeNone,
                &[Disposition::Reporting, Disposition::Enforce],
                &[report, blocked],
            ),
            (false, (RequireCorp, RequireCorp), UnsafeNone, &[], &[shared]),
        ] {
            let policy = EmbedderPolicy { value, ..EmbedderPolicy::default() };
            let owner = EmbedderPolicy { value: owner, report_only_value: owner_reports, ..EmbedderPolicy::default() };
            let decided = policy.check_worker(&url, is_dedicated, &owner);
            let due: Vec<Disposition> = decided.outcome.reports.iter().map(|report| report.disposition).collect();
            assert_eq!((due.as_slice(), decided.follows.as_slice()), (dispositions, follows), "{owner:?} {value:?}");
            assert!(decided.outcome.reports.iter().all(|report| report.kind == "worker initialization"));
            let error = decided.outcome.error.map(|error| error.requirement);
            assert_eq!(error, follows.iter().find(|id| **id == blocked).copied(), "{owner:?} {value:?}");
        }
    }
}
