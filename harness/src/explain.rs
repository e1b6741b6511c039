//! Says what a browser does with a cross-origin request, and why: the executable standard, asked about real headers.
//!
//! A [`Question`] is what a page does. Its answers are typed by hand ([`explain_headers`]), come from a live server
//! ([`explain_live`]), or stand in an archive that a browser saved ([`explain_har`]). The result is an [`Explanation`],
//! which [`render`] writes for people; as JSON it has a stable shape.

mod answers;
pub(crate) mod diagnosis;
pub(crate) mod drive;
mod har;
mod har_entries;
mod live;
pub(crate) mod question;
pub(crate) mod redact;
mod text;

pub use answers::{Answers, StatedResponse};
pub use diagnosis::{Diagnosis, Recorded, Shown, ShownResponse, Step, Verdict};
pub use har::{Har, HarError};
pub use live::LiveOptions;
pub use question::Question;
pub use text::render;

use serde::Serialize;

use crate::transport::{TlsSetupError, Trouble};

/// What was found out. As JSON, members may be added; a breaking change raises `format`.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The version of this shape: 1.
    pub format: u32,
    /// Where the answers come from.
    pub source: Source,
    /// One for each request that there is something to say about.
    pub diagnoses: Vec<Diagnosis>,
    /// What is to be said about the whole.
    pub notes: Vec<String>,
}

/// Where answers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// They were typed by hand.
    Headers,
    /// The server itself was asked.
    Live,
    /// An archive that a browser saved.
    Har,
}

impl Explanation {
    const FORMAT: u32 = 1;

    fn of(source: Source, diagnosis: Diagnosis) -> Self {
        Self { format: Self::FORMAT, source, diagnoses: vec![diagnosis], notes: Vec::new() }
    }
}

/// Nothing can be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// What was typed is faulty, or contradicts itself.
    #[error("{0}")]
    Usage(String),
    /// The server does not answer.
    #[error("{url} cannot be asked: {trouble}")]
    Unanswered {
        /// The URL, without what is secret in it.
        url: String,
        /// Why.
        trouble: Trouble,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

/// What a browser does where a server answers as typed.
///
/// # Errors
/// The answers contradict themselves, or what the browser does.
pub fn explain_headers(question: &Question, answers: &Answers) -> Result<Explanation, ExplainError> {
    answers::explain(question, answers).map(|diagnosis| Explanation::of(Source::Headers, diagnosis))
}

/// What a browser does with the answers of the server itself.
///
/// # Errors
/// The server does not answer at all, or TLS cannot be set up.
pub async fn explain_live(question: &Question, options: LiveOptions) -> Result<Explanation, ExplainError> {
    live::explain(question, options).await.map(|diagnosis| Explanation::of(Source::Live, diagnosis))
}

/// What a browser did with the cross-origin requests of an archive that failed, and why.
#[must_use]
pub fn explain_har(har: &Har) -> Explanation {
    har_entries::explain(har)
}
