//! What the benches share: a case beside its floor, and memory as the kernel counts it.

use criterion::{Criterion, SamplingMode};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Times one case and its floor in the same run, and says how they compare. Criterion keeps the statistics and compares
/// with the run before; the ratio is of medians, and of the fastest, which other users of the machine disturb least.
pub(crate) fn beside(
    criterion: &mut Criterion,
    name: &str,
    (what, mut case): (&str, impl FnMut()),
    (floor_is, mut floor): (&str, impl FnMut()),
) -> String {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(2));
    let (mut case_times, mut floor_times) = (Vec::new(), Vec::new());
    group.bench_function(what, |bencher| bencher.iter_custom(|times| timed(times, &mut case, &mut case_times)));
    group.bench_function(floor_is, |bencher| bencher.iter_custom(|times| timed(times, &mut floor, &mut floor_times)));
    group.finish();
    let (Some(case), Some(floor)) = (Times::of(case_times), Times::of(floor_times)) else {
        return format!("{name}: left out");
    };
    format!(
        "{name}: {what} {case}; {floor_is} {floor}; ratio {:.2}, of the fastest {:.2}",
        case.median.as_secs_f64() / floor.median.as_secs_f64(),
        case.fastest.as_secs_f64() / floor.fastest.as_secs_f64(),
    )
}

fn timed(times: u64, work: &mut impl FnMut(), found: &mut Vec<Duration>) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..times {
        let began = Instant::now();
        work();
        found.push(began.elapsed());
        total += began.elapsed();
    }
    total
}

struct Times {
    median: Duration,
    fastest: Duration,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        Some(Self { median: *times.get(times.len() / 2)?, fastest: *times.first()? })
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1?} (fastest {:.1?})", self.median, self.fastest)
    }
}

/// A folder on the disk of the build, where a sync is a real one.
pub(crate) fn folder() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The program, with a store and an empty environment of its own.
#[allow(dead_code, clippy::allow_attributes, reason = "not every bench starts the program")]
pub(crate) fn runwright(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runwright"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path()).current_dir(folder.path());
    command.env("RUNWRIGHT_STORE", folder.path().join("store")).args(arguments);
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command
}

/// Runs a program to its end; it must succeed.
#[allow(dead_code, clippy::allow_attributes, reason = "not every bench starts the program")]
pub(crate) fn succeed(mut command: Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// The peak of a program's resident memory, in bytes: `VmHWM` of the program itself, not of its children. What
/// `getrusage` tells of children would count the memory of the bench, which a child shares until it has started.
#[allow(dead_code, clippy::allow_attributes, reason = "not every bench starts the program")]
pub(crate) fn peak(mut command: Command) -> u64 {
    let mut child = command.spawn().unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut most = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.trim().strip_suffix(" kB")) {
            most = most.max(kib.trim().parse::<u64>().unwrap() * 1024);
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{command:?}: {status}");
            return most;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Megabytes, for people.
#[allow(dead_code, clippy::allow_attributes, reason = "not every bench measures memory")]
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// The last words of a bench.
pub(crate) fn tell(lines: &[String]) {
    println!("\n{}", lines.join("\n"));
}
