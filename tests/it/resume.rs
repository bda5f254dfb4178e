//! Taking a run up again: out of its record alone, whatever has changed around it.

use crate::support::{Output, Sandbox, Terminal, finish};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// A read, a change behind a gate, a proof.
const CASE: &str = "
targets: { here: { local: true } }
steps:
  - { id: look, diagnose: Look, shell: 'echo x >> looked; echo 7', capture: { n: stdout | int } }
  - { id: act, remediate: Act, run: [touch, 'made{{ look.n }}'], undo: { run: [rm, made7] } }
  - { id: there, validate: It is there, run: [test, -e, made7] }
";

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

/// A run that has parked at the gate of its change.
fn parked(rest: &str, arguments: &[&str]) -> Sandbox {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", rest);
    _ = sandbox.call([&["run", "case"], arguments].concat()).exits(5);
    sandbox
}

fn events(sandbox: &Sandbox, kind: &str) -> Vec<serde_json::Value> {
    let all = Sandbox::events(&sandbox.only_run()).into_iter().map(|record| record["event"].clone());
    all.filter(|event| event["kind"] == kind).collect()
}

fn resume(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.call([&["resume", "last"], arguments].concat())
}

/// Waits until a file is there.
fn appears(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} did not appear", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Starts the run, waits until a step has made the file `begun`, and kills the process.
fn killed(sandbox: &Sandbox, arguments: &[&str]) {
    let mut run: Child =
        sandbox.command([&["run", "case", "--env", "free"], arguments].concat()).spawn().expect("a run");
    appears(&sandbox.path("begun"));
    run.kill().expect("a signal");
    _ = run.wait().expect("an end");
    // What it had started goes with it: a machine that went down.
    sandbox.kill_processes();
}

/// The first time, the script begins and waits to be killed with its run; from then on it goes through.
fn once(before: &str, after: &str) -> String {
    format!("{before} if [ ! -e begun ]; then touch begun; sleep 6; fi; {after}")
}

#[test]
fn a_parked_run_goes_on_where_it_was_and_what_has_ended_is_not_performed_again() {
    let sandbox = parked(CASE, &[]);
    _ = resume(&sandbox, &[]).exits(5).says("PARKED");
    assert!(!sandbox.path("made7").exists());
    _ = resume(&sandbox, &["--yes=medium", "--as", "bo"]).exits(0).says("RESOLVED");
    assert!(sandbox.path("made7").exists());
    assert_eq!(lines(&sandbox.path("looked")), 1, "the read was performed again");
    let resumed = events(&sandbox, "run_resumed");
    assert_eq!(resumed.len(), 2);
    assert_eq!(resumed[1]["operator"]["name"], "bo");
    assert_eq!(events(&sandbox, "gate_answered").last().expect("an answer")["answer"]["door"], "flag");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
    _ = resume(&sandbox, &[]).exits(2).says("[run-ended]").tells("resolved").tells("runwright undo");
}

#[test]
fn what_has_changed_around_it_since_the_start_changes_nothing() {
    let sandbox = Sandbox::library();
    let settings = "library: test\nenvironments:\n  one: { production: false, values: { name: first } }\n";
    _ = sandbox.write("runwright.yaml", settings);
    let steps = "
inputs: { count: { type: integer, default: 3 } }
steps:
  - id: act
    remediate: Act
    run: [touch, 'made-{{ env.name }}-{{ count }}-{{ run.operator }}']
    undo: { run: [date] }
  - { id: call, remediate: Call, runbook: { name: other, inputs: { to: '{{ count }}' } } }
  - { id: there, validate: It is there, run: [test, -e, made-first-4-ana] }
";
    let other = "
inputs: { to: { type: integer } }
steps:
  - { id: act, remediate: Act, run: [touch, 'other-{{ to }}'], undo: { run: [date] } }
  - { id: there, validate: There, run: [test, -e, 'other-{{ to }}'] }
";
    _ = sandbox.runbook("case", steps);
    _ = sandbox.runbook("other", other);
    _ = sandbox.call(["run", "case", "--env", "one", "-i", "count=4", "--as", "ana"]).exits(5);
    _ = sandbox.write("runwright.yaml", &settings.replace("first", "second"));
    _ = sandbox.runbook("other", "steps: [{ diagnose: Nothing, run: [date] }]\n");
    std::fs::remove_file(sandbox.path("case.yaml")).expect("a file");
    let elsewhere = sandbox.path("../elsewhere");
    std::fs::create_dir(&elsewhere).expect("a folder");
    std::fs::write(elsewhere.join("answers.yaml"), "{}\n").expect("a file");
    let mut command = sandbox.command(["resume", "last", "--answers", "answers.yaml", "--yes=medium", "--as", "bo"]);
    _ = finish(command.current_dir(&elsewhere)).exits(0).says("RESOLVED");
    assert!(sandbox.path("made-first-4-ana").exists());
    assert!(sandbox.path("other-4").exists());
}

