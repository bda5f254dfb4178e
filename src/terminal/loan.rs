//! The terminal while a program has it, and how it comes back.

use super::group::own_group;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::process::test_kill_process_group;
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp};
use std::os::fd::BorrowedFd;

/// A terminal that is lent to a program. When it is dropped, the terminal is ours again, as it was.
pub(crate) struct Loan<'a> {
    terminal: BorrowedFd<'a>,
    before: Option<Termios>,
}

impl<'a> Loan<'a> {
    /// Remembers how the terminal is.
    pub(crate) fn of(terminal: BorrowedFd<'a>) -> Self {
        Self { terminal, before: tcgetattr(terminal).ok() }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        // Who changes the terminal from behind is stopped by SIGTTOU, unless this thread has it blocked; nothing is
        // started from this thread meanwhile.
        let mut stop = SigSet::empty();
        stop.add(Signal::SIGTTOU);
        let mask = stop.thread_swap_mask(SigmaskHow::SIG_BLOCK);
        self.take_back();
        if let Ok(mask) = mask {
            // It was valid a moment ago.
            _ = mask.thread_set_mask();
        }
    }
}

impl Loan<'_> {
    fn take_back(&self) {
        let front = tcgetpgrp(self.terminal).ok();
        if let (Some(front), Some(own)) = (front, own_group())
            && front != own
        {
            if test_kill_process_group(front).is_ok() {
                // Somebody lives there: the person has put us behind, and uses the terminal.
                return;
            }
            // A shell that was killed has left its own group in front.
            if tcsetpgrp(self.terminal, own).is_err() {
                return;
            }
        }
        if let Some(before) = &self.before {
            // Fails only when the terminal is gone.
            _ = tcsetattr(self.terminal, OptionalActions::Drain, before);
        }
        // What was typed for the program is no answer to us.
        _ = tcflush(self.terminal, QueueSelector::IFlush);
    }
}
