use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PageResult, ResponseType, ResultKind, WireMessage};

/// How far a request got, from page and wire together: a page alone cannot tell the first three apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// No request reached any server.
    NeverSent,
    /// Only a CORS preflight reached the server; the request itself was held back.
    PreflightOnly,
    /// The request reached the server, which may have acted on it; the page learns nothing of the answer.
    ResponseHidden,
    /// The request was answered and the page knows that it was, but not with what.
    Opaque,
    /// The page reads the answer.
    Readable,
}

impl Grade {
    /// All grades, from least to most.
    pub const ALL: [Self; 5] =
        [Self::NeverSent, Self::PreflightOnly, Self::ResponseHidden, Self::Opaque, Self::Readable];

    /// The name in case files and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeverSent => "never-sent",
            Self::PreflightOnly => "preflight-only",
            Self::ResponseHidden => "response-hidden",
            Self::Opaque => "opaque",
            Self::Readable => "readable",
        }
    }
}

/// Grades the last step of a case from what the page saw in it and what arrived during it; a message that does not say
/// its step counts as of the last one. Steps that ask nothing of a server (an evaluated
/// expression) have no grade; nor has a load that ended well, as the page reads some of it and not the rest.
#[must_use]
pub fn grade(page: &[PageResult], wire: &[WireMessage]) -> Option<Grade> {
    let last = page.last()?;
    let step = page.len() - 1;
    let sent = || wire.iter().filter(|message| message.step.unwrap_or(step) == step);
    match last.result {
        ResultKind::Value | ResultKind::Loaded => None,
        ResultKind::Response => match last.response_type {
            Some(ResponseType::Opaque | ResponseType::Opaqueredirect) => Some(Grade::Opaque),
            _ => Some(Grade::Readable),
        },
        ResultKind::Sent if sent().any(|message| !message.preflight) => Some(Grade::Opaque),
        ResultKind::Sent | ResultKind::NetworkError | ResultKind::Exception | ResultKind::Timeout => {
            Some(if sent().any(|message| !message.preflight) {
                Grade::ResponseHidden
            } else if sent().next().is_some() {
                Grade::PreflightOnly
            } else {
                Grade::NeverSent
            })
        }
    }
}