#[test]
fn a_killed_read_is_performed_again_and_its_values_go_on() {
    let sandbox = Sandbox::library();
    let steps = format!(
        "steps:\n  - {{ id: first, diagnose: First, shell: 'echo x >> first' }}\n  - {{ id: look, diagnose: Look, \
         shell: '{}', capture: {{ n: stdout | int }} }}\n  - {{ id: seen, validate: Seen, expect: look.n == 7 }}\n",
        once("sleep 0.3;", "echo 7")
    );
    _ = sandbox.runbook("case", &steps);
    killed(&sandbox, &[]);
    _ = resume(&sandbox, &[]).exits(0).says("RESOLVED");
    assert_eq!(lines(&sandbox.path("first")), 1);
    sandbox.is_whole();
}

#[test]
fn a_killed_change_is_settled_by_its_verify_or_by_a_person() {
    for (is_made, idempotent) in [(true, false), (false, false), (false, true)] {
        let sandbox = Sandbox::library();
        let (before, after) = if is_made { ("echo x >> made;", "") } else { ("", "echo x >> made") };
        let steps = format!(
            "steps:\n  - id: act\n    remediate: Act\n    shell: '{}'\n    undo: {{ run: [rm, made] }}\n    verify: \
             {{ run: [test, -e, made], ok: [0, 1], expect: exit == 0 }}\n    idempotent: {idempotent}\n  \
             - {{ id: there, validate: There, run: [test, -e, made] }}\n",
            once(before, after)
        );
        _ = sandbox.runbook("case", &steps);
        killed(&sandbox, &[]);
        let output = resume(&sandbox, &[]);
        match (is_made, idempotent) {
            (true, _) | (_, true) => _ = output.exits(0).says("RESOLVED"),
            (false, false) => {
                _ = output.exits(5);
                assert!(!sandbox.path("made").exists(), "it was repeated without a word");
            }
        }
        assert!(lines(&sandbox.path("made")) <= 1, "it was done twice");
        sandbox.is_whole();
    }
}

#[test]
fn a_killed_loop_goes_on_at_its_first_unfinished_item() {
    let sandbox = Sandbox::library();
    let steps = format!(
        "steps:\n  - id: act\n    remediate: Act\n    for_each: '[1, 2, 3, 4]'\n    as: n\n    shell: '{}'\n    env: \
         {{ N: '{{{{ n }}}}' }}\n    undo: {{ run: [date] }}\n    verify: {{ run: [grep, -qx, '{{{{ n }}}}', done], \
         ok: [0, 1], expect: exit == 0 }}\n  - {{ id: there, validate: There, run: [test, -e, done] }}\n",
        "echo $N >> done; if [ $N = 2 ] && [ ! -e begun ]; then touch begun; sleep 6; fi"
    );
    _ = sandbox.runbook("case", &steps);
    killed(&sandbox, &[]);
    _ = resume(&sandbox, &[]).exits(0).says("RESOLVED");
    assert_eq!(std::fs::read_to_string(sandbox.path("done")).expect("a file"), "1\n2\n3\n4\n");
    sandbox.is_whole();
}

#[test]
fn a_wait_goes_on_with_the_time_already_spent() {
    let sandbox = Sandbox::library();
    let steps =
        "steps:\n  - { id: mark, diagnose: Mark, shell: touch begun }\n  - { id: rest, diagnose: Rest, wait: 3s }\n";
    _ = sandbox.runbook("case", steps);
    let mut run = sandbox.command(["run", "case"]).spawn().expect("a run");
    let deadline = Instant::now() + Duration::from_secs(20);
    let pauses = || sandbox.only_run().join("transcript.jsonl").exists() && !events(&sandbox, "paused").is_empty();
    while sandbox.runs().is_empty() || !pauses() {
        assert!(Instant::now() < deadline, "no wait was told of");
        std::thread::sleep(Duration::from_millis(10));
    }
    let began = Instant::now();
    run.kill().expect("a signal");
    _ = run.wait().expect("an end");
    _ = resume(&sandbox, &[]).exits(0).says("COMPLETED");
    let took = began.elapsed();
    assert!(took < Duration::from_millis(5900), "it waited anew: {took:?}");
}

