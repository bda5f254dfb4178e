//! A failure of the run or the machine, in the shape of the problems of a document.

use super::layout::{labelled, prose, table};
use super::style::{Style, Tone};

/// A failure as it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Its stable name, in kebab case: `target-identity`.
    pub code: String,
    /// One sentence without a full stop.
    pub message: String,
    /// Names and texts: `expected`, `found`.
    pub facts: Vec<(String, String)>,
    /// Sentences about what it means.
    pub notes: Vec<String>,
    /// Where in the runbook: `runbooks/x.yaml:38:7`.
    pub location: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// The failure as lines.
#[must_use]
pub fn problem(problem: &Problem, style: &Style) -> Vec<String> {
    let head = format!("error[{}]:", style.text(&problem.code));
    let mut out = labelled(style, 0, &head, " ", &style.text(&problem.message));
    if let Some(first) = out.first_mut() {
        *first = first.replacen(&head, &style.paint(Tone::Bad, &head), 1);
    }
    let rows: Vec<_> = problem.facts.iter().map(|(name, text)| (style.text(name), style.text(text))).collect();
    out.extend(table(style, 2, &rows));
    for note in &problem.notes {
        out.extend(prose(style, 2, &style.text(note)));
    }
    if let Some(location) = &problem.location {
        out.push(format!("  --> {}", style.text(location)));
    }
    if let Some(hint) = &problem.hint {
        out.extend(hinted(style, hint));
    }
    out
}

/// A hint; a command at its end stands on a line of its own, unbroken, so that it can be pasted.
fn hinted(style: &Style, hint: &str) -> Vec<String> {
    let Some((words, command)) = hint.rsplit_once(": runwright ").filter(|(_, command)| !command.contains("; ")) else {
        return labelled(style, 0, "hint:", " ", &style.text(hint));
    };
    let mut out = labelled(style, 0, "hint:", " ", &style.text(&format!("{words}:")));
    out.push(format!("  runwright {}", style.text(command)));
    out
}
