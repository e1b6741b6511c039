//! A check as a page.

use askama::Template;

use super::{browsers, counts, origins};
use crate::check::finding::{CheckRecord, Seen};

#[derive(Template)]
#[template(path = "server.html")]
struct Page<'p> {
    record: &'p CheckRecord,
    counts: String,
    browsers: Vec<String>,
}

impl Page<'_> {
    #[expect(clippy::unused_self, reason = "the template calls it")]
    fn origins(&self, seen: &Seen) -> String {
        origins(seen).unwrap_or_default()
    }
}

/// Writes a check as one self-contained HTML file that loads nothing and has no script.
///
/// # Errors
/// The template fails to write.
pub fn render_html(record: &CheckRecord) -> Result<String, askama::Error> {
    Page { record, counts: counts(record), browsers: browsers(record) }.render()
}
