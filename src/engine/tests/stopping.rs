//! Leaving a run: signals, the question of the first Ctrl-C, what is waited for and what is not.

use super::{Script, Scripted};
use crate::engine::{Answer, Prompt, PromptKind, RunState};
use crate::event::{Event, Outcome, RunResult};
use std::time::Duration;

const STEPS: &str = "
steps:
  - { id: look, diagnose: Look, needs: [], run: [look] }
  - { id: change, remediate: Change, run: [change], verify: { run: [check], expect: exit == 0 } }
  - { id: next, remediate: Next, run: [next] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn slow(count: u64) -> Script {
    Script::Ok(serde_json::json!({ "exit": 0 }), count * 1000)
}

/// Approves every gate, and says this to the first Ctrl-C.
fn says(answer: Option<Answer>) -> impl FnMut(&Prompt) -> Option<Answer> + Send {
    move |prompt| match prompt.kind {
        PromptKind::Stop { .. } => answer.clone(),
        _ => Some(Answer::Approve),
    }
}

fn kinds(played: &super::fixture::Played) -> Vec<&'static str> {
    let word = |event: &Event| match event {
        Event::Suspending { .. } => Some("suspending"),
        Event::RunSuspended { .. } => Some("suspended"),
        Event::Aborted { .. } => Some("aborted"),
        Event::RunEnded { .. } => Some("ended"),
        _ => None,
    };
    played.records.iter().filter_map(|record| word(&record.event)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_suspend_waits_for_the_change_that_runs_and_for_its_verify() {
    for signal in [2, 15, 1] {
        let played = Scripted::new(STEPS)
            .act("change", slow(100))
            .act("check", slow(100))
            .person(says(Some(Answer::Suspend)))
            .signal(seconds(10), signal)
            .play()
            .await;
        assert_eq!(played.seen(), ["look", "change", "check"]);
        assert_eq!(played.outcome("change"), Some(Outcome::Succeeded));
        assert_eq!(kinds(&played), ["suspending", "suspended"]);
        let end = played.end.expect("an end");
        assert!(matches!(end.state, RunState::Suspended(_)));
        assert_eq!(end.signal, Some(signal));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_cuts_the_change_off_and_its_step_has_no_end() {
    for (first, second) in [(15, 15), (15, 2), (1, 15), (2, 2), (2, 3)] {
        let played = Scripted::new(STEPS)
            .act("change", Script::Hangs)
            .person(says(None))
            .signal(seconds(10), first)
            .signal(seconds(20), second)
            .play()
            .await;
        assert_eq!(played.seen(), ["look", "change"]);
        assert_eq!(played.outcome("change"), None);
        let unknown = |event: &Event| matches!(event, Event::AttemptEnded { outcome: Outcome::Unknown, .. });
        assert!(played.records.iter().any(|record| unknown(&record.event)));
        assert!(matches!(played.end.expect("an end").state, RunState::Suspended(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_signal_twice_at_once_and_a_second_hang_up_are_one() {
    for (signal, after) in [(15, Duration::from_millis(10_020)), (1, seconds(20))] {
        let played = Scripted::new(STEPS)
            .act("change", slow(100))
            .yes_man()
            .signal(seconds(10), signal)
            .signal(after, signal)
            .play()
            .await;
        assert_eq!(played.outcome("change"), Some(Outcome::Succeeded));
        assert_eq!(kinds(&played), ["suspending", "suspended"]);
    }
}

#[tokio::test(start_paused = true)]
async fn sigquit_waits_for_nothing() {
    let played =
        Scripted::new(STEPS).act("change", Script::Hangs).person(says(None)).signal(seconds(10), 3).play().await;
    assert_eq!(played.outcome("change"), None);
    assert_eq!(kinds(&played), ["suspended"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_is_stopped_and_its_step_has_no_end() {
    let played = Scripted::new(STEPS).act("look", Script::Hangs).signal(seconds(10), 2).play().await;
    assert_eq!(played.seen(), ["look"]);
    assert_eq!(played.outcome("look"), None);
    assert_eq!(kinds(&played), ["suspended"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_ctrl_c_names_what_runs() {
    let steps =
        format!("{STEPS}\n").replace("steps:\n", "steps:\n  - { id: long, diagnose: Long, needs: [], run: [long] }\n");
    let steps = steps.replace("verify:", "needs: [look], verify:");
    let played = Scripted::new(&steps)
        .act("long", Script::Hangs)
        .act("change", Script::Hangs)
        .act("check", Script::Hangs)
        .person(says(Some(Answer::Abort { reason: "wrong one".into() })))
        .signal(seconds(10), 2)
        .play()
        .await;
    let asked = played.prompts.iter().find_map(|prompt| match &prompt.kind {
        PromptKind::Stop { changes, others, may_abort, .. } => Some((changes.clone(), others.clone(), *may_abort)),
        _ => None,
    });
    let (changes, others, may_abort) = asked.expect("the question");
    assert_eq!(changes.iter().map(|step| step.0.as_str()).collect::<Vec<_>>(), ["change"]);
    assert_eq!(others.iter().map(|step| step.0.as_str()).collect::<Vec<_>>(), ["long"]);
    assert!(may_abort);
    assert_eq!(kinds(&played), ["aborted", "ended"]);
    assert_eq!(played.result(), RunResult::Aborted);
    assert_eq!(played.seen().last().map(String::as_str), Some("tidy"));
    // It was cut off: whoever looks at the exit code must look at the target (ruling 9).
    assert!(played.end.expect("an end").change_failed);
}

#[tokio::test(start_paused = true)]
async fn going_on_leaves_no_trace() {
    let played =
        Scripted::new(STEPS).act("look", slow(20)).person(says(Some(Answer::GoOn))).signal(seconds(10), 2).play().await;
    assert_eq!(played.seen(), ["look", "change", "check", "next", "tidy"]);
    assert_eq!(kinds(&played), ["ended"]);
    assert_eq!(played.end.expect("an end").signal, None);
}

#[tokio::test(start_paused = true)]
async fn no_change_begins_while_the_question_is_open() {
    let played = Scripted::new(STEPS)
        .act("look", slow(20))
        .person(says(None))
        .signal(seconds(10), 2)
        .signal(seconds(3600), 15)
        .play()
        .await;
    assert_eq!(played.seen(), ["look"]);
    assert_eq!(played.outcome("look"), Some(Outcome::Succeeded));
    assert!(!played.records.iter().any(|record| matches!(record.event, Event::AttemptStarted { change: true, .. })));
    assert_eq!(kinds(&played), ["suspended"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_is_left_between_two_items() {
    let steps = "
steps:
  - { id: all, remediate: All, for_each: \"[1, 2, 3]\", pause: 1h, run: [act, \"{{ item }}\"] }
";
    let played = Scripted::new(steps).act("act 1", slow(100)).yes_man().signal(seconds(10), 15).play().await;
    assert_eq!(played.seen(), ["act 1"]);
    assert_eq!(played.outcome("all[0]"), Some(Outcome::Succeeded));
    assert_eq!((played.outcome("all[1]"), played.outcome("all")), (None, None));
    let started = |event: &Event| matches!(event, Event::AttemptStarted { .. });
    assert_eq!(played.records.iter().filter(|record| started(&record.event)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_will_be_tried_again_is_left_between_two_attempts() {
    let steps = "
steps:
  - { id: change, remediate: Change, run: [change], retry: { attempts: 3, every: 1h } }
";
    let class = crate::event::ErrorClass::Exit(1);
    let played = Scripted::new(steps).act("change", Script::Fail(class)).yes_man().signal(seconds(10), 15).play().await;
    assert_eq!(played.seen(), ["change"]);
    assert_eq!(played.outcome("change"), None);
    assert!(played.records.last().is_some_and(|last| last.elapsed_ms < 60_000), "{:?}", played.records.last());
}

#[tokio::test(start_paused = true)]
async fn a_gate_stays_open_in_the_record() {
    let played = Scripted::new(STEPS).person(|_| None).signal(seconds(10), 15).play().await;
    let answered = |event: &Event| matches!(event, Event::GateAnswered { .. });
    assert!(!played.records.iter().any(|record| answered(&record.event)));
    assert_eq!(kinds(&played), ["suspended"]);
}

#[tokio::test(start_paused = true)]
async fn an_abort_that_is_interrupted_suspends_and_offers_no_second_abort() {
    let played = Scripted::new(STEPS)
        .act("look", Script::Hangs)
        .act("tidy", Script::Hangs)
        .person(says(Some(Answer::Suspend)))
        .aborts(seconds(10))
        .signal(seconds(20), 2)
        .play()
        .await;
    let offers = |prompt: &Prompt| matches!(prompt.kind, PromptKind::Stop { may_abort, .. } if may_abort);
    assert!(!played.prompts.iter().any(offers));
    assert_eq!(kinds(&played), ["aborted", "suspended"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_opens_the_gates_anew() {
    for (by, way) in [(3600, "ahead"), (-3600, "back")] {
        let mut asked = 0;
        let person = move |prompt: &Prompt| {
            asked += usize::from(matches!(prompt.kind, PromptKind::Gate { .. }));
            // The first card is left lying; the clock moves meanwhile.
            (asked != 1).then_some(Answer::Approve)
        };
        let played = Scripted::new(STEPS).person(person).clock_jumps(seconds(100), by).play().await;
        assert_eq!(played.result(), RunResult::NotResolved);
        let moved: Vec<_> = played
            .records
            .iter()
            .filter_map(|record| match record.event {
                Event::ClockMoved { by_ms } => Some(by_ms),
                _ => None,
            })
            .collect();
        assert_eq!(moved, [by * 1000]);
        let cards: Vec<_> = played
            .records
            .iter()
            .filter(|record| record.step.as_ref().is_some_and(|step| step.0 == "change"))
            .filter_map(|record| match &record.event {
                Event::GateOpened { number, card, .. } => Some((*number, card.moved.join("; "))),
                _ => None,
            })
            .collect();
        assert_eq!((cards.len(), cards[0].0, cards[1].0), (2, 1, 2));
        assert!(cards[1].1.contains(way), "{cards:?}");
        assert_eq!(played.outcome("change"), Some(Outcome::Succeeded));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_moves_a_little_is_nothing() {
    let played = Scripted::new(STEPS).act("change", slow(100)).yes_man().clock_jumps(seconds(50), 4).play().await;
    assert!(!played.records.iter().any(|record| matches!(record.event, Event::ClockMoved { .. })));
}
