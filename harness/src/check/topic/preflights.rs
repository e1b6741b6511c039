//! What preflights allow, to whom, and what they say about themselves.

use std::time::Duration;

use futures_util::future::join_all;

use super::hostile::Found;
use super::{Subject, names, value};
use crate::check::ask::Asked;
use crate::check::claim::Claim;
use crate::check::fault::Severity;
use crate::check::origins::{Allowed, UNKNOWN};
use crate::check::policy::Role;
use crate::explain::question::Question;

/// A header that no policy names.
const STRANGE: &str = "x-crosscheck-undeclared";
/// The largest age that any browser heeds.
const MAX_AGE_LIMIT: u64 = 86_400;
/// Numbers of header names, each twice as many as the one before.
const LENGTHS: [usize; 3] = [100, 200, 400];

/// Asks about preflights. `hostile`: what was found about origins that are kept out. `cost`: also measure what long lists cost.
pub(crate) async fn check(subject: &Subject<'_>, hostile: &Found, cost: bool) -> Vec<Claim> {
    let is_loose = hostile.is_loose;
    let others = others(subject, hostile).await;
    let samples = subject.samples();
    let Some(page) = samples.first().filter(|_| subject.route.role == Role::Data) else { return others };
    let (more, lines, vary, age) = tokio::join!(
        more_than_declared(subject, page, is_loose),
        second_line(subject, page),
        vary(subject, page),
        age_and_network(subject, page),
    );
    let mut claims = [more, lines, vary, age, others].concat();
    if cost {
        claims.extend(growth(subject, page).await);
    }
    claims
}

/// What needs a preflight and is in the policy: a method, else a header; `PUT` where there is none.
fn declared(subject: &Subject<'_>, page: &str) -> Question {
    let allow = subject.allow;
    let basic = subject.question(page, subject.credentials());
    let method = allow.methods.iter().find(|method| !["GET", "HEAD", "POST"].contains(&method.as_str()));
    let header = allow.request_headers.iter().find(|name| *name != "*");
    match (method, header) {
        (Some(method), _) => Question { method: method.clone(), ..basic },
        (None, Some(name)) => {
            let value = if name.eq_ignore_ascii_case("content-type") { "application/json" } else { "1" };
            Question { headers: vec![(name.clone(), value.to_owned())], ..basic }
        }
        (None, None) => Question { method: "PUT".to_owned(), ..basic },
    }
}

/// Methods and headers beyond the policy.
async fn more_than_declared(subject: &Subject<'_>, page: &str, is_loose: bool) -> Vec<Claim> {
    let severity = if is_loose { Severity::Hole } else { Severity::Hygiene };
    let basic = subject.question(page, subject.credentials());
    let methods =
        ["PUT", "PATCH", "DELETE"].into_iter().filter(|name| !subject.allow.methods.iter().any(|one| one == name));
    let methods: Vec<(&str, Asked)> = join_all(methods.map(|method| {
        let question = Question { method: method.to_owned(), ..basic.clone() };
        async move { (method, subject.ask(&question).await) }
    }))
    .await;
    let more: Vec<&(&str, Asked)> = methods.iter().filter(|(_, asked)| asked.gets_through()).collect();
    let mut claims = Vec::new();
    if let Some((_, shown)) = more.first() {
        let names: Vec<&str> = more.iter().map(|(method, _)| *method).collect();
        let said = format!("A page of {page} may send {}, which the policy does not name.", names.join(", "));
        claims.push(
            Claim::new("undeclared-methods", severity, subject.path(), said, shown)
                .with(more.iter().skip(1).map(|(_, asked)| asked)),
        );
    }
    if !subject.allow.request_headers.iter().any(|name| name == "*") {
        let question = Question { headers: vec![(STRANGE.to_owned(), "1".to_owned())], ..basic };
        let asked = subject.ask(&question).await;
        if asked.preflight().is_some() && asked.gets_through() {
            let said = format!("A page of {page} may set {STRANGE}, which no policy names.");
            claims.push(Claim::new("echoed-request-headers", severity, subject.path(), said, &asked));
        }
    }
    claims
}

/// As how many origins that other routes name all methods are asked for.
const ELSEWHERE: usize = 4;

