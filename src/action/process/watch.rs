//! Watching one child: output, input, its end, the deadline and a stop, all in one `poll`.

#![expect(clippy::disallowed_methods, reason = "a child is watched against the clock, on a thread that blocks")]

use super::command::Prepared;
use super::family::{self, Family, Member};
use super::launcher::{ChildEnds, launch, launcher_failure};
use super::output::{Collected, Stream};
use super::pipes::{Feed, PIECE, pipe_to_read};
use super::{Bell, Workshop, system};
use crate::action::outcome::Refusal;
use crate::action::ssh::{FarEnd, Sieve, Talk};
use crate::engine::{AttemptContext, Cancel};
use crate::event::ErrorClass;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How long output may still come after the child has ended.
const DRAIN: Duration = Duration::from_millis(200);

/// How long a killed process may take to go.
const KILLED: Duration = Duration::from_secs(1);

/// How much longer than its grace time a far end may take to say that all has ended.
const FAR_SLACK: Duration = Duration::from_secs(3);

/// How often we wake up to see whether we stood still: stopped by Ctrl-Z, by a debugger, with the virtual machine.
const LOOK: Duration = Duration::from_secs(1);

/// How late a wake-up is no longer explained by a busy machine.
const STOOD_STILL: Duration = Duration::from_secs(2);

/// How often we look again for processes that were made while we were ending others.
const SWEEPS: usize = 5;

/// Why a child was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its time was over.
    TimedOut,
    /// Somebody wanted it to stop.
    Cancelled,
}

/// How an attempt ended, as far as it was seen.
pub(super) struct Ended {
    pub(super) stop: Option<Stop>,
    /// None when the child could not even be killed.
    pub(super) status: Option<ExitStatus>,
    pub(super) stdout: Collected,
    pub(super) stderr: Collected,
    pub(super) left: Vec<String>,
    pub(super) took: Duration,
    /// The launcher could not become the program: nothing was started after all.
    pub(super) refusal: Option<Refusal>,
    /// What was heard of the far end, when the child only carried a program there.
    pub(super) far: Option<FarEnd>,
}

/// A running child.
pub(super) struct Watch {
    handle: duct::Handle,
    child: OwnedFd,
    family: Family,
    stdout: Stream,
    stderr: Stream,
    feed: Option<Feed>,
    buffer: Vec<u8>,
    began: Instant,
    timeout: Duration,
    grace: Duration,
    /// Fires when there is no grace.
    kill: Cancel,
    nonce: Option<String>,
    program: PathBuf,
    /// The talk with a far end, when the child only carries a program there.
    talk: Option<Talk>,
    /// Everything that the far end needs was written.
    told: bool,
}

/// What one turn of the poll has seen.
#[derive(Default)]
struct Seen {
    ended: bool,
    rung: bool,
}

/// A stop on its way: TERM was sent, KILL comes at `kill_at`, and at last we give up.
struct Stopping {
    why: Stop,
    kill_at: Instant,
    killed: bool,
}

/// A far end has said its last word, and its client is given a moment to go.
struct Farewell {
    until: Instant,
    killed: bool,
}

