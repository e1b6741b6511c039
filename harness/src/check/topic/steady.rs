//! Answers that differ from one request to the next: several servers behind one name, say, of which one is another version.

use super::{Subject, value};
use crate::check::ask::Asked;
use crate::check::claim::Claim;
use crate::check::fault::Severity;
use crate::check::origins::UNKNOWN;

/// How often the same is asked.
const TIMES: usize = 6;

/// Asks the same several times: an allowed page, and one that nobody names.
pub(crate) async fn check(subject: &Subject<'_>) -> Vec<Claim> {
    let pages = subject.samples().into_iter().take(1).chain([UNKNOWN.to_owned()]);
    let mut claims = Vec::new();
    for page in pages {
        let question = subject.authenticated(&page, subject.credentials());
        let mut answers: Vec<Asked> = Vec::new();
        for _ in 0..TIMES {
            answers.push(subject.ask(&question).await);
        }
        let answered: Vec<&Asked> = answers.iter().filter(|asked| asked.trouble.is_none()).collect();
        let readable: Vec<&&Asked> = answered.iter().filter(|asked| asked.is_readable()).collect();
        let kinds: Vec<String> = answered.iter().filter_map(|asked| kind(asked)).collect();
        if kinds.iter().all(|one| *one == kinds[0]) {
            continue;
        }
        let mut different = kinds.clone();
        different.sort();
        different.dedup();
        let said =
            format!("The same request of a page of {page} got {} answers: {}.", different.len(), different.join("; "));
        let is_mixed = !readable.is_empty() && readable.len() < answered.len();
        let (severity, shown) = match (is_mixed, subject.is_allowed(&page)) {
            (true, false) => (Severity::Hole, readable[0]),
            (true, true) => {
                (Severity::Break, answered.iter().find(|asked| !asked.is_readable()).unwrap_or(&answered[0]))
            }
            (false, _) => (Severity::Hygiene, &answered[0]),
        };
        claims.push(
            Claim::new("unsteady", severity, subject.path(), said, shown)
                .about([page])
                .with(answered.iter().skip(1).copied()),
        );
    }
    claims
}

/// What of an answer decides who reads it.
fn kind(asked: &Asked) -> Option<String> {
    let answer = asked.last()?;
    let origin = value(answer, "access-control-allow-origin")
        .map_or("no Access-Control-Allow-Origin".to_owned(), |origin| format!("Access-Control-Allow-Origin: {origin}"));
    let credentials = value(answer, "access-control-allow-credentials")
        .map(|value| format!(", Access-Control-Allow-Credentials: {value}"));
    Some(format!("status {}, {origin}{}", answer.status, credentials.unwrap_or_default()))
}
