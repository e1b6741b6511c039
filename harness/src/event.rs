use crosscheck_reports::{AgentRecord, CaseRecord};

/// What happens in a run, as it happens: the progress display, the journal and the reports all listen to these.
#[derive(Debug)]
pub enum RunEvent {
    /// An agent is ready.
    Started {
        /// Who.
        agent: AgentRecord,
        /// How many cases it is going to run.
        cases: usize,
    },
    /// A case was run to its end.
    Finished(CaseRecord),
    /// Something is worth a person's attention and is no case's result.
    Warning(String),
}
