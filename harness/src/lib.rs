//! The harness: agents, runs, and the `crosscheck` command.
