//! Mechanisms of the language through the program: what refuses, what is due, what is watched, limited, held and undone.

use crate::support::{Sandbox, Terminal};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

#[test]
fn what_must_not_be_run_says_why() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("forbidden", "refuse: Clustering again loses the curated names. Ask the data team.\n");
    _ = sandbox.call(["check", "forbidden"]).exits(0);
    _ = sandbox.call(["list", "--runbooks"]).exits(0).says("REFUSED");
    _ = sandbox.call(["plan", "forbidden"]).exits(0).says("REFUSED").says("curated names");
    for command in ["run", "probe"] {
        _ = sandbox.call([command, "forbidden"]).exits(3).says("[refused-runbook]").says("curated names");
    }
    assert!(sandbox.runs().is_empty());
}

#[test]
fn a_runbook_is_overdue_until_it_ends_well() {
    let sandbox = Sandbox::library();
    let step = |program: &str| {
        format!("cadence: {{ every: 90d, after: a release }}\nsteps:\n  - {{ validate: Look, run: [{program}] }}\n")
    };
    _ = sandbox.runbook("weekly", &step("\"false\""));
    _ = sandbox.runbook("other", "steps:\n  - { diagnose: Look, run: [date] }\n");
    _ = sandbox.call(["list", "--overdue"]).exits(1).says("weekly").says("never run").says("a release");
    _ = sandbox.call(["run", "weekly"]).exits(1);
    _ = sandbox.call(["list", "--overdue"]).exits(1).says("never run");
    _ = sandbox.runbook("weekly", &step("\"true\""));
    _ = sandbox.call(["probe", "weekly"]).exits(0);
    _ = sandbox.call(["list", "--overdue"]).exits(1).says("never run");
    _ = sandbox.call(["run", "weekly"]).exits(0);
    _ = sandbox.call(["list", "--overdue"]).exits(0).says("nothing is overdue");
    _ = sandbox.runbook("weekly", &step("\"true\"").replace("90d", "1ms"));
    let late = sandbox.call(["list", "--overdue"]).exits(1).says("overdue by");
    assert!(!late.all().contains("other"), "{late}");
    let rows = sandbox.call(["list", "--overdue", "--json"]).exits(1).json();
    assert_eq!(rows[0]["id"], "weekly", "{rows}");
    _ = sandbox.write("broken.yaml", "runbook: broken\n");
    _ = sandbox.call(["list", "--overdue"]).exits(3).says("broken.yaml");
}

