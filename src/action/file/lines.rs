//! Cutting and joining text by byte ranges and lines, with the line ends that the file already has.

use std::ops::Range;

/// A replacement of some bytes.
pub(super) type Splice = (Range<usize>, String);

/// Applies replacements that do not overlap; nothing when they do or do not fit.
pub(super) fn splice(text: &str, mut splices: Vec<Splice>) -> Option<String> {
    splices.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for (range, new) in splices {
        out.push_str(text.get(at..range.start)?);
        out.push_str(&new);
        text.get(range.clone())?;
        at = range.end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

/// The first byte of the line that holds `at`.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// The end of the line that holds `at`, before its line end.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let end = text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| at + newline);
    if end > at && text.as_bytes().get(end - 1) == Some(&b'\r') && end < text.len() { end - 1 } else { end }
}

/// The first byte of the next line, or the end of the text.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| at + newline + 1)
}

/// The line end this file uses: that of its first line.
pub(super) fn newline_of(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if at > 0 && text.as_bytes()[at - 1] == b'\r' => "\r\n",
        _ => "\n",
    }
}

/// The line number of an offset, from 1.
pub(super) fn line_number(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count() + 1
}

/// The spaces and tabs at the start of the line that holds `at`.
pub(super) fn indent_of(text: &str, at: usize) -> &str {
    let start = line_start(text, at);
    let line = &text[start..line_end(text, start)];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The range of whole lines that `range` touches, with the last line end. At the end of a file that lacks the last line
/// end, the one before is taken instead, so that the file still lacks it.
pub(super) fn whole_lines(text: &str, range: &Range<usize>) -> Range<usize> {
    let (start, end) = (line_start(text, range.start), next_line(text, range.end));
    if end == text.len() && !text.ends_with('\n') && start > 0 {
        let before = start - 1;
        return if text[..before].ends_with('\r') { before - 1..end } else { before..end };
    }
    start..end
}

/// Adds lines at the end of a text; a missing last line end stays missing, at the new end.
pub(super) fn append_lines(text: &str, lines: &[String]) -> String {
    let newline = newline_of(text);
    let added = lines.join(newline);
    if text.is_empty() || text.ends_with('\n') {
        format!("{text}{added}{newline}")
    } else {
        format!("{text}{newline}{added}")
    }
}
