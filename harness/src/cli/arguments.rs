use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use crosscheck_servers::{STATUS, is_interim};

pub(crate) const SUITE: &str = "cases/suite";
pub(crate) const EXPECTATIONS: &str = "ci/expectations";
pub(crate) const JOBS: u16 = 16;
pub(crate) const BIND: &str = "127.0.0.1:0";

/// A conformance suite for the web's cross-origin rules
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 everything as expected; 1 unexpected results; 2 wrong usage or a faulty file; \
                        3 the environment failed (no browser, no port, no disk); 130 interrupted.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the suite in browsers, or in the reference agent
    Run(RunArguments),
    /// List the cases, expanded
    List(ListArguments),
    /// List the cases that expect something to be absent, each with what shows that it could have been there
    Controls(ListArguments),
    /// Show what a case sets up, does and expects, why, and how to try it by hand
    Show(ShowArguments),
    /// Say what a browser does with a cross-origin request, and why
    Explain(Box<ExplainArguments>),
    /// Check a server against its declared CORS policy: who is wrongly let in or kept out, and why
    Server(Box<ServerArguments>),
    /// Make reports from run records
    Report(ReportArguments),
    /// Say requirement by requirement what is modelled, which cases there are, and what runs proved
    Coverage(CoverageArguments),
    /// Measure a browser's own request ceiling beside the suite's rate
    Bench(BenchArguments),
    /// Say which browsers and drivers are here, and how to get the rest
    Doctor,
    /// Clean up after a run (started by `run`)
    #[command(hide = true)]
    Guard { folder: PathBuf },
}

/// Which cases.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// The folder of case files, or one file
    #[arg(long, default_value = SUITE, value_name = "PATH")]
    pub(crate) suite: PathBuf,
    /// Only these cases: globs over ids (cors/preflight/**), area:GLOB, requires:GLOB, and ! before a term
    #[arg(long, default_value = "", value_name = "EXPR", hide_default_value = true)]
    pub(crate) filter: String,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Who is tested: chromium, firefox, webkit, the path of an engine's JSON file, reference (the executable standard
    /// itself, without a browser), several with commas, or all (browsers). Default: every browser that is found
    #[arg(long, value_delimiter = ',', value_name = "AGENT")]
    pub(crate) agent: Vec<String>,
    /// Where run records and the journal go, in a folder for each agent
    #[arg(long, default_value = "crosscheck-report", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Run every case this many times; a case whose verdicts differ is flaky
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: u32,
    /// How many cases of one document run at the same time
    #[arg(long, default_value_t = JOBS, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Run only part I of N of the cases
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Only what came out unexpected in the runs in this folder, by agent
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub(crate) again: Option<PathBuf>,
    /// Go on with a run that was cut off, from the journal in --out
    #[arg(long)]
    pub(crate) resume: bool,
    /// A WebDriver that runs already, for a single agent
    #[arg(long, value_name = "URL")]
    pub(crate) webdriver: Option<String>,
    /// The address of the fake servers; port 0 takes a free one
    #[arg(long, default_value = BIND, value_name = "ADDR")]
    pub(crate) bind: SocketAddr,
    /// The folder with the known deviations, <agent>.json
    #[arg(long, default_value = EXPECTATIONS, value_name = "DIR")]
    pub(crate) expectations: PathBuf,
}

/// Part I of N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) index: usize,
    pub(crate) count: usize,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if 1 <= index && index <= count => Ok(Self { index, count }),
            _ => Err("write I/N with 1 <= I <= N, such as 2/4".to_owned()),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// How to write the list
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The case's id
    pub(crate) id: String,
    /// The folder of case files, or one file
    #[arg(long, default_value = SUITE, value_name = "PATH")]
    pub(crate) suite: PathBuf,
}

/// What is asked, and where the answers come from: typed with --response, a live server, or an archive.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --response the server itself is asked. Secrets (cookies, credentials) are never shown.\n\
                        Exit codes: 0 explained; 2 wrong usage or a faulty archive; 3 the server does not answer."
)]
pub(crate) struct ExplainArguments {
    /// An HTTP archive that a browser saved: explains its cross-origin requests that failed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["page", "within", "url", "method", "header", "mode", "credentials",
        "response", "status", "preflight_response", "preflight_status", "changes", "insecure"])]
    pub(crate) har: Option<PathBuf>,
    /// The origin of the page, such as https://app.example, or null
    #[arg(long, value_name = "ORIGIN", requires = "url")]
    pub(crate) page: Option<String>,
    /// The page that holds the document, where that has an opaque origin (--page null) [default: one of the URL's scheme]
    #[arg(long, value_name = "ORIGIN", requires = "page")]
    pub(crate) within: Option<String>,
    /// What the page asks
    #[arg(long, requires = "page")]
    pub(crate) url: Option<String>,
    /// The method
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// A header that the page's script sets; may be repeated
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// The mode of the request
    #[arg(long, value_enum, default_value_t = Mode::Cors)]
    pub(crate) mode: Mode,
    /// The credentials mode of the request
    #[arg(long, value_enum, default_value_t = Credentials::SameOrigin)]
    pub(crate) credentials: Credentials,
    /// A header line of the response; may be repeated
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) response: Vec<String>,
    /// The status of the response [default: 200]
    #[arg(long, value_parser = status)]
    pub(crate) status: Option<u16>,
    /// A header line of the answer to the preflight; may be repeated
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) preflight_response: Vec<String>,
    /// The status of the answer to the preflight [default: 204]
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub(crate) preflight_status: Option<u16>,
    /// Also send requests to the server that may change something (other than GET, HEAD and OPTIONS)
    #[arg(long = "unsafe")]
    pub(crate) changes: bool,
    /// Take any certificate of the server
    #[arg(long)]
    pub(crate) insecure: bool,
    /// How long each answer of the server is waited for
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) timeout: u16,
    /// How to write it
    #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
    pub(crate) format: ExplainFormat,
}

