use std::collections::{BTreeMap, HashMap};

use crosscheck_cases::{Grade, Level, PageResult, Stated, reason_class, requirement, strip_tokens};
use crosscheck_servers::{Exchange, Fields};
use serde::Serialize;
use serde_json::{Value, json};

use super::pool::{Pool, json as script_json};
use super::summary::label;
use crate::answer::answers;
use crate::explain::{also, grade_meaning, verdict_meaning, what_to_do};
use crate::{CaseRecord, RunRecord, Verdict, curl, curl_expected, javascript};

/// How many cases share an element of details: one is parsed when a case of it is opened.
const CHUNK: usize = 100;

/// Bodies in the wire log are cut here; the run record has all of them.
const BODY: usize = 400;

/// What the page's script shows, each part a JSON text that is safe in a `<script>` element.
pub(super) struct Data {
    /// Agents, areas, requirements, and what the list shows of each case.
    pub(super) index: String,
    /// The details, [`CHUNK`] cases each.
    pub(super) chunks: Vec<String>,
    /// What the details refer to.
    pub(super) pool: String,
}

/// A case with what each agent made of it.
struct Row<'r> {
    area: usize,
    first: &'r CaseRecord,
    results: Vec<Option<&'r CaseRecord>>,
}

/// What the list shows.
#[derive(Serialize)]
struct Index<'r> {
    #[serde(flatten)]
    about: Value,
    /// Area, id within it, title, requirements, and a letter for each agent's verdict.
    cases: Vec<(usize, String, &'r str, Vec<usize>, String)>,
}

/// What the details say of a case. Numbers of the pool stand in place of values.
#[derive(Serialize)]
struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<usize>,
    source: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<Level>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs: Vec<usize>,
    page: usize,
    given: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<usize>,
    then: usize,
    curl: Vec<usize>,
    results: Vec<Option<ResultDetail>>,
}

/// What the details say of an agent's result.
#[derive(Serialize)]
struct ResultDetail {
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grade: Option<Grade>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<usize>,
    /// Differences, in place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diff: Vec<usize>,
    /// Exchange, microseconds since the first one, and connection counted from 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wire: Vec<(usize, u64, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<usize>,
    /// What else is worth knowing, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<usize>,
    #[serde(skip_serializing_if = "is_one")]
    tries: u32,
    ms: f64,
    /// The expected outcome, where this agent was asked another question than the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<usize>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(tries: &u32) -> bool {
    *tries == 1
}

impl Data {
    pub(super) fn of(runs: &[RunRecord]) -> Self {
        let (areas, rows) = rows(runs);
        let mut pool = Pool::default();
        let mut chunk = |rows: &[Row<'_>]| {
            let details: Vec<String> = rows.iter().map(|row| script_json(&detail(&mut pool, row))).collect();
            format!("[{}]", details.join(",\n"))
        };
        let chunks = rows.chunks(CHUNK).map(&mut chunk).collect();
        Self { index: script_json(&index(runs, &areas, &rows)), chunks, pool: pool.into_json() }
    }
}

/// The areas by name, and the cases by area, both in the order in which the runs have them.
fn rows(runs: &[RunRecord]) -> (Vec<&str>, Vec<Row<'_>>) {
    let mut areas: Vec<&str> = Vec::new();
    let mut area_places: HashMap<&str, usize> = HashMap::new();
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (agent, run) in runs.iter().enumerate() {
        for result in &run.results {
            let area = *area_places.entry(&result.area).or_insert_with(|| {
                areas.push(&result.area);
                areas.len() - 1
            });
            let place = *places.entry(&result.id).or_insert_with(|| {
                rows.push(Row { area, first: result, results: vec![None; runs.len()] });
                rows.len() - 1
            });
            rows[place].results[agent] = Some(result);
        }
    }
    rows.sort_by_key(|row| row.area);
    (areas, rows)
}

fn index<'r>(runs: &[RunRecord], areas: &[&str], rows: &[Row<'r>]) -> Index<'r> {
    let mut requirements: Vec<&str> = Vec::new();
    let mut requirement_places: HashMap<&str, usize> = HashMap::new();
    let mut classes: BTreeMap<&str, Value> = BTreeMap::new();
    let mut cases = Vec::with_capacity(rows.len());
    for row in rows {
        let prefix = format!("{}/", areas[row.area]);
        let requires: Vec<usize> = row
            .first
            .requires
            .iter()
            .map(|id| {
                *requirement_places.entry(id).or_insert_with(|| {
                    requirements.push(id);
                    requirements.len() - 1
                })
            })
            .collect();
        let verdicts: String =
            row.results.iter().map(|result| result.map_or('.', |result| letter(result.verdict))).collect();
        // An id that does not begin with its area is marked with a zero.
        let id = row.first.id.strip_prefix(&prefix).map_or_else(|| format!("\0{}", row.first.id), str::to_owned);
        cases.push((row.area, id, row.first.case.title.as_str(), requires, verdicts));
        let reasons = row.results.iter().flatten().filter_map(|result| result.observed.unpack()?.reason);
        for class in reasons.chain(row.first.case.then.reason.clone()).flat_map(|reason| reason.classes) {
            if let Some(class) = reason_class(&class) {
                classes.entry(&class.id).or_insert_with(|| json!({ "title": class.title, "advice": class.advice }));
            }
        }
    }
    let requirements = requirements.iter().map(|id| match requirement(id) {
        Some(row) => json!({
            "id": id, "text": row.requirement, "link": row.link(),
            "place": format!("{}, {}, {}", row.spec, row.section, row.step),
        }),
        None => json!({ "id": id }),
    });
    let about = json!({
        "chunk": CHUNK,
        "agents": runs.iter().map(|run| json!({ "label": label(run), "version": run.agent.version })).collect::<Vec<_>>(),
        "areas": areas.iter().map(|area| {
            let about = runs.iter().find_map(|run| run.suite.topics.get(*area));
            json!({ "name": area, "about": about })
        }).collect::<Vec<_>>(),
        "verdicts": Verdict::ALL.map(|verdict| json!({
            "name": verdict.name(), "letter": letter(verdict), "sign": verdict.sign(), "means": verdict_meaning(verdict),
            "advice": what_to_do(verdict), "unexpected": verdict.is_unexpected(),
        })),
        "grades": Grade::ALL.iter().map(|grade| (grade.name(), grade_meaning(*grade))).collect::<BTreeMap<_, _>>(),
        "classes": classes,
        "requirements": requirements.collect::<Vec<_>>(),
    });
    Index { about, cases }
}