#[test]
fn a_torn_line_is_dropped_and_told() {
    let sandbox = parked(CASE, &[]);
    let transcript = sandbox.only_run().join("transcript.jsonl");
    let mut bytes = std::fs::read(&transcript).expect("a transcript");
    bytes.extend_from_slice(b"{\"seq\":99,\"time\":");
    std::fs::write(&transcript, bytes).expect("a transcript");
    _ = resume(&sandbox, &["--yes=medium"]).exits(0);
    assert_eq!(events(&sandbox, "run_resumed")[0]["torn"], 17);
    sandbox.is_whole();
}

#[test]
fn a_copied_run_goes_on_in_another_store_and_the_record_has_both_names() {
    let sandbox = parked(CASE, &[]);
    let run = sandbox.only_run();
    // An approval that was left and not used goes with the folder, and is void there.
    let gate = events(&sandbox, "gate_opened").pop().expect("a gate");
    let digest = gate["digest"].as_str().expect("a digest");
    _ = sandbox.call(["approve", "last", "act", "--digest", digest]).exits(0);
    let other = sandbox.path("../other");
    std::fs::create_dir_all(other.join("runs")).expect("a folder");
    let status = std::process::Command::new("cp").arg("-a").arg(&run).arg(other.join("runs")).status();
    assert!(status.expect("cp").success());
    for folder in [&other, &other.join("runs")] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).expect("rights");
    }
    let name = run.file_name().expect("a name").to_str().expect("text").to_owned();
    let mut command = sandbox.command(["resume", &name, "--as", "bo"]);
    command.env("RUNWRIGHT_STORE", &other).env("HOME", sandbox.path("../other"));
    _ = finish(&mut command).exits(5).says("it was given before the");
    assert!(!sandbox.path("made7").exists());
    let mut command = sandbox.command(["resume", &name, "--as", "bo", "--yes=medium"]);
    command.env("RUNWRIGHT_STORE", &other).env("HOME", sandbox.path("../other"));
    _ = finish(&mut command).exits(0).says("RESOLVED");
    let records = Sandbox::events(&other.join("runs").join(&name));
    let resumed = records.iter().find(|record| record["event"]["kind"] == "run_resumed").expect("an event");
    assert!(resumed["event"]["moved_from"].is_string(), "{resumed}");
    assert_ne!(resumed["event"]["store"], records[0]["event"]["store"]);
    assert_eq!(resumed["event"]["operator"]["name"], "bo");
}

#[test]
fn a_secret_is_read_again_and_asked_for_where_it_came() {
    let steps = "
inputs:
  admin: { type: string, secret: true, from: { env: ADMIN_KEY } }
  other: { type: string, secret: true }
steps:
  - id: act
    remediate: Act
    shell: 'printf %s \"$ADMIN-$OTHER\" > made'
    env: { ADMIN: '{{ admin }}', OTHER: '{{ other }}' }
    undo: { run: [rm, made] }
";
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", steps);
    _ = sandbox.write("other.txt", "other-secret-1\n");
    let with_key = |arguments: &[&str], key: &str| finish(sandbox.command(arguments).env("ADMIN_KEY", key));
    _ = with_key(&["run", "case", "-i", "other=@other.txt"], "admin-secret-1").exits(5);
    let missing = resume(&sandbox, &[]).exits(3).says("[secret-missing]").says("`admin`").says("ADMIN_KEY");
    _ = missing.tells("-i other=@FILE").tells("was given on the command line");
    let wrong = with_key(&["resume", "last", "-i", "other=@other.txt", "-i", "more=1"], "admin-secret-2");
    _ = wrong.exits(2).says("[unknown-input]").tells("admin, other");
    let done = with_key(&["resume", "last", "-i", "other=@other.txt", "--yes=medium"], "admin-secret-2");
    _ = done.exits(1);
    assert_eq!(std::fs::read_to_string(sandbox.path("made")).expect("a file"), "admin-secret-2-other-secret-1");
    let record = std::fs::read_to_string(sandbox.only_run().join("transcript.jsonl")).expect("a transcript");
    assert!(!record.contains("admin-secret") && !record.contains("other-secret"));
}

