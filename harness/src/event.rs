use crosscheck_reports::{AgentRecord, CaseRecord, Verdict};

/// What happens in a run, as it happens: the progress display and the journal listen to these.
#[derive(Debug)]
pub enum RunEvent {
    /// An agent is ready.
    Started {
        /// Who.
        agent: AgentRecord,
        /// How many cases it is going to run in each round.
        cases: usize,
        /// How many rounds.
        rounds: u32,
    },
    /// A round begins; the first is number 1.
    Round(u32),
    /// A case was run to its end in a round that is not the last one: the verdict over the rounds so far.
    Ran(Verdict),
    /// A case was run to its end in the last round: all that came of it in all rounds.
    Finished(CaseRecord),
    /// All cases were run; now so many controls are, which are in no count.
    Controls(usize),
}
