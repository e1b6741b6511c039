//! One attempt at a list of cases: loads their documents in the tabs of a browser and settles each case as soon as
//! all that is to know of it is there.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crosscheck_cases::{Case, DocumentKind, PageResult, Permissions, Reason, ResultKind};
use crosscheck_servers::{Exchange, Stage, Token};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::engine::Reasons;
use crate::page::{Manner, Published, Report, add_mark, publish, reports};
use crate::plan::{Window, order, plan};
use crate::reasons::Messages;
use crate::session::Session;
use crate::slowness::Slowness;
use crate::{Expectations, RunError};

/// How long nothing at all may come from the pages before their cases count as stuck. Longer than any step may take.
const SILENCE_LIMIT: Duration = Duration::from_secs(25);
/// After how much silence it is worth a word to whoever looks for the reason.
const QUIET: Duration = Duration::from_secs(8);
/// How often the engine's messages are read, and what is known by then is settled.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How long messages and requests that follow the last result may take to come in.
const STRAGGLER_LIMIT: Duration = Duration::from_secs(2);
/// How many top-level pages are open at the same time.
const TABS: usize = 2;
/// How many more are used while all that is loaded has few cases, most of which wait for something.
const MORE_TABS: usize = 6;
/// How many cases are few.
const FEW_CASES: usize = 16;
/// The tab that the browser starts with. WebKitGTK lets pages in no other one open pop-ups.
const FOCUSED_TAB: usize = 0;

/// What became of a case.
#[derive(Clone, Debug)]
pub(crate) enum Attempt {
    /// It ran: what the page saw of each step, and how many milliseconds that took.
    Observed { page: Vec<PageResult>, ms: f64 },
    /// It needs what the browser does not have.
    Skipped(String),
    /// The harness failed.
    Broken(String),
}

impl Attempt {
    /// Whether the last step came to nothing.
    pub(crate) fn blocked(&self) -> bool {
        matches!(self, Self::Observed { page, .. } if page.last().is_some_and(is_blocked))
    }

    /// Whether a step handed over a request for whose end the page does not wait.
    fn sent(&self) -> bool {
        matches!(self, Self::Observed { page, .. } if page.iter().any(|result| result.result == ResultKind::Sent))
    }
}

fn is_blocked(result: &PageResult) -> bool {
    matches!(result.result, ResultKind::NetworkError | ResultKind::Exception | ResultKind::Sent | ResultKind::Timeout)
}

/// A case with all that there is to know of it.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Its position in the list.
    pub(crate) position: usize,
    pub(crate) attempt: Attempt,
    /// What the servers received of it, the harness' marks included.
    pub(crate) log: Vec<Exchange>,
    /// What the engine said about it.
    pub(crate) reason: Option<Reason>,
    /// By what its limits of time were multiplied, as the machine was slow.
    pub(crate) slowness: f64,
}

/// What an attempt works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'s> {
    pub(crate) stage: &'s Stage,
    pub(crate) reasons: &'s Reasons,
    pub(crate) expectations: &'s Expectations,
    pub(crate) manner: Manner,
    /// Whether the permissions of a page are set by a command of the driver.
    pub(crate) sets_permissions: bool,
    /// Whether the driver is asked nothing once pages that make many frames are loaded.
    pub(crate) busy_with_frames: bool,
    pub(crate) slowness: &'s Slowness,
}

/// What is left of the session after an attempt.
#[derive(Debug)]
pub(crate) enum End {
    /// It can be used again.
    Ready,
    /// All cases are settled, but the driver has a long backlog: a new one is sooner there.
    Spent,
    /// It has to be given up, and why: cases that were not settled have no result.
    Lost(String),
}

/// Runs the cases that need a browser; `settle` gets each as soon as it is settled.
pub(crate) async fn attempt(
    setting: Setting<'_>,
    session: &mut Session,
    cases: &[&Case],
    settle: &mut dyn FnMut(Settled) -> Result<(), RunError>,
) -> Result<End, RunError> {
    let mut batch = Batch::new(setting, cases);
    let driven = batch.drive(session, settle).await;
    for token in batch.on_stage() {
        setting.stage.withdraw(token);
    }
    driven
}

/// What has to be done after a report.
enum Step {
    None,
    /// The door of a window is there.
    Ready(usize),
    /// All documents of a window are done.
    Done(usize),
}

