use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::{Sleep, timeout};

use super::connection::Connection;
use super::head::Refusal;
use super::registry::{OpenExchange, Unread, explanation};
use super::upload::Received;
use super::wire::Stream;
use crate::{Ended, Fault, Fields, Framing, Message, Origin, Protocol, Reply, ReplyHead, Request, Response, Scheme};

/// Serves an HTTP/2 connection to its end.
pub(super) async fn serve(connection: Connection, stream: Box<dyn Stream>) {
    // Dropped together with this future; the tasks of all streams then end.
    let (_alive, ended) = watch::channel(());
    let head_bytes = u32::try_from(connection.limits.head_bytes).unwrap_or(u32::MAX);
    let connection = Arc::new(connection);
    let service = service_fn(move |request| {
        let connection = Arc::clone(&connection);
        async move { exchange(&connection, request).await }
    });
    let served = hyper::server::conn::http2::Builder::new(Tasks { ended })
        .auto_date_header(false)
        .max_header_list_size(head_bytes)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP/2 connection ended");
    }
}

/// Runs the streams of a connection as tasks that do not outlive it.
#[derive(Clone)]
struct Tasks {
    ended: watch::Receiver<()>,
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, stream: F) {
        let mut ended = self.ended.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stream => {}
                _ = ended.changed() => {}
            }
        });
    }
}

/// The stream is reset in place of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the stream is reset, as the behaviour demands or because HTTP/2 cannot carry the answer")]
struct StreamReset;

async fn exchange(
    connection: &Connection,
    request: http::Request<Incoming>,
) -> Result<http::Response<Paced>, StreamReset> {
    let arrival = connection.registry.arrival(connection.number);
    let (parts, body) = request.into_parts();
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let mut headers = Fields::new();
    if let Some(authority) = authority {
        headers.push("host", authority);
    }
    for (name, value) in &parts.headers {
        headers.push(name.as_str(), value.as_bytes());
    }
    let host = headers.all("host").next().map(|host| host.decode().into_owned());
    let origin = host.and_then(|host| Origin::from_authority(Scheme::Https, &host));
    let method = parts.method.as_str().into();
    let target = parts.uri.path_and_query().map_or_else(|| "*".to_owned(), ToString::to_string);

    let mut received = Received::default();
    let read = receive(body, connection, &mut received).await;
    let (ended, refusal) = match (read, origin) {
        (Ok(()), Some(origin)) => {
            let body = received.kept;
            let request = Request { method, origin, target, headers, body, protocol: Protocol::Http2 };
            let (exchange, reply) = connection.registry.receive(arrival, &request, received.length);
            return answer(reply, exchange).await;
        }
        (Ok(()), None) => (Ended::Malformed, Some(Refusal::Malformed("the request names no host"))),
        (Err(Unreceived::TooLarge(refusal)), _) => (Ended::Malformed, Some(refusal)),
        (Err(Unreceived::Gone), _) => (Ended::ClientGone, None),
        (Err(Unreceived::TimedOut), _) => (Ended::TimedOut, None),
    };
    let response = refusal.map(|refusal| explanation(refusal.status(), format!("{}\n", refusal.text())));
    let reply = response.as_ref().map(|response| ReplyHead { status: response.status, headers: lines(response) });
    let unread = Unread {
        protocol: Protocol::Http2,
        method,
        origin: "null".to_owned(),
        target,
        headers,
        body_length: received.length,
    };
    connection.registry.refuse(arrival, unread, reply, ended);
    response.as_ref().and_then(|response| build(response, Paced::of(response))).ok_or(StreamReset)
}

enum Unreceived {
    TooLarge(Refusal),
    Gone,
    TimedOut,
}

async fn receive(mut body: Incoming, connection: &Connection, received: &mut Received) -> Result<(), Unreceived> {
    loop {
        match timeout(connection.limits.idle, body.frame()).await {
            Err(_) => return Err(Unreceived::TimedOut),
            Ok(None) => return Ok(()),
            Ok(Some(Err(_))) => return Err(Unreceived::Gone),
            Ok(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    received.take(data, connection.limits.body_bytes).map_err(Unreceived::TooLarge)?;
                }
            }
        }
    }
}

