//! Processes that are kept running for the steps after them.

use super::fixture::Played;
use super::{Script, Scripted};
use crate::engine::RunState;
use crate::event::{ErrorClass, Event, Outcome};
use serde_json::json;
use std::time::Duration;

const FOREVER: u64 = 1_000_000_000;

const FORWARD: &str = "
steps:
  - id: forward
    diagnose: Open the way
    run: [forward]
    background: true
    ready: { run: [ping], expect: exit == 0, within: 10s, every: 1s }
  - id: look
    validate: It answers
    run: [ask]
finally:
  - { id: tidy, diagnose: Tidy up, run: [tidy] }
";

/// How the attempt of the process ended, and after what.
fn process_end(played: &Played) -> (Outcome, Option<ErrorClass>) {
    let ends: Vec<_> = played
        .records
        .iter()
        .filter_map(|record| match (&record.step, &record.event) {
            (Some(path), Event::AttemptEnded { outcome, error, .. }) if path.0.ends_with("/process") => {
                Some((*outcome, error.clone()))
            }
            _ => None,
        })
        .collect();
    let [end] = ends.as_slice() else { panic!("one process, one end: {ends:?}") };
    end.clone()
}

fn outcome(played: &Played, step: &str) -> Option<Outcome> {
    played.records.iter().find_map(|record| match (&record.step, &record.event) {
        (Some(path), Event::StepEnded { outcome, .. }) if path.0 == step => Some(*outcome),
        (Some(path), Event::StepSkipped { .. }) if path.0 == step => Some(Outcome::Skipped),
        _ => None,
    })
}

fn place(played: &Played, wanted: impl Fn(&str, &Event) -> bool) -> usize {
    let found = played
        .records
        .iter()
        .position(|record| record.step.as_ref().is_some_and(|path| wanted(&path.0, &record.event)));
    found.expect("it is on record")
}

fn not_yet() -> Script {
    Script::ok(json!({ "exit": 1 }))
}

fn yes() -> Script {
    Script::ok(json!({ "exit": 0 }))
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_before_what_follows_and_ends_with_the_run() {
    let ping = Script::Then(vec![not_yet(), not_yet(), yes()]);
    let played = Scripted::new(FORWARD).act("forward", Script::Lives(FOREVER)).act("ping", ping).play().await;
    assert_eq!(played.seen(), ["forward", "ping", "ping", "ping", "ask", "tidy"]);
    assert_eq!(outcome(&played, "forward"), Some(Outcome::Succeeded));
    assert_eq!(process_end(&played), (Outcome::Cancelled, None));
    let ended = place(&played, |path, event| path == "forward/process" && matches!(event, Event::AttemptEnded { .. }));
    let tidied = place(&played, |path, event| path == "tidy" && matches!(event, Event::StepEnded { .. }));
    assert!(tidied < ended, "`finally` may still rely on it");
}

#[tokio::test(start_paused = true)]
async fn it_holds_no_place_among_the_reads() {
    let played = Scripted::new(FORWARD).act("forward", Script::Lives(FOREVER)).act("ping", yes()).jobs(1).play().await;
    assert_eq!(outcome(&played, "look"), Some(Outcome::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn what_is_never_ready_fails_and_is_ended() {
    let played = Scripted::new(FORWARD).act("forward", Script::Lives(FOREVER)).act("ping", not_yet()).play().await;
    assert_eq!(outcome(&played, "forward"), Some(Outcome::Failed));
    assert_eq!(process_end(&played), (Outcome::Cancelled, None));
}

#[tokio::test(start_paused = true)]
async fn what_ends_before_it_is_ready_fails() {
    let played = Scripted::new(FORWARD).act("forward", Script::Lives(2_500)).act("ping", not_yet()).play().await;
    assert_eq!(outcome(&played, "forward"), Some(Outcome::Failed));
    assert_eq!(process_end(&played), (Outcome::Failed, Some(ErrorClass::Exit(1))));
}

#[tokio::test(start_paused = true)]
async fn an_early_end_fails_what_relies_on_it() {
    let steps = "
steps:
  - { id: forward, diagnose: Open the way, run: [forward], background: true }
  - { id: pause, diagnose: Wait, wait: 10s }
  - { id: look, validate: It answers, run: [ask] }
  - { id: change, remediate: Change, risk: low, run: [change], irreversible: It is nothing. }
finally:
  - { id: tidy, diagnose: Tidy up, run: [tidy] }
";
    let played = Scripted::new(steps).act("forward", Script::Lives(5_000)).yes_man().play().await;
    assert_eq!(played.seen(), ["forward", "tidy"]);
    assert_eq!(outcome(&played, "look"), Some(Outcome::Skipped));
    let told = played
        .records
        .iter()
        .any(|record| matches!(&record.event, Event::StepSkipped { reason, .. } if reason.contains("relies on it")));
    assert!(told, "{:#?}", played.records);
    assert_eq!(process_end(&played), (Outcome::Failed, Some(ErrorClass::Exit(1))));
    assert_ne!(played.result(), crate::event::RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_group_it_stands_in() {
    let steps = "
steps:
  - id: phase
    group: A phase
    steps:
      - { id: forward, diagnose: Open the way, run: [forward], background: true }
      - { id: look, validate: It answers, run: [ask] }
  - { id: pause, diagnose: Wait, wait: 10s }
  - { id: after, validate: It is well, run: [after] }
";
    let played = Scripted::new(steps).act("forward", Script::Lives(FOREVER)).play().await;
    let ended = place(&played, |path, event| path == "forward/process" && matches!(event, Event::AttemptEnded { .. }));
    let after = place(&played, |path, event| path == "after" && matches!(event, Event::AttemptStarted { .. }));
    assert!(ended < after);
    assert_eq!(process_end(&played), (Outcome::Cancelled, None));
    assert_eq!(played.result(), crate::event::RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn no_way_out_leaves_it_behind() {
    let hanging = || Scripted::new(FORWARD).act("forward", Script::Lives(FOREVER)).act("ask", Script::Hangs);
    let aborted = hanging().act("ping", yes()).signal(Duration::from_secs(5), 2).play().await;
    assert_eq!(process_end(&aborted), (Outcome::Cancelled, None));
    let before = hanging().act("ping", not_yet()).signal(Duration::from_secs(2), 2).play().await;
    assert_eq!(process_end(&before), (Outcome::Cancelled, None));
    let twice = hanging().act("ping", yes()).act("tidy", Script::Hangs);
    let twice = twice.signal(Duration::from_secs(5), 2).signal(Duration::from_secs(6), 2).play().await;
    assert!(matches!(twice.end.as_ref().expect("an end").state, RunState::Suspended(_)));
    assert_eq!(process_end(&twice), (Outcome::Cancelled, None));
    let parked = FORWARD.replace("validate: It answers\n    run: [ask]", "validate: It answers\n    manual: Look.");
    let parked = Scripted::new(&parked).act("forward", Script::Lives(FOREVER)).act("ping", yes()).play().await;
    assert!(matches!(parked.end.as_ref().expect("an end").state, RunState::Parked(_)));
    assert_eq!(process_end(&parked), (Outcome::Cancelled, None));
}
