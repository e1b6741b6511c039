//! HTTP/2 over TLS, on a connection of its own.

use bytes::Bytes;
use crosscheck_cases::standard::{Message, Received};
use crosscheck_servers::Fields;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Trouble, host};

type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

pub(super) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    message: &Message,
) -> Result<Received, Trouble> {
    let broken = |why: String| Trouble::Broken { host: host(&message.url), why: Some(why) };
    let request = request(message).map_err(|error| broken(error.to_string()))?;
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(|error| broken(error.to_string()))?;
    // It ends with the last handle, or when it is aborted.
    let connection = tokio::spawn(connection);
    let received = async {
        let response = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
        let (head, mut body) = response.into_parts();
        let headers: Fields =
            head.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().into())).collect();
        let mut bytes = Vec::new();
        let mut complete = true;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default()),
                Err(_) => {
                    complete = false;
                    break;
                }
            }
        }
        Ok(Received { status: head.status.as_u16(), headers, body: bytes, complete, ..Received::default() })
    }
    .await;
    connection.abort();
    received
}

fn request(message: &Message) -> Result<Request<Body>, http::Error> {
    let mut url = message.url.clone();
    url.set_fragment(None);
    let mut request = Request::builder().method(message.method.as_bytes()).uri(url.as_str());
    for (name, value) in &message.headers {
        request = request.header(name.as_bytes(), value.as_bytes());
    }
    let bytes = Bytes::from(message.body.clone());
    // Of a body that is a stream nobody knows the length.
    let body = if bytes.is_empty() || message.headers.contains("content-length") {
        Full::new(bytes).boxed_unsync()
    } else {
        StreamBody::new(stream::once(async { Ok(Frame::data(bytes)) })).boxed_unsync()
    };
    request.body(body)
}
