//! How fast the suite could be: the request ceiling of a browser, measured against the same servers.

use std::time::Duration;

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

/// How fast a browser asks when it does nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// What was asked, in words.
    pub about: &'static str,
    /// Requests on the wire for each second, preflights included.
    pub requests_per_second: f64,
}

#[derive(Deserialize)]
struct Flooded {
    answered: f64,
    ms: f64,
}

/// Floods the servers from one page with each kind of request for `duration`, `lanes` at a time.
///
/// # Errors
/// No browser, no port, or the browser is lost.
pub async fn ceilings(
    engine: &Engine,
    webdriver: Option<&str>,
    guard: &Guard,
    lanes: usize,
    duration: Duration,
) -> Result<Vec<Ceiling>, RunError> {
    let source = Source::find(engine, webdriver)?;
    let stage = Stage::start(StageConfig::default()).await?;
    let network = Network::of(&stage, std::iter::empty());
    let mut session = Session::start(engine, &source, guard, &network).await?;
    let mut ceilings = Vec::new();
    let kinds = [
        ("simple fetches over http", "http", json!({}), 1.0),
        ("simple fetches over https", "https", json!({}), 1.0),
        ("preflighted fetches over https", "https", json!({ "method": "PUT" }), 2.0),
    ];
    let mut outcome = Ok(());
    for (about, scheme, init, messages) in kinds {
        match flood(&mut session, &stage, scheme, init, lanes, duration).await {
            Ok(Flooded { answered, ms }) => {
                ceilings.push(Ceiling { about, requests_per_second: answered * messages * 1000.0 / ms });
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    session.stop().await;
    stage.stop().await;
    outcome.map(|()| ceilings)
}

async fn flood(
    session: &mut Session,
    stage: &Stage,
    scheme: &str,
    init: Value,
    lanes: usize,
    duration: Duration,
) -> Result<Flooded, RunError> {
    let lost = |why: &str| RunError::from(SessionError::Lost(why.to_owned()));
    let origin = |host: &str| -> Result<Origin, RunError> {
        format!("{scheme}://{host}").parse().map_err(|_| lost("an origin of ours is malformed"))
    };
    let (page, server, token) = (origin("page.test")?, origin("api.other.test")?, Token::random());
    let config = json!({
        "url": format!("{server}/{token}/flood"), "init": init, "lanes": lanes, "ms": duration.as_millis() as u64,
        "report": format!("{page}/{token}/report"),
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
    let flooded = timeout(duration + Duration::from_secs(20), report).await;
    stage.withdraw(&token);
    flooded.ok().flatten().ok_or_else(|| lost("the page did not report how far its flood came"))
}
