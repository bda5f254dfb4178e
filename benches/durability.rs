//! What it costs that nothing is lost: steps of each kind with their record on the disk, beside the same steps with
//! their record in memory, where a sync is free.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench ends by panicking and tells what it found")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock and starts programs")]

mod support;

use criterion::Criterion;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{beside, folder, runwright, succeed, tell};
use tempfile::TempDir;

/// Steps in the longer runbook of a pair; what they cost is the difference to the shorter one.
const STEPS: u32 = 50;
const FEW: u32 = 1;
/// How often each case is timed; the medians count.
const ROUNDS: usize = 9;

/// A kind of step, and what a runbook of so many of them looks like.
struct Kind {
    name: &'static str,
    steps: fn(u32) -> String,
}

/// The fourth is the one that a whole run is timed with.
const KINDS: [Kind; 6] = [
    Kind { name: "read", steps: |n| each(n, "diagnose: Look, run: [\"true\"]") },
    Kind { name: "read, one after the other", steps: |n| chained(n, "diagnose: Look, run: [\"true\"]") },
    Kind { name: "`set` (no program)", steps: |n| each(n, "diagnose: Set, set: { a: 1 }") },
    Kind { name: "change", steps: |n| each(n, "remediate: Do it, run: [\"true\"], irreversible: It is nothing.") },
    Kind {
        name: "change with a verify",
        steps: |n| {
            let verify = "verify: { run: [\"true\"], expect: exit == 0 }";
            each(n, &format!("remediate: Do it, run: [\"true\"], irreversible: It is nothing., {verify}"))
        },
    },
    Kind {
        name: "item of a list of changes",
        steps: |n| {
            let list = "remediate: Do it, run: [\"true\"], irreversible: It is nothing.";
            format!("  - {{ id: list, for_each: \"range(0, {n}) | list\", {list} }}\n")
        },
    },
];

fn each(steps: u32, step: &str) -> String {
    (0..steps).fold(String::new(), |mut text, at| {
        writeln!(text, "  - {{ id: s{at}, {step} }}").unwrap();
        text
    })
}

fn chained(steps: u32, step: &str) -> String {
    (0..steps).fold(String::new(), |mut text, at| {
        let needs = if at == 0 { String::new() } else { format!(", needs: [s{}]", at - 1) };
        writeln!(text, "  - {{ id: s{at}, {step}{needs} }}").unwrap();
        text
    })
}

/// Where runbooks stand, and where their record goes.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(folder: TempDir) -> Self {
        let gates = "{ low: pass, medium: pass, high: pass, irreversible: pass }";
        let text = format!("library: bench\nenvironments:\n  free: {{ production: false, gates: {gates} }}\n");
        std::fs::write(folder.path().join("runwright.yaml"), text).unwrap();
        Self { folder }
    }

    fn write(&self, steps: &str) {
        let text = format!("runbook: case\ntitle: A case\nsteps:\n{steps}");
        std::fs::write(self.folder.path().join("case.yaml"), text).unwrap();
    }

    fn command(&self) -> Command {
        // The record of one run only, so that the store does not grow with the rounds.
        std::fs::remove_dir_all(self.folder.path().join("store")).ok();
        runwright(&self.folder, &["run", "case", "--env", "free"])
    }

    fn time(&self) -> Duration {
        let command = self.command();
        let began = Instant::now();
        run(command);
        began.elapsed()
    }

    /// Syncs of a run, as the kernel is asked for them.
    fn syncs(&self) -> u32 {
        let program = self.command();
        let log = self.folder.path().join("trace");
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-e", "trace=fdatasync,fsync,sync_file_range", "-o"]).arg(&log);
        traced.arg(program.get_program()).args(program.get_args()).current_dir(self.folder.path());
        traced.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        traced.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        run(traced);
        let log = std::fs::read_to_string(&log).unwrap();
        u32::try_from(log.lines().filter(|line| line.contains("sync(")).count()).unwrap()
    }

    /// Bytes of the transcript, and of everything else in the folder of the only run.
    fn bytes(&self) -> u32 {
        run(self.command());
        u32::try_from(size(&self.folder.path().join("store/runs"))).unwrap()
    }
}

/// A run that changes something and proves nothing ends as not resolved.
fn run(mut command: Command) {
    let status = command.status().unwrap();
    assert!(matches!(status.code(), Some(0 | 1)), "{command:?}: {status}");
}

fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let about = entry.metadata().unwrap();
            if about.is_dir() { size(&entry.path()) } else { about.len() }
        })
        .sum()
}

/// What one sync of a line costs: the same bytes, appended and synced.
fn sync_costs(folder: &Path, bytes: usize) -> Duration {
    let path = folder.join("line");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let line = vec![b'x'; bytes];
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&line).unwrap();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    median(&mut times)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn a_step(more: Duration, few: Duration) -> f64 {
    more.saturating_sub(few).as_secs_f64() * 1e6 / f64::from(STEPS - FEW)
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    succeed(Command::new("true"));
    let disk = Place::new(folder());
    let memory = Place::new(TempDir::new_in("/dev/shm").unwrap());
    for place in [&disk, &memory] {
        place.write(&(KINDS[3].steps)(STEPS));
    }
    let changes = beside(
        &mut criterion,
        &format!("{STEPS} changes"),
        ("record on the disk", || run(disk.command())),
        ("record in memory", || run(memory.command())),
    );
    criterion.final_summary();
    tell(&[changes]);
    table(&disk, &memory);
}

/// What a step of each kind costs.
fn table(disk: &Place, memory: &Place) {
    let sync = sync_costs(disk.folder.path(), 700);
    println!("one append of 700 bytes with fdatasync: {sync:.0?}\n");
    println!("| a step | syncs | bytes | on the disk | in memory | ratio | in memory + syncs x {sync:.0?} |");
    println!("|---|---|---|---|---|---|---|");
    for kind in &KINDS {
        let mut times: [Vec<Duration>; 4] = Default::default();
        for _ in 0..ROUNDS {
            for (place, at) in [(disk, 0), (memory, 2)] {
                for (steps, at) in [(STEPS, at), (FEW, at + 1)] {
                    place.write(&(kind.steps)(steps));
                    times[at].push(place.time());
                }
            }
        }
        let [more, few, free, free_few] = times.each_mut().map(|times| median(times));
        let count = |measure: fn(&Place) -> u32| {
            disk.write(&(kind.steps)(STEPS));
            let more = measure(disk);
            disk.write(&(kind.steps)(FEW));
            f64::from(more - measure(disk)) / f64::from(STEPS - FEW)
        };
        let (syncs, bytes) = (count(Place::syncs), count(Place::bytes));
        let (cost, floor) = (a_step(more, few), a_step(free, free_few));
        println!(
            "| {} | {syncs:.1} | {bytes:.0} | {cost:.0} us | {floor:.0} us | {:.2} | {:.0} us |",
            kind.name,
            cost / floor,
            floor + syncs * sync.as_secs_f64() * 1e6,
        );
    }
}
