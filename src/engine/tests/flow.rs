//! Order, outcomes and results.

use super::{Script, Scripted};
use crate::engine::{Answer, PromptKind, RunState};
use crate::event::{ErrorClass, Event, Outcome, RunResult, StepVerdict};
use serde_json::json;
use std::time::Duration;

const READS_AND_A_WRITE: &str = "
steps:
  - id: a
    diagnose: First
    run: [a]
  - id: b
    diagnose: Second
    run: [b]
  - id: change
    remediate: Change
    risk: low
    run: [change]
  - id: proof
    validate: Proof
    run: [proof]
";

#[tokio::test(start_paused = true)]
async fn reads_run_together_and_writes_alone() {
    let slow = |ms| Script::Ok(json!({ "exit": 0 }), ms);
    let played = Scripted::new(READS_AND_A_WRITE)
        .act("a", slow(50))
        .act("b", slow(50))
        .act("change", slow(50))
        .yes_man()
        .play()
        .await;
    assert_eq!(played.seen(), ["a", "b", "change", "proof"]);
    assert_eq!(played.hands.most_at_once(), 2);
    assert_eq!(played.result(), RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn jobs_bounds_the_reads() {
    let slow = Script::Ok(json!({ "exit": 0 }), 50);
    let played = Scripted::new(READS_AND_A_WRITE).act("a", slow.clone()).act("b", slow).jobs(1).yes_man().play().await;
    assert_eq!(played.hands.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_on_record_before_it_is_performed() {
    let played = Scripted::new(READS_AND_A_WRITE).disk_full_after(2).yes_man().play().await;
    assert!(played.end.is_err());
    assert!(played.seen().is_empty(), "{:?}", played.seen());
}

#[tokio::test(start_paused = true)]
async fn a_validate_that_does_not_hold_blocks_later_changes_and_no_reads() {
    let played = Scripted::new(
        "
steps:
  - id: guard
    validate: A dump exists
    run: [guard]
    expect: exit == 1
  - id: change
    remediate: Change
    run: [change]
  - id: after
    validate: Still looked at
    run: [after]
",
    )
    .yes_man()
    .play()
    .await;
    assert_eq!(played.seen(), ["guard", "after"]);
    assert_eq!(played.outcome("change"), Some(Outcome::Skipped));
    assert!(played.reason("change").contains("guard"), "{}", played.reason("change"));
    assert_eq!(played.result(), RunResult::NotResolved);
}

#[test]
fn every_class_of_errors_can_be_named() {
    let all = [
        ErrorClass::Exit(3),
        ErrorClass::Status(404),
        ErrorClass::Signal(9),
        ErrorClass::Timeout,
        ErrorClass::Refused,
        ErrorClass::Dns,
        ErrorClass::Tls,
        ErrorClass::Connection,
        ErrorClass::NotFound,
        ErrorClass::Denied,
        ErrorClass::AlreadyExists,
        ErrorClass::Conflict,
        ErrorClass::Invalid,
        ErrorClass::BadAnswer,
        ErrorClass::BadValue,
        ErrorClass::Address,
        ErrorClass::System,
    ];
    assert_eq!(all.len(), crate::runbook::ERROR_CLASSES.len());
    for class in all {
        assert!(crate::runbook::is_error_class(&class.to_string()), "{class}");
    }
    assert!(!crate::runbook::is_error_class("exti_3"));
}

#[tokio::test(start_paused = true)]
async fn a_validate_without_a_check_says_what_its_action_says() {
    let steps = "
steps:
  - { id: proof, validate: Proof, run: [proof] }
";
    let verdict = |script: Script| async move {
        let played = Scripted::new(steps).act("proof", script).play().await;
        played.records.iter().find_map(|record| match &record.event {
            Event::StepEnded { verdict, .. } => *verdict,
            _ => None,
        })
    };
    assert_eq!(verdict(Script::ok(json!({ "exit": 0 }))).await, Some(StepVerdict::Holds));
    assert_eq!(verdict(Script::Fail(ErrorClass::Exit(1))).await, Some(StepVerdict::DoesNotHold));
    assert_eq!(verdict(Script::Fail(ErrorClass::Refused)).await, Some(StepVerdict::CannotTell));
}

#[tokio::test(start_paused = true)]
async fn what_a_read_gave_before_it_failed_proves_nothing() {
    let half = || Script::FailAfter(ErrorClass::Exit(1), json!({ "exit": 1, "lines": [] }));
    let played = Scripted::new(
        "
steps:
  - id: left
    validate: None is left
    run: [left]
    expect: lines | length == 0
",
    )
    .act("left", half())
    .play()
    .await;
    assert_eq!(played.result(), RunResult::NotResolved);
    let played = Scripted::new(
        "
steps:
  - id: look
    diagnose: Look
    run: [look]
    capture:
      count: lines | length
  - id: cause
    decide: Which?
    options:
      none: { when: look.count == 0, end: no_action }
      some: { when: look.count > 0, end: resolved }
    otherwise: { escalate: The evidence is missing }
",
    )
    .act("look", half())
    .play()
    .await;
    assert_eq!(played.result(), RunResult::Escalated);
}

#[tokio::test(start_paused = true)]
async fn what_finally_clears_away_needs_no_proof() {
    let played = Scripted::new(
        "
steps:
  - { id: change, remediate: Change, run: [change] }
  - { id: proof, validate: Proof, run: [proof] }
finally:
  - { id: clean, remediate: Clean, run: [clean] }
",
    )
    .yes_man()
    .play()
    .await;
    assert_eq!(played.seen(), ["change", "proof", "clean"]);
    assert_eq!(played.result(), RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn evidence_decides_and_the_other_arm_stays_shut() {
    let played = Scripted::new(
        "
steps:
  - id: look
    diagnose: Look
    run: [look]
    capture:
      count: json.count
  - id: cause
    decide: Which?
    options:
      many:
        when: look.count > 10
        steps:
          - id: many_step
            diagnose: Many
            run: [many]
      few:
        when: look.count <= 10
        steps:
          - id: few_step
            diagnose: Few
            run: [few]
  - id: proof
    validate: Uses a value across branches
    assert: few_step.exit | default(7) == 7
",
    )
    .act("look", Script::ok(json!({ "exit": 0, "json": { "count": 50 } })))
    .play()
    .await;
    assert_eq!(played.seen(), ["look", "many"]);
    assert_eq!(played.result(), RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_option_is_a_persons_choice() {
    let steps = "
steps:
  - id: look
    diagnose: Look
    run: [look]
    capture:
      count: json.count
  - id: cause
    decide: Which?
    options:
      many: { when: look.count > 10 }
      few: { when: look.count <= 10, steps: [ { id: few_step, diagnose: Few, run: [few] } ] }
";
    let parked = Scripted::new(steps).act("look", Script::Fail(ErrorClass::Exit(2))).play().await;
    assert!(
        matches!(parked.end.as_ref().expect("an end").state, RunState::Parked(ref list) if list[0].what == "decide")
    );
    let chosen = Scripted::new(steps)
        .act("look", Script::Fail(ErrorClass::Exit(2)))
        .person(|prompt| match &prompt.kind {
            PromptKind::Decide { reason, .. } => {
                assert!(reason.contains("many"), "{reason}");
                Some(Answer::Choose { option: "few".into(), reason: None })
            }
            _ => None,
        })
        .play()
        .await;
    assert_eq!(chosen.seen(), ["look", "few"]);
    assert_eq!(chosen.result(), RunResult::NotResolved);
}

#[tokio::test(start_paused = true)]
async fn otherwise_is_taken_when_nobody_is_there() {
    let played = Scripted::new(
        "
steps:
  - id: cause
    decide: Which?
    by: person
    options:
      one: { title: One }
    otherwise:
      escalate: Nobody could decide.
finally:
  - id: tidy
    remediate: Tidy
    risk: low
    run: [tidy]
",
    )
    .policy(crate::plan::GatePolicy::default())
    .play()
    .await;
    assert_eq!(played.result(), RunResult::Escalated);
    assert_eq!(played.seen(), ["tidy"]);
}

#[tokio::test(start_paused = true)]
async fn until_polls_and_says_how_long() {
    let steps = "
steps:
  - id: poll
    validate: It comes up
    run: [poll]
    until: { expect: exit == 0, every: 10s, within: 1m }
";
    let not_yet = Script::ok(json!({ "exit": 1 }));
    let played = Scripted::new(steps)
        .act("poll", Script::Then(vec![not_yet.clone(), not_yet.clone(), Script::ok(json!({ "exit": 0 }))]))
        .play()
        .await;
    assert_eq!(played.seen().len(), 3);
    assert_eq!(played.result(), RunResult::Resolved);
    let never = Scripted::new(steps).act("poll", not_yet).play().await;
    assert_eq!(never.result(), RunResult::NotResolved);
    assert!(never.reason("poll").contains("1m"), "{}", never.reason("poll"));
}

#[tokio::test(start_paused = true)]
async fn retry_is_for_the_classes_named() {
    let steps = "
steps:
  - id: read
    diagnose: Read
    run: [read]
    retry: { attempts: 3, backoff: 2s, for: [exit_7] }
";
    let flaky = Script::Then(vec![Script::Fail(ErrorClass::Exit(7)), Script::ok(json!({ "exit": 0 }))]);
    let played = Scripted::new(steps).act("read", flaky).play().await;
    assert_eq!((played.seen().len(), played.result()), (2, RunResult::Completed));
    let other = Scripted::new(steps).act("read", Script::Fail(ErrorClass::Exit(8))).play().await;
    assert_eq!((other.seen().len(), other.result()), (1, RunResult::NotResolved));
}

#[tokio::test(start_paused = true)]
async fn the_other_side_may_ask_for_a_longer_pause_of_a_minute_at_most() {
    for (wish, pause) in [("7s", 7), ("1s", 2), ("3h", 60)] {
        let steps = "
steps:
  - id: read
    diagnose: Read
    run: [read]
    retry: { attempts: 2, every: 2s }
";
        let busy = Script::FailAfter(ErrorClass::Status(503), json!({ "retry_after": { "$duration": wish } }));
        let flaky = Script::Then(vec![busy, Script::ok(json!({ "exit": 0 }))]);
        let began = tokio::time::Instant::now();
        let played = Scripted::new(steps).act("read", flaky).play().await;
        assert_eq!((played.seen().len(), began.elapsed().as_secs()), (2, pause), "{wish}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_change_stops_changes_and_on_failure_handles_it() {
    let steps = |on_failure: &str| {
        format!(
            "
steps:
  - id: change
    remediate: Change
    risk: low
    run: [change]
{on_failure}
  - id: second
    remediate: Second
    risk: low
    run: [second]
  - id: proof
    validate: Proof
    run: [proof]
"
        )
    };
    let fails = |text: &str| Scripted::new(&steps(text)).act("change", Script::Fail(ErrorClass::Exit(1))).yes_man();
    let stopped = fails("").play().await;
    assert_eq!(stopped.seen(), ["change", "proof"]);
    assert_eq!(stopped.result(), RunResult::Failed);
    let handled =
        fails("    on_failure: { steps: [ { id: fix, remediate: Fix, risk: low, run: [fix] } ], then: continue }");
    let handled = handled.play().await;
    assert_eq!(handled.seen(), ["change", "fix", "second", "proof"]);
    assert_eq!(handled.result(), RunResult::Resolved);
    let stops = fails("    on_failure: { steps: [ { id: fix, remediate: Fix, risk: low, run: [fix] } ] }").play().await;
    assert_eq!(stops.seen(), ["change", "fix", "proof"]);
    let escalated = fails("    on_failure: { escalate: Call somebody }").play().await;
    assert_eq!(escalated.result(), RunResult::Escalated);
    assert_eq!(escalated.seen(), ["change"]);
}

#[tokio::test(start_paused = true)]
async fn again_performs_the_step_once_more_after_the_remedy() {
    let played = Scripted::new(
        "
steps:
  - id: look
    diagnose: Look
    run: [look]
    on_failure:
      steps: [ { id: start, remediate: Start it, risk: low, run: [start] } ]
      then: again
      times: 2
  - id: proof
    validate: Proof
    assert: look.exit == 0
",
    )
    .act(
        "look",
        Script::Then(vec![
            Script::Fail(ErrorClass::Refused),
            Script::Fail(ErrorClass::Refused),
            Script::ok(json!({ "exit": 0 })),
        ]),
    )
    .yes_man()
    .play()
    .await;
    assert_eq!(played.seen(), ["look", "start", "look", "start", "look"]);
    assert_eq!(played.result(), RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_settled_by_the_verify_and_never_repeated() {
    let steps = "
steps:
  - id: change
    remediate: Change
    risk: low
    run: [change]
    retry: { attempts: 5, every: 1s }
    verify: { run: [verify], expect: exit == 0 }
  - id: proof
    validate: Proof
    run: [proof]
";
    let settled = Scripted::new(steps).act("change", Script::Unknown).yes_man().play().await;
    assert_eq!(settled.seen(), ["change", "verify", "proof"]);
    assert_eq!(settled.outcome("change"), Some(Outcome::Succeeded));
    let open = Scripted::new(steps)
        .act("change", Script::Unknown)
        .act("verify", Script::ok(json!({ "exit": 1 })))
        .yes_man()
        .play()
        .await;
    assert_eq!(open.seen(), ["change", "verify", "proof"]);
    assert_eq!(open.outcome("change"), Some(Outcome::Unknown));
    assert_eq!(open.result(), RunResult::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_reads_and_does_nothing_else() {
    let played = Scripted::new(READS_AND_A_WRITE).probe().play().await;
    assert_eq!(played.seen(), ["a", "b", "proof"]);
    assert_eq!(played.outcome("change"), Some(Outcome::NotPerformed));
}

#[tokio::test(start_paused = true)]
async fn an_abort_stops_what_runs_and_still_tidies() {
    let played = Scripted::new(
        "
steps:
  - { id: long, diagnose: Long, run: [long] }
  - { id: change, remediate: Change, run: [change] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
",
    )
    .act("long", Script::Hangs)
    .aborts(Duration::from_secs(3))
    .play()
    .await;
    assert_eq!(played.seen(), ["long", "tidy"]);
    assert_eq!(played.result(), RunResult::Aborted);
    assert!(played.records.iter().any(|record| matches!(record.event, Event::Aborted { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_option_ends_the_run_early() {
    let played = Scripted::new(
        "
steps:
  - id: cause
    decide: Which?
    options:
      fine: { when: 1 < 2, end: no_action }
      bad: { when: 1 > 2 }
  - { id: change, remediate: Change, run: [change] }
  - { id: proof, validate: Proof, run: [proof] }
",
    )
    .play()
    .await;
    assert!(played.seen().is_empty());
    assert!(matches!(played.result(), RunResult::NoAction | RunResult::NotResolved), "{:?}", played.result());
}

#[tokio::test(start_paused = true)]
async fn questions_give_typed_values() {
    let played = Scripted::new(
        "
steps:
  - id: ask
    diagnose: Ask
    ask:
      questions:
        expected: { question: Is it expected?, type: boolean }
        count: { question: How many?, type: integer, default: 3 }
  - { id: proof, validate: Proof, assert: [ask.expected, ask.count == 3] }
",
    )
    .answer("ask", json!({ "expected": true }))
    .play()
    .await;
    assert_eq!(played.result(), RunResult::Resolved, "{:?}", played.records.last());
}

#[tokio::test(start_paused = true)]
async fn a_group_is_joined_and_finally_comes_last() {
    let played = Scripted::new(
        "
steps:
  - id: phase
    group: Phase
    steps:
      - { id: one, diagnose: One, run: [one] }
      - { id: two, remediate: Two, risk: low, run: [two] }
  - { id: three, validate: Three, run: [three] }
finally:
  - { id: four, diagnose: Four, run: [four] }
",
    )
    .yes_man()
    .play()
    .await;
    assert_eq!(played.seen(), ["one", "two", "three", "four"]);
    assert_eq!(played.result(), RunResult::Resolved);
    assert!(matches!(played.records[0].event, Event::RunStarted { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_leaves_at_once_and_still_waits_for_what_it_stops() {
    let played = Scripted::new(
        "
steps:
  - { id: long, diagnose: Long, run: [long] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
",
    )
    .act("long", Script::Hangs)
    .act("tidy", Script::Hangs)
    .aborts(Duration::from_secs(1))
    .signal(Duration::from_secs(2), 3)
    .play()
    .await;
    assert!(matches!(played.end.as_ref().expect("an end").state, RunState::Suspended(_)));
    let ends = played.records.iter().filter(|record| matches!(record.event, Event::AttemptEnded { .. })).count();
    assert_eq!(ends, 2, "the end of what was stopped is on record");
}

#[tokio::test(start_paused = true)]
async fn an_escalation_while_a_group_waits_for_its_gate_ends_the_run() {
    let played = Scripted::new(
        "
steps:
  - { id: s0, diagnose: D, run: [a0] }
  - id: s1
    group: G
    steps:
      - { id: g1, remediate: I, run: [g1] }
      - { id: h1, validate: H, run: [h1] }
  - { id: s2, diagnose: D, run: [a2], needs: [], on_failure: { escalate: Help } }
finally:
  - { id: last, remediate: Tidy, risk: low, run: [last] }
",
    )
    .act("a0", Script::Fail(ErrorClass::Exit(1)))
    .act("a2", Script::Fail(ErrorClass::Exit(1)))
    .jobs(2)
    .yes_man()
    .play()
    .await;
    assert_eq!(played.result(), RunResult::Escalated);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_repeated_keeps_its_order() {
    let yaml = "
steps:
  - id: g
    group: Twice
    steps:
      - { id: first, remediate: First, risk: low, run: [first] }
      - { id: second, remediate: Second, risk: low, run: [second] }
    on_failure: { then: again }
  - { id: proof, validate: Proof, run: [proof] }
";
    let fails_once = Script::Then(vec![Script::Fail(ErrorClass::Exit(1)), Script::ok(json!({ "exit": 0 }))]);
    let played = Scripted::new(yaml).act("second", fails_once).yes_man().play().await;
    assert_eq!(played.seen(), ["first", "second", "first", "second", "proof"]);
}
