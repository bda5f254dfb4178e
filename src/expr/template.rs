//! Text with `{{ .. }}`, and how a value enters each place (`format.md` section 6).

use super::eval::{EvalError, Scope};
use super::kind::{Kind, LONGEST_TEXT, described, part_of, quoted, text_of};
use super::operate::spread;
use super::parse;
use super::syntax::{Expr, ParseError};
use super::value::{SecretText, Value, is_secret, unknown_of};
use crate::source::Span;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::ops::Range;

/// A text with expressions in it. Statements (`{% .. %}`) are refused; comments are dropped.
#[derive(Clone, Debug)]
pub struct Template {
    /// The parts in order; two texts never stand side by side.
    parts: Vec<Part>,
    span: Span,
    text: String,
}

/// A part of a template, in the order written.
#[derive(Clone, Copy, Debug)]
pub enum Segment<'t> {
    /// Text that stands as it is.
    Text(&'t PlainText),
    /// An expression.
    Expr(&'t Expr),
}

/// Text between the expressions of a template, with the way back to where it was written.
#[derive(Clone, Debug)]
pub struct PlainText {
    text: String,
    /// Where each piece begins: in this text, and in the text of the template. Comments and trimmed blanks are left out.
    pieces: Vec<(usize, usize)>,
}

impl PlainText {
    fn new(piece: &str, written: usize) -> Self {
        Self { text: piece.to_owned(), pieces: vec![(0, written)] }
    }

    fn push(&mut self, piece: &str, written: usize) {
        self.pieces.push((self.text.len(), written));
        self.text.push_str(piece);
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The runs of bytes that stand side by side as written: where each begins in this text, and in
    /// [`Template::source_text`].
    pub fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.pieces.iter().copied()
    }
}

#[derive(Clone, Debug)]
enum Part {
    Text(PlainText),
    Expr(Expr),
}

/// Where a rendered value will stand, which decides how it is escaped or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Text for people, `env:` values, stdin, bodies: any text but NUL.
    Plain,
    /// One element of argv: NUL refused; a value that would make the element start with `-` is refused; secrets refused.
    Argument,
    /// One element of argv after `--`, or one that itself starts with `-`: NUL and secrets refused.
    ArgumentAfterDashes,
    /// A URL path: each value percent-encoded, an empty value and the segments `.` and `..` refused; secrets refused.
    UrlPath,
    /// A URL query value: raw here, encoded by the request builder; secrets refused.
    UrlQuery,
    /// A header value: CR, LF and NUL refused.
    Header,
    /// A file path: NUL refused; secrets refused.
    Path,
    /// A regular expression: every value stands for itself, whatever characters it holds; secrets refused.
    Pattern,
}

/// A piece of a rendered text.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Final text.
    Text(String),
    /// A secret, shown as `‹secret NAME›`.
    Secret(SecretText),
    /// Not known (yet): shown as `‹expression›`.
    Hole {
        /// The expression as written.
        expression: String,
        /// Why it is unknown.
        reason: String,
    },
}

/// A rendered text: final, or with holes.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// The pieces in order.
    pub pieces: Vec<Piece>,
}

/// Shows secrets as `‹secret NAME›` and holes as `‹expression›`.
impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Secret(secret) => write!(f, "‹secret {}›", secret.name)?,
                Piece::Hole { expression, .. } => write!(f, "‹{expression}›")?,
            }
        }
        Ok(())
    }
}

impl Rendered {
    /// A final text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::Text(text.into())] }
    }

    /// The expressions that are not known, with their reasons.
    #[must_use]
    pub fn holes(&self) -> Vec<(&str, &str)> {
        self.pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Hole { expression, reason } => Some((expression.as_str(), reason.as_str())),
                _ => None,
            })
            .collect()
    }

    /// Whether a secret is in it.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Secret(_)))
    }

    /// The final text with secrets in it, or nothing when there is a hole. Only the hands may call this.
    #[must_use]
    pub fn reveal(&self) -> Option<String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Secret(secret) => text.push_str(secret.reveal()),
                Piece::Hole { .. } => return None,
            }
        }
        Some(text)
    }
}

