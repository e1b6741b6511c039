//! What tests of steps share: a page, and answers made up for it.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::{Answer, Client, Message, NetworkError, Received, perform};
use crate::{Document, PageResult, Probe};

/// What came of one step.
pub(crate) struct Performed {
    pub(crate) page: PageResult,
    pub(crate) blocked: Option<NetworkError>,
    pub(crate) sent: Vec<Message>,
    named: Vec<Cow<'static, str>>,
}

impl Performed {
    /// Whether a requirement is among the decisions.
    pub(crate) fn names(&self, requirement: &str) -> bool {
        self.named.iter().any(|named| named == requirement)
    }
}

/// A step of the page at `https://page.test/`, by an agent that does not keep one requirement.
pub(crate) fn perform_on_page(probe: &Value, broken: &str, mut answer: impl FnMut(&Message) -> Answer) -> Performed {
    let client = Client::of(&Document::page("https://page.test"), "/");
    let probe: Probe = serde_json::from_str(&probe.to_string()).expect("a probe");
    let mut sent = Vec::new();
    let mut performance = perform(client, vec![probe], [broken.to_owned()]).run(|message| {
        let answer = answer(&message);
        sent.push(message);
        answer
    });
    Performed {
        page: performance.page.pop().expect("a result"),
        blocked: performance.blocked,
        sent,
        named: performance.decisions.into_iter().map(|decision| decision.requirement).collect(),
    }
}

/// A whole response.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    Answer::Response(Received {
        status,
        reason: "OK".into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body: body.as_bytes().to_vec(),
        complete: true,
        took: Duration::ZERO,
    })
}
