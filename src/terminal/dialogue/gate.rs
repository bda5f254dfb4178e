//! Gates.

use super::{Dialogue, Stop, Turn};
use crate::engine::Answer;
use crate::event::{CardView, GateRequirement};

/// Wrong texts for a typed gate before it counts as a no.
const TRIES: u32 = 3;

impl Dialogue<'_> {
    pub(super) fn gate(&mut self, mut text: Vec<String>, card: &CardView, may_skip: bool) -> Result<Answer, Stop> {
        // Where signatures are counted, nothing that is typed here passes the gate.
        let requires = if card.terms.approvals.is_some() { &GateRequirement::Confirm } else { &card.requires };
        let label = match requires {
            _ if card.terms.approvals.is_some() => "  signatures, or an answer: ".to_owned(),
            GateRequirement::Confirm => "  go on? ".to_owned(),
            GateRequirement::Type { what, .. } => format!("  {}: ", (self.face.clean)(what)),
        };
        let mut wrong = 0;
        loop {
            let typed = self.line(&text, &label)?;
            text = match self.gate_turn(typed.trim(), requires, may_skip)? {
                Some(Turn::Answer(answer)) => return Ok(answer),
                Some(Turn::Again(words)) => words,
                None if *requires == GateRequirement::Confirm => {
                    vec!["  not understood: y goes on, n does not, ? explains".to_owned()]
                }
                None => {
                    wrong += 1;
                    if wrong == TRIES {
                        let reason = format!("{TRIES} times another text than the one to type");
                        self.paper.close(&[format!("  ({reason}: taken as no)")]);
                        return Ok(Answer::Decline { reason: Some(reason) });
                    }
                    vec![format!("  that is not it ({wrong} of {TRIES}); it is the text exactly as the card has it")]
                }
            };
        }
    }

    /// What a line means at a gate; nothing when it means nothing.
    fn gate_turn(&mut self, typed: &str, requires: &GateRequirement, may_skip: bool) -> Result<Option<Turn>, Stop> {
        // The text to type goes first: a target may be named as one of the letters. An empty one is never typed.
        if let GateRequirement::Type { text, .. } = requires
            && !typed.is_empty()
            && text.trim() == typed
        {
            return Ok(Some(Turn::Answer(Answer::Approve)));
        }
        Ok(match typed.to_lowercase().as_str() {
            "y" | "yes" if *requires == GateRequirement::Confirm => Some(Turn::Answer(Answer::Approve)),
            "n" | "no" => {
                let reason = self.sentence("  no; why? (Enter for no reason) ")?;
                Some(Turn::Answer(Answer::Decline { reason }))
            }
            "s" | "skip" => Some(self.skip(may_skip)?),
            word => self.common(word)?,
        })
    }
}
