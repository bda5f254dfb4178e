//! Notes, marks and aborts that nobody asked for: while a run goes on, while nobody has it, after its end.

use crate::support::{Sandbox, Terminal};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

/// A step that ends when the file `go` is there.
const WAITS: &str = "
steps:
  - id: look
    diagnose: Look
    shell: until test -e go; do sleep 0.02; done
  - { id: proof, validate: It is well, run: [\"true\"] }
finally:
  - { id: tidy, diagnose: Tidy, run: [touch, tidied] }
";

/// A run that goes on until it is let.
struct Live<'s> {
    sandbox: &'s Sandbox,
    child: Child,
    first: BufReader<std::process::ChildStdout>,
}

impl<'s> Live<'s> {
    /// Starts a runbook, and waits until its first lines are there: then it is on record.
    fn start(sandbox: &'s Sandbox, name: &str) -> Self {
        let mut command = sandbox.command(["run", name, "--env", "free"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut first = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        first.read_line(&mut line).expect("a line");
        assert!(line.contains(name), "{line}");
        Self { sandbox, child, first }
    }

    /// Waits for its end: the exit code and what it said.
    fn ends(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.first.read_to_string(&mut said).expect("its output");
        let status = self.child.wait().expect("an end");
        self.sandbox.leaves_nothing_behind();
        (status.code(), said)
    }
}

fn kinds(sandbox: &Sandbox) -> Vec<String> {
    let events = Sandbox::events(&sandbox.only_run());
    events.iter().map(|event| event["event"]["kind"].as_str().expect("a kind").to_owned()).collect()
}

#[test]
fn a_note_and_a_mark_reach_a_run_that_goes_on() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", WAITS);
    let live = Live::start(&sandbox, "case");
    _ = sandbox.call(["note", "last", "called", "the on-call", "--as", "bo"]).exits(0).says("noted, in the record of");
    _ = sandbox.call(["mark", "last", "detected", "--at", "20m ago", "the pager"]).exits(0).says("marked detected at");
    _ = sandbox.call(["mark", "last", "mitigated"]).exits(0);
    _ = sandbox.call(["mark", "last", "over"]).exits(2).says("is no mark (detected, declared, mitigated, resolved)");
    _ = sandbox.call(["mark", "last", "detected", "--at", "2030-01-01T00:00:00Z"]).exits(2).says("has not come yet");
    _ = sandbox.call(["mark", "last", "detected", "--at", "soon"]).exits(2).says("01:02 (UTC, the last such time)");
    _ = sandbox.write("go", "");
    let (code, said) = live.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("called the on-call (bo (claimed, not proven))"), "{said}");
    let events = Sandbox::events(&sandbox.only_run());
    let noted = events.iter().find(|event| event["event"]["kind"] == "noted").expect("a note");
    assert_eq!(noted["actor"]["person"]["name"], "bo");
    assert_eq!(kinds(&sandbox).iter().filter(|kind| *kind == "marked").count(), 2);
    sandbox.is_whole();
}

#[test]
fn an_abort_from_elsewhere_ends_the_run_in_order() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", WAITS);
    let live = Live::start(&sandbox, "case");
    _ = sandbox.call(["abort", "last"]).exits(2).says("--reason");
    _ = sandbox.call(["abort", "last", "--reason", " "]).exits(2).says("needs a reason");
    let said = sandbox.call(["abort", "last", "--reason", "wrong cluster", "--as", "bo"]).exits(0);
    _ = said.says("is ending");
    let (code, said) = live.ends();
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("ABORTED") && said.contains("wrong cluster"), "{said}");
    assert!(sandbox.path("tidied").exists(), "`finally` runs");
    let events = Sandbox::events(&sandbox.only_run());
    let aborted = events.iter().find(|event| event["event"]["kind"] == "aborted").expect("an abort");
    assert_eq!(aborted["actor"]["person"]["name"], "bo");
    _ = sandbox.call(["abort", "last", "--reason", "again"]).exits(2).says("has ended already: aborted");
    sandbox.is_whole();
}

#[test]
fn a_parked_run_takes_notes_at_once_and_stays_parked() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", "steps:\n  - { id: who, diagnose: Who?, ask: Who? }\n");
    _ = sandbox.call(["run", "case"]).exits(5);
    _ = sandbox.call(["note", "last", "ana is asleep"]).exits(0).says("noted, in the record of");
    _ = sandbox.call(["mark", "last", "declared", "a major one"]).exits(0);
    let kinds = kinds(&sandbox);
    assert_eq!(kinds[kinds.len() - 3..], ["run_parked", "noted", "marked"]);
    _ = sandbox.call(["list"]).exits(0).says("parked");
    let shown = sandbox.call(["show", "last"]).exits(0).says("ana is asleep").says("PARKED");
    assert!(!shown.stdout.contains("INCOMPLETE"), "{shown}");
    sandbox.is_whole();
}