/// Origins that are kept out: does a preflight let them through all the same?
async fn others(subject: &Subject<'_>, hostile: &Found) -> Vec<Claim> {
    let open = hostile.is_loose || subject.allowed.contains(&Allowed::Any);
    let strangers = if open { Vec::new() } else { subject.hostile() };
    let strangers = strangers.iter().map(|hostile| hostile.origin.as_str());
    let thorough: Vec<&str> =
        [UNKNOWN, "null"].into_iter().chain(subject.elsewhere.iter().take(ELSEWHERE).map(String::as_str)).collect();
    let mut questions: Vec<Question> = Vec::new();
    for page in strangers {
        // Whoever reads the answer anyway is told of there.
        let is_kept_out = |mode: &&str| !hostile.let_in.contains(&(page.to_owned(), (*mode).to_owned()));
        for credentials in ["include", "omit"].into_iter().filter(is_kept_out) {
            let question = Question { credentials: credentials.to_owned(), ..declared(subject, page) };
            let methods = ["PUT", "DELETE"].map(|method| Question {
                method: method.to_owned(),
                headers: Vec::new(),
                ..question.clone()
            });
            let methods = methods.into_iter().filter(|_| thorough.contains(&page));
            for question in std::iter::once(question).chain(methods) {
                let is_known = |known: &Question| {
                    (&known.page, &known.method, &known.credentials, &known.headers)
                        == (&question.page, &question.method, &question.credentials, &question.headers)
                };
                if !questions.iter().any(is_known) {
                    questions.push(question);
                }
            }
        }
    }
    let asked = join_all(questions.iter().map(|question| subject.ask(question))).await;
    let lets_through = |asked: &Asked| asked.preflight().is_some() && asked.gets_through() && !asked.is_readable();
    let through: Vec<(&Question, &Asked)> =
        questions.iter().zip(&asked).filter(|(_, asked)| lets_through(asked)).collect();
    // What passes with cookies says more than what passes without.
    let with_cookies = through.iter().find(|(question, _)| question.credentials == "include");
    let Some((question, shown)) = with_cookies.or(through.first()) else { return Vec::new() };
    let severity = if question.credentials == "include" { Severity::Hole } else { Severity::Hygiene };
    let mut methods: Vec<&str> = through.iter().map(|(question, _)| question.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    let header = question.headers.first().map(|(name, _)| format!(" with {name}")).unwrap_or_default();
    let said = format!(
        "A page of {} may send {}{header}, and the server acts on it, though the page reads no answer.",
        question.page,
        methods.join(", ")
    );
    let claim = Claim::new("preflight-disagrees", severity, subject.path(), said, shown);
    let origins = through.iter().map(|(question, _)| question.page.clone());
    vec![claim.about(origins).with(through.iter().skip(1).map(|(_, asked)| *asked))]
}

/// A raw preflight.
async fn raw(subject: &Subject<'_>, origin: &str, method: &str, lines: &[&str]) -> Asked {
    let mut headers = vec![("Origin", origin), ("Access-Control-Request-Method", method)];
    headers.extend(lines.iter().map(|line| ("Access-Control-Request-Headers", *line)));
    subject.send("OPTIONS", &subject.url, &headers).await
}

/// The names that the policy allows, in two lines in the place of one.
async fn second_line(subject: &Subject<'_>, page: &str) -> Vec<Claim> {
    let any = subject.allow.request_headers.iter().any(|name| name == "*");
    let mut wanted: Vec<String> = subject
        .allow
        .request_headers
        .iter()
        .filter(|name| *name != "*")
        .map(|name| name.to_ascii_lowercase())
        .collect();
    if any {
        wanted.extend(["x-crosscheck-a".to_owned(), "x-crosscheck-b".to_owned()]);
    }
    wanted.sort();
    let [first, .., last] = wanted.as_slice() else { return Vec::new() };
    let one = raw(subject, page, "GET", &[&format!("{first},{last}")]).await;
    let two = raw(subject, page, "GET", &[first, last]).await;
    let wildcard = !subject.allow.credentials;
    let allows = |asked: &Asked| {
        asked.last().is_some_and(|answer| {
            let list = names(answer, "access-control-allow-headers");
            (200..300).contains(&answer.status)
                && answer.headers.contains("access-control-allow-origin")
                && ([first, last].iter().all(|name| list.contains(name))
                    || (wildcard && list.iter().any(|name| name == "*")))
        })
    };
    if !allows(&one) || allows(&two) {
        return Vec::new();
    }
    let said =
        format!("{first} and {last} are allowed in one line of Access-Control-Request-Headers, not in two lines.");
    vec![Claim::new("second-request-headers-line", Severity::Note, subject.path(), said, &two).with([&one])]
}

/// What preflights depend on, and whether Vary says so.
async fn vary(subject: &Subject<'_>, page: &str) -> Vec<Claim> {
    let name = subject.allow.request_headers.iter().find(|name| *name != "*").map_or(STRANGE, String::as_str);
    let name = name.to_ascii_lowercase();
    let asked = [
        ("", raw(subject, page, "GET", &[&name]).await),
        ("origin", raw(subject, UNKNOWN, "GET", &[&name]).await),
        ("access-control-request-headers", raw(subject, page, "GET", &["x-crosscheck-other"]).await),
        ("access-control-request-method", raw(subject, page, "PUT", &[&name]).await),
    ];
    let essence = |asked: &Asked| {
        asked.last().map(|answer| {
            ["access-control-allow-origin", "access-control-allow-headers", "access-control-allow-methods"]
                .map(|header| value(answer, header))
        })
    };
    let first = &asked[0].1;
    let Some(answer) = first.last() else { return Vec::new() };
    let said_of = names(answer, "vary");
    let missing: Vec<&str> = asked[1..]
        .iter()
        .filter(|(_, other)| other.last().is_some() && essence(other) != essence(first))
        .map(|(header, _)| *header)
        .filter(|header| !said_of.iter().any(|name| name == header || name == "*"))
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let said = format!("The answer to a preflight depends on {}, and Vary does not name it.", missing.join(", "));
    let others = asked[1..].iter().map(|(_, asked)| asked);
    vec![Claim::new("preflight-vary", Severity::Hygiene, subject.path(), said, first).with(others)]
}

/// Access-Control-Max-Age, and private networks.
async fn age_and_network(subject: &Subject<'_>, page: &str) -> Vec<Claim> {
    let mut claims = Vec::new();
    let asked = subject.ask(&declared(subject, page)).await;
    if let Some(answer) = asked.preflight().filter(|_| asked.gets_through())
        && let Some(said) = age_fault(value(answer, "access-control-max-age").as_deref(), subject.allow.max_age)
    {
        claims.push(Claim::new("max-age", Severity::Cost, subject.path(), said, &asked));
    }
    let headers = [
        ("Origin", page),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Private-Network", "true"),
    ];
    let network = subject.send("OPTIONS", &subject.url, &headers).await;
    if network
        .last()
        .and_then(|answer| value(answer, "access-control-allow-private-network"))
        .is_some_and(|sent| sent == "true")
    {
        let said = "A preflight is answered with Access-Control-Allow-Private-Network: true.";
        claims.push(Claim::new("allow-private-network", Severity::Hygiene, subject.path(), said, &network));
    }
    claims
}

/// What is wrong with an age, where the policy wants another.
fn age_fault(sent: Option<&str>, wanted: Option<u64>) -> Option<String> {
    match (sent, wanted) {
        (None, None | Some(0)) => None,
        (None, Some(wanted)) => Some(format!(
            "There is no Access-Control-Max-Age, so browsers ask again after 5 seconds, not after {wanted}."
        )),
        (Some(text), _) if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(format!("Access-Control-Max-Age: {text} is not a number of seconds, so browsers ask again after 5."))
        }
        (Some(text), wanted) => match (text.parse::<u64>(), wanted) {
            (Ok(sent), Some(wanted)) if sent < wanted => {
                Some(format!("Access-Control-Max-Age is {sent}, and the policy says {wanted}."))
            }
            (Ok(sent), _) if sent <= MAX_AGE_LIMIT => None,
            _ => Some(format!(
                "Access-Control-Max-Age is {text}: no browser remembers for longer than {MAX_AGE_LIMIT} seconds."
            )),
        },
    }
}

