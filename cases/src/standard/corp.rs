//! Fetch, *cross-origin resource policy check*.

use crosscheck_servers::Fields;
use url::Url;

use super::embedder_policy::{
    Checked, Disposition, EmbedderPolicy, EmbedderPolicyReport, EmbedderPolicyValue, serialize_for_reporting,
};
use super::fetch::NetworkError;
use super::origin::Origin;
use super::trace::{Decided, Trace};

/// A response under the check: of a no-cors request, or one that navigates a frame.
#[derive(Clone, Copy, Debug)]
pub struct Embedded<'r> {
    /// The URL that was asked first, before any redirect.
    pub first_url: &'r Url,
    /// The URL that this response comes from.
    pub url: &'r Url,
    /// Its header lines.
    pub headers: &'r Fields,
    /// The request's destination, such as `image`.
    pub destination: &'r str,
    /// Whether the request went with credentials.
    pub includes_credentials: bool,
    /// Whether it navigates a frame.
    pub for_navigation: bool,
}

/// *Cross-origin resource policy check*: whether a document of an origin and with an embedder policy is kept from a
/// response, and the reports that are due.
#[must_use]
pub fn check_resource_policy(origin: &Origin, policy: &EmbedderPolicy, response: Embedded<'_>) -> Decided<Checked> {
    let mut trace = Trace::default();
    let mut reports = Vec::new();
    let check = |trace: &mut Trace, value| {
        let Embedded { url, headers, includes_credentials, for_navigation, .. } = response;
        internal_check(trace, origin, value, (url, headers), includes_credentials, for_navigation)
    };
    // *Queue a cross-origin embedder policy CORP violation report*
    let report = |disposition, endpoint: &str| EmbedderPolicyReport {
        kind: "corp",
        blocked_url: serialize_for_reporting(response.first_url),
        disposition,
        destination: Some(response.destination.to_owned()),
        endpoint: endpoint.to_owned(),
    };
    // 3
    let mut without_policy = Trace::default();
    let result = if let Err(error) = check(&mut without_policy, EmbedderPolicyValue::UnsafeNone) {
        trace = without_policy;
        trace.note("fetch.corp-check.3", policy.value.is_compatible_with_isolation());
        Err(error)
    } else {
        // 4
        if check(&mut Trace::default(), policy.report_only_value).is_err() {
            trace.note("fetch.corp-check.4", true);
            reports.push(report(Disposition::Reporting, &policy.report_only_reporting_endpoint));
        }
        // 5
        let result = check(&mut trace, policy.value);
        trace.note("fetch.corp-check.5", result.is_ok());
        // 6
        if result.is_err() {
            trace.note("fetch.corp-check.6", true);
            reports.push(report(Disposition::Enforce, &policy.reporting_endpoint));
        }
        result
    };
    if !reports.is_empty() {
        trace.note("html.coep.corp.report", !response.for_navigation);
        trace.note("fetch.corp-check.report.2", true);
    }
    note_what_html_says(&mut trace, origin, policy.value, response, result.is_ok());
    Decided { outcome: Checked { error: result.err(), reports }, follows: trace.requirements() }
}

/// Notes HTML's accounts of what the check does under an embedder policy.
fn note_what_html_says(
    trace: &mut Trace,
    origin: &Origin,
    policy: EmbedderPolicyValue,
    response: Embedded<'_>,
    passes: bool,
) {
    let cross_origin = !origin.is_same_origin(&Origin::of(response.url));
    let stated = response.headers.get("cross-origin-resource-policy").map(|value| value.decode().into_owned());
    let known = stated.as_deref().filter(|value| ["same-origin", "same-site", "cross-origin"].contains(value));
    if response.for_navigation {
        trace.note("html.frame.corp-unsafe-none", policy == EmbedderPolicyValue::UnsafeNone && stated.is_some());
        trace.note("html.coep.nested.corp-also", policy.is_compatible_with_isolation() && cross_origin);
        trace.note(
            "html.coep.corp.credentialless.navigation",
            policy == EmbedderPolicyValue::Credentialless && cross_origin && known.is_none(),
        );
        return;
    }
    let is_invalid = stated.is_some() && known.is_none();
    match policy {
        EmbedderPolicyValue::UnsafeNone => {
            trace.note("html.coep.corp.require-corp.invalid", is_invalid);
            trace.note("html.coep.corp.unsafe-none.enforced", !passes);
        }
        EmbedderPolicyValue::RequireCorp => {
            trace.note("html.coep.corp.require-corp.missing", cross_origin && stated.is_none());
            trace.note("html.coep.corp.require-corp.invalid", is_invalid);
            trace.note("html.coep.corp.require-corp.cross-origin", cross_origin && known == Some("cross-origin"));
            trace.note("html.coep.corp.require-corp.same-site", cross_origin && known == Some("same-site"));
            trace.note("html.coep.corp.require-corp.same-origin-resource", !cross_origin && passes);
        }
        EmbedderPolicyValue::Credentialless if cross_origin && known.is_none() => {
            trace.note("html.coep.corp.credentialless.with-credentials", response.includes_credentials);
            trace.note("html.coep.corp.credentialless.no-credentials", !response.includes_credentials);
        }
        EmbedderPolicyValue::Credentialless => {}
    }
}

