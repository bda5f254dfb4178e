//! `interactive`: a program that gets the person's terminal, and the terminal afterwards.

use crate::support::{Sandbox, Terminal, example};
use serde_json::json;

const STEP: &str = "
steps:
  - id: look
    diagnose: Look around
    interactive: [asks]
  - { id: after, diagnose: Afterwards, run: [echo, \"{{ look.account | default('no account') }}\"] }
";

/// A program that talks to whoever sits there.
const ASKS: &str = "#!/bin/sh\nstty -a > modes-inside\nprintf 'word> '; read -r word; echo \"$word\" > typed\necho \"got $word\"\n\
                    exit 3\n";

fn place(asks: &str) -> Sandbox {
    let sandbox = Sandbox::library();
    let _ = sandbox.program("asks", asks);
    let _ = sandbox.runbook("case", STEP);
    sandbox
}

/// Everything in the record of the only run.
fn record(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.only_run().join("transcript.jsonl")).unwrap()
}

#[test]
fn the_example_of_the_reference_runs() {
    let sandbox = Sandbox::library();
    let _ = sandbox.program("psql", "#!/bin/sh\nprintf '%s=> ' \"$1\"; read -r query; echo '(1 row)'\n");
    let _ = sandbox.write("interactive-example.yaml", &example("interactive-example"));
    let mut terminal = Terminal::open(&sandbox, &["run", "interactive-example"]);
    terminal.sees("start it?").types("y").sees("app=>").types("select 1;").sees("(1 row)");
    terminal.sees("how did it go?").types("d").sees("what did you see?").types("one row").types(".");
    terminal.exits(0);
    assert_eq!(sandbox.field("look", "exit"), json!({ "value": 0 }));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn what_passes_at_the_terminal_is_not_recorded_and_the_account_is() {
    let sandbox = place(ASKS);
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("asks").sees("start it?").types("y").sees("word>").types("xyzzy").sees("got xyzzy");
    terminal.sees("ended with exit code 3").sees("how did it go?").types("d");
    terminal.sees("what did you see?").types("all is well there").types(".");
    terminal.exits(0);
    assert_eq!(std::fs::read_to_string(sandbox.path("typed")).unwrap(), "xyzzy\n");
    let record = record(&sandbox);
    assert!(!record.contains("xyzzy"), "{record}");
    assert!(record.contains("all is well there"), "{record}");
    assert_eq!(sandbox.field("look", "exit"), json!({ "value": 3 }));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn what_was_typed_for_the_program_is_no_answer() {
    // It ends at once; the words after it were typed for it and never read.
    let sandbox = place("#!/bin/sh\nprintf 'ready> '; read -r first; sleep 0.5; echo bye\n");
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("start it?").types("y").sees("ready>").types("one").presses("f\rit was me\r").sees("bye");
    terminal.sees("how did it go?").types("d").sees("what did you see?").types("");
    terminal.exits(0);
    sandbox.is_whole();
}

#[test]
fn ctrl_c_is_for_the_program() {
    let sandbox = place("#!/bin/sh\ntrap 'echo interrupted; exit 9' INT\necho waiting\nwhile :; do sleep 0.05; done\n");
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("start it?").types("y").sees("waiting").presses("\x03").sees("interrupted");
    terminal.sees("ended with exit code 9").sees("how did it go?").types("f").sees("what went wrong?").types("it hung");
    let screen = terminal.exits(1);
    assert!(!screen.contains("ABORTED"), "{screen}");
    assert!(record(&sandbox).contains("it hung"));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_program_killed_by_a_key_leaves_the_run_alive() {
    let sandbox = place("#!/bin/sh\necho waiting\nexec sleep 300\n");
    for (keys, signal) in [("\x03", "signal 2"), ("\x1c", "signal 3")] {
        let _ = sandbox.runbook("case", STEP);
        let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
        terminal.sees("start it?").types("y").sees("waiting").presses(keys);
        terminal.sees(signal).sees("how did it go?").types("d").sees("what did you see?").types("");
        terminal.exits(0);
        sandbox.leaves_nothing_behind();
    }
    sandbox.is_whole();
}

#[test]
fn a_terminal_that_was_changed_is_put_back() {
    let sandbox = place("#!/bin/sh\nstty raw -echo\nprintf 'raw now\\r\\n'\nsleep 0.1\nkill -KILL $$\n");
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("start it?").types("y").sees("raw now").sees("signal 9");
    // In raw mode a carriage return would end no line, and nothing typed would be seen.
    terminal.sees("how did it go?").types("d").sees("how did it go? d").sees("what did you see?").types("");
    terminal.exits(0);
    sandbox.is_whole();
}

#[test]
fn a_shell_with_jobs_of_its_own_gives_the_terminal_back_even_when_it_is_killed() {
    let sandbox = Sandbox::library();
    let body = "steps:\n  - { id: look, diagnose: Look, interactive: [bash, --norc, -i] }\n";
    let _ = sandbox.runbook("case", body);
    for end in ["exit 4", "kill -KILL $$"] {
        let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
        terminal.sees("start it?").types("y").sees("bash-").types("sleep 300 & echo job $((40 + 2))").sees("job 42");
        terminal.types(end);
        terminal.sees("still running, and ended: sleep").sees("how did it go?").types("d");
        terminal.sees("what did you see?").types("").exits(0);
        sandbox.leaves_nothing_behind();
    }
    sandbox.is_whole();
}

#[test]
fn without_a_terminal_it_parks_and_may_be_done_elsewhere() {
    let sandbox = place(ASKS);
    _ = sandbox.runwright("run case").exits(5).says("PARKED");
    assert!(!sandbox.path("typed").exists());
    let waiting = record(&sandbox);
    assert!(waiting.contains("interactive"), "{waiting}");
    let answers = sandbox.write("answers.yaml", "look: done\n");
    _ = sandbox.call(["run", "case", "--answers", &answers.display().to_string()]).exits(0);
    assert!(!sandbox.path("typed").exists());
    _ = sandbox.runwright("probe case").says("not performed");
    assert!(!sandbox.path("typed").exists());
    sandbox.is_whole();
}

#[test]
fn a_person_can_say_no_and_a_typed_gate_stays() {
    let sandbox = place(ASKS);
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("start it?").types("n").sees("why?").types("not now");
    terminal.exits(4);
    let body = "
steps:
  - { id: look, remediate: Change it, interactive: [asks], gate: { type: really }, irreversible: It is a test. }
";
    let _ = sandbox.runbook("case", body);
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("the text asked for:").types("really").sees("start it?").types("y").sees("word>").types("a");
    terminal.sees("how did it go?").types("d").sees("what did you see?").types("");
    // A change that nothing looked at resolves nothing.
    terminal.exits(1);
    sandbox.is_whole();
}

#[test]
fn nothing_of_the_run_is_printed_meanwhile() {
    let sandbox = place("#!/bin/sh\nprintf 'mine> '; read -r word; echo done\n");
    let body = "
steps:
  - { id: slow, diagnose: Something else, needs: [], shell: \"for n in 1 2 3 4; do echo other-$n; sleep 0.1; done; touch over\" }
  - { id: look, diagnose: Look around, needs: [], interactive: [asks] }
";
    let _ = sandbox.runbook("case", body);
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("start it?").types("y").sees("mine>");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !sandbox.path("over").exists() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let screen = terminal.screen();
    let after = screen.split_once("mine>").expect("the program").1.to_owned();
    assert!(after.trim().is_empty(), "{screen}");
    terminal.types("a").sees("how did it go?").types("d").sees("what did you see?").types("");
    terminal.exits(0);
    sandbox.is_whole();
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let sandbox = Sandbox::library();
    let _ = sandbox.runbook("case", STEP);
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("start it?").types("y").sees("there is no program `asks`");
    terminal.exits(1);
    assert!(record(&sandbox).contains("not_found"));
    sandbox.is_whole();
}

#[test]
fn a_run_that_is_suspended_takes_its_terminal_back() {
    let sandbox = place("#!/bin/sh\necho waiting\nkill -TERM $PPID\nexec sleep 300\n");
    let body = "
steps:
  - { id: look, remediate: Change it, interactive: [asks] }
";
    let _ = sandbox.runbook("case", body);
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("start it?").types("y").sees("waiting").sees("the terminal is ours again").sees("SUSPENDED");
    terminal.exits(143);
    // What was done until then is not known.
    assert!(record(&sandbox).contains("\"outcome\":\"unknown\""));
    sandbox.leaves_nothing_behind();
    sandbox.is_whole();
}