impl Watch {
    /// Starts the child.
    ///
    /// # Errors
    /// Nothing was started, or it was killed at once because it cannot be watched.
    pub(super) fn start(
        prepared: Prepared,
        mut talk: Option<Talk>,
        mut context: AttemptContext,
        workshop: &Workshop,
    ) -> Result<Self, Refusal> {
        let broken = |error: io::Error| system("cannot make a pipe", &error);
        let kept = |error: crate::engine::StoreError| {
            Refusal::new(ErrorClass::System, format!("its output cannot be kept: {error}"))
        };
        let (stdout, child_stdout) = pipe_to_read().map_err(broken)?;
        let (stderr, child_stderr) = pipe_to_read().map_err(broken)?;
        let (child_stdin, feed) = Feed::new(prepared.stdin.clone()).map_err(broken)?.unzip();
        let (out_sieve, err_sieve) = talk.as_mut().map(Talk::sieves).unzip();
        let stdout = Stream::new("stdout", stdout, out_sieve, &context).map_err(kept)?;
        let stderr = Stream::new("stderr", stderr, err_sieve, &context).map_err(kept)?;
        let ends = ChildEnds { stdin: child_stdin, stdout: child_stdout, stderr: child_stderr };
        let began = Instant::now();
        let launched = launch(&prepared, ends, &workshop.isolation)?;
        let (pid, child) = open(&launched.handle)?;
        if let Some(started) = context.started.take() {
            // Nobody may want to know.
            started.send(family::started(pid)).ok();
        }
        Ok(Self {
            handle: launched.handle,
            child,
            family: Family::new(pid, &context.marker),
            stdout,
            stderr,
            feed,
            buffer: vec![0; PIECE],
            began,
            timeout: context.timeout,
            grace: context.grace,
            kill: context.kill,
            nonce: launched.nonce,
            program: prepared.program,
            talk,
            told: false,
        })
    }

    /// Watches until the child and all it started are gone, or until nothing more can be done about them.
    pub(super) fn follow(mut self, bell: &Bell) -> Ended {
        let stopping = self.until_ended(bell);
        self.feed = None;
        let status = self.reap(stopping.as_ref());
        let took = self.began.elapsed();
        let left = self.end_the_rest(stopping.as_ref(), status.is_none());
        let stdout = self.stdout.finish();
        let stderr = self.stderr.finish();
        let far = self.talk.map(|talk| talk.ended(self.told, stdout.sieve.as_ref(), stderr.sieve.as_ref()));
        let refusal = self.nonce.as_deref().and_then(|nonce| {
            launcher_failure(nonce, status.and_then(|status| status.code()), &stderr.tail, &self.program)
        });
        Ended { stop: stopping.map(|stopping| stopping.why), status, stdout, stderr, left, took, refusal, far }
    }

    /// The first phase: until the child itself has ended, or could not be killed.
    fn until_ended(&mut self, bell: &Bell) -> Option<Stopping> {
        let mut deadline = self.began.checked_add(self.timeout);
        let mut stopping: Option<Stopping> = None;
        let mut farewell: Option<Farewell> = None;
        loop {
            if farewell.is_none() && self.far_end_is_over() {
                farewell = Some(Farewell { until: after(DRAIN), killed: false });
            }
            let until = match (&stopping, &farewell) {
                (_, Some(farewell)) => Some(farewell.until),
                (None, None) => deadline,
                (Some(stopping), None) => Some(stopping.next()),
            };
            let hears =
                (stopping.as_ref().is_none_or(|stopping| !stopping.killed) && farewell.is_none()).then_some(bell);
            let look = after(LOOK);
            let wake = until.map_or(look, |until| until.min(look));
            let seen = self.turn(Some(wake), hears, true, &[]);
            // Nobody watched while we stood still, so that time is not the program's.
            let still = Instant::now().saturating_duration_since(wake);
            if still > STOOD_STILL {
                deadline = deadline.and_then(|deadline| deadline.checked_add(still));
                if let Some(stopping) = &mut stopping {
                    stopping.kill_at += still;
                }
                if seen.ended {
                    return stopping;
                }
                continue;
            }
            if seen.ended {
                return stopping;
            }
            let late = until.is_some_and(|until| Instant::now() >= until);
            if let Some(farewell) = &mut farewell {
                // All is said; somebody at the far end holds the channel open.
                if late && farewell.killed {
                    return stopping;
                }
                if late {
                    self.signal_all(Signal::KILL);
                    *farewell = Farewell { until: after(KILLED), killed: true };
                }
                continue;
            }
            match &mut stopping {
                None if seen.rung => {
                    bell.quiet();
                    stopping = Some(self.stop(Stop::Cancelled));
                }
                // It was rung once more: nobody waits.
                Some(stopping) if seen.rung && self.kill.is_cancelled() => {
                    *stopping = Stopping { why: stopping.why, kill_at: Instant::now(), killed: true };
                    self.signal_all(Signal::KILL);
                }
                Some(_) if seen.rung => bell.quiet(),
                None if late => stopping = Some(self.stop(Stop::TimedOut)),
                Some(stopping) if late && !stopping.killed => {
                    stopping.killed = true;
                    self.signal_all(Signal::KILL);
                }
                Some(_) if late => return stopping,
                _ => {}
            }
        }
    }

