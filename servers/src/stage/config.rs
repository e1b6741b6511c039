use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where a stage listens and how much it takes.
#[derive(Clone, Debug)]
pub struct StageConfig {
    /// The addresses to listen on; port 0 is any free one. Default: any free port of 127.0.0.1.
    pub bind: Vec<SocketAddr>,
    /// What is too much or too long.
    pub limits: Limits,
}

impl Default for StageConfig {
    fn default() -> Self {
        Self { bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], limits: Limits::default() }
    }
}

/// What a stage takes before it refuses.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The request line and header lines together, in bytes; more is answered 431. Default: 64 KiB.
    pub head_bytes: usize,
    /// The body of a request, in bytes; more is answered 413. Default: 16 MiB.
    pub body_bytes: u64,
    /// How long a client may send nothing, or take nothing of what is sent to it. Default: a minute.
    pub idle: Duration,
    /// How many connections may be open at once; further ones wait. Default: 4,096.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 64 << 10, body_bytes: 16 << 20, idle: Duration::from_secs(60), connections: 4096 }
    }
}
