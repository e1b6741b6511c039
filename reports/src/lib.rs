//! What happened, for people and tools: the run record, and reports that are made from run records alone.

mod record;
mod verdict;

pub use record::{AgentRecord, CaseRecord, FORMAT, RunRecord, SuiteRecord, Summary};
pub use verdict::Verdict;
