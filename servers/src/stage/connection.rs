use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::timeout;

use super::config::Limits;
use super::registry::Registry;
use super::tls::Tls;
use super::wire::{Reset, Stream, Wire};
use super::{http1, http2};
use crate::{Origin, Scheme};

/// What the layers of one connection have in common.
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) registry: Arc<Registry>,
    pub(super) limits: Limits,
    pub(super) tls: Arc<Tls>,
    pub(super) reset: Reset,
    /// The origin of a request that names none.
    pub(super) fallback: Origin,
}

/// TLS in a tunnel in TLS is the most that a browser with an https proxy makes.
const LAYERS: usize = 4;
/// The first byte of a TLS connection: a record of the type handshake. (RFC 8446, 5.1)
const TLS_HANDSHAKE: u8 = 0x16;

impl Connection {
    pub(super) fn fallback(address: SocketAddr) -> Origin {
        let host = match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        Origin { scheme: Scheme::Http, host, port: address.port() }
    }

    /// Serves a connection to its end: looks at its first byte, and again at that of each tunnel and TLS layer in it.
    pub(super) async fn serve(self, stream: Box<dyn Stream>) {
        let mut wire = Wire::new(stream, self.limits.idle);
        let mut scheme = Scheme::Http;
        for _ in 0..LAYERS {
            if wire.buffer.is_empty() && wire.fill().await.is_err() {
                return;
            }
            if wire.buffer.first() == Some(&TLS_HANDSHAKE) {
                let Ok(Ok((stream, speaks_http2))) =
                    timeout(self.limits.idle, self.tls.accept(wire.into_stream())).await
                else {
                    return;
                };
                if speaks_http2 {
                    return http2::serve(self, Box::new(stream)).await;
                }
                wire = Wire::new(Box::new(stream), self.limits.idle);
                scheme = Scheme::Https;
            } else {
                match http1::serve(&self, scheme, wire).await {
                    Some(tunnel) => wire = tunnel,
                    None => return,
                }
                scheme = Scheme::Http;
            }
        }
    }
}
