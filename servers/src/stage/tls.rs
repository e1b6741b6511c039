use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SerialNumber};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey};
use tokio_rustls::rustls::{CipherSuite, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::wire::Stream;

/// How many certificates are kept before the cache starts anew.
const CACHE: usize = 10_000;

/// The TLS side of a stage: certificates made when they are first asked for, and the choice of the HTTP version.
pub(super) struct Tls {
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
}

/// TLS cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No key could be made.
    #[error("cannot make a key for the stage's certificates: {0}")]
    Key(#[from] rcgen::Error),
    /// The key or the settings were refused.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] tokio_rustls::rustls::Error),
}

impl Tls {
    pub(super) fn new() -> Result<Self, TlsError> {
        let mut provider = ring::default_provider();
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        let provider = Arc::new(provider);
        let certificates = Arc::new(Certificates::new()?);
        let config = |protocols: &[&[u8]]| -> Result<Arc<ServerConfig>, TlsError> {
            let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
            // Tickets that hold their session themselves: the number of sessions that a client can resume has no limit.
            config.ticketer = ring::Ticketer::new()?;
            // The cheapest suite that both sides have.
            config.ignore_client_order = true;
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Ok(Arc::new(config))
        };
        Ok(Self { http1: config(&[b"http/1.1"])?, http2: config(&[b"h2", b"http/1.1"])? })
    }

    /// Shakes hands; also gives whether the connection speaks HTTP/2.
    pub(super) async fn accept(&self, stream: Box<dyn Stream>) -> std::io::Result<(TlsStream<Box<dyn Stream>>, bool)> {
        let handshake = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let offers_http2 = handshake.client_hello().server_name().is_some_and(offers_http2);
        let config = if offers_http2 { &self.http2 } else { &self.http1 };
        let stream = handshake.into_stream(Arc::clone(config)).await?;
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((stream, speaks_http2))
    }
}

/// Hosts say by their first label whether they speak HTTP/2: `h2.api.test`, `h2-other.test`.
fn offers_http2(host: &str) -> bool {
    let label = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    label == "h2" || label.starts_with("h2-")
}

/// A certificate for each host name, covering that name only: browsers then do not use one host's HTTP/2 connection
/// for another. All have the same key.
struct Certificates {
    pair: KeyPair,
    key: Arc<dyn SigningKey>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    fn new() -> Result<Self, TlsError> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let key = ring::sign::any_ecdsa_type(&der)?;
        Ok(Self { pair, key, made: Mutex::default() })
    }

    fn make(&self, host: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let names = match host {
            Some(host) => vec![host.to_owned()],
            None => ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
        };
        let mut params = CertificateParams::new(names).ok()?;
        // Firefox refuses two certificates with the same issuer and serial number.
        params.distinguished_name.push(DnType::CommonName, host.unwrap_or("localhost"));
        let mut serial = [0_u8; 16];
        getrandom::fill(&mut serial).ok()?;
        serial[0] &= 0x7f;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = params.self_signed(&self.pair).ok()?;
        Some(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], Arc::clone(&self.key))))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name().map(str::to_ascii_lowercase);
        let name = host.clone().unwrap_or_default();
        if let Some(made) = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Some(Arc::clone(made));
        }
        let certificate = self.make(host.as_deref())?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= CACHE {
            made.clear();
        }
        Some(Arc::clone(made.entry(name).or_insert(certificate)))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Certificates")
    }
}
