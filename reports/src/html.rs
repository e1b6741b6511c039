//! The report for people: one HTML file that needs no network.
//!
//! The summary is written here ([`summary`]), so that it can be read without JavaScript. The details are data
//! ([`data`]) that the page's own script shows on demand.

mod data;
mod pool;
mod summary;

use std::io;

use askama::Template;
use base64::Engine as _;
use sha2::{Digest, Sha256};

use crate::RunRecord;

/// The page's script, in the order in which its parts build on each other.
const SCRIPT: &str = concat!(
    "\n",
    include_str!("../templates/dom.js"),
    include_str!("../templates/data.js"),
    include_str!("../templates/list.js"),
    include_str!("../templates/wire.js"),
    include_str!("../templates/detail.js"),
    include_str!("../templates/main.js"),
);

const STYLE: &str = concat!("\n", include_str!("../templates/report.css"));

#[derive(Template)]
#[template(path = "report.html")]
struct Report {
    summary: summary::Summary,
    data: data::Data,
    style: &'static str,
    script: &'static str,
    script_hash: String,
}

/// The report for people: one self-contained HTML file, engines side by side, with every case down to its wire log.
///
/// The file loads nothing from anywhere, and its Content-Security-Policy lets no script run but its own. The summary
/// can be read without JavaScript.
///
/// # Errors
/// The template fails to write.
pub fn render_html(runs: &[RunRecord]) -> Result<String, askama::Error> {
    report(runs).render()
}

/// [`render_html`] into a file, of which nothing is kept in memory twice.
///
/// # Errors
/// The file cannot be written.
pub fn write_html(runs: &[RunRecord], out: &mut impl io::Write) -> io::Result<()> {
    report(runs).write_into(out)
}

fn report(runs: &[RunRecord]) -> Report {
    Report {
        summary: summary::Summary::of(runs),
        data: data::Data::of(runs),
        style: STYLE,
        script: SCRIPT,
        script_hash: base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT)),
    }
}
