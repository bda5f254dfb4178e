//! Runs from the command line: how they end, what is left on the disk, what a person at a terminal can do.

use crate::support::{Sandbox, Terminal};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

const CHANGE: &str = "
steps:
  - { id: act, remediate: Make it, run: [touch, made], undo: { run: [rm, made] } }
  - { id: made, validate: It is made, run: [test, -e, made] }
";

#[test]
fn every_end_has_its_exit_code() {
    let step = |text: &str| format!("steps:\n  - {{ {text} }}\n");
    let rows = [
        ("resolved", CHANGE.to_owned(), 0, "RESOLVED"),
        ("completed", step("diagnose: Look, run: [date]"), 0, "COMPLETED"),
        ("not-resolved", step("validate: It is well, run: [\"false\"]"), 1, "NOT RESOLVED"),
        ("escalated", step("diagnose: Hand over, escalate: Somebody must look."), 6, "ESCALATED"),
        ("failed", step("remediate: Do it, run: [\"false\"], irreversible: It is nothing."), 7, "FAILED"),
        ("parked", step("id: ask, diagnose: How many?, ask: How many?"), 5, "PARKED"),
        ("unknown-program", step("diagnose: Look, run: [no-such-program-here]"), 1, "no-such-program-here"),
    ];
    for (name, body, code, words) in rows {
        let sandbox = Sandbox::library();
        _ = sandbox.runbook(name, &body);
        let output = sandbox.call(["run", name, "--env", "free"]);
        if name == "unknown-program" {
            assert_ne!(output.code, 70, "{output}");
            _ = output.says(words);
        } else {
            _ = output.exits(code).says(words);
        }
        sandbox.leaves_nothing_behind();
        let run = sandbox.only_run();
        let verified = sandbox.call(["verify", "last"]);
        assert!(run.join("transcript.jsonl").exists());
        assert_eq!(verified.code, 0, "{verified}");
    }
}

#[test]
fn what_cannot_start_leaves_no_record() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", CHANGE);
    _ = sandbox.call(["run", "nothing-of-that-name"]).exits(2);
    _ = sandbox.call(["run", "case", "--env", "nowhere"]).exits(2);
    _ = sandbox.call(["run", "case", "-i", "colour=red"]).exits(3).says("[unknown-input]");
    _ = sandbox.call(["walk"]).exits(2);
    assert!(sandbox.runs().is_empty());
    assert!(!sandbox.path("made").exists());
}

