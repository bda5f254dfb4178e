//! One prompt from its first line to its answer.
//!
//! No way out of a dialogue is a yes but the words that say yes: Enter alone repeats, the end of input is a no (or leaves
//! the question open where there is no "no"), and a terminal that is gone is told as such.

use super::desk::Face;
use super::form::{check, choose};
use super::lines::{Lines, Typed};
use super::paper::Paper;
use crate::engine::{Answer, Prompt, PromptKind, QuestionView};
use crate::event::{CardView, GateRequirement, OptionView};
use indexmap::IndexMap;

/// Wrong texts for a typed gate before it counts as a no.
const TRIES: u32 = 3;
/// Bytes of pasted evidence that are taken.
const EVIDENCE: usize = 1024 * 1024;

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

/// One prompt being answered.
pub(crate) struct Dialogue<'a> {
    pub(crate) lines: &'a mut Lines,
    pub(crate) paper: &'a Paper,
    pub(crate) face: &'a Face,
    pub(crate) prompt: &'a Prompt,
    /// Says how the prompt was settled elsewhere, once it was.
    pub(crate) taken_back: &'a mut dyn FnMut() -> Option<String>,
    /// Hands a note on; the prompt stays open.
    pub(crate) note: &'a mut dyn FnMut(String),
}

impl Dialogue<'_> {
    /// Shows the prompt and talks until it is settled.
    pub(crate) fn hold(&mut self, refused: Option<&str>, behind: usize) -> Settled {
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
            PromptKind::Manual { may_skip, .. } => self.manual(text, *may_skip),
        };
        let (settled, words) = match talk {
            Ok(answer) => (Settled::Answer(answer), Vec::new()),
            Err(Stop::Gone) => (Settled::Answer(Answer::Gone), Vec::new()),
            Err(Stop::End) => {
                let (answer, words) = match prompt.kind {
                    PromptKind::Gate { .. } => {
                        (Answer::Decline { reason: Some("end of input".to_owned()) }, "end of input: taken as no")
                    }
                    _ => (Answer::Gone, "end of input: left open"),
                };
                (Settled::Answer(answer), vec![format!("  ({words})")])
            }
            Err(Stop::TakenBack(why)) => {
                (Settled::TakenBack, vec![format!("  (closed here: {})", (self.face.clean)(&why))])
            }
        };
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

    /// The text to show before the next try after an answer that settles nothing.
    fn aside(&mut self, letter: &str, help: &[&str]) -> Result<Option<Vec<String>>, Stop> {
        Ok(Some(match letter {
            "" => {
                self.paper.release();
                (self.face.prompt)(self.prompt)
            }
            "e" | "evidence" => (self.face.evidence)(self.prompt),
            "c" | "copy" => (self.face.act)(self.prompt),
            "t" | "note" => match self.sentence("  note: ")? {
                Some(text) => {
                    (self.note)(text);
                    vec!["  noted".to_owned()]
                }
                None => vec!["  nothing was noted".to_owned()],
            },
            "?" | "h" | "help" => help.iter().map(|line| format!("  {line}")).collect(),
            _ => return Ok(None),
        }))
    }

    /// The answers that leave the run: for later, or for good. `None` for other letters.
    fn leaving(&mut self, letter: &str) -> Result<Option<Result<Answer, Vec<String>>>, Stop> {
        Ok(match letter {
            "l" | "later" => Some(Ok(Answer::Suspend)),
            "a" | "abort" => Some(match self.sentence("  the run ends for good; why? ")? {
                Some(reason) => Ok(Answer::Abort { reason }),
                None => Err(vec!["  not ended: a reason is needed".to_owned()]),
            }),
            _ => None,
        })
    }

    fn skipping(&mut self, may_skip: bool) -> Result<Result<Answer, Vec<String>>, Stop> {
        if !may_skip {
            return Ok(Err(vec!["  this step cannot be skipped".to_owned()]));
        }
        Ok(match self.sentence("  skip this step, recorded as a deviation; why? ")? {
            Some(reason) => Ok(Answer::Skip { reason }),
            None => Err(vec!["  not skipped: a reason is needed".to_owned()]),
        })
    }

    fn gate(&mut self, mut text: Vec<String>, card: &CardView, may_skip: bool) -> Result<Answer, Stop> {
        let wanted = match &card.requires {
            GateRequirement::Confirm => None,
            GateRequirement::Type { text, what } => Some((text.trim(), (self.face.clean)(what))),
        };
        let label = match &wanted {
            None => "  go on? ".to_owned(),
            Some((_, what)) => format!("  {what}: "),
        };
        let mut wrong = 0;
        loop {
            let typed = self.line(&text, &label)?;
            let typed = typed.trim();
            // The text itself goes first: a target may be named as one of the letters.
            if wanted.as_ref().is_some_and(|(name, _)| !name.is_empty() && *name == typed) {
                return Ok(Answer::Approve);
            }
            let letter = typed.to_lowercase();
            if wanted.is_none() && matches!(letter.as_str(), "y" | "yes") {
                return Ok(Answer::Approve);
            }
            if matches!(letter.as_str(), "n" | "no") {
                let reason = self.sentence("  no; why? (Enter for no reason) ")?;
                return Ok(Answer::Decline { reason });
            }
            let again = match letter.as_str() {
                "s" | "skip" => Some(self.skipping(may_skip)?),
                other => self.leaving(other)?,
            };
            text = match again {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(words)) => words,
                None => match self.aside(&letter, &gate_help(wanted.is_some(), may_skip))? {
                    Some(words) => words,
                    None if wanted.is_none() => vec!["  not understood: y goes on, n does not, ? explains".to_owned()],
                    None => {
                        wrong += 1;
                        if wrong == TRIES {
                            let reason = format!("{TRIES} times another text than the one to type");
                            self.paper.close(&[format!("  ({reason}: taken as no)")]);
                            return Ok(Answer::Decline { reason: Some(reason) });
                        }
                        vec![format!(
                            "  that is not it ({wrong} of {TRIES}); it is the text exactly as the card has it"
                        )]
                    }
                },
            };
        }
    }

    fn decide(&mut self, mut text: Vec<String>, options: &[OptionView]) -> Result<Answer, Stop> {
        let names: Vec<String> = options.iter().map(|option| option.name.clone()).collect();
        loop {
            let typed = self.line(&text, "  choose: ")?;
            let typed = typed.trim();
            let by_title = options.iter().find(|option| option.title.eq_ignore_ascii_case(typed) && !typed.is_empty());
            let chosen = by_title.map(|option| option.name.as_str()).or_else(|| choose(&names, typed).ok());
            if let Some(option) = chosen {
                let label = format!("  {}; why? (Enter for no reason) ", (self.face.clean)(option));
                let reason = self.sentence(&label)?;
                return Ok(Answer::Choose { option: option.to_owned(), reason });
            }
            let letter = typed.to_lowercase();
            text = match self.leaving(&letter)? {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(words)) => words,
                None => match self.aside(&letter, &DECIDE_HELP)? {
                    Some(words) => words,
                    None => vec![format!("  a number from 1 to {}, or a name, is needed", options.len())],
                },
            };
        }
    }

    fn when(&mut self, mut text: Vec<String>) -> Result<Answer, Stop> {
        loop {
            let letter = self.line(&text, "  perform it? ")?.trim().to_lowercase();
            text = match letter.as_str() {
                "y" | "yes" => return Ok(Answer::Perform(true)),
                "n" | "no" => return Ok(Answer::Perform(false)),
                other => match self.leaving(other)? {
                    Some(Ok(answer)) => return Ok(answer),
                    Some(Err(words)) => words,
                    None => match self.aside(other, &WHEN_HELP)? {
                        Some(words) => words,
                        None => vec!["  y or n is needed; ? explains".to_owned()],
                    },
                },
            };
        }
    }

    fn manual(&mut self, mut text: Vec<String>, may_skip: bool) -> Result<Answer, Stop> {
        loop {
            let letter = self.line(&text, "  how did it go? ")?.trim().to_lowercase();
            let again = match letter.as_str() {
                "d" | "done" => Some(self.evidence()?.map(|evidence| Answer::Done { evidence })),
                "f" | "failed" => Some(match self.sentence("  what went wrong? ")? {
                    Some(reason) => Ok(Answer::NotDone { reason }),
                    None => Err(vec!["  nothing was recorded: a reason is needed".to_owned()]),
                }),
                "s" | "skip" => Some(self.skipping(may_skip)?),
                other => self.leaving(other)?,
            };
            text = match again {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(words)) => words,
                None => match self.aside(&letter, &MANUAL_HELP)? {
                    Some(words) => words,
                    None => vec!["  d, f or s is needed; ? explains".to_owned()],
                },
            };
        }
    }

    /// Pasted text up to a line with a single dot; nothing for Enter alone.
    fn evidence(&mut self) -> Result<Result<Option<String>, Vec<String>>, Stop> {
        let ask =
            ["  what did you see? paste it and end with a line of a single dot; Enter alone for nothing".to_owned()];
        let mut line = match self.line(&ask, "  > ") {
            Ok(line) if line.trim().is_empty() => return Ok(Ok(None)),
            Ok(line) => line,
            Err(Stop::End) => {
                return Ok(Err(vec![String::new(), "  not recorded yet: d again to say done".to_owned()]));
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
        Ok(Ok(Some(text).filter(|text| !text.is_empty())))
    }

    fn questions(&mut self, text: Vec<String>, questions: &[QuestionView]) -> Result<Answer, Stop> {
        let mut values = IndexMap::new();
        let mut text = text;
        for (index, question) in questions.iter().enumerate() {
            text.extend(self.question_text(question, index + 1, questions.len()));
            match self.question(std::mem::take(&mut text), question)? {
                Ok(value) => values.insert(question.name.clone(), value),
                Err(leaving) => return Ok(leaving),
            };
        }
        Ok(Answer::Values(values))
    }

    fn question_text(&self, question: &QuestionView, number: usize, of: usize) -> Vec<String> {
        let clean = self.face.clean;
        let count = if of > 1 { format!("{number} of {of}  ") } else { String::new() };
        let mut out = vec![format!("  {count}{}", clean(&question.text))];
        let listed = question.choices.iter().enumerate();
        out.extend(listed.map(|(index, choice)| format!("    {}  {}", index + 1, clean(choice))));
        out
    }

    /// One answer that fits, or the answer that leaves the whole form.
    fn question(&mut self, mut text: Vec<String>, question: &QuestionView) -> Result<Result<String, Answer>, Stop> {
        let clean = self.face.clean;
        let default = match &question.default {
            Some(_) if question.secret => " [kept]".to_owned(),
            Some(default) => format!(" [{}]", clean(default)),
            None => String::new(),
        };
        let label = format!("  {} ({}){default}: ", clean(&question.name), clean(&question.kind));
        loop {
            let hush = question.secret.then(|| self.lines.hush());
            if matches!(hush, Some(None)) {
                text.push("  (typing cannot be hidden here)".to_owned());
            }
            let typed = self.line(&text, &label);
            drop(hush);
            let typed = typed?;
            text = match (typed.trim(), &question.default) {
                ("", Some(default)) => return Ok(Ok(default.clone())),
                ("", None) => vec!["  an answer is needed; \"\" is the empty text".to_owned()],
                ("\"\"", _) if question.kind == "string" && question.choices.is_empty() => {
                    return Ok(Ok(String::new()));
                }
                (command, _) if command.starts_with('!') && !command.starts_with("!!") => {
                    match self.command(command)? {
                        Ok(answer) => return Ok(Err(answer)),
                        Err(words) => words,
                    }
                }
                _ => {
                    // A text that begins with `!` is written with two; blanks of a secret belong to it.
                    let given = if question.secret { typed.as_str() } else { typed.trim() };
                    let given = given.strip_prefix('!').unwrap_or(given);
                    match check(question, given) {
                        Ok(value) => return Ok(Ok(value)),
                        Err(rule) => vec![format!("  {rule}")],
                    }
                }
            };
        }
    }

    /// A word that is not an answer: `!note TEXT`, `!later`, `!abort`, `!help`.
    fn command(&mut self, typed: &str) -> Result<Result<Answer, Vec<String>>, Stop> {
        let (word, rest) = typed[1..].split_once(' ').unwrap_or((&typed[1..], ""));
        if word == "note" && !rest.trim().is_empty() {
            (self.note)(rest.trim().to_owned());
            return Ok(Err(vec!["  noted".to_owned()]));
        }
        if let Some(answer) = self.leaving(word)? {
            return Ok(answer);
        }
        Ok(Err(self
            .aside(word, &ASK_HELP)?
            .unwrap_or_else(|| ASK_HELP.iter().map(|line| format!("  {line}")).collect())))
    }
}

fn gate_help(typed: bool, may_skip: bool) -> Vec<&'static str> {
    let mut out = vec![if typed {
        "the text  go on: exactly the act on the card is performed"
    } else {
        "y  go on: exactly the act on the card is performed"
    }];
    out.push("n  no: the step is declined, and what needs it does not run");
    if may_skip {
        out.push("s  skip: leave this step out and go on; recorded as a deviation");
    }
    out.extend(["e  evidence: every value, item and line behind the card", "c  copy: the act alone, without the box"]);
    out.extend(COMMON_HELP);
    out
}

