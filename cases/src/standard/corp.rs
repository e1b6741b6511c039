//! Fetch, *cross-origin resource policy check*.

use crosscheck_servers::Fields;
use url::Url;

use super::client::EmbedderPolicy;
use super::fetch::NetworkError;
use super::origin::Origin;
use super::trace::Trace;

/// *Cross-origin resource policy internal check*. `credentials` is whether the request was sent with credentials,
/// `navigation` whether it navigates a frame.
pub(crate) fn corp_check(
    trace: &mut Trace,
    origin: &Origin,
    policy: EmbedderPolicy,
    response: (&Url, &Fields),
    credentials: bool,
    navigation: bool,
) -> Result<(), NetworkError> {
    if navigation && policy == EmbedderPolicy::UnsafeNone && trace.rule("fetch.corp-internal.1", true) {
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
            EmbedderPolicy::UnsafeNone => {
                if trace.rule("fetch.corp-internal.4.unsafe-none", true) {
                    return Ok(());
                }
                "same-origin".to_owned()
            }
            EmbedderPolicy::Credentialless => {
                let blocked = navigation && trace.rule("fetch.corp-internal.4.credentialless.c", true)
                    || credentials && trace.rule("fetch.corp-internal.4.credentialless.a", true);
                let passes = !blocked && (credentials || trace.rule("fetch.corp-internal.4.credentialless.b", true));
                if passes {
                    return Ok(());
                }
                required = true;
                "same-origin".to_owned()
            }
            EmbedderPolicy::RequireCorp => {
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
                return block(if policy == EmbedderPolicy::RequireCorp {
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
