//! The harness: it plans what has to be loaded, drives agents, joins what pages saw with what arrived at the servers,
//! and gives verdicts. The `crosscheck` command is a thin shell over this library.

mod attempt;
mod attempts;
pub mod bench;
mod browser;
pub mod check;
mod control;
pub mod discover;
mod driver;
mod engine;
mod event;
mod expectations;
pub mod explain;
pub mod guard;
mod journal;
mod judge;
mod network;
mod observe;
mod page;
mod plan;
mod reasons;
mod record;
mod reference;
mod run;
mod session;
mod slowness;
mod terminal;
pub mod transport;

pub use discover::{Installed, Missing, discover};
pub use driver::DriverError;
pub use engine::{
    Direct, Engine, EngineError, Lenient, Pattern, Placeholders, ReasonSource, Reasons, RootArgs, is_file_name,
};
pub use event::RunEvent;
pub use expectations::{Entry, Expectations, ExpectationsError};
pub use journal::{Journal, JournalError};
pub use run::{Agent, RunError, RunOptions, run};
pub use session::SessionError;
