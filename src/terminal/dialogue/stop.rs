//! The question of the first Ctrl-C.

use super::{Dialogue, Stop, Turn};
use crate::engine::Answer;

impl Dialogue<'_> {
    /// Enter alone suspends, and so does the end of input: both leave everything as it is.
    pub(super) fn stop(&mut self, mut text: Vec<String>, may_abort: bool) -> Result<Answer, Stop> {
        let label = if may_abort { "  Enter, a or c? " } else { "  Enter or c? " };
        loop {
            let word = match self.line(&text, label) {
                Ok(word) => word.trim().to_lowercase(),
                Err(Stop::End) => String::new(),
                Err(stop) => return Err(stop),
            };
            let turn = match word.as_str() {
                "" | "s" | "suspend" => return Ok(Answer::Suspend),
                "c" | "continue" => return Ok(Answer::GoOn),
                "a" | "abort" if !may_abort => Some(Turn::again("the run is ending already")),
                "e" | "evidence" | "l" | "later" => None,
                other => self.common(other)?,
            };
            text = match turn {
                Some(Turn::Answer(answer)) => return Ok(answer),
                Some(Turn::Again(words)) => words,
                None => vec!["  Enter alone suspends, a aborts, c continues; ? explains".to_owned()],
            };
        }
    }
}
