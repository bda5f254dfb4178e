//! Processes that are kept running for the steps after them.

use super::fixture::Played;
use super::{Script, Scripted};
use crate::engine::{Answer, RunState};
use crate::event::{ErrorClass, Event, Outcome, RunResult};
use serde_json::json;
use std::time::Duration;

const STEPS: &str = "
steps:
  - id: tunnel
    diagnose: Tunnel
    run: [tunnel]
    background: true
    ready: { run: [ping], expect: exit == 0 }
  - { id: look, validate: Look, run: [look] }
  - { id: act, remediate: Act, run: [act], risk: low, temporary: true, undo: { run: [undo] } }
  - { id: proof, validate: Proof, run: [proof] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
";

fn tunnel() -> Scripted {
    Scripted::new(STEPS).act("tunnel", Script::Hangs)
}

/// The place of an event among the records.
fn place(played: &Played, step: &str, is: impl Fn(&Event) -> bool) -> usize {
    let of = |record: &crate::event::Record| record.step.as_ref().is_some_and(|path| path.0 == step);
    let found = played.records.iter().position(|record| of(record) && is(&record.event));
    found.unwrap_or_else(|| panic!("{step}: {:#?}", played.records))
}

fn ended(event: &Event) -> bool {
    matches!(event, Event::StepEnded { .. })
}

#[tokio::test(start_paused = true)]
async fn a_process_is_there_until_the_steps_are_done() {
    let not_yet = Script::ok(json!({ "exit": 1 }));
    let ping = Script::Then(vec![not_yet.clone(), not_yet, Script::ok(json!({ "exit": 0 }))]);
    let played = tunnel().act("ping", ping).jobs(1).yes_man().play().await;
    let wanted = ["tunnel", "ping", "ping", "ping", "look", "act", "proof", "undo", "tidy"];
    assert_eq!(played.seen(), wanted);
    let over = place(&played, "tunnel", ended);
    // What is taken back may still need it; `finally` finds it gone.
    assert!(over > place(&played, "act/undo", ended) && over < place(&played, "tidy", ended));
    assert_eq!(played.outcome("tunnel"), Some(Outcome::Succeeded));
    assert_eq!(played.result(), RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn without_ready_it_is_enough_that_it_runs() {
    let steps = "
steps:
  - { id: tunnel, diagnose: Tunnel, run: [tunnel], background: true }
  - { id: look, diagnose: Look, run: [look] }
";
    let played = Scripted::new(steps).act("tunnel", Script::Hangs).play().await;
    assert_eq!(played.seen(), ["tunnel", "look"]);
    assert_eq!(played.result(), RunResult::Completed);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ready_in_time_is_ended() {
    let played = tunnel().act("ping", Script::ok(json!({ "exit": 1 }))).yes_man().play().await;
    assert_eq!(played.outcome("tunnel"), Some(Outcome::Failed));
    assert_eq!(played.reason("tunnel"), "it was not ready in time: `exit == 0` does not hold");
    assert!(played.records[place(&played, "tunnel", ended)].elapsed_ms <= 30_100);
}

#[tokio::test(start_paused = true)]
async fn what_ends_before_it_is_ready_has_failed() {
    let ping = Script::Ok(json!({ "exit": 0 }), 5000);
    let script = Script::Fail(ErrorClass::Exit(255));
    let played = Scripted::new(STEPS).act("tunnel", script).act("ping", ping).yes_man().play().await;
    assert_eq!(played.reason("tunnel"), "it ended before it was ready: exit_255");
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_it_is_needed_fails_and_is_missed() {
    let played = Scripted::new(STEPS)
        .act("tunnel", Script::Ok(json!({ "exit": 0 }), 5000))
        .act("look", Script::Hangs)
        .yes_man()
        .play()
        .await;
    assert_eq!(played.seen(), ["tunnel", "ping", "look", "tidy"]);
    assert_eq!(played.outcome("tunnel"), Some(Outcome::Failed));
    assert_eq!(played.reason("tunnel"), "it ended while it was needed");
    assert_eq!(played.outcome("look"), Some(Outcome::Cancelled));
    assert_eq!(played.reason("act"), "`tunnel` ended while it was needed");
    assert_eq!(played.result(), RunResult::NotResolved);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_group() {
    let steps = "
steps:
  - id: inside
    group: Inside
    steps:
      - { id: tunnel, diagnose: Tunnel, run: [tunnel], background: true }
      - { id: look, diagnose: Look, run: [look] }
  - { id: later, diagnose: Later, run: [later] }
  - { id: pause, diagnose: Wait, wait: 1m }
";
    let played = Scripted::new(steps).act("tunnel", Script::Hangs).play().await;
    assert!(place(&played, "tunnel", ended) < place(&played, "pause", ended));
    assert_eq!(played.result(), RunResult::Completed);
}

#[tokio::test(start_paused = true)]
async fn however_a_run_is_left_it_is_ended() {
    // A run that has not ended needs it again: a resume starts it anew, so its step has no end.
    let stopped = |played: &Played, outcome: Option<Outcome>| {
        let over = place(played, "tunnel", |event| matches!(event, Event::AttemptEnded { .. }));
        assert!(over < played.records.len() - 1);
        assert_eq!(played.outcome("tunnel"), outcome);
    };
    let played = tunnel().act("look", Script::Hangs).aborts(Duration::from_secs(5)).yes_man().play().await;
    assert_eq!(played.result(), RunResult::Aborted);
    stopped(&played, Some(Outcome::Succeeded));
    let played = tunnel().play().await;
    assert!(matches!(played.end.as_ref().expect("left").state, RunState::Parked(_)));
    stopped(&played, None);
    let played = tunnel().person(|_| Some(Answer::Suspend)).play().await;
    assert!(matches!(played.end.as_ref().expect("left").state, RunState::Suspended(_)));
    stopped(&played, None);
    let played = tunnel().act("act", Script::Fail(ErrorClass::Exit(1))).yes_man().play().await;
    assert_eq!(played.result(), RunResult::Failed);
    stopped(&played, Some(Outcome::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn a_change_in_the_background_passes_its_gate_and_gives_the_slot_back() {
    let steps = "
steps:
  - { id: tunnel, remediate: Tunnel, run: [tunnel], risk: low, background: true }
  - { id: act, remediate: Act, run: [act], risk: low }
  - { id: proof, validate: Proof, run: [proof] }
";
    let played = Scripted::new(steps).act("tunnel", Script::Hangs).yes_man().play().await;
    assert_eq!(played.seen(), ["tunnel", "act", "proof"]);
    assert_eq!(played.prompts.len(), 2);
    assert_eq!(played.result(), RunResult::Resolved);
}
