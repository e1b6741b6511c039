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
    let cross_origin = !origin.is_origin_of(response.url);
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
    let value = headers.get("cross-origin-resource-policy"); // 2
    let text = value.as_ref().map(|value| value.decode().into_owned());
    let stated = match text.as_deref() {
        Some(known @ ("same-origin" | "same-site" | "cross-origin")) => Some(known.to_owned()),
        Some(other) => {
            // Lines are joined by commas.
            let requirement = if other.contains(',') {
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
    // What asks for a header, where there is none.
    let mut required = None;
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
                if navigation && trace.rule("fetch.corp-internal.4.credentialless.c", true) {
                    required = Some("fetch.corp-internal.4.credentialless.c");
                } else if credentials && trace.rule("fetch.corp-internal.4.credentialless.a", true) {
                    required = Some("fetch.corp-internal.4.credentialless.a");
                } else if credentials || trace.rule("fetch.corp-internal.4.credentialless.b", true) {
                    return Ok(());
                } else {
                    required = Some("fetch.corp-internal.4.credentialless.b");
                }
                "same-origin".to_owned()
            }
            EmbedderPolicyValue::RequireCorp => {
                if !trace.rule("fetch.corp-internal.4.require-corp", true) {
                    return Ok(());
                }
                required = Some("fetch.corp-internal.4.require-corp");
                "same-origin".to_owned()
            }
        },
    };
    let target = Origin::of(url);
    let block = |requirement| {
        let class = if required.is_some() { "corp-required" } else { "corp" };
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
            if let Some(requirement) = required {
                return block(requirement);
            }
            if trace.rule("fetch.corp-internal.5.same-origin.b", true) {
                return block("fetch.corp-internal.5.same-origin.b");
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EmbedderPolicyValue::{Credentialless, RequireCorp, UnsafeNone};
    use super::*;

    const OWN: &str = "https://page.test/";
    const SAME_SITE: &str = "https://api.page.test/";
    const INSECURE: &str = "http://api.page.test/";
    const OTHER: &str = "https://other.test/";
    const CORP: &str = "Cross-Origin-Resource-Policy";

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    fn lines(values: &[&str]) -> Fields {
        values.iter().map(|value| (CORP.into(), (*value).into())).collect()
    }

    /// What a document of https://page.test comes to with an image (or a frame) of a URL and these lines.
    fn check(policy: &EmbedderPolicy, at: &str, values: &[&str], sent_with: &str) -> Decided<Checked> {
        let (first_url, headers) = (url("https://user:secret@page.test/first#part"), lines(values));
        let embedded = Embedded {
            first_url: &first_url,
            url: &url(at),
            headers: &headers,
            destination: "image",
            includes_credentials: sent_with == "credentials",
            for_navigation: sent_with == "navigation",
        };
        check_resource_policy(&Origin::of(&url(OWN)), policy, embedded)
    }

    /// The rows: what a request is sent with, the embedder policy, the URL, the lines; and the requirements that are
    /// followed, shortened as [`written_out`] says. The one with a `!` is why the response is blocked.
    const ROWS: [(&str, EmbedderPolicyValue, &str, &[&str], &str); 35] = [
        ("", UnsafeNone, OTHER, &[], "internal.4.unsafe-none check.5"),
        ("", UnsafeNone, OTHER, &["cross-origin"], "internal.5.cross-origin check.5"),
        ("", UnsafeNone, OWN, &["same-origin"], "internal.5.same-origin.a check.5"),
        ("", UnsafeNone, SAME_SITE, &["same-origin"], "!internal.5.same-origin.b corp.unsafe-none.enforced"),
        ("", UnsafeNone, SAME_SITE, &["same-site"], "internal.5.same-site.a check.5"),
        ("", UnsafeNone, INSECURE, &["same-site"], "internal.5.same-site.e check.5"),
        ("", UnsafeNone, OTHER, &["same-site"], "!internal.5.same-site.b corp.unsafe-none.enforced"),
        ("", UnsafeNone, OTHER, &["Same-Origin"], "internal.3a internal.4.unsafe-none check.5 invalid"),
        ("", UnsafeNone, OTHER, &["nobody"], "internal.3b internal.4.unsafe-none check.5 invalid"),
        ("", UnsafeNone, OTHER, &["same-origin"; 2], "internal.2 internal.4.unsafe-none check.5 invalid"),
        ("", RequireCorp, OTHER, &[], "!internal.4.require-corp check.6 report corp.require-corp.missing"),
        ("", RequireCorp, OTHER, &["a, b"], "internal.2 !internal.4.require-corp check.6 report invalid"),
        ("", RequireCorp, OTHER, &["cross-origin"], "internal.5.cross-origin check.5 corp.require-corp.cross-origin"),
        ("", RequireCorp, SAME_SITE, &["same-site"], "internal.5.same-site.a check.5 corp.require-corp.same-site"),
        ("", RequireCorp, OTHER, &["same-site"], "!internal.5.same-site.b check.3 corp.require-corp.same-site"),
        ("", RequireCorp, OTHER, &["same-origin"], "!internal.5.same-origin.b check.3"),
        ("", RequireCorp, OWN, &[], "internal.4.require-corp internal.5.same-origin.a check.5 own"),
        ("", RequireCorp, OWN, &["same-site"], "internal.5.same-site.a check.5 own"),
        ("", RequireCorp, OWN, &["cross-origin"], "internal.5.cross-origin check.5 own"),
        ("", Credentialless, OTHER, &[], "internal.4.credentialless.b check.5 corp.credentialless.no-credentials"),
        ("", Credentialless, OTHER, &["same-origin"], "!internal.5.same-origin.b check.3"),
        ("", Credentialless, OTHER, &["cross-origin"], "internal.5.cross-origin check.5"),
        ("", Credentialless, OWN, &[], "internal.4.credentialless.b check.5"),
        ("credentials", Credentialless, OTHER, &[], "!internal.4.credentialless.a check.6 report with-credentials"),
        ("credentials", Credentialless, OTHER, &["cross-origin"], "internal.5.cross-origin check.5"),
        ("credentials", Credentialless, OWN, &[], "internal.4.credentialless.a internal.5.same-origin.a check.5"),
        ("navigation", UnsafeNone, OTHER, &[], "internal.1 check.5"),
        ("navigation", UnsafeNone, OTHER, &["same-origin"], "internal.1 check.5 html.frame.corp-unsafe-none"),
        ("navigation", RequireCorp, OTHER, &[], "!internal.4.require-corp check.6 check.report.2 frame"),
        ("navigation", RequireCorp, OTHER, &["cross-origin"], "internal.5.cross-origin check.5 frame"),
        ("navigation", RequireCorp, OWN, &[], "internal.4.require-corp internal.5.same-origin.a check.5"),
        (
            "navigation",
            Credentialless,
            OTHER,
            &[],
            "!internal.4.credentialless.c check.6 check.report.2 frame navigation",
        ),
        (
            "navigation",
            Credentialless,
            OTHER,
            &["a"],
            "internal.3b !internal.4.credentialless.c check.6 check.report.2 frame navigation",
        ),
        ("navigation", Credentialless, OTHER, &["cross-origin"], "internal.5.cross-origin check.5 frame"),
        ("navigation", Credentialless, OWN, &[], "internal.4.credentialless.c internal.5.same-origin.a check.5"),
    ];

    /// The ids of requirements that are shortened in a row.
    fn written_out(row: &str) -> Vec<String> {
        let one = |word: &str| match word.split_once('.') {
            Some(("internal" | "check", _)) => vec![format!("fetch.corp-{word}")],
            Some(("corp", _)) => vec![format!("html.coep.{word}")],
            _ if word == "invalid" => vec!["html.coep.corp.require-corp.invalid".to_owned()],
            _ if word == "with-credentials" || word == "navigation" => {
                vec![format!("html.coep.corp.credentialless.{word}")]
            }
            _ if word == "report" => vec!["html.coep.corp.report".to_owned(), "fetch.corp-check.report.2".to_owned()],
            _ if word == "own" => vec!["html.coep.corp.require-corp.same-origin-resource".to_owned()],
            _ if word == "frame" => vec!["html.coep.nested.corp-also".to_owned()],
            _ => vec![word.to_owned()],
        };
        row.split(' ').flat_map(|word| one(word.trim_start_matches('!'))).collect()
    }

    #[test]
    fn what_keeps_a_response_out_under_each_embedder_policy_and_whose_rules_it_follows() {
        for (sent_with, value, at, values, expected) in ROWS {
            let decided = check(&EmbedderPolicy { value, ..EmbedderPolicy::default() }, at, values, sent_with);
            let row = format!("{value:?} {at} {values:?} {sent_with}");
            assert_eq!(decided.follows, written_out(expected), "{row}");
            let blocked =
                expected.split(' ').find_map(|word| word.strip_prefix('!')).map(|word| format!("fetch.corp-{word}"));
            assert_eq!(decided.outcome.error.map(|error| error.requirement.to_owned()), blocked, "{row}");
            // What the response's own header forbids is no matter of the embedder policy.
            let required = expected.contains(" check.6 ");
            let class = blocked.map(|_| if required { "corp-required" } else { "corp" });
            assert_eq!(decided.outcome.error.and_then(|error| error.class), class, "{row}");
            assert_eq!(decided.outcome.reports.len(), usize::from(required), "{row}");
        }
    }

    #[test]
    fn a_report_only_policy_lets_a_response_through_and_reports_it() {
        let policy = EmbedderPolicy {
            report_only_value: RequireCorp,
            report_only_reporting_endpoint: "endpoint".to_owned(),
            ..EmbedderPolicy::default()
        };
        let report = EmbedderPolicyReport {
            kind: "corp",
            blocked_url: "https://page.test/first".to_owned(),
            disposition: Disposition::Reporting,
            destination: Some("image".to_owned()),
            endpoint: "endpoint".to_owned(),
        };
        let both = ["fetch.corp-check.4", "fetch.corp-internal.4.unsafe-none", "fetch.corp-check.5"];
        let reported = [&both[..], &["html.coep.corp.report", "fetch.corp-check.report.2"]].concat();
        assert_eq!(
            check(&policy, OTHER, &[], ""),
            Decided { outcome: Checked { error: None, reports: vec![report] }, follows: reported }
        );
        assert_eq!(check(&policy, OWN, &[], ""), Decided { outcome: Checked::default(), follows: both[1..].to_vec() });
    }

    #[test]
    fn a_wrong_agent_differs_in_just_the_rule_that_it_breaks() {
        for (value, at, (credentials, navigation), broken, expected) in [
            (Credentialless, OTHER, (false, true), "credentialless.c", None),
            (Credentialless, OTHER, (true, true), "credentialless.c", Some("credentialless.a")),
            (Credentialless, OTHER, (true, false), "credentialless.a", None),
            (Credentialless, OTHER, (false, false), "credentialless.b", Some("credentialless.b")),
            (Credentialless, OWN, (false, false), "credentialless.b", None),
            (RequireCorp, OTHER, (false, false), "require-corp", None),
        ] {
            let mut trace = Trace::breaking([format!("fetch.corp-internal.4.{broken}")]);
            let (own, at, headers) = (Origin::of(&url(OWN)), url(at), Fields::new());
            let result = internal_check(&mut trace, &own, value, (&at, &headers), credentials, navigation);
            let expected = expected.map(|id| (Some("corp-required"), format!("fetch.corp-internal.4.{id}")));
            let found = result.err().map(|error| (error.class, error.requirement.to_owned()));
            assert_eq!(found, expected, "{value:?} {at} {broken}");
        }
    }
}
