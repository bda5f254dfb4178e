//! Decisions: one of some options, or yes and no.

use super::super::form::choose;
use super::{Dialogue, Stop, Turn};
use crate::engine::Answer;
use crate::event::OptionView;

impl Dialogue<'_> {
    pub(super) fn decide(&mut self, mut text: Vec<String>, options: &[OptionView]) -> Result<Answer, Stop> {
        let names: Vec<String> = options.iter().map(|option| option.name.clone()).collect();
        loop {
            let typed = self.line(&text, "  choose: ")?;
            let typed = typed.trim();
            let by_title = options.iter().find(|option| !typed.is_empty() && option.title.eq_ignore_ascii_case(typed));
            let chosen = by_title.map(|option| option.name.as_str()).or_else(|| choose(&names, typed).ok());
            if let Some(option) = chosen {
                let label = format!("  {}; why? (Enter for no reason) ", (self.face.clean)(option));
                let reason = self.sentence(&label)?;
                return Ok(Answer::Choose { option: option.to_owned(), reason });
            }
            text = match self.common(&typed.to_lowercase())? {
                Some(Turn::Answer(answer)) => return Ok(answer),
                Some(Turn::Again(words)) => words,
                None => vec![format!("  a number from 1 to {}, or a name, is needed", options.len())],
            };
        }
    }

    pub(super) fn when(&mut self, mut text: Vec<String>) -> Result<Answer, Stop> {
        loop {
            let word = self.line(&text, "  perform it? ")?.trim().to_lowercase();
            text = match word.as_str() {
                "y" | "yes" => return Ok(Answer::Perform(true)),
                "n" | "no" => return Ok(Answer::Perform(false)),
                other => match self.common(other)? {
                    Some(Turn::Answer(answer)) => return Ok(answer),
                    Some(Turn::Again(words)) => words,
                    None => vec!["  y or n is needed; ? explains".to_owned()],
                },
            };
        }
    }
}
