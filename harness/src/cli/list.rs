use serde_json::json;

use super::arguments::{Format, ListArguments};
use super::{Ended, Failure};

pub(crate) fn list(arguments: &ListArguments) -> Result<Ended, Failure> {
    let filter: crosscheck_cases::Filter = arguments.selection.filter.parse()?;
    let suite = crosscheck_cases::load(&arguments.selection.suite)?;
    let cases: Vec<_> = suite.cases.iter().filter(|case| filter.takes(case)).collect();
    match arguments.format {
        Format::Json => {
            let list: Vec<_> = cases
                .iter()
                .map(|case| {
                    json!({
                        "id": case.id, "topic": case.topic, "title": case.stated.title, "requires": case.stated.requires,
                        "generated": case.generated, "source": format!("{}:{}", case.file.display(), case.line),
                    })
                })
                .collect();
            say!("{}", serde_json::Value::from(list));
        }
        Format::Table => {
            for case in &cases {
                say!("{}\n    {}", case.id, case.stated.title);
            }
            let generated = cases.iter().filter(|case| case.generated).count();
            say!("{} cases in {} topics, {generated} of them from matrices", cases.len(), suite.topics.len());
        }
    }
    Ok(Ended::AsExpected)
}
