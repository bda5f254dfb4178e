//! That another process took a run up, in words.

use super::words;
use crate::event::{Record, Resumption};
use jiff::Timestamp;

/// The facts of a resumption, the first one as a whole sentence's beginning: `by bo (os user) on host2, after 2 h 14 min`.
/// `left` is when the process before did something last.
pub(crate) fn facts(record: &Record, resumption: &Resumption, left: Option<Timestamp>) -> Vec<String> {
    let gap = left.map(|left| format!(" after {}", words::span(words::between(left, record.time)))).unwrap_or_default();
    let mut out = vec![format!("by {} on {}{gap}", words::operator(&resumption.operator), resumption.host)];
    if let Some(host) = &resumption.moved_from {
        out.push(format!("moved here from {host}: approvals that were not used are void"));
    }
    if let Some(reason) = &resumption.reason {
        out.push(format!("taken over: {reason}"));
    }
    if let Some(bytes) = resumption.torn {
        out.push(format!("{bytes} bytes of a torn last line dropped"));
    }
    if !resumption.leftovers.is_empty() {
        let kept: Vec<String> =
            resumption.leftovers.iter().map(|kept| format!("{} ({} bytes)", kept.stream, kept.size)).collect();
        out.push(format!("output that was still coming is kept: {}", kept.join(", ")));
    }
    if let Some(runbook) = &resumption.runbook {
        let digest = runbook.digest.get(..8).unwrap_or(&runbook.digest);
        out.push(format!("goes on with another text of the runbook, {} (SHA-256 {digest})", runbook.file));
    }
    if let Some(folder) = &resumption.folder {
        out.push(format!("works in {folder}"));
    }
    if let Some(library) = &resumption.library {
        out.push(format!("library {library}"));
    }
    if resumption.refresh {
        out.push("reads are performed again".to_owned());
    }
    out
}