    /// A far end that has begun is told by the end of its input, and ends what it started by itself.
    fn stop(&mut self, why: Stop) -> Stopping {
        if self.kill.is_cancelled() {
            self.signal_all(Signal::KILL);
            return Stopping { why, kill_at: Instant::now(), killed: true };
        }
        let patience = if self.talk.is_some() && self.told {
            self.feed = None;
            self.grace.saturating_add(FAR_SLACK)
        } else {
            self.signal_all(Signal::TERM);
            self.grace
        };
        Stopping { why, kill_at: after(patience), killed: false }
    }

    fn far_end_is_over(&self) -> bool {
        self.talk.is_some() && self.stderr.sieve().is_some_and(Sieve::is_over)
    }

    /// Whether the child reads now: a far end is told nothing before it says that it reads.
    fn is_hungry(&self) -> bool {
        !self.told && (self.talk.is_none() || self.stdout.sieve().is_some_and(Sieve::is_reading))
    }

    /// Signals the group, the child (which may not have left our group yet), and those that left its group.
    fn signal_all(&self, signal: Signal) {
        rustix::process::pidfd_send_signal(&self.child, signal).ok();
        self.family.signal_group(signal);
        for member in self.family.members() {
            if signal == Signal::KILL || !self.family.in_group(&member) {
                member.signal(signal);
            }
        }
    }

    /// Waits for the child, which has ended unless it could not be killed.
    fn reap(&self, stopping: Option<&Stopping>) -> Option<ExitStatus> {
        if stopping.is_some_and(Stopping::has_given_up) {
            return self.handle.try_wait().ok().flatten().map(|output| output.status);
        }
        self.handle.wait().ok().map(|output| output.status)
    }

    /// The second phase: takes what is still in the pipes, and ends what is left of the family.
    fn end_the_rest(&mut self, stopping: Option<&Stopping>, lost: bool) -> Vec<String> {
        let window = after(DRAIN);
        while self.is_open() && Instant::now() < window {
            self.turn(Some(window), None, false, &[]);
        }
        let suspicious = self.is_open() || stopping.is_some() || lost || self.family.has_group();
        if !suspicious {
            return Vec::new();
        }
        let mut members = self.family.members();
        // Those that are just going are not left behind.
        self.wait_for(&mut members, window);
        if members.is_empty() {
            return Vec::new();
        }
        let kill_at = stopping.map_or_else(|| after(self.grace), |stopping| stopping.kill_at);
        self.end(members, kill_at)
    }

    /// Ends processes: TERM, KILL when the time is over, and a look around for new ones.
    fn end(&mut self, members: Vec<Member>, kill_at: Instant) -> Vec<String> {
        let mut left: Vec<String> = members.iter().map(Member::label).collect();
        for member in &members {
            member.signal(Signal::TERM);
        }
        let mut alive = members;
        self.wait_for(&mut alive, kill_at);
        for _ in 0..SWEEPS {
            for found in self.family.members() {
                if !alive.iter().any(|known| known.is(&found)) {
                    left.push(found.label());
                    alive.push(found);
                }
            }
            if alive.is_empty() {
                break;
            }
            for member in &alive {
                member.signal(Signal::KILL);
            }
            self.wait_for(&mut alive, after(KILLED));
        }
        let lost: Vec<String> = alive.iter().map(Member::label).collect();
        left.sort();
        left.dedup();
        left.into_iter()
            .map(|label| if lost.contains(&label) { format!("{label} could not be ended") } else { label })
            .collect()
    }