#[test]
fn inputs_are_frozen() {
    let inputs = format!("\ninputs: {{ size: {{ type: integer, default: 3 }} }}{CASE}");
    let sandbox = parked(&inputs, &["-i", "size=4"]);
    _ = resume(&sandbox, &["-i", "size=5"]).exits(2).says("[input-frozen]").says("`size`");
    _ = resume(&sandbox, &["-i", "colour=red"]).exits(2).says("[unknown-input]");
    _ = resume(&sandbox, &["-i", "size=4", "--yes=medium"]).exits(0);
}

#[test]
fn a_text_that_held_a_secret_is_taken_from_its_file_while_that_is_the_same() {
    let steps = format!("{}\n# the word s3cret-word stands here\n", CASE.trim_end());
    let steps = format!("inputs: {{ pass: {{ type: string, secret: true, from: {{ env: PASS }} }} }}{steps}");
    let sandbox = Sandbox::library();
    let file = sandbox.runbook("case", &steps);
    let call = |arguments: &[&str]| finish(sandbox.command(arguments).env("PASS", "s3cret-word"));
    _ = call(&["run", "case"]).exits(5).tells("holds the text of a secret");
    let text = std::fs::read_to_string(&file).expect("a runbook");
    std::fs::write(&file, text.replace("A case", "Another")).expect("a runbook");
    _ = call(&["resume", "last"]).exits(3).says("[frozen-masked]").tells("has changed since");
    std::fs::write(&file, text).expect("a runbook");
    _ = call(&["resume", "last", "--yes=medium"]).exits(0);
}

#[test]
fn what_cannot_be_taken_up_is_refused_with_a_way_out() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", &format!("steps: [{{ diagnose: Look, shell: '{}' }}]\n", once("", "")));
    _ = sandbox.call(["resume", "20260101-0000-none"]).exits(2).says("[unknown-run]");
    let mut probe = sandbox.command(["probe", "case"]).spawn().expect("a probe");
    appears(&sandbox.path("begun"));
    _ = resume(&sandbox, &[]).exits(9).says("[run-held]").tells("is held by").tells("runwright show");
    probe.kill().expect("a signal");
    _ = probe.wait().expect("an end");
    _ = resume(&sandbox, &[]).exits(2).says("[dry-run]").tells("runwright probe case");
}

#[test]
fn a_damaged_record_is_not_gone_on_with() {
    let sandbox = parked(CASE, &[]);
    let transcript = sandbox.only_run().join("transcript.jsonl");
    let text = std::fs::read_to_string(&transcript).expect("a transcript");
    std::fs::write(&transcript, text.replacen("\"n\":{\"value\":7}", "\"n\":{\"value\":8}", 1)).expect("a transcript");
    _ = resume(&sandbox, &["--yes=medium"]).exits(8).says("[record-damaged]").tells("runwright verify");
    std::fs::write(&transcript, text.replacen("\n{", "\n(", 1)).expect("a transcript");
    _ = resume(&sandbox, &["--yes=medium"]).exits(8).says("[record-damaged]");
    assert!(!sandbox.path("made8").exists());
}

#[test]
fn a_record_of_other_semantics_is_not_guessed_at() {
    let sandbox = parked(CASE, &[]);
    let transcript = sandbox.only_run().join("transcript.jsonl");
    let text = std::fs::read_to_string(&transcript).expect("a transcript");
    let first = text.lines().next().expect("a line").replacen("\"semantics\":1", "\"semantics\":9", 1);
    // One line is a whole chain.
    std::fs::write(&transcript, format!("{first}\n")).expect("a transcript");
    _ = resume(&sandbox, &[]).exits(3).says("[other-semantics]").tells("take it up with version");
}