/// One letter for a verdict, unique among them.
const fn letter(verdict: Verdict) -> char {
    match verdict {
        Verdict::Pass => 'p',
        Verdict::NotShown => 'n',
        Verdict::Fail => 'f',
        Verdict::Known => 'k',
        Verdict::Fixed => 'x',
        Verdict::Flaky => 'y',
        Verdict::Differs => 'd',
        Verdict::Skipped => 's',
        Verdict::Error => 'e',
    }
}

fn detail(pool: &mut Pool, row: &Row<'_>) -> Detail {
    let CaseRecord { case, source, .. } = row.first;
    let given: Vec<(usize, usize)> =
        case.given.iter().map(|(url, behaviour)| (pool.add(url), pool.add(&answers(behaviour)))).collect();
    let script = javascript(&case.when);
    let sent = row.results.iter().flatten().find(|result| !result.wire.is_default());
    let commands = sent.map_or_else(|| curl_expected(case), |result| result.wire.unpack().iter().map(curl).collect());
    Detail {
        why: case.why.as_ref().map(|why| pool.add(why)),
        source: pool.add(source),
        level: (case.level != Level::Required).then_some(case.level),
        needs: case.needs.iter().map(|need| pool.add(need)).collect(),
        page: pool.add(&json!([case.page.to_string(), case.page.serialized_origin()])),
        given: pool.add(&given),
        script: (!script.is_empty()).then(|| pool.add(&script)),
        then: pool.add(&case.then),
        curl: commands.iter().map(|command| pool.add(command)).collect(),
        results: row.results.iter().map(|result| result.map(|result| result_detail(pool, case, result))).collect(),
    }
}

fn result_detail(pool: &mut Pool, case: &Stated, result: &CaseRecord) -> ResultDetail {
    let (observed, exchanges) = (result.observed.unpack(), result.wire.unpack());
    let observed = observed.as_ref();
    let first = exchanges.first().map_or(0, |exchange| exchange.at_us);
    let mut connections: Vec<u64> = Vec::new();
    let wire = exchanges.iter().map(|exchange| {
        let connection = connections.iter().position(|known| *known == exchange.connection).unwrap_or_else(|| {
            connections.push(exchange.connection);
            connections.len() - 1
        });
        (pool_exchange(pool, exchange), exchange.at_us.saturating_sub(first), connection + 1)
    });
    let wire = wire.collect();
    ResultDetail {
        page: observed.map(|outcome| pool_page(pool, &outcome.page)),
        sent: observed.and_then(|outcome| outcome.wire.as_ref()).map(|messages| {
            let names =
                messages.iter().map(|message| if message.preflight { "preflight" } else { message.method.as_str() });
            pool.add(&names.collect::<Vec<_>>().join(", "))
        }),
        grade: observed.and_then(|outcome| outcome.grade),
        reason: observed.and_then(|outcome| outcome.reason.as_ref()).map(|reason| {
            pool.add(&json!({ "classes": reason.classes, "text": reason.text.as_deref().map(strip_tokens) }))
        }),
        diff: result.differences.iter().map(|difference| pool.add(difference)).collect(),
        wire,
        note: result.note.as_ref().map(|note| pool.add(note)),
        also: also(result).iter().map(|sentence| pool.add(sentence)).collect(),
        link: result.link.as_ref().map(|link| pool.add(link)),
        tries: result.attempts,
        ms: (result.duration_ms * 10.0).round() / 10.0,
        other: (*result.case != *case).then(|| pool.add(&result.case.then)),
    }
}

fn pool_page(pool: &mut Pool, page: &[PageResult]) -> usize {
    let results: Vec<usize> = page
        .iter()
        .map(|result| {
            let mut result = result.clone();
            result.message = result.message.as_deref().map(strip_tokens);
            pool.add(&result)
        })
        .collect();
    pool.add(&results)
}

fn pool_exchange(pool: &mut Pool, exchange: &Exchange) -> usize {
    let url = strip_tokens(&format!("{}{}", exchange.origin, exchange.target));
    let preflight = exchange.method == *"OPTIONS"
        && exchange.headers.contains("access-control-request-method")
        && exchange.headers.contains("origin");
    let headers = pool_headers(pool, &exchange.headers);
    let reply = exchange.reply.as_ref().map(|reply| (reply.status, pool_headers(pool, &reply.headers)));
    let body: String = strip_tokens(&exchange.body.decode()).chars().take(BODY).collect();
    pool.add(&json!([
        exchange.method,
        url,
        headers,
        reply,
        exchange.ended,
        exchange.protocol,
        preflight,
        exchange.routed,
        exchange.body_length,
        body
    ]))
}

fn pool_headers(pool: &mut Pool, headers: &Fields) -> usize {
    let lines: Vec<usize> = headers
        .iter()
        .map(|(name, value)| pool.add(&[name.decode().into_owned(), strip_tokens(&value.decode())]))
        .collect();
    pool.add(&lines)
}
