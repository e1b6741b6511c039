use std::future::pending;

use tokio::time::sleep;

use super::encode::{self, Framed};
use super::registry::OpenExchange;
use super::wire::{Broken, Reset, Wire};
use crate::{Ended, Fault, Message, Reply, Response, WebSocketAction};

/// What becomes of a connection after an answer.
#[derive(Debug)]
pub(super) enum After {
    /// The next request may come.
    Next,
    /// It is closed in good order.
    Close,
    /// It is let go at once: the client is gone, or a reset was asked for.
    Drop,
    /// It speaks WebSocket.
    WebSocket(Vec<WebSocketAction>),
}

/// The facts of a request that its answer depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) is_head: bool,
    pub(super) is_http10: bool,
    pub(super) keep_alive: bool,
}

impl From<Broken> for Ended {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Gone => Self::ClientGone,
            Broken::TimedOut => Self::TimedOut,
        }
    }
}

/// Carries out a reply on an HTTP/1 connection and logs its end.
pub(super) async fn answer(
    wire: &mut Wire,
    asked: Asked,
    reply: Reply,
    reset: &Reset,
    exchange: OpenExchange,
) -> After {
    match carry_out(wire, asked, reply, reset, &exchange).await {
        Ok((ended, after)) => {
            exchange.finish(ended);
            after
        }
        Err(broken) => {
            exchange.finish(broken.into());
            After::Drop
        }
    }
}

async fn carry_out(
    wire: &mut Wire,
    asked: Asked,
    reply: Reply,
    reset: &Reset,
    exchange: &OpenExchange,
) -> Result<(Ended, After), Broken> {
    if !reply.after.is_empty() {
        wire.wait(exchange.after(&reply.after)).await?;
    }
    if !reply.delay.is_zero() {
        wire.wait(sleep(reply.delay)).await?;
    }
    match reply.message {
        Message::Response(response) => {
            let framed = Framed::new(&response, asked.is_head, asked.is_http10);
            exchange.replying(response.status, framed.headers.clone());
            send(wire, &response, &framed).await?;
            let after = if framed.close_after || !asked.keep_alive { After::Close } else { After::Next };
            Ok((Ended::Answered, after))
        }
        Message::Verbatim(bytes) => {
            wire.send(bytes.as_bytes()).await?;
            Ok((Ended::Answered, After::Close))
        }
        Message::WebSocket(response, script) => {
            exchange.replying(response.status, response.headers.clone());
            wire.send(&encode::head(response.status, &response.reason, &response.headers)).await?;
            Ok((Ended::Upgraded, After::WebSocket(script)))
        }
        Message::Fault(fault, response) => {
            let after = fail(wire, asked, fault, &response, reset, exchange).await?;
            Ok((Ended::Fault, after))
        }
    }
}

/// Everything in one write, unless the behaviour pauses between pieces.
async fn send(wire: &mut Wire, response: &Response, framed: &Framed) -> Result<(), Broken> {
    let mut out = encode::head(response.status, &response.reason, &framed.headers);
    for (position, piece) in response.body.iter().enumerate() {
        if position > 0 && !response.pause.is_zero() {
            wire.send(&out).await?;
            out.clear();
            wire.wait(sleep(response.pause)).await?;
        }
        framed.push(&mut out, piece);
    }
    framed.end(&mut out);
    wire.send(&out).await
}

async fn fail(
    wire: &mut Wire,
    asked: Asked,
    fault: Fault,
    response: &Response,
    reset: &Reset,
    exchange: &OpenExchange,
) -> Result<After, Broken> {
    let framed = Framed::new(response, asked.is_head, asked.is_http10);
    match fault {
        Fault::Reset => {}
        Fault::Close => return Ok(After::Close),
        Fault::NeverAnswer => wire.wait(pending()).await?,
        Fault::ResetInHeaders => wire.send(&encode::half_of_head(response, &framed)).await?,
        Fault::ResetInBody => {
            exchange.replying(response.status, framed.headers.clone());
            let mut out = encode::head(response.status, &response.reason, &framed.headers);
            let mut body = Vec::new();
            response.body.iter().for_each(|piece| framed.push(&mut body, piece));
            out.extend_from_slice(&body[..body.len() / 2]);
            wire.send(&out).await?;
        }
    }
    reset.ask();
    Ok(After::Drop)
}
