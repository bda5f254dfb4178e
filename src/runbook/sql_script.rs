//! A script of SQL as written: its statements, the places where values enter, and the way back to the file.

mod lexer;

use crate::expr::{Expr, Segment, Template};
use crate::source::{Scalar, Source, Span};
use lexer::{HOLE, Token, TokenKind, tokens};
use std::ops::Range;
use std::sync::Arc;

/// Statements cut out of a template. Holding one is the proof that no value stands inside quotes, a comment or a word.
#[derive(Clone)]
pub struct SqlScript {
    statements: Vec<SqlText>,
    written: Arc<Written>,
}

/// One statement as written.
#[derive(Clone, Debug)]
pub struct SqlText {
    parts: Vec<SqlPart>,
    words: Vec<String>,
    span: Span,
}

/// A part of a statement.
#[derive(Clone, Debug)]
pub enum SqlPart {
    /// Text that is sent as it is, with the place of its first byte in the script's text.
    Text {
        /// The text.
        text: String,
        /// For each run of bytes: where it begins in `text`, and in the template's text.
        runs: Vec<(usize, usize)>,
    },
    /// `{{ x }}`: a bind parameter.
    Bind(Expr),
    /// `{{ x | ident }}`: a quoted name.
    Name(Expr),
}

/// A problem of a script.
#[derive(Clone, Debug)]
pub struct SqlProblem {
    /// Stable code: `sql-quoted-template`, `sql-joined-template`, `sql-meta-command`, `sql-parameter`, `sql-not-closed`,
    /// `sql-copy`, `sql-empty`.
    pub code: &'static str,
    /// One sentence without a full stop.
    pub message: String,
    /// The exact place.
    pub span: Span,
    /// How to mend it.
    pub hint: String,
}

/// The text of a script in its file.
struct Written {
    source: Source,
    /// The place in the file of each byte of the template's text, where it can be told.
    places: Option<Vec<usize>>,
    whole: Span,
}

impl std::fmt::Debug for SqlScript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.statements.fmt(f)
    }
}

impl SqlScript {
    /// Cuts a template into statements; `scalar` is where its text was read from.
    ///
    /// # Errors
    /// Every problem of the script.
    pub fn parse(template: &Template, scalar: &Scalar, source: &Source) -> Result<Self, Vec<SqlProblem>> {
        let written = Written { source: source.clone(), places: scalar.places(source), whole: scalar.span() };
        let joined = Joined::new(template);
        let tokens = tokens(&joined.text);
        let mut cutter = Cutter { joined: &joined, written: &written, problems: Vec::new() };
        cutter.quotes(&tokens);
        cutter.neighbours(&tokens);
        let ranges = cutter.ranges(&tokens);
        if ranges.is_empty() {
            cutter.problem("sql-empty", 0..joined.text.len(), "there is no statement here", "write at least one");
        }
        let statements = ranges.into_iter().map(|range| cutter.statement(&tokens[range])).collect();
        if cutter.problems.is_empty() {
            Ok(Self { statements, written: Arc::new(written) })
        } else {
            cutter.problems.sort_by_key(|problem| problem.span.start);
            Err(cutter.problems)
        }
    }

    /// The statements, in order; there is at least one.
    #[must_use]
    pub fn statements(&self) -> &[SqlText] {
        &self.statements
    }

    /// The byte of the file where a byte of the template's text was written, or nothing where that cannot be told.
    #[must_use]
    pub fn place(&self, offset: usize) -> Option<usize> {
        self.written.places.as_ref()?.get(offset).copied()
    }

    /// The file it was read from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.written.source
    }
}

impl SqlText {
    /// Its parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[SqlPart] {
        &self.parts
    }

    /// Its first words (at most four) without quotes, in lower case: `create`, `or`, `replace`, `function`.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The word that makes it begin, end or split a transaction, if it does. Savepoints do not.
    #[must_use]
    pub fn transaction_word(&self) -> Option<&str> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["rollback", "to", ..] | ["rollback", "transaction" | "work", "to", ..] => None,
            [word @ ("begin" | "commit" | "end" | "abort" | "rollback"), ..]
            | [word @ ("start" | "prepare"), "transaction", ..] => Some(word),
            _ => None,
        }
    }
}

/// The text of a template with one character for each of its values.
struct Joined<'t> {
    text: String,
    /// For each run of text: where it begins here, and in the template's text.
    runs: Vec<(usize, usize)>,
    /// The values, by their place here.
    values: Vec<(usize, &'t Expr)>,
}

