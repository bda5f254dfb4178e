//! A read that is watched for a stretch of time, and the time of each of its attempts.

use super::fixture::Played;
use super::{Script, Scripted};
use crate::event::{ErrorClass, Event, Outcome, RunResult, StepVerdict};
use serde_json::json;
use std::time::Duration;

const CANARY: &str = "
steps:
  - id: canary
    validate: The error rate stays low
    run: [rate]
    capture: { rate: exit }
    hold: { for: 30s, every: 10s, while: rate < 5 }
  - id: change
    remediate: Go on
    risk: low
    run: [change]
    irreversible: It is nothing.
  - id: after
    validate: The last sample is there
    assert: canary.samples[0].captures.rate < 5 and canary.held >= duration('10s')
";

fn rate(value: i64) -> Script {
    Script::ok(json!({ "exit": value }))
}

fn samples(played: &Played) -> Vec<(StepVerdict, u64)> {
    let records = played.records.iter();
    records
        .filter_map(|record| match &record.event {
            Event::Sampled { verdict, left_ms, .. } => Some((*verdict, *left_ms)),
            _ => None,
        })
        .collect()
}

fn verdict(played: &Played) -> Option<StepVerdict> {
    played.records.iter().find_map(|record| match (&record.step, &record.event) {
        (Some(step), Event::StepEnded { verdict, .. }) if step.0 == "canary" => *verdict,
        _ => None,
    })
}

#[tokio::test(start_paused = true)]
async fn every_sample_of_a_stretch_is_kept() {
    let played = Scripted::new(CANARY).act("rate", rate(1)).yes_man().play().await;
    let holds = StepVerdict::Holds;
    assert_eq!(samples(&played), [(holds, 30_000), (holds, 20_000), (holds, 10_000), (holds, 0)]);
    assert_eq!(verdict(&played), Some(holds));
    assert_eq!(played.seen(), ["rate", "rate", "rate", "rate", "change"]);
    assert_eq!(played.result(), RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn the_first_breach_ends_a_stretch_and_blocks_what_follows() {
    let script = Script::Then(vec![rate(1), rate(1), rate(9), rate(1)]);
    let played = Scripted::new(CANARY).act("rate", script).yes_man().play().await;
    assert_eq!(played.seen(), ["rate", "rate", "rate"]);
    assert_eq!(verdict(&played), Some(StepVerdict::DoesNotHold));
    assert_eq!(played.reason("canary"), "sample 3, after 20s: `rate < 5` does not hold");
    assert_eq!(played.outcome("change"), Some(Outcome::Skipped));
    assert_eq!(played.result(), RunResult::NotResolved);
}

#[tokio::test(start_paused = true)]
async fn a_sample_that_fails_is_no_pass() {
    let script = Script::Then(vec![rate(1), Script::Fail(ErrorClass::Exit(1)), rate(1)]);
    let played = Scripted::new(CANARY).act("rate", script).yes_man().play().await;
    assert_eq!(verdict(&played), Some(StepVerdict::CannotTell));
    assert!(played.reason("canary").contains("what failed proves nothing"), "{}", played.reason("canary"));
    assert_eq!(played.outcome("change"), Some(Outcome::Skipped));
}

#[tokio::test(start_paused = true)]
async fn a_hole_in_a_stretch_is_no_pass() {
    let script = Script::Then(vec![rate(1), Script::Ok(json!({ "exit": 1 }), 21_000), rate(1)]);
    let played = Scripted::new(CANARY).act("rate", script).yes_man().play().await;
    assert_eq!(samples(&played).len(), 2);
    assert_eq!(verdict(&played), Some(StepVerdict::CannotTell));
    assert!(played.reason("canary").contains("nothing was seen for 21s"), "{}", played.reason("canary"));
}

#[tokio::test(start_paused = true)]
async fn a_probe_watches_nothing() {
    let played = Scripted::new(CANARY).probe().play().await;
    assert!(played.seen().is_empty(), "{:?}", played.seen());
    assert_eq!(played.outcome("canary"), Some(Outcome::NotPerformed));
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_ends_a_stretch() {
    let played = Scripted::new(CANARY).act("rate", rate(1)).aborts(Duration::from_secs(15)).yes_man().play().await;
    assert_eq!(played.seen(), ["rate", "rate"]);
    assert_eq!(played.outcome("canary"), Some(Outcome::Cancelled));
    assert_eq!(played.result(), RunResult::Aborted);
}

#[tokio::test(start_paused = true)]
async fn a_diagnose_that_watches_is_ordered_like_a_decision() {
    let played = Scripted::new(
        "
steps:
  - { id: before, diagnose: Before, run: [before] }
  - { id: watch, diagnose: Watch, run: [rate], hold: { for: 20s, every: 10s, while: exit < 5 }, expect: samples | length == 3 }
  - { id: later, diagnose: Later, run: [later] }
",
    )
    .act("rate", rate(1))
    .play()
    .await;
    assert_eq!(played.seen(), ["before", "rate", "rate", "rate", "later"]);
    assert_eq!(played.result(), RunResult::Completed);
}

/// Each attempt has its own `now`, by itself and in a list, and the read after a change as well.
#[tokio::test(start_paused = true)]
async fn the_time_goes_on_between_attempts() {
    let steps = "
steps:
  - id: once
    validate: It is later
    run: [poll]
    until: { expect: now > time('2026-11-21T01:00:25Z'), every: 10s, within: 1m }
  - id: each
    validate: It is later still
    needs: [once]
    for_each: range(1)
    run: [each]
    until: { expect: now > time('2026-11-21T01:00:55Z'), every: 10s, within: 1m }
  - id: change
    remediate: Change
    risk: low
    run: [change]
    irreversible: it is
    verify: { run: [look], expect: now > time('2026-11-21T01:01:25Z'), every: 10s, within: 1m }
  - id: over
    validate: It is over
    run: [over]
";
    let played = Scripted::new(steps).yes_man().play().await;
    assert_eq!(played.result(), RunResult::Resolved);
    let times = |name: &str| played.seen().iter().filter(|seen| *seen == name).count();
    assert_eq!((times("poll"), times("each"), times("look")), (4, 4, 4));
}
