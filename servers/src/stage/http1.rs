use bytes::Buf;

use super::answer::{After, Asked, answer};
use super::connection::Connection;
use super::encode::{self, Framed};
use super::head::{self, Head, Refusal};
use super::parse::parse;
use super::registry::{Arrival, Unread, explanation};
use super::upload::{self, Interrupted, Received};
use super::websocket;
use super::wire::{Broken, Wire};
use crate::{Ended, Protocol, ReplyHead, Request, Scheme};

/// Answers the requests on a connection, one after another, until it ends (nothing is given back) or the client has
/// its tunnel (the wire is given back).
pub(super) async fn serve(connection: &Connection, scheme: Scheme, mut wire: Wire) -> Option<Wire> {
    loop {
        let after = match read_head(connection, &mut wire).await {
            Ok((head, None)) => {
                tracing::trace!("a tunnel to {}", head.target);
                return wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok().map(|()| wire);
            }
            Ok((head, Some(arrival))) => exchange(connection, scheme, &mut wire, head, arrival).await,
            Err(after) => after,
        };
        match after {
            After::Next => {}
            After::Drop => return None,
            After::Close => {
                wire.close().await;
                return None;
            }
            After::WebSocket(script) => {
                websocket::serve(wire, script).await;
                return None;
            }
        }
    }
}

/// Reads a head, or tells what becomes of a connection that brings none. Asking for a tunnel is no arrival.
async fn read_head(connection: &Connection, wire: &mut Wire) -> Result<(Head, Option<Arrival>), After> {
    loop {
        if !wire.buffer.is_empty() {
            match parse(&wire.buffer, connection.limits.head_bytes) {
                Ok(Some((head, length))) => {
                    wire.buffer.advance(length);
                    let arrival = (!head.is_connect()).then(|| connection.registry.arrival(connection.number));
                    return Ok((head, arrival));
                }
                Ok(None) => {}
                Err(refusal) => {
                    let arrival = connection.registry.arrival(connection.number);
                    let guess = Head::guess(&wire.buffer);
                    return Err(refuse(connection, wire, arrival, guess, 0, refusal).await);
                }
            }
        }
        if let Err(broken) = wire.fill().await {
            let idle = broken == Broken::TimedOut && wire.buffer.is_empty();
            return Err(if idle { After::Close } else { After::Drop });
        }
    }
}

/// Reads the rest of a request and answers it.
async fn exchange(connection: &Connection, scheme: Scheme, wire: &mut Wire, head: Head, arrival: Arrival) -> After {
    let meaning = match head.meaning(scheme, &connection.fallback) {
        Ok(meaning) => meaning,
        Err(refusal) => return refuse(connection, wire, arrival, head, 0, refusal).await,
    };
    let mut received = Received::default();
    let has_body = meaning.upload != head::Upload::Length(0);
    let read = async {
        if has_body && meaning.expects_continue && wire.buffer.is_empty() {
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        upload::receive(wire, meaning.upload, connection.limits.body_bytes, &mut received).await
    };
    let read = read.await;
    let head = Head { target: meaning.target, ..head };
    match read {
        Ok(()) => {}
        Err(Interrupted::Refused(refusal)) => {
            return refuse(connection, wire, arrival, head, received.length, refusal).await;
        }
        Err(Interrupted::Broken(broken)) => {
            let unread = Unread { origin: meaning.origin.to_string(), ..unread(head, received.length) };
            connection.registry.refuse(arrival, unread, None, broken.into());
            return After::Drop;
        }
    }
    let request = Request {
        method: head.method,
        origin: meaning.origin,
        target: head.target,
        headers: head.headers,
        body: received.kept,
        protocol: head.protocol,
    };
    let asked = Asked {
        is_head: request.method == *"HEAD",
        is_http10: request.protocol == Protocol::Http10,
        keep_alive: meaning.keep_alive,
    };
    let (exchange, reply) = connection.registry.receive(arrival, &request, received.length);
    answer(wire, asked, reply, &connection.reset, exchange).await
}

fn unread(head: Head, body_length: u64) -> Unread {
    let Head { protocol, method, target, headers } = head;
    Unread { protocol, method, origin: "null".to_owned(), target, headers, body_length }
}

/// Says why a request is not taken, and logs that.
async fn refuse(
    connection: &Connection,
    wire: &mut Wire,
    arrival: Arrival,
    head: Head,
    body_length: u64,
    refusal: Refusal,
) -> After {
    let mut response = explanation(refusal.status(), format!("{}\n", refusal.text()));
    response.headers.push("Connection", "close");
    let framed = Framed::new(&response, false, false);
    let reply = ReplyHead { status: response.status, headers: framed.headers.clone() };
    connection.registry.refuse(arrival, unread(head, body_length), Some(reply), Ended::Malformed);
    let mut out = encode::head(response.status, &response.reason, &framed.headers);
    response.body.iter().for_each(|piece| framed.push(&mut out, piece));
    match wire.send(&out).await {
        Ok(()) => After::Close,
        Err(_) => After::Drop,
    }
}
