//! Groups for each item of a list, and groups whose steps run side by side.

use super::fixture::Played;
use super::{Script, Scripted};
use crate::engine::{Answer, Prompt, PromptKind, RunState};
use crate::event::{AnswerKind, Door, ErrorClass, Event, Outcome, RunResult};
use crate::plan::GatePolicy;
use crate::runbook::Risk;
use serde_json::json;
use std::time::Duration;

/// A list of three, a loop with a read, a change and a check, and what comes after.
fn stores(more: &str) -> String {
    format!(
        "
steps:
  - id: found
    diagnose: Which
    run: [found]
    capture: {{ names: json }}
  - id: store
    group: Each store
    for_each: found.names
{more}
    steps:
      - {{ id: look, diagnose: Look, run: [look, '{{{{ item }}}}'], capture: {{ size: json.size }} }}
      - {{ id: mint, remediate: Mint, run: [mint, '{{{{ item }}}}'], irreversible: it is, risk: low }}
      - {{ id: check, validate: Check, run: [check, '{{{{ item }}}}'] }}
  - {{ id: sum, diagnose: Sum, run: [sum, '{{{{ store.results | length }}}}', '{{{{ store.results[0].outcome }}}}'] }}
  - {{ id: proof, validate: Proof, run: [proof] }}
"
    )
}

fn played(more: &str) -> Scripted {
    let look = |size| Script::ok(json!({ "exit": 0, "json": { "size": size } }));
    Scripted::new(&stores(more))
        .act("found", Script::ok(json!({ "exit": 0, "json": ["a", "b", "c"] })))
        .act("look a", look(1))
        .act("look b", look(2))
        .act("look c", look(3))
}

fn approve(prompt: &Prompt) -> Option<Answer> {
    matches!(prompt.kind, PromptKind::Gate { .. }).then_some(Answer::Approve)
}

