//! What changed between two checks: who is let in now, and who no longer is.

use serde::Serialize;

use super::finding::{Access, CheckRecord};

/// What changed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Change {
    /// Who is let in now, and was not before.
    pub let_in: Vec<Access>,
    /// Who was let in before, and is not now.
    pub kept_out: Vec<Access>,
    /// Findings that were not there before.
    pub new: Vec<String>,
    /// Findings that are gone.
    pub gone: Vec<String>,
}

impl Change {
    /// Whether something is worse: a new finding, somebody let in against the policy, or kept out against it.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        !self.new.is_empty()
            || self.let_in.iter().any(|access| !access.allowed)
            || self.kept_out.iter().any(|access| access.allowed)
    }
}

/// Compares two checks by route, origin, method, headers and credentials.
#[must_use]
pub fn compare(before: &CheckRecord, after: &CheckRecord) -> Change {
    let key = |access: &Access| {
        let Access { route, origin, method, headers, credentials, .. } = access;
        (route.clone(), origin.clone(), method.clone(), headers.clone(), credentials.clone())
    };
    // The same is asked more than once: let in is let in once.
    let was = |record: &CheckRecord, wanted: &Access| {
        let same: Vec<&Access> = record.access.iter().filter(|access| key(access) == key(wanted)).collect();
        if same.is_empty() { None } else { Some(same.iter().any(|access| access.let_in)) }
    };
    let mut change = Change::default();
    for access in &after.access {
        let now = was(after, access) == Some(true);
        match was(before, access) {
            Some(false) if now && access.let_in => change.let_in.push(access.clone()),
            Some(true) if !now => change.kept_out.push(access.clone()),
            _ => {}
        }
    }
    let ids = |record: &CheckRecord| -> Vec<String> {
        record.findings.iter().map(|finding| format!("{} {}", finding.severity.name(), finding.id)).collect()
    };
    let (old, new) = (ids(before), ids(after));
    change.new = new.iter().filter(|id| !old.contains(id)).cloned().collect();
    change.gone = old.into_iter().filter(|id| !new.contains(id)).collect();
    change
}
