//! Taking the changes of a run back: the last one first, each behind its gate, by a run of its own.

use crate::support::{Output, Sandbox};

/// Changes that leave a line when they are made and when they are taken back.
const CASE: &str = "
targets: { here: { local: true } }
steps:
  - { id: look, diagnose: Look, shell: 'echo 7', capture: { n: stdout | int } }
  - id: one
    remediate: Make one
    risk: low
    shell: 'echo one >> log; touch \"made$N\"'
    env: { N: '{{ look.n }}' }
    undo:
      run: [rm, 'made{{ look.n }}']
      verify: { run: [test, -e, 'made{{ look.n }}'], ok: [0, 1], expect: exit == 1 }
  - { id: ban, remediate: Ban, risk: low, run: [touch, ban], temporary: true, undo: { run: [rm, ban] } }
  - { id: conf, remediate: Set the port, risk: low, edit: { file: conf.toml, format: toml, set: { port: 9 } } }
  - id: each
    remediate: Make many
    risk: low
    for_each: \"['a', 'b']\"
    shell: 'echo \"$ITEM\" >> log'
    env: { ITEM: '{{ item }}' }
    undo: { shell: 'echo \"un$ITEM\" >> log', env: { ITEM: '{{ item }}' } }
  - id: several
    group: One after the other
    for_each: \"['c', 'd']\"
    steps:
      - id: make
        remediate: Make it
        risk: low
        shell: 'echo \"$ITEM\" >> log'
        env: { ITEM: '{{ item }}' }
        undo:
          - { id: see, diagnose: See, run: [test, -e, log] }
          - { id: back, remediate: Take it back, shell: 'echo \"un$ITEM\" >> log', env: { ITEM: '{{ item }}' } }
  - { id: proof, validate: It is there, run: [test, -e, made7] }
";

const CONF: &str = "# the port of the service\nport = 8   # eight\n";

fn sandbox(rest: &str) -> Sandbox {
    let sandbox = Sandbox::library();
    let inner = "
targets: { here: { local: true } }
steps:
  - { id: while, remediate: For a while, risk: low, run: [touch, while], temporary: true, undo: { run: [rm, while] } }
  - { id: inside, remediate: Inside, risk: low, run: [touch, inside], undo: { run: [rm, inside] } }
  - { id: there, validate: It is there, run: [test, -e, inside] }
";
    _ = sandbox.runbook("inner", inner);
    _ = sandbox.runbook("case", rest);
    _ = sandbox.write("conf.toml", CONF);
    _ = sandbox.call(["check", "case"]).exits(0);
    sandbox
}

fn text(sandbox: &Sandbox, name: &str) -> String {
    std::fs::read_to_string(sandbox.path(name)).unwrap_or_default()
}

fn words(sandbox: &Sandbox) -> Vec<String> {
    text(sandbox, "log").lines().map(str::to_owned).collect()
}

fn undo(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let run = sandbox.first_run();
    sandbox.call([&["undo", run.as_str()], arguments].concat())
}

