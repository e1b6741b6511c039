//! Asks the server: the executable standard says what a browser sends, this sends it, within limits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crosscheck_cases::PageResult;
use crosscheck_cases::standard::{AddressSpace, Answer, Failure, Message, MessageKind, Received};
use crosscheck_servers::whole_number;
use tokio::sync::Semaphore;
use url::Url;

use super::policy::Limits;
use super::run::CheckOptions;
use crate::explain::diagnosis::{Diagnosis, Verdict};
use crate::explain::drive::{Drive, Exchanged};
use crate::explain::question::{Question, is_harmless, literal_space};
use crate::explain::redact::Redaction;
use crate::transport::{Exchanges, TlsSetupError, Transport, Trouble};

/// The cookie where the policy has none: some servers answer otherwise as soon as there is any.
const COOKIE: &str = "crosscheck=1";
/// So many requests in a row without an answer, for so long: the server is gone.
const GONE: u32 = 12;
const GONE_AFTER: Duration = Duration::from_secs(2);
/// How often a request is sent at the most until it has an answer.
const TRIES: u32 = 4;
/// How long is waited before the second try; before each further one four times as long.
const FIRST_WAIT: Duration = Duration::from_millis(150);
/// How long is waited at the most, whatever the server says.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The slowest pace that a server which asks for it gets: the time between two requests.
const SLOWEST: Duration = Duration::from_millis(100);
/// After so many of a kind in a row without an answer, the others are sent once only.
const HOPELESS: u32 = 6;
/// After so many, none is sent any more.
const GIVEN_UP: u32 = 20;

/// How long a server wants to be left alone. (RFC 9110, 10.2.3; a date counts as a few seconds)
fn retry_after(received: &Received) -> Duration {
    let value = received.headers.get("retry-after");
    let seconds = value.map(|value| whole_number(value.as_bytes()).unwrap_or(5));
    seconds.map_or(Duration::ZERO, Duration::from_secs)
}

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
    sent: Arc<AtomicU32>,
    /// URLs of which an error status is what the policy states.
    errors: Vec<Url>,
    /// Tries in a row that got no answer, and since when.
    silent: Mutex<(u32, Instant)>,
    spent: AtomicBool,
    /// Whether the server serves one connection at a time.
    is_single: AtomicBool,
    alone: tokio::sync::Mutex<()>,
    /// The time between two requests, as slow as the server has asked for.
    pace: Mutex<Duration>,
    tally: Mutex<BTreeMap<String, Tally>>,
    last_trouble: Mutex<Option<String>>,
    /// What was asked first of all.
    first: Mutex<Option<Url>>,
}

/// How a path was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Requests, each counted once.
    pub(crate) requests: u32,
    /// Those that got no answer, however often they were sent.
    pub(crate) unanswered: u32,
    /// Those that got one only when they were sent again.
    pub(crate) late: u32,
    /// Requests and preflights in a row that got no answer.
    in_a_row: [u32; 2],
}

/// What a try came to.
enum Tried {
    Answered,
    /// Not yet: after this time it is worth another try.
    Refused(Duration),
    /// An error of the server: if it comes again, it is the answer.
    Failed(u16),
    /// Nothing came.
    Silent,
}

/// Why a request has no answer, and what that is to the executable standard.
struct Silence {
    why: String,
    answer: Answer,
}

impl Silence {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), answer: Answer::Failed(Failure::Connection) }
    }
}

impl From<Trouble> for Silence {
    fn from(trouble: Trouble) -> Self {
        Self { why: trouble.to_string(), answer: trouble.answer() }
    }
}