impl Template {
    /// Parses a text; `place` maps byte ranges of `text` to places in the file. Dashes inside the braces
    /// (`{{- x -}}`) drop the blanks around, `{% raw %}` is text.
    ///
    /// # Errors
    /// Each syntax error in it, `{% .. %}` among them.
    pub fn parse(text: &str, place: &dyn Fn(Range<usize>) -> Span) -> Result<Self, Vec<ParseError>> {
        let (found, mut problems) = parse::parts(text, place);
        let mut parts: Vec<Part> = Vec::with_capacity(found.len());
        for part in found {
            match part {
                parse::Part::Text(piece) => {
                    // A piece is a part of the text itself, so the distance of the two is its place.
                    let written = (piece.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
                    match parts.last_mut() {
                        Some(Part::Text(before)) => before.push(piece, written),
                        _ if piece.is_empty() => {}
                        _ => parts.push(Part::Text(PlainText::new(piece, written))),
                    }
                }
                parse::Part::Expression(range) => match Self::expression(text, range, place) {
                    Ok(expr) => parts.push(Part::Expr(expr)),
                    Err(problem) => problems.push(problem),
                },
            }
        }
        if problems.is_empty() {
            return Ok(Self { parts, span: place(0..text.len()), text: text.to_owned() });
        }
        problems.sort_by_key(|problem| problem.span.start);
        Err(problems)
    }

    fn expression(text: &str, range: Range<usize>, place: &dyn Fn(Range<usize>) -> Span) -> Result<Expr, ParseError> {
        let around = range.start.saturating_sub(2)..(range.end + 2).min(text.len());
        let inner = text.get(range.clone()).unwrap_or_default();
        let lead = inner.len() - inner.trim_start().len();
        let (start, inner) = (range.start + lead, inner.trim());
        if inner.is_empty() {
            let hint = Some("write an expression between the braces".to_owned());
            return Err(ParseError { message: "`{{ }}` is empty".to_owned(), span: place(around), hint });
        }
        if inner.starts_with(['.', '$', '#', '/', '>']) {
            return Err(parse::foreign_template(text.get(around.clone()).unwrap_or_default(), place(around)));
        }
        Expr::parse(inner, &|within| place(start + within.start..start + within.end))
    }

    /// The text as written (after YAML's own rules).
    #[must_use]
    pub fn source_text(&self) -> &str {
        &self.text
    }

    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The expressions in it, in order.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Expr(expr) => Some(expr),
        })
    }

    /// The expression, when the whole text is exactly one `{{ .. }}`; its value then keeps its type.
    #[must_use]
    pub fn single(&self) -> Option<&Expr> {
        match self.parts.as_slice() {
            [Part::Expr(expr)] => Some(expr),
            _ => None,
        }
    }

    /// The text, when there is no expression in it.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text.as_str()),
            _ => None,
        }
    }

    /// The texts and expressions in order, for writers that put values elsewhere than into the text (SQL binds).
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.parts.iter().map(|part| match part {
            Part::Text(text) => Segment::Text(text),
            Part::Expr(expr) => Segment::Expr(expr),
        })
    }

    /// Renders for a place. An unknown value becomes a hole; a list or map becomes its JSON text in [`Place::Plain`]
    /// and is an error elsewhere; `none` is an error everywhere.
    ///
    /// # Errors
    /// An expression that cannot be evaluated, or a value the place refuses; the message names the expression.
    pub fn render(&self, scope: &dyn Scope, place: Place) -> Result<Rendered, EvalError> {
        let mut writer = Writer { place, pieces: Vec::new(), length: 0 };
        for part in &self.parts {
            match part {
                Part::Text(text) => writer.literal(text.as_str(), self.span)?,
                Part::Expr(expr) => {
                    let value = expr.eval(scope)?;
                    writer.value(expr, &value)?;
                }
            }
        }
        Ok(Rendered { pieces: writer.pieces })
    }

    /// The words that this is in a list of words. One, but for an element that is exactly one `{{ .. }}`: the items of a
    /// list are words of their own, and `none` is no word at all. An empty list is refused: what it should say is lost.
    ///
    /// # Errors
    /// As [`Template::render`], for each word.
    pub fn words(&self, scope: &dyn Scope, place: Place) -> Result<Vec<Rendered>, EvalError> {
        let Some(expr) = self.single() else { return Ok(vec![self.render(scope, place)?]) };
        let value = expr.eval(scope)?;
        if value.is_none() {
            return Ok(Vec::new());
        }
        let is_list = Kind::of(&value) == Kind::List && part_of(&value, Kind::Unknown).is_none();
        let items = value.try_iter().ok().filter(|_| is_list);
        let items: Vec<Value> = items.map_or_else(|| vec![value.clone()], Iterator::collect);
        if items.is_empty() {
            // `find LIST -delete` without its list would begin where it stands.
            let message = format!(
                "`{0}` is an empty list, and no argument would be left of it; where none may stand, write `{0} if {0} | length > 0 else none`",
                expr.text()
            );
            return Err(EvalError { message, span: expr.span() });
        }
        let word = |item: &Value| {
            let mut writer = Writer { place, pieces: Vec::new(), length: 0 };
            writer.value(expr, item)?;
            Ok(Rendered { pieces: writer.pieces })
        };
        items.iter().map(word).collect()
    }

    /// What stands there, if anything does: nothing when this is exactly one `{{ .. }}` and its value is `none`.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn present(&self, scope: &dyn Scope, place: Place) -> Result<Option<Rendered>, EvalError> {
        match self.single() {
            Some(expr) if expr.eval(scope)?.is_none() => Ok(None),
            _ => self.render(scope, place).map(Some),
        }
    }

    /// The typed value when this is exactly one `{{ .. }}`, otherwise the rendered text as a string value (unknown when
    /// there is a hole).
    ///
    /// # Errors
    /// As [`Template::render`]; also a text that mixes a secret with anything else.
    pub fn value(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        if let Some(expr) = self.single() {
            return expr.eval(scope);
        }
        let mut writer = Writer { place: Place::Plain, pieces: Vec::new(), length: 0 };
        let mut missing: Option<Value> = None;
        for part in &self.parts {
            match part {
                Part::Text(text) => writer.literal(text.as_str(), self.span)?,
                Part::Expr(expr) => {
                    let value = expr.eval(scope)?;
                    if is_secret(&value) {
                        let message = format!("the secret `{}` cannot be part of a longer value here", expr.text());
                        return Err(EvalError { message, span: expr.span() });
                    }
                    match part_of(&value, Kind::Unknown) {
                        Some(unknown) => missing = spread(missing.as_ref().unwrap_or(&unknown), &unknown),
                        None => writer.value(expr, &value)?,
                    }
                }
            }
        }
        let rendered = Rendered { pieces: writer.pieces };
        Ok(missing.unwrap_or_else(|| Value::from(rendered.reveal().unwrap_or_default())))
    }
}

