//! Killed at the n-th system call of a kind, for every n.

use super::{comes_to_its_end, done, sandbox};
use crate::support::{Sandbox, killed_at};

const RUN: &[&str] = &["run", "case", "--env", "free"];

/// Kills one run at each place that a kind of system call gives, and takes it up again.
fn sweep(call: &str, every: usize) {
    let step = if std::env::var_os("RUNWRIGHT_SWEEP").is_some() { 1 } else { every };
    let mut nth = 1;
    loop {
        assert!(nth < 1_000, "`{call}`: it is killed however late");
        let sandbox = sandbox();
        let what = format!("killed at `{call}` number {nth}");
        let ended = killed_at(&sandbox, RUN, call, nth);
        if let Some(output) = ended {
            _ = output.exits(0);
            assert!(nth > 1, "`{call}` is never called");
            return;
        }
        is_taken_up(&sandbox, &what);
        nth += step;
    }
}

fn is_taken_up(sandbox: &Sandbox, what: &str) {
    let begun = sandbox
        .runs()
        .first()
        .is_some_and(|run| std::fs::read(run.join("transcript.jsonl")).is_ok_and(|text| text.contains(&b'\n')));
    if !begun {
        // A run without its first event never was: nothing was done, and there is nothing to take up.
        assert!(done(sandbox).is_empty(), "{what}");
        let output = sandbox.call(["resume", "last"]);
        assert_ne!(output.code, 0, "{what}: {output}");
        assert_ne!(output.code, 70, "{what}: {output}");
        return;
    }
    comes_to_its_end(sandbox, what);
}

#[test]
fn before_every_sync_of_the_record() {
    sweep("fdatasync", 1);
}

#[test]
fn before_every_write() {
    sweep("write", 2);
}

#[test]
fn before_every_rename() {
    sweep("renameat", 1);
}

#[test]
fn before_every_sync_of_a_folder() {
    sweep("fsync", 2);
}

#[test]
fn before_every_program() {
    sweep("clone3", 1);
}

#[test]
fn before_a_file_goes() {
    sweep("unlinkat", 2);
}

/// Killed again while it is taken up.
#[test]
fn again_while_it_is_taken_up() {
    for (first, second) in [(4, 1), (6, 2), (8, 3), (11, 2), (15, 3), (19, 1)] {
        let sandbox = sandbox();
        assert!(killed_at(&sandbox, RUN, "fdatasync", first).is_none(), "it ended before sync {first}");
        let again = killed_at(&sandbox, &["resume", "last"], "fdatasync", second);
        assert!(again.is_none(), "killed at {first}, and it ended before sync {second}");
        comes_to_its_end(&sandbox, &format!("killed at {first}, then at {second}"));
    }
}

/// The machine loses its power: the last line, not synced yet, is only half there.
#[test]
fn with_half_a_line_at_the_end() {
    for nth in (3..22).step_by(3) {
        let sandbox = sandbox();
        assert!(killed_at(&sandbox, RUN, "fdatasync", nth).is_none(), "it ended before sync {nth}");
        let path = sandbox.only_run().join("transcript.jsonl");
        let text = std::fs::read(&path).expect("a transcript");
        let line = text[..text.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        assert!(line > 0, "the first event is synced");
        std::fs::write(&path, &text[..line + (text.len() - line) / 2]).expect("the transcript");
        comes_to_its_end(&sandbox, &format!("torn before sync {nth}"));
    }
}
