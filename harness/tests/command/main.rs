//! The `crosscheck` command as its users see it: messages, exit codes, files, and runs in real browsers.

mod explain;
mod faults;
mod reference;
mod runs;
mod server;
mod suite;
mod support;
