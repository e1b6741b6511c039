//! What the requests in an archive came to, and why.
//!
//! Chromium and Firefox record the same things differently. Both give a preflight an entry of its own, which comes
//! after that of its request; a request that a preflight held back has status 0 and no response headers. A response
//! that CORS hides has status and headers in both; Chromium adds `_error: net::ERR_FAILED`, Firefox adds nothing.

use std::collections::HashSet;
use std::time::Duration;

use crosscheck_cases::standard::{AddressSpace, Answer, Failure, Message, MessageKind, Received};
use crosscheck_servers::Fields;
use serde_json::Value;
use url::Url;

use super::diagnosis::{Diagnosis, Recorded, Verdict};
use super::drive::Drive;
use super::har::{Entry, Har, Header};
use super::question::{Question, literal_space};
use super::redact::Redaction;
use super::{Explanation, Source};

/// Headers that browsers set by themselves, or script: whether it was script is told by the preflight alone.
const OF_THE_BROWSER: [&str; 14] = [
    "accept",
    "accept-language",
    "authorization",
    "cache-control",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "pragma",
    "priority",
    "range",
    "save-data",
    "upgrade-insecure-requests",
    "user-agent",
    "x-client-data",
];

pub(super) fn explain(har: &Har) -> Explanation {
    let mut archive = Archive { har, used: HashSet::new() };
    let mut diagnoses = Vec::new();
    let (mut cross_origin, mut unknown) = (0, 0);
    for (position, entry) in har.log.entries.iter().enumerate() {
        if archive.used.contains(&position) || entry.is_preflight() {
            continue;
        }
        match archive.question(position) {
            Asked::Nothing => {}
            Asked::ByNobody => unknown += 1,
            Asked::By(question) => {
                cross_origin += 1;
                diagnoses.extend(archive.diagnose(position, *question));
            }
        }
    }
    let entries = har.log.entries.len();
    let plural = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let mut notes = vec![match diagnoses.len() {
        0 => format!(
            "{}: {}, and none of them failed or was blocked.",
            plural(entries, "entry", "entries"),
            plural(cross_origin, "cross-origin request", "cross-origin requests")
        ),
        count => format!(
            "{}: {}, of which {count} failed or {} kept from the page.",
            plural(entries, "entry", "entries"),
            plural(cross_origin, "cross-origin request", "cross-origin requests"),
            if count == 1 { "was" } else { "were" }
        ),
    }];
    if unknown > 0 {
        notes.push(format!(
            "Of {} it is not recorded which page made them: no Origin, no Referer, no page.",
            plural(unknown, "request", "requests")
        ));
    }
    Explanation { format: Explanation::FORMAT, source: Source::Har, diagnoses, notes }
}

struct Archive<'h> {
    har: &'h Har,
    /// Entries that belong to others: preflights, and where redirects lead.
    used: HashSet<usize>,
}

/// What an entry is about.
enum Asked {
    /// No request of a page to another origin.
    Nothing,
    /// A request whose page is not known.
    ByNobody,
    By(Box<Question>),
}

