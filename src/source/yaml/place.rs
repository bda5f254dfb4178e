//! From a range of a scalar's text back to the bytes of the file.

use super::super::file::{Source, Span};
use super::node::{Scalar, Style};
use std::ops::Range;

/// The place in the file of each byte of the text, or nothing where it cannot be told.
pub(super) fn all(scalar: &Scalar, source: &Source) -> Option<Vec<usize>> {
    let base = base(scalar);
    let mut offsets = offsets(scalar, source)?;
    for offset in &mut offsets {
        *offset += base;
    }
    let written = source.text().as_bytes();
    let agree = |(byte, offset): (u8, &usize)| byte.is_ascii_whitespace() || written.get(*offset) == Some(&byte);
    scalar.text.bytes().zip(&offsets).all(agree).then_some(offsets)
}

/// What offsets within the written scalar are counted from.
fn base(scalar: &Scalar) -> usize {
    scalar.span().start + usize::from(scalar.is_quoted())
}

fn offsets(scalar: &Scalar, source: &Source) -> Option<Vec<usize>> {
    let text = scalar.text.as_str();
    let written = source.text().get(scalar.span().range())?;
    match scalar.style {
        Style::Plain => flow(text, written, None),
        Style::Single => flow(text, inside(written, '\'')?, Some('\'')),
        // With an escape before the end, the two texts no longer run side by side.
        Style::Double if written.contains('\\') => None,
        Style::Double => flow(text, inside(written, '"')?, None),
        Style::Literal | Style::Folded => block(text, written),
    }
}

/// The place of a range of the text, or nothing where it cannot be told for certain.
pub(super) fn find(scalar: &Scalar, source: &Source, range: Range<usize>) -> Option<Span> {
    let text = scalar.text.as_str();
    let start = text.floor_char_boundary(range.start);
    let end = text.ceil_char_boundary(range.end).max(start);
    let offsets = offsets(scalar, source)?;
    let base = base(scalar);
    let at = |offset: usize| offsets.get(offset).copied();
    let first = match at(start) {
        Some(place) => place,
        None => after(text, start, &offsets)?,
    };
    let last = if end == start { first } else { after(text, end, &offsets)? };
    let span = Span::new(base + first, base + last.max(first));
    let same = same_letters(source.slice(span), &text[start..end], scalar.style == Style::Single);
    same.then_some(span)
}

/// One past the place of the character that ends before `offset`.
fn after(text: &str, offset: usize, offsets: &[usize]) -> Option<usize> {
    let Some(before) = text[..offset].chars().next_back() else { return Some(0) };
    Some(offsets.get(offset - before.len_utf8())? + before.len_utf8())
}

fn inside(written: &str, quote: char) -> Option<&str> {
    written.strip_prefix(quote)?.strip_suffix(quote)
}

/// Guards against any mistake above: letters of both sides must agree, white space may differ by folding.
fn same_letters(written: &str, text: &str, doubled: bool) -> bool {
    let letters = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
    let (written, text) = (letters(written), letters(text));
    written == text || (doubled && written.replace("''", "'") == text.replace("''", "'"))
}

/// Walks a plain or quoted scalar: a line break with the blanks around it became one blank, or breaks for empty lines.
///
/// The result has one offset in `written` for each byte of `text`.
fn flow(text: &str, written: &str, doubled: Option<char>) -> Option<Vec<usize>> {
    let mut offsets = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut rest = text.chars();
    while let Some(wanted) = rest.next() {
        let fold = fold_at(&written[at..]);
        if let Some((length, breaks)) = fold {
            let made = breaks.saturating_sub(1).max(1);
            offsets.push(at);
            for _ in 1..made {
                rest.next()?;
                offsets.push(at);
            }
            at += length;
            continue;
        }
        let found = written[at..].chars().next()?;
        if found != wanted {
            return None;
        }
        offsets.extend(at..at + found.len_utf8());
        at += found.len_utf8();
        if doubled == Some(found) {
            at += found.len_utf8();
        }
    }
    Some(offsets)
}

/// The length of the blanks and line breaks here and the number of breaks, if there is a break among them.
fn fold_at(written: &str) -> Option<(usize, usize)> {
    let length = written.find(|char| !matches!(char, ' ' | '\t' | '\n' | '\r')).unwrap_or(written.len());
    let breaks = written[..length].matches('\n').count();
    (breaks > 0).then_some((length, breaks))
}

/// Walks a block scalar line by line; each written line, without its indentation, stands in the text as it is.
fn block(text: &str, written: &str) -> Option<Vec<usize>> {
    // The parser's place of a block scalar may or may not include the header line.
    let mut at = if written.starts_with(['|', '>']) { written.find('\n')? + 1 } else { 0 };
    let indent = block_indent(text, &written[at..]);
    let mut offsets = Vec::with_capacity(text.len());
    for line in written[at..].split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let blanks = content.len() - content.trim_start_matches(' ').len();
        let skip = indent.min(blanks);
        let body = &content[skip..];
        if !body.is_empty() {
            while !text[offsets.len()..].starts_with(body) {
                text[offsets.len()..].strip_prefix([' ', '\n'])?;
                offsets.push(at.saturating_sub(1));
            }
            offsets.extend(at + skip..at + skip + body.len());
        }
        at += line.len();
    }
    let end = at;
    while text[offsets.len()..].starts_with('\n') {
        offsets.push(end.saturating_sub(1));
    }
    (offsets.len() == text.len()).then_some(offsets)
}

/// How many blanks of each line are indentation: those of the first line that says something, less those it kept.
fn block_indent(text: &str, body: &str) -> usize {
    let leading = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let first = |text: &str| text.split('\n').find(|line| !line.trim_matches([' ', '\r']).is_empty()).map(leading);
    first(body).unwrap_or(0).saturating_sub(first(text).unwrap_or(0))
}
