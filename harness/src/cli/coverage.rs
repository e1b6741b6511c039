use crosscheck_reports::{Coverage, read_runs, render_coverage_html, render_coverage_table};

use super::arguments::{CoverageArguments, Format};
use super::report::write;
use super::{Ended, Failure};

/// Says requirement by requirement what is modelled, tested and proven.
pub(crate) fn coverage(arguments: &CoverageArguments) -> Result<Ended, Failure> {
    let suite = crosscheck_cases::load(&arguments.suite)?;
    let mut runs = Vec::new();
    for path in &arguments.runs {
        runs.extend(read_runs(path).map_err(|error| Failure::Usage(error.to_string()))?);
    }
    let coverage = Coverage::of(&suite, &runs);
    if let Some(path) = &arguments.html {
        let page = render_coverage_html(&coverage, &runs)
            .map_err(|error| Failure::Environment(format!("the page cannot be made: {error}")))?;
        write(path, &page)?;
    }
    match arguments.format {
        Format::Table => super::write_out(&render_coverage_table(&coverage)),
        Format::Json => {
            let text = serde_json::to_string(&coverage).map_err(|error| Failure::Environment(error.to_string()))?;
            say!("{text}");
        }
    }
    Ok(Ended::AsExpected)
}
