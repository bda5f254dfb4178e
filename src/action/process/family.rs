//! Everything one attempt started: the child's group and session, and whatever carries its marker.

use crate::action::environment::MARKER;
use crate::action::outcome::one_line;
use crate::engine::Started;
use rustix::process::{Pid, PidfdFlags, Signal};
use std::os::fd::OwnedFd;

/// The processes of one attempt.
pub(super) struct Family {
    leader: Pid,
    /// `RUNWRIGHT_ATTEMPT=..`, as it stands in an environment.
    marker: Vec<u8>,
}

/// One process that was found.
pub(super) struct Member {
    pid: Pid,
    name: String,
    /// Becomes readable when it ends; names this very process even when its id is used again.
    pub(super) handle: OwnedFd,
}

impl Member {
    /// Sends a signal; a process that has just gone is no error.
    pub(super) fn signal(&self, signal: Signal) {
        rustix::process::pidfd_send_signal(&self.handle, signal).ok();
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Its name for people: `sleep (123)`.
    pub(super) fn label(&self) -> String {
        format!("{} ({})", self.name, self.pid)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.pid == other.pid
    }
}

impl Family {
    pub(super) fn new(leader: Pid, marker: &str) -> Self {
        Self { leader, marker: format!("{MARKER}={marker}").into_bytes() }
    }

    /// Whether the group of the child has members. Right only after the child was waited for: until then the child
    /// itself counts, even when it has ended.
    pub(super) fn has_group(&self) -> bool {
        rustix::process::test_kill_process_group(self.leader).is_ok()
    }

    /// Sends a signal to the group; an empty group is no error.
    pub(super) fn signal_group(&self, signal: Signal) {
        rustix::process::kill_process_group(self.leader, signal).ok();
    }

    /// Whether a member is reached by [`Family::signal_group`].
    pub(super) fn in_group(&self, member: &Member) -> bool {
        rustix::process::getpgid(Some(member.pid)).is_ok_and(|group| group == self.leader)
    }

    /// Finds every live member: by group, by session, by the marker in its environment. Reads all of `/proc`, which
    /// takes milliseconds: only called when something suggests that there are any.
    pub(super) fn members(&self) -> Vec<Member> {
        living(|number, stat| {
            let leader = self.leader.as_raw_nonzero().get();
            stat.group == leader || stat.session == leader || is_marked(number, &self.marker)
        })
    }
}

/// Every live process but ours that a rule takes.
pub(super) fn living(rule: impl Fn(u32, &Stat) -> bool) -> Vec<Member> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| *pid != std::process::id())
        .filter_map(|pid| member(pid, &rule))
        .collect()
}

fn member(number: u32, rule: impl Fn(u32, &Stat) -> bool) -> Option<Member> {
    let belongs = || Stat::read(number).filter(|stat| stat.is_alive() && rule(number, stat));
    belongs()?;
    let pid = Pid::from_raw(i32::try_from(number).ok()?)?;
    let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Looked at again through an open handle: the id cannot have changed hands in between.
    let name = belongs()?.name;
    Some(Member { pid, name, handle })
}

/// Whether a process carries a marker, `NAME=VALUE`; the environment of other users cannot be read.
pub(super) fn is_marked(number: u32, marker: &[u8]) -> bool {
    std::fs::read(format!("/proc/{number}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|variable| variable == marker))
}

/// A child of ours, as the record names it.
pub(super) fn started(pid: Pid) -> Started {
    let pid = pid.as_raw_nonzero().get().unsigned_abs();
    Started { pid, at: Stat::read(pid).map(|stat| stat.started) }
}

/// What the kernel says of a process.
pub(super) struct Stat {
    name: String,
    state: char,
    pub(super) group: i32,
    pub(super) session: i32,
    /// In clock ticks since the machine was started.
    pub(super) started: u64,
}

impl Stat {
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }

    pub(super) fn read(number: u32) -> Option<Self> {
        let bytes = std::fs::read(format!("/proc/{number}/stat")).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        // The name may hold spaces and brackets; nothing after it does.
        let (before, after) = text.rsplit_once(')')?;
        let name = one_line(before.split_once('(')?.1);
        let mut fields = after.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let group = fields.nth(1)?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        // It is field 22 of proc_pid_stat(5), and the session was field 6.
        let started = fields.nth(15)?.parse().ok()?;
        Some(Self { name, state, group, session, started })
    }
}
