//! Gates and lists.

use super::{Script, Scripted};
use crate::engine::{Answer, InboxDecision, PromptKind, RunState};
use crate::event::{
    AnswerKind, Door, ErrorClass, Event, GateRequirement, IdentityKind, Operator, Outcome, RunResult, StepPath,
};
use crate::plan::{GateLevel, GatePolicy};
use crate::runbook::Risk;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

fn change(more: &str) -> String {
    format!(
        "\nsteps:\n  - id: change\n    remediate: Change\n    run: [change]\n{more}\n  - {{ id: proof, validate: Proof, run: [proof] }}\n"
    )
}

fn answers(played: &super::fixture::Played) -> Vec<(AnswerKind, Door)> {
    let of = |record: &crate::event::Record| match &record.event {
        Event::GateAnswered { answer, .. } => Some((answer.answer, answer.door)),
        _ => None,
    };
    played.records.iter().filter_map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn nobody_there_means_parked_and_nothing_done() {
    let played = Scripted::new(&change("")).play().await;
    assert!(played.seen().is_empty());
    let state = played.end.expect("an end").state;
    assert!(matches!(state, RunState::Parked(ref list) if list[0].what == "gate" && list[0].digest.is_some()));
}

#[tokio::test(start_paused = true)]
async fn the_answer_no_ends_as_declined() {
    let played = Scripted::new(&change("")).person(|_| Some(Answer::Decline { reason: None })).play().await;
    assert_eq!(played.seen(), ["proof"]);
    assert_eq!((played.outcome("change"), played.result()), (Some(Outcome::Declined), RunResult::Declined));
}

#[tokio::test(start_paused = true)]
async fn a_step_left_out_is_a_deviation() {
    let skip = |_: &crate::engine::Prompt| Some(Answer::Skip { reason: "done by hand".into() });
    let played = Scripted::new(&change("")).person(skip).play().await;
    assert_eq!(played.outcome("change"), Some(Outcome::Skipped));
    assert!(
        played
            .records
            .iter()
            .any(|record| matches!(&record.event, Event::Deviated { text } if text.contains("by hand")))
    );
}

#[tokio::test(start_paused = true)]
async fn yes_answers_its_risk_and_no_more() {
    let medium = Scripted::new(&change("    irreversible: gone\n    risk: medium")).yes(Risk::Medium).play().await;
    assert!(
        matches!(medium.end.expect("an end").state, RunState::Parked(_)),
        "irreversible is never answered by a flag"
    );
    let low = Scripted::new(&change("    irreversible: gone\n    risk: low")).yes(Risk::Medium).play().await;
    assert_eq!((answers(&low), low.result()), (vec![(AnswerKind::Approved, Door::Flag)], RunResult::Resolved));
    let high = Scripted::new(&change("    risk: high")).yes(Risk::Medium).play().await;
    assert!(matches!(high.end.expect("an end").state, RunState::Parked(_)));
    let plain = Scripted::new(&change("")).yes(Risk::Medium).play().await;
    assert_eq!(answers(&plain), vec![(AnswerKind::Approved, Door::Flag)]);
    let too_low = Scripted::new(&change("")).yes(Risk::Low).play().await;
    assert!(matches!(too_low.end.expect("an end").state, RunState::Parked(_)));
}

#[tokio::test(start_paused = true)]
async fn the_environment_passes_and_the_runbooks_floor_stays() {
    let lax = GatePolicy { production: false, medium: Some(GateLevel::Pass), ..GatePolicy::default() };
    let passed = Scripted::new(&change("")).policy(lax).play().await;
    assert_eq!(answers(&passed), vec![(AnswerKind::Approved, Door::Policy)]);
    let floor = Scripted::new(&change("    gate: { confirm: true }")).policy(lax).play().await;
    assert!(matches!(floor.end.expect("an end").state, RunState::Parked(_)));
}

#[tokio::test(start_paused = true)]
async fn high_risk_wants_the_targets_name() {
    let played = Scripted::new(&change("    risk: high"))
        .person(|prompt| match &prompt.kind {
            PromptKind::Gate { card, .. } => {
                assert_eq!(
                    card.requires,
                    GateRequirement::Type { text: "box".into(), what: "the target's name".into() }
                );
                Some(Answer::Approve)
            }
            _ => None,
        })
        .play()
        .await;
    assert_eq!(played.result(), RunResult::Resolved);
}

fn letter(digest: &str, answer: AnswerKind) -> InboxDecision {
    InboxDecision {
        step: StepPath("change".into()),
        digest: digest.to_owned(),
        answer: Some(answer),
        chosen: None,
        values: indexmap::IndexMap::new(),
        reason: Some("seen".into()),
        by: Operator { name: "bo".into(), identity: IdentityKind::OsUser, host: None },
        at: "2026-11-21T01:00:01Z".parse::<Timestamp>().expect("a time"),
        signed: None,
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_from_elsewhere_counts_only_with_the_digest_of_the_card() {
    let run = |digest: Option<String>| async move {
        let scripted = Scripted::new(&change("")).park_after(Duration::from_secs(20));
        let letters = scripted.letters.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let digest = digest.unwrap_or_else(|| "0000".to_owned());
            letters.lock().expect("lock").push(letter(&digest, AnswerKind::Approved));
        });
        scripted.play().await
    };
    let wrong = run(None).await;
    assert!(matches!(wrong.end.as_ref().expect("an end").state, RunState::Parked(_)));
    let opened = wrong.records.iter().find_map(|record| match &record.event {
        Event::GateOpened { digest, .. } => Some(digest.clone()),
        _ => None,
    });
    let right = run(opened).await;
    assert_eq!(answers(&right), vec![(AnswerKind::Approved, Door::Inbox)]);
    assert_eq!(right.result(), RunResult::Resolved);
}

const LIST: &str = "
steps:
  - { id: look, diagnose: Look, run: [look], capture: { ids: json } }
  - id: each
    remediate: Each
    risk: low
    for_each: look.ids
    as: one
    run: [reject, '{{ one }}']
  - { id: proof, validate: Proof, assert: each.results | length == 3 }
";

#[tokio::test(start_paused = true)]
async fn a_list_has_one_gate_and_a_result_for_each_item() {
    let ids = Script::ok(json!({ "exit": 0, "json": ["x", "y", "z"] }));
    let played = Scripted::new(LIST).act("look", ids.clone()).yes_man().play().await;
    assert_eq!(played.seen(), ["look", "reject x", "reject y", "reject z"]);
    assert_eq!((played.prompts.len(), played.result()), (1, RunResult::Resolved));
    let PromptKind::Gate { card, .. } = &played.prompts[0].kind else { panic!("a gate") };
    assert_eq!(card.items.len(), 3);
    let fails =
        Scripted::new(LIST).act("look", ids).act("reject y", Script::Fail(ErrorClass::Exit(1))).yes_man().play().await;
    assert_eq!(fails.seen(), ["look", "reject x", "reject y"]);
    assert_eq!((fails.outcome("each"), fails.result()), (Some(Outcome::Failed), RunResult::Failed));
}

#[tokio::test(start_paused = true)]
async fn an_empty_or_unknown_list_is_said() {
    let empty = Scripted::new(LIST).act("look", Script::ok(json!({ "exit": 0, "json": [] }))).yes_man().play().await;
    assert!(empty.reason("each").contains("empty"), "{}", empty.reason("each"));
    let unknown = Scripted::new(LIST).act("look", Script::Fail(ErrorClass::Timeout)).yes_man().play().await;
    assert!(unknown.reason("each").contains("unknown"), "{}", unknown.reason("each"));
    assert_eq!(unknown.seen(), ["look"]);
}
