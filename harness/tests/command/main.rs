//! The `crosscheck` command as its users see it: messages, exit codes, files, and runs in real browsers.

mod explain;
mod faults;
mod reference;
mod runs;
mod scripts;
mod server;
mod suite;
mod support;
