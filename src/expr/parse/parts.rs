//! A template cut into texts and expressions.

use super::{Place, syntax_error};
use crate::expr::syntax::ParseError;
use crate::source::Span;
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use std::ops::Range;

/// A piece of a template.
pub(in crate::expr) enum Part<'t> {
    Text(&'t str),
    /// The bytes between `{{` and `}}`, by their place in the template.
    Expression(Range<usize>),
}

/// Splits a template into texts and expressions; all problems are found, each with its place.
pub(in crate::expr) fn parts<'t>(text: &'t str, place: Place<'_>) -> (Vec<Part<'t>>, Vec<ParseError>) {
    let mut splitter = Splitter { text, place, parts: Vec::new(), problems: Vec::new() };
    let mut from = 0;
    while let Some(next) = splitter.split(from) {
        from = next;
    }
    (splitter.parts, splitter.problems)
}

struct Splitter<'t, 'p> {
    text: &'t str,
    place: Place<'p>,
    parts: Vec<Part<'t>>,
    problems: Vec<ParseError>,
}

impl Splitter<'_, '_> {
    /// Splits from an offset to the end, or to a problem that stops minijinja's reader: then gives where to go on.
    fn split(&mut self, from: usize) -> Option<usize> {
        let config = SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default();
        let mut open = None;
        for token in tokenize(self.text.get(from..)?, false, config) {
            match token {
                Ok((Token::TemplateData(data), _)) => self.parts.push(Part::Text(data)),
                Ok((Token::VariableStart, at)) => open = Some(from + at.end_offset as usize),
                Ok((Token::VariableEnd, at)) => {
                    if let Some(start) = open.take() {
                        self.parts.push(Part::Expression(start..from + at.start_offset as usize));
                    }
                }
                Ok((Token::BlockStart, at)) => return self.refuse_statement(from + at.start_offset as usize),
                Ok(_) => {}
                Err(error) => return self.stopped(open, from, &error),
            }
        }
        if let Some(start) = open {
            self.problem(
                start.saturating_sub(2)..self.text.len(),
                "`{{` is not closed",
                Some("write `}}` after the expression"),
            );
        }
        None
    }

    fn refuse_statement(&mut self, start: usize) -> Option<usize> {
        let end = self.text.get(start..)?.find("%}").map_or(self.text.len(), |at| start + at + 2);
        self.problem(
            start..end,
            "statements are not allowed in a text",
            Some("only `{{ expression }}` may stand here; write `x if condition else y`, `for_each`, or several steps"),
        );
        Some(end)
    }

    fn stopped(&mut self, open: Option<usize>, from: usize, error: &minijinja::Error) -> Option<usize> {
        let at = error.range().map_or(from, |range| from + range.start).min(self.text.len());
        let start = open.unwrap_or(at);
        let foreign = self.text.get(start..).is_some_and(|rest| rest.trim_start().starts_with('$'));
        if open.is_some() && foreign {
            let end = self.close(start);
            let whole = self.text.get(start.saturating_sub(2)..end).unwrap_or_default();
            self.problems.push(foreign_template(whole, (self.place)(start.saturating_sub(2)..end)));
        } else {
            self.problems.push(syntax_error(self.text, self.place, error, from));
        }
        open.map(|start| self.close(start)).filter(|&end| end > from)
    }

    /// Where the next `}}` ends.
    fn close(&self, start: usize) -> usize {
        self.text.get(start..).and_then(|rest| rest.find("}}")).map_or(self.text.len(), |at| start + at + 2)
    }

    fn problem(&mut self, range: Range<usize>, message: &str, hint: Option<&str>) {
        self.problems.push(ParseError {
            message: message.to_owned(),
            span: (self.place)(range),
            hint: hint.map(str::to_owned),
        });
    }
}

/// The problem for braces that belong to another program's template language.
pub(in crate::expr) fn foreign_template(whole: &str, span: Span) -> ParseError {
    ParseError {
        message: format!("`{whole}` is not an expression of ours"),
        span,
        hint: Some(format!("to pass it on as it is, write `{{{{ '{whole}' }}}}`")),
    }
}
