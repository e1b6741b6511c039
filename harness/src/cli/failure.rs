use std::process::ExitCode;

use crosscheck::{EngineError, ExpectationsError, JournalError, RunError};
use crosscheck_cases::{Faults, FilterError};

/// Why a command could not do its work. The exit code follows: 2 where what it was given is faulty, 3 where its
/// environment fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage, or a faulty file.
    Usage(String),
    /// Faulty case files, shown in place.
    Cases(Faults),
    /// No browser, no port, no disk.
    Environment(String),
    /// Ctrl-C.
    Interrupted(String),
}

impl Failure {
    /// Says it to a person, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Usage(message) => {
                eprintln!("error: {message}");
                ExitCode::from(2)
            }
            Self::Cases(faults) => {
                eprintln!("{:?}", miette::Report::new(faults));
                ExitCode::from(2)
            }
            Self::Environment(message) => {
                eprintln!("error: {message}");
                ExitCode::from(3)
            }
            Self::Interrupted(message) => {
                eprintln!("{message}");
                ExitCode::from(130)
            }
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

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Interrupted => Self::Interrupted(error.to_string()),
            RunError::Stage(_) | RunError::Session(_) | RunError::Journal(_) => Self::Environment(error.to_string()),
        }
    }
}
