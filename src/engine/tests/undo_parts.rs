//! What takes one change back: lists of acts, and files restored to the byte.

use super::fixture::{Played, Script, Scripted, sha256};
use crate::engine::{Answer, PromptKind, RunState};
use crate::event::{ErrorClass, Event, Outcome, RunResult};
use serde_json::json;

/// A change that two acts and a look take back.
fn steps(temporary: &str) -> String {
    format!(
        "
steps:
  - id: one
    remediate: One
    run: [one]
    risk: low
    {temporary}
    capture: {{ name: lines | first }}
    undo:
      - {{ id: a, remediate: 'Take A of {{{{ one.name }}}}', run: [back-a, '{{{{ one.name }}}}'] }}
      - {{ id: b, remediate: Take B, run: [back-b], verify: {{ run: [gone-b], expect: exit == 0 }} }}
      - {{ id: see, validate: See, run: [see], expect: exit == 0 }}
  - {{ id: two, remediate: Two, run: [two], risk: low, undo: {{ run: [back-two] }} }}
"
    )
}

const ALL: [&str; 4] = ["back-a x7", "back-b", "gone-b", "see"];

fn scripted(temporary: &str) -> Scripted {
    Scripted::new(&steps(temporary)).act("one", Script::ok(json!({ "lines": ["x7"] })))
}

/// The run that makes both changes.
async fn made() -> Played {
    let played = scripted("").yes_man().play().await;
    assert_eq!(played.seen(), ["one", "two"]);
    played
}