/// `mode` of `fetch()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Cors,
    NoCors,
    SameOrigin,
}

impl Mode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cors => "cors",
            Self::NoCors => "no-cors",
            Self::SameOrigin => "same-origin",
        }
    }
}

/// `credentials` of `fetch()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Credentials {
    Include,
    SameOrigin,
    Omit,
}

impl Credentials {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::SameOrigin => "same-origin",
            Self::Omit => "omit",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ServerArguments {
    /// The policy file
    #[arg(value_name = "POLICY", required_unless_present = "init")]
    pub(crate) policy: Option<PathBuf>,
    /// Write a first policy for this URL to standard output, from a few harmless requests
    #[arg(long, value_name = "URL", conflicts_with = "policy")]
    pub(crate) init: Option<String>,
    /// An origin that the first policy shall let in; may be repeated
    #[arg(long, value_name = "ORIGIN", requires = "init")]
    pub(crate) origin: Vec<String>,
    /// Also send requests that may change something on the server (other than GET, HEAD and OPTIONS)
    #[arg(long = "unsafe")]
    pub(crate) changes: bool,
    /// I run this host, or may test it. Needed for every target that is not this machine
    #[arg(long)]
    pub(crate) i_own_this_host: bool,
    /// Also measure what preflights with long lists of headers cost
    #[arg(long)]
    pub(crate) measure_cost: bool,
    /// Ask again for each HOLE and BREAK from pages in a real browser: chromium, firefox, webkit, or the path of an
    /// engine's JSON file; several with commas. Exit code 4 where a browser disagrees with the executable standard
    #[arg(long, value_delimiter = ',', value_name = "BROWSER", conflicts_with = "init")]
    pub(crate) confirm: Vec<String>,
    /// Take any certificate of the server
    #[arg(long)]
    pub(crate) insecure: bool,
    /// From which severity on the exit code is 1
    #[arg(long, value_enum, default_value_t = FailOn::Poison, value_name = "SEVERITY")]
    pub(crate) fail_on: FailOn,
    /// How to print
    #[arg(long, value_enum, default_value_t = ServerFormat::Text)]
    pub(crate) format: ServerFormat,
    /// Print also the rules that browsers go by, and all headers
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// The whole result, for programs and for `compare`
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// SARIF, for code hosts
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
    /// JUnit XML, for CI systems
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// A summary in Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// A page for people, in one file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<ServerCommand>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ServerCommand {
    /// Who is let in now that was not before, and the other way round
    Compare {
        /// The earlier result (--json)
        before: PathBuf,
        /// The later one
        after: PathBuf,
        /// How to print
        #[arg(long, value_enum, default_value_t = ServerFormat::Text)]
        format: ServerFormat,
    },
}

/// The severities, as arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Hole,
    Break,
    Poison,
    Cost,
    Hygiene,
    Note,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServerFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For comments
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct CoverageArguments {
    /// Run records whose passed cases count as proof: run.json files, or folders with them
    #[arg(value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// The folder of case files, or one file
    #[arg(long, default_value = SUITE, value_name = "PATH")]
    pub(crate) suite: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Also write a page for people
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Run records, or folders with them. Without further options a table is printed
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// A page for people, in one file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// JUnit XML, for CI systems
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// A summary in Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// All run records in one list
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The observed outcomes as test data, <agent>.json.gz
    #[arg(long, value_name = "DIR")]
    pub(crate) recordings: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Who is measured: chromium, firefox, webkit, or the path of an engine's JSON file
    #[arg(long, default_value = "chromium", value_name = "AGENT")]
    pub(crate) agent: String,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// How many requests are under way at the same time
    #[arg(long, default_value_t = JOBS, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// How long each kind of flood lasts
    #[arg(long, default_value_t = 3, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=60))]
    pub(crate) seconds: u16,
    /// The folder with the known deviations, <agent>.json
    #[arg(long, default_value = EXPECTATIONS, value_name = "DIR")]
    pub(crate) expectations: PathBuf,
}

impl RunArguments {
    /// What chose the cases, for the record; empty for all.
    pub(crate) fn chosen_by(&self) -> String {
        let filter = &self.selection.filter;
        match &self.again {
            Some(folder) => format!("{filter} --again {}", folder.display()).trim_start().to_owned(),
            None => filter.clone(),
        }
    }

    /// A run of the cases beside a benchmark; its records go nowhere.
    pub(crate) fn of_bench(bench: &BenchArguments, out: PathBuf) -> Self {
        Self {
            selection: bench.selection.clone(),
            agent: vec![bench.agent.clone()],
            out,
            repeat: 1,
            jobs: bench.jobs,
            shard: None,
            again: None,
            resume: false,
            webdriver: None,
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            expectations: bench.expectations.clone(),
        }
    }
}

/// The status of a response that no other one follows.
fn status(text: &str) -> Result<u16, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let status = text.parse().ok().filter(|status| digits && STATUS.contains(status));
    let status = status.ok_or_else(|| {
        let (least, greatest) = (STATUS.start(), STATUS.end());
        format!("a status is an integer from {least} to {greatest}")
    })?;
    match is_interim(status) {
        true => Err(format!("{status} is the status of an interim response: state that of the one that follows it")),
        false => Ok(status),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}
