//! The harness' own HTTP client: it carries the messages of the executable standard to servers, byte for byte, and
//! brings their answers back.

mod http1;
mod http2;
mod tls;
mod websocket;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crosscheck_cases::standard::{Answer, Failure, Message, MessageKind, Received};
use tokio::net::TcpStream;
use url::Url;

use http1::Connection;
pub use tls::{TlsSetupError, Trust};
use websocket::Upgraded;

/// How many connections wait to be used again, at most.
const POOL: usize = 96;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The host has no address.
    #[error("{host} has no address: {why}")]
    Unresolved {
        /// The host.
        host: String,
        /// What the resolver says.
        why: String,
    },
    /// No connection.
    #[error("{host} takes no connection at {address}: {source}")]
    Unconnected {
        /// The host.
        host: String,
        /// The address that was tried last.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The TLS handshake failed.
    #[error("no TLS connection to {host}: {source}")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke before there was a response.
    #[error("the connection to {host} broke before there was a response{}", why.as_deref().map(|why| format!(": {why}")).unwrap_or_default())]
    Broken {
        /// The host.
        host: String,
        /// What the operating system says; nothing where the server closed the connection in good order.
        why: Option<String>,
    },
    /// What came is not HTTP.
    #[error("what {host} sends is not HTTP")]
    Malformed {
        /// The host.
        host: String,
    },
    /// The head of the answer does not end.
    #[error("the head of what {host} answers is larger than {} KiB", limit / 1024)]
    LargeHead {
        /// The host.
        host: String,
        /// How many bytes were read of it.
        limit: usize,
    },
    /// The head of the answer does not end in time.
    #[error("{host} began to answer, and the head of the answer was not at its end within {} seconds", limit.as_secs_f64())]
    SlowHead {
        /// The host.
        host: String,
        /// The time.
        limit: Duration,
    },
    /// Nothing came in time.
    #[error("{host} did not answer within {} seconds", limit.as_secs_f64())]
    TimedOut {
        /// The host.
        host: String,
        /// The time.
        limit: Duration,
    },
}

impl Trouble {
    /// The answer that it is to the executable standard.
    #[must_use]
    pub const fn answer(&self) -> Answer {
        match self {
            Self::Unresolved { .. } | Self::Unconnected { .. } | Self::Tls { .. } | Self::Broken { .. } => {
                Answer::Failed(Failure::Connection)
            }
            Self::Malformed { .. } | Self::LargeHead { .. } => Answer::Failed(Failure::Malformed),
            Self::SlowHead { .. } | Self::TimedOut { .. } => Answer::Never,
        }
    }
}

/// Carries messages: all to one stage, which plays every host, or each to the host that its URL names.
#[derive(Debug)]
pub struct Transport {
    route: Route,
    tls: tls::Connectors,
    /// Connections that can be used again, the one that was used last at the end.
    pool: Mutex<VecDeque<(Key, Connection)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Stage(SocketAddr),
    Network,
}

/// What connections are shared by: scheme and authority, and whether there are credentials. (Fetch, *obtain a
/// connection*)
type Key = (String, bool);

impl Transport {
    /// A transport to a stage. Its certificates are made for each run and signed by nobody: all are taken.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn to_stage(stage: SocketAddr) -> Result<Self, TlsSetupError> {
        Self::new(Route::Stage(stage), Trust::Anything)
    }

    /// A transport to the hosts that URLs name.
    ///
    /// # Errors
    /// TLS cannot be set up, or this machine has no root certificates.
    pub fn to_network(trust: Trust) -> Result<Self, TlsSetupError> {
        Self::new(Route::Network, trust)
    }

    fn new(route: Route, trust: Trust) -> Result<Self, TlsSetupError> {
        Ok(Self { route, tls: tls::Connectors::new(trust)?, pool: Mutex::default() })
    }

    /// The exchanges of one agent.
    pub const fn exchanges(&self) -> Exchanges<'_> {
        Exchanges { transport: self, reuses: true, upgraded: None }
    }

    /// Connects to the host of a URL.
    async fn connect(&self, url: &Url) -> Result<TcpStream, Trouble> {
        let host = host(url);
        let addresses = match self.route {
            Route::Stage(address) => vec![address],
            Route::Network => resolve(url).await?,
        };
        let mut last = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // It is only slower without.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(source) => last = Some((address, source)),
            }
        }
        Err(match last {
            Some((address, source)) => Trouble::Unconnected { host, address, source },
            None => Trouble::Unresolved { host, why: "the resolver names none".to_owned() },
        })
    }

    /// A connection that waits, and is not closed by its other end.
    fn pooled(&self, key: &Key) -> Option<Connection> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(position) = pool.iter().rposition(|(other, _)| other == key) {
            if let Some((_, mut connection)) = pool.remove(position)
                && connection.is_quiet()
            {
                return Some(connection);
            }
        }
        None
    }

    /// Closes all connections that wait: a server that serves one at a time is free for the next then.
    pub(crate) fn close_idle(&self) {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn keep(&self, key: Key, connection: Connection) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.push_back((key, connection));
        if pool.len() > POOL {
            pool.pop_front();
        }
    }

    async fn open(&self, url: &Url) -> Result<Connection, Trouble> {
        let stream = self.connect(url).await?;
        if url.scheme() == "https" {
            let stream = self.tls.http1(&host(url), stream).await?;
            Ok(Connection::new(Box::new(stream)))
        } else {
            Ok(Connection::new(Box::new(stream)))
        }
    }

    /// The fake servers speak HTTP/2 where the first label of the host says so.
    fn speaks_http2(&self, message: &Message) -> bool {
        let host = message.url.host_str().unwrap_or_default();
        let label = host.split('.').next().unwrap_or_default();
        matches!(self.route, Route::Stage(_))
            && message.url.scheme() == "https"
            && message.kind != MessageKind::Handshake
            && (label == "h2" || label.starts_with("h2-"))
    }
}

