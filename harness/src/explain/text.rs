//! An explanation for people.

use super::diagnosis::{Diagnosis, Shown, Step, Verdict};
use super::{Explanation, Source};
use crate::terminal::{BOLD, DIM, Page, WIDTH};

const RED: &str = "1;31";
const GREEN: &str = "1;32";
const YELLOW: &str = "1;33";

/// Writes an explanation for people, coloured or plain.
#[must_use]
pub fn render(explanation: &Explanation, coloured: bool) -> String {
    let mut page = Page::new(coloured);
    for (position, diagnosis) in explanation.diagnoses.iter().enumerate() {
        if position > 0 {
            page.out.push('\n');
            page.line(0, &page.paint(DIM, &"─".repeat(WIDTH)));
            page.out.push('\n');
        }
        page.diagnosis(diagnosis, explanation.source);
    }
    if !explanation.diagnoses.is_empty() && !explanation.notes.is_empty() {
        page.out.push('\n');
    }
    for note in &explanation.notes {
        page.wrapped(0, note);
    }
    page.out
}

impl Page {
    fn diagnosis(&mut self, diagnosis: &Diagnosis, source: Source) {
        let Diagnosis { page, url, method, mode, credentials, recorded, exchanges, .. } = diagnosis;
        if let Some(recorded) = recorded {
            self.line(0, &self.paint(DIM, &format!("entry {}: {}", recorded.entry, recorded.browser)));
        }
        self.line(0, &self.paint(BOLD, &format!("{method} {url}")));
        self.line(0, &format!("from {page}, mode {mode}, credentials {credentials}"));
        if !exchanges.is_empty() {
            self.out.push('\n');
        }
        for exchange in exchanges {
            self.exchange(exchange, source);
        }
        if !diagnosis.steps.is_empty() {
            self.out.push('\n');
            self.line(0, &self.paint(BOLD, "Why"));
        }
        for step in &diagnosis.steps {
            self.step(step, exchanges);
        }
        self.out.push('\n');
        self.conclusion(diagnosis);
    }

    fn exchange(&mut self, exchange: &Shown, source: Source) {
        let kind = if exchange.preflight { "  (the preflight)" } else { "" };
        self.line(0, &format!("→ {} {}{kind}", exchange.method, exchange.url));
        for (name, value) in &exchange.headers {
            self.line(4, &format!("{name}: {value}"));
        }
        match &exchange.response {
            Some(response) => {
                self.line(0, &format!("← {}", response.status));
                for (name, value) in &response.headers {
                    self.line(4, &format!("{name}: {value}"));
                }
            }
            None if source == Source::Har => self.line(0, "← (nothing is recorded)"),
            None => self.line(0, "← (no answer)"),
        }
    }

    fn step(&mut self, step: &Step, exchanges: &[Shown]) {
        let when = match step.after.checked_sub(1).and_then(|before| exchanges.get(before)) {
            None => "before anything is sent",
            Some(exchange) if exchange.preflight => "after the preflight",
            Some(_) => "after the request",
        };
        let mark = if step.decides { self.paint(RED, "✗") } else { "·".to_owned() };
        let id = self.paint(BOLD, &step.requirement);
        let when = self.paint(DIM, when);
        self.line(2, &format!("{mark} {id}  {when}"));
        self.wrapped(6, &step.text);
        if let Some(link) = step.link.as_ref().filter(|_| step.decides) {
            self.line(6, &self.paint(DIM, link));
        }
    }

    fn conclusion(&mut self, diagnosis: &Diagnosis) {
        let (style, word) = match diagnosis.verdict {
            Verdict::Readable => (GREEN, "READABLE"),
            Verdict::Opaque => (YELLOW, "OPAQUE"),
            Verdict::Blocked => (RED, "BLOCKED"),
            Verdict::Failed => (RED, "FAILED"),
            Verdict::Refused => (RED, "REFUSED"),
            Verdict::Undecided => (YELLOW, "UNDECIDED"),
        };
        let reason = diagnosis.reason.as_ref().filter(|_| diagnosis.verdict == Verdict::Blocked);
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        self.line(0, &format!("{}{reason}", self.paint(style, word)));
        self.wrapped(2, &diagnosis.conclusion);
        if let Some(advice) = &diagnosis.advice {
            self.line(0, &self.paint(BOLD, "What to change"));
            self.wrapped(2, advice);
        }
        for note in &diagnosis.notes {
            self.line(0, &self.paint(BOLD, "Note"));
            self.wrapped(2, note);
        }
    }
}