/// The windows and cases of an attempt, and what came of them so far.
struct Batch<'b> {
    setting: Setting<'b>,
    cases: &'b [&'b Case],
    /// The token of each case.
    tokens: Vec<Token>,
    /// By what the limits of time of each case are multiplied: as slow as the machine was when its page was loaded.
    slowness: Vec<f64>,
    windows: Vec<Window>,
    /// The URL of each window that was loaded. No other one is on the stage, nor are its cases: all at once they would
    /// fill hundreds of megabytes.
    urls: Vec<String>,
    /// Which window a document's token belongs to.
    window_of: HashMap<Token, usize>,
    watcher: mpsc::UnboundedSender<Exchange>,
    arrivals: mpsc::UnboundedReceiver<Exchange>,
    /// How many documents of each window are not done yet.
    open: Vec<usize>,
    /// The cases of which something was reported.
    heard: Vec<bool>,
    /// What was reported and is not settled, with the number of looks at the engine's messages before it.
    reported: HashMap<usize, (Attempt, u32)>,
    messages: Messages,
    looks: u32,
    /// Whether the driver is asked nothing once the pages are loaded, all at once.
    unasked: bool,
}

impl<'b> Batch<'b> {
    fn new(setting: Setting<'b>, cases: &'b [&'b Case]) -> Self {
        let mut windows = plan(cases);
        order(&mut windows);
        let unasked = setting.busy_with_frames && windows.iter().any(Window::makes_many_frames);
        // The lanes are shared by as many pages as are open at the same time.
        let mut setting = setting;
        if unasked {
            let lanes = setting.manner.lanes;
            setting.manner.lanes = (lanes * TABS / windows.len()).min(lanes).max(1);
        }
        let (watcher, arrivals) = mpsc::unbounded_channel();
        Self {
            setting,
            cases,
            tokens: cases.iter().map(|_| Token::random()).collect(),
            slowness: vec![1.0; cases.len()],
            urls: vec![String::new(); windows.len()],
            window_of: HashMap::new(),
            open: windows.iter().map(|window| window.nodes.len()).collect(),
            windows,
            watcher,
            arrivals,
            heard: vec![false; cases.len()],
            reported: HashMap::new(),
            messages: Messages::default(),
            looks: 0,
            unasked,
        }
    }

    /// Puts a window and its cases on the stage. Gives where it has to be navigated to: its door, where permissions
    /// have to be set first.
    fn publish(&mut self, window: usize) -> String {
        let Setting { stage, mut manner, slowness, .. } = self.setting;
        let slowness = slowness.factor();
        manner.patience *= slowness;
        let mut placed = HashMap::new();
        for position in self.windows[window].nodes.iter().flat_map(|node| &node.cases) {
            self.slowness[*position] = slowness;
            let case = self.cases[*position];
            let mut one = case.place(&self.tokens[*position]);
            add_mark(&mut one.site, &case.stated.page);
            stage.publish(one.token.clone(), std::mem::take(&mut one.site));
            placed.insert(*position, one);
        }
        let Published { url, door, tokens } =
            publish(stage, &self.windows[window], self.cases, &placed, manner, &self.watcher);
        self.window_of.extend(tokens.into_iter().map(|token| (token, window)));
        let first = if self.permissions(window).is_some() { door } else { url.clone() };
        self.urls[window] = url;
        first
    }

    /// Takes the documents of a window off the stage; its cases stay there until they are settled.
    fn withdraw(&mut self, window: usize) {
        let stage = self.setting.stage;
        self.window_of.retain(|token, of| {
            let stays = *of != window;
            if !stays {
                stage.withdraw(token);
            }
            stays
        });
    }

    /// All that may be on the stage.
    fn on_stage(&self) -> impl Iterator<Item = &Token> {
        self.window_of.keys().chain(&self.tokens)
    }

    /// Loads the windows, a few at a time, and takes in what their documents report until all are done.
    async fn drive(
        &mut self,
        session: &mut Session,
        settle: &mut dyn FnMut(Settled) -> Result<(), RunError>,
    ) -> Result<End, RunError> {
        let mut waiting: Vec<usize> = (0..self.windows.len()).collect();
        let tabs = if self.unasked { waiting.len() } else { (TABS + MORE_TABS).min(waiting.len()) };
        if self.unasked
            && let Err(error) = session.open_tabs(tabs).await
        {
            return Ok(End::Lost(error.to_string()));
        }
        let mut free: Vec<usize> = (0..tabs).rev().collect();
        let mut tab_of: HashMap<usize, usize> = HashMap::new();
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        let mut last_arrival = Instant::now();
        loop {
            while let Some((tab, window)) = self.next(&mut free, &mut waiting, &tab_of) {
                tracing::debug!("tab {tab}: {}", self.windows[window]);
                let url = self.publish(window);
                if let Err(error) = session.navigate(tab, &url).await {
                    return Ok(End::Lost(error.to_string()));
                }
                tab_of.insert(window, tab);
            }
            if self.open.iter().all(|open| *open == 0) {
                break;
            }
            tokio::select! {
                Some(exchange) = self.arrivals.recv() => {
                    last_arrival = Instant::now();
                    match self.take_in(&exchange) {
                        Err(why) => return Ok(End::Lost(why)),
                        Ok(Step::None) => {}
                        Ok(Step::Ready(window)) => {
                            if let Some(tab) = tab_of.get(&window).copied()
                                && let Err(why) = self.enter(session, tab, window).await
                            {
                                return Ok(End::Lost(why));
                            }
                            if self.open[window] == 0 {
                                free.extend(tab_of.remove(&window));
                            }
                        }
                        Ok(Step::Done(window)) => {
                            tracing::debug!("done: {}", self.windows[window]);
                            self.withdraw(window);
                            free.extend(tab_of.remove(&window));
                        }
                    }
                }
                _ = looks.tick() => {
                    if let Err(error) = self.look(session).await {
                        return Ok(End::Lost(error));
                    }
                    self.settle(false, settle).await?;
                    let patience = self.setting.manner.patience * self.setting.slowness.factor();
                    let silence_limit = SILENCE_LIMIT.mul_f64(patience);
                    if last_arrival.elapsed() > silence_limit {
                        let (seconds, which) = (silence_limit.as_secs(), self.under_way(&tab_of));
                        return Ok(End::Lost(format!("the pages were silent for {seconds} seconds, with {which} under way")));
                    }
                    if last_arrival.elapsed() > QUIET {
                        tracing::debug!("quiet, with {} under way", self.under_way(&tab_of));
                    }
                }
            }
        }
        tracing::debug!("all pages are done");
        let deadline = Instant::now() + STRAGGLER_LIMIT;
        let mut looks = interval(Duration::from_millis(50));
        loop {
            looks.tick().await;
            if let Err(error) = self.look(session).await {
                return Ok(End::Lost(error));
            }
            let owing = self.reported.iter().filter(|(position, (attempt, _))| self.owes(**position, attempt)).count();
            if owing == 0 {
                break;
            }
            if Instant::now() > deadline {
                tracing::debug!("{owing} blocks are left without a reason");
                break;
            }
        }
        self.settle(true, settle).await?;
        Ok(if self.unasked { End::Spent } else { End::Ready })
    }

    /// Takes a free tab and a window that waits and may be loaded there. The browser's first tab has the focus, so it
    /// gets those that need it, before all others.
    fn next(
        &self,
        free: &mut Vec<usize>,
        waiting: &mut Vec<usize>,
        tab_of: &HashMap<usize, usize>,
    ) -> Option<(usize, usize)> {
        let loaded = || tab_of.keys().map(|window| &self.windows[*window]);
        // How many cases a window may have to be loaded in one of the further tabs.
        let room = match loaded().any(Window::needs_focus) {
            true => 0,
            false => FEW_CASES.saturating_sub(loaded().map(Window::size).sum()),
        };
        for at in (0..free.len()).rev() {
            let fits = |window: &usize| {
                let (tab, window) = (free[at], &self.windows[*window]);
                tab == FOCUSED_TAB || (!window.needs_focus() && (self.unasked || tab < TABS || window.size() <= room))
            };
            if let Some(position) = waiting.iter().position(fits) {
                return Some((free.remove(at), waiting.remove(position)));
            }
        }
        None
    }

    /// What the user has decided for a window's page, where that can and has to be set before it is loaded.
    fn permissions(&self, window: usize) -> Option<Permissions> {
        let permissions = self.windows[window].nodes.first()?.document.permissions;
        (self.setting.sets_permissions && !permissions.is_empty()).then_some(permissions)
    }

    /// Sets the permissions of a window's origin, whose door is in the tab, and loads its page.
    async fn enter(&mut self, session: &mut Session, tab: usize, window: usize) -> Result<(), String> {
        let Some(permissions) = self.permissions(window) else { return Ok(()) };
        if let Err(error) = session.permit(tab, &permissions).await {
            self.fail_node(window, 0, &format!("its permissions cannot be set: {error}"));
            return Ok(());
        }
        session.navigate(tab, &self.urls[window]).await.map_err(|error| error.to_string())
    }

    /// Takes in a request of a document: its reports. Gives what has to be done about its window.
    fn take_in(&mut self, exchange: &Exchange) -> Result<Step, String> {
        let Some(batch) = reports(exchange) else { return Ok(Step::None) };
        let batch = batch.map_err(|error| format!("a page sent a report that cannot be read: {error}"))?;
        let token = Token::split(&exchange.target).map(|(token, _)| token);
        let Some(window) = token.and_then(|token| self.window_of.get(&token).copied()) else {
            return Ok(Step::None);
        };
        for report in batch {
            if let Report::Ran { case, .. } | Report::Missing { case, .. } | Report::Broken { case, .. } = &report
                && let Some(heard) = self.heard.get_mut(*case)
            {
                *heard = true;
            }
            match report {
                Report::Ran { case, page, ms } => {
                    let attempt = match serde_json::from_value(page) {
                        Ok(page) => Attempt::Observed { page, ms },
                        Err(error) => Attempt::Broken(format!("a result that cannot be read: {error}")),
                    };
                    self.reported.insert(case, (attempt, self.looks));
                }
                Report::Missing { case, missing } => {
                    let about = crosscheck_cases::feature(&missing).map_or(missing.as_str(), |one| one.about.as_str());
                    self.reported.insert(case, (Attempt::Skipped(format!("the browser has no {about}")), self.looks));
                }
                Report::Broken { case, broken } => {
                    self.reported.insert(case, (Attempt::Broken(broken), self.looks));
                }
                Report::Failed { child, failed } => self.fail_node(window, child, &failed),
                Report::Ready { .. } => return Ok(Step::Ready(window)),
                Report::Done { .. } => self.open[window] = self.open[window].saturating_sub(1),
            }
        }
        Ok(if self.open[window] == 0 { Step::Done(window) } else { Step::None })
    }

    /// Gives up a document that did not start, with everything in it. Its cases are skipped where they need the very
    /// feature, and errors otherwise.
    fn fail_node(&mut self, window: usize, node: usize, why: &str) {
        let Some(failed) = self.windows[window].nodes.get(node) else { return };
        let feature = match failed.document.kind {
            DocumentKind::SharedWorker => "shared-worker",
            DocumentKind::ServiceWorker => "service-worker",
            _ => "",
        };
        for position in &failed.cases {
            let attempt = if self.cases[*position].stated.needs.iter().any(|need| need == feature) {
                Attempt::Skipped(format!("the browser cannot start a {feature} here: {why}"))
            } else {
                Attempt::Broken(format!("{} did not start: {why}", failed.document))
            };
            self.reported.entry(*position).or_insert((attempt, self.looks));
        }
        self.open[window] = self.open[window].saturating_sub(1);
        let nodes = &self.windows[window].nodes;
        let children: Vec<usize> = (0..nodes.len()).filter(|child| nodes[*child].parent == Some(node)).collect();
        for child in children {
            self.fail_node(window, child, why);
        }
    }

    /// Some of the cases in the loaded windows of which nothing was reported.
    fn under_way(&self, tab_of: &HashMap<usize, usize>) -> String {
        let nodes = tab_of.keys().flat_map(|window| &self.windows[*window].nodes);
        let open: Vec<usize> = nodes.flat_map(|node| &node.cases).copied().filter(|case| !self.heard[*case]).collect();
        let named: Vec<&str> = open.iter().take(5).map(|case| self.cases[*case].id.as_str()).collect();
        format!("{} cases ({})", open.len(), named.join(", "))
    }

    /// Reads what the engine said since the last look.
    async fn look(&mut self, session: &mut Session) -> Result<(), String> {
        let messages = if self.unasked { session.overhear() } else { session.messages().await };
        self.messages.add(messages.map_err(|error| error.to_string())?);
        self.looks += 1;
        Ok(())
    }

    /// Whether the engine still has to say why it blocked a case. What is known to deviate owes nothing.
    fn owes(&self, position: usize, attempt: &Attempt) -> bool {
        let case = self.cases[position];
        attempt.blocked()
            && self.setting.reasons.owed(case)
            && self.messages.reason(self.setting.reasons, &self.tokens[position]).is_none()
            && self.setting.expectations.of(case).is_none()
    }

    /// Settles what is complete; at the end, everything. Messages may come in a moment after the result: a blocked
    /// case waits for two looks.
    async fn settle(
        &mut self,
        end: bool,
        settle: &mut dyn FnMut(Settled) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let mut complete: Vec<usize> = self
            .reported
            .iter()
            .filter(|(position, (attempt, look))| {
                let late = self.looks < *look + 2 || self.owes(**position, attempt);
                end || !(attempt.sent() || (attempt.blocked() && late))
            })
            .map(|(position, _)| *position)
            .collect();
        complete.sort_unstable();
        for position in complete {
            let Some((attempt, _)) = self.reported.remove(&position) else { continue };
            let token = &self.tokens[position];
            self.await_requests(position, &attempt).await;
            let log = self.setting.stage.withdraw(token);
            let reason = self.messages.reason(self.setting.reasons, token);
            settle(Settled { position, attempt, log, reason, slowness: self.slowness[position] })?;
        }
        Ok(())
    }

    /// Where the page does not wait for a request, it is waited for here.
    async fn await_requests(&self, position: usize, attempt: &Attempt) {
        let case = self.cases[position];
        if attempt.sent() && self.setting.expectations.of(case).is_none() {
            // Each step but the first has a mark in the log.
            let wanted = case.stated.then.wire.as_ref().map_or(0, Vec::len) + case.stated.when.len() - 1;
            let token = &self.tokens[position];
            self.setting.stage.wait_for(token, STRAGGLER_LIMIT, |log| log.len() >= wanted).await;
        }
    }
}