/// The addresses of a URL's host.
pub(crate) async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Trouble> {
    let name = host(url);
    let port = url.port_or_known_default().unwrap_or_default();
    let fault = |why: String| Trouble::Unresolved { host: name.clone(), why };
    match url.host() {
        Some(url::Host::Ipv4(address)) => Ok(vec![SocketAddr::from((address, port))]),
        Some(url::Host::Ipv6(address)) => Ok(vec![SocketAddr::from((address, port))]),
        Some(url::Host::Domain(domain)) => match tokio::net::lookup_host((domain, port)).await {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(fault(error.to_string())),
        },
        None => Err(fault("the URL names no host".to_owned())),
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// The exchanges of one agent: messages one after another, with at most one WebSocket connection open.
#[derive(Debug)]
pub struct Exchanges<'t> {
    transport: &'t Transport,
    reuses: bool,
    upgraded: Option<Upgraded>,
}

impl Exchanges<'_> {
    /// Gives every message a connection of its own: where servers break connections on purpose, an old connection that
    /// breaks cannot be told from that.
    #[must_use]
    pub const fn without_reuse(mut self) -> Self {
        self.reuses = false;
        self
    }

    /// From now on, the same.
    pub(crate) const fn stop_reusing(&mut self) {
        self.reuses = false;
    }

    /// Sends a message and waits for its answer, at most for `limit`.
    ///
    /// # Errors
    /// There is no answer; [`Trouble::answer`] is what the executable standard makes of that.
    pub async fn exchange(&mut self, message: &Message, limit: Duration) -> Result<Answer, Trouble> {
        let host = host(&message.url);
        let started = Instant::now();
        let done = async {
            match &message.kind {
                MessageKind::Conversation { send, messages } => match self.upgraded.take() {
                    Some(upgraded) => Ok(Answer::Conversation(upgraded.converse(send.clone(), *messages).await)),
                    None => Err(Trouble::Broken { host: host.clone(), why: None }),
                },
                _ if self.transport.speaks_http2(message) => {
                    let stream = self.transport.connect(&message.url).await?;
                    let stream = self.transport.tls.http2(&host, stream).await?;
                    http2::exchange(stream, message).await.map(Answer::Response)
                }
                _ => self.request(message, limit).await.map(Answer::Response),
            }
        };
        let answer = match tokio::time::timeout(limit, done).await {
            Ok(answer) => answer?,
            Err(_) => return Err(Trouble::TimedOut { host, limit }),
        };
        Ok(match answer {
            Answer::Response(received) => Answer::Response(Received { took: started.elapsed(), ..received }),
            other => other,
        })
    }

    /// A request over HTTP/1.1.
    async fn request(&mut self, message: &Message, limit: Duration) -> Result<Received, Trouble> {
        let live = self.transport.route == Route::Network;
        let bytes = http1::encode(message, live);
        let is_head = message.method == *"HEAD";
        let credentials = message.headers.contains("cookie") || message.headers.contains("authorization");
        let key: Key = (message.url.origin().ascii_serialization(), credentials);
        // A server that never ends is listened to for half of the time.
        let patience = live.then(|| limit / 2);
        let pooled = match message.kind {
            MessageKind::Request | MessageKind::Preflight if self.reuses => self.transport.pooled(&key),
            _ => None,
        };
        let mut read = None;
        if let Some(mut connection) = pooled {
            match connection.exchange(&message.url, &bytes, is_head, patience).await {
                // Its server closed it before the request came: nobody has seen the request.
                Err(Trouble::Broken { .. }) => {}
                other => read = Some((connection, other?)),
            }
        }
        let (connection, read) = match read {
            Some(read) => read,
            None => {
                let mut connection = self.transport.open(&message.url).await?;
                let read = connection.exchange(&message.url, &bytes, is_head, patience).await?;
                (connection, read)
            }
        };
        if read.response.status == 101 && message.kind == MessageKind::Handshake {
            self.upgraded = Some(Upgraded::new(connection.into_stream(), read.beyond));
        } else if self.reuses
            && message.kind != MessageKind::Handshake
            && read.response.keep_alive
            && read.beyond.is_empty()
            && read.response.status != 421
        {
            self.transport.keep(key, connection);
        }
        let response = read.response;
        Ok(Received {
            status: response.status,
            reason: response.reason,
            headers: response.headers,
            body: response.body,
            complete: response.complete,
            took: Duration::ZERO,
        })
    }
}
