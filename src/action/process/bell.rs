//! Wakes a thread that blocks in `poll`.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Wakes the watching thread.
pub(in crate::action) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Makes it ready to be heard again.
    pub(super) fn quiet(&self) {
        // It can only fail when it was not rung.
        rustix::io::read(&self.0, &mut [0; 8]).ok();
    }

    pub(super) fn ring(&self) {
        // It can only fail when it has been rung 2^64 - 2 times.
        rustix::io::write(&self.0, &1_u64.to_ne_bytes()).ok();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
