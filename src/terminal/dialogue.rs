//! One prompt from its first line to its answer.
//!
//! No way out of a dialogue is a yes but the words that say yes: Enter alone repeats, the end of input is a no (or leaves
//! the question open where there is no "no"), and a terminal that is gone is told as such.

mod choice;
mod gate;
mod interactive;
mod manual;
mod outlived;
mod questions;
mod settle;
mod stop;

use super::desk::Face;
use super::help::help;
use super::lines::{Lines, Typed};
use super::paper::Paper;
use crate::engine::{Answer, Prompt, PromptKind, Said};
use crate::event::Mark;

/// How a dialogue ended.
pub(crate) enum Settled {
    Answer(Answer),
    /// It was settled elsewhere, or the run is over.
    TakenBack,
}

/// Why no line came.
enum Stop {
    /// End of input: Ctrl-D.
    End,
    Gone,
    TakenBack(String),
}

/// What a line led to.
enum Turn {
    /// The prompt is answered.
    Answer(Answer),
    /// These lines, and another try.
    Again(Vec<String>),
}

impl Turn {
    fn again(line: &str) -> Self {
        Self::Again(vec![format!("  {line}")])
    }
}

/// One prompt being answered.
pub(crate) struct Dialogue<'a> {
    pub(crate) lines: &'a mut Lines,
    pub(crate) paper: &'a Paper,
    pub(crate) face: &'a Face,
    pub(crate) prompt: &'a Prompt,
    /// Says how the prompt was settled elsewhere, once it was.
    pub(crate) taken_back: &'a mut dyn FnMut() -> Option<String>,
    /// Hands a note or a mark on; the prompt stays open.
    pub(crate) say: &'a mut dyn FnMut(Said),
}

impl Dialogue<'_> {
    /// Shows the prompt and talks until it is settled.
    pub(crate) fn hold(&mut self, refused: Option<&str>, behind: usize) -> Settled {
        if let PromptKind::HandOver { act, marker } = &self.prompt.kind {
            return self.hand_over(act, marker);
        }
        let mut text = (self.face.prompt)(self.prompt);
        if behind > 0 {
            text.push(format!("  ({behind} more to answer after this one)"));
        }
        if let Some(why) = refused {
            text.push(format!("  not accepted: {}", (self.face.clean)(why)));
        }
        let prompt = self.prompt;
        let talk = match &prompt.kind {
            PromptKind::Gate { card, may_skip, .. } => self.gate(text, card, *may_skip),
            PromptKind::Decide { options, .. } => self.decide(text, options),
            PromptKind::When { .. } => self.when(text),
            PromptKind::Ask { questions } => self.questions(text, questions),
            PromptKind::Interactive { may_skip, .. } => self.interactive(text, *may_skip),
            // Nothing is asked; it was seen to above.
            PromptKind::HandOver { .. } => Err(Stop::Gone),
            PromptKind::Settle { .. } => self.settle(text),
            PromptKind::Outlived { .. } => self.outlived(text),
            PromptKind::Stop { may_abort, .. } => self.stop(text, *may_abort),
            PromptKind::Manual { may_skip, .. } => self.manual(text, *may_skip),
        };
        let is_gate = matches!(prompt.kind, PromptKind::Gate { .. });
        let (settled, words) = match talk {
            Ok(answer) => (Settled::Answer(answer), None),
            Err(Stop::Gone) => (Settled::Answer(Answer::Gone), None),
            Err(Stop::End) if is_gate => {
                let reason = Some("end of input".to_owned());
                (Settled::Answer(Answer::Decline { reason }), Some("end of input: taken as no".to_owned()))
            }
            Err(Stop::End) => (Settled::Answer(Answer::Gone), Some("end of input: left open".to_owned())),
            Err(Stop::TakenBack(why)) => {
                (Settled::TakenBack, Some(format!("closed here: {}", (self.face.clean)(&why))))
            }
        };
        let words: Vec<String> = words.into_iter().map(|words| format!("  ({words})")).collect();
        self.paper.close(&words);
        settled
    }

    /// Prints a text and waits for a line under it. What was typed before does not count.
    fn line(&mut self, text: &[String], label: &str) -> Result<String, Stop> {
        self.lines.discard();
        self.paper.open(text, label);
        self.next_line()
    }

    /// Waits for one more line, keeping what was typed: for text that is pasted.
    fn next_line(&mut self) -> Result<String, Stop> {
        loop {
            if let Some(why) = (self.taken_back)() {
                return Err(Stop::TakenBack(why));
            }
            match self.lines.read() {
                Typed::Line(line) => {
                    self.paper.entered();
                    return Ok(line);
                }
                Typed::End => return Err(Stop::End),
                Typed::Gone => return Err(Stop::Gone),
                Typed::Called => {}
                Typed::Front => self.paper.repeat(),
            }
        }
    }

    /// A sentence that is needed; nothing when the person changes their mind with Enter alone or Ctrl-D.
    fn sentence(&mut self, label: &str) -> Result<Option<String>, Stop> {
        match self.line(&[], label) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            Err(Stop::End) => {
                self.paper.close(&[]);
                Ok(None)
            }
            Err(stop) => Err(stop),
        }
    }

    /// The words that every prompt understands; nothing for other words.
    fn common(&mut self, word: &str) -> Result<Option<Turn>, Stop> {
        Ok(Some(match word {
            "" => {
                self.paper.release();
                Turn::Again((self.face.prompt)(self.prompt))
            }
            "e" | "evidence" => Turn::Again((self.face.evidence)(self.prompt)),
            "c" | "copy" => Turn::Again((self.face.act)(self.prompt)),
            "?" | "h" | "help" => Turn::Again(help(&self.prompt.kind)),
            "l" | "later" => Turn::Answer(Answer::Suspend),
            "a" | "abort" => match self.sentence("  the run ends for good; why? ")? {
                Some(reason) => Turn::Answer(Answer::Abort { reason }),
                None => Turn::again("not ended: a reason is needed"),
            },
            "t" | "note" => match self.sentence("  note: ")? {
                Some(text) => self.noted(text),
                None => Turn::again("nothing was noted"),
            },
            "m" | "mark" => {
                match self.sentence("  mark (detected, declared, mitigated, resolved), and a word about it: ")? {
                    Some(text) => self.marked(&text),
                    None => Turn::again("nothing was marked"),
                }
            }
            _ => return Ok(None),
        }))
    }

    fn noted(&mut self, text: String) -> Turn {
        (self.say)(Said::Note { text });
        Turn::again("noted")
    }

    /// A mark, with what is said about it: `mitigated traffic is at zone b`. It is for this moment; `runwright mark`
    /// takes an earlier one.
    fn marked(&mut self, typed: &str) -> Turn {
        let (word, text) = typed.trim().split_once(char::is_whitespace).unwrap_or((typed.trim(), ""));
        match word.to_lowercase().parse::<Mark>() {
            Ok(mark) => {
                let text = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
                (self.say)(Said::Mark { mark, at: None, text });
                Turn::again(&format!("marked {mark}"))
            }
            Err(error) => Turn::again(&format!("nothing was marked: {}", (self.face.clean)(&error.to_string()))),
        }
    }

    fn skip(&mut self, may_skip: bool) -> Result<Turn, Stop> {
        if !may_skip {
            return Ok(Turn::again("this step cannot be skipped"));
        }
        Ok(match self.sentence("  skip this step, recorded as a deviation; why? ")? {
            Some(reason) => Turn::Answer(Answer::Skip { reason }),
            None => Turn::again("not skipped: a reason is needed"),
        })
    }
}
