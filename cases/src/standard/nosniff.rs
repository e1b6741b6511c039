//! Blocking by MIME type. (Fetch, *X-Content-Type-Options* and *should response be blocked due to its MIME type*)

use crosscheck_servers::Fields;

use super::fetch::NetworkError;
use super::header_value::{essence_of, extract_mime_type, get_decode_split, is_javascript};
use super::request::Destination;
use super::trace::Trace;

/// *Should response to request be blocked due to its MIME type?* and *… due to nosniff?*
pub(crate) fn mime_checks(trace: &mut Trace, destination: Destination, headers: &Fields) -> Result<(), NetworkError> {
    let mime = extract_mime_type(headers);
    let block = |requirement| Err(NetworkError::new("nosniff", requirement));
    if destination == Destination::Script {
        let (requirement, blocked) = match &mime {
            None => ("fetch.mime-block.2", false),
            Some(mime) if matches!(mime.type_.as_str(), "audio" | "image" | "video") => ("fetch.mime-block.4a", true),
            Some(mime) if essence_of(mime) == "text/csv" => ("fetch.mime-block.4b", true),
            Some(_) => ("fetch.mime-block.5", false),
        };
        if trace.rule(requirement, true) == blocked {
            // Where both checks would block, nothing shows which one did.
            let also = is_nosniff(&mut Trace::default(), headers).then_some("nosniff");
            return Err(NetworkError { also, ..NetworkError::new("wrong-type", requirement) });
        }
    }
    if !is_nosniff(trace, headers) {
        return Ok(());
    }
    match (destination, &mime) {
        (Destination::Script, Some(mime)) if !is_javascript(mime) && trace.rule("fetch.nosniff-block.4a", true) => {
            block("fetch.nosniff-block.4a")
        }
        (Destination::Script, None) if trace.rule("fetch.nosniff-block.4b", true) => block("fetch.nosniff-block.4b"),
        (Destination::Style, Some(mime))
            if essence_of(mime) != "text/css" && trace.rule("fetch.nosniff-block.5a", true) =>
        {
            block("fetch.nosniff-block.5a")
        }
        (Destination::Style, None) if trace.rule("fetch.nosniff-block.5b", true) => block("fetch.nosniff-block.5b"),
        (Destination::Image, _) if !trace.rule("fetch.nosniff-block.6a", true) => block("fetch.nosniff-block.6a"),
        (Destination::Empty | Destination::Font | Destination::Audio | Destination::Video | Destination::Track, _)
            if !trace.rule("fetch.nosniff-block.6b", true) =>
        {
            block("fetch.nosniff-block.6b")
        }
        _ => Ok(()),
    }
}

/// *Determine nosniff*
fn is_nosniff(trace: &mut Trace, headers: &Fields) -> bool {
    let Some(values) = get_decode_split(headers, "x-content-type-options") else {
        return !trace.rule("fetch.nosniff.2", true);
    };
    let first = values.first().map(String::as_str).unwrap_or_default();
    let is = |value: &str| value.eq_ignore_ascii_case("nosniff");
    if values.len() > 1 && values.iter().any(|value| is(value)) {
        let lines = headers.all("x-content-type-options").count();
        let requirement = if lines > 1 { "fetch.nosniff.3c" } else { "fetch.nosniff.3b" };
        return trace.rule(requirement, true) == is(first);
    }
    if is(first) {
        return first == "nosniff" || trace.rule("fetch.nosniff.3a", true);
    }
    let odd = first.is_empty() || is(first.trim_matches('"'));
    odd && !trace.rule("fetch.nosniff.3d", true)
}
