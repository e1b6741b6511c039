//! The executable standard: what a user agent that keeps the rules sends, and what it lets a page see.
//!
//! [`perform`] is a state machine without I/O ([`Machine`]): it says which [`Message`] goes out next, takes the
//! [`Answer`], and ends in what the page saw, why it was blocked, and the [`Decision`]s on the way, each with the id of
//! the requirement that it follows. Functions have the names of the standard's algorithms and the order of their steps.

mod blocking;
mod client;
mod cookie_date;
mod cookies;
mod corp;
mod cors_check;
mod coverage;
mod csp;
mod elements;
mod embedder_policy;
mod fetch;
mod fetch_metadata;
mod framing;
mod header_value;
mod http_cache;
mod http_fetch;
mod integrity;
mod isolation;
mod lna;
mod machine;
mod nosniff;
mod opener_policy;
mod origin;
mod page;
mod perform;
mod permissions_policy;
mod preflight;
mod preflight_cache;
mod redirect_fetch;
mod referrer;
mod request;
mod request_class;
mod safelist;
mod sandboxing;
mod set_cookie;
#[cfg(test)]
mod testing;
mod trace;
mod websocket;
mod xhr;

pub use client::Client;
pub use corp::{Embedded, check_resource_policy};
pub use coverage::{consulted, modelled, not_modelled};
pub(crate) use elements::{SEEN, is_modelled as is_load_modelled};
pub use embedder_policy::{
    Checked, Containers, CreationUrl, Disposition, EmbedderPolicy, EmbedderPolicyReport, EmbedderPolicyValue,
};
pub use fetch::NetworkError;
pub use framing::{Answered, Container, FrameBlock, Navigated, adheres_to_frame_options, navigate};
pub use isolation::{Isolation, IsolationMode};
pub use lna::{Access, AddressSpace, Permission};
pub use machine::{Answer, Failure, Machine, Message, MessageKind, Next, Received, SocketEvent};
pub use opener_policy::{Governed, OpenerPolicy, switches_group};
pub use origin::{Origin, registrable_domain};
pub use perform::{Performance, perform};
pub use request::Destination;
pub use safelist::script_may_set;
pub use sandboxing::{SandboxingFlag, SandboxingFlags, Target};
pub use trace::{Decided, Decision};