#[test]
fn a_canary_is_watched_until_it_sings_wrong() {
    let sandbox = Sandbox::library();
    let steps = "
steps:
  - id: canary
    validate: It stays well
    shell: |
      echo x >> seen
      wc -l < seen
    capture: { seen: stdout | int }
    hold: { for: 1s, every: 200ms, while: seen < MOST }
    expect: samples | length >= 6 and held >= duration('1s')
";
    _ = sandbox.runbook("well", &steps.replace("MOST", "100"));
    _ = sandbox.call(["run", "well"]).exits(0);
    let events = Sandbox::events(&sandbox.only_run());
    let samples: Vec<_> = events.iter().filter(|event| event["event"]["kind"] == "sampled").collect();
    assert_eq!(samples.len(), 6, "{samples:#?}");
    assert_eq!(samples[5]["event"]["captures"]["seen"]["value"], 6, "{samples:#?}");
    std::fs::remove_file(sandbox.path("seen")).expect("seen");
    _ = sandbox.runbook("ill", &steps.replace("MOST", "3"));
    _ = sandbox.call(["run", "ill"]).exits(1).says("sample 3").says("does not hold");
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_run_changes_no_more_than_it_may() {
    let sandbox = Sandbox::library();
    let steps = "
limits: { changes: 2, pause: 300ms }
steps:
  - { id: one, remediate: One, run: [touch, one], undo: { run: [rm, one] } }
  - id: list
    remediate: The rest
    for_each: \"['a', 'b']\"
    run: [touch, \"{{ item }}\"]
    undo: { run: [rm, \"{{ item }}\"] }
  - { id: made, validate: It is made, run: [test, -e, a] }
";
    _ = sandbox.runbook("case", steps);
    let output = sandbox.call(["run", "case", "--env", "free"]).exits(7);
    _ = output.says("leaves 1 of 2");
    assert!(sandbox.path("one").exists() && !sandbox.path("a").exists());
    let events = Sandbox::events(&sandbox.only_run());
    assert!(events.iter().any(|event| event["event"]["kind"] == "paused"), "{events:#?}");
    _ = sandbox.runbook("wide", &steps.replace("changes: 2", "changes: 3"));
    _ = sandbox.call(["run", "wide", "--env", "free"]).exits(0);
    _ = sandbox.call(["show", "last"]).exits(0).says("acts 2 to 3 of at most 3");
    _ = sandbox.call(["run", "wide", "--env", "prod"]).exits(5).says("act 1 of at most 3");
}

#[test]
fn a_run_sees_what_the_one_before_it_captured() {
    let sandbox = Sandbox::library();
    let steps = "
outputs: { double: size.bytes * 2 }
steps:
  - id: size
    diagnose: How large is it?
    shell: wc -c < data
    capture: { bytes: stdout | int }
  - id: grown
    validate: It has not shrunk
    assert: size.bytes >= (last('case', 'size.bytes') | default(0))
  - id: note
    diagnose: Note
    set:
      before: last('case', 'double') | default('nothing')
";
    _ = sandbox.runbook("case", steps);
    _ = sandbox.runbook("other", "steps:\n  - diagnose: Other\n    set:\n      seen: last('case', 'size.bytes')\n");
    _ = sandbox.call(["plan", "case"]).exits(0);
    assert!(!sandbox.store().exists(), "a plan makes no store");
    _ = sandbox.write("data", "12345");
    _ = sandbox.call(["run", "case"]).exits(0).says("nothing");
    _ = sandbox.call(["plan", "other"]).exits(0);
    _ = sandbox.call(["run", "other"]).exits(0).says("seen").says("5");
    _ = sandbox.write("data", "1234567");
    // A probe is no run: what it saw is nobody's past.
    _ = sandbox.call(["probe", "case"]).exits(0);
    _ = sandbox.call(["run", "case"]).exits(0).says("10");
    _ = sandbox.write("data", "123");
    _ = sandbox.call(["run", "case"]).exits(1).says("does not hold");
    let shown = sandbox.call(["show", "last", "--format", "json"]).exits(0).json();
    assert_eq!(shown["result"]["outputs"]["double"], 6, "{shown:#}");
}

#[test]
fn one_run_at_a_time_changes_a_place() {
    let sandbox = Sandbox::library();
    let steps = "
steps:
  - { id: look, diagnose: Look, run: [date] }
  - id: act
    remediate: Change it
    undo: { run: [rm, made] }
    shell: |
      echo x >> made
      echo it runs >&2
      while ! test -e go; do sleep 0.05; done
  - { id: made, validate: It is made, run: [test, -e, made] }
";
    _ = sandbox.runbook("case", steps);
    _ = sandbox.runbook("other", "steps:\n  - { remediate: Touch, run: [touch, other], undo: { run: [rm, other] } }\n");
    let mut command = sandbox.command(["run", "case", "--env", "free"]);
    let mut first = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !sandbox.path("made").exists() {
        assert!(std::time::Instant::now() < deadline, "the first run does not come to its change");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let run = sandbox.only_run().file_name().expect("a name").to_string_lossy().into_owned();
    let second = sandbox.call(["run", "case", "--env", "free"]).exits(9);
    // The screen breaks lines where they are full.
    let said = second.all().split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["is held by run", &run, "at `act`", &format!("runwright show {run}")] {
        assert!(said.contains(words), "{words}: {second}");
    }
    // Reads are free, and so is another runbook.
    _ = sandbox.call(["probe", "case", "--env", "free"]);
    _ = sandbox.call(["run", "other", "--env", "free"]).exits(1);
    assert_eq!(std::fs::read_to_string(sandbox.path("made")).expect("made"), "x\n");
    _ = sandbox.write("go", "");
    let said: Vec<String> =
        BufReader::new(first.stdout.take().expect("stdout")).lines().map_while(Result::ok).collect();
    assert_eq!(first.wait().expect("it ends").code(), Some(0), "{said:#?}");
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(0);
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_temporary_change_does_not_outlive_its_run() {
    let steps = "
steps:
  - { id: ban, remediate: Ban it, run: [touch, ban], temporary: true, undo: { run: [rm, UNDO] } }
  - { id: banned, validate: It is banned, run: [test, -e, ban] }
  - { id: work, remediate: Work, run: [WORK], irreversible: It is nothing. }
  - { id: still, validate: It is banned still, run: [test, -e, ban] }
finally:
  - { id: gone, validate: It is gone, run: [test, \"!\", -e, ban] }
";
    let case = |undo: &str, work: &str| {
        let sandbox = Sandbox::library();
        _ = sandbox.runbook("case", &steps.replace("UNDO", undo).replace("WORK", work));
        sandbox
    };
    let sandbox = case("ban", "\"true\"");
    _ = sandbox.call(["plan", "case"]).exits(0).says("by itself when the run ends");
    let output = sandbox.call(["run", "case", "--env", "free"]).exits(0);
    _ = output.says("cleaned up").says("Take back: Ban it");
    assert!(!sandbox.path("ban").exists());
    _ = sandbox.call(["verify", "last"]).exits(0);
    _ = sandbox
        .call(["show", "last", "--format", "markdown"])
        .exits(0)
        .says("cleaned up: yes (temporary changes were taken back)");
    let shown = sandbox.call(["show", "last", "--format", "json"]).exits(0).json();
    assert_eq!(shown["result"]["cleaned_up"], true, "{shown:#}");
    sandbox.is_whole();

    let sandbox = case("ban", "\"false\"");
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(7);
    assert!(!sandbox.path("ban").exists(), "a failure keeps nothing from being taken back");

    let sandbox = case("no-such-file", "\"true\"");
    let output = sandbox.call(["run", "case", "--env", "free"]).exits(7);
    _ = output.says("not taken back").says("1 temporary change stands");
    assert!(sandbox.path("ban").exists());
}

#[test]
fn a_process_in_the_background_is_always_ended() {
    let steps = "
steps:
  - id: tunnel
    diagnose: Keep it open
    shell: |
      trap 'echo ended >> log; exit 0' TERM
      touch open
      LIFE
    background: true
    ready: { run: [test, -e, open], expect: exit == 0, ok: [0, 1] }
  - { id: use, validate: Use it, run: [USE] }
finally:
  - { id: gone, validate: It is gone, run: [grep, -c, ended, log] }
";
    let forever = "while :; do sleep 0.05; done";
    let case = |life: &str, used: &str| {
        let sandbox = Sandbox::library();
        _ = sandbox.runbook("case", &steps.replace("LIFE", life).replace("USE", used));
        sandbox
    };
    let sandbox = case(forever, "\"true\"");
    _ = sandbox.call(["run", "case"]).exits(0).says("runs in the background");
    assert_eq!(std::fs::read_to_string(sandbox.path("log")).expect("log"), "ended\n");
    _ = sandbox.call(["verify", "last"]).exits(0);
    sandbox.leaves_nothing_behind();

    let sandbox = case(forever, "\"false\"");
    _ = sandbox.call(["run", "case"]).exits(1);
    sandbox.leaves_nothing_behind();

    // It ends by itself while a step that needs it runs.
    let sandbox = case("sleep 0.5; exit 3", "sleep, \"300\"");
    let output = sandbox.call(["run", "case"]).exits(1);
    let said = output.all().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("it ended while it was needed"), "{output}");
    sandbox.leaves_nothing_behind();

    let sandbox = case(forever, "sleep, \"300\"");
    let mut terminal = Terminal::open(&sandbox, &["run", "case"]);
    terminal.sees("runs in the background").presses("\x03").sees("Enter, a or c?").types("");
    _ = terminal.exits(130);
    sandbox.leaves_nothing_behind();
}
