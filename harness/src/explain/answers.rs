//! Answers that were typed by hand.

use std::time::Duration;

use crosscheck_cases::standard::{AddressSpace, Answer, MessageKind, Received};
use crosscheck_servers::{Fields, LengthError, content_length};

use super::diagnosis::Diagnosis;
use super::drive::Drive;
use super::question::{Question, split_line};
use super::redact::Redaction;
use super::{ExplainError, question};

/// A response, as typed.
#[derive(Clone, Debug, Default)]
pub struct StatedResponse {
    /// The status code.
    pub status: u16,
    /// The header lines.
    pub headers: Fields,
}

/// What a server answers.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// To the request.
    pub response: StatedResponse,
    /// To a preflight; the same where nothing is stated.
    pub preflight: Option<StatedResponse>,
}

impl StatedResponse {
    /// Reads header lines.
    ///
    /// # Errors
    /// One is none, or they contradict each other.
    pub fn new(status: u16, lines: &[String]) -> Result<Self, ExplainError> {
        let mut headers = Fields::new();
        for line in lines {
            let (name, value) = split_line(line)?;
            headers.push(name, value);
        }
        let length = content_length(&headers).map_err(|error| {
            ExplainError::Usage(match error {
                LengthError::Different(..) => format!(
                    "the response contradicts itself: {error}. Every client refuses such a response, whatever else \
                     stands in it; state it once"
                ),
                LengthError::NotANumber(_) => error.to_string(),
            })
        })?;
        if length.is_some() && headers.contains("transfer-encoding") {
            return Err(ExplainError::Usage(
                "the response contradicts itself: it has Content-Length and Transfer-Encoding; state one of them"
                    .to_owned(),
            ));
        }
        Ok(Self { status, headers })
    }

    fn answer(&self) -> Answer {
        Answer::Response(Received {
            status: self.status,
            headers: self.headers.clone(),
            complete: true,
            took: Duration::ZERO,
            ..Received::default()
        })
    }
}

pub(super) fn explain(question: &Question, answers: &Answers) -> Result<Diagnosis, ExplainError> {
    let names = question::literal_space(&question.url).unwrap_or(AddressSpace::Public);
    let mut drive = Drive::start(question, names);
    let mut has_preflight = false;
    while let Some(message) = drive.next() {
        if drive.is_redirected(&message) {
            let to = Redaction::Secrets.url(&message.url);
            drive.stop(format!(
                "The redirect leads to {to}, and what is answered there was not stated. Ask about that URL too, or about \
                 the server itself (without --response)."
            ));
            continue;
        }
        let answer = match (&message.kind, &answers.preflight) {
            (MessageKind::Preflight, Some(preflight)) => preflight.answer(),
            (MessageKind::Preflight, None) => {
                drive.note(
                    "The preflight is taken to be answered with status 204 and the same headers; --preflight-response \
                     and --preflight-status state what it gets.",
                );
                StatedResponse { status: 204, headers: answers.response.headers.clone() }.answer()
            }
            _ => answers.response.answer(),
        };
        has_preflight |= message.kind == MessageKind::Preflight;
        drive.answer(answer);
    }
    let diagnosis = drive.diagnose(Redaction::Secrets);
    if answers.preflight.is_some() && !has_preflight {
        let why = if question.is_same_origin() {
            format!("{} is of the page's own origin", Redaction::Secrets.url(&question.url))
        } else if diagnosis.exchanges.is_empty() {
            format!("nothing is sent at all: {}", diagnosis.conclusion)
        } else if question.mode == "no-cors" {
            "a request in mode no-cors never has one".to_owned()
        } else {
            format!("{} and all its headers are CORS-safelisted", question.method)
        };
        return Err(ExplainError::Usage(format!(
            "an answer to a preflight is stated, but a browser sends no preflight here: {why}. Leave it out, or state \
             the method or header that needs one"
        )));
    }
    Ok(diagnosis)
}
