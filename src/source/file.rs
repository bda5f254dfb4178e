//! A text with a name, and places in it.

use super::diagnostic::{Diagnostic, Diagnostics};
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

/// The largest file that is read, in bytes (16 MiB).
pub const FILE_LIMIT: usize = 16 * 1024 * 1024;

/// A half-open range of bytes in a [`Source`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Makes a span; `end` is never before `start`.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    /// The same as a range of byte offsets.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A value together with the place it was read from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sp<T> {
    /// What was read.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Sp<T> {
    /// Joins a value and its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T> Deref for Sp<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Eq> Eq for Sp<T> {}

impl<T: std::hash::Hash> std::hash::Hash for Sp<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl std::borrow::Borrow<str> for Sp<String> {
    fn borrow(&self) -> &str {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Sp<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: fmt::Display> fmt::Display for Sp<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A text that a person wrote, with the name shown in messages (usually its path as it was given).
#[derive(Clone, Debug)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// Where each line starts; found when first asked for, because most texts have no problem to show.
    lines: Arc<OnceLock<Vec<usize>>>,
}

impl Source {
    /// Wraps a text; `name` is what messages print after `-->`.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into(), lines: Arc::default() }
    }

    /// Wraps the bytes of a file.
    ///
    /// # Errors
    /// One problem when the bytes are not UTF-8 (with the place of the first wrong byte), are UTF-16, or are more than
    /// [`FILE_LIMIT`].
    pub fn from_bytes(name: impl Into<Arc<str>>, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let name = name.into();
        if bytes.len() > FILE_LIMIT {
            let empty = Self::new(name, "");
            return Err(too_large(&empty, bytes.len()).into());
        }
        if is_utf16(bytes) {
            let empty = Self::new(name, "");
            return Err(Diagnostic::error(&empty, "not-utf-8", Span::default(), "this file is UTF-16, not UTF-8")
                .hint("save it as UTF-8: `iconv -f UTF-16 -t UTF-8 FILE > NEW`")
                .into());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => Err(not_utf8(name, bytes, error.valid_up_to()).into()),
        }
    }

    /// The name shown in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text under a span; empty when the span does not fit this text.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or("")
    }

    /// Line and column of a byte offset, both counted from 1; columns count characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.boundary(offset);
        let line = self.line_of(offset);
        let start = self.line_span(line).start;
        let column = self.text[start.min(offset)..offset].chars().filter(|&char| char != BYTE_ORDER_MARK).count() + 1;
        (line, column)
    }

    /// The line, counted from 1, that holds a byte offset.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.line_starts().partition_point(|&start| start <= offset).max(1)
    }

    /// The bytes of a line counted from 1, without its line break; empty at the end of the text for a line it has not.
    pub(crate) fn line_span(&self, line: usize) -> Span {
        let starts = self.line_starts();
        let Some(&start) = starts.get(line.saturating_sub(1)) else {
            return Span::new(self.text.len(), self.text.len());
        };
        let end = starts.get(line).map_or(self.text.len(), |&next| next - 1);
        let end = if self.text[start..end].ends_with('\r') { end - 1 } else { end };
        Span::new(start, end)
    }

    /// How many lines there are; a text that ends with a line break has no line after it.
    pub(crate) fn line_count(&self) -> usize {
        let starts = self.line_starts();
        if starts.last() == Some(&self.text.len()) { (starts.len() - 1).max(1) } else { starts.len() }
    }

    /// The last character boundary that is not after an offset.
    pub(crate) fn boundary(&self, offset: usize) -> usize {
        self.text.floor_char_boundary(offset.min(self.text.len()))
    }

    fn line_starts(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(breaks).collect()
        })
    }
}

/// Stands at the start of some files and is no part of their text.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The problem of a file over the limit.
pub(crate) fn too_large(source: &Source, length: usize) -> Diagnostic {
    Diagnostic::error(
        source,
        "file-too-large",
        Span::default(),
        format!("this file has {length} bytes; at most {FILE_LIMIT} (16 MiB) are read"),
    )
    .hint("is it the right file? Data belongs beside a runbook, not in it")
}

fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => true,
        [first, 0, third, 0, ..] => *first != 0 && *third != 0,
        [0, second, 0, fourth, ..] => *second != 0 && *fourth != 0,
        _ => false,
    }
}

/// Shows the text up to and around the wrong byte, so that the caret has a line to stand under.
fn not_utf8(name: Arc<str>, bytes: &[u8], at: usize) -> Diagnostic {
    let end = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |length| at + length);
    let shown = Source::new(name, String::from_utf8_lossy(&bytes[..end]));
    let (line, _) = shown.position(at);
    let byte = bytes.get(at).copied().unwrap_or_default();
    let span = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
    let message = format!("byte 0x{byte:02X} at offset {at} (line {line}) is not UTF-8 text");
    Diagnostic::error(&shown, "not-utf-8", span, message)
        .label("this byte")
        .hint("save the file as UTF-8; if it is Latin-1: `iconv -f LATIN1 -t UTF-8 FILE > NEW`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> Diagnostic {
        let problems = Source::from_bytes("f.yaml", bytes).expect_err("refused");
        problems.sorted()[0].clone()
    }

    #[test]
    fn positions_count_characters_from_one() {
        let source = Source::new("f", "aä\r\nöx\n");
        let at = |needle: &str| source.position(source.text().find(needle).expect("there"));
        assert_eq!(at("a"), (1, 1));
        assert_eq!(at("x"), (2, 2));
        assert_eq!(source.position(usize::MAX), (3, 1));
        assert_eq!(source.position(2), (1, 2), "inside a character means its start");
        assert_eq!(source.slice(source.line_span(1)), "aä");
        assert_eq!(source.line_count(), 2);
        assert_eq!(Source::new("f", "").line_count(), 1);
    }

    #[test]
    fn a_byte_order_mark_has_no_width() {
        let source = Source::new("f", "\u{feff}ab");
        assert_eq!(source.position(3), (1, 1));
        assert_eq!(source.position(4), (1, 2));
    }

    #[test]
    fn wrong_bytes_are_named_with_their_place() {
        let problem = refusal(b"a: 1\nb: caf\xe9 au lait\nc: 2\n");
        assert_eq!(problem.code, "not-utf-8");
        assert_eq!(problem.message, "byte 0xE9 at offset 11 (line 2) is not UTF-8 text");
        assert_eq!(problem.source.position(problem.label.span.start), (2, 7));
        assert_eq!(problem.source.slice(problem.label.span), "\u{fffd}");
    }

    #[test]
    fn utf16_and_giants_are_refused() {
        assert_eq!(refusal(b"\xff\xfea\0").message, "this file is UTF-16, not UTF-8");
        assert_eq!(refusal(b"a\0:\0 \0").message, "this file is UTF-16, not UTF-8");
        assert_eq!(refusal(b"\0a\0:").message, "this file is UTF-16, not UTF-8");
        assert_eq!(refusal(&vec![b' '; FILE_LIMIT + 1]).code, "file-too-large");
        assert!(Source::from_bytes("f", b"a: 1").is_ok());
    }
}
