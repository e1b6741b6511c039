use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crosscheck::RunEvent;
use crosscheck_reports::Verdict;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a line is written where there is no terminal, whether anything has happened or not.
pub(crate) const BEAT: Duration = Duration::from_secs(10);

/// Shows how far a run is, on standard error: a bar on a terminal, now and then a line elsewhere.
pub(crate) struct Progress {
    bar: ProgressBar,
    terminal: bool,
    label: String,
    /// How many cases are run in each round.
    cases: usize,
    rounds: u32,
    /// The round that is under way, and what came of its cases.
    round: u32,
    verdicts: BTreeMap<Verdict, usize>,
    started: Instant,
}

impl Progress {
    /// The agent with this label is being started.
    pub(crate) fn new(label: &str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{prefix:>12} is starting ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_prefix(label.to_owned());
        // It is drawn anew also while nothing happens.
        bar.enable_steady_tick(Duration::from_millis(500));
        if !terminal {
            tell!("{label} is starting");
        }
        Self {
            bar,
            terminal,
            label: label.to_owned(),
            cases: 0,
            rounds: 1,
            round: 1,
            verdicts: BTreeMap::new(),
            started: Instant::now(),
        }
    }

    pub(crate) fn event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started { agent, cases, rounds } => {
                self.label = format!("{} {}", agent.label, agent.version);
                (self.cases, self.rounds) = (*cases, *rounds);
                self.bar.set_length(*cases as u64 * u64::from(*rounds));
                if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {bar:32} {pos}/{len} {msg} ({eta} left)")
                {
                    self.bar.set_style(style.progress_chars("━╾─"));
                }
                self.bar.set_prefix(agent.label.clone());
                if !self.terminal {
                    tell!("{}: {cases} cases", self.label);
                }
            }
            RunEvent::Round(number) => {
                self.round = *number;
                self.verdicts.clear();
            }
            RunEvent::Ran(verdict) => self.count(*verdict),
            RunEvent::Finished(record) => self.count(record.verdict),
            RunEvent::Controls(count) => {
                self.bar.set_message(format!("{}; {count} controls", self.counts()));
                if !self.terminal {
                    tell!("{}: {count} controls, for what passing cases expect to be absent", self.label);
                }
            }
        }
    }

    fn count(&mut self, verdict: Verdict) {
        *self.verdicts.entry(verdict).or_default() += 1;
        self.bar.inc(1);
        self.bar.set_message(self.counts());
    }

    /// A line that says how far it is; nothing on a terminal, where the bar does.
    pub(crate) fn beat(&self) {
        if self.terminal {
            return;
        }
        let seconds = self.started.elapsed().as_secs();
        match self.cases {
            0 => tell!("{} is still starting after {seconds} s", self.label),
            cases => {
                let done: usize = self.verdicts.values().sum();
                tell!("{}: {done}/{cases} after {seconds} s: {}", self.label, self.counts());
            }
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// The verdicts so far, those of this round and of the ones before together.
    fn counts(&self) -> String {
        let counts: Vec<String> = self.verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        let counts = if counts.is_empty() { "none yet".to_owned() } else { counts.join(", ") };
        match self.rounds {
            1 => counts,
            rounds => format!("{counts} in round {} of {rounds}", self.round),
        }
    }
}