/// *Cross-origin resource policy internal check*. `credentials` is whether the request was sent with credentials,
/// `navigation` whether it navigates a frame.
pub(crate) fn internal_check(
    trace: &mut Trace,
    origin: &Origin,
    policy: EmbedderPolicyValue,
    response: (&Url, &Fields),
    credentials: bool,
    navigation: bool,
) -> Result<(), NetworkError> {
    if navigation && policy == EmbedderPolicyValue::UnsafeNone && trace.rule("fetch.corp-internal.1", true) {
        return Ok(());
    }
    let (url, headers) = response;
    let lines = headers.all("cross-origin-resource-policy").count();
    let value = headers.get("cross-origin-resource-policy"); // 2
    let text = value.as_ref().map(|value| value.decode().into_owned());
    let stated = match text.as_deref() {
        Some(known @ ("same-origin" | "same-site" | "cross-origin")) => Some(known.to_owned()),
        Some(other) => {
            let requirement = if lines > 1 || other.contains(',') {
                "fetch.corp-internal.2"
            } else if ["same-origin", "same-site", "cross-origin"].iter().any(|known| known.eq_ignore_ascii_case(other))
            {
                "fetch.corp-internal.3a"
            } else {
                "fetch.corp-internal.3b"
            };
            // 3: an unknown value counts as absent.
            if trace.rule(requirement, true) { None } else { Some("same-origin".to_owned()) }
        }
        None => None,
    };
    let mut required = false;
    let effective = match stated {
        Some(stated) => stated,
        None => match policy {
            EmbedderPolicyValue::UnsafeNone => {
                if trace.rule("fetch.corp-internal.4.unsafe-none", true) {
                    return Ok(());
                }
                "same-origin".to_owned()
            }
            EmbedderPolicyValue::Credentialless => {
                let blocked = navigation && trace.rule("fetch.corp-internal.4.credentialless.c", true)
                    || credentials && trace.rule("fetch.corp-internal.4.credentialless.a", true);
                let passes = !blocked && (credentials || trace.rule("fetch.corp-internal.4.credentialless.b", true));
                if passes {
                    return Ok(());
                }
                required = true;
                "same-origin".to_owned()
            }
            EmbedderPolicyValue::RequireCorp => {
                if !trace.rule("fetch.corp-internal.4.require-corp", true) {
                    return Ok(());
                }
                required = true;
                "same-origin".to_owned()
            }
        },
    };
    let target = Origin::of(url);
    let block = |requirement| {
        let class = if required { "corp-required" } else { "corp" };
        Err(NetworkError::new(class, requirement))
    };
    match effective.as_str() {
        "cross-origin" => {
            if trace.rule("fetch.corp-internal.5.cross-origin", true) {
                Ok(())
            } else {
                block("fetch.corp-internal.5.cross-origin")
            }
        }
        "same-site" => {
            let insecure_to_secure =
                origin.scheme() == Some(crosscheck_servers::Scheme::Http) && url.scheme() == "https";
            if !origin.is_schemelessly_same_site(&target) {
                return if trace.rule("fetch.corp-internal.5.same-site.b", true) {
                    block("fetch.corp-internal.5.same-site.b")
                } else {
                    Ok(())
                };
            }
            if insecure_to_secure && trace.rule("fetch.corp-internal.5.same-site.c", true) {
                return block("fetch.corp-internal.5.same-site.c");
            }
            let requirement = match (origin.scheme().map(|scheme| scheme.as_str()), url.scheme()) {
                (Some("http"), "http") => "fetch.corp-internal.5.same-site.d",
                (_, "http") => "fetch.corp-internal.5.same-site.e",
                _ => "fetch.corp-internal.5.same-site.a",
            };
            if trace.rule(requirement, true) || insecure_to_secure { Ok(()) } else { block(requirement) }
        }
        _ => {
            if origin.is_same_origin(&target) && trace.rule("fetch.corp-internal.5.same-origin.a", true) {
                return Ok(());
            }
            if required {
                return block(if policy == EmbedderPolicyValue::RequireCorp {
                    "fetch.corp-internal.4.require-corp"
                } else {
                    "fetch.corp-internal.4.credentialless.a"
                });
            }
            if trace.rule("fetch.corp-internal.5.same-origin.b", true) {
                return block("fetch.corp-internal.5.same-origin.b");
            }
            Ok(())
        }
    }
}
