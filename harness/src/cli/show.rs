use crosscheck_cases::{reason_class, requirement};
use crosscheck_reports::{curl_expected, javascript};

use super::arguments::ShowArguments;
use super::{Ended, Failure};

/// What a case sets up, does, and expects, and how to try it by hand.
pub(crate) fn show(arguments: &ShowArguments) -> Result<Ended, Failure> {
    let suite = crosscheck_cases::load(&arguments.suite)?;
    let Some(case) = suite.cases.iter().find(|case| case.id == arguments.id) else {
        let near: Vec<&str> = suite
            .cases
            .iter()
            .map(|case| case.id.as_str())
            .filter(|id| id.contains(arguments.id.as_str()) || arguments.id.starts_with(*id))
            .take(10)
            .collect();
        let hint = if near.is_empty() {
            "`crosscheck list` shows all ids".to_owned()
        } else {
            format!("did you mean\n  {}", near.join("\n  "))
        };
        return Err(Failure::Usage(format!("there is no case {:?}; {hint}", arguments.id)));
    };
    let stated = &case.stated;
    say!("{}\n{}\n{}:{}\n", case.id, stated.title, case.file.display(), case.line);
    if let Some(why) = &stated.why {
        say!("{why}\n");
    }
    say!("It tests");
    for id in &stated.requires {
        if let Some(row) = requirement(id) {
            say!("  {id}: {}", row.requirement);
            if let Some(link) = row.link() {
                say!("    {link}");
            }
        }
    }
    say!("\nIn {}, with servers that answer\n{}", stated.page, pretty(&stated.given));
    say!("\nthe page does\n{}", javascript(&stated.when));
    say!("\nExpected\n{}", pretty(&stated.then));
    if let Some(class) = stated.then.reason.as_ref().and_then(|reason| reason_class(reason.classes.first()?)) {
        say!("\nBlocked, because: {}\nWhat to do: {}", class.title, class.advice);
    }
    let commands = curl_expected(stated);
    if !commands.is_empty() {
        say!("\nThe same requests by hand\n{}", commands.join("\n"));
    }
    Ok(Ended::AsExpected)
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string())
}
