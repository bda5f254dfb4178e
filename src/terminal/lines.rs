//! Lines typed by a person, readable only until something else calls.

use super::group::own_group;
use super::loan::Loan;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcsetattr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

/// The longest line that is taken; the rest of it is dropped.
const LONGEST: usize = 64 * 1024;

/// How often a job in the background looks whether it came to the front.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };

/// What came of waiting for a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A whole line, without its end.
    Line(String),
    /// End of input (Ctrl-D on an empty line); the terminal is still there.
    End,
    /// The terminal is gone.
    Gone,
    /// Somebody called through the [`Bell`].
    Called,
    /// We were in the background and have come to the front; what was typed before is gone.
    Front,
}

/// Interrupts a reader that waits.
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn ring(&self) {
        // A full pipe means that it rings already.
        _ = rustix::io::write(&self.0, &[1]);
    }
}

/// The reader of a terminal in line mode.
pub(crate) struct Lines {
    terminal: OwnedFd,
    called: OwnedFd,
    partial: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(terminal: OwnedFd) -> io::Result<(Self, Bell)> {
        let (called, ring) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok((Self { terminal, called, partial: Vec::new() }, Bell(ring)))
    }

    /// Throws away what was typed before now.
    pub(crate) fn discard(&mut self) {
        self.partial.clear();
        if !self.in_front() {
            return;
        }
        // Fails only where there is no terminal, and then there is nothing to throw away.
        _ = tcflush(&self.terminal, QueueSelector::IFlush);
    }

    /// Whether the terminal is ours to read. A job in the background of a shell that reads or flushes its terminal is
    /// stopped as a whole, running steps and all.
    fn in_front(&self) -> bool {
        // An error means that it is not the terminal of our session; then there is no front and no back.
        tcgetpgrp(&self.terminal).map_or(true, |front| own_group().is_none_or(|own| front == own))
    }

    /// Waits in the background for a call or the front.
    fn wait_in_back(&mut self) -> Typed {
        while !self.in_front() {
            let mut ears = [PollFd::new(&self.called, PollFlags::IN)];
            if poll(&mut ears, Some(&LOOK)).is_ok_and(|count| count > 0) {
                self.quiet();
                return Typed::Called;
            }
        }
        // What was typed meanwhile was for the shell.
        self.discard();
        Typed::Front
    }

    /// Waits for a call only.
    pub(crate) fn wait(&mut self) {
        let mut ears = [PollFd::new(&self.called, PollFlags::IN)];
        if poll(&mut ears, None).is_ok() {
            self.quiet();
        }
    }

    /// Waits for a line, the end, or a call; a call goes first.
    pub(crate) fn read(&mut self) -> Typed {
        loop {
            if let Some(line) = self.whole_line() {
                return Typed::Line(line);
            }
            if !self.in_front() {
                return self.wait_in_back();
            }
            let (called, terminal) = {
                let mut ears = [PollFd::new(&self.called, PollFlags::IN), PollFd::new(&self.terminal, PollFlags::IN)];
                match poll(&mut ears, None) {
                    Ok(_) => (ears[0].revents(), ears[1].revents()),
                    Err(Errno::INTR) => continue,
                    Err(_) => return Typed::Gone,
                }
            };
            if !called.is_empty() {
                self.quiet();
                return Typed::Called;
            }
            if terminal.contains(PollFlags::IN) {
                if let Some(end) = self.take(terminal.contains(PollFlags::HUP)) {
                    return end;
                }
            } else if terminal.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                return Typed::Gone;
            }
        }
    }

    /// Reads what is there; gives an end, if it is one.
    fn take(&mut self, hung_up: bool) -> Option<Typed> {
        let mut buffer = [0_u8; 4096];
        match rustix::io::read(&self.terminal, &mut buffer) {
            Ok(0) => {
                // Half a line before the end of input was never sent off by the person.
                self.partial.clear();
                Some(if hung_up { Typed::Gone } else { Typed::End })
            }
            Ok(count) => {
                self.partial.extend_from_slice(&buffer[..count]);
                if self.partial.len() > LONGEST && !self.partial.contains(&b'\n') {
                    self.partial.truncate(LONGEST);
                }
                None
            }
            Err(Errno::INTR | Errno::AGAIN) => None,
            Err(_) => Some(Typed::Gone),
        }
    }

    fn whole_line(&mut self) -> Option<String> {
        let end = self.partial.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.partial.drain(..=end).collect();
        let text = String::from_utf8_lossy(&line);
        Some(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    fn quiet(&self) {
        let mut buffer = [0_u8; 64];
        while rustix::io::read(&self.called, &mut buffer).is_ok_and(|count| count > 0) {}
    }

    /// Lends the terminal to a program, until the loan is dropped.
    pub(crate) fn lend(&mut self) -> Loan<'_> {
        self.discard();
        Loan::of(self.terminal.as_fd())
    }

    /// Stops showing what is typed, until the guard is dropped. Nothing where that cannot be done.
    pub(crate) fn hush(&self) -> Option<Hush> {
        let before = tcgetattr(&self.terminal).ok()?;
        let terminal = self.terminal.try_clone().ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Now, &silent).ok()?;
        Some(Hush { terminal, before })
    }
}

/// While it lives, typing is not shown.
pub(crate) struct Hush {
    terminal: OwnedFd,
    before: Termios,
}

impl Drop for Hush {
    fn drop(&mut self) {
        // Fails only when the terminal is gone.
        _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
