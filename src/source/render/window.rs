//! The few lines of a file that are shown, made safe for a terminal, with the way from file offsets to shown ones.

use crate::source::file::{BYTE_ORDER_MARK, Source, Span};
use std::fmt::Write as _;
use std::ops::Range;

/// How many characters of a line are shown.
const WIDTH: usize = 200;
/// How many characters before the marked word are kept when a line is cut.
const BEFORE: usize = 60;

/// Some neighbouring lines as they are shown.
pub(super) struct Window {
    /// The number of the first line.
    pub(super) first: usize,
    pub(super) text: String,
    /// For each shown character: where it stands in the file, and where in `text`.
    map: Vec<(usize, usize)>,
}

impl Window {
    /// Shows the lines that the marks stand in, which should be near each other; a long line is cut around its mark.
    pub(super) fn around(source: &Source, marks: &[Span]) -> Self {
        let lines = marks.iter().map(|mark| source.line_of(source.boundary(mark.start)));
        let (first, last) = lines.fold((usize::MAX, 1), |(first, last), line| (first.min(line), last.max(line)));
        let mut window = Self { first: first.min(last), text: String::new(), map: Vec::new() };
        for number in window.first..=last {
            let line = source.line_span(number);
            let mark = marks.iter().find(|mark| source.line_of(source.boundary(mark.start)) == number);
            window.line(source, line, mark.map_or(line.start, |mark| mark.start));
        }
        window
    }

    /// Where a place of the file is shown; ends with its first line.
    pub(super) fn shown(&self, source: &Source, span: Span) -> Range<usize> {
        let start = source.boundary(span.start);
        let line = source.line_span(source.line_of(start));
        let end = source.boundary(span.end).min(line.end);
        let written = source.text().get(start..end).unwrap_or_default().trim_end();
        let from = self.offset(start);
        from..self.offset(start + written.len()).max(from)
    }

    /// The column, from 1, at which a shown offset stands in its line.
    pub(super) fn column(&self, offset: usize) -> usize {
        let before = &self.text[..offset];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        before[start..].chars().count() + 1
    }

    fn offset(&self, file: usize) -> usize {
        let at = self.map.partition_point(|&(from, _)| from < file);
        self.map.get(at).map_or(self.text.len(), |&(_, shown)| shown)
    }

    fn line(&mut self, source: &Source, line: Span, mark: usize) {
        let text = source.slice(line);
        let mark = source.boundary(mark).clamp(line.start, line.end) - line.start;
        let is_long = text.char_indices().nth(WIDTH).is_some();
        let from = if is_long { text[..mark].char_indices().rev().nth(BEFORE - 1).map_or(0, |(at, _)| at) } else { 0 };
        if from > 0 {
            self.text.push('…');
        }
        let mut end = line.end;
        for (count, (at, char)) in text[from..].char_indices().enumerate() {
            if count == WIDTH {
                end = line.start + from + at;
                self.map.push((end, self.text.len()));
                self.text.push('…');
                break;
            }
            self.map.push((line.start + from + at, self.text.len()));
            if char != BYTE_ORDER_MARK {
                push_visible(&mut self.text, char);
            }
        }
        if end == line.end {
            self.map.push((line.end, self.text.len()));
        }
        self.text.push('\n');
    }
}

/// Adds a character so that it can do nothing to a terminal; a tab counts as one blank, as in columns.
fn push_visible(text: &mut String, char: char) {
    match char {
        '\t' => text.push(' '),
        char if is_unsafe(char) => {
            // A String can always be written to.
            write!(text, "\\u{{{:x}}}", u32::from(char)).unwrap_or_default();
        }
        char => text.push(char),
    }
}

/// Control characters, characters that turn the order of text or have no width, and line breaks of other standards.
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}')
}

/// A message or a hint made safe for a terminal; line breaks stay.
pub(super) fn visible(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        if char == '\n' {
            safe.push(char);
        } else {
            push_visible(&mut safe, char);
        }
    }
    safe
}
