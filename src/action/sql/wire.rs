//! The bytes between us and the server, counted: nobody makes us keep more than we asked for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// The most a server may send before a session is open.
pub(super) const GREETING: u64 = 1 << 20;

/// The most a server may send for one statement: what expressions see of rows, the frames around them, and notices.
pub(super) const ANSWER: u64 = 64 << 20;

/// How many more bytes may come.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    pub(super) fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// Starts to count anew.
    pub(super) fn renew(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn spend(&self, bytes: u64) -> Result<(), Flood> {
        let spent = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        spent.map(|_| ()).map_err(|_| Flood)
    }
}

/// The server sends more than it may.
#[derive(Debug, thiserror::Error)]
#[error("the server sends too much")]
pub(super) struct Flood;

/// What the first byte of a server can be: the answer to the wish for TLS, a request to log in, a refusal, a notice, an
/// offer of another version.
const FIRST: &[u8] = b"SNREv";

/// The server speaks something else.
#[derive(Debug, thiserror::Error)]
#[error("it speaks another protocol")]
struct Foreign;

/// A counted connection.
pub(super) struct Wire {
    pipe: Pipe,
    allowance: Allowance,
    has_spoken: bool,
}

enum Pipe {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    pub(super) fn tcp(stream: TcpStream, allowance: Allowance) -> Self {
        Self { pipe: Pipe::Tcp(stream), allowance, has_spoken: false }
    }

    pub(super) fn unix(stream: UnixStream, allowance: Allowance) -> Self {
        Self { pipe: Pipe::Unix(stream), allowance, has_spoken: false }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match &mut self.pipe {
            Pipe::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Pipe::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if matches!(read, Poll::Ready(Ok(()))) {
            let came = buf.filled().get(before..).unwrap_or_default();
            if let Err(flood) = self.allowance.spend(came.len() as u64) {
                return Poll::Ready(Err(io::Error::other(flood)));
            }
            if let (false, Some(first)) = (self.has_spoken, came.first()) {
                // Text would be taken for a very long message, and waited for.
                if !FIRST.contains(first) {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, Foreign)));
                }
                self.has_spoken = true;
            }
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.pipe {
            Pipe::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Pipe::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.pipe {
            Pipe::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Pipe::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.pipe {
            Pipe::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Pipe::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
