//! Performs and previews `edit` and `write`.

use super::change::{FileChange, sha256};
use super::disk::Kept;
use super::problem::Problem;
use crate::engine::{AttemptContext, Cancel, Evidence, Performed, StoreError};
use crate::event::{ErrorClass, EvidenceRef, Outcome};
use crate::expr::Value;
use crate::plan::Act;
use indexmap::IndexMap;
use std::sync::Arc;

/// Performs an `edit` or `write`. The old bytes and the diff are kept, synced, before the file is touched.
///
/// `Failed` means that the file is as it was. `Unknown` means that it was replaced and the disk did not confirm it, or that
/// the end was not seen within the time.
pub(crate) async fn perform(act: Act, context: AttemptContext) -> Performed {
    let AttemptContext { evidence, cancel, timeout, .. } = context;
    let keeper = Arc::clone(&evidence);
    let stop = cancel.child_token();
    let inner = stop.clone();
    // A disk may hang; the thread then outlives the attempt, and whether it still replaces the file is not known.
    let work = tokio::task::spawn_blocking(move || run(&act, keeper.as_ref(), &inner));
    match tokio::time::timeout(timeout, work).await {
        Ok(Ok(performed)) => performed,
        Ok(Err(error)) => ended(Outcome::Unknown, ErrorClass::System, evidence.mask(&error.to_string())),
        Err(_) => {
            // A thread that has not come to the replacement yet stops there.
            stop.cancel();
            let message = "the file system did not answer in time; look whether the file was changed".to_owned();
            ended(Outcome::Unknown, ErrorClass::Timeout, message)
        }
    }
}

/// What an `edit` or `write` would change: a unified diff with secrets masked, or `no change`; nothing for other acts.
///
/// # Errors
/// One line: the file cannot be read or parsed, or would not be changed safely.
pub(crate) fn preview(act: &Act) -> Result<Option<String>, String> {
    if !matches!(act, Act::Edit(_) | Act::Write(_)) {
        return Ok(None);
    }
    let change = FileChange::of(act).map_err(|problem| problem.message)?;
    Ok(Some(if change.is_settled() { "no change".to_owned() } else { change.diff }))
}

fn run(act: &Act, evidence: &dyn Evidence, cancel: &Cancel) -> Performed {
    let change = match FileChange::of(act) {
        Ok(change) => change,
        Err(problem) => return failed(evidence, &problem, Vec::new()),
    };
    if change.is_settled() {
        return finished(Outcome::Succeeded, &change, Vec::new());
    }
    let kept = match keep(evidence, &change) {
        Ok(kept) => kept,
        Err(error) => {
            let message =
                format!("{} was not touched, because its old content could not be kept: {error}", change.file);
            return failed(evidence, &Problem::new(ErrorClass::System, message), Vec::new());
        }
    };
    if cancel.is_cancelled() {
        let message = format!("stopped before {} was touched", change.file);
        return Performed { evidence: kept, ..ended(Outcome::Cancelled, ErrorClass::Cancelled, message) };
    }
    match change.make() {
        Ok(Kept::Durable) => finished(Outcome::Succeeded, &change, kept),
        Ok(Kept::Unproven) => {
            let message = format!("{} was replaced, but its folder could not be synced", change.file);
            Performed {
                error: Some(ErrorClass::System),
                message: Some(message),
                ..finished(Outcome::Unknown, &change, kept)
            }
        }
        Err(problem) => failed(evidence, &problem, kept),
    }
}

/// Keeps the exact old bytes (for undo) and the diff.
fn keep(evidence: &dyn Evidence, change: &FileChange) -> Result<Vec<EvidenceRef>, StoreError> {
    let mut kept = Vec::new();
    let mut streams = vec![("diff", change.diff.as_bytes())];
    if let Some(before) = change.before() {
        streams.insert(0, ("before", before));
    }
    for (stream, bytes) in streams {
        let mut writer = evidence.begin(stream)?;
        writer.write(bytes)?;
        kept.push(writer.finish()?.0);
    }
    Ok(kept)
}

fn finished(outcome: Outcome, change: &FileChange, evidence: Vec<EvidenceRef>) -> Performed {
    let changed = !change.is_settled();
    let before = change.before().map_or_else(|| Value::from(()), |bytes| Value::from(sha256(bytes)));
    let fields = IndexMap::from([
        ("changed".to_owned(), Value::from(changed)),
        ("created".to_owned(), Value::from(change.before().is_none())),
        ("file".to_owned(), Value::from(change.file.clone())),
        ("before_sha256".to_owned(), before),
        ("after_sha256".to_owned(), Value::from(sha256(&change.after))),
        ("diff".to_owned(), Value::from(change.diff.clone())),
    ]);
    Performed { outcome, error: None, message: None, fields, evidence, left: Vec::new() }
}

fn failed(evidence: &dyn Evidence, problem: &Problem, kept: Vec<EvidenceRef>) -> Performed {
    let message = evidence.mask(&problem.message);
    Performed { evidence: kept, ..ended(Outcome::Failed, problem.class.clone(), message) }
}

fn ended(outcome: Outcome, error: ErrorClass, message: String) -> Performed {
    Performed {
        outcome,
        error: Some(error),
        message: Some(message),
        fields: IndexMap::new(),
        evidence: Vec::new(),
        left: Vec::new(),
    }
}