impl Archive<'_> {
    fn question(&self, position: usize) -> Asked {
        let entry = &self.har.log.entries[position];
        let Some(url) = Url::parse(&entry.request.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
        else {
            return Asked::Nothing;
        };
        let kind = entry.resource_type.as_deref().unwrap_or_default();
        let mode = entry.header("sec-fetch-mode").unwrap_or_default();
        if mode == "navigate" || mode == "websocket" || matches!(kind, "document" | "websocket") {
            return Asked::Nothing;
        }
        let Some(page) = self.page(entry) else { return Asked::ByNobody };
        let preflight = self.preflight(position, &entry.request.method);
        let mode = match mode {
            "cors" | "no-cors" | "same-origin" => mode,
            _ if matches!(kind, "fetch" | "xhr") || entry.header("origin").is_some() || preflight.is_some() => "cors",
            _ => "no-cors",
        };
        // With cookies, or with this header (which only Chromium sends), the request has credentials for certain.
        let has_credentials = entry.header("cookie").is_some()
            || entry.header("sec-fetch-storage-access").is_some()
            || !entry.request.cookies.is_empty();
        let credentials = if mode == "no-cors" || has_credentials { "include" } else { "same-origin" };
        let listed =
            preflight.and_then(|position| self.har.log.entries[position].header("access-control-request-headers"));
        let listed: Vec<String> =
            listed.unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        let headers = entry.request.headers.iter().filter(|header| {
            let name = header.name.to_ascii_lowercase();
            let of_the_browser = OF_THE_BROWSER.contains(&name.as_str())
                // What a preflight held back says what script had set.
                && !(name == "authorization" && mode == "cors" && !has_credentials);
            listed.contains(&name) || !(name.starts_with(':') || of_the_browser)
        });
        let question = Question {
            page,
            within: None,
            url,
            method: entry.request.method.clone(),
            mode: mode.to_owned(),
            credentials: credentials.to_owned(),
            headers: headers.map(|header| (header.name.clone(), header.value.clone())).collect(),
            require_corp: false,
            stands_in: false,
        };
        let leaves = entry.status().is_some_and(|status| (300..400).contains(&status));
        if question.is_same_origin() && !leaves { Asked::Nothing } else { Asked::By(Box::new(question)) }
    }

    /// The origin of the page that made a request.
    fn page(&self, entry: &Entry) -> Option<String> {
        let origin =
            |url: &str| Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let by_header = entry.header("origin").filter(|origin| *origin != "null");
        let title = || {
            let id = entry.pageref.as_deref()?;
            self.har.log.pages.iter().find(|page| page.id == id).map(|page| page.title.clone())
        };
        let initiator = || {
            let initiator = entry.initiator.as_ref()?;
            let frames = initiator.pointer("/stack/callFrames").and_then(Value::as_array);
            let last = frames.and_then(|frames| frames.last()).and_then(|frame| frame.get("url"));
            initiator.get("url").or(last).and_then(Value::as_str).map(ToOwned::to_owned)
        };
        let found = by_header
            .and_then(origin)
            .or_else(|| entry.header("referer").and_then(origin))
            .or_else(|| title().as_deref().and_then(origin))
            .or_else(|| initiator().as_deref().and_then(origin))
            .map(|url| url.origin().ascii_serialization());
        found.or_else(|| entry.header("origin").map(ToOwned::to_owned))
    }

    /// The entry of the preflight for a request: of the same URL and method, the nearest one, rather after than before.
    fn preflight(&self, position: usize, method: &str) -> Option<usize> {
        let entries = &self.har.log.entries;
        let url = &entries[position].request.url;
        let fits = |candidate: &usize| {
            let entry = &entries[*candidate];
            entry.is_preflight()
                && entry.request.url == *url
                && entry.header("access-control-request-method") == Some(method)
                && !self.used.contains(candidate)
        };
        let distance = |candidate: &usize| (candidate.abs_diff(position), *candidate < position);
        (0..entries.len()).filter(fits).min_by_key(distance)
    }

    /// What there is to say of a request that failed, or whose answer the page did not get.
    fn diagnose(&mut self, position: usize, question: Question) -> Option<Diagnosis> {
        let used = self.used.clone();
        let (mut diagnosis, mut end) = self.drive(position, &question);
        let failed = |entry: &Entry| entry.status().is_none() || entry.error().is_some();
        let entries = &self.har.log.entries;
        // Which credentials mode it was is not recorded; where only one explains the failure, it was that.
        let unexplained = diagnosis.verdict == Verdict::Readable && failed(&entries[end]);
        if unexplained && question.credentials == "same-origin" && question.mode == "cors" {
            self.used = used;
            let question = Question { credentials: "include".to_owned(), ..question.clone() };
            let (other, other_end) = self.drive(position, &question);
            if other.verdict == Verdict::Blocked {
                (diagnosis, end) = (other, other_end);
                diagnosis.notes.push(
                    "The archive does not say with which credentials mode the request was made. Only with include does \
                     the block have a cause."
                        .to_owned(),
                );
            }
        }
        let entry = &self.har.log.entries[end];
        match diagnosis.verdict {
            Verdict::Readable | Verdict::Opaque if !failed(entry) => return None,
            Verdict::Readable | Verdict::Opaque => {
                diagnosis.verdict = Verdict::Failed;
                diagnosis.conclusion = format!(
                    "No cross-origin rule is the cause, as far as the archive tells: what it holds of the answer does \
                     not block the page. {}",
                    meaning(entry.error())
                );
            }
            Verdict::Blocked | Verdict::Failed | Verdict::Refused | Verdict::Undecided => {}
        }
        diagnosis.recorded = Some(Recorded { entry: position + 1, browser: self.did(entry) });
        Some(diagnosis)
    }

    /// Lets the executable standard make the request, with the answers of the archive. Also gives the last entry.
    fn drive(&mut self, position: usize, question: &Question) -> (Diagnosis, usize) {
        let entries = &self.har.log.entries;
        let names = literal_space(&question.url).unwrap_or(AddressSpace::Public);
        let mut drive = Drive::start(question, names);
        let mut current = position;
        while let Some(message) = drive.next() {
            if message.url.as_str() != without_fragment(&entries[current].request.url) {
                let next = (current + 1..entries.len()).find(|candidate| {
                    let entry = &entries[*candidate];
                    !self.used.contains(candidate)
                        && !entry.is_preflight()
                        && without_fragment(&entry.request.url) == message.url.as_str()
                });
                let Some(next) = next else {
                    let to = Redaction::Archive.url(&message.url);
                    drive.stop(format!("A redirect leads to {to}, and the archive does not hold what came of that."));
                    continue;
                };
                self.used.insert(next);
                current = next;
            }
            let entry = &entries[current];
            if message.kind == MessageKind::Preflight {
                match self.preflight(current, &question.method) {
                    Some(found) => {
                        self.used.insert(found);
                        match answer(&entries[found]) {
                            Some(answer) => drive.answer(answer),
                            None => drive.stop("What the preflight was answered is not recorded.".to_owned()),
                        }
                    }
                    None if entry.status().is_some() => {
                        drive.note(
                            "No preflight is recorded; it is taken to have passed (its answer may have been cached).",
                        );
                        drive.answer(passing(&message));
                    }
                    None => drive.stop(unrecorded(question)),
                }
                continue;
            }
            match answer(entry) {
                Some(answer) => drive.answer(answer),
                None => drive.stop(unrecorded(question)),
            }
        }
        (drive.diagnose(Redaction::Archive), current)
    }

    /// What the browser did, as far as the archive says so.
    fn did(&self, entry: &Entry) -> String {
        let program = self.har.log.browser.as_ref().or(self.har.log.creator.as_ref());
        let program = match program.map(|program| program.name.as_str()) {
            Some("WebInspector") => "Chromium",
            Some(name) if !name.is_empty() => name,
            _ => "the browser",
        };
        match (entry.error(), entry.status()) {
            (Some(error), Some(status)) => format!("{program} got status {status} and failed with {}", code(error)),
            (Some(error), None) => format!("{program} failed with {}", code(error)),
            (None, Some(status)) => {
                format!("{program} got status {status}; the archive does not say whether the page did")
            }
            (None, None) => format!("{program} recorded no answer (status 0)"),
        }
    }
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or(url)
}

