//! The executable standard under way, with everything that goes out and comes back.

use crosscheck_cases::standard::{AddressSpace, Answer, Machine, Message, Next, Performance, perform};

use super::diagnosis::Diagnosis;
use super::question::Question;
use super::redact::Redaction;

/// A message with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Exchanged {
    pub(crate) message: Message,
    pub(crate) answer: Option<Answer>,
}

pub(crate) struct Drive<'q> {
    pub(crate) question: &'q Question,
    machine: Machine<Performance>,
    pub(crate) exchanged: Vec<Exchanged>,
    pub(crate) performance: Option<Performance>,
    pub(crate) stopped: Option<String>,
    pub(crate) notes: Vec<String>,
}

impl<'q> Drive<'q> {
    pub(crate) fn start(question: &'q Question, names: AddressSpace) -> Self {
        Self {
            question,
            machine: perform(question.client(names), vec![question.probe()], None),
            exchanged: Vec::new(),
            performance: None,
            stopped: None,
            notes: question.assumption().into_iter().collect(),
        }
    }

    /// The next message, which wants an answer or a [`Drive::stop`].
    pub(crate) fn next(&mut self) -> Option<Message> {
        if self.performance.is_some() {
            return None;
        }
        let mut answer = match self.stopped {
            Some(_) => Some(Answer::Never),
            None => self.exchanged.last().and_then(|exchanged| exchanged.answer.clone()),
        };
        loop {
            match self.machine.next(answer.take()) {
                Next::Send(message) if self.stopped.is_none() => {
                    self.exchanged.push(Exchanged { message: message.clone(), answer: None });
                    return Some(message);
                }
                // Only to see the decisions so far.
                Next::Send(_) => answer = Some(Answer::Never),
                Next::Done(performance) => {
                    self.performance = Some(performance);
                    return None;
                }
            }
        }
    }

    pub(crate) fn answer(&mut self, answer: Answer) {
        if let Some(last) = self.exchanged.last_mut() {
            last.answer = Some(answer);
        }
    }

    /// The last message is not sent, and nothing after it.
    pub(crate) fn stop(&mut self, why: String) {
        self.exchanged.pop();
        self.stopped = Some(why);
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Whether a message goes elsewhere than the first one.
    pub(crate) fn is_redirected(&self, message: &Message) -> bool {
        self.exchanged.first().is_some_and(|first| first.message.url != message.url)
    }

    pub(crate) fn diagnose(self, redaction: Redaction) -> Diagnosis {
        Diagnosis::of(self, redaction)
    }
}
