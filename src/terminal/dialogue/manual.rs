//! Work done by hand.

use super::{Dialogue, Stop, Turn};
use crate::engine::Answer;

/// Bytes of pasted evidence that are taken.
const EVIDENCE: usize = 1024 * 1024;

impl Dialogue<'_> {
    pub(super) fn manual(&mut self, mut text: Vec<String>, may_skip: bool) -> Result<Answer, Stop> {
        loop {
            let word = self.line(&text, "  how did it go? ")?.trim().to_lowercase();
            let turn = match word.as_str() {
                "d" | "done" => Some(self.done()?),
                "f" | "failed" => Some(match self.sentence("  what went wrong? ")? {
                    Some(reason) => Turn::Answer(Answer::NotDone { reason }),
                    None => Turn::again("nothing was recorded: a reason is needed"),
                }),
                "s" | "skip" => Some(self.skip(may_skip)?),
                other => self.common(other)?,
            };
            text = match turn {
                Some(Turn::Answer(answer)) => return Ok(answer),
                Some(Turn::Again(words)) => words,
                None => vec!["  d, f or s is needed; ? explains".to_owned()],
            };
        }
    }

    /// Pasted text up to a line with a single dot; nothing for Enter alone.
    fn done(&mut self) -> Result<Turn, Stop> {
        let ask = "  what did you see? paste it and end with a line of a single dot; Enter alone for nothing";
        let mut line = match self.line(&[ask.to_owned()], "  > ") {
            Ok(line) if line.trim().is_empty() => return Ok(Turn::Answer(Answer::Done { evidence: None })),
            Ok(line) => line,
            Err(Stop::End) => {
                self.paper.close(&[]);
                return Ok(Turn::again("not recorded yet: d again to say done"));
            }
            Err(stop) => return Err(stop),
        };
        let mut text = String::new();
        while line != "." {
            if text.len() + line.len() < EVIDENCE {
                text.push_str(&line);
                text.push('\n');
            }
            line = match self.next_line() {
                Ok(line) => line,
                // Ctrl-D ends a paste as the dot does.
                Err(Stop::End) => break,
                Err(stop) => return Err(stop),
            };
        }
        Ok(Turn::Answer(Answer::Done { evidence: Some(text).filter(|text| !text.is_empty()) }))
    }
}
