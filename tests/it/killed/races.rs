//! Two processes that want the same run, and two people who answer the same gate.

use super::flight::{start, until};
use super::{last_event, run_id, write};
use crate::support::{Output, Sandbox, finish};
use std::collections::BTreeMap;

const STEPS: &str = "
steps:
  - { id: act, remediate: Do it, shell: echo made >> done, undo: { run: [rm, done] } }
  - { id: made, validate: It is made, run: [test, -e, done] }
";

/// A parked run of those steps, and the digest of its gate.
fn parked() -> (Sandbox, String, String) {
    let sandbox = Sandbox::library();
    write(&sandbox, STEPS);
    _ = sandbox.call(["run", "case", "--env", "prod"]).exits(5);
    let run = run_id(&sandbox);
    let digest = last_event(&sandbox)["waiting"][0]["digest"].as_str().expect("a digest").to_owned();
    (sandbox, run, digest)
}

/// Calls at the same time.
fn together(sandbox: &Sandbox, calls: &[&[&str]]) -> Vec<Output> {
    std::thread::scope(|scope| {
        let started: Vec<_> = calls.iter().map(|call| scope.spawn(|| finish(&mut sandbox.command(*call)))).collect();
        started.into_iter().map(|call| call.join().expect("it ends")).collect()
    })
}

fn made(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path("done")).unwrap_or_default()
}

/// How each opening of a gate was answered: one answer each.
fn answers(sandbox: &Sandbox) -> BTreeMap<u64, Vec<String>> {
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for event in Sandbox::events(&sandbox.only_run()) {
        let event = &event["event"];
        if event["kind"] == "gate_answered" {
            let number = event["number"].as_u64().expect("a number");
            found.entry(number).or_default().push(event["answer"]["answer"].as_str().expect("an answer").to_owned());
        }
    }
    assert!(found.values().all(|answers| answers.len() == 1), "{found:?}");
    found
}

#[test]
fn one_of_two_that_take_a_run_up_gets_it() {
    for _ in 0..4 {
        let (sandbox, run, digest) = parked();
        _ = sandbox.call(["approve", &run, "act", "--digest", &digest]).exits(0);
        let outputs = together(&sandbox, &[&["resume", &run], &["resume", &run], &["resume", &run]]);
        assert_eq!(made(&sandbox), "made\n", "{}", outputs.iter().map(ToString::to_string).collect::<String>());
        assert!(outputs.iter().any(|output| output.code == 0), "{}", outputs[0]);
        // The others were told who has it, or that it has ended.
        assert!(outputs.iter().all(|output| ![70, 101, 139].contains(&output.code)), "{}", outputs[1]);
        assert_eq!(last_event(&sandbox)["result"], "resolved");
        sandbox.is_whole();
    }
}

#[test]
fn two_answers_are_one_decision() {
    for other in ["approve", "deny"] {
        for _ in 0..4 {
            let sandbox = Sandbox::library();
            write(&sandbox, STEPS);
            let mut waiting = start(&sandbox, &["run", "case", "--env", "prod", "--park-after", "30m"]);
            let digest = || {
                let run = sandbox.runs().pop()?;
                let text = std::fs::read_to_string(run.join("transcript.jsonl")).ok()?;
                let line = text.lines().find(|line| line.contains("\"kind\":\"gate_opened\""))?;
                let event: serde_json::Value = serde_json::from_str(line).ok()?;
                Some(event["event"]["digest"].as_str()?.to_owned())
            };
            until("the gate is open", || digest().is_some());
            let (run, digest) = (run_id(&sandbox), digest().expect("a digest"));
            let first: &[&str] = &["approve", &run, "act", "--digest", &digest, "--as", "ana"];
            let same: &[&str] = &["approve", &run, "act", "--digest", &digest, "--as", "ben"];
            let no: &[&str] = &["approve", &run, "act", "--deny", "--reason", "no", "--as", "ben"];
            let outputs = together(&sandbox, &[first, if other == "deny" { no } else { same }]);
            let code = waiting.wait().expect("it ends").code();
            let answers = answers(&sandbox);
            let said = outputs.iter().map(ToString::to_string).collect::<String>();
            let approved = answers[&1] == ["approved"];
            assert_eq!(made(&sandbox), if approved { "made\n" } else { "" }, "{said}");
            assert_eq!(code, Some(if approved { 0 } else { 4 }), "{said}");
            // Whose answer was not the one is told so.
            let codes: Vec<i32> = outputs.iter().map(|output| output.code).collect();
            assert!(codes.contains(&0), "{said}");
            if other == "deny" {
                assert!(codes.iter().any(|code| *code != 0), "{said}");
            }
            sandbox.is_whole();
        }
    }
}

#[test]
fn a_run_is_taken_up_or_aborted() {
    for _ in 0..4 {
        let (sandbox, run, digest) = parked();
        _ = sandbox.call(["approve", &run, "act", "--digest", &digest]).exits(0);
        let outputs = together(&sandbox, &[&["resume", &run], &["abort", &run, "--reason", "enough"]]);
        let said = outputs.iter().map(ToString::to_string).collect::<String>();
        let event = last_event(&sandbox);
        assert_eq!(event["kind"], "run_ended", "{said}");
        match event["result"].as_str() {
            Some("resolved") => assert_eq!(made(&sandbox), "made\n", "{said}"),
            Some("aborted") => assert!(["", "made\n"].contains(&made(&sandbox).as_str()), "{said}"),
            other => panic!("{other:?}: {said}"),
        }
        assert!(outputs.iter().all(|output| ![70, 101, 139].contains(&output.code)), "{said}");
        sandbox.is_whole();
        sandbox.leaves_nothing_behind();
    }
}
