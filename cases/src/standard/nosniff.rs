//! Blocking by MIME type. (Fetch, *X-Content-Type-Options* and *should response be blocked due to its MIME type*)

use std::cell::LazyCell;

use crosscheck_servers::Fields;

use super::fetch::NetworkError;
use super::header_value::{essence_of, extract_mime_type, get_decode_split, is_javascript};
use super::request::Destination;
use super::trace::Trace;

/// *Should response to request be blocked due to its MIME type?* and *… due to nosniff?*
pub(crate) fn mime_checks(trace: &mut Trace, destination: Destination, headers: &Fields) -> Result<(), NetworkError> {
    let mime = LazyCell::new(|| extract_mime_type(headers));
    let block = |requirement| Err(NetworkError::new("nosniff", requirement));
    if destination == Destination::Script {
        let (requirement, blocked) = match &*mime {
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
    match (destination, &*mime) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOSNIFF: &[&str] = &["nosniff"];

    fn headers(content_type: Option<&str>, options: &[&str]) -> Fields {
        let types = content_type.into_iter().map(|value| ("Content-Type".into(), value.into()));
        types.chain(options.iter().map(|value| ("X-Content-Type-Options".into(), (*value).into()))).collect()
    }

    fn agent(broken: &str) -> Trace {
        Trace::breaking([broken.to_owned()])
    }

    #[test]
    fn scripts_and_style_sheets_need_a_type_that_fits_and_others_need_none() {
        use Destination::{Empty, Font, Image, Script, Style, Video};

        // Which requirement blocks, and which ones are named.
        for (destination, content_type, options, blocked_by, named) in [
            (Script, None, &[][..], None, &["fetch.mime-block.2", "fetch.nosniff.2"][..]),
            (Script, Some("nonsense"), &[], None, &["fetch.mime-block.2", "fetch.nosniff.2"]),
            (Script, Some("audio/mpeg"), &[], Some("fetch.mime-block.4a"), &["fetch.mime-block.4a"]),
            (Script, Some("image/png"), &[], Some("fetch.mime-block.4a"), &["fetch.mime-block.4a"]),
            (Script, Some("video/mp4"), NOSNIFF, Some("fetch.mime-block.4a"), &["fetch.mime-block.4a"]),
            (Script, Some("text/csv;charset=utf-8"), &[], Some("fetch.mime-block.4b"), &["fetch.mime-block.4b"]),
            (Script, Some("text/html"), &[], None, &["fetch.mime-block.5", "fetch.nosniff.2"]),
            (Style, Some("image/png"), &[], None, &["fetch.nosniff.2"]),
            (Script, Some("text/javascript"), NOSNIFF, None, &["fetch.mime-block.5"]),
            (
                Script,
                Some("text/html"),
                NOSNIFF,
                Some("fetch.nosniff-block.4a"),
                &["fetch.mime-block.5", "fetch.nosniff-block.4a"],
            ),
            (Script, None, NOSNIFF, Some("fetch.nosniff-block.4b"), &["fetch.mime-block.2", "fetch.nosniff-block.4b"]),
            (Style, Some("TEXT/CSS;charset=utf-8"), NOSNIFF, None, &[]),
            (Style, Some("text/plain"), NOSNIFF, Some("fetch.nosniff-block.5a"), &["fetch.nosniff-block.5a"]),
            (Style, None, NOSNIFF, Some("fetch.nosniff-block.5b"), &["fetch.nosniff-block.5b"]),
            (Image, Some("text/html"), NOSNIFF, None, &["fetch.nosniff-block.6a"]),
            (Image, None, NOSNIFF, None, &["fetch.nosniff-block.6a"]),
            (Empty, Some("text/html"), NOSNIFF, None, &["fetch.nosniff-block.6b"]),
            (Font, None, NOSNIFF, None, &["fetch.nosniff-block.6b"]),
            (Video, Some("text/csv"), NOSNIFF, None, &["fetch.nosniff-block.6b"]),
        ] {
            let case = format!("{destination:?} {content_type:?} {options:?}");
            let mut trace = Trace::default();
            let blocked = mime_checks(&mut trace, destination, &headers(content_type, options)).err();
            assert_eq!(blocked.map(|error| error.requirement), blocked_by, "{case}");
            let (by_type, is_set) = (blocked_by.is_some_and(|by| by.contains("mime-block")), !options.is_empty());
            let classes = blocked.map(|error| (error.class, error.also));
            let (wrong, nosniff) = (Some("wrong-type"), Some("nosniff"));
            let expected = if by_type { (wrong, nosniff.filter(|_| is_set)) } else { (nosniff, None) };
            assert_eq!(classes, blocked_by.map(|_| expected), "{case}");
            assert_eq!(trace.requirements(), named, "{case}");
        }
    }

    #[test]
    fn agents_without_a_check_do_its_opposite() {
        use Destination::{Font, Image, Script, Style};

        for (broken, destination, content_type, options, is_blocked) in [
            ("fetch.mime-block.2", Script, None, &[][..], true),
            ("fetch.mime-block.4a", Script, Some("image/png"), &[], false),
            ("fetch.mime-block.4b", Script, Some("text/csv"), &[], false),
            ("fetch.mime-block.5", Script, Some("text/html"), &[], true),
            ("fetch.nosniff-block.4a", Script, Some("text/html"), NOSNIFF, false),
            ("fetch.nosniff-block.4b", Script, None, NOSNIFF, false),
            ("fetch.nosniff-block.5a", Style, Some("text/plain"), NOSNIFF, false),
            ("fetch.nosniff-block.5b", Style, None, NOSNIFF, false),
            ("fetch.nosniff-block.6a", Image, Some("text/html"), NOSNIFF, true),
            ("fetch.nosniff-block.6b", Font, Some("text/html"), NOSNIFF, true),
        ] {
            let result = mime_checks(&mut agent(broken), destination, &headers(content_type, options));
            assert_eq!(result.is_err(), is_blocked, "without {broken}");
        }
    }

    #[test]
    fn nosniff_is_looked_for_in_the_first_value_only() {
        for (options, is_set, named) in [
            (&[][..], false, Some("fetch.nosniff.2")),
            (&["nosniff"], true, None),
            (&["NoSniff"], true, Some("fetch.nosniff.3a")),
            (&["nosniff, foo"], true, Some("fetch.nosniff.3b")),
            (&["foo, nosniff"], false, Some("fetch.nosniff.3b")),
            (&["nosniff", "foo"], true, Some("fetch.nosniff.3c")),
            (&["foo", "nosniff"], false, Some("fetch.nosniff.3c")),
            (&[""], false, Some("fetch.nosniff.3d")),
            (&["\"nosniff\""], false, Some("fetch.nosniff.3d")),
            (&["foo"], false, None),
            (&["foo, bar"], false, None),
        ] {
            let (mut trace, headers) = (Trace::default(), headers(None, options));
            assert_eq!(is_nosniff(&mut trace, &headers), is_set, "{options:?}");
            assert_eq!(trace.requirements(), named.as_slice(), "{options:?}");
            if let Some(named) = named {
                assert_eq!(is_nosniff(&mut agent(named), &headers), !is_set, "{options:?} without {named}");
            }
        }
    }
}
