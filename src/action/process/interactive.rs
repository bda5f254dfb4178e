//! A program that has the person's terminal: in our session and our process group, with our streams (ruling 1).
//!
//! Nothing of what passes between it and the person is seen here. Ctrl-C and Ctrl-Z go to the whole group: the program
//! does with them what it wants, and whoever lends the terminal sees to it that Ctrl-C does not end the run meanwhile.

#![expect(clippy::disallowed_methods, reason = "the program is started here, and its time is taken")]

use super::command::Prepared;
use super::crew::Crew;
use super::family::{Family, Member};
use super::launcher::{Isolation, not_started};
use super::watch::{has_ended, signal_of};
use super::{Workshop, system};
use crate::action::environment::BaseEnvironment;
use crate::action::outcome::Refusal;
use crate::action::ssh::Links;
use crate::engine::HandedOver;
use crate::plan::CommandAct;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often it is asked whether the terminal is wanted back.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// What a program is told when its terminal goes away: shells at a terminal ignore TERM, stopped ones hear nothing.
const GOODBYE: [Signal; 3] = [Signal::HUP, Signal::TERM, Signal::CONT];

/// How often we look again for what a program left running, and how long between two looks at its end.
const SWEEPS: usize = 4;
const SWEEP_PAUSE: Duration = Duration::from_millis(10);

/// What a program at a terminal needs to know of it.
const TERMINAL: [&str; 3] = ["TERM", "COLORTERM", "TERMINFO"];

/// Runs programs that have the terminal to themselves.
pub struct Lender {
    workshop: Workshop,
    grace: Duration,
}

impl Lender {
    /// Programs get this environment, and `grace` between TERM and KILL when the terminal is wanted back.
    #[must_use]
    pub fn new(environment: BaseEnvironment, grace: Duration) -> Self {
        Self {
            workshop: Workshop {
                environment,
                isolation: Isolation::Group,
                crew: Crew::default(),
                links: Links::default(),
            },
            grace,
        }
    }

    /// Runs a program to its end, or until `wanted_back` says so. What it started and left running at our terminal is
    /// ended: it could type an answer for the person. `marker` stands in its environment.
    ///
    /// The caller has printed everything, prints nothing meanwhile, and takes the terminal back afterwards.
    pub fn lend(&self, act: &CommandAct, marker: &str, wanted_back: &mut dyn FnMut() -> bool) -> HandedOver {
        // For a program on another machine, the client of ssh is what gets the terminal.
        let started = Prepared::new(act, marker, &self.workshop).and_then(|prepared| self.start(&prepared));
        match started {
            Ok((child, handle)) => self.follow(child, &handle, marker, wanted_back),
            Err(refusal) => HandedOver {
                exit: None,
                signal: None,
                wanted_back: false,
                not_started: Some((refusal.class, refusal.message)),
                left: Vec::new(),
            },
        }
    }

    fn start(&self, prepared: &Prepared) -> Result<(Child, OwnedFd), Refusal> {
        let mut command = Command::new(&prepared.program);
        if let Some((name, arguments)) = prepared.argv.split_first() {
            command.arg0(name).args(arguments);
        }
        command.env_clear().envs(&prepared.environment.0);
        for name in TERMINAL {
            if let Some(value) = self.workshop.environment.var(name) {
                command.env(OsStr::new(name), value);
            }
        }
        if let Some(folder) = &prepared.folder {
            command.current_dir(folder);
        }
        command.stdin(Stdio::inherit()).stderr(Stdio::inherit()).stdout(output());
        let mut child = command.spawn().map_err(|error| not_started(&prepared.program, &error))?;
        match rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(handle) => Ok((child, handle)),
            Err(error) => {
                child.kill().ok();
                child.wait().ok();
                Err(system("the program was killed at once, because it cannot be watched", &error.into()))
            }
        }
    }

    fn follow(
        &self,
        mut child: Child,
        handle: &OwnedFd,
        marker: &str,
        wanted_back: &mut dyn FnMut() -> bool,
    ) -> HandedOver {
        let family = Family::new(Pid::from_child(&child), marker);
        let mut kill_at: Option<Instant> = None;
        while !ends_soon(handle) {
            match kill_at {
                None if wanted_back() => {
                    for signal in GOODBYE {
                        rustix::process::pidfd_send_signal(handle, signal).ok();
                    }
                    kill_at = Some(Instant::now() + self.grace);
                }
                Some(time) if Instant::now() >= time => {
                    rustix::process::pidfd_send_signal(handle, Signal::KILL).ok();
                }
                _ => {}
            }
        }
        let status = child.wait().ok();
        let left = self.end_the_rest(&family);
        HandedOver {
            exit: status.and_then(|status| status.code()),
            signal: status.and_then(signal_of),
            wanted_back: kill_at.is_some(),
            not_started: None,
            left,
        }
    }

    /// Ends what the program left running; their names.
    fn end_the_rest(&self, family: &Family) -> Vec<String> {
        let mut left = Vec::new();
        for sweep in 0..SWEEPS {
            let mut members = family.members();
            if members.is_empty() {
                break;
            }
            left.extend(members.iter().map(Member::label));
            let kill = [Signal::KILL];
            let signals: &[Signal] = if sweep == 0 { &GOODBYE } else { &kill };
            for member in &members {
                for signal in signals {
                    member.signal(*signal);
                }
            }
            let until = Instant::now() + self.grace;
            while !members.is_empty() && Instant::now() < until {
                std::thread::sleep(SWEEP_PAUSE);
                members.retain(|member| !has_ended(&member.handle));
            }
        }
        left.sort();
        left.dedup();
        left
    }
}

/// Our output may be a file; what the person shall see goes where our messages go.
fn output() -> Stdio {
    if rustix::termios::isatty(rustix::stdio::stdout()) {
        return Stdio::inherit();
    }
    rustix::io::dup(rustix::stdio::stderr()).map_or_else(|_: rustix::io::Errno| Stdio::null(), Stdio::from)
}

/// Waits a moment for the end of a process.
fn ends_soon(handle: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(handle, PollFlags::IN)];
    match poll(&mut fds, Some(&LOOK)) {
        Ok(count) => count > 0,
        Err(error) => io::Error::from(error).kind() != io::ErrorKind::Interrupted,
    }
}
