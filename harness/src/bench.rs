//! How fast the suite could be: the request ceiling of a browser, measured against the same servers.

use std::time::Duration;

use crosscheck_cases::{Probe, ResultKind};
use crosscheck_reports::CaseRecord;
use crosscheck_servers::{Behaviour, Body, Exchange, Fields, Origin, Route, Site, Stage, StageConfig, Token};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::guard::Guard;
use crate::network::Network;
use crate::page::html;
use crate::session::{Session, Source};
use crate::{Engine, RunError, SessionError};

const FLOOD: &str = include_str!("../page/flood.js");

/// How fast a browser asks when it does nothing else, in requests on the wire per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceilings {
    /// Over `http`.
    pub http: Rates,
    /// Over `https`.
    pub https: Rates,
}

/// Rates of one scheme, in requests on the wire per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Of fetches whose answer the page reads.
    pub simple: f64,
    /// Of fetches whose answer the browser keeps from the page. An engine may give up a connection for each of them.
    pub refused: f64,
    /// Of preflights and the fetches after them, both counted.
    pub preflighted: f64,
}

#[derive(Deserialize)]
struct Flooded {
    answered: f64,
    unexpected: u64,
    ms: f64,
}

/// Floods the servers from one page with each kind of request for `duration`, `lanes` at a time.
///
/// # Errors
/// No browser, no port, or the browser is lost, or lets a page read what it must not, or the other way round.
pub async fn ceilings(
    engine: &Engine,
    webdriver: Option<&str>,
    guard: &Guard,
    lanes: usize,
    duration: Duration,
) -> Result<Ceilings, RunError> {
    let source = Source::find(engine, webdriver)?;
    let stage = Stage::start(StageConfig::default()).await?;
    let network = Network::of(&stage, std::iter::empty());
    let mut session = Session::start(engine, &source, guard, &network).await?;
    let mut flooding = Flooding { session: &mut session, stage: &stage, lanes, duration };
    let ceilings = flooding.both().await;
    session.stop().await;
    stage.stop().await;
    ceilings
}

impl Rates {
    /// How long one request takes.
    fn seconds(&self, is_refused: bool, is_preflight: bool) -> f64 {
        match (is_refused, is_preflight) {
            (true, _) => 1.0 / self.refused,
            (false, true) => (2.0 / self.preflighted - 1.0 / self.simple).max(0.0),
            (false, false) => 1.0 / self.simple,
        }
    }
}

impl Ceilings {
    /// What the browser would reach if it asked nothing but the fetches of a run, each at the rate of its kind; nothing where
    /// the run has none.
    #[must_use]
    pub fn of_mix(&self, results: &[CaseRecord]) -> Option<f64> {
        let (mut requests, mut seconds) = (0.0, 0.0);
        for result in results {
            let Some(observed) = result.observed.unpack() else { continue };
            for (step, (probe, seen)) in result.case.when.iter().zip(&observed.page).enumerate() {
                if !matches!(probe, Probe::Fetch(..) | Probe::Xhr(..)) {
                    continue;
                }
                let sent = observed.wire.iter().flatten().filter(|message| message.step == Some(step));
                let mut sent = sent.peekable();
                while let Some(message) = sent.next() {
                    let is_secure = message.url.as_deref().is_some_and(|url| url.starts_with("https:"));
                    let rates = if is_secure { &self.https } else { &self.http };
                    let is_refused = sent.peek().is_none() && seen.result == ResultKind::NetworkError;
                    requests += 1.0;
                    seconds += rates.seconds(is_refused, message.preflight);
                }
            }
        }
        (seconds > 0.0).then(|| requests / seconds)
    }

    /// All rates with what they are, for a person.
    #[must_use]
    pub fn told(&self) -> [(&'static str, f64); 6] {
        [
            ("simple fetches over http", self.http.simple),
            ("simple fetches over https", self.https.simple),
            ("refused fetches over http", self.http.refused),
            ("refused fetches over https", self.https.refused),
            ("preflighted fetches over http", self.http.preflighted),
            ("preflighted fetches over https", self.https.preflighted),
        ]
    }
}

struct Flooding<'f> {
    session: &'f mut Session,
    stage: &'f Stage,
    lanes: usize,
    duration: Duration,
}

