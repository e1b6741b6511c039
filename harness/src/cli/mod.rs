/// Writes a line to standard output. Whoever reads may stop early (`crosscheck list | head`): that is no error.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::cli::write_out(&format!("{}\n", format_args!($($argument)*)))
    };
}

/// Writes a line to standard error. Whoever reads it may be gone: the work goes on.
macro_rules! tell {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}

mod again;
mod arguments;
mod bench;
mod controls;
mod coverage;
mod doctor;
mod explain;
mod failure;
mod list;
mod progress;
mod report;
mod run;
mod server;
mod show;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use crosscheck_cases::is_invisible;
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};
use failure::Failure;

/// How a command ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything as expected: exit code 0.
    AsExpected,
    /// Unexpected results: exit code 1.
    Unexpected,
    /// A browser disagrees with the executable standard: exit code 4.
    Disagreement,
}

/// Writes to standard output. Where nobody reads any more, nothing is lost by going on, and the exit code still counts.
pub(crate) fn write_out(text: &str) {
    if let Err(error) = std::io::stdout().write_all(text.as_bytes()) {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return;
        }
        tell!("error: standard output cannot be written: {error}");
        std::process::exit(3);
    }
}

/// A value as JSON for people and programs: characters that a terminal would act on stand as escapes of JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Environment(error.to_string()))?;
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '\n' && is_invisible(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    Ok(out)
}

pub(crate) fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("CROSSCHECK_LOG").unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Environment(format!("the program cannot start: {error}")).report(),
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            Command::Run(options) => run::run(options).await,
            Command::List(options) => list::list(&options),
            Command::Controls(options) => controls::controls(&options),
            Command::Show(options) => show::show(&options),
            Command::Explain(options) => explain::explain(&options).await,
            Command::Server(options) => server::server(*options).await,
            Command::Report(options) => report::report(&options),
            Command::Coverage(options) => coverage::coverage(&options),
            Command::Bench(options) => bench::bench(options).await,
            Command::Doctor => doctor::doctor(),
            Command::Guard { folder } => crosscheck::guard::watch(folder)
                .map(|()| Ended::AsExpected)
                .map_err(|error| Failure::Environment(error.to_string())),
        }
    });
    match ended {
        Ok(Ended::AsExpected) => ExitCode::SUCCESS,
        Ok(Ended::Unexpected) => ExitCode::from(1),
        Ok(Ended::Disagreement) => ExitCode::from(4),
        Err(failure) => failure.report(),
    }
}