    /// Waits until all of them have ended or the time is over; those that have ended are taken out.
    fn wait_for(&mut self, members: &mut Vec<Member>, until: Instant) {
        loop {
            members.retain(|member| !has_ended(&member.handle));
            if members.is_empty() || Instant::now() >= until {
                return;
            }
            self.turn(Some(until), None, false, members);
        }
    }

    fn is_open(&self) -> bool {
        self.stdout.fd().is_some() || self.stderr.fd().is_some()
    }

    /// Waits for one thing to happen and sees to it. `members` only end the wait.
    fn turn(&mut self, until: Option<Instant>, bell: Option<&Bell>, child: bool, members: &[Member]) -> Seen {
        let ready = {
            let fds: [Option<(BorrowedFd<'_>, PollFlags)>; 5] = [
                self.stdout.fd().map(|fd| (fd, PollFlags::IN)),
                self.stderr.fd().map(|fd| (fd, PollFlags::IN)),
                self.feed.as_ref().filter(|_| self.is_hungry()).map(|feed| (feed.as_fd(), PollFlags::OUT)),
                child.then(|| (self.child.as_fd(), PollFlags::IN)),
                bell.map(|bell| (bell.as_fd(), PollFlags::IN)),
            ];
            poll_some(&fds, members, until)
        };
        let [stdout, stderr, stdin, ended, rung] = ready;
        if stdout {
            self.stdout.take(&mut self.buffer);
        }
        if stderr {
            self.stderr.take(&mut self.buffer);
        }
        if stdin && self.feed.as_mut().is_some_and(Feed::is_over) {
            self.told = self.feed.as_ref().is_some_and(Feed::is_complete);
            // A far end takes the end of its input for a stop.
            if self.talk.is_none() || !self.told {
                self.feed = None;
            }
        }
        Seen { ended, rung }
    }
}

impl Stopping {
    fn next(&self) -> Instant {
        if self.killed { self.kill_at.checked_add(KILLED).unwrap_or(self.kill_at) } else { self.kill_at }
    }

    fn has_given_up(&self) -> bool {
        self.killed && Instant::now() >= self.next()
    }
}

/// The first five answers of a poll over what is there of the five and over the members.
fn poll_some(fds: &[Option<(BorrowedFd<'_>, PollFlags)>; 5], members: &[Member], until: Option<Instant>) -> [bool; 5] {
    let mut list: Vec<PollFd<'_>> = Vec::with_capacity(fds.len() + members.len());
    list.extend(fds.iter().flatten().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)));
    list.extend(members.iter().map(|member| PollFd::new(&member.handle, PollFlags::IN)));
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let time = left.and_then(|left| Timespec::try_from(left).ok());
    // An interrupted wait has seen nothing; the caller comes round again.
    if rustix::event::poll(&mut list, time.as_ref()).is_err() {
        return [false; 5];
    }
    let mut answers = list.iter().map(|fd| !fd.revents().is_empty());
    fds.each_ref().map(|fd| fd.is_some() && answers.next().unwrap_or(false))
}

pub(super) fn has_ended(handle: &OwnedFd) -> bool {
    let mut list = [PollFd::new(handle, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut list, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// The child's id and a handle on it. It cannot be a stranger's: nobody has waited for the child yet.
fn open(handle: &duct::Handle) -> Result<(Pid, OwnedFd), Refusal> {
    let pid = handle.pids().first().and_then(|pid| Pid::from_raw(i32::try_from(*pid).ok()?));
    let opened = pid.ok_or(rustix::io::Errno::SRCH).and_then(|pid| {
        let child = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Ok((pid, child))
    });
    opened.map_err(|error| {
        drop(handle.kill());
        system("the program was killed at once, because it cannot be watched", &error.into())
    })
}

/// Some time from now; a time that cannot be expressed is a year.
fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).or_else(|| now.checked_add(Duration::from_hours(8760))).unwrap_or(now)
}

/// The signal that ended a process, if one did.
pub(super) fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}
