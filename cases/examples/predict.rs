//! How many cases the executable standard predicts in a second, on one core.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use crosscheck_cases::load;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite");
    let started = Instant::now();
    let suite = load(&folder)?;
    println!("{} cases loaded in {:.2} s", suite.cases.len(), started.elapsed().as_secs_f64());
    let mut best = Duration::MAX;
    let mut predicted = 0;
    // The best of several rounds: other programs only ever make it slower.
    for _ in 0..5 {
        let started = Instant::now();
        predicted = suite.cases.iter().filter(|case| black_box(case.predict()).is_some()).count();
        best = best.min(started.elapsed());
    }
    let rate = predicted as f64 / best.as_secs_f64();
    println!("{predicted} cases predicted in {:.3} s: {rate:.0} a second", best.as_secs_f64());
    Ok(())
}