const COMMON_HELP: [&str; 4] = [
    "t  note: a sentence for the record; this stays open",
    "l  later: leave the run as it is; `runwright resume` goes on",
    "a  abort: end the run for good",
    "Enter alone shows this again; Ctrl-D is no",
];
const DECIDE_HELP: [&str; 5] = [
    "a number or a name chooses an option",
    "e  evidence: every value in full",
    "t  note: a sentence for the record; this stays open",
    "l  later: leave the run as it is; `runwright resume` goes on",
    "a  abort: end the run for good",
];
const WHEN_HELP: [&str; 4] = [
    "y  perform the step; n  leave it out",
    "t  note: a sentence for the record; this stays open",
    "l  later: leave the run as it is; `runwright resume` goes on",
    "a  abort: end the run for good",
];
const MANUAL_HELP: [&str; 6] = [
    "d  done: it worked; you can paste what you saw",
    "f  failed: it did not work",
    "s  skip: leave this step out, where that is allowed",
    "t  note: a sentence for the record; this stays open",
    "l  later: leave the run as it is; `runwright resume` goes on",
    "a  abort: end the run for good",
];
const ASK_HELP: [&str; 5] = [
    "Enter alone takes what stands in brackets",
    "!note TEXT  a sentence for the record; !! begins a text with one !",
    "!later  leave the run as it is; `runwright resume` goes on",
    "!abort  end the run for good",
    "!help   this",
];
