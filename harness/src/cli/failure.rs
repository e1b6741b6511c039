use std::fmt;
use std::process::ExitCode;

use crosscheck::check::CheckError;
use crosscheck::explain::ExplainError;
use crosscheck::{EngineError, ExpectationsError, JournalError, RunError};
use crosscheck_cases::visible;
use crosscheck_cases::{Faults, FilterError};

/// Why a command could not do its work. The exit code follows: 2 where what it was given is faulty, 3 where its
/// environment fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage, or a faulty file.
    Usage(String),
    /// Faulty case files, shown in place.
    Cases(Faults),
    /// Another faulty file.
    Shown(miette::Report),
    /// No browser, no port, no disk.
    Environment(String),
    /// Ctrl-C.
    Interrupted(String),
}

impl Failure {
    /// Says it to a person, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let code = match &self {
            Self::Usage(_) | Self::Cases(_) | Self::Shown(_) => 2,
            Self::Environment(_) => 3,
            Self::Interrupted(_) => 130,
        };
        match self {
            Self::Cases(faults) => tell!("{:?}", miette::Report::new(faults)),
            Self::Shown(report) => tell!("{report:?}"),
            other => tell!("error: {other}"),
        }
        ExitCode::from(code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Environment(message) | Self::Interrupted(message) => {
                // What is quoted in it may come from a server or a file.
                let lines: Vec<String> = message.lines().map(visible).collect();
                formatter.write_str(&lines.join("\n"))
            }
            Self::Cases(faults) => faults.fmt(formatter),
            Self::Shown(report) => fmt::Display::fmt(report, formatter),
        }
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Cases(faults)
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ExpectationsError> for Failure {
    fn from(error: ExpectationsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Environment(error.to_string())
    }
}

impl From<ExplainError> for Failure {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Usage(message) => Self::Usage(message),
            ExplainError::Unanswered { .. } | ExplainError::Tls(_) => Self::Environment(error.to_string()),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Interrupted => Self::Interrupted(error.to_string()),
            RunError::Stage(_) | RunError::Session(_) | RunError::Tls(_) | RunError::Journal(_) => {
                Self::Environment(error.to_string())
            }
        }
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        Self::Environment(error.to_string())
    }
}
