use super::client::Client;
use super::fetch::UserAgent;
use super::machine::{Answer, Machine, Message, MessageKind, Wire};
use super::page::{StepResult, of_kind};
use super::trace::{Decision, Trace};
use crate::{ClientProbe, PageResult, Probe, ResultKind};

/// What came of the steps of a case.
#[derive(Clone, Debug)]
pub struct Performance {
    /// What the page saw, a result for each step.
    pub page: Vec<PageResult>,
    /// Why the last step was blocked, as class and requirement.
    pub blocked: Option<super::NetworkError>,
    /// The decisions, in order.
    pub decisions: Vec<Decision>,
}

/// Performs steps as a user agent with empty caches does. `broken` are ids of requirements that it does not keep:
/// for deliberately wrong agents, and to tell what an engine with a known fault does.
#[must_use]
pub fn perform(client: Client, steps: Vec<Probe>, broken: impl IntoIterator<Item = String>) -> Machine<Performance> {
    let trace = Trace::breaking(broken);
    Machine::new(move |wire| async move {
        let mut agent = UserAgent::new(client, trace, wire);
        let mut page = Vec::new();
        let mut blocked = None;
        for (step, probe) in steps.iter().enumerate() {
            agent.step = step;
            agent.messages = 0;
            let (result, error) = agent.step(probe).await;
            page.push(result);
            blocked = error;
        }
        Performance { page, blocked, decisions: agent.trace.decisions() }
    })
}

impl UserAgent {
    async fn step(&mut self, probe: &Probe) -> StepResult {
        self.deadline = self.memory.now.saturating_add(probe.patience());
        match probe {
            Probe::Fetch(url, options) => self.fetch_step(url, options).await,
            Probe::Xhr(url, options) => self.xhr_step(url, options).await,
            Probe::EventSource(url, options) => self.event_source_step(url, options).await,
            Probe::Beacon(url, options) => self.beacon_step(url, options).await,
            Probe::WebSocket(url, options) => self.websocket_step(url, options).await,
            Probe::Client(url, options) => (client_step(&self.wire, self.step, url, options).await, None),
            Probe::Load(url, options) => self.load_step(url, options).await,
            // What script does is not modelled; callers ask `is_modelled` first.
            Probe::Evaluate(..) => (of_kind(ResultKind::Timeout), None),
        }
    }
}

/// A plain HTTP client keeps none of these rules.
async fn client_step(wire: &Wire, step: usize, url: &str, options: &ClientProbe) -> PageResult {
    let Ok(url) = url::Url::parse(url) else { return of_kind(ResultKind::NetworkError) };
    let message = Message {
        step,
        kind: MessageKind::Request,
        method: options.method.as_deref().unwrap_or("GET").into(),
        url,
        headers: options.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
        body: options.body.clone().unwrap_or_default().into_bytes(),
    };
    match wire.exchange(message).await {
        Answer::Response(received) => PageResult {
            status: Some(received.status),
            headers: received
                .headers
                .iter()
                .map(|(name, value)| (name.decode().to_ascii_lowercase(), Some(value.decode().into_owned())))
                .collect(),
            body: Some(super::page::decode_text(&received.body)),
            ..of_kind(ResultKind::Response)
        },
        Answer::Failed(_) | Answer::Conversation(_) => of_kind(ResultKind::NetworkError),
        Answer::Never => of_kind(ResultKind::Timeout),
    }
}
