use std::time::Duration;

use crosscheck::{Engine, bench};

use super::arguments::{BenchArguments, RunArguments};
use super::{Ended, Failure, run};

/// Measures a browser's own request ceiling, then the suite's rate in the same browser.
pub(crate) async fn bench(arguments: BenchArguments) -> Result<Ended, Failure> {
    let engine = Engine::find(&arguments.agent)?;
    let guard = run::guard()?;
    let lanes = usize::from(arguments.jobs);
    let duration = Duration::from_secs(arguments.seconds.into());
    let measured = bench::ceilings(&engine, None, &guard, lanes, duration).await;
    let measured = match measured {
        Ok(ceilings) => {
            let options = RunArguments::of_bench(&arguments, guard.folder().join("bench"));
            run::one(&engine, &options, &guard).await.map(|record| (ceilings, record))
        }
        Err(error) => Err(error.into()),
    };
    guard.finish().await;
    let (ceilings, record) = measured?;
    say!("{} {}", record.agent.label, record.agent.version);
    say!("{:>8}  requests per second", "");
    let suite = record.summary.requests_per_second;
    say!("{suite:>8.0}  the suite: {} cases, {} requests", record.results.len(), record.summary.requests);
    let mix = ceilings.of_mix(&record.results).map(|rate| ("the suite's own mix of fetches", rate));
    for (about, rate) in mix.into_iter().chain(ceilings.told()) {
        say!("{rate:>8.0}  {about}: the suite reaches {:.0} % of it", 100.0 * suite / rate);
    }
    Ok(Ended::AsExpected)
}
