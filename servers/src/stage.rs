mod answer;
mod config;
mod connection;
mod encode;
mod head;
mod http1;
mod http2;
mod listen;
mod parse;
mod registry;
mod tls;
mod upload;
mod websocket;
mod wire;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

pub use self::config::{Limits, StageConfig};
use self::connection::Connection;
use self::registry::Registry;
use self::tls::Tls;
pub use self::tls::TlsError;
use self::wire::Reset;
use crate::{Exchange, Site, Token};

/// The fake servers on the network: one listener that plays every origin.
///
/// A connection may bring TLS or not, HTTP/1.1 or HTTP/2 (over TLS, for hosts whose first label is `h2` or begins with
/// `h2-`), or the requests of a browser that has the stage as its proxy (`CONNECT`, absolute targets); the stage
/// answers all of them itself and never connects to anywhere. The origin comes from TLS and the Host line, the site
/// from the token in the path.
///
/// A clone is another handle of the same stage. When the last handle is dropped, all its tasks end.
#[derive(Clone)]
pub struct Stage {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    listeners: Mutex<JoinSet<()>>,
}

/// What the tasks of a stage need; it does not keep the stage alive.
struct Shared {
    registry: Arc<Registry>,
    tls: Arc<Tls>,
    limits: Limits,
    permits: Arc<Semaphore>,
}

/// A stage cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; {}", advice(source))]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program has this port: stop it, or use port 0 for any free port",
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges: use a higher one, or port 0 for any",
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address: use 127.0.0.1 or [::1]",
        _ => "use 127.0.0.1 with port 0 for any free port",
    }
}

impl Stage {
    /// Listens on all addresses of `config`.
    ///
    /// # Errors
    /// An address cannot be listened on, or TLS cannot be set up.
    pub async fn start(config: StageConfig) -> Result<Self, StageError> {
        let shared = Arc::new(Shared {
            registry: Arc::new(Registry::new()),
            tls: Arc::new(Tls::new()?),
            limits: config.limits,
            permits: Arc::new(Semaphore::new(config.limits.connections.min(Semaphore::MAX_PERMITS))),
        });
        let mut bound = Vec::new();
        for address in config.bind {
            let fault = |source| StageError::Bind { address, source };
            let listener = TcpListener::bind(address).await.map_err(fault)?;
            bound.push((listener.local_addr().map_err(fault)?, listener));
        }
        let (stop, stopped) = watch::channel(false);
        let addresses = bound.iter().map(|(address, _)| *address).collect();
        let mut listeners = JoinSet::new();
        for (address, listener) in bound {
            listeners.spawn(listen::listen(listener, address, Arc::clone(&shared), stopped.clone()));
        }
        Ok(Self { inner: Arc::new(Inner { shared, addresses, stop, listeners: Mutex::new(listeners) }) })
    }

    /// Where the stage listens, in the order of [`StageConfig::bind`], with the true ports.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.inner.addresses
    }

    /// Puts a site behind a token, in the place of the one before. (Sites contain their own URLs, so their tokens are
    /// made before them: [`Token::random`].)
    pub fn publish(&self, token: Token, site: Site) {
        self.registry().publish(token, site, None);
    }

    /// As [`Stage::publish`]; besides, `watcher` gets each exchange when its request was received completely, before
    /// it is answered.
    pub fn publish_watched(&self, token: Token, site: Site, watcher: mpsc::UnboundedSender<Exchange>) {
        self.registry().publish(token, site, Some(watcher));
    }

    /// Changes a published site, say adds routes; false where there is none. `change` must not call the stage.
    pub fn update(&self, token: &Token, change: impl FnOnce(&mut Site)) -> bool {
        let published = self.registry().find(token);
        published.inspect(|published| published.update(change)).is_some()
    }

    /// The exchanges of a site so far, in the order in which their requests arrived.
    #[must_use]
    pub fn log(&self, token: &Token) -> Vec<Exchange> {
        self.registry().find(token).map(|published| published.log()).unwrap_or_default()
    }

    /// The site's log as soon as it is `enough`; also at the deadline, and when the site is withdrawn (or was never
    /// published). `enough` must not call the stage.
    pub async fn wait_for(
        &self,
        token: &Token,
        deadline: Duration,
        enough: impl Fn(&[Exchange]) -> bool,
    ) -> Vec<Exchange> {
        match self.registry().find(token) {
            Some(published) => published.wait_for(deadline, enough).await,
            None => Vec::new(),
        }
    }

    /// Forgets a site and gives its log. Exchanges that are still open go on, but are no longer seen.
    pub fn withdraw(&self, token: &Token) -> Vec<Exchange> {
        self.registry().withdraw(token)
    }

    /// The last 1,000 requests that belong to no published site, with at most 1 KiB of their bodies.
    #[must_use]
    pub fn strays(&self) -> Vec<Exchange> {
        self.registry().strays()
    }

    /// How many requests were received in total, strays and malformed ones included, tunnels not.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.registry().requests()
    }

    /// Serves one connection over any stream, such as a pipe in memory, to its end. Resets are then plain ends.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let address = self.addresses().first().copied().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 80)));
        let connection = self.inner.shared.connection(address, Reset::default());
        let mut stopped = self.inner.stop.subscribe();
        tokio::select! {
            () = connection.serve(Box::new(stream)) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }

    /// Closes the listeners and all connections, and waits until all tasks have ended. Logs can still be read through
    /// other handles.
    pub async fn stop(self) {
        self.registry().stopping();
        self.inner.stop.send_replace(true);
        let mut listeners = std::mem::take(&mut *self.inner.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        while listeners.join_next().await.is_some() {}
    }

    fn registry(&self) -> &Arc<Registry> {
        &self.inner.shared.registry
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stage").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.registry.stopping();
    }
}

impl Shared {
    fn connection(&self, address: SocketAddr, reset: Reset) -> Connection {
        Connection {
            number: self.registry.next_connection(),
            registry: Arc::clone(&self.registry),
            limits: self.limits,
            tls: Arc::clone(&self.tls),
            reset,
            fallback: Connection::fallback(address),
        }
    }
}
