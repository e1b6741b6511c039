//! Answers of the server itself.

use std::time::Duration;

use crosscheck_cases::standard::{AddressSpace, MessageKind};

use super::ExplainError;
use super::diagnosis::Diagnosis;
use super::drive::Drive;
use super::question::{Question, is_harmless, literal_space};
use super::redact::Redaction;
use crate::transport::{Transport, Trouble, Trust, resolve};

/// How a server is asked.
#[derive(Clone, Copy, Debug)]
pub struct LiveOptions {
    /// Whether requests are sent that can change something (other methods than GET, HEAD and OPTIONS).
    pub changes: bool,
    /// Which certificates are taken.
    pub trust: Trust,
    /// How long each answer is waited for.
    pub limit: Duration,
}

pub(super) async fn explain(question: &Question, options: LiveOptions) -> Result<Diagnosis, ExplainError> {
    let unanswered =
        |trouble: Trouble| ExplainError::Unanswered { url: Redaction::Secrets.url(&question.url), trouble };
    let names = match literal_space(&question.url) {
        Some(space) => space,
        None => {
            let addresses = resolve(&question.url).await.map_err(unanswered)?;
            addresses.first().map_or(AddressSpace::Public, |address| AddressSpace::of(address.ip()))
        }
    };
    let transport = Transport::to_network(options.trust)?;
    let mut exchanges = transport.exchanges();
    let mut drive = Drive::start(question, names);
    let mut asked = false;
    while let Some(message) = drive.next() {
        let method = message.method.to_string();
        if message.kind == MessageKind::Request && !is_harmless(&method) && !options.changes {
            drive.stop(format!(
                "A browser now sends the {method}. It was not sent, as it may change something on the server; --unsafe \
                 sends it."
            ));
            continue;
        }
        match exchanges.exchange(&message, options.limit).await {
            Ok(answer) => drive.answer(answer),
            // That something comes, and is no HTTP, is an answer too.
            Err(trouble) if !asked && !matches!(trouble, Trouble::Malformed { .. }) => {
                return Err(unanswered(trouble));
            }
            Err(trouble) => {
                drive.note(format!("{trouble}."));
                drive.answer(trouble.answer());
            }
        }
        asked = true;
    }
    if asked && question.credentials == "include" {
        drive.note(
            "No cookies were sent, as there are none here; with a user's cookies the server may answer otherwise.",
        );
    }
    Ok(drive.diagnose(Redaction::Secrets))
}
