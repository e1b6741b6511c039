use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;

use super::Shared;
use super::wire::{Reset, Socket};

/// Serves all connections to one address until the stage stops. The connections are tasks of this one: they end with
/// it.
pub(super) async fn listen(
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            (stream, permit) = accept(&listener, &shared) => {
                let reset = Reset::default();
                let connection = shared.connection(address, reset.clone());
                connections.spawn(async move {
                    connection.serve(Box::new(Socket::new(stream, reset))).await;
                    drop(permit);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// The next connection, as soon as there may be one more.
async fn accept(listener: &TcpListener, shared: &Shared) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(&shared.permits).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Where this fails, answers are slower, and that is all.
                let _ = stream.set_nodelay(true);
                return (stream, permit);
            }
            Err(error) => {
                // Most likely there are too many open files; some will be closed.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