impl<'t> Joined<'t> {
    fn new(template: &'t Template) -> Self {
        let mut joined = Self { text: String::new(), runs: Vec::new(), values: Vec::new() };
        for segment in template.segments() {
            match segment {
                Segment::Text(text) => {
                    let base = joined.text.len();
                    joined.runs.extend(text.runs().map(|(start, written)| (base + start, written)));
                    joined.text.push_str(text.as_str());
                }
                Segment::Expr(expr) => {
                    joined.values.push((joined.text.len(), expr));
                    joined.text.push(HOLE);
                }
            }
        }
        joined
    }

    fn value(&self, at: usize) -> Option<&'t Expr> {
        let found = self.values.binary_search_by_key(&at, |(place, _)| *place).ok()?;
        Some(self.values[found].1)
    }

    /// The runs of a range, counted from its start.
    fn runs_of(&self, range: &Range<usize>) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (place, (start, written)) in self.runs.iter().enumerate() {
            let end = self.runs.get(place + 1).map_or(self.text.len(), |(next, _)| *next);
            if *start < range.end && end > range.start {
                let skipped = range.start.saturating_sub(*start);
                found.push((start.max(&range.start) - range.start, written + skipped));
            }
        }
        found
    }
}

/// Finds statements and problems.
struct Cutter<'j, 't> {
    joined: &'j Joined<'t>,
    written: &'j Written,
    problems: Vec<SqlProblem>,
}

impl Cutter<'_, '_> {
    fn problem(&mut self, code: &'static str, at: Range<usize>, message: &str, hint: &str) {
        let span = self.span(at);
        self.problems.push(SqlProblem { code, message: message.to_owned(), span, hint: hint.to_owned() });
    }

    /// The place of a range in the file.
    fn span(&self, range: Range<usize>) -> Span {
        if let Some(expr) = self.joined.value(range.start) {
            return expr.span();
        }
        let written = |at: usize| {
            let (start, written) = self.joined.runs.iter().rev().find(|(start, _)| *start <= at)?;
            self.written.places.as_ref()?.get(written + (at - start)).copied()
        };
        match (written(range.start), range.end.checked_sub(1).and_then(written)) {
            (Some(start), Some(last)) => Span::new(start, last + 1),
            _ => self.written.whole,
        }
    }

    /// What is quoted holds no value and has an end; psql's commands and parameters of the author's own are refused.
    fn quotes(&mut self, tokens: &[Token]) {
        for token in tokens {
            let text = &self.joined.text[token.range.clone()];
            let inside = token.kind != TokenKind::Hole && text.contains(HOLE);
            let first = token.range.start..token.range.start + text.chars().next().map_or(0, char::len_utf8);
            if inside {
                let (place, what) = match token.kind {
                    TokenKind::Comment => ("a comment", "take it out of the comment"),
                    TokenKind::Name => ("a quoted name", "write `{{ x | ident }}` without the quotes around it"),
                    _ => ("quotes", "leave the quotes out: the value is handed over as a parameter, whatever it holds"),
                };
                let at = token.range.start + text.find(HOLE).unwrap_or(0);
                self.problem("sql-quoted-template", at..at + 1, &format!("a value stands inside {place}"), what);
            } else if !token.is_closed {
                let what = if token.kind == TokenKind::Comment { "comment" } else { "quote" };
                self.problem("sql-not-closed", first, &format!("this {what} has no end"), "close it");
            } else if token.kind == TokenKind::Backslash {
                self.problem(
                    "sql-meta-command",
                    first,
                    "a backslash begins a command of psql, and this is not psql",
                    "write the SQL that it stands for, or `run: [psql, ...]`",
                );
            } else if token.kind == TokenKind::Parameter {
                self.problem(
                    "sql-parameter",
                    token.range.clone(),
                    "parameters are numbered by us",
                    "write `{{ expression }}` where the value belongs",
                );
            }
        }
    }

