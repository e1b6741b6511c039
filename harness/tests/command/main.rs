//! The `crosscheck` command as its users see it: messages, exit codes, files, and runs in real browsers.

mod faults;
mod runs;
mod suite;
mod support;
