//! Signals of the operating system, handed to the run.

use super::failure::CommandError;
use super::screen::Screen;
use crate::engine::Signal;
use crate::terminal::own_group;
use nix::unistd::{getpgid, getsid};
use rustix::process::{Pid, getpid, getppid, kill_process};
use rustix::termios::tcgetpgrp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How long after a program at our terminal has ended a key may still be on its way to us.
const LATE: Duration = Duration::from_millis(100);

/// What Ctrl-Z sends, and what a shell sends to go on (tokio has no names for them).
const TERMINAL_STOP: i32 = rustix::process::Signal::TSTP.as_raw();
const CONTINUE: i32 = rustix::process::Signal::CONT.as_raw();

/// Whether a program has our terminal. The keys that end programs are for it then, and reach us as well because it is
/// in our process group.
#[derive(Clone, Default)]
pub(super) struct Lent(Arc<AtomicBool>);

impl Lent {
    /// Lets a program have the terminal.
    pub(super) fn while_lent<T>(&self, lend: impl FnOnce() -> T) -> T {
        self.0.store(true, Ordering::Relaxed);
        let came = lend();
        // What ended the program was sent to us in the same moment, and is read by another thread.
        std::thread::sleep(LATE);
        self.0.store(false, Ordering::Relaxed);
        came
    }

    fn is_lent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Listens for SIGINT, SIGQUIT, SIGTERM and SIGHUP, which from then on no longer end the process by themselves, and for
/// Ctrl-Z. A signal that whoever started us has us ignore (`nohup`, `command &` in a script) stays ignored.
///
/// Must be called inside a runtime.
pub(super) fn listen(lent: &Lent, screen: &Screen) -> Result<Receiver<Signal>, CommandError> {
    let (sender, receiver) = channel(8);
    let ignored = Ignored::now();
    for meant in [Signal::Interrupt, Signal::Quit, Signal::Terminate, Signal::HangUp] {
        if ignored.has(meant.number()) {
            continue;
        }
        let is_key = matches!(meant, Signal::Interrupt | Signal::Quit);
        let lent = if is_key { lent.clone() } else { Lent::default() };
        tokio::spawn(hand_on(stream(meant.number())?, meant, lent, sender.clone()));
    }
    if !ignored.has(TERMINAL_STOP) {
        tokio::spawn(stop_here(stream(TERMINAL_STOP)?, lent.clone(), screen.clone()));
        tokio::spawn(go_on(stream(CONTINUE)?, lent.clone(), screen.clone()));
    }
    Ok(receiver)
}

fn stream(number: i32) -> Result<Stream, CommandError> {
    signal(SignalKind::from_raw(number)).map_err(|source| CommandError::SetUp { what: "signals", source })
}

async fn hand_on(mut stream: Stream, meant: Signal, lent: Lent, sender: Sender<Signal>) {
    while stream.recv().await.is_some() {
        if lent.is_lent() {
            continue;
        }
        if sender.send(meant).await.is_err() {
            return;
        }
    }
}

/// Ctrl-Z stops this process and nothing else: a change that is frozen half-way, with its locks, helps nobody. What goes
/// on is named first.
async fn stop_here(mut stream: Stream, lent: Lent, screen: Screen) {
    while stream.recv().await.is_some() {
        // A program that has the terminal was stopped by the same key, and we with it.
        let is_lent = lent.is_lent();
        if !has_shell() {
            if !is_lent {
                screen.cannot_stop();
            }
            continue;
        }
        if !is_lent {
            screen.stops();
        }
        // It cannot fail for our own process. When it returns, we go on again.
        kill_process(getpid(), rustix::process::Signal::STOP).ok();
    }
}

/// We go on after a stop, whoever stopped us: the line that a person types on is shown again.
async fn go_on(mut stream: Stream, lent: Lent, screen: Screen) {
    while stream.recv().await.is_some() {
        let in_front = tcgetpgrp(rustix::stdio::stdin()).is_ok_and(|front| own_group() == Some(front));
        if in_front && !lent.is_lent() {
            screen.goes_on();
        }
    }
}

/// Whether somebody is there who can let us go on: a shell with jobs, in our session. Without one, a stop would be for
/// ever. A session or group whose leader lives in another namespace has the number 0.
fn has_shell() -> bool {
    let numbers = |pid: Option<Pid>| {
        let pid = pid.map(|pid| nix::unistd::Pid::from_raw(pid.as_raw_pid()));
        Some((getsid(pid).ok()?, getpgid(pid).ok()?))
    };
    let Some((session, group)) = numbers(None) else { return false };
    let mut parent = getppid();
    while let Some(pid) = parent {
        match numbers(Some(pid)) {
            Some((theirs, _)) if theirs != session => return false,
            Some((_, theirs)) if theirs != group => return true,
            Some(_) => parent = parent_of(pid),
            None => return false,
        }
    }
    false
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name may hold spaces and brackets; the state and the parent come after it.
    Pid::from_raw(stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?)
}

/// The signals that are ignored when we start.
struct Ignored(u64);

impl Ignored {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0))
    }

    fn has(&self, number: i32) -> bool {
        u32::try_from(number - 1).is_ok_and(|bit| self.0 >> bit & 1 == 1)
    }
}