#[test]
fn inputs_are_refused_by_name_rule_and_source() {
    let sandbox = Sandbox::library();
    let inputs = "
inputs:
  count: { type: integer, min: 1, max: 9 }
  colour: { type: choice, choices: [red, green], default: red, from: { label: colour } }
  word: { type: string, default: a, from: { file: /nowhere/word } }
steps:
  - { diagnose: Look, run: [echo, \"{{ count }}\", \"{{ colour }}\", \"{{ word }}\"] }
";
    _ = sandbox.runbook("case", inputs);
    _ = sandbox.call(["run", "case"]).exits(3).says("[input-missing]").says("count");
    _ = sandbox.call(["run", "case", "-i", "count=10"]).exits(3).says("[input-value]").says("count");
    _ = sandbox.call(["run", "case", "-i", "count=1", "-i", "count=2"]).exits(3).says("[input-twice]");
    _ = sandbox.call(["run", "case", "-i", "count=1", "--label", "colour=blue"]).exits(3).says("colour");
    _ = sandbox.call(["run", "case", "-i", "count=@/nowhere/at/all"]).exits(3).says("[input-source]");
}

#[test]
fn programs_are_looked_for_before_the_first_step() {
    let sandbox = Sandbox::library();
    let steps = "steps:\n  - { diagnose: Look, run: [touch, made] }\n";
    _ = sandbox.runbook("missing", &format!("requires: no-such-program-here\n{steps}"));
    _ = sandbox.call(["run", "missing"]).exits(3).says("[missing-program]");
    _ = sandbox.runbook("version", &format!("requires: {{ program: bash, version: '^never$' }}\n{steps}"));
    _ = sandbox.call(["run", "version"]).exits(3).says("[program-version]");
    assert!(!sandbox.path("made").exists());
}

#[test]
fn a_store_that_cannot_be_written_stops_everything() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", CHANGE);
    std::fs::write(sandbox.store(), "a file, not a folder").expect("a file");
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(8);
    assert!(!sandbox.path("made").exists());
}

#[test]
fn a_timeout_ends_the_whole_family() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook(
        "case",
        "steps:\n  - validate: It ends\n    timeout: 500ms\n    shell: |\n      sleep 300 & sleep 301\n",
    );
    _ = sandbox.call(["run", "case"]).exits(1).says("TIMED OUT");
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_read_is_tried_again_as_often_as_it_says() {
    let sandbox = Sandbox::library();
    let step = "
steps:
  - id: look
    validate: The third time
    retry: { attempts: 3, every: 10ms }
    shell: |
      echo x >> tries
      test $(wc -l < tries) -eq 3
";
    _ = sandbox.runbook("case", step);
    _ = sandbox.call(["run", "case"]).exits(0);
    assert_eq!(std::fs::read_to_string(sandbox.path("tries")).expect("tries"), "x\nx\nx\n");
}

#[test]
fn what_follows_a_failure_is_written_down() {
    let cases = [("touch", "continue", true), ("touch", "stop", false), ("no-such-program-here", "continue", false)];
    for (look, then, goes_on) in cases {
        let sandbox = Sandbox::library();
        let steps = "
steps:
  - id: act
    remediate: Do it
    run: [\"false\"]
    irreversible: It is nothing.
    on_failure: { steps: [{ diagnose: Look, run: [LOOK, looked] }], then: THEN }
  - { id: next, remediate: Go on, run: [touch, next], irreversible: It is nothing. }
finally:
  - { diagnose: Tidy, run: [touch, tidied] }
";
        _ = sandbox.runbook("case", &steps.replace("LOOK", look).replace("THEN", then));
        let output = sandbox.call(["run", "case", "--env", "free"]);
        assert_ne!(output.code, 0, "{output}");
        assert!(sandbox.path("tidied").exists(), "{output}");
        assert_eq!(sandbox.path("next").exists(), goes_on, "{output}");
    }
}

#[test]
fn much_output_is_bounded_and_the_record_whole() {
    let sandbox = Sandbox::library();
    _ = sandbox
        .runbook("case", "steps:\n  - { diagnose: Flood, shell: \"head -c 200000000 /dev/zero | tr '\\\\0' x\" }\n");
    let output = sandbox.call(["run", "case"]).exits(0);
    assert!(output.all().len() < 4_000_000, "{} bytes on the screen", output.all().len());
    _ = sandbox.call(["verify", "last"]).exits(0);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let sandbox = Sandbox::library();
    let mut child = sandbox
        .command(["run", "--help"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut said).expect("text");
    let status = child.wait().expect("it ends");
    assert!(said.is_empty() && !said.contains("panicked"), "{status:?} {said}");
}

#[test]
fn a_record_that_was_touched_is_found_out() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", CHANGE);
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(0);
    let path = sandbox.only_run().join("transcript.jsonl");
    let whole = std::fs::read_to_string(&path).expect("a transcript");
    let lines: Vec<&str> = whole.lines().collect();
    let joined = |lines: Vec<&str>| format!("{}\n", lines.join("\n"));
    let mut flipped = whole.clone().into_bytes();
    let middle = whole.find("\"sequence\":3").or_else(|| whole.find("Make it")).expect("a place");
    flipped[middle + 1] ^= 1;
    let dropped: Vec<&str> = lines.iter().enumerate().filter(|(at, _)| *at != 3).map(|(_, line)| *line).collect();
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let broken: [(&str, Vec<u8>); 4] = [
        ("a flipped byte", flipped),
        ("a dropped line", joined(dropped).into_bytes()),
        ("swapped lines", joined(swapped).into_bytes()),
        ("a cut tail", joined(lines[..lines.len() - 2].to_vec()).into_bytes()),
    ];
    for (what, bytes) in broken {
        std::fs::write(&path, bytes).expect("the transcript");
        let output = sandbox.call(["verify", "last"]);
        assert_eq!(output.code, 1, "{what}\n{output}");
    }
    std::fs::write(&path, whole).expect("the transcript");
    _ = sandbox.call(["verify", "last"]).exits(0);
}

#[test]
fn a_saved_plan_holds_or_says_what_moved() {
    let sandbox = Sandbox::library();
    let inputs = "inputs: { word: { type: string, default: hello } }\n";
    let steps = |program: &str| {
        format!("{inputs}steps:\n  - {{ id: look, validate: Look, run: [{program}, \"{{{{ word }}}}\"] }}\n")
    };
    _ = sandbox.runbook("case", &steps("echo"));
    _ = sandbox.call(["plan", "case", "--out", "plan.json"]).exits(0);
    assert!(sandbox.runs().is_empty());
    _ = sandbox.call(["run", "case", "--plan", "plan.json"]).exits(0);
    _ = sandbox.call(["run", "case", "--plan", "plan.json", "-i", "word=bye"]).exits(3).says("input word").says("bye");
    _ = sandbox.runbook("case", &steps("printf"));
    _ = sandbox.call(["run", "case", "--plan", "plan.json"]).exits(3).says("[plan-differs]");
    let text = std::fs::read_to_string(sandbox.path("plan.json")).expect("a plan");
    _ = sandbox.write("plan.json", &text.replace("hello", "hullo"));
    _ = sandbox.call(["run", "case", "--plan", "plan.json"]).exits(3).says("changed after it was saved");
    assert_eq!(sandbox.runs().len(), 1);
}

#[test]
fn a_person_approves_at_the_terminal() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", CHANGE);
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "prod"]);
    terminal.sees("touch made").sees("go on?").types("y");
    let screen = terminal.exits(0);
    assert!(screen.contains("RESOLVED") && sandbox.path("made").exists(), "{screen}");
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_no_changes_nothing() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", CHANGE);
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "prod"]);
    terminal.sees("go on?").types("n").sees("why?").types("not today");
    let screen = terminal.exits(4);
    assert!(screen.contains("not today") && !sandbox.path("made").exists(), "{screen}");
}

