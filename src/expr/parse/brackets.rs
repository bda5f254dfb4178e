//! The brackets of an expression, and how deep it is nested, from its tokens.

use super::{DEEPEST, LONGEST, Place};
use crate::expr::syntax::ParseError;
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use std::ops::Range;

/// Where each bracket of a text opens and where its partner ends, by the end.
pub(super) struct Brackets(Vec<(usize, usize)>);

impl Brackets {
    /// Reads the tokens once before minijinja's parser does: that parser and the drop of its tree recurse without
    /// limit on `not not ..`, `a + a + ..` and the like, so the depth is bounded here.
    pub(super) fn of(text: &str, place: Place<'_>) -> Result<Self, ParseError> {
        let refuse = |range: Range<usize>, message: String| ParseError { message, span: place(range), hint: None };
        if text.len() > LONGEST {
            return Err(refuse(0..text.len(), format!("the expression is longer than {LONGEST} bytes")));
        }
        let mut pairs = Vec::new();
        let mut open = Vec::new();
        let mut depth = Depth::default();
        for token in tokenize(text, true, SyntaxConfig::default()) {
            // A text that cannot be read is for the parser to explain.
            let Ok((token, at)) = token else { break };
            match token {
                Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => open.push(at.start_offset as usize),
                Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                    if let Some(start) = open.pop() {
                        pairs.push((at.end_offset as usize, start));
                    }
                }
                _ => {}
            }
            if depth.after(&token) > DEEPEST {
                let range = at.start_offset as usize..at.end_offset as usize;
                let mut problem = refuse(range, format!("the expression is nested deeper than {DEEPEST} levels"));
                problem.hint = Some("compute it in parts, with `set` or `capture`".to_owned());
                return Err(problem);
            }
        }
        pairs.sort_unstable();
        Ok(Self(pairs))
    }

    /// Moves a start to the left until no bracket closes in the range that opened before it.
    pub(super) fn widen(&self, mut start: usize, end: usize) -> usize {
        let from = self.0.partition_point(|&(close, _)| close <= start);
        for &(close, open) in self.0.get(from..).unwrap_or_default() {
            if close > end {
                break;
            }
            start = start.min(open);
        }
        start
    }
}

/// An upper bound of the depth of the tree, from tokens alone: within a pair of brackets every operator since the
/// last comma may add a level.
#[derive(Default)]
struct Depth {
    levels: Vec<usize>,
    here: usize,
    sum: usize,
}

impl Depth {
    fn after(&mut self, token: &Token<'_>) -> usize {
        match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                self.levels.push(self.here + 1);
                self.sum += self.here + 1;
                self.here = 0;
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                if let Some(outer) = self.levels.pop() {
                    self.sum -= outer;
                    self.here = outer;
                }
            }
            Token::Comma => self.here = 0,
            Token::Ident("and" | "or" | "not" | "if" | "else" | "is" | "in") => self.here += 1,
            Token::Ident(_) | Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) => {
            }
            _ => self.here += 1,
        }
        self.sum + self.here
    }
}
