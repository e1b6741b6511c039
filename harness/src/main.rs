//! The `crosscheck` command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about = "A conformance suite for the web's cross-origin rules")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the cases, expanded
    List {
        /// The folder of case files, or one file
        #[arg(long, default_value = "cases/suite")]
        suite: PathBuf,
    },
}

fn main() -> ExitCode {
    let Command::List { suite } = Arguments::parse().command;
    match crosscheck_cases::load(&suite) {
        Ok(suite) => {
            for case in &suite.cases {
                println!("{}  {}", case.id, case.stated.title);
            }
            let generated = suite.cases.iter().filter(|case| case.generated).count();
            println!("{} cases, {generated} of them from matrices", suite.cases.len());
            ExitCode::SUCCESS
        }
        Err(faults) => {
            eprintln!("{:?}", miette::Report::new(faults));
            ExitCode::from(2)
        }
    }
}