    /// A value stands by itself: next to a word, a number or a quote it would become part of it.
    fn neighbours(&mut self, tokens: &[Token]) {
        let joins = |token: &Token| {
            let text = &self.joined.text[token.range.clone()];
            matches!(token.kind, TokenKind::Word | TokenKind::Number | TokenKind::Text | TokenKind::Name)
                || matches!(token.kind, TokenKind::Hole | TokenKind::Parameter)
                || matches!(text, "$" | "&")
        };
        let mut found = Vec::new();
        for pair in tokens.windows(2) {
            let touch = pair[0].range.end == pair[1].range.start && joins(&pair[0]) && joins(&pair[1]);
            // `&` belongs to `U&".."` only in front of a value.
            let is_operator = &self.joined.text[pair[1].range.clone()] == "&";
            if touch && !is_operator {
                found.extend(pair.iter().find(|token| token.kind == TokenKind::Hole).map(|token| token.range.clone()));
            }
        }
        for at in found {
            self.problem(
                "sql-joined-template",
                at,
                "a value cannot be a part of a word, a number or a quote",
                "put the parts together in the expression: `{{ ('log_' ~ day) | ident }}` for a name",
            );
        }
    }

    /// The tokens of each statement: up to a `;` outside brackets and outside a body in `begin atomic .. end`.
    fn ranges(&self, tokens: &[Token]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let (mut start, mut brackets, mut blocks) = (0, 0_usize, 0_usize);
        let mut words = 0;
        let mut makes_routine = false;
        let mut end_statement = |range: Range<usize>| {
            if tokens[range.clone()].iter().any(|token| token.kind != TokenKind::Comment) {
                found.push(range);
            }
        };
        for (place, token) in tokens.iter().enumerate() {
            match token.kind {
                TokenKind::Open => brackets += 1,
                TokenKind::Close => brackets = brackets.saturating_sub(1),
                TokenKind::Word => {
                    let word = self.joined.text[token.range.clone()].to_ascii_lowercase();
                    words += 1;
                    match word.as_str() {
                        "function" | "procedure" if words <= 4 && starts_with_create(self, &tokens[start..place]) => {
                            makes_routine = true;
                        }
                        "begin" if makes_routine => blocks += 1,
                        "case" if blocks > 0 => blocks += 1,
                        "end" => blocks = blocks.saturating_sub(1),
                        _ => {}
                    }
                }
                TokenKind::End if brackets == 0 && blocks == 0 => {
                    end_statement(start..place);
                    (start, words, makes_routine) = (place + 1, 0, false);
                }
                _ => {}
            }
        }
        end_statement(start..tokens.len());
        found
    }

    fn statement(&mut self, tokens: &[Token]) -> SqlText {
        let range = tokens[0].range.start..tokens[tokens.len() - 1].range.end;
        let words: Vec<String> = self.words(tokens).take(4).collect();
        let first = tokens.iter().find(|token| token.kind != TokenKind::Comment).unwrap_or(&tokens[0]);
        if first.kind == TokenKind::Hole {
            self.problem(
                "sql-joined-template",
                first.range.clone(),
                "a statement cannot begin with a value",
                "write the statement here; values stand where SQL allows a parameter",
            );
        }
        let streams = |word: String| word == "stdin" || word == "stdout";
        if words.first().is_some_and(|word| word == "copy") && self.words(tokens).any(streams) {
            self.problem(
                "sql-copy",
                first.range.clone(),
                "`copy` from or to the client is not supported",
                "write `insert .. select` and `select`, or `run: [psql, ...]`",
            );
        }
        SqlText { parts: self.parts(&range), words, span: self.span(first.range.clone()) }
    }

    fn words<'a>(&'a self, tokens: &'a [Token]) -> impl Iterator<Item = String> + 'a {
        let words = tokens.iter().filter(|token| token.kind == TokenKind::Word);
        words.map(|token| self.joined.text[token.range.clone()].to_ascii_lowercase())
    }

    fn parts(&self, range: &Range<usize>) -> Vec<SqlPart> {
        let mut parts = Vec::new();
        let mut at = range.start;
        let text = |range: Range<usize>, parts: &mut Vec<SqlPart>| {
            if !range.is_empty() {
                let runs = self.joined.runs_of(&range);
                parts.push(SqlPart::Text { text: self.joined.text[range].to_owned(), runs });
            }
        };
        for (place, expr) in &self.joined.values {
            if range.contains(place) {
                text(at..*place, &mut parts);
                let expr = (*expr).clone();
                parts.push(if expr.is_call_of("ident") { SqlPart::Name(expr) } else { SqlPart::Bind(expr) });
                at = place + HOLE.len_utf8();
            }
        }
        text(at..range.end, &mut parts);
        parts
    }
}

/// Whether a statement begins with `create` or `create or replace`.
fn starts_with_create(cutter: &Cutter<'_, '_>, tokens: &[Token]) -> bool {
    let words: Vec<String> = cutter.words(tokens).collect();
    matches!(words.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), ["create"] | ["create", "or", "replace"])
}

#[cfg(test)]
mod tests;
