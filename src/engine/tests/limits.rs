//! How much a run may change, how fast, and which share of a whole at once.

use super::fixture::Played;
use super::{Script, Scripted};
use crate::event::{ErrorClass, Event, Outcome, RunResult};
use serde_json::json;
use std::time::Duration;

fn cards(played: &Played) -> Vec<Option<String>> {
    let records = played.records.iter();
    records
        .filter_map(|record| match &record.event {
            Event::GateOpened { card, .. } => Some(card.limit.clone()),
            _ => None,
        })
        .collect()
}

/// When attempts at changes began, in milliseconds.
fn starts(played: &Played) -> Vec<u64> {
    let records = played.records.iter();
    let change = |event: &Event| matches!(event, Event::AttemptStarted { change: true, .. });
    records.filter(|record| change(&record.event)).map(|record| record.elapsed_ms).collect()
}

const CHANGES: &str = "
limits: { changes: 3 }
steps:
  - { id: one, remediate: One, run: [one], risk: low }
  - { id: list, remediate: Items, for_each: \"['a', 'b']\", run: [item, \"{{ item }}\"], risk: low }
  - { id: four, remediate: Four, run: [four], risk: low }
  - { id: five, remediate: Five, run: [five], risk: low }
finally:
  - { id: last, remediate: Tidy, run: [last], risk: low }
";

#[tokio::test(start_paused = true)]
async fn a_run_changes_no_more_than_its_limit() {
    let played = Scripted::new(CHANGES).yes_man().play().await;
    assert_eq!(played.seen(), ["one", "item a", "item b", "last"]);
    let first = Some("act 1 of at most 3".to_owned());
    let list = Some("acts 2 to 3 of at most 3".to_owned());
    assert_eq!(cards(&played), [first, list, None]);
    assert_eq!(played.outcome("four"), Some(Outcome::Failed));
    assert_eq!(played.reason("four"), "`limits.changes` allows 3 in one run, and 3 were made");
    assert_eq!(played.outcome("five"), Some(Outcome::Skipped));
    assert_eq!(played.result(), RunResult::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_list_larger_than_what_is_left_is_refused_before_its_gate() {
    let played = Scripted::new(&CHANGES.replace("changes: 3", "changes: 2")).yes_man().play().await;
    assert_eq!(played.seen(), ["one", "last"]);
    assert_eq!(cards(&played).len(), 2);
    assert_eq!(played.reason("list"), "the list has 2 changes, and `limits.changes` leaves 1 of 2");
}

#[tokio::test(start_paused = true)]
async fn attempts_count_as_changes() {
    let steps = "
limits: { changes: 2 }
steps:
  - { id: one, remediate: One, run: [one], risk: low, retry: { attempts: 5, every: 1s } }
";
    let played = Scripted::new(steps).act("one", Script::Fail(ErrorClass::Exit(1))).yes_man().play().await;
    assert_eq!(played.seen(), ["one", "one"]);
    assert!(played.reason("one").contains("not tried again: `limits.changes`"), "{}", played.reason("one"));
}

#[tokio::test(start_paused = true)]
async fn changes_are_a_pause_apart() {
    let steps = "
limits: { pause: 10s }
steps:
  - { id: one, remediate: One, run: [one], risk: low }
  - { id: list, remediate: Items, for_each: \"['a', 'b']\", run: [item, \"{{ item }}\"], risk: low }
";
    let slow = Script::Ok(json!({ "exit": 0 }), 1000);
    let played = Scripted::new(steps).act("one", slow.clone()).act("item a", slow).yes_man().play().await;
    assert_eq!(starts(&played), [0, 11_000, 22_000]);
    let paused = |record: &&crate::event::Record| matches!(record.event, Event::Paused { for_ms: 10_000, .. });
    assert_eq!(played.records.iter().filter(paused).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_ends_a_pause() {
    let steps = "
limits: { pause: 10m }
steps:
  - { id: one, remediate: One, run: [one], risk: low }
  - { id: two, remediate: Two, run: [two], risk: low }
";
    let played = Scripted::new(steps).aborts(Duration::from_secs(5)).yes_man().play().await;
    assert_eq!(played.seen(), ["one"]);
    assert_eq!(played.result(), RunResult::Aborted);
    assert!((5000..5400).contains(&played.records.last().expect("an end").elapsed_ms));
}

#[tokio::test(start_paused = true)]
async fn a_list_is_a_share_of_a_whole() {
    let steps = |percent: u32| {
        format!(
            "
limits: {{ of: {{ percent: {percent}, whole: all.lines }} }}
steps:
  - {{ id: all, diagnose: All, run: [all] }}
  - {{ id: list, remediate: Items, for_each: \"['a', 'b']\", run: [item, \"{{{{ item }}}}\"], risk: low }}
"
        )
    };
    let all = Script::ok(json!({ "lines": ["a", "b", "c", "d"] }));
    let played = Scripted::new(&steps(50)).act("all", all.clone()).yes_man().play().await;
    assert_eq!(played.seen(), ["all", "item a", "item b"]);
    assert_eq!(cards(&played), [Some("2 of 4, at most 50 %".to_owned())]);
    let played = Scripted::new(&steps(49)).act("all", all).yes_man().play().await;
    assert_eq!(played.seen(), ["all"]);
    assert_eq!(played.reason("list"), "a list of 2 is more than 49 % of 4 (`limits.of`)");
    let lost = Scripted::new(&steps(50)).act("all", Script::Fail(ErrorClass::Exit(1))).yes_man().play().await;
    assert_eq!(lost.seen(), ["all"]);
    assert!(lost.reason("list").contains("the share cannot be told"), "{}", lost.reason("list"));
}

#[tokio::test(start_paused = true)]
async fn the_items_of_a_list_are_a_pause_apart() {
    let list = |kind: &str| {
        format!(
            "\nsteps:\n  - {{ id: list, {kind}: Items, for_each: \"['a', 'b', 'c']\", pause: 10s, run: [item, \"{{{{ item }}}}\"] }}\n"
        )
    };
    for kind in ["remediate", "diagnose"] {
        let played = Scripted::new(&list(kind)).yes_man().play().await;
        assert_eq!(played.seen(), ["item a", "item b", "item c"]);
        assert_eq!(played.records.last().expect("an end").elapsed_ms, 20_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_over_a_list_is_bounded_before_its_first_item() {
    let steps = |limits: &str| {
        format!(
            "
limits: {limits}
steps:
  - id: each
    group: Each
    for_each: \"['a', 'b']\"
    steps:
      - {{ id: one, remediate: One, run: [one, \"{{{{ item }}}}\"], risk: low }}
      - {{ id: two, remediate: Two, run: [two, \"{{{{ item }}}}\"], risk: low }}
"
        )
    };
    let played = Scripted::new(&steps("{ changes: 4, of: { percent: 50, whole: 4 } }")).yes_man().play().await;
    assert_eq!(played.seen(), ["one a", "two a", "one b", "two b"]);
    assert_eq!(cards(&played)[0].as_deref(), Some("acts 1 to 4 of at most 4; 2 of 4, at most 50 %"));
    let played = Scripted::new(&steps("{ changes: 3 }")).yes_man().play().await;
    assert!(played.seen().is_empty(), "{:?}", played.seen());
    assert_eq!(played.reason("each"), "the list has 4 changes, and `limits.changes` leaves 3 of 3");
    let played = Scripted::new(&steps("{ of: { percent: 49, whole: 4 } }")).yes_man().play().await;
    assert!(played.seen().is_empty(), "{:?}", played.seen());
}
