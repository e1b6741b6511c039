use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    Behaviour, ByteString, Counts, Ended, Exchange, Fields, Framing, Message, Protocol, Reply, ReplyHead, Request,
    Response, Route, Site, Token, respond,
};

/// How many requests without a site are remembered.
const STRAYS: usize = 1000;
/// How many bytes of the body of such a request are kept.
const STRAY_BODY: usize = 1 << 10;

/// What all connections of a stage share: the published sites with their logs, and the clock.
pub(super) struct Registry {
    start: Instant,
    requests: AtomicU64,
    connections: AtomicU64,
    stopping: AtomicBool,
    sites: RwLock<HashMap<Token, Arc<Published>>>,
    strays: Mutex<VecDeque<Exchange>>,
}

/// A site behind its token, with what happened to it.
#[derive(Default)]
pub(super) struct Published {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    site: Site,
    counts: HashMap<Route, Counts>,
    /// Sorted by sequence.
    log: Vec<Exchange>,
    watcher: Option<UnboundedSender<Exchange>>,
    withdrawn: bool,
}

/// No lock of this module guards anything that a panic could leave half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When and where the head of a request arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    sequence: u64,
    at_us: u64,
    connection: u64,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            sites: RwLock::default(),
            strays: Mutex::default(),
        }
    }

    pub(super) fn publish(&self, token: Token, site: Site, watcher: Option<UnboundedSender<Exchange>>) {
        let state = State { site, watcher, ..State::default() };
        let published = Published { state: Mutex::new(state), changed: Notify::new() };
        let before = self.sites.write().unwrap_or_else(PoisonError::into_inner).insert(token, Arc::new(published));
        if let Some(before) = before {
            before.withdraw();
        }
    }

    pub(super) fn find(&self, token: &Token) -> Option<Arc<Published>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    pub(super) fn withdraw(&self, token: &Token) -> Vec<Exchange> {
        let published = self.sites.write().unwrap_or_else(PoisonError::into_inner).remove(token);
        published.map(|published| published.withdraw()).unwrap_or_default()
    }

    pub(super) fn strays(&self) -> Vec<Exchange> {
        lock(&self.strays).iter().cloned().collect()
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// From now on the end of a connection is the stage's doing, not the client's.
    pub(super) fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Notes the arrival of a request's head.
    pub(super) fn arrival(&self, connection: u64) -> Arrival {
        let at_us = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        Arrival { sequence: self.requests.fetch_add(1, Ordering::Relaxed), at_us, connection }
    }

    /// Logs a request that was read completely, and decides what happens to it.
    pub(super) fn receive(
        self: &Arc<Self>,
        arrival: Arrival,
        request: &Request,
        body_length: u64,
    ) -> (OpenExchange, Reply) {
        let mut exchange = exchange(arrival, request, body_length);
        let found = Token::split(&request.target).and_then(|(token, path)| Some((self.find(&token)?, path)));
        let Some((published, path)) = found else {
            let text = format!(
                "This stage has no site for {}{}: the first segment of the path must be the token of a published \
                 site.\n",
                request.origin, request.target
            );
            return (self.open(arrival, self.stray(exchange)), not_found(request, text));
        };
        let routed = published.receive(request, path, &mut exchange);
        let reply = match routed {
            Some((behaviour, counts)) => respond(&behaviour, request, counts),
            None => not_found(request, format!("The site has no behaviour for {}{path}\n", request.origin)),
        };
        (self.open(arrival, Place::Site(published)), reply)
    }

    /// Logs a request that could not be read to its end.
    pub(super) fn refuse(&self, arrival: Arrival, unread: Unread, reply: Option<ReplyHead>, ended: Ended) {
        let exchange = Exchange {
            sequence: arrival.sequence,
            at_us: arrival.at_us,
            connection: arrival.connection,
            protocol: unread.protocol,
            method: unread.method,
            origin: unread.origin,
            target: unread.target,
            headers: unread.headers,
            body_length: unread.body_length,
            body: ByteString::default(),
            routed: false,
            reply,
            ended,
        };
        match Token::split(&exchange.target).and_then(|(token, _)| self.find(&token)) {
            Some(published) => {
                insert(&mut lock(&published.state).log, exchange);
                published.changed.notify_waiters();
            }
            None => drop(self.stray(exchange)),
        }
    }

    fn stray(&self, mut exchange: Exchange) -> Place {
        if exchange.body.as_bytes().len() > STRAY_BODY {
            exchange.body = exchange.body.as_bytes()[..STRAY_BODY].into();
        }
        let mut strays = lock(&self.strays);
        if strays.len() == STRAYS {
            strays.pop_front();
        }
        strays.push_back(exchange);
        Place::Strays
    }

    fn open(self: &Arc<Self>, arrival: Arrival, place: Place) -> OpenExchange {
        OpenExchange { registry: Arc::clone(self), sequence: arrival.sequence, place, finished: false }
    }
}

