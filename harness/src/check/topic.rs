//! What is asked of each route, by topic. A topic sends its probes and says what they show.

pub(crate) mod allowed;
pub(crate) mod caches;
pub(crate) mod doors;
pub(crate) mod hostile;
pub(crate) mod preflights;
pub(crate) mod steady;

use std::sync::Mutex;

use crosscheck_cases::standard::Received;
use url::Url;

use super::ask::{Asked, Asker};
use super::finding::Access;
use super::origins::{Allowed, Hostile, hostile};
use super::policy::{Allow, Policy, Route};
use crate::explain::question::Question;

/// A route, with all that is needed to ask about it.
pub(crate) struct Subject<'s> {
    pub(crate) policy: &'s Policy,
    pub(crate) route: &'s Route,
    pub(crate) allow: &'s Allow,
    pub(crate) allowed: Vec<Allowed>,
    /// Origins that other routes let in and this one does not.
    pub(crate) elsewhere: Vec<String>,
    pub(crate) url: Url,
    /// Headers that authenticate the allowed pages' requests.
    pub(crate) secrets: &'s [(String, String)],
    pub(crate) asker: &'s Asker,
    pub(crate) access: &'s Mutex<Vec<Access>>,
}

impl Subject<'_> {
    /// A plain GET of a page.
    pub(crate) fn question(&self, page: &str, credentials: &str) -> Question {
        Question {
            page: page.to_owned(),
            within: None,
            url: self.url.clone(),
            method: "GET".to_owned(),
            mode: "cors".to_owned(),
            credentials: credentials.to_owned(),
            headers: Vec::new(),
            require_corp: false,
            stands_in: true,
        }
    }

    /// The same, as an allowed page does it: with what authenticates it.
    pub(crate) fn authenticated(&self, page: &str, credentials: &str) -> Question {
        Question { headers: self.secrets.to_vec(), ..self.question(page, credentials) }
    }

    /// How allowed pages use cookies.
    pub(crate) fn credentials(&self) -> &'static str {
        if self.allow.credentials { "include" } else { "omit" }
    }

    /// Origins that are let in, at least one of each entry.
    pub(crate) fn samples(&self) -> Vec<String> {
        self.allowed.iter().flat_map(Allowed::samples).collect()
    }

    pub(crate) fn is_allowed(&self, origin: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed.matches(origin))
    }

    /// Origins that this route keeps out, those that resemble its own and those that other routes let in.
    pub(crate) fn hostile(&self) -> Vec<Hostile> {
        hostile(&self.allowed, &self.elsewhere, Url::parse(&self.policy.target).ok().as_ref())
    }

    pub(crate) fn path(&self) -> &str {
        &self.route.path
    }

    /// Asks, and notes down whether the page was let in.
    pub(crate) async fn ask(&self, question: &Question) -> Asked {
        let asked = self.asker.ask(question).await;
        if asked.trouble.is_none() && question.mode == "cors" {
            let access = Access {
                route: self.path().to_owned(),
                origin: question.page.clone(),
                method: question.method.clone(),
                headers: unsafe_headers(question, self.secrets),
                credentials: question.credentials.clone(),
                allowed: self.is_allowed(&question.page) && self.allows(question),
                let_in: asked.is_readable() || (asked.gets_through() && asked.request().is_none()),
            };
            self.access.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(access);
        }
        asked
    }

    /// Whether the policy allows a page that it lets in to ask so: by method, headers and cookies.
    fn allows(&self, question: &Question) -> bool {
        let method = question.method.as_str();
        let has_method =
            ["GET", "HEAD", "POST"].contains(&method) || self.allow.methods.iter().any(|one| one == method);
        let has_header =
            |name: &String| self.allow.request_headers.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(name));
        has_method
            && unsafe_headers(question, self.secrets).iter().all(has_header)
            && (question.credentials != "include" || self.allow.credentials)
    }

    /// A request with these headers, those that authenticate, and cookies where allowed pages use them.
    pub(crate) async fn send(&self, method: &str, url: &Url, headers: &[(&str, &str)]) -> Asked {
        let mut all = headers.to_vec();
        all.push(("Accept", "*/*"));
        if method != "OPTIONS" {
            all.extend(self.secrets.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        self.asker.send(method, url, &all).await
    }
}

/// The names of the headers that a page sets, in lower case and in order, without those that authenticate it.
fn unsafe_headers(question: &Question, secrets: &[(String, String)]) -> Vec<String> {
    let is_own = |name: &&String| !secrets.iter().any(|(secret, _)| secret.eq_ignore_ascii_case(name));
    let names = question.headers.iter().map(|(name, _)| name).filter(is_own);
    let mut names: Vec<String> = names.map(|name| name.to_ascii_lowercase()).collect();
    names.sort();
    names
}

/// The value of a response header, all lines joined.
pub(crate) fn value(received: &Received, name: &str) -> Option<String> {
    received.headers.get(name).map(|value| value.decode().into_owned())
}

/// The names in a list, in lower case.
pub(crate) fn names(received: &Received, header: &str) -> Vec<String> {
    value(received, header)
        .map(|list| {
            list.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
        })
        .unwrap_or_default()
}
