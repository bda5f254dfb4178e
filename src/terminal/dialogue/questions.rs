//! Questions with typed answers.

use super::super::form::check;
use super::super::help::help;
use super::{Dialogue, Stop, Turn};
use crate::engine::{Answer, QuestionView};
use indexmap::IndexMap;

/// What came of one question.
enum Given {
    Value(String),
    /// The whole form is left.
    Leaving(Answer),
}

impl Dialogue<'_> {
    pub(super) fn questions(&mut self, mut text: Vec<String>, questions: &[QuestionView]) -> Result<Answer, Stop> {
        let mut values = IndexMap::new();
        for (index, question) in questions.iter().enumerate() {
            text.extend(self.question_text(question, index + 1, questions.len()));
            match self.question(std::mem::take(&mut text), question)? {
                Given::Value(value) => values.insert(question.name.clone(), value),
                Given::Leaving(answer) => return Ok(answer),
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

    /// Asks until an answer fits.
    fn question(&mut self, mut text: Vec<String>, question: &QuestionView) -> Result<Given, Stop> {
        let clean = self.face.clean;
        let default = match &question.default {
            Some(_) if question.secret => " [kept]".to_owned(),
            Some(default) => format!(" [{}]", clean(default)),
            None => String::new(),
        };
        let label = format!("  {} ({}){default}: ", clean(&question.name), clean(&question.kind));
        loop {
            let typed = self.question_line(&mut text, &label, question.secret)?;
            text = match (typed.trim(), &question.default) {
                ("", Some(default)) => return Ok(Given::Value(default.clone())),
                ("", None) => vec!["  an answer is needed; \"\" is the empty text".to_owned()],
                ("\"\"", _) if question.kind == "string" && question.choices.is_empty() => {
                    return Ok(Given::Value(String::new()));
                }
                (word, _) if word.starts_with('!') && !word.starts_with("!!") => match self.command(&word[1..])? {
                    Turn::Answer(answer) => return Ok(Given::Leaving(answer)),
                    Turn::Again(words) => words,
                },
                (trimmed, _) => {
                    // Blanks of a secret belong to it; a text that begins with `!` is written with two.
                    let given = if question.secret { typed.as_str() } else { trimmed };
                    match check(question, given.strip_prefix('!').unwrap_or(given)) {
                        Ok(value) => return Ok(Given::Value(value)),
                        Err(rule) => vec![format!("  {rule}")],
                    }
                }
            };
        }
    }

    /// A line that is not shown while it is typed, if it is secret.
    fn question_line(&mut self, text: &mut Vec<String>, label: &str, secret: bool) -> Result<String, Stop> {
        let hush = if secret { self.lines.hush() } else { None };
        if secret && hush.is_none() {
            text.push("  (typing cannot be hidden here)".to_owned());
        }
        self.line(text, label)
    }

    /// A word that is not an answer: `!note TEXT`, `!mark WORD`, `!later`, `!abort`, `!help`.
    fn command(&mut self, typed: &str) -> Result<Turn, Stop> {
        let (word, rest) = typed.split_once(' ').unwrap_or((typed, ""));
        if word == "note" && !rest.trim().is_empty() {
            return Ok(self.noted(rest.trim().to_owned()));
        }
        if word == "mark" && !rest.trim().is_empty() {
            return Ok(self.marked(rest));
        }
        Ok(self.common(word)?.unwrap_or_else(|| Turn::Again(help(&self.prompt.kind))))
    }
}
