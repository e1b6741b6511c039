//! The executable standard against what it is to agree with: observations of real browsers, hand-written cases, the
//! inventory, and deliberately wrong copies of itself.

mod controls;
mod embedder_policy;
mod exchanges;
mod framing;
mod isolation;
mod not_modelled;
mod opener_policy;
mod predictions;
mod recordings;
mod required;
mod sandboxing;
mod support;
mod wrong_agents;
