//! A runbook as one step.

use super::{Script, Scripted};
use crate::engine::{Answer, Prompt, PromptKind, RunState};
use crate::event::{ErrorClass, Event, Outcome, RunResult, StepVerdict};
use serde_json::json;
use std::time::Duration;

/// A runbook with a read, a change, a proof, something given back, and a `finally`.
const RESTART: &str = "
runbook: restart
title: Restart {{ name }}
inputs:
  name: { type: string }
  count: { type: integer, default: 1 }
outputs:
  before: look.code
steps:
  - { id: look, diagnose: Look, run: [look, '{{ name }}', '{{ count }}'], capture: { code: exit } }
  - { id: act, remediate: Act, run: [act, '{{ name }}'], risk: low, irreversible: it is }
  - { id: proof, validate: Proof, run: [proof, '{{ name }}'], expect: exit == 0 }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy, '{{ name }}'] }
";

const CALLER: &str = "
steps:
  - { id: first, diagnose: First, run: [first], capture: { name: json } }
  - id: call
    remediate: Restart it
    runbook: { name: restart, inputs: { name: '{{ first.name }}', count: 3 } }
  - { id: after, diagnose: After, run: [after, '{{ call.result }}', '{{ call.before }}'] }
  - { id: whole, validate: Whole, run: [whole] }
finally:
  - { id: last, diagnose: Last, run: [last] }
";

fn caller() -> Scripted {
    Scripted::new(CALLER).calling(RESTART).act("first", Script::ok(json!({ "exit": 0, "json": "db" })))
}

fn approve(prompt: &Prompt) -> Option<Answer> {
    matches!(prompt.kind, PromptKind::Gate { .. }).then_some(Answer::Approve)
}