#[test]
fn a_typed_gate_wants_the_very_text() {
    let sandbox = Sandbox::library();
    let text = CHANGE.replace("run: [touch, made], undo", "gate: { type: do it now }, run: [touch, made], undo");
    _ = sandbox.runbook("case", &text);
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "free"]);
    terminal.sees("type").types("do it").sees("that is not it").types("do it now");
    let _ = terminal.exits(0);
    assert!(sandbox.path("made").exists());
}

#[test]
fn another_process_approves_while_the_run_waits() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", CHANGE);
    let mut child = sandbox
        .command(["run", "case", "--env", "prod", "--park-after", "60s"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let digest = lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.split_once("digest ")?.1.to_owned()));
    let digest = digest.expect("the card shows its digest");
    _ = sandbox.call(["approve", "last", "act", "--digest", "00000000"]).exits(2);
    _ = sandbox.call(["approve", "last", "act", "--digest", digest.trim(), "--as", "somebody"]).exits(0);
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{rest:#?}");
    assert!(sandbox.path("made").exists());
    let events = Sandbox::events(&sandbox.only_run());
    assert!(events.iter().any(|event| event.to_string().contains("somebody")));
    sandbox.is_whole();
}

#[test]
fn records_are_shown_in_every_form() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", CHANGE);
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(0);
    assert!(sandbox.call(["list", "--json"]).exits(0).json().to_string().contains("resolved"));
    _ = sandbox.call(["list"]).exits(0).says("case");
    _ = sandbox.call(["list", "--runbooks"]).exits(0).says("A case");
    for form in ["text", "markdown", "json"] {
        _ = sandbox.call(["show", "last", "--format", form]).exits(0).says("touch");
    }
    _ = sandbox.call(["show", "nothing"]).exits(2);
}

#[test]
fn a_list_is_as_many_arguments_as_it_has_items() {
    let sandbox = Sandbox::library();
    let body = "
inputs:
  words: { type: list, default: [a b, \"$(id)\", \"\"] }
steps:
  - { id: say, diagnose: Say it, run: [printf, \"<%s>\", \"{{ words }}\", \"{{ none }}\", end], show: [stdout] }
";
    _ = sandbox.runbook("case", body);
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(0).says("<a b><$(id)><><end>");
}