/// Builds a rendered text and keeps the promises of its place.
struct Writer {
    place: Place,
    pieces: Vec<Piece>,
    length: usize,
}

impl Writer {
    /// Text out of the template itself.
    fn literal(&mut self, text: &str, span: Span) -> Result<(), EvalError> {
        let broken = self.place == Place::Header && text.contains(['\r', '\n']);
        if broken || text.contains('\0') {
            let what = if broken { "a line break" } else { "a NUL character" };
            return Err(EvalError { message: format!("{what} cannot stand {}", self.place.words()), span });
        }
        self.text(text, span)
    }

    fn text(&mut self, text: &str, span: Span) -> Result<(), EvalError> {
        self.length += text.len();
        if self.length > LONGEST_TEXT {
            return Err(EvalError { message: "the text is longer than 16 MiB".to_owned(), span });
        }
        match self.pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
        Ok(())
    }

    fn value(&mut self, expr: &Expr, value: &Value) -> Result<(), EvalError> {
        let refuse = |why: String| Err(EvalError { message: format!("`{}` {why}", expr.text()), span: expr.span() });
        if let Some(unknown) = unknown_of(value) {
            self.pieces.push(Piece::Hole { expression: expr.text().to_owned(), reason: unknown.reason.clone() });
            return Ok(());
        }
        if let Some(secret) = value.downcast_object_ref::<SecretText>() {
            if let Some(why) = self.place.refuses_secret(secret.reveal()) {
                return refuse(why.to_owned());
            }
            self.pieces.push(Piece::Secret(secret.clone()));
            return Ok(());
        }
        if let Some(inner) = part_of(value, Kind::Unknown) {
            let reason = unknown_of(&inner).map_or_else(String::new, |unknown| unknown.reason.clone());
            self.pieces.push(Piece::Hole { expression: expr.text().to_owned(), reason });
            return Ok(());
        }
        if part_of(value, Kind::Secret).is_some() {
            return refuse("has a secret inside: a secret may only be passed on by itself".to_owned());
        }
        let compound = matches!(Kind::of(value), Kind::List | Kind::Map);
        if compound && self.place != Place::Plain {
            let kind = Kind::of(value).word();
            return refuse(format!(
                "is a {kind}, which cannot stand {}: {}",
                self.place.words(),
                "write `| join(',')` or `| tojson`"
            ));
        }
        let Ok(text) = text_of(value) else {
            return refuse(format!(
                "is {}: it has no text; write `x | default(..)` or `x if .. else ..`",
                described(value)
            ));
        };
        if let Some(why) = self.place.refuses(&text) {
            let exact = format!("{text:?}");
            let whole = if exact.chars().count() > 60 { quoted("", &text, 0) } else { exact };
            return refuse(format!("{why}: {whole}"));
        }
        if self.place == Place::UrlPath {
            return self.text(&utf8_percent_encode(&text, ESCAPED).to_string(), expr.span());
        }
        if self.place == Place::Pattern {
            return self.text(&regex::escape(&text), expr.span());
        }
        if self.place == Place::Argument && self.length == 0 && self.pieces.is_empty() && text.starts_with('-') {
            return refuse(format!(
                "would make the argument start with `-`: {}; write `--` before it, or the option into the same element",
                quoted("", &text, 40)
            ));
        }
        // An empty value leaves the element as if nothing had been written, so the next one is checked again.
        if text.is_empty() { Ok(()) } else { self.text(&text, expr.span()) }
    }
}

