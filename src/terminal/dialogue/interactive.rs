//! Programs that get the terminal.

use super::{Dialogue, Settled, Stop, Turn};
use crate::engine::{Answer, HandedOver};
use crate::plan::CommandAct;

impl Dialogue<'_> {
    /// Whether the program is started.
    pub(super) fn interactive(&mut self, mut text: Vec<String>, may_skip: bool) -> Result<Answer, Stop> {
        loop {
            let word = self.line(&text, "  start it? ")?.trim().to_lowercase();
            let turn = match word.as_str() {
                "y" | "yes" => return Ok(Answer::Approve),
                "n" | "no" => {
                    let reason = self.sentence("  no; why? (Enter for no reason) ")?;
                    return Ok(Answer::Decline { reason });
                }
                "s" | "skip" => Some(self.skip(may_skip)?),
                other => self.common(other)?,
            };
            text = match turn {
                Some(Turn::Answer(answer)) => return Ok(answer),
                Some(Turn::Again(words)) => words,
                None => vec!["  y or n is needed; ? explains".to_owned()],
            };
        }
    }

    /// Gives the terminal away until the program has ended. Lines of the run are held back meanwhile.
    pub(super) fn hand_over(&mut self, act: &CommandAct, marker: &str) -> Settled {
        self.paper.open(&["  (the terminal is yours; nothing of it is recorded)".to_owned()], "");
        self.paper.entered();
        let loan = self.lines.lend();
        let mut reason = None;
        let over = (self.face.lend)(act, marker, &mut || {
            if reason.is_none() {
                reason = (self.taken_back)();
            }
            reason.is_some()
        });
        drop(loan);
        // The program may have left the cursor in the middle of a line.
        self.paper
            .close(&[String::new(), format!("  ({}; the terminal is ours again)", (self.face.clean)(&ended(&over)))]);
        match reason {
            Some(_) => Settled::TakenBack,
            None => Settled::Answer(Answer::HandedOver(over)),
        }
    }
}

/// How the program ended, in words.
fn ended(over: &HandedOver) -> String {
    let how = match (&over.not_started, over.exit, over.signal) {
        (Some((_, why)), ..) => format!("not started: {why}"),
        (None, Some(code), _) => format!("ended with exit code {code}"),
        (None, None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None, None) => "its end was not seen".to_owned(),
    };
    if over.left.is_empty() { how } else { format!("{how}; still running, and ended: {}", over.left.join(", ")) }
}
