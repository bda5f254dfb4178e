//! One run at a time changes what stands at a place.

use super::Scripted;
use crate::engine::RunState;
use crate::event::{Outcome, RunResult};

const STEPS: &str = "
steps:
  - { id: look, diagnose: Look, run: [look] }
  - { id: act, remediate: Act, run: [act], risk: low }
  - { id: later, diagnose: Later, run: [later] }
finally:
  - { id: tidy, diagnose: Tidy, run: [tidy] }
";

#[tokio::test(start_paused = true)]
async fn what_another_run_has_is_not_changed() {
    let played = Scripted::new(STEPS).held("`test` on this machine (0123)").yes_man().play().await;
    assert_eq!(played.seen(), ["look", "tidy"]);
    assert!(played.prompts.is_empty(), "no gate is opened for it");
    assert_eq!(played.outcome("act"), Some(Outcome::Failed));
    assert_eq!(played.reason("act"), "`test` on this machine (0123) is held by another run");
    let end = played.end.as_ref().expect("it ends");
    assert!(end.refused);
    assert_eq!(end.state, RunState::Ended(RunResult::Failed));
}

#[tokio::test(start_paused = true)]
async fn what_another_run_has_elsewhere_is_of_no_matter() {
    let played = Scripted::new(STEPS).held("`test` on this machine (4567)").yes_man().play().await;
    assert_eq!(played.seen(), ["look", "act", "later", "tidy"]);
    assert!(!played.end.expect("it ends").refused);
}
