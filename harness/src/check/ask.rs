//! Asks the server: the executable standard says what a browser sends, this sends it, within limits.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crosscheck_cases::PageResult;
use crosscheck_cases::standard::{AddressSpace, Answer, Message, MessageKind, Received};
use tokio::sync::Semaphore;
use url::Url;

use super::policy::Limits;
use crate::explain::diagnosis::{Diagnosis, Verdict};
use crate::explain::drive::{Drive, Exchanged};
use crate::explain::question::{Question, is_harmless, literal_space};
use crate::explain::redact::Redaction;
use crate::transport::{TlsSetupError, Transport, Trouble, Trust};

/// The cookie where the policy has none: some servers answer otherwise as soon as there is any.
const COOKIE: &str = "crosscheck=1";
/// So many requests in a row without an answer: the server is gone.
const GONE: u32 = 6;

/// Asks one server.
pub(crate) struct Asker {
    transport: Transport,
    limits: Limits,
    /// Whether requests are sent that may change something.
    changes: bool,
    cookie: String,
    target: Url,
    permits: Semaphore,
    next: Mutex<Instant>,
    deadline: Instant,
    sent: AtomicU32,
    /// Requests in a row that got no answer.
    unanswered: AtomicU32,
    spent: AtomicBool,
    last_trouble: Mutex<Option<String>>,
}

/// A request with all that it led to.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// What was asked; nothing for what no browser sends by itself.
    pub(crate) question: Option<Question>,
    pub(crate) exchanged: Vec<Exchanged>,
    /// What a browser makes of it; nothing for what no browser sends by itself.
    pub(crate) diagnosis: Option<Diagnosis>,
    pub(crate) page: PageResult,
    pub(crate) trouble: Option<String>,
    /// Whether that was that nothing came in time.
    pub(crate) is_late: bool,
    /// How long the last answer took.
    pub(crate) took: Duration,
}

impl Asked {
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.diagnosis.as_ref().map(|diagnosis| diagnosis.verdict)
    }

    /// Whether the page reads the answer.
    pub(crate) fn is_readable(&self) -> bool {
        self.verdict() == Some(Verdict::Readable)
    }

    /// Whether the request itself was sent, or would now be.
    pub(crate) fn gets_through(&self) -> bool {
        self.verdict() == Some(Verdict::Undecided) || self.request().is_some()
    }

    /// The answer to the preflight.
    pub(crate) fn preflight(&self) -> Option<&Received> {
        self.of(|kind| *kind == MessageKind::Preflight)
    }

    /// The last answer to the request itself.
    pub(crate) fn request(&self) -> Option<&Received> {
        self.of(|kind| *kind != MessageKind::Preflight)
    }

    fn of(&self, wanted: impl Fn(&MessageKind) -> bool) -> Option<&Received> {
        self.exchanged.iter().rev().filter(|one| wanted(&one.message.kind)).find_map(|one| match &one.answer {
            Some(Answer::Response(received)) => Some(received),
            _ => None,
        })
    }

    /// The last answer of all.
    pub(crate) fn last(&self) -> Option<&Received> {
        self.of(|_| true)
    }

    /// The requirement that blocked it.
    pub(crate) fn requirement(&self) -> Option<&str> {
        let steps = &self.diagnosis.as_ref()?.steps;
        steps.iter().find(|step| step.decides).map(|step| step.requirement.as_str())
    }

    /// The class of the reason of a block.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.diagnosis.as_ref()?.reason.as_deref()
    }
}

impl Asker {
    pub(crate) fn new(
        target: Url,
        limits: Limits,
        cookie: Option<String>,
        changes: bool,
        trust: Trust,
    ) -> Result<Self, TlsSetupError> {
        let now = Instant::now();
        Ok(Self {
            transport: Transport::to_network(trust)?,
            limits,
            changes,
            cookie: cookie.unwrap_or_else(|| COOKIE.to_owned()),
            target,
            permits: Semaphore::new(limits.concurrency.into()),
            next: Mutex::new(now),
            deadline: now + Duration::from_secs(limits.seconds.into()),
            sent: AtomicU32::new(0),
            unanswered: AtomicU32::new(0),
            spent: AtomicBool::new(false),
            last_trouble: Mutex::default(),
        })
    }

    /// The value of the Cookie header.
    pub(crate) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// How many requests were sent.
    pub(crate) fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether the limits ended the check before its end.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// What happened last, where the server has stopped to answer.
    pub(crate) fn gone(&self) -> Option<String> {
        let gone = self.unanswered.load(Ordering::Relaxed) >= GONE;
        gone.then(|| self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()).flatten()
    }