/// Whether the time that a preflight takes grows faster than its list of headers.
async fn growth(subject: &Subject<'_>, page: &str) -> Vec<Claim> {
    let mut times = Vec::new();
    let mut last = None;
    for length in LENGTHS {
        let list: Vec<String> = (0..length).map(|number| format!("x-crosscheck-{number:04}")).collect();
        let list = list.join(",");
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let asked = raw(subject, page, "GET", &[&list]).await;
            if asked.trouble.is_some() {
                return Vec::new();
            }
            best = best.min(asked.took);
            last = Some(asked);
        }
        times.push(best);
    }
    let (Some(asked), [short, .., long]) = (last, times.as_slice()) else { return Vec::new() };
    // Four times the length: in proportion it would be at most four times as long.
    if *long < Duration::from_millis(100) || *long < *short * 8 {
        return Vec::new();
    }
    let said = format!(
        "A preflight that names {} headers takes {} ms, one that names {} takes {} ms.",
        LENGTHS[0],
        short.as_millis(),
        LENGTHS[2],
        long.as_millis()
    );
    vec![Claim::new("preflight-cost", Severity::Cost, subject.path(), said, &asked)]
}

#[cfg(test)]
mod tests {
    use super::age_fault;

    #[test]
    fn ages_are_judged_as_browsers_read_them() {
        for (sent, wanted, faulty) in [
            (None, None, false),
            (None, Some(600), true),
            (Some("600"), Some(600), false),
            (Some("86400"), Some(600), false),
            (Some("60"), Some(600), true),
            (Some("None"), None, true),
            (Some("10s"), None, true),
            (Some("-1"), None, true),
            (Some("86401"), None, true),
            (Some("99999999999999999999999"), None, true),
            (Some("0"), None, false),
        ] {
            assert_eq!(age_fault(sent, wanted).is_some(), faulty, "{sent:?} {wanted:?}");
        }
    }
}