/// What is said where the limits of the policy end a check.
const LIMITS: &str = "the limits of the check were reached";

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
        options: CheckOptions,
        errors: Vec<Url>,
        sent: Arc<AtomicU32>,
    ) -> Result<Self, TlsSetupError> {
        let now = Instant::now();
        Ok(Self {
            transport: Transport::to_network(options.trust)?,
            limits,
            changes: options.changes,
            cookie: cookie.unwrap_or_else(|| COOKIE.to_owned()),
            target,
            permits: Semaphore::new(limits.concurrency.into()),
            next: Mutex::new(now),
            deadline: now + Duration::from_secs(limits.seconds.into()),
            sent,
            errors,
            silent: Mutex::new((0, now)),
            spent: AtomicBool::new(false),
            is_single: AtomicBool::new(limits.concurrency == 1),
            alone: tokio::sync::Mutex::default(),
            pace: Mutex::default(),
            tally: Mutex::default(),
            last_trouble: Mutex::default(),
            first: Mutex::default(),
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
        self.is_gone().then(|| self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()).flatten()
    }

    fn is_gone(&self) -> bool {
        let (count, since) = *self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        count >= GONE && since.elapsed() >= GONE_AFTER
    }

    /// Whether the server answers a plain request, where it left a long row of others without an answer.
    async fn is_back(&self) -> bool {
        let url = self.first.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(url) = url else { return false };
        let is_back = self.reach(&url).await.is_ok();
        if is_back {
            self.heard(None);
        }
        is_back
    }

    /// How each path was answered.
    pub(crate) fn tally(&self) -> BTreeMap<String, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a request may be sent; false where no more may be.
    async fn may_send(&self) -> bool {
        let per_second = match self.limits.per_second {
            0 => Duration::ZERO,
            count => Duration::from_secs(1) / count,
        };
        let pace = per_second.max(*self.pace.lock().unwrap_or_else(PoisonError::into_inner));
        let wait = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = (*next).max(Instant::now());
            *next = begin + pace;
            begin.saturating_duration_since(Instant::now())
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        if self.is_gone() && !self.is_back().await {
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

    fn heard(&self, trouble: Option<&str>) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            None => *silent = (0, Instant::now()),
            Some(trouble) => {
                silent.0 += 1;
                *self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble.to_owned());
            }
        }
    }

    /// Nothing is sent for this long, and more slowly from then on.
    fn slow_down(&self, wait: Duration) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        *pace = (*pace * 2).clamp(Duration::from_millis(20), SLOWEST);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(Instant::now() + wait);
    }

    /// Sends a message until there is an answer. That a server refuses for now (429, 503), fails once, breaks the connection
    /// or says nothing is no answer: it is sent again, more slowly.
    async fn answer(&self, exchanges: &mut Exchanges<'_>, message: &Message) -> Result<Answer, Silence> {
        let limit = Duration::from_secs(self.limits.timeout_seconds.into());
        let mut wait = FIRST_WAIT;
        let mut failed_with = None;
        let mut last = Err(Silence::new(LIMITS));
        let in_a_row = self.in_a_row(message);
        if in_a_row >= GIVEN_UP {
            self.count(message, true, false);
            let why = format!("{in_a_row} requests of this kind in a row were not answered, so it was not sent");
            return Err(Silence::new(why));
        }
        let tries = if in_a_row >= HOPELESS { 1 } else { TRIES };
        for number in 1..=tries {
            if !self.may_send().await {
                return Err(Silence::new(LIMITS));
            }
            let result = {
                let single = self.is_single.load(Ordering::Relaxed);
                let _alone = if single { Some(self.alone.lock().await) } else { None };
                if single {
                    exchanges.stop_reusing();
                }
                exchanges.exchange(message, limit).await
            };
            let tried = self.judge(message, &result, number);
            last = result.map_err(Silence::from);
            match tried {
                Tried::Answered => {
                    self.heard(None);
                    self.count(message, false, number > 1);
                    return last;
                }
                Tried::Failed(status) if failed_with == Some(status) => {
                    self.heard(None);
                    self.count(message, false, false);
                    return last;
                }
                Tried::Failed(status) => failed_with = Some(status),
                // There is nothing more to wait for.
                Tried::Refused(_) if number == tries => self.heard(None),
                Tried::Refused(asked) => {
                    self.heard(None);
                    self.slow_down(asked.max(wait).min(LONGEST_WAIT));
                }
                Tried::Silent => {
                    self.heard(last.as_ref().err().map(|silence| silence.why.as_str()));
                    self.transport.close_idle();
                    if number < tries {
                        self.slow_down(wait);
                    }
                }
            }
            wait = wait.saturating_mul(4);
        }
        self.count(message, true, false);
        match last {
            Ok(Answer::Response(received)) => {
                Err(Silence::new(format!("the server answers {} again and again", received.status)))
            }
            other => other,
        }
    }

    /// What a try came to. Whoever closes the connection of a WebSocket handshake has refused it.
    fn judge(&self, message: &Message, result: &Result<Answer, Trouble>, number: u32) -> Tried {
        let is_handshake = matches!(message.kind, MessageKind::Handshake | MessageKind::Conversation { .. });
        let states_errors = self.errors.contains(&message.url);
        match result {
            Ok(Answer::Response(received)) => match received.status {
                429 => Tried::Refused(retry_after(received)),
                502..=504 if !states_errors => Tried::Refused(retry_after(received)),
                500..=599 if !states_errors => Tried::Failed(received.status),
                _ => Tried::Answered,
            },
            Ok(_) => Tried::Answered,
            Err(Trouble::Broken { .. }) if is_handshake => Tried::Answered,
            Err(Trouble::Broken { .. } | Trouble::Unconnected { .. }) => Tried::Silent,
            Err(Trouble::TimedOut { .. }) if number == 1 => {
                // Perhaps it serves one connection at a time, and others wait.
                self.is_single.store(true, Ordering::Relaxed);
                Tried::Silent
            }
            // What is not HTTP, or never ends, will not be another time.
            Err(_) if number > 1 => Tried::Answered,
            Err(_) => Tried::Silent,
        }
    }

    fn count(&self, message: &Message, unanswered: bool, late: bool) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tally.entry(message.url.path().to_owned()).or_default();
        tally.requests += 1;
        tally.unanswered += u32::from(unanswered);
        tally.late += u32::from(late);
        let in_a_row = &mut tally.in_a_row[usize::from(message.kind == MessageKind::Preflight)];
        *in_a_row = if unanswered { *in_a_row + 1 } else { 0 };
    }

    /// How many requests of this kind to this path, the last ones of all, were not answered.
    fn in_a_row(&self, message: &Message) -> u32 {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let of_path = tally.get(message.url.path());
        of_path.map_or(0, |tally| tally.in_a_row[usize::from(message.kind == MessageKind::Preflight)])
    }

    /// What a page does, to its end.
    pub(crate) async fn ask(&self, question: &Question) -> Asked {
        // A closed semaphore would let everything through; it is never closed.
        let _permit = self.permits.acquire().await.ok();
        let names = literal_space(&question.url).unwrap_or(AddressSpace::Public);
        let mut exchanges = self.transport.exchanges();
        let mut drive = Drive::start(question, names);
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
            match self.answer(&mut exchanges, &message).await {
                Ok(answer) => {
                    if let Answer::Response(received) = &answer {
                        took = received.took;
                    }
                    drive.answer(answer);
                }
                Err(Silence { why, .. }) if self.is_spent() || self.is_gone() => {
                    drive.stop("No more requests are sent.".to_owned());
                    trouble = Some(why);
                }
                Err(Silence { why, answer }) => {
                    is_late = matches!(answer, Answer::Never);
                    drive.answer(answer);
                    trouble = Some(why);
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
        match self.answer(&mut self.transport.exchanges(), &message).await {
            Ok(answer) => {
                if let Answer::Response(received) = &answer {
                    asked.took = received.took;
                }
                asked.exchanged[0].answer = Some(answer);
            }
            Err(Silence { why, .. }) => asked.trouble = Some(why),
        }
        asked
    }

    /// The first request of all: whether there is a server, and what it speaks.
    pub(crate) async fn reach(&self, url: &Url) -> Result<(), Trouble> {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.clone());
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