impl Published {
    fn receive(&self, request: &Request, path: &str, exchange: &mut Exchange) -> Option<(Arc<Behaviour>, Counts)> {
        let mut state = lock(&self.state);
        let found = state.site.find(&request.origin, path).map(|(route, behaviour)| {
            let counts = state.counts.entry(route).or_default();
            counts.add(request);
            (behaviour, *counts)
        });
        exchange.routed = found.is_some();
        if let Some(watcher) = &state.watcher {
            // A watcher that was dropped has lost interest.
            let _ = watcher.send(exchange.clone());
        }
        insert(&mut state.log, exchange.clone());
        drop(state);
        self.changed.notify_waiters();
        found
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Site)) {
        change(&mut lock(&self.state).site);
    }

    pub(super) fn log(&self) -> Vec<Exchange> {
        lock(&self.state).log.clone()
    }

    fn withdraw(&self) -> Vec<Exchange> {
        let mut state = lock(&self.state);
        state.withdrawn = true;
        state.watcher = None;
        let log = state.log.clone();
        drop(state);
        self.changed.notify_waiters();
        log
    }

    pub(super) async fn wait_for(&self, time: Duration, enough: impl Fn(&[Exchange]) -> bool) -> Vec<Exchange> {
        // In time or too late, the log is what there is.
        let _ = tokio::time::timeout(time, self.until(enough)).await;
        self.log()
    }

    /// Waits until the log is as wanted, or the site withdrawn.
    async fn until(&self, enough: impl Fn(&[Exchange]) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            {
                let state = lock(&self.state);
                if state.withdrawn || enough(&state.log) {
                    return;
                }
            }
            changed.await;
        }
    }
}

/// Inserts in the order of arrival: nearly always at the end.
fn insert(log: &mut Vec<Exchange>, exchange: Exchange) {
    let position = log.partition_point(|earlier| earlier.sequence < exchange.sequence);
    log.insert(position, exchange);
}

/// As much of a request as could be read.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) protocol: Protocol,
    pub(super) method: ByteString,
    pub(super) origin: String,
    pub(super) target: String,
    pub(super) headers: Fields,
    pub(super) body_length: u64,
}

fn exchange(arrival: Arrival, request: &Request, body_length: u64) -> Exchange {
    Exchange {
        sequence: arrival.sequence,
        at_us: arrival.at_us,
        connection: arrival.connection,
        protocol: request.protocol,
        method: request.method.clone(),
        origin: request.origin.to_string(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        body_length,
        body: request.body.as_slice().into(),
        routed: false,
        reply: None,
        ended: Ended::Open,
    }
}

fn not_found(request: &Request, text: String) -> Reply {
    let mut response = explanation(404, text);
    if request.method == *"HEAD" {
        response.body.clear();
    }
    Reply { after: Vec::new(), delay: Duration::ZERO, message: Message::Response(response) }
}

/// A response of the stage itself, with a text for people.
pub(super) fn explanation(status: u16, text: String) -> Response {
    let mut headers = Fields::new();
    headers.push("Content-Type", "text/plain; charset=utf-8");
    Response {
        status,
        reason: crate::respond::reason_phrase(status),
        headers,
        framing: Framing::Length(text.len() as u64),
        body: vec![text.into_bytes()],
        pause: Duration::ZERO,
    }
}

enum Place {
    Site(Arc<Published>),
    Strays,
}

/// A logged exchange that has not ended. Dropped without an end, it is one that the client left.
pub(super) struct OpenExchange {
    registry: Arc<Registry>,
    sequence: u64,
    place: Place,
    finished: bool,
}

impl OpenExchange {
    /// Logs the head of the answer, just before it is sent.
    pub(super) fn replying(&self, status: u16, headers: Fields) {
        self.change(|exchange| exchange.reply = Some(ReplyHead { status, headers }));
    }

    /// Waits until all these URLs of the site were asked for.
    pub(super) async fn after(&self, urls: &[String]) {
        let Place::Site(published) = &self.place else { return };
        let is_for = |exchange: &Exchange, url: &String| {
            Token::split(&exchange.target).is_some_and(|(_, path)| url.strip_prefix(&exchange.origin) == Some(path))
        };
        published.until(|log| urls.iter().all(|url| log.iter().any(|exchange| is_for(exchange, url)))).await;
    }

    /// Logs the end.
    pub(super) fn finish(mut self, ended: Ended) {
        self.finished = true;
        self.change(|exchange| exchange.ended = ended);
    }

    fn change(&self, change: impl FnOnce(&mut Exchange)) {
        match &self.place {
            Place::Site(published) => {
                let mut state = lock(&published.state);
                if let Ok(position) = state.log.binary_search_by_key(&self.sequence, |exchange| exchange.sequence) {
                    change(&mut state.log[position]);
                }
                drop(state);
                published.changed.notify_waiters();
            }
            Place::Strays => {
                let mut strays = lock(&self.registry.strays);
                if let Some(exchange) = strays.iter_mut().rfind(|exchange| exchange.sequence == self.sequence) {
                    change(exchange);
                }
            }
        }
    }
}

impl Drop for OpenExchange {
    fn drop(&mut self) {
        if !self.finished && !self.registry.stopping.load(Ordering::Acquire) {
            self.change(|exchange| exchange.ended = Ended::ClientGone);
        }
    }
}