/// Everything but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Place {
    fn words(self) -> &'static str {
        match self {
            Self::Plain => "in a text",
            Self::Argument | Self::ArgumentAfterDashes => "in an argument",
            Self::UrlPath => "in the path of a URL",
            Self::UrlQuery => "in the query of a URL",
            Self::Header => "in a header",
            Self::Path => "in the path of a file",
            Self::Pattern => "in a regular expression",
        }
    }

    /// Why a text cannot stand in this place.
    fn refuses(self, text: &str) -> Option<&'static str> {
        if text.contains('\0') && !matches!(self, Self::UrlPath | Self::UrlQuery) {
            return Some("holds a NUL character, which cannot be passed on");
        }
        match self {
            Self::UrlPath if text.is_empty() => Some("is empty and would leave out a segment of the path"),
            Self::UrlPath if text == "." || text == ".." => Some("would lead to another path"),
            Self::Header if text.contains(['\r', '\n']) => Some("holds a line break, which cannot stand in a header"),
            _ => None,
        }
    }

    /// Why a secret cannot stand in this place.
    fn refuses_secret(self, text: &str) -> Option<&'static str> {
        match self {
            Self::Plain | Self::Header if text.contains('\0') => Some("is a secret that holds a NUL character"),
            Self::Header if text.contains(['\r', '\n']) => {
                Some("is a secret that holds a line break, which cannot stand in a header")
            }
            Self::Plain | Self::Header => None,
            Self::Pattern => Some("is a secret: what a pattern looks for stands in the record"),
            _ => Some(
                "is a secret: a secret never travels in argv, in a URL or in a file's path; use `env`, `stdin`, a header or the body",
            ),
        }
    }
}
