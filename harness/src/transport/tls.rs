//! TLS, and whom it trusts.

use std::fmt;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};

use super::Trouble;

/// Which certificates are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Every one.
    Anything,
    /// Those that this machine's root certificates vouch for.
    Roots,
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The settings were refused.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] TlsError),
    /// There is nothing to check certificates against.
    #[error("this machine has no root certificates (on Debian: the package ca-certificates){why}")]
    NoRoots {
        /// What went wrong when they were looked for.
        why: String,
    },
}

/// What makes TLS connections, for each version of HTTP.
pub(super) struct Connectors {
    http1: TlsConnector,
    http2: TlsConnector,
}

impl Connectors {
    pub(super) fn new(trust: Trust) -> Result<Self, TlsSetupError> {
        let mut config = config(trust)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut http2 = config.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { http1: TlsConnector::from(Arc::new(config)), http2: TlsConnector::from(Arc::new(http2)) })
    }

    pub(super) async fn http1(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Trouble> {
        connect(&self.http1, host, stream).await
    }

    pub(super) async fn http2(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Trouble> {
        connect(&self.http2, host, stream).await
    }
}

async fn connect(connector: &TlsConnector, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Trouble> {
    let fault = |source| Trouble::Tls { host: host.to_owned(), source };
    // A trailing dot belongs to the host of a URL, not to the name in TLS. (RFC 6066, 3)
    let bare = host.trim_matches(['[', ']']);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    let name = ServerName::try_from(bare.to_owned()).map_err(|error| fault(std::io::Error::other(error)))?;
    connector.connect(name, stream).await.map_err(fault)
}

fn config(trust: Trust) -> Result<ClientConfig, TlsSetupError> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    Ok(match trust {
        Trust::Anything => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth(),
        Trust::Roots => config.with_root_certificates(roots()?).with_no_client_auth(),
    })
}

fn roots() -> Result<RootCertStore, TlsSetupError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(TlsSetupError::NoRoots { why });
    }
    Ok(roots)
}

/// Takes every certificate.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Connectors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Connectors")
    }
}
