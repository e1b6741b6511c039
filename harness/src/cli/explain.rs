use std::io::IsTerminal as _;
use std::time::Duration;

use crosscheck::explain::{
    Answers, ExplainError, Explanation, Har, LiveOptions, Question, StatedResponse, explain_har, explain_headers,
    explain_live, render,
};
use crosscheck::transport::Trust;

use super::arguments::{ExplainArguments, ExplainFormat};
use super::{Ended, Failure};

/// What a browser does with a request, and why.
pub(crate) async fn explain(arguments: &ExplainArguments) -> Result<Ended, Failure> {
    let explanation = find_out(arguments).await?;
    match arguments.format {
        ExplainFormat::Json => {
            say!("{}", super::json(&explanation)?);
        }
        ExplainFormat::Text => {
            let coloured =
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            super::write_out(&render(&explanation, coloured));
        }
    }
    Ok(Ended::AsExpected)
}

async fn find_out(arguments: &ExplainArguments) -> Result<Explanation, Failure> {
    if let Some(path) = &arguments.har {
        let har = Har::read(path).map_err(|error| Failure::Shown(error.into()))?;
        return Ok(explain_har(&har));
    }
    let question = question(arguments)?;
    if let Some(answers) = answers(arguments)? {
        return Ok(explain_headers(&question, &answers)?);
    }
    let options = LiveOptions {
        changes: arguments.changes,
        trust: if arguments.insecure { Trust::Anything } else { Trust::Roots },
        limit: Duration::from_secs(arguments.timeout.into()),
    };
    Ok(explain_live(&question, options).await?)
}

fn question(arguments: &ExplainArguments) -> Result<Question, ExplainError> {
    let (Some(page), Some(url)) = (&arguments.page, &arguments.url) else {
        return Err(ExplainError::Usage(
            "say what the page does: --page ORIGIN --url URL; or give an archive: --har FILE".to_owned(),
        ));
    };
    let mut question = Question::new(page, url)?;
    if let Some(page) = &arguments.within {
        question = question.within(page)?;
    }
    for line in &arguments.header {
        question = question.header(line)?;
    }
    question.method.clone_from(&arguments.method);
    arguments.mode.name().clone_into(&mut question.mode);
    arguments.credentials.name().clone_into(&mut question.credentials);
    Ok(question)
}

/// The answers that were typed; nothing where none were.
fn answers(arguments: &ExplainArguments) -> Result<Option<Answers>, ExplainError> {
    let states_preflight = !arguments.preflight_response.is_empty() || arguments.preflight_status.is_some();
    if arguments.response.is_empty() && arguments.status.is_none() && !states_preflight {
        return Ok(None);
    }
    let response = StatedResponse::new(arguments.status.unwrap_or(200), &arguments.response)?;
    let preflight = match states_preflight {
        true => Some(StatedResponse::new(arguments.preflight_status.unwrap_or(204), &arguments.preflight_response)?),
        false => None,
    };
    Ok(Some(Answers { response, preflight }))
}
