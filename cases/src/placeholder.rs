//! Placeholders in the texts of case files: `{page}`, `{token}`, `{url …}`, `{request.…}`, and the dimensions of a
//! matrix. Braces around anything else are just braces.

/// Whether the text between two braces has the form of a placeholder: it begins with a lower-case letter and has no
/// quotes, braces, colons outside URLs, or line breaks, so that JSON and CSS in bodies are left alone.
fn is_placeholder(name: &str) -> bool {
    let head = name.split(' ').next().unwrap_or_default();
    head.starts_with(|first: char| first.is_ascii_lowercase())
        && head.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
        && match name.split_once(' ') {
            None => true,
            Some(("url", url)) => !url.contains(['"', '\'', '{']),
            Some(("request.header", header)) => !header.contains([' ', '"']),
            Some(_) => false,
        }
}

/// The first placeholder of a text: what stands before it, its name, and what stands after it.
pub(crate) fn first(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        if let Some(close) = text[open..].find('}').map(|at| open + at)
            && is_placeholder(&text[open + 1..close])
        {
            return Some((&text[..open], &text[open + 1..close], &text[close + 1..]));
        }
        from = open + 1;
    }
    None
}

/// Replaces the placeholders that `value` knows; the others stay.
pub(crate) fn fill(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = first(rest) {
        filled.push_str(before);
        match value(name) {
            Some(value) => filled.push_str(&value),
            None => {
                filled.push('{');
                filled.push_str(name);
                filled.push('}');
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The names of all placeholders of a text.
pub(crate) fn names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, name, after)) = first(rest) {
        names.push(name);
        rest = after;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_placeholders_are_replaced() {
        let value = |name: &str| (name == "page").then(|| "https://page.test".to_owned());
        for (text, filled) in [
            ("{page}/", "https://page.test/"),
            ("{page}, {page}", "https://page.test, https://page.test"),
            ("{other}", "{other}"),
            (r#"{"page": 1}"#, r#"{"page": 1}"#),
            ("a{color:red}{page}", "a{color:red}https://page.test"),
            ("{{page}}", "{https://page.test}"),
        ] {
            assert_eq!(fill(text, &value), filled);
        }
        assert_eq!(
            names("{url https://a.test/?b=c} {request.header x} {Page}"),
            ["url https://a.test/?b=c", "request.header x"]
        );
    }
}
