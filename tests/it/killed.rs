//! Runs that are killed with SIGKILL and taken up again, through the program: whatever the moment, no change is made
//! twice, none is lost, and none is claimed.
//!
//! The full sweep over every system call takes minutes: `RUNWRIGHT_SWEEP=1 cargo test --test it killed`.

mod flight;
mod races;
mod sweep;
mod undone;

use crate::support::{Output, Sandbox};

/// Steps whose effects are lines in the file `done`; each should stand there once.
pub(super) const STEPS: &str = "
steps:
  - { id: look, diagnose: Look, run: [cat, data], capture: { n: stdout | int } }
  - id: proven
    remediate: With a verify
    shell: echo proven >> done
    undo: { shell: sed -i /proven/d done }
    verify: { run: [grep, -c, proven, done], ok: [0, 1], tolerate: [exit_2], expect: exit == 0 }
  - id: plain
    remediate: Without one
    shell: echo plain >> done
    undo: { shell: sed -i /plain/d done }
  - id: ban
    remediate: For a while
    shell: echo ban >> done
    temporary: true
    undo: { shell: echo unban >> done }
  - id: each
    group: One after the other
    for_each: \"['a', 'b']\"
    steps:
      - { id: make, remediate: Make, shell: echo $ITEM >> done, env: { ITEM: \"{{ item }}\" }, irreversible: It is nothing. }
  - { id: pause, diagnose: A moment, wait: 100ms }
  - id: which
    decide: Which?
    options:
      more: { when: look.n == 3, steps: [ { id: more, remediate: More, shell: echo more >> done, irreversible: It is nothing. } ] }
      less: { when: look.n != 3 }
  - { id: proof, validate: It is done, run: [grep, -c, proven, done] }
finally:
  - { id: tidy, remediate: Tidy, shell: echo tidy >> done, irreversible: It is nothing. }
";

/// What stands in `done` after a run that nobody disturbed.
pub(super) const DONE: [&str; 8] = ["proven", "plain", "ban", "a", "b", "more", "unban", "tidy"];

/// A sandbox with that runbook.
pub(super) fn sandbox() -> Sandbox {
    let sandbox = Sandbox::library();
    write(&sandbox, STEPS);
    _ = sandbox.write("data", "3\n");
    sandbox
}

/// Writes the runbook of a test, which has no errors.
#[track_caller]
pub(super) fn write(sandbox: &Sandbox, rest: &str) {
    _ = sandbox.runbook("case", rest);
    _ = sandbox.call(["check", "case"]).exits(0);
}

/// The lines of `done`.
pub(super) fn done(sandbox: &Sandbox) -> Vec<String> {
    let text = std::fs::read_to_string(sandbox.path("done")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The last event of the only run: its kind, and the whole of it.
pub(super) fn last_event(sandbox: &Sandbox) -> serde_json::Value {
    Sandbox::events(&sandbox.only_run()).pop().map_or(serde_json::Value::Null, |record| record["event"].clone())
}

/// The id of the only run.
pub(super) fn run_id(sandbox: &Sandbox) -> String {
    sandbox.only_run().file_name().expect("a name").to_string_lossy().into_owned()
}

/// Takes a run up until it has ended. A change whose end was not seen is settled by somebody who looks.
pub(super) fn go_on(sandbox: &Sandbox, was_done: impl Fn(&str, &str) -> bool) -> Output {
    let run = run_id(sandbox);
    for _ in 0..12 {
        let output = sandbox.call(["resume", &run]);
        let event = last_event(sandbox);
        match event["kind"].as_str() {
            Some("run_ended") => return output,
            Some("run_parked") => {
                for waiting in event["waiting"].as_array().expect("a list") {
                    assert_eq!(waiting["what"], "settle", "{output}");
                    let step = waiting["step"].as_str().expect("a step");
                    let act = waiting["text"].as_str().expect("a text");
                    let word = if was_done(step, act) { "done" } else { "retry" };
                    let answer = format!("result={word}");
                    _ = sandbox.call(["answer", &run, step, &answer, "--reason", "I looked"]).exits(0);
                }
            }
            _ => panic!("the run neither ended nor waits: {event}\n{output}"),
        }
    }
    panic!("the run never ends: {}", last_event(sandbox));
}

/// Whether the effect of an act of [`STEPS`] stands in `done`.
pub(super) fn stands(sandbox: &Sandbox, step: &str, act: &str) -> bool {
    let word = match step {
        "each[0]/make" => "a",
        "each[1]/make" => "b",
        _ if act.contains("unban") => "unban",
        other => other.rsplit('/').next().unwrap_or(other),
    };
    done(sandbox).iter().any(|line| line == word)
}

/// Takes the run of [`STEPS`] up and judges what came of it.
#[track_caller]
pub(super) fn comes_to_its_end(sandbox: &Sandbox, what: &str) {
    // The last words on the screen come after the end of the run.
    let record = std::fs::read_to_string(sandbox.only_run().join("transcript.jsonl")).expect("a transcript");
    if record.contains("\"kind\":\"run_ended\"") && record.ends_with('\n') {
        _ = sandbox.call(["resume", "last"]).exits(2).says("has ended: resolved");
    } else {
        let output = go_on(sandbox, |step, act| stands(sandbox, step, act));
        assert_eq!(output.code, 0, "{what}: {output}");
    }
    assert_eq!(done(sandbox), DONE, "{what}");
    assert_eq!(last_event(sandbox)["result"], "resolved", "{what}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}
