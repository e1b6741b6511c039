//! Blocking by MIME type. (Fetch, *X-Content-Type-Options* and *should response be blocked due to its MIME type*)

use crosscheck_servers::Fields;

use super::fetch::NetworkError;
use super::header_value::{essence_of, extract_mime_type, get_decode_split, is_javascript};
use super::request::Destination;
use super::trace::Trace;

/// *Should response to request be blocked due to its MIME type?* and *… due to nosniff?*
pub(crate) fn mime_checks(trace: &mut Trace, destination: Destination, headers: &Fields) -> Result<(), NetworkError> {
    let mime = extract_mime_type(headers);
    let script = destination == Destination::Script;
    let block = |requirement| Err(NetworkError::new("nosniff", requirement));
    if script {
        match &mime {
            None => {
                trace.rule("fetch.mime-block.2", true);
            }
            Some(mime) if matches!(mime.type_.as_str(), "audio" | "image" | "video") => {
                if trace.rule("fetch.mime-block.4a", true) {
                    return block("fetch.mime-block.4a");
                }
            }
            Some(mime) if essence_of(mime) == "text/csv" => {
                if trace.rule("fetch.mime-block.4b", true) {
                    return block("fetch.mime-block.4b");
                }
            }
            Some(_) => {
                trace.rule("fetch.mime-block.5", true);
            }
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
        (Destination::Image, _) => {
            trace.rule("fetch.nosniff-block.6a", true);
            Ok(())
        }
        (Destination::Empty | Destination::Font | Destination::Media, _) => {
            trace.rule("fetch.nosniff-block.6b", true);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// *Determine nosniff*
fn is_nosniff(trace: &mut Trace, headers: &Fields) -> bool {
    let Some(values) = get_decode_split(headers, "x-content-type-options") else {
        trace.rule("fetch.nosniff.2", true);
        return false;
    };
    let first = values.first().map(String::as_str).unwrap_or_default();
    if first.eq_ignore_ascii_case("nosniff") {
        trace.rule("fetch.nosniff.3b", values.len() > 1);
        return first == "nosniff" || trace.rule("fetch.nosniff.3a", true);
    }
    if headers.all("x-content-type-options").count() > 1 {
        return !trace.rule("fetch.nosniff.3c", true);
    }
    if values.iter().any(|value| value.eq_ignore_ascii_case("nosniff")) {
        return !trace.rule("fetch.nosniff.3b", true);
    }
    trace.rule("fetch.nosniff.3d", true);
    false
}