#[test]
fn a_program_and_a_folder_that_are_gone_are_told_with_what_to_do() {
    let sandbox = Sandbox::library();
    let tool = sandbox.program("tool", "#!/bin/sh\ntouch made7\n");
    let steps = "requires: [tool]\nsteps:\n  - { id: act, remediate: Act, run: [tool], undo: { run: [date] } }\n";
    std::fs::create_dir(sandbox.path("below")).expect("a folder");
    _ = sandbox.runbook("case", steps);
    _ = finish(sandbox.command(["run", "case"]).current_dir(sandbox.path("below"))).exits(5);
    std::fs::create_dir(sandbox.path("moved")).expect("a folder");
    std::fs::rename(&tool, sandbox.path("moved/tool")).expect("a program");
    _ = resume(&sandbox, &[]).exits(3).says("[program-gone]").tells("--find-programs");
    let path = format!("{}:{}", sandbox.path("moved").display(), std::env::var("PATH").expect("PATH"));
    std::fs::remove_dir(sandbox.path("below")).expect("a folder");
    let call = |arguments: &[&str]| finish(sandbox.command(arguments).env("PATH", &path));
    _ = call(&["resume", "last", "--find-programs"]).exits(2).says("[folder-gone]").tells("--folder DIR");
    _ = call(&["resume", "last", "--find-programs", "--folder", "moved"]).exits(5);
    // What was found anew is on record: it need not be said again.
    // The act is another one now, so no flag answers its gate.
    _ = call(&["resume", "last", "--yes=medium"]).exits(5);
    assert_eq!(events(&sandbox, "gate_opened").len(), 2);
}

#[test]
fn a_value_too_long_for_an_event_is_there_again() {
    let steps = "
steps:
  - { id: look, diagnose: Look, shell: 'seq 1 20000', capture: { all: lines } }
  - { id: act, remediate: Act, run: [touch, 'made-{{ look.all | length }}-{{ look.stdout | length }}'], undo: { run: [date] } }
  - { id: there, validate: It is there, run: [test, -e, made-20000-108894] }
";
    let sandbox = parked(steps, &[]);
    _ = resume(&sandbox, &["--yes=medium"]).exits(0);
    sandbox.is_whole();
}

#[test]
fn refresh_performs_the_reads_again() {
    let sandbox = parked(CASE, &[]);
    _ = resume(&sandbox, &["--refresh", "--yes=medium"]).exits(0);
    assert_eq!(lines(&sandbox.path("looked")), 2);
    assert_eq!(events(&sandbox, "run_resumed")[0]["refresh"], true);
}

#[test]
fn a_mended_runbook_is_gone_on_with_when_it_fits_and_somebody_agrees() {
    let sandbox = parked(CASE, &[]);
    let mended = CASE.replace("[touch, 'made{{ look.n }}']", "[touch, 'made{{ look.n }}', also]")
        + "  - { id: more, validate: More, run: [test, -e, also] }\n";
    let head = "runbook: case\ntitle: Another title\n";
    _ = sandbox.write("mended.yaml", &format!("{head}{}", mended.trim_start_matches('\n')));
    let asked = resume(&sandbox, &["--runbook", "mended.yaml"]).exits(3).says("[runbook-differs]");
    let asked = asked.tells("changed act run").tells("added more").tells("same 2 steps");
    let (_, digest) = asked.stderr.split_once("--accept-runbook").expect("a digest");
    let digest = digest.split_whitespace().next().expect("a digest").to_owned();
    _ = resume(&sandbox, &["--runbook", "mended.yaml", "--accept-runbook", "0123456789ab"]).exits(3);
    assert!(events(&sandbox, "run_resumed").is_empty(), "a refusal left something on record");
    _ = resume(&sandbox, &["--runbook", "mended.yaml", "--accept-runbook", &digest]).exits(5);
    // From here on it is the frozen one: the file is not wanted any more. The act has moved, so no flag answers.
    std::fs::remove_file(sandbox.path("mended.yaml")).expect("a file");
    _ = resume(&sandbox, &["--yes=medium"]).exits(5);
    let gates = events(&sandbox, "gate_opened");
    assert_eq!(gates.last().expect("a gate")["card"]["act"]["text"], "touch made7 also");
    assert_eq!(lines(&sandbox.path("looked")), 1);
    _ = sandbox.runwright("show last").exits(0).says("also");
}