#[tokio::test(start_paused = true)]
async fn a_call_performs_the_other_runbook_with_its_inputs_and_gives_its_outputs() {
    let played = caller().person(approve).play().await;
    let wanted = ["first", "look db 3", "act db", "proof db", "tidy db", "after resolved 0", "whole", "last"];
    assert_eq!(played.seen(), wanted);
    assert_eq!(played.outcome("call"), Some(Outcome::Succeeded));
    assert_eq!(played.outcome("call/act"), Some(Outcome::Succeeded));
    assert_eq!(played.result(), RunResult::Resolved);
    let cards: Vec<_> = played.prompts.iter().map(|prompt| prompt.step.0.as_str()).collect();
    assert_eq!(cards, ["call/act"], "the call has no gate of its own, its steps keep theirs");
    let called = played.records.iter().find(|record| matches!(record.event, Event::Called { .. }));
    assert_eq!(called.and_then(|record| record.step.clone()).map(|step| step.0), Some("call".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_a_validation_counts_those_of_what_it_calls() {
    let yaml = "
steps:
  - { id: call, remediate: Restart, runbook: { name: restart, inputs: { name: db } } }
";
    let played = Scripted::new(yaml).calling(RESTART).person(approve).play().await;
    assert_eq!(played.result(), RunResult::Resolved);
    let Some(Event::RunEnded { validations, holds, changes, .. }) = played.records.last().map(|r| &r.event) else {
        panic!("no end")
    };
    assert_eq!((*validations, *holds, *changes), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_called_runbook_does_not_resolve_fails_the_call_and_runs_its_finally() {
    let played = caller().act("proof db", Script::ok(json!({ "exit": 1 }))).person(approve).play().await;
    assert_eq!(played.outcome("call"), Some(Outcome::Failed));
    assert_eq!(played.reason("call"), "`restart` ended as not_resolved: `call/proof` does not hold");
    assert!(played.seen().contains(&"tidy db".to_owned()));
    assert!(played.seen().contains(&"after not_resolved 0".to_owned()), "a failed call may be reported on");
    assert_eq!(played.result(), RunResult::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_no_inside_a_call_declines_the_call() {
    let played = caller().person(|_| Some(Answer::Decline { reason: Some("not now".into()) })).play().await;
    assert_eq!(played.outcome("call/act"), Some(Outcome::Declined));
    assert_eq!(played.reason("call"), "`restart` ended as declined: declined `call/act`: not now");
    assert_eq!((played.outcome("call"), played.result()), (Some(Outcome::Declined), RunResult::Declined));
}

#[tokio::test(start_paused = true)]
async fn an_end_inside_a_call_ends_only_the_call() {
    let inner = "
runbook: choose
title: Choose
steps:
  - id: pick
    decide: Enough?
    options:
      enough: { when: 1 > 0, end: no_action }
      more: { when: 1 > 2 }
  - { id: never, diagnose: Never, run: [never] }
";
    let yaml = "
steps:
  - { id: call, diagnose: Choose, runbook: choose }
  - { id: after, diagnose: After, run: [after, '{{ call.result }}'] }
";
    let played = Scripted::new(yaml).calling(inner).play().await;
    assert_eq!(played.seen(), ["after no_action"]);
    assert_eq!((played.outcome("call"), played.result()), (Some(Outcome::Succeeded), RunResult::Completed));
}

#[tokio::test(start_paused = true)]
async fn an_escalation_inside_escalates_the_caller_and_is_told_once() {
    let inner = "
runbook: hand-over
title: Hand over
steps:
  - { id: up, diagnose: Up, escalate: Somebody must look }
  - { id: never, diagnose: Never, run: [never] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
";
    let yaml = "
steps:
  - { id: call, diagnose: Hand over, runbook: hand-over }
  - { id: after, diagnose: After, run: [after] }
finally:
  - { id: last, diagnose: Last, run: [last] }
";
    let played = Scripted::new(yaml).calling(inner).play().await;
    assert_eq!(played.seen(), ["tidy", "last"]);
    assert_eq!(played.result(), RunResult::Escalated);
    let told = played.records.iter().filter(|record| matches!(record.event, Event::Escalated { .. }));
    assert_eq!(told.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_abort_in_the_middle_of_a_call_runs_both_finally() {
    let played = caller().act("act db", Script::Hangs).aborts(Duration::from_secs(5)).person(approve).play().await;
    assert_eq!(played.seen(), ["first", "look db 3", "act db", "tidy db", "last"]);
    assert_eq!(played.outcome("call/act"), Some(Outcome::Unknown));
    assert_eq!(played.outcome("call"), Some(Outcome::Cancelled));
    assert_eq!(played.result(), RunResult::Aborted);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_leaves_a_call_at_once() {
    let played = caller()
        .act("act db", Script::Hangs)
        .aborts(Duration::from_secs(5))
        .act("tidy db", Script::Hangs)
        .signal(Duration::from_secs(6), 3)
        .person(approve)
        .play()
        .await;
    assert!(matches!(played.end.expect("an end").state, RunState::Suspended(_)));
}

#[tokio::test(start_paused = true)]
async fn a_run_parks_at_a_gate_inside_a_call() {
    let played = caller().play().await;
    let RunState::Parked(waiting) = played.end.expect("an end").state else { panic!("it did not park") };
    assert_eq!(waiting[0].step.0, "call/act");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_changes_is_blocked_like_a_change() {
    let yaml = "
steps:
  - { id: guard, validate: Guard, run: [guard], expect: exit == 0 }
  - { id: call, remediate: Restart, runbook: { name: restart, inputs: { name: db } } }
";
    let played = Scripted::new(yaml).calling(RESTART).act("guard", Script::ok(json!({ "exit": 1 }))).play().await;
    assert_eq!(played.seen(), ["guard"]);
    assert_eq!(played.reason("call"), "validation `guard` does not hold");
}

#[tokio::test(start_paused = true)]
async fn a_validation_that_fails_inside_blocks_only_inside() {
    let inner = "
runbook: check
title: Check
steps:
  - { id: guard, validate: Guard, run: [guard], expect: exit == 0 }
";
    let yaml = "
steps:
  - { id: call, diagnose: Check, runbook: check }
  - { id: act, remediate: Act, run: [act], risk: low, irreversible: it is }
  - { id: proof, validate: Proof, run: [proof] }
";
    let no = Script::ok(json!({ "exit": 1 }));
    let played = Scripted::new(yaml).calling(inner).act("guard", no).person(approve).play().await;
    assert_eq!(played.seen(), ["guard", "act", "proof"]);
    assert_eq!(played.outcome("call"), Some(Outcome::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_validate_that_calls_says_what_the_called_runbook_says() {
    let inner = "
runbook: check
title: Check
steps:
  - { id: guard, validate: Guard, run: [guard], expect: exit == 0 }
";
    let yaml = "
steps:
  - { id: call, validate: Check, runbook: check }
";
    for (exit, verdict, result) in
        [(0, StepVerdict::Holds, RunResult::Resolved), (1, StepVerdict::DoesNotHold, RunResult::NotResolved)]
    {
        let answer = Script::ok(json!({ "exit": exit }));
        let played = Scripted::new(yaml).calling(inner).act("guard", answer).play().await;
        let end = played.records.iter().find_map(|record| match &record.event {
            Event::StepEnded { verdict, .. } if record.step.as_ref().is_some_and(|step| step.0 == "call") => *verdict,
            _ => None,
        });
        assert_eq!((end, played.result()), (Some(verdict), result));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_nest_and_stand_in_loops() {
    let middle = "
runbook: middle
title: Middle
inputs: { who: { type: string } }
outputs: { seen: inner.result }
steps:
  - { id: inner, remediate: Inner, runbook: { name: restart, inputs: { name: '{{ who }}' } } }
";
    let yaml = "
steps:
  - id: each
    group: Each
    for_each: \"['a', 'b']\"
    steps:
      - { id: call, remediate: Call, runbook: { name: middle, inputs: { who: '{{ item }}' } } }
  - { id: sum, diagnose: Sum, run: [sum, '{{ each.results[1].captures.call.seen }}'] }
";
    let played = Scripted::new(yaml).calling(RESTART).calling(middle).person(approve).play().await;
    assert_eq!(played.outcome("each[1]/call/inner/act"), Some(Outcome::Succeeded));
    assert_eq!(played.seen().last().map(String::as_str), Some("sum resolved"));
    assert_eq!(played.result(), RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn a_value_of_the_wrong_type_fails_the_call_before_anything_is_done() {
    let yaml = CALLER.replace("count: 3", "count: '{{ first.name }}'");
    let played = Scripted::new(&yaml)
        .calling(RESTART)
        .act("first", Script::ok(json!({ "exit": 0, "json": "db" })))
        .person(approve)
        .play()
        .await;
    assert_eq!(played.outcome("call"), Some(Outcome::Failed));
    assert_eq!(played.reason("call"), "input `count`: `db` is text, not a whole number; it is from the call");
    assert!(!played.seen().iter().any(|act| act.starts_with("look")));
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_can_be_answered() {
    let yaml = CALLER.replace("    remediate: Restart it\n", "    remediate: Restart it\n    on_failure: continue\n");
    let played = Scripted::new(&yaml)
        .calling(RESTART)
        .act("first", Script::ok(json!({ "exit": 0, "json": "db" })))
        .act("act db", Script::Fail(ErrorClass::Exit(1)))
        .person(approve)
        .play()
        .await;
    assert_eq!(played.result(), RunResult::Resolved, "the caller's own validation holds");
}

#[tokio::test(start_paused = true)]
async fn a_probe_performs_the_reads_of_a_called_runbook() {
    let played = caller().probe().play().await;
    assert_eq!(played.seen(), ["first", "look db 3", "proof db", "tidy db", "whole", "last"]);
    assert_eq!(played.reason("after"), "`call.result` is unknown: `call` gave no `result`: a probe changes nothing");
    assert_eq!(played.outcome("call"), Some(Outcome::NotPerformed));
}