impl Flooding<'_> {
    async fn both(&mut self) -> Result<Ceilings, RunError> {
        Ok(Ceilings { http: self.all_kinds("http").await?, https: self.all_kinds("https").await? })
    }

    async fn all_kinds(&mut self, scheme: &str) -> Result<Rates, RunError> {
        let simple = self.flood(scheme, json!({}), false).await?;
        // Not even `*` allows credentials. (`fetch.cors-check.3c`)
        let refused = self.flood(scheme, json!({ "credentials": "include" }), true).await?;
        let preflighted = 2.0 * self.flood(scheme, json!({ "method": "PUT" }), false).await?;
        Ok(Rates { simple, refused, preflighted })
    }

    /// Floods with one kind of fetch, and gives how many came to an end in a second.
    async fn flood(&mut self, scheme: &str, init: Value, refused: bool) -> Result<f64, RunError> {
        let Self { session, stage, lanes, duration } = self;
        let lost = |why: &str| RunError::from(SessionError::Lost(why.to_owned()));
        let origin = |host: &str| -> Result<Origin, RunError> {
            format!("{scheme}://{host}").parse().map_err(|_| lost("an origin of ours is malformed"))
        };
        let (page, server, token) = (origin("page.test")?, origin("api.other.test")?, Token::random());
        let config = json!({
            "url": format!("{server}/{token}/flood"), "init": init, "refused": refused, "lanes": lanes,
            "ms": duration.as_millis() as u64, "report": format!("{page}/{token}/report"),
        });
        let mut site = Site::new();
        let mut route = |origin: &Origin, path: &str, behaviour: Behaviour| {
            site.insert(Route { origin: origin.clone(), path: path.to_owned() }, behaviour);
        };
        let script = format!("const CROSSCHECK = {config};\n{FLOOD}");
        route(&page, "/", Behaviour { body: Body::Html(html(r#"src="flood.js">"#)), ..Behaviour::default() });
        route(&page, "/flood.js", Behaviour { body: Body::Script(script), ..Behaviour::default() });
        route(&page, "/report", Behaviour { body: Body::Empty, ..Behaviour::default() });
        let mut headers = Fields::new();
        headers.push("Access-Control-Allow-Origin", "*");
        headers.push("Access-Control-Allow-Methods", "*");
        // The flood must reach the wire: each URL is asked once by each lane, and nothing may be kept.
        headers.push("Access-Control-Max-Age", "0");
        headers.push("Cache-Control", "no-store");
        route(&server, "/flood", Behaviour { headers, ..Behaviour::default() });
        let (watcher, mut arrivals) = mpsc::unbounded_channel::<Exchange>();
        stage.publish_watched(token.clone(), site, watcher);
        session.navigate(0, &format!("{page}/{token}/")).await?;
        let report = async {
            while let Some(exchange) = arrivals.recv().await {
                if exchange.target.ends_with("/report") {
                    return serde_json::from_slice(exchange.body.as_bytes()).ok();
                }
            }
            None
        };
        let flooded: Option<Flooded> = timeout(*duration + Duration::from_secs(20), report).await.ok().flatten();
        stage.withdraw(&token);
        match flooded {
            None => Err(lost("the page did not report how far its flood came")),
            Some(Flooded { unexpected, .. }) if unexpected > 0 && refused => {
                Err(lost("the page could read answers that CORS forbids it to read, so their rate says nothing"))
            }
            Some(Flooded { unexpected, .. }) if unexpected > 0 => {
                Err(lost("fetches failed that CORS allows, so their rate says nothing"))
            }
            Some(Flooded { answered, ms, .. }) => Ok(answered * 1000.0 / ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of one fetch: the messages that arrived, and what the page saw.
    fn fetched(wire: &Value, result: &str) -> CaseRecord {
        let record = json!({
            "id": "a/b", "area": "a", "requires": [], "verdict": "pass", "attempts": 1, "duration_ms": 1.0, "source": "",
            "case": { "id": "b", "title": "", "requires": [], "why": "", "page": "https://page.test", "given": {},
                "when": [{ "fetch": "https://api.other.test/" }], "then": { "page": [] } },
            "observed": { "page": [{ "result": result }], "wire": wire, "grade": "readable" },
        });
        serde_json::from_value(record).expect("a record")
    }

    #[test]
    fn each_message_of_a_mix_takes_as_long_as_in_the_flood_of_its_kind() {
        let ceilings = Ceilings {
            http: Rates { simple: 10.0, refused: 5.0, preflighted: 16.0 },
            https: Rates { simple: 100.0, refused: 50.0, preflighted: 160.0 },
        };
        let sent = |scheme: &str, preflight: bool| {
            let url = format!("{scheme}://api.other.test/");
            json!({ "method": "GET", "preflight": preflight, "url": url, "step": 0 })
        };
        let of = |wire: Value, result: &str| ceilings.of_mix(&[fetched(&wire, result)]).map(|rate| rate.round());
        assert_eq!(of(json!([sent("http", false)]), "response"), Some(10.0));
        assert_eq!(of(json!([sent("http", false)]), "network-error"), Some(5.0));
        assert_eq!(of(json!([sent("https", false), sent("https", false)]), "response"), Some(100.0));
        assert_eq!(of(json!([sent("http", true), sent("http", false)]), "response"), Some(16.0));
        assert_eq!(of(json!([sent("https", true)]), "network-error"), Some(50.0));
        // A redirect that was followed was not refused; what came after it was: 2 / (1/10 + 1/5).
        assert_eq!(of(json!([sent("http", false), sent("http", false)]), "network-error"), Some(7.0));
        assert_eq!(of(json!([]), "network-error"), None);
    }
}
