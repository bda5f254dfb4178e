//! Files: `edit` and `write`.

use crate::action::outcome::failed;
use crate::engine::{AttemptContext, Performed};
use crate::event::ErrorClass;
use crate::plan::Act;

/// Refuses: nothing here changes files.
#[expect(clippy::unused_async, reason = "the signature is the one of the part that changes files")]
pub(crate) async fn perform(act: Act, context: AttemptContext) -> Performed {
    drop((act, context));
    failed(ErrorClass::System, "this build cannot change files")
}

/// Refuses: nothing here changes files.
///
/// # Errors
/// Always.
pub(crate) fn preview(act: &Act) -> Result<Option<String>, String> {
    let _ = act;
    Err("this build cannot change files".to_owned())
}