/// Carries out a reply. What HTTP/2 cannot carry, and a fault that would end a connection, resets the stream.
async fn answer(reply: Reply, exchange: OpenExchange) -> Result<http::Response<Paced>, StreamReset> {
    if !reply.after.is_empty() {
        exchange.after(&reply.after).await;
    }
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    let (response, fails) = match reply.message {
        Message::Response(response) => (response, false),
        Message::Fault(Fault::ResetInBody, response) => (response, true),
        Message::Fault(Fault::NeverAnswer, _) => std::future::pending().await,
        Message::Fault(Fault::Reset | Fault::Close | Fault::ResetInHeaders, _)
        | Message::Verbatim(_)
        | Message::WebSocket(..) => {
            exchange.finish(Ended::Fault);
            return Err(StreamReset);
        }
    };
    let Some(mut built) = build(&response, Paced::of(&response)) else {
        exchange.finish(Ended::Fault);
        return Err(StreamReset);
    };
    exchange.replying(response.status, lines(&response));
    let body = built.body_mut();
    if fails {
        body.fail_half_way(&response, exchange);
    } else if body.pieces.is_empty() {
        exchange.finish(Ended::Answered);
    } else {
        body.exchange = Some(exchange);
    }
    Ok(built)
}

/// The header lines of a response as HTTP/2 has them: lower case, without those that manage an HTTP/1 connection.
fn lines(response: &Response) -> Fields {
    const CONNECTION: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    let mut lines: Fields = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_bytes().to_ascii_lowercase(), value))
        .filter(|(name, _)| !CONNECTION.iter().any(|line| line.as_bytes() == name.as_slice()))
        .map(|(name, value)| (name.into(), value.clone()))
        .collect();
    if let Framing::Length(length) = response.framing
        && !lines.contains("content-length")
    {
        lines.push("content-length", length.to_string().as_str());
    }
    lines
}

/// The response in hyper's form; nothing where HTTP/2 cannot carry it.
fn build(response: &Response, body: Paced) -> Option<http::Response<Paced>> {
    let status = http::StatusCode::from_u16(response.status).ok().filter(|status| !status.is_informational())?;
    let mut built = http::Response::new(body);
    *built.status_mut() = status;
    for (name, value) in &lines(response) {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        built.headers_mut().append(name, value);
    }
    Some(built)
}

/// A body in pieces, with pauses between them.
struct Paced {
    pieces: VecDeque<Bytes>,
    pause: Duration,
    pausing: Option<Pin<Box<Sleep>>>,
    fails: bool,
    exchange: Option<OpenExchange>,
}

impl Paced {
    fn of(response: &Response) -> Self {
        let pieces = response.body.iter().filter(|piece| !piece.is_empty());
        Self {
            pieces: pieces.map(|piece| Bytes::copy_from_slice(piece)).collect(),
            pause: response.pause,
            pausing: None,
            fails: false,
            exchange: None,
        }
    }

    /// Half of the body, then a reset.
    fn fail_half_way(&mut self, response: &Response, exchange: OpenExchange) {
        let body = response.body.concat();
        let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
        self.pieces = if half.is_empty() { VecDeque::new() } else { VecDeque::from([half]) };
        self.fails = true;
        self.exchange = Some(exchange);
    }

    fn finish(&mut self, ended: Ended) {
        if let Some(exchange) = self.exchange.take() {
            exchange.finish(ended);
        }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = StreamReset;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StreamReset>>> {
        if let Some(pausing) = &mut self.pausing {
            ready!(pausing.as_mut().poll(cx));
            self.pausing = None;
        }
        let Some(piece) = self.pieces.pop_front() else {
            return Poll::Ready(if self.fails {
                self.finish(Ended::Fault);
                Some(Err(StreamReset))
            } else {
                None
            });
        };
        if self.pieces.is_empty() && !self.fails {
            self.finish(Ended::Answered);
        } else if !self.pause.is_zero() {
            self.pausing = Some(Box::pin(tokio::time::sleep(self.pause)));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && !self.fails
    }
}