/// The answer that an entry records; nothing where it says nothing of it.
fn answer(entry: &Entry) -> Option<Answer> {
    let fields = |headers: &[Header]| -> Fields {
        headers
            .iter()
            .filter(|header| !header.name.starts_with(':'))
            // Firefox joins lines of one name with line breaks.
            .flat_map(|header| header.value.split('\n').map(|value| (header.name.as_str().into(), value.into())))
            .collect()
    };
    match (entry.status(), &entry.response) {
        (Some(status), Some(response)) => Some(Answer::Response(Received {
            status,
            headers: fields(&response.headers),
            complete: true,
            took: Duration::ZERO,
            ..Received::default()
        })),
        _ => {
            let below_http = entry.error().is_some_and(|error| {
                [
                    "CONNECTION",
                    "NAME_",
                    "TIMED_OUT",
                    "CERT",
                    "SSL",
                    "ADDRESS",
                    "SOCKET",
                    "NETWORK",
                    "INTERNET",
                    "PROXY",
                    "EMPTY_RESPONSE",
                ]
                .iter()
                .any(|part| error.contains(part))
            });
            below_http.then_some(Answer::Failed(Failure::Connection))
        }
    }
}

/// An answer that lets every request pass.
fn passing(message: &Message) -> Answer {
    let mut headers = Fields::new();
    for (name, asked) in [
        ("Access-Control-Allow-Origin", "origin"),
        ("Access-Control-Allow-Methods", "access-control-request-method"),
        ("Access-Control-Allow-Headers", "access-control-request-headers"),
    ] {
        if let Some(value) = message.headers.get(asked) {
            headers.push(name, value);
        }
    }
    headers.push("Access-Control-Allow-Credentials", "true");
    Answer::Response(Received { status: 204, headers, complete: true, ..Received::default() })
}

fn unrecorded(question: &Question) -> String {
    let Question { page, url, method, .. } = question;
    let url = Redaction::Archive.url(url);
    format!(
        "The archive holds no answer, so it does not say why it failed: the server was not reached, or the browser did not \
         record what it hid. Ask the server: crosscheck explain --page {page} --url '{url}' --method {method}"
    )
}

/// The code in Chromium's message; what else stands in it may be secret.
fn code(error: &str) -> String {
    let code: String = error
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '-'))
        .take(60)
        .collect();
    if code.is_empty() { "an error".to_owned() } else { code }
}

fn meaning(error: Option<&str>) -> String {
    match error {
        Some(error) if error.contains("BLOCKED_BY_CLIENT") => {
            "An extension of the browser, such as an ad blocker, stopped it.".to_owned()
        }
        Some(error) if error.contains("ABORTED") => "The page gave it up, or was left.".to_owned(),
        Some(error) if error.contains("BLOCKED_BY_ORB") => {
            "Opaque Response Blocking stopped it: the response is not of a type that the element can use.".to_owned()
        }
        Some(error) => format!("The browser says {}.", code(error)),
        None => "The browser recorded no answer.".to_owned(),
    }
}
