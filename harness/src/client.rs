//! A plain HTTP client: what every program that is no browser can do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crosscheck_cases::{ClientProbe, PageResult, ResultKind};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};

const LIMIT: Duration = Duration::from_secs(10);

/// Sends one request to the stage and reads the whole answer.
pub(crate) async fn request(stage: SocketAddr, url: &str, probe: &ClientProbe) -> PageResult {
    match tokio::time::timeout(LIMIT, exchange(stage, url, probe)).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => {
            PageResult { result: ResultKind::NetworkError, message: Some(error.to_string()), ..PageResult::default() }
        }
        Err(_) => PageResult { result: ResultKind::Timeout, ..PageResult::default() },
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(stage: SocketAddr, url: &str, probe: &ClientProbe) -> Result<PageResult, AnyError> {
    let url = url::Url::parse(url)?;
    let host = url.host_str().ok_or("the URL has no host")?.to_owned();
    let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let mut request =
        Request::builder().method(probe.method.as_deref().unwrap_or("GET")).uri(target).header("Host", authority);
    for (name, value) in &probe.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(probe.body.clone().unwrap_or_default())))?;
    let stream = TcpStream::connect(stage).await?;
    if url.scheme() == "https" {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        send(connector()?.connect(name, stream).await?, request).await
    } else {
        send(stream, request).await
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<PageResult, AnyError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), Some(value.as_bytes().iter().map(|byte| char::from(*byte)).collect())))
        .collect();
    Ok(PageResult {
        result: ResultKind::Response,
        status: Some(head.status.as_u16()),
        headers,
        body: Some(String::from_utf8_lossy(&body).into_owned()),
        ..PageResult::default()
    })
}

fn connector() -> Result<TlsConnector, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The stage's certificates are made at its start and signed by nobody; the client only ever talks to it, on loopback.
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
