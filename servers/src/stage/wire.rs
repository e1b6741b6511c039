use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// Anything that carries a connection: TCP, TLS in TCP, TLS in a proxy's tunnel, a pipe in memory.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How a fault reaches the socket beneath TLS and HTTP/2: once asked for, closing the socket resets the connection.
#[derive(Clone, Default)]
pub(super) struct Reset(Arc<AtomicBool>);

impl Reset {
    pub(super) fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A TCP stream that is closed by RST where that was asked for, else in good order.
pub(super) struct Socket {
    stream: TcpStream,
    reset: Reset,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, reset: Reset) -> Self {
        Self { stream, reset }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.is_asked() {
            // Where this fails the connection is gone already.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Why a connection carries no more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The client closed or reset it.
    Gone,
    /// The client neither sent nor took anything for too long.
    TimedOut,
}

/// A stream with the bytes that were read from it and not yet used.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    pub(super) buffer: BytesMut,
    idle: Duration,
}

/// How many bytes are reserved before each read.
const READ_SIZE: usize = 8 << 10;
/// How far a client may send ahead while it waits for an answer; the rest stays in the socket.
const AHEAD: usize = 64 << 10;
/// How long a closed connection is read, so that unread bytes do not turn the close into a reset.
const LINGER: Duration = Duration::from_secs(2);

impl Wire {
    pub(super) fn new(stream: Box<dyn Stream>, idle: Duration) -> Self {
        Self { stream, buffer: BytesMut::new(), idle }
    }

    async fn read(&mut self) -> Result<(), Broken> {
        self.buffer.reserve(READ_SIZE);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => Err(Broken::Gone),
            Ok(_) => Ok(()),
        }
    }

    /// Reads at least one more byte into the buffer.
    pub(super) async fn fill(&mut self) -> Result<(), Broken> {
        timeout(self.idle, self.read()).await.unwrap_or(Err(Broken::TimedOut))
    }

    /// Writes all bytes and hands them to the operating system.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.in_time(|stream, cx| stream.poll_write(cx, rest)).await? {
                0 => return Err(Broken::Gone),
                written => rest = &rest[written..],
            }
        }
        self.in_time(|stream, cx| stream.poll_flush(cx)).await
    }

    /// A step of writing, which must get somewhere in time.
    async fn in_time<T>(
        &mut self,
        mut step: impl FnMut(Pin<&mut dyn Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Result<T, Broken> {
        let step = poll_fn(|cx| step(Pin::new(&mut *self.stream), cx));
        timeout(self.idle, step).await.map_or(Err(Broken::TimedOut), |done| done.map_err(|_| Broken::Gone))
    }

    /// Waits for something, unless the client closes the connection before.
    pub(super) async fn wait(&mut self, something: impl Future<Output = ()>) -> Result<(), Broken> {
        tokio::pin!(something);
        loop {
            if self.buffer.len() >= AHEAD {
                something.await;
                return Ok(());
            }
            tokio::select! {
                () = &mut something => return Ok(()),
                read = self.read() => read?,
            }
        }
    }

    /// Closes in good order: the client gets everything that was written, and then the end.
    pub(super) async fn close(mut self) {
        let deadline = Instant::now() + LINGER;
        if let Ok(Ok(())) = timeout_at(deadline, self.stream.shutdown()).await {
            self.buffer.clear();
            while let Ok(Ok(())) = timeout_at(deadline, self.read()).await {
                self.buffer.clear();
            }
        }
    }

    /// The stream, giving the unused bytes first.
    pub(super) fn into_stream(self) -> Box<dyn Stream> {
        if self.buffer.is_empty() {
            return self.stream;
        }
        Box::new(Rewound { unused: self.buffer, stream: self.stream })
    }

    /// The unused bytes and the stream.
    pub(super) fn into_parts(self) -> (Vec<u8>, Box<dyn Stream>) {
        (self.buffer.to_vec(), self.stream)
    }
}

/// A stream that gives some bytes again before it reads on.
struct Rewound {
    unused: BytesMut,
    stream: Box<dyn Stream>,
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unused.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.unused.len().min(buffer.remaining());
        buffer.put_slice(&self.unused[..length]);
        self.unused.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
