//! The pipes to and from a child. Our ends never block.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use zeroize::Zeroizing;

/// The most that is read or written in one piece.
pub(super) const PIECE: usize = 64 << 10;

/// Standard input on its way to the child.
pub(super) struct Feed {
    pipe: io::PipeWriter,
    text: Zeroizing<Vec<u8>>,
    written: usize,
}

impl Feed {
    /// The end for the child and the feed, when there is something to feed.
    pub(super) fn new(text: Option<Zeroizing<Vec<u8>>>) -> io::Result<Option<(io::PipeReader, Self)>> {
        let Some(text) = text else { return Ok(None) };
        let (reader, pipe) = io::pipe()?;
        no_blocking(&pipe)?;
        Ok(Some((reader, Self { pipe, text, written: 0 })))
    }

    /// Writes what fits. Over when all is written, or when the child reads no more.
    pub(super) fn is_over(&mut self) -> bool {
        use rustix::io::Errno;
        let rest = self.text.get(self.written..).unwrap_or_default();
        let piece = rest.get(..PIECE).unwrap_or(rest);
        match rustix::io::write(&self.pipe, piece) {
            Ok(count) => self.written += count,
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Not reading all of its input is the program's own affair.
            Err(_) => return true,
        }
        self.is_complete()
    }

    /// Whether all was written.
    pub(super) fn is_complete(&self) -> bool {
        self.written >= self.text.len()
    }
}

impl AsFd for Feed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// A pipe of which we read.
pub(super) fn pipe_to_read() -> io::Result<(io::PipeReader, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    no_blocking(&reader)?;
    Ok((reader, writer))
}

/// Our end only: the two ends of a pipe have flags of their own.
fn no_blocking(end: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&end)?;
    Ok(fcntl_setfl(&end, flags | OFlags::NONBLOCK)?)
}
