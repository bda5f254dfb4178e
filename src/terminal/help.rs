//! What `?` explains.

use crate::engine::PromptKind;
use crate::event::GateRequirement;

const NOTE: &str = "t  note: a sentence for the record; this stays open";
const MARK: &str = "m  mark: detected, declared, mitigated or resolved, at this moment; this stays open";
const LATER: &str = "l  later: leave the run as it is, parked; nothing is undone";
const ABORT: &str = "a  abort: end the run for good";

/// The answers a prompt takes, one a line.
pub(crate) fn help(kind: &PromptKind) -> Vec<String> {
    let lines = match kind {
        PromptKind::Gate { card, may_skip, .. } => {
            let go = match card.requires {
                _ if card.terms.approvals.is_some() => {
                    "nothing typed here passes it: it counts signatures (runwright approve RUN STEP --sign KEY)"
                }
                GateRequirement::Confirm => "y  go on: exactly the act on the card is performed",
                GateRequirement::Type { .. } => "the text  go on: exactly the act on the card is performed",
            };
            let mut lines = vec![go, "n  no: the step is declined, and what needs it does not run"];
            if *may_skip {
                lines.push("s  skip: leave this step out and go on; recorded as a deviation");
            }
            lines.extend([
                "e  evidence: every value, item and line behind the card",
                "c  copy: the act alone, without the box",
            ]);
            lines.extend([NOTE, MARK, LATER, ABORT, "Enter alone shows this again; Ctrl-D is no"]);
            lines
        }
        PromptKind::Decide { .. } => {
            vec!["a number or a name chooses an option", "e  evidence: every value in full", NOTE, MARK, LATER, ABORT]
        }
        PromptKind::When { .. } => vec!["y  perform the step; n  leave it out", NOTE, MARK, LATER, ABORT],
        PromptKind::Interactive { .. } => vec![
            "y  start: the program gets this terminal until it ends; nothing of it is recorded",
            "n  no: the step is declined, and what needs it does not run",
            "s  skip: leave this step out, where that is allowed",
            "c  copy: the command alone",
            NOTE,
            MARK,
            LATER,
            ABORT,
        ],
        PromptKind::HandOver { .. } => Vec::new(),
        PromptKind::Settle { .. } => vec![
            "d  done: the target shows that the change was made",
            "f  not done, and it is not tried again: the step counts as failed",
            "r  retry: it was not done, or may be done twice; its gate opens again",
            NOTE,
            MARK,
            LATER,
            ABORT,
        ],
        PromptKind::Outlived { .. } => vec![
            "w  wait: they go on; this ends when they do",
            "e  end them: TERM, and KILL after a while",
            NOTE,
            LATER,
            ABORT,
        ],
        PromptKind::Stop { .. } => vec![
            "Enter alone suspends: the run can be resumed, nothing is undone",
            "a  abort: end the run for good",
            "c  continue as if nothing had happened",
        ],
        PromptKind::Manual { .. } => vec![
            "d  done: it worked; you can paste what you saw",
            "f  failed: it did not work",
            "s  skip: leave this step out, where that is allowed",
            NOTE,
            MARK,
            LATER,
            ABORT,
        ],
        PromptKind::Ask { .. } => vec![
            "Enter alone takes what stands in brackets",
            "!note TEXT  a sentence for the record; !! begins a text with one !",
            "!mark WORD  detected, declared, mitigated or resolved, at this moment, perhaps with a text",
            "!later  leave the run as it is, parked; nothing is undone",
            "!abort  end the run for good",
            "!help   this",
        ],
    };
    lines.into_iter().map(|line| format!("  {line}")).collect()
}
