//! An undo that is killed at every sync of its record, and taken up again: every change is taken back once.

use super::write;
use crate::support::{Sandbox, killed_at};

const STEPS: &str = "
steps:
  - id: proven
    remediate: With a verify
    shell: echo proven >> done
    undo:
      shell: echo unproven >> done
      verify: { run: [grep, -c, unproven, done], ok: [0, 1], expect: exit == 0 }
  - { id: plain, remediate: Without one, shell: echo plain >> done, undo: { shell: echo unplain >> done } }
  - id: each
    remediate: Many
    for_each: \"['a', 'b']\"
    shell: echo $ITEM >> done
    env: { ITEM: \"{{ item }}\" }
    undo: { shell: echo un$ITEM >> done, env: { ITEM: \"{{ item }}\" } }
  - { id: proof, validate: It is done, run: [grep, -c, proven, done] }
";
const DONE: [&str; 8] = ["proven", "plain", "a", "b", "unb", "una", "unplain", "unproven"];

fn lines(sandbox: &Sandbox) -> Vec<String> {
    let text = std::fs::read_to_string(sandbox.path("done")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The undo run, once it has begun: its name and its last event.
fn undo_run(sandbox: &Sandbox) -> Option<(String, serde_json::Value)> {
    sandbox.runs().into_iter().find_map(|run| {
        let text = std::fs::read_to_string(run.join("transcript.jsonl")).ok()?;
        let first = text.split_inclusive('\n').next().filter(|line| line.ends_with('\n'))?;
        let first: serde_json::Value = serde_json::from_str(first).ok()?;
        first["event"]["undo_of"].as_str()?;
        let last = text.lines().rev().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())?;
        Some((run.file_name()?.to_string_lossy().into_owned(), last["event"].clone()))
    })
}

fn go_on(sandbox: &Sandbox, what: &str) {
    for _ in 0..12 {
        let Some((run, event)) = undo_run(sandbox) else {
            // It died before its first event: nothing was done, and it is simply started again.
            assert_eq!(lines(sandbox).len(), 4, "{what}");
            _ = sandbox.call(["undo", &sandbox.first_run()]).exits(0);
            continue;
        };
        match event["kind"].as_str() {
            Some("run_ended") => {
                assert_eq!(event["result"], "completed", "{what}");
                return;
            }
            Some("run_parked") => {
                for waiting in event["waiting"].as_array().expect("a list") {
                    assert_eq!(waiting["what"], "settle", "{what}");
                    let step = waiting["step"].as_str().expect("a step");
                    let word = match step {
                        "each[0]/undo" => "una".to_owned(),
                        "each[1]/undo" => "unb".to_owned(),
                        other => format!("un{}", other.trim_end_matches("/undo")),
                    };
                    let became = if lines(sandbox).contains(&word) { "result=done" } else { "result=retry" };
                    _ = sandbox.call(["answer", &run, step, became, "--reason", "I looked"]).exits(0);
                }
                _ = sandbox.call(["resume", &run]);
            }
            _ => _ = sandbox.call(["resume", &run]),
        }
    }
    panic!("{what}: it never ends: {:?}", undo_run(sandbox));
}

#[test]
fn every_change_is_taken_back_once() {
    let step = if std::env::var_os("RUNWRIGHT_SWEEP").is_some() { 1 } else { 2 };
    for nth in (1..1_000).step_by(step) {
        let sandbox = Sandbox::library();
        write(&sandbox, STEPS);
        _ = sandbox.call(["run", "case", "--env", "free"]).exits(0);
        let first = sandbox.first_run();
        let what = format!("killed at sync {nth}");
        let ended = killed_at(&sandbox, &["undo", &first], "fdatasync", nth);
        let is_last = ended.is_some();
        if let Some(output) = ended {
            _ = output.exits(0);
        }
        go_on(&sandbox, &what);
        assert_eq!(lines(&sandbox), DONE, "{what}");
        sandbox.is_whole();
        sandbox.leaves_nothing_behind();
        if is_last {
            assert!(nth > 5, "it was never killed");
            return;
        }
    }
}
