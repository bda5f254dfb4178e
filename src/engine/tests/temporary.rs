//! Changes that are taken back by themselves when the run ends.

use super::fixture::Played;
use super::{Script, Scripted};
use crate::engine::{Answer, PromptKind, RunState};
use crate::event::{ErrorClass, Event, Outcome, RunResult};
use serde_json::json;
use std::time::Duration;

const STEPS: &str = "
steps:
  - { id: one, remediate: One, run: [one], risk: low, temporary: true, undo: { run: [undo-one] } }
  - id: list
    remediate: Items
    for_each: \"['a', 'b']\"
    run: [item, \"{{ item }}\"]
    risk: low
    temporary: true
    undo: { run: [undo-item, \"{{ item }}\"], verify: { run: [gone, \"{{ item }}\"], expect: exit == 0 } }
  - { id: work, remediate: Work, run: [work], risk: low, irreversible: It is nothing. }
  - { id: proof, validate: Proof, run: [proof] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
";

const UNDONE: [&str; 6] = ["undo-item b", "gone b", "undo-item a", "gone a", "undo-one", "tidy"];

fn end(played: &Played) -> (Option<bool>, Vec<String>) {
    match &played.records.last().expect("records").event {
        Event::RunEnded { cleaned_up, open_changes, .. } => (*cleaned_up, open_changes.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_change_is_taken_back_first_and_before_finally() {
    let played = Scripted::new(STEPS).yes_man().play().await;
    assert_eq!(played.seen()[..5], ["one", "item a", "item b", "work", "proof"]);
    assert_eq!(played.seen()[5..], UNDONE);
    assert_eq!(end(&played), (Some(true), Vec::new()));
    assert_eq!(played.result(), RunResult::Resolved);
    let cards = played.prompts.iter().filter_map(|prompt| match &prompt.kind {
        PromptKind::Gate { card, .. } => Some(card.undo.clone()),
        _ => None,
    });
    assert_eq!(cards.count(), 3, "an undo has no gate of its own");
}

#[tokio::test(start_paused = true)]
async fn its_card_says_that_it_is_taken_back() {
    let played = Scripted::new(STEPS).yes_man().play().await;
    let card = played.prompts.iter().find_map(|prompt| match &prompt.kind {
        PromptKind::Gate { card, .. } => card.undo.clone(),
        _ => None,
    });
    assert_eq!(card.as_deref(), Some("taken back by itself when the run ends: undo-one"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_nothing_from_being_taken_back() {
    let played = Scripted::new(STEPS).act("work", Script::Fail(ErrorClass::Exit(1))).yes_man().play().await;
    assert!(played.seen().ends_with(&UNDONE.map(str::to_owned)), "{:?}", played.seen());
    assert_eq!(played.result(), RunResult::Failed);
    assert_eq!(end(&played), (Some(true), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_declined_is_not_taken_back() {
    let played = Scripted::new(STEPS)
        .person(|prompt| match &prompt.kind {
            PromptKind::Gate { .. } if prompt.step.0 == "one" => Some(Answer::Approve),
            _ => Some(Answer::Decline { reason: None }),
        })
        .play()
        .await;
    assert_eq!(played.seen(), ["one", "proof", "undo-one", "tidy"]);
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_takes_back_what_was_made() {
    let slow = Script::Hangs;
    let played = Scripted::new(STEPS).act("work", slow).aborts(Duration::from_secs(5)).yes_man().play().await;
    assert!(played.seen().ends_with(&UNDONE.map(str::to_owned)), "{:?}", played.seen());
    assert_eq!(played.result(), RunResult::Aborted);
    assert_eq!(end(&played).0, Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_left_has_not_ended() {
    let played = Scripted::new(STEPS)
        .person(|prompt| match &prompt.kind {
            PromptKind::Gate { .. } if prompt.step.0 == "work" => Some(Answer::Suspend),
            _ => Some(Answer::Approve),
        })
        .play()
        .await;
    assert!(!played.seen().iter().any(|act| act.starts_with("undo")), "{:?}", played.seen());
    assert!(matches!(played.end.expect("left").state, RunState::Suspended(_)));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_back_is_told() {
    let script = Script::Fail(ErrorClass::Exit(3));
    let played = Scripted::new(STEPS).act("undo-item a", script).yes_man().play().await;
    // The others are taken back all the same.
    assert_eq!(played.seen()[5..], ["undo-item b", "gone b", "undo-item a", "undo-one", "tidy"]);
    let (clean, open) = end(&played);
    assert_eq!(clean, Some(false));
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(open[0].starts_with("list[0]: undo-item a (not taken back: "), "{open:?}");
    assert_eq!(played.outcome("list[0]/undo"), Some(Outcome::Failed));
    assert_eq!(played.result(), RunResult::Failed);
}

#[tokio::test(start_paused = true)]
async fn an_undo_knows_what_its_change_gave() {
    let steps = "
steps:
  - id: make
    remediate: Make
    run: [make]
    risk: low
    capture: { name: lines | first }
    temporary: true
    undo: { run: [remove, \"{{ make.name }}\"] }
";
    let played = Scripted::new(steps).act("make", Script::ok(json!({ "lines": ["x7"] }))).yes_man().play().await;
    assert_eq!(played.seen(), ["make", "remove x7"]);
    let lost = Script::ok(json!({ "lines": [] }));
    let played = Scripted::new(steps).act("make", lost).yes_man().play().await;
    assert_eq!(played.seen(), ["make"]);
    assert_eq!(end(&played).0, Some(false));
}

#[tokio::test(start_paused = true)]
async fn what_ends_by_itself_is_open_until_then() {
    let steps = |wait: &str| {
        format!(
            "
steps:
  - {{ id: ban, remediate: Ban, run: [ban], risk: low, temporary: {{ ends: 1h }}, irreversible: It ends by itself. }}
  - {{ id: pause, diagnose: Wait, wait: {wait} }}
"
        )
    };
    let (clean, open) = end(&Scripted::new(&steps("10m")).yes_man().play().await);
    assert_eq!(clean, None);
    assert_eq!(open, ["ban: ends by itself after 1h (at 2026-11-21 02:00:00 UTC)"]);
    let (_, open) = end(&Scripted::new(&steps("2h")).yes_man().play().await);
    assert!(open.is_empty(), "{open:?}");
}

#[tokio::test(start_paused = true)]
async fn items_of_a_group_are_taken_back_too() {
    let steps = "
steps:
  - id: each
    group: Each
    for_each: \"['a', 'b']\"
    steps:
      - { id: ban, remediate: Ban, run: [ban, \"{{ item }}\"], risk: low, temporary: true, undo: { run: [lift, \"{{ item }}\"] } }
      - { id: look, diagnose: Look, run: [look, \"{{ item }}\"] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
";
    let played = Scripted::new(steps).yes_man().play().await;
    assert_eq!(played.seen(), ["ban a", "look a", "ban b", "look b", "lift b", "lift a", "tidy"]);
    assert_eq!(played.outcome("each[1]/ban/undo"), Some(Outcome::Succeeded));
    assert_eq!(end(&played), (Some(true), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_called_runbook_takes_back_its_own_when_it_ends() {
    let called = "
runbook: inner
title: Inner
limits: { changes: 1 }
steps:
  - { id: ban, remediate: Ban, run: [ban], risk: low, temporary: true, undo: { run: [lift] } }
  - { id: proof, validate: Proof, run: [proof] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
";
    let steps = "
limits: { changes: 1 }
steps:
  - { id: call, remediate: Call, runbook: inner }
  - { id: own, remediate: Own, run: [own], risk: low, temporary: true, undo: { run: [back] } }
  - { id: whole, validate: Whole, run: [whole] }
";
    let played = Scripted::new(steps).calling(called).yes_man().play().await;
    assert_eq!(played.seen(), ["ban", "proof", "lift", "tidy", "own", "whole", "back"]);
    assert_eq!(end(&played), (Some(true), Vec::new()));
    assert_eq!(played.result(), RunResult::Resolved);
    let script = Script::Fail(ErrorClass::Exit(1));
    let played = Scripted::new(steps).calling(called).act("lift", script).yes_man().play().await;
    let (clean, open) = end(&played);
    assert_eq!(clean, Some(false));
    assert!(open.iter().any(|text| text.starts_with("call/ban: lift (not taken back: ")), "{open:?}");
    assert_eq!(played.result(), RunResult::Failed);
}
