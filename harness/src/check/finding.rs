//! The result of a check.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ask::Asked;
use super::claim::Claim;
use super::fault::{Severity, fault_of};
use super::replay::Replay;
use crate::explain::diagnosis::shown;
use crate::explain::redact::{HIDDEN, Redaction};
use crate::explain::{Shown, Step};

/// What a check of a server found out. As JSON, members may be added; a breaking change raises `format`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckRecord {
    /// The version of this shape: 1.
    pub format: u32,
    /// The server.
    pub target: String,
    /// The policy file, as it was named.
    pub policy: String,
    /// How many requests were sent.
    pub requests: u32,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// How many requests got no answer, however often they were sent.
    #[serde(default)]
    pub unanswered: u32,
    /// How many got one only when they were sent again.
    #[serde(default)]
    pub answered_late: u32,
    /// Why too little was answered for a judgement; then what is missing below says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_judged: Option<String>,
    /// What is wrong, the worst first; one for each fault.
    pub findings: Vec<Finding>,
    /// What is wrong and accepted by the policy.
    pub ignored: Vec<Ignored>,
    /// For each route, origin and way of asking, whether a page reads the answer.
    pub access: Vec<Access>,
}

/// A fault of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// The id of the fault; it never changes.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub title: String,
    /// What was seen, on each route.
    pub seen: Vec<Seen>,
    /// What to change.
    pub advice: String,
    /// How many requests it rests on.
    pub requests: usize,
    /// What real browsers did, where some were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub browsers: Vec<Confirmation>,
}

/// What a real browser did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The browser, with its version.
    pub browser: String,
    /// Whether it did as the finding says.
    pub outcome: Replayed,
    /// What it did.
    pub said: String,
}

/// What came of asking a server again, from pages in a real browser. The later, the more it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replayed {
    /// No page can do it, or not without changing something.
    NotReplayed,
    /// The browser did as the finding says.
    Confirmed,
    /// It did not, as it is known not to keep the rule that decides: today it keeps nobody out here.
    KnownDeviation,
    /// It did not, and the server answers otherwise by now.
    Refuted,
    /// It did not, though the server, asked again, answers as before: the executable standard and the browser disagree,
    /// which is a fault of Crosscheck or of the browser, or the server treats browsers otherwise than the check.
    Disagreement,
}

impl Replayed {
    /// All, as they are counted.
    pub const ALL: [Self; 5] =
        [Self::Confirmed, Self::KnownDeviation, Self::Refuted, Self::Disagreement, Self::NotReplayed];

    /// As it is written for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotReplayed => "Not replayed",
            Self::Confirmed => "Confirmed",
            Self::KnownDeviation => "Not confirmed",
            Self::Refuted => "REFUTED",
            Self::Disagreement => "DISAGREEMENT",
        }
    }
}

impl CheckRecord {
    /// Whether a browser disagrees with the executable standard.
    #[must_use]
    pub fn has_disagreement(&self) -> bool {
        let browsers = self.findings.iter().flat_map(|finding| &finding.browsers);
        browsers.into_iter().any(|browser| browser.outcome == Replayed::Disagreement)
    }
}

/// Shorter values stand in too many texts by chance.
const SHORTEST_SECRET: usize = 4;

impl CheckRecord {
    /// Hides values wherever they stand: in whatever header, and also where the server sends them back.
    pub(crate) fn hide(&mut self, secrets: &[String]) {
        let mut forms: Vec<String> = Vec::new();
        for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
            forms.push(secret.clone());
            forms.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
            // A cookie is sent back without its name, say.
            forms.extend(secret.split("; ").filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned()));
        }
        forms.retain(|form| form.len() >= SHORTEST_SECRET);
        // The longest first, as one may stand in another.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        let Ok(mut value) = serde_json::to_value(&*self) else { return };
        hide(&mut value, &forms);
        let Ok(mut hidden) = serde_json::from_value::<Self>(value) else { return };
        // What a browser is to be asked stands in no file, and is needed as it was.
        for (finding, old) in hidden.findings.iter_mut().zip(&mut self.findings) {
            for (seen, old) in finding.seen.iter_mut().zip(&mut old.seen) {
                seen.replay = old.replay.take();
            }
        }
        *self = hidden;
    }
}

