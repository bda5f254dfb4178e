//! Performs and previews `edit`, `write`, and what takes them back.

use super::change::{FileChange, Rewrite, sha256};
use super::disk::Kept;
use super::problem::Problem;
use crate::engine::{AttemptContext, Cancel, Evidence, NoPreview, Performed, StoreError};
use crate::event::{ErrorClass, EvidenceRef, Outcome};
use crate::expr::Value;
use crate::plan::Act;
use indexmap::IndexMap;
use std::sync::Arc;

/// The preview of an act that changes nothing.
pub(super) const UNCHANGED: &str = "no change";

/// Performs a change of a file on this machine. The old bytes and the diff are kept, synced, before the file is touched.
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

/// What a change of a file would change: a unified diff with secrets masked, or `no change`; nothing for other acts.
///
/// # Errors
/// One line: the file cannot be read or parsed, or would not be changed safely.
pub(crate) fn preview(act: &Act) -> Result<Option<String>, NoPreview> {
    if !act.is_file() {
        return Ok(None);
    }
    let change = FileChange::of(act).map_err(|problem| NoPreview { class: problem.class, message: problem.message })?;
    Ok(Some(if change.is_settled() { UNCHANGED.to_owned() } else { change.rewrite.diff }))
}

fn run(act: &Act, evidence: &dyn Evidence, cancel: &Cancel) -> Performed {
    let change = match FileChange::of(act) {
        Ok(change) => change,
        Err(problem) => return failed(evidence, &problem, Vec::new()),
    };
    if change.is_settled() {
        return finished(Outcome::Succeeded, &change.rewrite, change.before(), Vec::new());
    }
    let (rewrite, before) = (&change.rewrite, change.before());
    let kept = match keep(evidence, rewrite, before) {
        Ok(kept) => kept,
        Err(error) => {
            let message =
                format!("{} was not touched, because its old content could not be kept: {error}", rewrite.file);
            return failed(evidence, &Problem::new(ErrorClass::System, message), Vec::new());
        }
    };
    if cancel.is_cancelled() {
        let message = format!("stopped before {} was touched", rewrite.file);
        return Performed { evidence: kept, ..ended(Outcome::Cancelled, ErrorClass::Cancelled, message) };
    }
    match change.make() {
        Ok(Kept::Durable) => finished(Outcome::Succeeded, rewrite, before, kept),
        Ok(Kept::Unproven) => {
            let done = if rewrite.after.is_some() { "replaced" } else { "removed" };
            let message = format!("{} was {done}, but its folder could not be synced", rewrite.file);
            Performed {
                error: Some(ErrorClass::System),
                message: Some(message),
                ..finished(Outcome::Unknown, rewrite, before, kept)
            }
        }
        Err(problem) => failed(evidence, &problem, kept),
    }
}

/// Keeps the exact old bytes (for undo) and the diff.
pub(super) fn keep(
    evidence: &dyn Evidence,
    rewrite: &Rewrite,
    before: Option<&[u8]>,
) -> Result<Vec<EvidenceRef>, StoreError> {
    let mut kept = Vec::new();
    let mut streams = vec![("diff", rewrite.diff.as_bytes())];
    if let Some(before) = before {
        streams.insert(0, ("before", before));
    }
    for (stream, bytes) in streams {
        let mut writer = evidence.begin(stream)?;
        writer.write(bytes)?;
        kept.push(writer.finish()?.0);
    }
    Ok(kept)
}

/// The report of a file that says now what it shall, with its result fields.
pub(super) fn finished(
    outcome: Outcome,
    rewrite: &Rewrite,
    old: Option<&[u8]>,
    evidence: Vec<EvidenceRef>,
) -> Performed {
    let after = rewrite.after.as_deref();
    let digest = |bytes: Option<&[u8]>| bytes.map_or_else(|| Value::from(()), |bytes| Value::from(sha256(bytes)));
    let fields = IndexMap::from([
        ("changed".to_owned(), Value::from(old != after)),
        ("created".to_owned(), Value::from(old.is_none() && after.is_some())),
        ("file".to_owned(), Value::from(rewrite.file.clone())),
        ("before_sha256".to_owned(), digest(old)),
        ("after_sha256".to_owned(), digest(after)),
        ("diff".to_owned(), Value::from(rewrite.diff.clone())),
    ]);
    Performed { outcome, error: None, message: None, fields, evidence, left: Vec::new() }
}

/// The report of a file that was left as it is.
pub(super) fn failed(evidence: &dyn Evidence, problem: &Problem, kept: Vec<EvidenceRef>) -> Performed {
    let message = evidence.mask(&problem.message);
    Performed { evidence: kept, ..ended(Outcome::Failed, problem.class.clone(), message) }
}

/// A report without result fields; the message must be masked already.
pub(super) fn ended(outcome: Outcome, error: ErrorClass, message: String) -> Performed {
    Performed {
        outcome,
        error: Some(error),
        message: Some(message),
        fields: IndexMap::new(),
        evidence: Vec::new(),
        left: Vec::new(),
    }
}