fn gates(played: &Played) -> Vec<(String, AnswerKind, Door)> {
    let of = |record: &crate::event::Record| match &record.event {
        Event::GateAnswered { answer, .. } => {
            Some((record.step.as_ref().expect("a step").0.clone(), answer.answer, answer.door))
        }
        _ => None,
    };
    played.records.iter().filter_map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn the_steps_of_each_item_run_in_order() {
    let played = played("").person(approve).play().await;
    let each = |item: &str| ["look", "mint", "check"].map(|step| format!("{step} {item}"));
    let mut wanted = vec!["found".to_owned()];
    wanted.extend(["a", "b", "c"].into_iter().flat_map(each));
    wanted.extend(["sum 3 succeeded".to_owned(), "proof".to_owned()]);
    assert_eq!(played.seen(), wanted);
    assert_eq!(played.result(), RunResult::Resolved);
    assert_eq!(played.outcome("store[2]/mint"), Some(Outcome::Succeeded));
    assert_eq!(played.outcome("store[1]"), Some(Outcome::Succeeded));
    assert_eq!(played.outcome("store"), Some(Outcome::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn one_card_shows_the_list_and_every_exact_change_passes_with_it() {
    let played = played("").person(approve).play().await;
    let cards: Vec<_> = played.prompts.iter().map(|prompt| prompt.step.0.as_str()).collect();
    assert_eq!(cards, ["store"]);
    let PromptKind::Gate { card, .. } = &played.prompts[0].kind else { panic!("no card") };
    let items: Vec<_> = card.items.iter().map(|item| item.text.as_str()).collect();
    assert_eq!(items, ["mint a", "mint b", "mint c"]);
    assert_eq!(
        gates(&played),
        [
            ("store".to_owned(), AnswerKind::Approved, Door::Terminal),
            ("store[0]/mint".to_owned(), AnswerKind::Approved, Door::List),
            ("store[1]/mint".to_owned(), AnswerKind::Approved, Door::List),
            ("store[2]/mint".to_owned(), AnswerKind::Approved, Door::List),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_that_hangs_on_its_item_opens_its_own_gate() {
    let yaml = "
steps:
  - id: store
    group: Each store
    for_each: \"['a', 'b']\"
    steps:
      - { id: look, diagnose: Look, run: [look, '{{ item }}'], capture: { size: exit } }
      - { id: grow, remediate: Grow, run: [grow, '{{ look.size }}'], irreversible: it is, risk: low }
      - { id: mint, remediate: Mint, run: [mint, '{{ item }}'], irreversible: it is, risk: low }
      - { id: part, remediate: Part, run: [part], when: look.size == 0, irreversible: it is, risk: low }
";
    let played = Scripted::new(yaml).person(approve).play().await;
    let cards: Vec<_> = played.prompts.iter().map(|prompt| prompt.step.0.as_str()).collect();
    assert_eq!(cards, ["store", "store[0]/grow", "store[0]/part", "store[1]/grow", "store[1]/part"]);
    let PromptKind::Gate { card, .. } = &played.prompts[0].kind else { panic!("no card") };
    assert_eq!(card.items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>(), ["mint a", "mint b"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_exact_change_has_no_gate() {
    let yaml = "
steps:
  - id: each
    group: Each
    for_each: \"[1, 2]\"
    as: number
    steps:
      - { id: look, diagnose: Look, run: [look, '{{ number }}'] }
  - { id: proof, validate: Proof, run: [proof], expect: 'each.results[1].item == 2' }
";
    let played = Scripted::new(yaml).play().await;
    assert_eq!((played.seen().len(), played.result()), (3, RunResult::Resolved));
    assert!(gates(&played).is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_to_the_list_is_no_to_all_of_it() {
    let played = played("").person(|_| Some(Answer::Decline { reason: None })).play().await;
    assert!(!played.seen().iter().any(|act| act.starts_with("mint") || act.starts_with("look")));
    assert_eq!((played.outcome("store"), played.result()), (Some(Outcome::Declined), RunResult::Declined));
}

#[tokio::test(start_paused = true)]
async fn evidence_that_goes_missing_in_an_item_asks_for_its_change_again() {
    let played = played("    on_item_failure: continue")
        .act("look b", Script::Fail(ErrorClass::Exit(1)))
        .person(approve)
        .play()
        .await;
    let cards: Vec<_> = played.prompts.iter().map(|prompt| prompt.step.0.as_str()).collect();
    assert_eq!(cards, ["store", "store[1]/mint"]);
    let PromptKind::Gate { card, .. } = &played.prompts[1].kind else { panic!("no card") };
    assert_eq!(card.missing, ["`store[1]/look` failed: what it would have found is not known"]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_passes_low_risk_asks_for_no_list() {
    let policy = GatePolicy { production: false, ..GatePolicy::default() };
    let yaml = stores("").replace("irreversible: it is", "undo: { run: [burn, '{{ item }}'] }");
    let played =
        Scripted::new(&yaml).act("found", Script::ok(json!({ "exit": 0, "json": ["a"] }))).policy(policy).play().await;
    assert_eq!(gates(&played), [("store[0]/mint".to_owned(), AnswerKind::Approved, Door::Policy)]);
}

#[tokio::test(start_paused = true)]
async fn a_flag_answers_the_list_as_it_answers_a_change() {
    let played = played("").yes(Risk::Low).play().await;
    assert_eq!(gates(&played)[0], ("store".to_owned(), AnswerKind::Approved, Door::Flag));
    assert_eq!(played.result(), RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn a_failed_item_stops_the_list() {
    let played = played("").act("mint b", Script::Fail(ErrorClass::Exit(1))).person(approve).play().await;
    assert!(!played.seen().contains(&"look c".to_owned()));
    assert!(played.seen().contains(&"check b".to_owned()), "reads go on after a failure");
    assert_eq!(played.outcome("store[1]"), Some(Outcome::Failed));
    assert_eq!(played.reason("store[1]"), "`mint` failed");
    assert_eq!(played.outcome("store"), Some(Outcome::Failed));
    assert_eq!(played.reason("store"), "1 of 3 items failed, 1 were not performed; store[1]: `mint` failed");
    assert_eq!(played.result(), RunResult::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_was_left_half_way_resolves_nothing() {
    let played = played("").act("look b", Script::Fail(ErrorClass::Exit(1))).person(approve).play().await;
    assert_eq!(played.result(), RunResult::Failed, "`mint c` never came, whatever the validations say");
    let yaml = stores("").replace("      - { id: mint", "      - { id: mint, when: 1 > 2");
    let reads_only = Scripted::new(&yaml)
        .act("found", Script::ok(json!({ "exit": 0, "json": ["a", "b"] })))
        .person(approve)
        .play()
        .await;
    assert_ne!(reads_only.result(), RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn items_may_fail_where_the_author_says_so() {
    for (more, result) in [
        ("    on_item_failure: continue", RunResult::Failed),
        ("    on_item_failure: { at_most: 1 }", RunResult::Resolved),
        ("    on_item_failure: { at_most: 0 }", RunResult::Failed),
    ] {
        let played = played(more).act("mint b", Script::Fail(ErrorClass::Exit(1))).person(approve).play().await;
        assert!(played.seen().contains(&"mint c".to_owned()), "{more}");
        assert_eq!(played.result(), result, "{more}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_validate_that_does_not_hold_blocks_only_its_own_item() {
    let yaml = "
steps:
  - id: each
    group: Each
    for_each: \"['a', 'b']\"
    on_item_failure: continue
    steps:
      - { id: guard, validate: Guard, run: [guard, '{{ item }}'], expect: exit == 0 }
      - { id: act, remediate: Act, run: [act, '{{ item }}'], risk: low, irreversible: it is }
";
    let no = Script::ok(json!({ "exit": 1 }));
    let played = Scripted::new(yaml).act("guard a", no).person(approve).play().await;
    assert_eq!(played.seen(), ["guard a", "guard b", "act b"]);
    assert_eq!(played.reason("each[0]/act"), "validation `each[0]/guard` does not hold");
    assert_eq!(played.outcome("each[0]"), Some(Outcome::Failed));
}

#[tokio::test(start_paused = true)]
async fn what_blocks_changes_outside_blocks_them_inside() {
    let yaml = "
steps:
  - { id: guard, validate: Guard, run: [guard], expect: exit == 0 }
  - id: each
    group: Each
    for_each: \"['a', 'b']\"
    steps:
      - { id: look, diagnose: Look, run: [look, '{{ item }}'] }
      - { id: act, remediate: Act, run: [act, '{{ item }}'], risk: low, irreversible: it is }
";
    let played = Scripted::new(yaml).act("guard", Script::ok(json!({ "exit": 1 }))).person(approve).play().await;
    assert_eq!(played.seen(), ["guard", "look a"]);
    assert_eq!(played.reason("each[0]/act"), "validation `guard` does not hold");
    assert_eq!(played.outcome("each"), Some(Outcome::Skipped), "nothing failed in it, and it was not performed");
    assert!(gates(&played).is_empty());
}

#[tokio::test(start_paused = true)]
async fn items_run_side_by_side_as_many_as_said() {
    let yaml = "
steps:
  - id: each
    group: Each
    for_each: \"[1, 2, 3, 4, 5]\"
    at_once: 2
    steps:
      - { id: look, diagnose: Look, run: [look, '{{ item }}'] }
";
    let mut scripted = Scripted::new(yaml);
    for item in 1..=5 {
        scripted = scripted.act(&format!("look {item}"), Script::Ok(json!({ "exit": 0 }), 100));
    }
    let played = scripted.play().await;
    assert_eq!(played.hands.most_at_once(), 2);
    let elapsed = played.records.last().expect("a record").elapsed_ms;
    assert_eq!(elapsed, 300);
}

#[tokio::test(start_paused = true)]
async fn a_pause_lies_between_two_items() {
    let yaml = "
steps:
  - id: each
    group: Each
    for_each: \"[1, 2, 3]\"
    pause: 30s
    steps:
      - { id: look, diagnose: Look, run: [look, '{{ item }}'] }
";
    let played = Scripted::new(yaml).play().await;
    let starts: Vec<_> = played
        .records
        .iter()
        .filter(|record| matches!(record.event, Event::AttemptStarted { .. }))
        .map(|record| record.elapsed_ms / 1000)
        .collect();
    assert_eq!(starts, [0, 30, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_run_parks_with_two_items_waiting() {
    let yaml = "
steps:
  - id: each
    group: Each
    for_each: \"['a', 'b', 'c']\"
    at_once: 2
    steps:
      - { id: question, diagnose: Ask, ask: { question: 'Is {{ item }} well?' } }
";
    let played = Scripted::new(yaml).play().await;
    let RunState::Parked(waiting) = played.end.expect("an end").state else { panic!("it did not park") };
    let waiting: Vec<_> = waiting.iter().map(|waiting| (waiting.step.0.as_str(), waiting.text.as_str())).collect();
    assert_eq!(waiting, [("each[0]/question", "Is a well?"), ("each[1]/question", "Is b well?")]);
}

#[tokio::test(start_paused = true)]
async fn an_abort_in_the_middle_leaves_the_other_items_and_runs_finally() {
    let yaml = format!("{}finally:\n  - {{ id: last, diagnose: Last, run: [last] }}\n", stores(""));
    let mut cards = 0;
    let played = Scripted::new(&yaml)
        .act("found", Script::ok(json!({ "exit": 0, "json": ["a", "b", "c"] })))
        .act("look a", Script::ok(json!({ "exit": 0, "json": { "size": 1 } })))
        .act("look b", Script::Hangs)
        .aborts(Duration::from_secs(5))
        .person(move |prompt| {
            cards += 1;
            approve(prompt).filter(|_| cards == 1)
        })
        .play()
        .await;
    assert_eq!(played.seen().last().map(String::as_str), Some("last"));
    assert!(!played.seen().contains(&"look c".to_owned()));
    assert_eq!(played.outcome("store[1]"), Some(Outcome::Cancelled));
    assert_eq!(played.outcome("store"), Some(Outcome::Cancelled));
    assert_eq!(played.result(), RunResult::Aborted);
}

#[tokio::test(start_paused = true)]
async fn an_option_inside_an_item_ends_the_run() {
    let yaml = "
steps:
  - id: each
    group: Each
    for_each: \"['a', 'b']\"
    steps:
      - id: choose
        decide: Enough?
        options:
          enough: { when: item == 'a', end: no_action }
          more: { when: item != 'a' }
";
    let played = Scripted::new(yaml).play().await;
    assert_eq!(played.result(), RunResult::NoAction);
    assert_eq!(played.outcome("each[1]"), None);
}

#[tokio::test(start_paused = true)]
async fn loops_inside_loops_have_paths_of_both() {
    let yaml = "
steps:
  - id: outer
    group: Outer
    for_each: \"['a', 'b']\"
    as: letter
    steps:
      - { id: base, diagnose: Base, run: [base, '{{ letter }}'], capture: { code: exit } }
      - id: inner
        group: Inner
        for_each: \"[1, 2]\"
        as: number
        steps:
          - { id: look, diagnose: Look, run: [look, '{{ letter }}', '{{ number }}', '{{ base.code }}'] }
      - { id: count, diagnose: Count, run: [count, '{{ inner.results | length }}'] }
";
    let played = Scripted::new(yaml).play().await;
    assert_eq!(
        played.seen(),
        ["base a", "look a 1 0", "look a 2 0", "count 2", "base b", "look b 1 0", "look b 2 0", "count 2"]
    );
    assert_eq!(played.outcome("outer[1]/inner[0]/look"), Some(Outcome::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_failed_can_be_answered_and_repeated() {
    let fails_once = Script::Then(vec![Script::Fail(ErrorClass::Exit(1)), Script::ok(json!({ "exit": 0 }))]);
    let played = played("    on_failure: { then: again }").act("mint b", fails_once).person(approve).play().await;
    assert_eq!(played.seen().iter().filter(|act| *act == "mint a").count(), 2);
    assert_eq!(played.result(), RunResult::Resolved);
    let cards: Vec<_> = played.prompts.iter().map(|prompt| prompt.step.0.as_str()).collect();
    assert_eq!(cards, ["store", "store"], "a repeated list is asked for again");
}

#[tokio::test(start_paused = true)]
async fn a_probe_reads_for_each_item_and_changes_nothing() {
    let played = played("").probe().play().await;
    assert_eq!(
        played.seen(),
        ["found", "look a", "check a", "look b", "check b", "look c", "check c", "sum 3 succeeded", "proof"]
    );
}

#[tokio::test(start_paused = true)]
async fn parallel_groups_start_together() {
    let yaml = "
steps:
  - id: both
    group: Both
    parallel: true
    steps:
      - id: left
        group: Left
        steps:
          - { id: l1, diagnose: L, run: [l1] }
          - { id: lw, diagnose: L, wait: 10s }
          - { id: l2, diagnose: L, run: [l2] }
      - id: right
        group: Right
        steps:
          - { id: r1, diagnose: R, run: [r1] }
          - { id: r2, diagnose: R, run: [r2] }
  - { id: after, diagnose: After, run: [after] }
";
    let played = Scripted::new(yaml).play().await;
    assert_eq!(played.seen(), ["l1", "r1", "r2", "l2", "after"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_stops_reads_and_lets_a_running_change_end() {
    let yaml = "
steps:
  - id: all
    group: All
    parallel: true
    first_failure: cancel
    steps:
      - { id: fails, diagnose: Fails, run: [fails] }
      - id: reads
        group: Reads
        steps:
          - { id: hangs, diagnose: Hangs, run: [hangs] }
          - { id: never, remediate: Never, run: [never], risk: low, irreversible: it is }
      - id: writes
        group: Writes
        steps:
          - { id: slow, remediate: Slow, run: [slow], risk: low, irreversible: it is }
          - { id: later, diagnose: Later, run: [later] }
";
    let fails = Script::Then(vec![Script::Ok(json!({}), 50), Script::Fail(ErrorClass::Exit(1))]);
    let yaml =
        yaml.replace("run: [fails] }", "run: [fails], until: { expect: exit == 0, every: 10ms, within: 60ms } }");
    let played = Scripted::new(&yaml)
        .act("fails", fails)
        .act("hangs", Script::Hangs)
        .act("slow", Script::Ok(json!({ "exit": 0 }), 500))
        .person(approve)
        .play()
        .await;
    assert_eq!(played.outcome("slow"), Some(Outcome::Succeeded));
    assert_eq!(played.outcome("hangs"), Some(Outcome::Cancelled));
    assert_eq!(played.reason("never"), "`fails` failed, and `all` stops at its first failure");
    assert_eq!(played.reason("later"), "`fails` failed, and `all` stops at its first failure");
    assert!(!played.seen().contains(&"never".to_owned()));
}
