//! One written line taken apart, and put together again with its mistake mended.

use super::super::diagnostic::Diagnostic;
use super::super::file::{Source, Span};
use std::ops::Range;

/// A line of a file as a person sees it: dashes, a key, a value.
pub(super) struct Line<'a> {
    source: &'a Source,
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) span: Span,
    pub(super) text: &'a str,
    /// Where in `text` each `- ` stands.
    pub(super) dashes: Vec<usize>,
    /// Where the key stands in `text`, quotes included.
    pub(super) key: Option<Range<usize>>,
    /// What follows the key or the dashes, without a comment.
    pub(super) value: Range<usize>,
}

impl<'a> Line<'a> {
    pub(super) fn read(source: &'a Source, number: usize) -> Self {
        let span = source.line_span(number);
        let text = source.slice(span);
        let mut dashes = Vec::new();
        let mut start = skip_blanks(text, if text.starts_with('\u{feff}') { 3 } else { 0 });
        while text[start..].starts_with("- ") || &text[start..] == "-" {
            dashes.push(start);
            start = skip_blanks(text, start + 1);
        }
        let key = find_key(&text[start..]).map(|end| start..start + end);
        let value_start = key.as_ref().map_or(start, |key| skip_blanks(text, skip_colon(text, key.end)));
        let value_end = value_start + without_comment(&text[value_start..]);
        Self { source, number, span, text, dashes, key, value: value_start..value_end }
    }

    /// Whether there is nothing on it but perhaps a comment.
    pub(super) fn is_blank(&self) -> bool {
        let text = self.text.trim();
        text.is_empty() || text.starts_with('#')
    }

    /// The number of bytes before its first letter or dash.
    pub(super) fn indent(&self) -> usize {
        skip_blanks(self.text, 0)
    }

    pub(super) fn key_text(&self) -> Option<&'a str> {
        self.key.clone().map(|key| self.text[key].trim_matches(['"', '\'']))
    }

    pub(super) fn value_text(&self) -> &'a str {
        &self.text[self.value.clone()]
    }

    /// The place in the file of a part of the line.
    pub(super) fn place(&self, part: Range<usize>) -> Span {
        Span::new(self.span.start + part.start, self.span.start + part.end)
    }

    /// Mends a problem by putting a part of the line in quotes; the hint prints the line as it should be.
    pub(super) fn quote(&self, problem: Diagnostic, part: Range<usize>) -> Diagnostic {
        let quoted = in_quotes(&self.text[part.clone()]);
        let mended = format!("{}{quoted}{}", &self.text[..part.start], &self.text[part.end..]);
        let problem = problem.suggest(self.place(part), quoted);
        if mended.chars().count() > 160 {
            return problem.hint("put the text in quotes");
        }
        problem.hint(format!("put the text in quotes: `{}`", mended.trim()))
    }

    /// The text around a `{{` that stands outside quotes, where YAML would read a map.
    pub(super) fn bare_template(&self) -> Option<Range<usize>> {
        let value = self.value_text();
        let is_flow = value.starts_with(['{', '[']);
        let mut quote = None;
        let mut start = 0;
        let mut chars = value.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            match (quote, char) {
                (Some(open), close) if open == close => quote = None,
                (None, '"' | '\'') if at == start => quote = Some(char),
                (None, '{') if value[at..].starts_with("{{") => {
                    let whole = is_flow && !(at == 0 && start == 0);
                    let end = template_end(value, at, whole);
                    let first = if whole { start } else { 0 };
                    return is_flow.then(|| self.value.start + first..self.value.start + end);
                }
                (None, '{' | '[' | ',') => start = skip_blanks(value, at + 1),
                (None, ':') if matches!(chars.peek(), Some((_, ' '))) => start = skip_blanks(value, at + 1),
                _ => {}
            }
        }
        None
    }

    pub(super) fn source(&self) -> &'a Source {
        self.source
    }
}

