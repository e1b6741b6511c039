use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a case came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As expected.
    Pass,
    /// As expected, that something is absent; but its control did not come out present, so nothing shows that it could have
    /// been there.
    NotShown,
    /// Not as expected.
    Fail,
    /// Not as expected, as an entry of the expectations explains.
    Known,
    /// As expected now, although an entry of the expectations says otherwise: the entry can go.
    Fixed,
    /// Different verdicts in several attempts.
    Flaky,
    /// Not as stated, where the standards leave open what comes out: told, and nobody's fault.
    Differs,
    /// Not run, for a stated reason.
    Skipped,
    /// The harness could not tell. Never counted as a pass.
    Error,
}

impl Verdict {
    /// All verdicts, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::Pass,
        Self::NotShown,
        Self::Fail,
        Self::Known,
        Self::Fixed,
        Self::Flaky,
        Self::Differs,
        Self::Skipped,
        Self::Error,
    ];

    /// The name in records and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotShown => "not-shown",
            Self::Fail => "fail",
            Self::Known => "known",
            Self::Fixed => "fixed",
            Self::Flaky => "flaky",
            Self::Differs => "differs",
            Self::Skipped => "skipped",
            Self::Error => "error",
        }
    }

    /// A sign of one character, so that colour is never the only carrier of a verdict.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Pass => "✓",
            Self::NotShown => "?",
            Self::Fail => "✗",
            Self::Known => "≈",
            Self::Fixed => "↑",
            Self::Flaky => "±",
            Self::Differs => "≠",
            Self::Skipped => "–",
            Self::Error => "!",
        }
    }

    /// Whether it calls for somebody's attention: the run then ends with exit code 1.
    #[must_use]
    pub const fn is_unexpected(self) -> bool {
        match self {
            Self::Fail | Self::Fixed | Self::Flaky | Self::Error => true,
            Self::Pass | Self::NotShown | Self::Known | Self::Differs | Self::Skipped => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