fn hide(value: &mut serde_json::Value, forms: &[String]) {
    match value {
        serde_json::Value::String(text) => {
            for form in forms.iter().filter(|form| text.contains(form.as_str())).collect::<Vec<_>>() {
                *text = text.replace(form.as_str(), HIDDEN);
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| hide(item, forms)),
        serde_json::Value::Object(members) => members.values_mut().for_each(|member| hide(member, forms)),
        _ => {}
    }
}

/// What was seen on a route.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The path.
    pub route: String,
    /// What, in a sentence.
    pub said: String,
    /// The origins that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// One request that shows it.
    pub evidence: Evidence,
    /// How a page in a browser does the same.
    #[serde(skip)]
    pub(crate) replay: Option<Replay>,
}

/// A request that shows a fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// Whose page asks; nothing for what no page sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// The credentials mode of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// What went out and came back.
    pub exchanges: Vec<Shown>,
    /// The rules that a browser goes by.
    pub steps: Vec<Step>,
    /// What a browser concludes.
    pub conclusion: String,
}

/// A finding that the policy accepts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ignored {
    /// The finding.
    pub finding: Finding,
    /// Why it is accepted.
    pub reason: String,
}

/// Whether pages of an origin read a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Access {
    /// The path.
    pub route: String,
    /// The origin.
    pub origin: String,
    /// The method.
    pub method: String,
    /// The names of the headers that script sets, in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// The credentials mode.
    pub credentials: String,
    /// Whether the policy lets it do so.
    pub allowed: bool,
    /// Whether the server does.
    pub let_in: bool,
}

impl Evidence {
    pub(crate) fn of(asked: &Asked) -> Self {
        match &asked.diagnosis {
            Some(diagnosis) => Self {
                page: Some(diagnosis.page.clone()),
                credentials: Some(diagnosis.credentials.clone()),
                exchanges: diagnosis.exchanges.clone(),
                steps: diagnosis.steps.clone(),
                conclusion: asked.trouble.clone().unwrap_or_else(|| diagnosis.conclusion.clone()),
            },
            None => Self {
                page: None,
                credentials: None,
                exchanges: asked.exchanged.iter().map(|one| shown(one, Redaction::Secrets)).collect(),
                steps: Vec::new(),
                conclusion: asked.trouble.clone().unwrap_or_default(),
            },
        }
    }
}

/// One finding for each fault, the worst first.
pub(crate) fn group(claims: Vec<Claim>) -> Vec<Finding> {
    let mut by_fault: BTreeMap<&'static str, Vec<Claim>> = BTreeMap::new();
    for claim in claims {
        by_fault.entry(claim.fault).or_default().push(claim);
    }
    let mut findings: Vec<Finding> = by_fault.into_iter().map(|(id, claims)| merge(id, claims)).collect();
    findings.sort_by(|one, other| (one.severity, &one.id).cmp(&(other.severity, &other.id)));
    findings
}

fn merge(id: &str, mut claims: Vec<Claim>) -> Finding {
    claims.sort_by(|one, other| (one.severity, &one.route).cmp(&(other.severity, &other.route)));
    let fault = fault_of(id);
    let severity = claims.first().map_or(Severity::Note, |claim| claim.severity);
    let requests = claims.iter().map(|claim| claim.requests).sum();
    let mut seen: Vec<Seen> = Vec::new();
    for claim in claims {
        match seen.iter_mut().find(|seen| seen.route == claim.route) {
            Some(known) => {
                let new = claim.origins.into_iter().filter(|origin| !known.origins.contains(origin));
                let new: Vec<String> = new.collect();
                known.origins.extend(new);
                // Rather one that changes nothing, as only such are replayed without being asked to.
                if let Some(replay) = claim.replay.filter(Replay::is_harmless)
                    && !known.replay.as_ref().is_some_and(Replay::is_harmless)
                {
                    known.replay = Some(replay);
                }
            }
            None => seen.push(Seen {
                route: claim.route,
                said: claim.said,
                origins: claim.origins,
                evidence: claim.evidence,
                replay: claim.replay,
            }),
        }
    }
    Finding {
        id: id.to_owned(),
        severity,
        title: fault.map(|fault| fault.title.to_owned()).unwrap_or_default(),
        seen,
        advice: fault.map(|fault| fault.advice.to_owned()).unwrap_or_default(),
        requests,
        browsers: Vec::new(),
    }
}
