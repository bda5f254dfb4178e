//! Processes of a change that have outlived the process which had the run.

use super::{Dialogue, Stop, Turn};
use crate::engine::Answer;

impl Dialogue<'_> {
    pub(super) fn outlived(&mut self, mut text: Vec<String>) -> Result<Answer, Stop> {
        loop {
            let word = self.line(&text, "  wait or end them? ")?.trim().to_lowercase();
            let turn = match word.as_str() {
                "w" | "wait" => return Ok(Answer::Perform(true)),
                "e" | "end" => return Ok(Answer::Perform(false)),
                other => self.common(other)?,
            };
            text = match turn {
                Some(Turn::Answer(answer)) => return Ok(answer),
                Some(Turn::Again(words)) => words,
                None => vec!["  w or e is needed; ? explains".to_owned()],
            };
        }
    }
}
