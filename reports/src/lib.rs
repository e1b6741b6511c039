//! What happened, for people and tools: the run record, and reports that are made from run records alone.
//!
//! A [`RunRecord`] is what one agent did with a suite. [`read_runs`] reads them back; every `render_…` function turns
//! any number of them into one report, without any I/O: [`render_html`], [`render_junit`], [`render_markdown`] and
//! [`render_table`]. Strings of a record come from servers and browsers and are never trusted to be harmless.

mod answer;
mod by_hand;
mod coverage;
mod explain;
mod html;
mod junit;
mod markdown;
mod packed;
mod read;
mod record;
mod schema;
mod table;
mod text;
mod verdict;

pub use by_hand::{curl, curl_expected, javascript};
pub use coverage::{
    AreaCoverage, Coverage, PairsCoverage, RequirementCoverage, Standing, render_coverage_html, render_coverage_table,
};
pub use html::{render_html, write_html};
pub use junit::render_junit;
pub use markdown::{escape as escape_markdown, render_markdown};
pub use packed::Packed;
pub use read::{ReadError, read_run, read_runs};
pub use record::{
    AgentRecord, CaseRecord, ControlRecord, FORMAT, HeaderCause, HeaderDeviation, RunRecord, SuiteRecord, Summary,
};
pub use schema::run_schema;
pub use table::render_table;
pub use verdict::Verdict;
