//! The program as a whole: one small step, and one step that says 200 MB.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench ends by panicking and tells what it found")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock and starts programs")]

mod support;

use criterion::Criterion;
use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use support::{beside, folder, megabytes, peak, runwright, succeed, tell};
use tempfile::TempDir;

const OUTPUT: usize = 200_000_000;

/// A runbook of one step in the folder.
fn one_step(folder: &TempDir, name: &str, step: &str) -> String {
    let file = format!("{name}.yaml");
    let text = format!("runbook: {name}\ntitle: One step\nsteps:\n  - {{ id: only, diagnose: One step, {step} }}\n");
    std::fs::write(folder.path().join(&file), text).unwrap();
    file
}

/// A log of the size of the output, one line like the other.
fn log(folder: &TempDir) -> String {
    let path = folder.path().join("big.log");
    let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
    let (mut written, mut number) = (0, 0);
    while written < OUTPUT {
        let line = format!("2026-11-21T04:34:31Z INFO request {number} took {} ms\n", number % 977);
        file.write_all(line.as_bytes()).unwrap();
        written += line.len();
        number += 1;
    }
    file.flush().unwrap();
    path.to_str().unwrap().to_owned()
}

/// What nobody can do without: the bytes go through `cat` to a file, which is then synced.
fn cat(log: &str, folder: &TempDir) {
    let copy = File::create(folder.path().join("copy")).unwrap();
    let status = Command::new("cat").arg(log).stdin(Stdio::null()).stdout(copy.try_clone().unwrap()).status().unwrap();
    assert!(status.success());
    copy.sync_all().unwrap();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let folder = folder();
    let small = one_step(&folder, "small", "run: [\"true\"]");
    let one = beside(
        &mut criterion,
        "one-step run",
        ("runwright run", || succeed(runwright(&folder, &["run", &small]))),
        ("the step alone", || succeed(Command::new("true"))),
    );
    let one_peak = peak(runwright(&folder, &["run", &small]));
    let log = log(&folder);
    let large = one_step(&folder, "large", &format!("run: [cat, \"{log}\"]"));
    let much = beside(
        &mut criterion,
        "200 MB of output",
        ("runwright run", || {
            succeed(runwright(&folder, &["run", &large]));
            // What is kept would fill the disk after some samples.
            std::fs::remove_dir_all(folder.path().join("store")).unwrap();
        }),
        ("cat to a file", || cat(&log, &folder)),
    );
    let much_peak = peak(runwright(&folder, &["run", &large]));
    criterion.final_summary();
    tell(&[
        one,
        format!("one-step run: at most {} of memory", megabytes(one_peak)),
        much,
        format!("200 MB of output: at most {} of memory", megabytes(much_peak)),
    ]);
}
