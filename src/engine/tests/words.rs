//! What people say to a run without being asked.

use super::fixture::Played;
use super::{Script, Scripted};
use crate::engine::{InboxWord, RunState, Said};
use crate::event::{Actor, Event, IdentityKind, Mark, Operator, RunResult};
use jiff::Timestamp;
use std::time::Duration;

const LONG: &str = "
steps:
  - { id: look, diagnose: Look, run: [look] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
";

fn word(said: Said) -> InboxWord {
    let by = Operator { name: "bo".into(), identity: IdentityKind::OsUser, host: None };
    InboxWord { said, by, at: "2026-11-21T01:00:01Z".parse().expect("a time") }
}

async fn with(scripted: Scripted, words: Vec<(u64, Said)>) -> Played {
    let inbox = scripted.words.clone();
    tokio::spawn(async move {
        for (after, said) in words {
            tokio::time::sleep(Duration::from_secs(after)).await;
            inbox.lock().expect("lock").push(word(said));
        }
    });
    scripted.play().await
}

fn slow() -> Scripted {
    Scripted::new(LONG).act("look", Script::Ok(serde_json::json!({ "exit": 0 }), 60_000))
}

fn abort() -> Said {
    Said::Abort { reason: "wrong cluster".into() }
}

#[tokio::test(start_paused = true)]
async fn notes_and_marks_come_while_nothing_is_asked() {
    let at: Timestamp = "2026-11-21T00:48:00Z".parse().expect("a time");
    let mark = Said::Mark { mark: Mark::Detected, at: Some(at), text: Some("the pager".into()) };
    let played = with(slow(), vec![(2, Said::Note { text: "called bo".into() }), (1, mark)]).await;
    let said: Vec<_> = played
        .records
        .iter()
        .filter(|record| record.event.is_remark())
        .map(|record| (record.elapsed_ms / 1000, record.actor == Actor::Person(word(abort()).by), record.event.clone()))
        .collect();
    let marked = Event::Marked { mark: Mark::Detected, at, text: Some("the pager".into()) };
    assert_eq!(said, [(2, true, Event::Noted { text: "called bo".into() }), (3, true, marked)]);
    assert_eq!(played.result(), RunResult::Completed);
}

#[tokio::test(start_paused = true)]
async fn an_abort_from_elsewhere_stops_what_runs_and_names_who() {
    let played = with(Scripted::new(LONG).act("look", Script::Hangs), vec![(5, abort())]).await;
    assert_eq!(played.end.as_ref().expect("an end").state, RunState::Ended(RunResult::Aborted));
    assert_eq!(played.seen(), ["look", "tidy"], "`finally` runs");
    let aborted: Vec<_> =
        played.records.iter().filter(|record| matches!(record.event, Event::Aborted { .. })).collect();
    assert_eq!(aborted.len(), 1);
    assert_eq!(aborted[0].event, Event::Aborted { reason: "wrong cluster".into() });
    assert_eq!(aborted[0].actor, Actor::Person(word(abort()).by));
}

#[tokio::test(start_paused = true)]
async fn an_abort_of_a_run_that_is_ending_is_told_and_changes_nothing() {
    let scripted = Scripted::new(LONG)
        .act("look", Script::Hangs)
        .act("tidy", Script::Ok(serde_json::json!({ "exit": 0 }), 60_000));
    let played = with(scripted, vec![(5, abort()), (5, abort())]).await;
    assert_eq!(played.end.as_ref().expect("an end").state, RunState::Ended(RunResult::Aborted));
    let count = |is: fn(&Event) -> bool| played.records.iter().filter(|record| is(&record.event)).count();
    assert_eq!(count(|event| matches!(event, Event::Aborted { .. })), 1);
    assert_eq!(count(|event| matches!(event, Event::Deviated { text } if text.starts_with("bo wanted to abort"))), 1);
}