#[test]
fn the_last_change_is_taken_back_first() {
    let sandbox = sandbox(CASE);
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(0);
    assert_eq!(words(&sandbox), ["one", "a", "b", "c", "d"]);
    assert!(text(&sandbox, "conf.toml").contains("port = 9"));
    _ = undo(&sandbox, &[]).exits(0).says("UNDONE");
    assert_eq!(words(&sandbox), ["one", "a", "b", "c", "d", "und", "unc", "unb", "una"]);
    assert_eq!(text(&sandbox, "conf.toml"), CONF, "an edit is taken back to the byte");
    assert!(!sandbox.path("made7").exists());
    // What was taken back is not taken back again.
    _ = undo(&sandbox, &[]).exits(0);
    assert_eq!(words(&sandbox).len(), 9);
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn what_cannot_be_taken_back_remains_and_can_be_tried_again() {
    let sandbox = sandbox(
        "
targets: { here: { local: true } }
steps:
  - { id: gone, remediate: Gone, risk: low, run: [touch, gone], irreversible: Nobody has a copy. }
  - { id: early, remediate: Early, risk: low, run: [touch, early], undo: { run: [rm, early] } }
  - { id: late, remediate: Late, risk: low, run: [touch, late], undo: { run: [rm, late, key] } }
  - { id: proof, validate: It is there, run: [test, -e, late] }
",
    );
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(0);
    // What was made before it may be needed by it: it stands too.
    _ = undo(&sandbox, &[]).exits(7).says("late: Late").says("what was made after it still stands");
    assert!(sandbox.path("early").exists());
    _ = sandbox.write("key", "");
    _ = sandbox.write("late", "");
    _ = undo(&sandbox, &[]).exits(1).says("Nobody has a copy");
    assert!(!sandbox.path("early").exists() && !sandbox.path("late").exists());
}

#[test]
fn a_file_that_was_changed_since_is_left_alone() {
    let sandbox = sandbox(
        "
targets: { here: { local: true } }
steps:
  - { id: conf, remediate: Set the port, risk: low, edit: { file: conf.toml, format: toml, set: { port: 9 } } }
  - { id: proof, validate: It is there, run: [test, -e, conf.toml] }
",
    );
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(0);
    let theirs = "port = 10\n";
    _ = sandbox.write("conf.toml", theirs);
    _ = undo(&sandbox, &[]).exits(7).says("conf.toml");
    assert_eq!(text(&sandbox, "conf.toml"), theirs);
}

#[test]
fn each_has_its_gate_and_waits_for_people() {
    let sandbox = sandbox(
        "
targets: { here: { local: true } }
steps:
  - { id: one, remediate: Make one, risk: low, run: [touch, one], undo: { run: [rm, one] } }
  - { id: proof, validate: It is there, run: [test, -e, one] }
",
    );
    _ = sandbox.call(["run", "case", "--env", "prod", "--yes=low"]).exits(0);
    _ = undo(&sandbox, &[]).exits(5).says("one/undo").says("rm one");
    assert!(sandbox.path("one").exists());
    // A second undo would take back what this one is about to.
    _ = undo(&sandbox, &[]).exits(2).says("has not ended").says("runwright resume");
    let parked = sandbox.runs().into_iter().find(|run| !run.ends_with(sandbox.first_run())).expect("an undo run");
    let gate = Sandbox::events(&parked).into_iter().find(|record| record["event"]["kind"] == "gate_opened");
    let digest = gate.expect("a gate")["event"]["digest"].as_str().expect("a digest")[..12].to_owned();
    let name = parked.file_name().expect("a name").to_string_lossy().into_owned();
    _ = sandbox.call(["approve", &name, "one/undo", "--digest", &digest]).exits(0);
    _ = sandbox.call(["resume", &name]).exits(0);
    assert!(!sandbox.path("one").exists());
    sandbox.is_whole();
}

#[test]
fn only_what_has_ended_is_taken_back() {
    let sandbox = sandbox(
        "
targets: { here: { local: true } }
steps:
  - { id: one, remediate: Make one, risk: low, run: [touch, one], undo: { run: [rm, one] } }
  - { id: who, diagnose: Who?, ask: { question: Who? } }
",
    );
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(5);
    _ = undo(&sandbox, &[]).exits(2).says("has not ended").says("runwright abort");
    let run = sandbox.first_run();
    _ = sandbox.call(["abort", &run, "--reason", "wrong cluster"]).exits(4);
    _ = undo(&sandbox, &[]).exits(0);
    assert!(!sandbox.path("one").exists());
    let name = sandbox.runs().into_iter().find(|run| !run.ends_with(sandbox.first_run())).expect("an undo run");
    let name = name.file_name().expect("a name").to_string_lossy().into_owned();
    _ = sandbox.call(["undo", &name]).exits(2).says("takes back the changes of run");
}

#[test]
fn what_comes_after_a_temporary_change_is_taken_back_too() {
    let sandbox = sandbox(
        "
targets: { here: { local: true } }
steps:
  - { id: ban, remediate: Ban, risk: low, run: [touch, ban], temporary: true, undo: { run: [rm, ban] } }
  - { id: call, remediate: Call, runbook: inner }
  - { id: one, remediate: One, risk: low, run: [touch, one], undo: { run: [rm, one] } }
  - { id: proof, validate: It is there, run: [test, -e, one] }
finally:
  - { id: last, remediate: Last, risk: low, run: [touch, last], undo: { run: [rm, last] } }
"
        .replace("runbook: inner", "runbook: { name: inner }")
        .as_str(),
    );
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(0);
    assert!(sandbox.path("inside").exists() && sandbox.path("last").exists() && !sandbox.path("ban").exists());
    _ = undo(&sandbox, &[]).exits(0).says("3 of 3");
    for name in ["one", "last", "inside"] {
        assert!(!sandbox.path(name).exists(), "{name}");
    }
    assert_eq!(sandbox.runs().len(), 2);
}

/// What a step of an undo expects must hold: the acts after it rest on it.
#[test]
fn a_guard_in_an_undo_that_does_not_hold_stops_it() {
    let sandbox = sandbox(
        "
targets: { here: { local: true } }
steps:
  - id: one
    remediate: One
    risk: low
    run: [touch, one]
    undo:
      - { id: guard, validate: Nobody needs it, run: [test, -e, key], ok: [0, 1], expect: exit == 0 }
      - { id: back, remediate: Take it back, run: [rm, one] }
  - { id: proof, validate: It is there, run: [test, -e, one] }
",
    );
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(0);
    _ = undo(&sandbox, &[]).exits(7).says("does not hold");
    assert!(sandbox.path("one").exists());
    _ = sandbox.write("key", "");
    _ = undo(&sandbox, &[]).exits(0);
    assert!(!sandbox.path("one").exists());
}

/// A program that reads its file at its start begins anew when the file is back, not before.
#[test]
fn a_file_is_put_back_among_other_acts() {
    let restart = "{ shell: 'grep ^port conf.toml >> log' }";
    let body = format!(
        "
targets: {{ here: {{ local: true }} }}
steps:
  - id: copy
    remediate: Keep a copy
    risk: low
    run: [cp, conf.toml, copy]
    keep: a copy of {{{{ target_name | default('conf.toml') }}}} is of use later
  - id: conf
    remediate: Set the port
    risk: low
    edit: {{ file: conf.toml, format: toml, set: {{ port: 9 }} }}
    undo:
      - restore
      - {{ id: again, remediate: Start with it, shell: 'grep ^port conf.toml >> log' }}
      - {{ id: proof, validate: It runs with it, run: [grep, -q, \"port = 8\", log] }}
  - {{ id: start, remediate: Start, risk: low, {}, irreversible: it runs on }}
",
        &restart[2..restart.len() - 2]
    );
    let sandbox = sandbox(&body.replace("{{ target_name | default('conf.toml') }}", "conf.toml"));
    _ = sandbox.runwright("plan case --env free").exits(0).tells("the exact bytes before are kept; then");
    // Nothing validates, so nothing is resolved.
    let said = sandbox.runwright("run case --env free").exits(1).tells("not needed: a copy of conf.toml").all();
    let (_, stands) = said.split_once("and can be taken back:").expect("what stands");
    assert!(stands.contains("    conf") && !stands.contains("    copy"), "what is kept is no offer\n{said}");
    assert_eq!(words(&sandbox), ["port = 9   # eight"]);
    let output = undo(&sandbox, &[]);
    let output = output
        .tells("a copy of conf.toml is of use later")
        .tells("restore conf.toml as it was before")
        .tells("taken back 1 of 2");
    assert_eq!(text(&sandbox, "conf.toml"), CONF, "{output}");
    assert_eq!(words(&sandbox), ["port = 9   # eight", "port = 8   # eight"], "the file was back first");
    assert!(sandbox.path("copy").exists(), "what is kept stays");
    // What cannot be taken back remains; what is kept does not.
    let said = output.all();
    let (_, remains) = said.split_once("these remain").expect("what remains");
    assert!(remains.contains("start  Start (it cannot be undone") && !remains.contains("copy "), "{said}");
    sandbox.is_whole();
}
