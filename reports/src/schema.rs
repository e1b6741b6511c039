use schemars::Schema;

use crate::RunRecord;

/// The JSON Schema of a run record, published as `reports/schema/run.json`.
#[must_use]
pub fn run_schema() -> Schema {
    let mut schema = schemars::schema_for!(RunRecord);
    schema.insert("title".to_owned(), "A Crosscheck run record".into());
    schema
}