#[test]
fn what_is_said_after_the_end_leaves_the_record_as_it_is() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", "steps:\n  - { validate: It is well, run: [\"true\"] }\n");
    _ = sandbox.call(["run", "case"]).exits(0);
    let transcript = sandbox.only_run().join("transcript.jsonl");
    let before = std::fs::read(&transcript).expect("a transcript");
    _ = sandbox.call(["note", "last", "it came back at noon"]).exits(0).says("beside the record");
    _ = sandbox.call(["mark", "last", "resolved", "--at", "1m ago"]).exits(0);
    assert_eq!(std::fs::read(&transcript).expect("a transcript"), before);
    _ = sandbox.call(["show", "last"]).exits(0).says("it came back at noon").says("RESOLVED");
    sandbox.is_whole();
    let file = sandbox.only_run().join("addenda.jsonl");
    let text = std::fs::read_to_string(&file).expect("the file").replacen("noon", "nine", 1);
    std::fs::write(&file, text).expect("the file");
    _ = sandbox.call(["show", "last"]).exits(0).tells("line 2 of addenda.jsonl does not follow the line before it");
    _ = sandbox.call(["verify", "last"]).exits(1).says("addenda.jsonl").says("DAMAGED");
}

#[test]
fn a_mark_can_be_set_at_a_prompt() {
    let sandbox = Sandbox::library();
    _ = sandbox
        .runbook("case", "steps:\n  - { id: who, diagnose: Who?, ask: { questions: { name: { question: Who? } } } }\n");
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("name (string)").types("!mark over");
    terminal.sees("is no mark").types("!mark mitigated traffic moved");
    terminal.sees("marked mitigated").types("ana");
    _ = terminal.sees("COMPLETED").exits(0);
    let events = Sandbox::events(&sandbox.only_run());
    let marked = events.iter().find(|event| event["event"]["kind"] == "marked").expect("a mark");
    assert_eq!(
        (marked["event"]["mark"].as_str(), marked["event"]["text"].as_str()),
        (Some("mitigated"), Some("traffic moved"))
    );
}

const CLEARS: &str = "
steps:
  - id: hold
    remediate: Hold it
    temporary: true
    run: [touch, held]
    undo: { run: [rm, held] }
  - { id: who, diagnose: Who?, ask: Who? }
  - { id: more, remediate: More, run: [touch, more], undo: { run: [rm, more] } }
finally:
  - { id: tidy, diagnose: Tidy, run: [touch, tidied] }
";

#[test]
fn an_abort_of_a_parked_run_takes_back_what_was_temporary_and_does_nothing_else() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", CLEARS);
    let parked = sandbox.call(["run", "case", "--env", "free"]).exits(5);
    let parked = parked.says("1 open change:").says("hold (taken back when the run ends)  rm held");
    assert!(sandbox.path("held").exists() && !sandbox.path("tidied").exists());
    let run = sandbox.only_run().file_name().expect("a name").to_string_lossy().into_owned();
    let parked = parked.says(&format!("runwright resume {run}")).says(&format!("runwright abort {run} --reason TEXT"));
    _ = parked.says(&format!("runwright handover {run}")).says(&format!("runwright answer {run} who"));
    let handover = sandbox.call(["handover", "last"]).exits(0);
    _ = handover.says("parked").says("hold stands (taken back when the run ends); undo: rm held");
    let aborted = sandbox.call(["abort", "last", "--reason", "not today", "--as", "bo"]).exits(4);
    let aborted = aborted.says("RESUMED  by bo").says("ABORTING").says("not today").says("1 taken back");
    assert!(!sandbox.path("held").exists() && sandbox.path("tidied").exists(), "{aborted}");
    assert!(!sandbox.path("more").exists(), "{aborted}");
    _ = sandbox.call(["show", "last"]).exits(0).says("PARKED").says("RESUMED").says("ABORTED");
    sandbox.leaves_nothing_behind();
    sandbox.is_whole();
}

#[test]
fn the_commands_at_the_end_name_the_folders_that_were_named() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", "steps:\n  - { id: who, diagnose: Who?, ask: Who? }\n");
    let store = sandbox.path("my records");
    let mut command = sandbox.command(["run", "case", "--store", "my records"]);
    let output = crate::support::finish(command.env_remove("RUNWRIGHT_STORE")).exits(5);
    _ = output.says(&format!("--store '{}'", store.display()));
}
