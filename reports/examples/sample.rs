//! Writes a report of sample runs, to look at it and to measure it:
//! `cargo run --release -p crosscheck-reports --example sample -- FILE [CASES]`. In place of a number,
//! `hostile` writes one in which every string tries to break out.

#[path = "../tests/it/hostile.rs"]
mod hostile;
#[path = "../tests/it/sample.rs"]
mod sample;

use std::sync::Arc;
use std::time::Instant;

use crosscheck_reports::{CaseRecord, Packed, RunRecord, Summary, Verdict, render_html};
use crosscheck_servers::Fields;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: sample FILE [CASES|hostile]")?;
    let mut runs = sample::runs();
    match arguments.next().as_deref() {
        None => {}
        Some("hostile") => runs = hostile::runs(),
        Some(cases) => {
            let cases: usize = cases.parse()?;
            runs.iter_mut().for_each(|run| multiply(run, cases));
        }
    }
    let results: usize = runs.iter().map(|run| run.results.len()).sum();
    let began = Instant::now();
    let html = render_html(&runs)?;
    let each = html.len() / results;
    eprintln!("{results} results in {:?}: {} bytes, {each} for each", began.elapsed(), html.len());
    std::fs::write(file, html)?;
    Ok(())
}

/// Makes a run of many cases out of one of a few, no two of them alike. Most pass.
fn multiply(run: &mut RunRecord, cases: usize) {
    let few = std::mem::take(&mut run.results);
    let passing: Vec<usize> = (0..few.len()).filter(|at| few[*at].verdict == Verdict::Pass).collect();
    for number in 0..cases {
        let usual = passing[number % passing.len()];
        let at = if number % 97 == 0 { number / 97 % few.len() } else { usual };
        run.results.push(another(&few[at], number));
    }
    run.suite.cases = cases;
    run.summary = Summary::count(&run.results, cases as u64 * 3 / 2, run.duration_ms);
}

fn another(result: &CaseRecord, number: usize) -> CaseRecord {
    let mut result = result.clone();
    result.area = format!("cors/topic-{}", number / 250);
    result.id = format!("{}/{}/value=https:%2F%2F{number}.test,credentials=include", result.area, "allow-origin-value");
    let case = Arc::make_mut(&mut result.case);
    case.title = format!("{} (value https://{number}.test)", case.title);
    result.duration_ms += number as f64 % 31.0;
    for behaviour in case.given.values_mut() {
        Arc::make_mut(behaviour).headers.push("X-Value", format!("https://{number}.test").as_str());
    }
    let mut wire = result.wire.unpack();
    for (position, exchange) in wire.iter_mut().enumerate() {
        exchange.at_us += (number * 7 % 1_000 * position) as u64;
        exchange.headers = exchange
            .headers
            .iter()
            .cloned()
            .chain([("X-Value".into(), format!("{number}").as_str().into())])
            .collect::<Fields>();
    }
    result.wire = Packed::new(&wire);
    result
}