/// One past the text with the template at `from`: the rest of the value, or up to the next separator inside brackets.
fn template_end(value: &str, from: usize, in_brackets: bool) -> usize {
    if !in_brackets {
        return value.len();
    }
    let mut at = from;
    loop {
        let Some(close) = value[at..].find("}}") else { return value.len() };
        at += close + 2;
        let stop = value[at..].find([',', '}', ']']).map_or(value.len(), |length| at + length);
        match value[at..stop].find("{{") {
            Some(again) => at += again,
            None => return at + value[at..stop].trim_end().len(),
        }
    }
}

fn skip_blanks(text: &str, from: usize) -> usize {
    let rest = &text[from.min(text.len())..];
    text.len() - rest.trim_start_matches([' ', '\t']).len()
}

fn skip_colon(text: &str, from: usize) -> usize {
    let at = skip_blanks(text, from);
    if text[at..].starts_with(':') { at + 1 } else { at }
}

/// The length of a key at the start, if one is there.
fn find_key(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    if matches!(first, '#' | '[' | '{' | '|' | '>' | '&' | '*' | '!' | '%' | '@' | '`') {
        return None;
    }
    let is_colon = |at: usize| {
        let rest = text[at..].strip_prefix(':');
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
    };
    if matches!(first, '"' | '\'') {
        let end = text[1..].find(first)? + 2;
        return is_colon(skip_blanks(text, end)).then_some(end);
    }
    let colon = text.char_indices().map(|(at, _)| at).find(|&at| is_colon(at))?;
    let key = text[..colon].trim_end();
    (!key.is_empty() && !key.contains(" #")).then_some(key.len())
}

/// The length of a value without a comment and the blanks before it.
fn without_comment(value: &str) -> usize {
    if value.starts_with('#') {
        return 0;
    }
    let has_pairs = ['"', '\''].iter().all(|&quote| value.matches(quote).count() % 2 == 0);
    let mut quote = None;
    let mut before = ' ';
    for (at, char) in value.char_indices() {
        match (quote, char) {
            (None, '#') if matches!(before, ' ' | '\t') && at > 0 => return value[..at].trim_end().len(),
            (None, '"' | '\'') if has_pairs => quote = Some(char),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
        before = char;
    }
    value.trim_end().len()
}

/// A text in the quotes that need the fewest escapes.
pub(super) fn in_quotes(text: &str) -> String {
    if !text.contains(['"', '\\']) {
        return format!("\"{text}\"");
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// A text cut to so many characters, line breaks shown as blanks.
pub(super) fn shorten(text: &str, length: usize) -> String {
    let mut short: String = text.chars().take(length).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if text.chars().nth(length).is_some() {
        short.push('…');
    }
    short
}

/// The problem of a `{{ x }}` without quotes.
pub(super) fn unquoted_template(source: &Source, span: Span) -> Diagnostic {
    let problem = Diagnostic::error(source, "unquoted-template", span, "a text that starts with `{{` needs quotes")
        .label("YAML reads this as a map");
    let line = Line::read(source, source.line_of(span.start));
    if span.end > line.span.end || span.start < line.span.start {
        return problem.hint("put the text in quotes");
    }
    line.quote(problem, span.start - line.span.start..span.end - line.span.start)
}

/// The problem of a tag.
pub(super) fn tag(source: &Source, span: Span) -> Diagnostic {
    let shown = shorten(source.slice(span), 40);
    let problem = Diagnostic::error(source, "yaml-tag", span, format!("tags such as `{shown}` are not used here"));
    let line = Line::read(source, source.line_of(span.start));
    let at = span.start.saturating_sub(line.span.start);
    if shown.starts_with("!!") || at != line.value.start || line.value.is_empty() {
        return problem.hint(format!("remove `{shown}`: what a value is, its key decides"));
    }
    let value = line.value.clone();
    line.quote(problem, value)
}