#[test]
fn a_runbook_that_does_not_fit_what_was_done_is_refused() {
    let sandbox = parked(CASE, &[]);
    let look = CASE.lines().find(|line| line.contains("id: look")).expect("a line").to_owned();
    let rows = [
        (CASE.replace("echo 7", "echo 8"), "`look` has begun, and its `shell` differs"),
        (CASE.replace(&format!("{look}\n"), ""), "`look` has begun, and is not there any more"),
        (CASE.replace("steps:\n", "steps:\n  - { id: new, diagnose: New, run: [date] }\n"), "from `new` on"),
        (format!("inputs: {{ x: {{ type: string, default: a }} }}{CASE}"), "`inputs` is not what it was"),
        (CASE.replace("local: true", "ssh: somewhere"), "`targets` is not what it was"),
        (CASE.replace("diagnose: Look", "validate: Look"), "its `kind` differs"),
    ];
    for (text, why) in rows {
        _ = sandbox.write("other.yaml", &format!("runbook: case\ntitle: A case\n{}", text.trim_start_matches('\n')));
        let output = resume(&sandbox, &["--runbook", "other.yaml", "--accept-runbook", "000000000000"]);
        // The step that uses what is gone is a problem of the text itself.
        if why.contains("not there any more") {
            _ = output.exits(3);
        } else {
            _ = output.exits(3).says("[runbook-unfit]").tells(why);
        }
    }
    let text = CASE.replace("diagnose: Look", "diagnose: See for yourself");
    _ = sandbox.write("other.yaml", &format!("runbook: case\ntitle: A case\n{}", text.trim_start_matches('\n')));
    _ = resume(&sandbox, &["--runbook", "other.yaml"])
        .exits(3)
        .says("[runbook-differs]")
        .tells("changed look diagnose");
    _ = resume(&sandbox, &["--yes=medium"]).exits(0);
}

#[test]
fn old_evidence_is_marked_and_no_flag_answers_until_it_is_read_again() {
    let sandbox = Sandbox::library();
    let settings = "library: test\nenvironments:\n  quick: { production: false, stale_after: 1ms }\n";
    _ = sandbox.write("runwright.yaml", settings);
    _ = sandbox.runbook("case", CASE);
    _ = sandbox.call(["run", "case", "--env", "quick"]).exits(5);
    _ = resume(&sandbox, &["--yes=medium"]).exits(5);
    assert!(!sandbox.path("made7").exists(), "a flag answered on stale evidence");
    let digest = events(&sandbox, "gate_opened")[0]["digest"].as_str().expect("a digest").to_owned();
    let elsewhere = sandbox.call(["approve", "last", "act", "--digest", &digest[..8]]).exits(0);
    _ = elsewhere.says("STALE").tells("`look` was read");
    std::fs::remove_dir_all(sandbox.only_run().join("inbox")).expect("the answer is taken back");
    let mut terminal = Terminal::open(&sandbox, &["resume", "last", "--yes=medium"]);
    terminal.sees("STALE").sees("go on?").types("l");
    _ = terminal.exits(130);
    _ = resume(&sandbox, &["--refresh", "--yes=medium"]).exits(0);
    assert!(sandbox.path("made7").exists());
}

/// What a person has settled stays settled, whatever happens between that and the act.
#[test]
fn a_retry_that_was_said_is_not_asked_for_again() {
    let sandbox = Sandbox::library();
    let steps = format!(
        "steps:\n  - id: act\n    remediate: Act\n    gate: {{ confirm: true }}\n    shell: '{}'\n    undo: {{ run: [rm, made] \
         }}\n  - {{ id: there, validate: There, run: [test, -e, made] }}\n",
        once("", "echo x >> made")
    );
    _ = sandbox.runbook("case", &steps);
    killed(&sandbox, &["--yes=medium"]);
    _ = resume(&sandbox, &[]).exits(5).says("settle");
    _ = sandbox.call(["answer", "last", "act", "result=retry", "--reason", "nothing is there"]).exits(0);
    _ = resume(&sandbox, &[]).exits(5);
    let gate = events(&sandbox, "gate_opened").pop().expect("a gate");
    assert_eq!(gate["number"], 2);
    let digest = gate["digest"].as_str().expect("a digest");
    _ = sandbox.call(["approve", "last", "act", "--digest", digest]).exits(0);
    _ = resume(&sandbox, &[]).exits(0);
    assert_eq!(lines(&sandbox.path("made")), 1);
    assert_eq!(events(&sandbox, "settled").len(), 1);
    sandbox.is_whole();
}
