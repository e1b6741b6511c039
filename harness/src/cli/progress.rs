use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crosscheck::RunEvent;
use crosscheck_reports::Verdict;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows how far a run is, on standard error: a bar on a terminal, now and then a line elsewhere.
pub(crate) struct Progress {
    bar: ProgressBar,
    terminal: bool,
    label: String,
    total: usize,
    verdicts: BTreeMap<Verdict, usize>,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {bar:32} {pos}/{len} {msg} ({eta} left)") {
            bar.set_style(style.progress_chars("━╾─"));
        }
        Self { bar, terminal, label: String::new(), total: 0, verdicts: BTreeMap::new(), last_line: Instant::now() }
    }

    pub(crate) fn event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started { agent, cases } => {
                self.label = format!("{} {}", agent.label, agent.version);
                self.total = *cases;
                self.bar.set_length(*cases as u64);
                self.bar.set_prefix(agent.label.clone());
                if !self.terminal {
                    eprintln!("{}: {cases} cases", self.label);
                }
            }
            RunEvent::Finished(record) => {
                *self.verdicts.entry(record.verdict).or_default() += 1;
                self.bar.inc(1);
                self.bar.set_message(self.counts());
                if !self.terminal && self.last_line.elapsed() >= LINE_INTERVAL {
                    self.last_line = Instant::now();
                    let done: usize = self.verdicts.values().sum();
                    eprintln!("{}: {done}/{} {}", self.label, self.total, self.counts());
                }
            }
            RunEvent::Warning(text) => self.bar.suspend(|| eprintln!("warning: {text}")),
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn counts(&self) -> String {
        self.verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect::<Vec<_>>().join(", ")
    }
}
