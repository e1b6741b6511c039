//! Checks a real server against its declared policy: which pages it wrongly lets in or keeps out, and why.
//!
//! A [`Policy`] says what the server should allow ([`read_policy`] also finds what is wrong with the policy itself).
//! [`check`] asks the server what browsers would ask, driven by the executable standard, and gives a [`CheckRecord`]:
//! one [`Finding`] for each [`Fault`], with what was sent, what came back, and what a browser concludes.

mod ask;
mod claim;
mod compare;
mod confirm;
mod fault;
mod finding;
mod init;
mod lint;
mod origins;
mod policy;
mod replay;
pub mod report;
mod run;
mod start;
mod topic;

pub use compare::{Change, compare};
pub use confirm::{ConfirmError, confirm};
pub use fault::{FAULTS, Fault, Severity, fault_of};
pub use finding::{Access, CheckRecord, Confirmation, Evidence, Finding, Ignored, Replayed, Seen};
pub use init::init;
pub use lint::{parse_policy, read_policy};
pub use policy::{Allow, Authenticate, Embed, Ignore, Limits, Policy, Role, Route, Start, policy_schema};
pub use run::{CheckError, CheckOptions, check, is_local};
pub use start::{Started, start};
