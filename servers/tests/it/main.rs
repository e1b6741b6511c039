//! What the servers send and log, seen from the other end of real connections. One program: it is linked once.

mod faults;
mod field_values;
mod fuzz;
mod http1;
mod http2;
mod limits;
mod log;
mod proxy;
mod schema;
mod support;
mod tls;
mod websocket;
