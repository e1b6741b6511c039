//! A first policy, from a few harmless requests.

use std::time::Duration;

use crosscheck_cases::standard::{Answer, Message, Received};
use url::Url;

use super::policy::{Allow, Authenticate, Limits, Policy, Role, Route};
use super::topic::{names, value};
use crate::transport::{Transport, Trouble, Trust};

/// Where the schema is published.
const SCHEMA: &str = "https://raw.githubusercontent.com/crosscheck/crosscheck/main/harness/schema/policy.json";

/// Writes a first policy for a URL. `origins` are those that shall be let in; what the server answers to the first of
/// them gives the rest. Everything in it wants to be read by a person: it says what the server does, not what it should.
///
/// # Errors
/// The server does not answer.
pub async fn init(url: &Url, origins: &[String], trust: Trust) -> Result<Policy, Trouble> {
    let transport = Transport::to_network(trust).map_err(|error| Trouble::Unresolved {
        host: url.host_str().unwrap_or_default().to_owned(),
        why: error.to_string(),
    })?;
    let page = origins.first().map_or("https://app.example", String::as_str);
    let ask = async |method: &str, url: &Url, headers: &[(&str, &str)]| -> Result<Received, Trouble> {
        let message = Message::plain(method, url, headers);
        match transport.exchanges().exchange(&message, Duration::from_secs(10)).await? {
            Answer::Response(received) => Ok(received),
            _ => Ok(Received::default()),
        }
    };
    let answer = ask("GET", url, &[("Origin", page)]).await?;
    let preflight = [
        ("Origin", page),
        ("Access-Control-Request-Method", "PUT"),
        ("Access-Control-Request-Headers", "authorization,content-type"),
    ];
    let preflight = ask("OPTIONS", url, &preflight).await.unwrap_or_default();
    let mut missing = url.clone();
    missing.set_path("/crosscheck-no-such-page");
    missing.set_query(None);
    let missing_status = ask("GET", &missing, &[]).await.map(|answer| answer.status).unwrap_or_default();
    let sent = value(&answer, "access-control-allow-origin");
    let allowed = match sent.as_deref() {
        Some("*") if origins.is_empty() => vec!["*".to_owned()],
        _ => vec![page.to_owned()],
    };
    let mut methods: Vec<String> = value(&preflight, "access-control-allow-methods")
        .map(|list| {
            list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty() && name != "*").collect()
        })
        .unwrap_or_default();
    for method in ["GET", "HEAD"] {
        if !methods.iter().any(|one| one == method) {
            methods.push(method.to_owned());
        }
    }
    let target = url.origin().ascii_serialization();
    let path = format!("{}{}", url.path(), url.query().map(|query| format!("?{query}")).unwrap_or_default());
    let role = match answer.status {
        300..=399 => Role::Redirect,
        400.. => Role::Error,
        _ => Role::Data,
    };
    let route =
        |path: String, role| Route { path, role, allow: None, private: None, jsonp: None, embed: None, frame: None };
    let mut routes = vec![route(path, role)];
    if missing_status >= 400 && role != Role::Error {
        routes.push(route(missing.path().to_owned(), Role::Error));
    }
    Ok(Policy {
        schema: Some(SCHEMA.to_owned()),
        target,
        start: None,
        authenticate: Authenticate::default(),
        allow: Allow {
            credentials: allowed != ["*"]
                && value(&answer, "access-control-allow-credentials").as_deref() == Some("true"),
            origins: allowed,
            methods,
            request_headers: names(&preflight, "access-control-allow-headers")
                .into_iter()
                .filter(|name| name != "*")
                .collect(),
            expose: names(&answer, "access-control-expose-headers").into_iter().filter(|name| name != "*").collect(),
            max_age: value(&preflight, "access-control-max-age")
                .and_then(|age| age.parse().ok())
                .filter(|age| *age <= 86_400),
        },
        routes,
        limits: Limits::default(),
        ignore: Vec::new(),
    })
}
