//! What lives of an attempt whose own process was killed: nobody watches it, and nobody has ended it (ruling 4).
//!
//! It is found by the marker in its environment, and by the process that its record names: that process itself when it
//! was started when the record says, and then its group and session too.

#![expect(clippy::disallowed_methods, reason = "processes are waited for against the clock, on a thread that blocks")]

use super::family::{Member, Stat, is_marked, living};
use super::watch::has_ended;
use crate::action::environment::MARKER;
use crate::engine::{Cancel, Started, Survivor, Trace};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How often it is looked whether more have come, and whether nobody wants to wait any more.
const LOOK: Duration = Duration::from_millis(200);

/// How long a killed process may take to go.
const KILLED: Duration = Duration::from_secs(1);

/// How often we look again for processes that were made while we were ending others.
const SWEEPS: usize = 5;

/// The processes that were found.
pub(in crate::action) struct Survivors {
    certain: Vec<Member>,
    /// Members of a group or session that bears the id of a recorded process which is gone. The kernel gives that id to
    /// nobody else while they live, but it may have had another bearer in between.
    doubtful: Vec<Member>,
}

impl Survivors {
    /// Looks for them.
    pub(in crate::action) fn of(trace: &Trace) -> Self {
        let marker = format!("{MARKER}={}", trace.marker).into_bytes();
        let leader = trace.process.map(|process| (process, Bearer::of(process)));
        let stands_with = |number: u32, stat: &Stat, process: Started| {
            let id = i64::from(process.pid);
            number == process.pid || i64::from(stat.group) == id || i64::from(stat.session) == id
        };
        let certain = living(|number, stat| {
            let with_leader =
                leader.is_some_and(|(process, bearer)| bearer == Bearer::Same && stands_with(number, stat, process));
            with_leader || is_marked(number, &marker)
        });
        let mut doubtful = match leader {
            Some((process, Bearer::Nobody)) => living(|number, stat| stands_with(number, stat, process)),
            _ => Vec::new(),
        };
        // A process may have become another program between the two looks.
        doubtful.retain(|member| !certain.iter().any(|other| other.is(member)));
        Self { certain, doubtful }
    }

    /// Their names.
    pub(in crate::action) fn named(&self) -> Vec<Survivor> {
        let name = |member: &Member, is_certain| Survivor { pid: member.id(), label: member.label(), is_certain };
        let certain = self.certain.iter().map(|member| name(member, true));
        certain.chain(self.doubtful.iter().map(|member| name(member, false))).collect()
    }
}

/// Who bears the id of a recorded process now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bearer {
    Same,
    Another,
    Nobody,
}

impl Bearer {
    fn of(process: Started) -> Self {
        match Stat::read(process.pid) {
            // One that has ended and was not waited for still has its id, its group and its time.
            Some(stat) if process.at == Some(stat.started) => Self::Same,
            // An old record does not say when it was started.
            Some(_) => Self::Another,
            None => Self::Nobody,
        }
    }
}

/// Waits until no certain survivor is left, or until it is cancelled.
pub(in crate::action) async fn await_survivors(trace: Trace, cancel: Cancel) -> Vec<Survivor> {
    on_a_thread(move || {
        loop {
            let mut found = Survivors::of(&trace);
            if found.certain.is_empty() || cancel.is_cancelled() {
                return found.named();
            }
            wait(&mut found.certain, Instant::now() + LOOK);
        }
    })
    .await
}

/// Ends the certain survivors; those that could not be ended.
pub(in crate::action) async fn end_survivors(trace: Trace, grace: Duration) -> Vec<Survivor> {
    on_a_thread(move || {
        let mut found = Survivors::of(&trace).certain;
        // A stopped process hears TERM only when it goes on.
        for signal in [Signal::TERM, Signal::CONT] {
            for member in &found {
                member.signal(signal);
            }
        }
        wait(&mut found, Instant::now() + grace);
        for _ in 0..SWEEPS {
            found = Survivors::of(&trace).certain;
            if found.is_empty() {
                break;
            }
            for member in &found {
                member.signal(Signal::KILL);
            }
            wait(&mut found, Instant::now() + KILLED);
        }
        Survivors { certain: found, doubtful: Vec::new() }.named()
    })
    .await
}

async fn on_a_thread(work: impl FnOnce() -> Vec<Survivor> + Send + 'static) -> Vec<Survivor> {
    // It neither panics nor is it cancelled; if the runtime goes away, nobody wants to know.
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

/// Waits until all of them have ended or the time is over; those that have ended are taken out.
fn wait(members: &mut Vec<Member>, until: Instant) {
    loop {
        members.retain(|member| !has_ended(&member.handle));
        let left = until.saturating_duration_since(Instant::now());
        if members.is_empty() || left.is_zero() {
            return;
        }
        let mut fds: Vec<_> = members.iter().map(|member| PollFd::new(&member.handle, PollFlags::IN)).collect();
        // An interrupted wait comes round again.
        poll(&mut fds, Timespec::try_from(left).ok().as_ref()).ok();
    }
}
