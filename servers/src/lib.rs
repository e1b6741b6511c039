//! Fake servers that emit exact cross-origin behaviours.
//!
//! Everything that a server can answer is data: a [`Behaviour`]. The pure function [`respond`] turns a behaviour and a
//! [`Request`] into a [`Reply`]; it does no I/O, so that a prediction and a real server give the same answer. The
//! [`Stage`] is the network shell around it: one loopback listener that plays every origin (http, https, HTTP/1.1,
//! HTTP/2, WebSocket, and the proxy requests of browsers that reach it as their proxy), and a wire log of
//! [`Exchange`]s per [`Token`].
//!
//! This crate knows nothing of cases or browsers.

mod behaviour;
mod body;
mod byte_string;
mod content_length;
mod fields;
mod log;
mod read_response;
mod reply;
mod request;
mod respond;
mod schema;
mod site;
mod stage;
mod status;

pub use behaviour::{
    Behaviour, Condition, Cookie, Fault, HeaderTest, Length, RequestCount, Rule, WebSocketAccept, WebSocketAction,
    WebSocketAnswer,
};
pub use body::{Body, Event, File};
pub use byte_string::{ByteString, ByteStringError};
pub use content_length::{LengthError, content_length};
pub use fields::{Fields, is_token, whole_number};
pub use log::{Ended, Exchange, ReplyHead};
pub use read_response::{ReadResponse, Reading, read_response};
pub use reply::{Framing, Message, Reply, Response};
pub use request::{Origin, OriginError, Protocol, Request, Scheme, is_preflight};
pub use respond::{Counts, respond};
pub use schema::behaviour_schema;
pub use site::{Route, Site, Token, TokenError};
pub use stage::{Limits, Stage, StageConfig, StageError, TlsError};
pub use status::{STATUS, ends_with_head, is_interim};
