//! The columns at which the keys and items above a line stand.

use super::super::file::{Source, Span};
use super::line::Line;

/// How far up the neighbours of a line are looked for.
pub(super) const LINES_ABOVE: usize = 2_000;

/// A column at which keys or items of an open map or list stand.
pub(super) struct Column {
    pub(super) at: usize,
    pub(super) is_item: bool,
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) span: Span,
}

/// The columns that a line may choose from, innermost first.
pub(super) fn open_columns(source: &Source, number: usize) -> Vec<Column> {
    let mut open = Vec::new();
    let mut limit = usize::MAX;
    for number in (1..number).rev().take(LINES_ABOVE) {
        let line = Line::read(source, number);
        if line.is_blank() {
            continue;
        }
        let dashes = line.dashes.iter().map(|&dash| (dash..dash + 1, true));
        let marks: Vec<_> = dashes.chain(line.key.clone().map(|key| (key, false))).collect();
        for (part, is_item) in marks.into_iter().rev() {
            if part.start < limit {
                limit = part.start;
                let name = if is_item { "-" } else { line.key_text().unwrap_or_default() };
                let span = line.place(part.clone());
                open.push(Column { at: part.start, is_item, name: name.to_owned(), line: number, span });
            } else if part.start == limit && !is_item && open.last().is_some_and(|last| last.is_item) {
                // A list may stand at the column of its key.
                let name = line.key_text().unwrap_or_default().to_owned();
                open.push(Column { at: part.start, is_item, name, line: number, span: line.place(part.clone()) });
            }
        }
        if limit == 0 {
            break;
        }
    }
    open
}
