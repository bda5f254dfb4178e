//! Tests of survivors: children that nobody watches, as a killed run leaves them.

#![expect(clippy::disallowed_methods, reason = "the tests start what a killed run leaves behind, and take its time")]

use super::family::started;
use super::{Survivors, await_survivors, end_survivors};
use crate::action::environment::MARKER;
use crate::action::fixture::assert_no_orphan;
use crate::engine::{Cancel, Started, Survivor, Trace};
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a killed run leaves: a child in a group of its own that carries a marker.
struct Left {
    child: Child,
    words: BufReader<ChildStdout>,
    marker: String,
}

impl Left {
    /// Starts a script and waits for its first line.
    fn behind(script: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let marker = format!("left-{}-{count}/step/1", std::process::id());
        let mut command = Command::new("bash");
        command.args(["-p", "-c", script]).env(MARKER, &marker).process_group(0);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut words = BufReader::new(child.stdout.take().unwrap());
        words.read_line(&mut String::new()).unwrap();
        Self { child, words, marker }
    }

    fn process(&self) -> Started {
        started(Pid::from_child(&self.child))
    }

    fn trace(&self) -> Trace {
        Trace { marker: self.marker.clone(), process: Some(self.process()) }
    }

    /// The same, from a record that names no process.
    fn marker_only(&self) -> Trace {
        Trace { marker: self.marker.clone(), process: None }
    }

    /// A process id that the script has printed.
    fn number(&mut self) -> u32 {
        let mut line = String::new();
        self.words.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
        self.child.wait().ok();
        let marker = format!("{MARKER}={}", self.marker).into_bytes();
        for member in super::family::living(|number, _| super::family::is_marked(number, &marker)) {
            member.signal(Signal::KILL);
        }
    }
}

fn ids(survivors: &[Survivor]) -> Vec<u32> {
    survivors.iter().map(|survivor| survivor.pid).collect()
}

#[test]
fn the_marker_finds_what_has_left_group_and_session() {
    let mut left = Left::behind("setsid -f bash -c 'echo; exec sleep 1000'; exec sleep 1000");
    let found = Survivors::of(&left.marker_only()).named();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|survivor| survivor.is_certain), "{found:?}");
    assert!(ids(&found).contains(&left.child.id()));
    _ = left.child.kill();
    _ = left.child.wait();
    // It outlives the child, and is told from all others by its marker alone.
    let found = Survivors::of(&left.marker_only()).named();
    assert_eq!(found.len(), 1, "{found:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lost = runtime.block_on(end_survivors(left.marker_only(), Duration::from_secs(5)));
    assert_eq!(lost, Vec::new());
    assert_no_orphan(&left.marker);
}

#[tokio::test]
async fn a_recorded_process_is_found_without_its_marker_and_with_its_group() {
    // The leader keeps its marker; what it started has an environment of its own.
    let mut left = Left::behind("echo; env -i bash -c 'echo $$; exec sleep 1000' & while :; do wait; done");
    let inner = left.number();
    let found = Survivors::of(&left.trace()).named();
    assert!(ids(&found).contains(&inner) && found.iter().all(|survivor| survivor.is_certain), "{found:?}");
    // The marker alone would have missed it.
    assert!(!ids(&Survivors::of(&left.marker_only()).named()).contains(&inner));
    assert_eq!(end_survivors(left.trace(), Duration::from_secs(5)).await, Vec::new());
    assert!(!is_alive(inner));
}

fn is_alive(pid: u32) -> bool {
    super::family::Stat::read(pid).is_some_and(|stat| stat.is_alive())
}

#[tokio::test]
async fn a_later_bearer_of_the_id_is_left_alone() {
    let other = Left::behind("echo; exec sleep 1000");
    let process = other.process();
    for at in [None, process.at.map(|at| at - 1)] {
        let trace = Trace { marker: "nobody/step/1".to_owned(), process: Some(Started { at, ..process }) };
        assert_eq!(Survivors::of(&trace).named(), Vec::new());
        assert_eq!(end_survivors(trace, Duration::ZERO).await, Vec::new());
    }
    assert!(is_alive(process.pid));
}

#[tokio::test]
async fn who_cannot_be_told_is_named_and_left_alone() {
    let mut left = Left::behind("echo; env -i bash -c 'echo $$; exec sleep 1000' & wait");
    let inner = left.number();
    let trace = left.trace();
    left.child.kill().unwrap();
    left.child.wait().unwrap();
    let found = Survivors::of(&trace).named();
    assert!(ids(&found).contains(&inner), "{found:?}");
    assert!(found.iter().all(|survivor| !survivor.is_certain), "{found:?}");
    assert_eq!(end_survivors(trace.clone(), Duration::ZERO).await, Vec::new());
    // Nobody waits for it either.
    assert!(ids(&await_survivors(trace, Cancel::new()).await).contains(&inner));
    assert!(is_alive(inner));
}

#[tokio::test]
async fn they_are_waited_for_until_they_end_or_nobody_waits() {
    let left = Left::behind("echo; exec sleep 0.4");
    assert_eq!(Survivors::of(&left.trace()).named().len(), 1);
    assert_eq!(await_survivors(left.trace(), Cancel::new()).await, Vec::new());
    let left = Left::behind("echo; exec sleep 1000");
    let cancel = Cancel::new();
    let waiting = await_survivors(left.trace(), cancel.clone());
    let stop = async {
        tokio::task::yield_now().await;
        cancel.cancel();
    };
    let (found, ()) = tokio::join!(waiting, stop);
    assert_eq!(ids(&found), [left.child.id()]);
}

#[tokio::test]
async fn those_that_ignore_term_are_killed_and_stopped_ones_too() {
    let ignores = "trap '' TERM; echo; while :; do sleep 1000; done";
    let stopped = "trap 'exit 3' TERM; (sleep 0.1; kill -STOP $PPID) & echo; while :; do sleep 0.05; done";
    for script in [ignores, stopped] {
        let mut left = Left::behind(script);
        let began = Instant::now();
        assert_eq!(end_survivors(left.trace(), Duration::from_millis(300)).await, Vec::new());
        assert!(began.elapsed() < Duration::from_secs(4));
        left.child.wait().unwrap();
        assert_no_orphan(&left.marker);
    }
}