fn open_changes(played: &Played) -> Vec<String> {
    match &played.records.last().expect("records").event {
        Event::RunEnded { open_changes, .. } => open_changes.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_temporary_change_is_taken_back_by_all_its_steps() {
    let played = scripted("temporary: true").yes_man().play().await;
    assert_eq!(played.seen()[..2], ["one", "two"]);
    assert_eq!(played.seen()[2..], ALL);
    for path in ["one/undo", "one/undo/a", "one/undo/b", "one/undo/see"] {
        assert_eq!(played.outcome(path), Some(Outcome::Succeeded), "{path}");
    }
    assert_eq!(open_changes(&played), ["two: back-two"]);
    let card = played.prompts.iter().find_map(|prompt| match &prompt.kind {
        PromptKind::Gate { card, .. } => card.undo.clone(),
        _ => None,
    });
    let card = card.unwrap();
    assert!(card.ends_with("; then back-b; then see expects exit == 0"), "{card}");
}

#[tokio::test(start_paused = true)]
async fn the_first_step_that_fails_ends_the_undo_and_the_change_stands() {
    let no = Script::Fail(ErrorClass::Exit(1));
    let rows = [
        ("back-a x7", "a", no.clone(), 1),
        ("see", "see", Script::ok(json!({ "exit": 1 })), 4),
        ("gone-b", "b", no, 3),
    ];
    for (act, id, script, count) in rows {
        let played = scripted("temporary: true").act(act, script).yes_man().play().await;
        assert_eq!(played.seen()[2..], ALL[..count], "{act}");
        assert_ne!(played.outcome("one/undo"), Some(Outcome::Succeeded));
        let open = open_changes(&played);
        assert!(open[1].contains(&format!("not taken back: step `{id}` of the undo: ")), "{open:?}");
        assert_eq!(played.result(), RunResult::Failed);
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_of_a_list_has_its_gate_and_a_read_has_none() {
    let records = made().await.records;
    let played = scripted("").undoing(&records).yes_man().play().await;
    assert_eq!(played.seen()[0], "back-two");
    assert_eq!(played.seen()[1..], ALL);
    let gates = played.prompts.iter().filter(|prompt| matches!(prompt.kind, PromptKind::Gate { .. }));
    let gates: Vec<_> = gates.map(|prompt| prompt.step.0.as_str()).collect();
    assert_eq!(gates, ["two/undo", "one/undo/a", "one/undo/b"]);
    assert_eq!(played.outcome("one/undo/see"), Some(Outcome::Succeeded));
    assert_eq!(played.result(), RunResult::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_known_ends_the_list() {
    let lost = Script::ok(json!({ "lines": [] }));
    let made = Scripted::new(&steps("")).act("one", lost).yes_man().play().await;
    let played = Scripted::new(&steps("")).undoing(&made.records).yes_man().play().await;
    assert_eq!(played.seen(), ["back-two"]);
    let open = open_changes(&played);
    assert_eq!(open.len(), 3, "{open:?}");
    assert!(open[0].contains("is unknown: "), "{open:?}");
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_did_of_a_list_is_not_done_again() {
    let records = made().await.records;
    let whole = scripted("").undoing(&records).yes_man().play().await.records;
    let place = |path: &str, is: fn(&Event) -> bool| {
        let found =
            whole.iter().position(|record| record.step.as_ref().is_some_and(|at| at.0 == path) && is(&record.event));
        found.unwrap_or_else(|| panic!("{path}"))
    };
    let ended: fn(&Event) -> bool = |event| matches!(event, Event::StepEnded { .. });
    let started: fn(&Event) -> bool = |event| matches!(event, Event::AttemptStarted { .. });
    // It died after the first act; and within the second one, whose verify then says that it is done.
    let rows = [(place("one/undo/a", ended), &ALL[1..]), (place("one/undo/b", started), &ALL[2..])];
    for (last, left) in rows {
        let played = scripted("").undoing_again(&records, &whole[..=last]).yes_man().play().await;
        assert_eq!(played.seen(), left);
        assert_eq!(played.result(), RunResult::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_declined_list_does_nothing() {
    let records = made().await.records;
    let played = scripted("")
        .undoing(&records)
        .person(|prompt| match &prompt.kind {
            PromptKind::Gate { .. } if prompt.step.0 == "two/undo" => Some(Answer::Approve),
            _ => Some(Answer::Decline { reason: None }),
        })
        .play()
        .await;
    assert_eq!(played.seen(), ["back-two"]);
    assert_eq!(played.outcome("one/undo/a"), Some(Outcome::Declined));
    assert!(matches!(played.end.unwrap().state, RunState::Ended(RunResult::Declined)));
}

/// What a write of `to` leaves where `from` was.
fn wrote(from: Option<&str>, to: &str) -> Script {
    let fields = json!({
        "changed": from != Some(to), "created": from.is_none(), "file": "/f",
        "before_sha256": from.map(sha256), "after_sha256": sha256(to),
    });
    let Some(_) = from else { return Script::ok(fields) };
    let kept = json!({ "stream": "before", "size": 0, "sha256": from.map(sha256).unwrap_or_default(), "excerpt": "", "inline": false });
    Script::Kept(fields, serde_json::from_value(kept).unwrap())
}

/// A file that is written, perhaps in more than one attempt, and taken back by another run.
async fn restored(scripts: Vec<Script>, more: &str, kept: &[&str]) -> (Played, Vec<String>) {
    let steps = format!(
        "
steps:
  - {{ id: put, remediate: Put, write: {{ file: /f, text: new }}, risk: low, {more} retry: {{ attempts: 3, every: 1s }} }}
"
    );
    let made = Scripted::new(&steps).act("write /f", Script::Then(scripts)).yes_man().play().await;
    let played = Scripted::new(&steps).undoing_with(&made.records, kept).yes_man().play().await;
    let open = open_changes(&played);
    (played, open)
}

#[tokio::test(start_paused = true)]
async fn a_file_is_restored_without_a_word_of_the_author() {
    let (played, open) = restored(vec![wrote(Some("old"), "new")], "", &["old"]).await;
    let text = format!("restore /f as it was before (sha256 {}…, 3 bytes)", &sha256("old")[..8]);
    assert_eq!(played.seen(), [text]);
    assert_eq!((played.outcome("put/undo"), open), (Some(Outcome::Succeeded), Vec::new()));
    let gates = played.prompts.iter().filter(|prompt| matches!(prompt.kind, PromptKind::Gate { .. }));
    assert_eq!(gates.count(), 1);

    let (played, _) = restored(vec![wrote(None, "new")], "", &[]).await;
    assert_eq!(played.seen(), ["remove /f again"]);
    let (played, open) = restored(vec![wrote(Some("new"), "new")], "", &[]).await;
    assert!(played.seen().is_empty() && open.is_empty(), "{open:?}");
    assert_eq!(played.result(), RunResult::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_took_several_attempts_goes_back_to_before_the_first() {
    let verify = "verify: { run: [look], expect: exit == 1 },";
    // The verify never holds, so every attempt counts as failed, and each has written.
    let scripts = vec![wrote(Some("old"), "mid"), Script::Fail(ErrorClass::System), wrote(Some("mid"), "new")];
    let (played, _) = restored(scripts, verify, &["old", "mid"]).await;
    let text = format!("restore /f as it was before (sha256 {}…, 3 bytes)", &sha256("old")[..8]);
    assert_eq!(played.seen(), [text]);
    let started = played.records.iter().find_map(|record| match &record.event {
        Event::AttemptStarted { act, .. } => Some(act.clone()),
        _ => None,
    });
    let only_if = &started.unwrap().more[0];
    assert!(only_if.text.contains(&sha256("new")), "{only_if:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_restored_to_the_byte_remains_and_says_why() {
    let rows: [(Vec<Script>, &[&str], &str); 3] = [
        (vec![wrote(Some("old"), "new")], &[], "were not kept"),
        (vec![Script::Unknown], &["old"], "was not seen"),
        (
            vec![Script::ok(json!({ "changed": true, "file": "/f", "created": false }))],
            &["old"],
            "does not say what `after_sha256` was",
        ),
    ];
    for (scripts, kept, words) in rows {
        let (played, open) = restored(scripts, "", kept).await;
        assert!(played.seen().is_empty());
        assert!(open[0].starts_with("put: Put (") && open[0].contains(words), "{open:?}");
        assert_eq!(played.result(), RunResult::NotResolved);
    }
}
