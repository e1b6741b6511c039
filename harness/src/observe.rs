use std::collections::BTreeMap;

use crosscheck_cases::{Outcome, PageResult, Reason, WireMessage, grade, strip_tokens};
use crosscheck_servers::{Exchange, Fields, Token, is_preflight};

use crate::page::MARK_PATH;

/// Joins what a page saw with what arrived at the servers: the observed outcome, and the log without the harness' own
/// marks.
pub(crate) fn observe(page: Vec<PageResult>, log: Vec<Exchange>, reason: Option<Reason>) -> (Outcome, Vec<Exchange>) {
    let mut step = 0;
    let mut exchanges = Vec::new();
    for exchange in log {
        let (_, path) = Token::split(&exchange.target).unzip();
        let mark = path.and_then(|path| path.strip_prefix(MARK_PATH)).and_then(|rest| rest.strip_prefix('?'));
        match mark.and_then(|number| number.parse().ok()) {
            Some(number) => step = number,
            None => exchanges.push((step, exchange)),
        }
    }
    join(page, exchanges, reason)
}

/// The same, of a log that says the step of each exchange.
pub(crate) fn join(
    mut page: Vec<PageResult>,
    log: Vec<(usize, Exchange)>,
    reason: Option<Reason>,
) -> (Outcome, Vec<Exchange>) {
    page.iter_mut().for_each(PageResult::strip_tokens);
    let wire: Vec<WireMessage> = log.iter().map(|(step, exchange)| message(exchange, *step)).collect();
    let grade = grade(&page, &wire);
    (Outcome { page, wire: Some(wire), grade, reason }, log.into_iter().map(|(_, exchange)| exchange).collect())
}

fn message(exchange: &Exchange, step: usize) -> WireMessage {
    WireMessage {
        method: exchange.method.to_string(),
        preflight: is_preflight(&exchange.method, &exchange.headers),
        url: Some(strip_tokens(&format!("{}{}", exchange.origin, exchange.target))),
        headers: headers(&exchange.headers),
        body: Some(strip_tokens(&exchange.body.decode())),
        step: Some(step),
    }
}

fn headers(fields: &Fields) -> BTreeMap<String, Option<String>> {
    fields
        .iter()
        .map(|(name, _)| {
            let name = name.decode().to_ascii_lowercase();
            let value = fields.get(&name).map(|value| strip_tokens(&value.decode()));
            (name, value)
        })
        .collect()
}

/// Headers that tell of cross-origin rules; an observed outcome keeps these and those that are expected. The whole of
/// what was sent stands in the wire log.
const TELLING: [&str; 13] = [
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "authorization",
    "content-type",
    "cookie",
    "origin",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-websocket-protocol",
    "upgrade",
];

/// Leaves out of an observed outcome what says nothing about the case, once it was compared.
pub(crate) fn trim(observed: &mut Outcome, expected: &Outcome) {
    for (position, message) in observed.wire.iter_mut().flatten().enumerate() {
        let wanted = expected.wire.as_ref().and_then(|wire| wire.get(position));
        message.headers.retain(|name, _| {
            TELLING.contains(&name.as_str()) || wanted.is_some_and(|wanted| wanted.headers.contains_key(name))
        });
        if message.body.as_deref() == Some("") {
            message.body = None;
        }
    }
}
