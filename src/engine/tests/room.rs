//! A disk that has room for what is on record and for nothing more.

use super::Scripted;
use crate::engine::StoreError;
use crate::event::{Event, Outcome};

const STEPS: &str = "
steps:
  - { id: hold_back, remediate: Hold back, run: [hold], risk: low, temporary: true, undo: { run: [let-go] } }
  - { id: act, remediate: Act, run: [act], risk: low }
  - { id: later, diagnose: Later, run: [later] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
";

#[tokio::test(start_paused = true)]
async fn no_change_starts_without_room_for_its_record() {
    let played = Scripted::new(STEPS).room_for(1).yes_man().play().await;
    assert_eq!(played.seen(), ["hold"], "neither the change, nor what would take one back, nor `finally`");
    assert!(matches!(played.end, Err(StoreError::Full { .. })), "{:?}", played.end.is_ok());
    assert_eq!(played.outcome("act"), None);
    let starts = played.records.iter().filter(|record| matches!(record.event, Event::AttemptStarted { .. })).count();
    assert_eq!(starts, 1, "what did not start is not on record");
    let last = &played.records.last().expect("a record").event;
    assert!(matches!(last, Event::RunSuspended { reason } if reason.contains("bytes are left")), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn reads_go_on_while_no_change_is_due() {
    let reads = "steps:\n  - { id: look, diagnose: Look, run: [look] }\n";
    let played = Scripted::new(reads).room_for(0).play().await;
    assert_eq!(played.outcome("look"), Some(Outcome::Succeeded));
    assert!(played.end.is_ok());
}
