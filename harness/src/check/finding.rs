//! The result of a check.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ask::Asked;
use super::claim::Claim;
use super::fault::{Severity, fault_of};
use crate::explain::diagnosis::shown;
use crate::explain::redact::Redaction;
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
    /// What a real browser did, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmation>,
}

/// What a real browser did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confirmation {
    /// The browser, with its version.
    pub browser: String,
    /// Whether it did as the finding says.
    pub confirmed: bool,
    /// What it did.
    pub said: String,
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
    /// The credentials mode.
    pub credentials: String,
    /// Whether the policy lets it in.
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
            }
            None => seen.push(Seen {
                route: claim.route,
                said: claim.said,
                origins: claim.origins,
                evidence: claim.evidence,
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
        confirmed: None,
    }
}