    /// Waits until a request may be sent; false where no more may be.
    async fn may_send(&self) -> bool {
        if self.limits.per_second > 0 {
            let wait = {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                let begin = (*next).max(Instant::now());
                *next = begin + Duration::from_secs(1) / self.limits.per_second;
                begin.saturating_duration_since(Instant::now())
            };
            tokio::time::sleep(wait).await;
        }
        if self.unanswered.load(Ordering::Relaxed) >= GONE {
            return false;
        }
        let sent = self.sent.fetch_add(1, Ordering::Relaxed);
        if sent >= self.limits.requests || Instant::now() >= self.deadline {
            self.sent.fetch_sub(1, Ordering::Relaxed);
            self.spent.store(true, Ordering::Relaxed);
            return false;
        }
        true
    }

    fn heard(&self, trouble: Option<&Trouble>) {
        match trouble {
            None => self.unanswered.store(0, Ordering::Relaxed),
            Some(trouble) => {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
                *self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble.to_string());
            }
        }
    }

    /// What a page does, to its end.
    pub(crate) async fn ask(&self, question: &Question) -> Asked {
        // A closed semaphore would let everything through; it is never closed.
        let _permit = self.permits.acquire().await.ok();
        let names = literal_space(&question.url).unwrap_or(AddressSpace::Public);
        let mut exchanges = self.transport.exchanges();
        let mut drive = Drive::start(question, names);
        let limit = Duration::from_secs(self.limits.timeout_seconds.into());
        let (mut trouble, mut is_late) = (None, false);
        let mut took = Duration::ZERO;
        while let Some(mut message) = drive.next() {
            if message.kind == MessageKind::Request && !is_harmless(&message.method.decode()) && !self.changes {
                drive.stop(format!(
                    "A browser now sends the {}. It was not sent, as it may change something.",
                    message.method
                ));
                continue;
            }
            if !self.is_ours(&message.url) {
                let host = message.url.host_str().unwrap_or_default().to_owned();
                drive.stop(format!("The redirect leads to {host}, which is not the server that is checked."));
                continue;
            }
            let has_cookies = question.credentials == "include" || message.kind == MessageKind::Handshake;
            if message.kind != MessageKind::Preflight && has_cookies {
                message.headers.push("Cookie", self.cookie.as_str());
                if let Some(last) = drive.exchanged.last_mut() {
                    last.message = message.clone();
                }
            }
            if !self.may_send().await {
                drive.stop("No more requests are sent.".to_owned());
                trouble = Some("the limits of the check were reached".to_owned());
                continue;
            }
            match exchanges.exchange(&message, limit).await {
                Ok(answer) => {
                    self.heard(None);
                    if let Answer::Response(received) = &answer {
                        took = received.took;
                    }
                    drive.answer(answer);
                }
                Err(why) => {
                    self.heard(Some(&why));
                    drive.answer(why.answer());
                    is_late = matches!(why, Trouble::TimedOut { .. });
                    trouble = Some(why.to_string());
                }
            }
        }
        let exchanged = drive.exchanged.clone();
        let page = drive.performance.as_ref().and_then(|performance| performance.page.first().cloned());
        let diagnosis = Some(drive.diagnose(Redaction::Secrets));
        let question = Some(question.clone());
        Asked { question, exchanged, diagnosis, page: page.unwrap_or_default(), trouble, is_late, took }
    }

    /// A request with just these headers.
    pub(crate) async fn send(&self, method: &str, url: &Url, headers: &[(&str, &str)]) -> Asked {
        let _permit = self.permits.acquire().await.ok();
        let message = Message::plain(method, url, headers);
        let mut asked = Asked {
            question: None,
            exchanged: vec![Exchanged { message: message.clone(), answer: None }],
            diagnosis: None,
            page: PageResult::default(),
            trouble: None,
            is_late: false,
            took: Duration::ZERO,
        };
        if !self.may_send().await {
            asked.trouble = Some("the limits of the check were reached".to_owned());
            return asked;
        }
        let limit = Duration::from_secs(self.limits.timeout_seconds.into());
        match self.transport.exchanges().exchange(&message, limit).await {
            Ok(answer) => {
                self.heard(None);
                if let Answer::Response(received) = &answer {
                    asked.took = received.took;
                }
                asked.exchanged[0].answer = Some(answer);
            }
            Err(why) => {
                self.heard(Some(&why));
                asked.trouble = Some(why.to_string());
            }
        }
        asked
    }

    /// The first request of all: whether there is a server, and what it speaks.
    pub(crate) async fn reach(&self, url: &Url) -> Result<(), Trouble> {
        let message = Message::plain("GET", url, &[("Accept", "*/*")]);
        self.sent.fetch_add(1, Ordering::Relaxed);
        let limit = Duration::from_secs(self.limits.timeout_seconds.into());
        self.transport.exchanges().exchange(&message, limit).await.map(|_| ())
    }

    /// Whether a URL is one of the server that is checked.
    fn is_ours(&self, url: &Url) -> bool {
        let host = url.host_str();
        host == self.target.host_str()
            || (literal_space(url) == Some(AddressSpace::Loopback)
                && literal_space(&self.target) == Some(AddressSpace::Loopback))
    }
}
