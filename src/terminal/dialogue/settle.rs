//! What became of a change whose end was not seen.

use super::{Dialogue, Stop, Turn};
use crate::engine::Answer;
use crate::event::Settlement;

impl Dialogue<'_> {
    pub(super) fn settle(&mut self, mut text: Vec<String>) -> Result<Answer, Stop> {
        loop {
            let word = self.line(&text, "  what became of it? ")?.trim().to_lowercase();
            let settlement = match word.as_str() {
                "d" | "done" => Some(Settlement::Done),
                "f" | "not done" | "not_done" => Some(Settlement::NotDone),
                "r" | "retry" => Some(Settlement::Retry),
                _ => None,
            };
            let turn = match settlement {
                Some(settlement) => Some(match self.sentence("  how do you know? ")? {
                    Some(reason) => Turn::Answer(Answer::Settled { settlement, reason }),
                    None => Turn::again("nothing was recorded: a reason is needed"),
                }),
                None => self.common(&word)?,
            };
            text = match turn {
                Some(Turn::Answer(answer)) => return Ok(answer),
                Some(Turn::Again(words)) => words,
                None => vec!["  d, f or r is needed; ? explains".to_owned()],
            };
        }
    }
}
