//! Questions that are waited for only for a while.

use super::fixture::Played;
use super::{Script, Scripted};
use crate::engine::{Answer, PromptKind, RunState};
use crate::event::{Door, Event, Outcome, RunResult};
use std::time::Duration;

fn steps(more: &str) -> String {
    format!(
        "
contacts: {{ oncall: {{ reach: \"tel:1\", name: The on-call }} }}
steps:
  - id: who
    diagnose: Who agrees?
    ask:
      questions:
        name: {{ question: Your name? }}
        count: {{ question: How many?, type: integer, default: \"3\" }}
{more}
  - {{ id: note, diagnose: Note, run: [note, \"{{{{ who.name }}}}\", \"{{{{ who.count }}}}\"] }}
"
    )
}

fn doors(played: &Played) -> Vec<Door> {
    let records = played.records.iter();
    records
        .filter_map(|record| match &record.event {
            Event::Answered { door, .. } => Some(*door),
            _ => None,
        })
        .collect()
}

const OTHERWISE: &str = "      expires: 10m\n      otherwise: { name: nobody }";

#[tokio::test(start_paused = true)]
async fn answers_are_taken_by_the_clock_when_nobody_is_there() {
    let played = Scripted::new(&steps(OTHERWISE)).play().await;
    assert_eq!(played.seen(), ["note nobody 3"]);
    assert_eq!(doors(&played), [Door::Clock]);
    assert_eq!(played.result(), RunResult::Completed);
    assert_eq!(played.records.last().expect("an end").elapsed_ms, 600_000);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_counts() {
    let played = Scripted::new(&steps(OTHERWISE))
        .person(|prompt| match &prompt.kind {
            PromptKind::Ask { .. } => Some(Answer::Values([("name".to_owned(), "ana".to_owned())].into())),
            _ => None,
        })
        .play()
        .await;
    assert_eq!(played.seen(), ["note ana 3"]);
    assert_eq!(doors(&played), [Door::Terminal]);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_leaves_the_run_undecided() {
    let played = Scripted::new(&steps("      expires: 10m")).person(|_| None).play().await;
    assert_eq!(played.outcome("who"), Some(Outcome::Failed));
    assert_eq!(played.reason("who"), "nobody answered within 10m");
    assert_eq!(played.result(), RunResult::Undecided);
}

#[tokio::test(start_paused = true)]
async fn without_another_answer_a_run_parks_as_ever() {
    let played = Scripted::new(&steps("      expires: 10m")).play().await;
    assert!(matches!(played.end.expect("left").state, RunState::Parked(_)));
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_ends_the_wait_for_an_answer() {
    let played = Scripted::new(&steps(OTHERWISE)).aborts(Duration::from_secs(5)).play().await;
    assert_eq!(played.result(), RunResult::Aborted);
    assert!((5000..5400).contains(&played.records.last().expect("an end").elapsed_ms));
}

#[tokio::test(start_paused = true)]
async fn it_is_told_who_is_asked() {
    let played = Scripted::new(&steps("      of: oncall")).act("note ana 3", Script::Hangs).person(|_| None);
    let played = played.aborts(Duration::from_secs(5)).play().await;
    let asked = played.records.iter().find_map(|record| match &record.event {
        Event::Asked { questions } => Some(questions.clone()),
        _ => None,
    });
    assert_eq!(asked, Some(vec!["Your name? (for The on-call)".to_owned(), "How many? (for The on-call)".to_owned()]));
}
