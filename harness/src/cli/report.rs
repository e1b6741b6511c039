use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crosscheck::is_file_name;
use crosscheck_reports::{RunRecord, read_runs, render_junit, render_markdown, render_table, write_html};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::arguments::ReportArguments;
use super::{Ended, Failure};

/// Makes reports from run records.
pub(crate) fn report(arguments: &ReportArguments) -> Result<Ended, Failure> {
    let mut records = Vec::new();
    for path in &arguments.runs {
        records.extend(read_runs(path).map_err(|error| Failure::Usage(error.to_string()))?);
    }
    let outputs = [&arguments.html, &arguments.junit, &arguments.markdown, &arguments.json, &arguments.recordings];
    if outputs.iter().all(|output| output.is_none()) {
        super::write_out(&render_table(&records));
    }
    if let Some(path) = &arguments.html {
        html(path, &records)?;
    }
    if let Some(path) = &arguments.junit {
        write(path, &junit(&records)?)?;
    }
    if let Some(path) = &arguments.markdown {
        write(path, &render_markdown(&records))?;
    }
    if let Some(path) = &arguments.json {
        write_json(path, &records)?;
    }
    if let Some(folder) = &arguments.recordings {
        for record in &records {
            write_recording(folder, record)?;
        }
    }
    Ok(Ended::AsExpected)
}

/// Keeps what a run observed as test data.
fn write_recording(folder: &Path, record: &RunRecord) -> Result<(), Failure> {
    let name = &record.agent.name;
    if !is_file_name(name) {
        return Err(Failure::Usage(format!(
            "the run record's agent has the name {name:?}, which can be no file's name"
        )));
    }
    let path = folder.join(format!("{name}.json.gz"));
    let fault = |error: &dyn std::fmt::Display| unwritten(&path, error);
    let text = serde_json::to_vec(&record.recording()).map_err(|error| fault(&error))?;
    let mut out = GzEncoder::new(create(&path)?, Compression::best());
    out.write_all(&text).and_then(|()| out.finish()?.flush()).map_err(|error| fault(&error))
}

/// Writes every report of a run beside its records, and prints the table. Returns where the report for people is.
pub(crate) fn all(folder: &Path, records: &[RunRecord]) -> Result<PathBuf, Failure> {
    let page = folder.join("index.html");
    html(&page, records)?;
    write(&folder.join("junit.xml"), &junit(records)?)?;
    write(&folder.join("summary.md"), &render_markdown(records))?;
    super::write_out(&render_table(records));
    Ok(page)
}

fn html(path: &Path, records: &[RunRecord]) -> Result<(), Failure> {
    let mut out = create(path)?;
    write_html(records, &mut out).and_then(|()| out.flush()).map_err(|error| unwritten(path, &error))
}

fn junit(records: &[RunRecord]) -> Result<String, Failure> {
    render_junit(records).map_err(|error| Failure::Environment(format!("the JUnit report cannot be made: {error}")))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| unwritten(path, &error))
}

/// Writes a value as JSON, piece by piece: a run record is large.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut out = create(path)?;
    serde_json::to_writer(&mut out, value).map_err(|error| unwritten(path, &error))?;
    out.flush().map_err(|error| unwritten(path, &error))
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    File::create(path).map(BufWriter::new).map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Environment(format!("{}: cannot be written: {error}", path.display()))
}
