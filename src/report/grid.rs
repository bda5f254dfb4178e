//! Lists as people read them: maps under each other with aligned columns, plain values on wrapped lines.

use super::style::{Style, columns_of, pad};
use super::value::cell;
use serde_json::{Map, Value as Json};

/// Rows of a table that are shown; the rest is counted.
pub(crate) const ROWS: usize = 10;
/// Plain values of a list that are shown; the rest is counted.
pub(crate) const PLAIN: usize = 8;
/// A column of text is not cut below so many columns; with less room the last columns are left out instead.
const LEAST: usize = 8;
/// Between two columns.
const GAP: usize = 2;

/// A list of maps as a table that is not laid out yet.
pub(crate) struct Grid {
    /// The keys of the maps, each once, in the order of their first appearance.
    pub(crate) names: Vec<String>,
    /// Each map's values, one line each, in the order of the names; a missing one is `-`.
    pub(crate) rows: Vec<Vec<String>>,
    /// Whether every value of a column is a number.
    pub(crate) numbers: Vec<bool>,
    /// Entries of the list, the ones that are not in `rows` included.
    pub(crate) count: usize,
}

impl Grid {
    /// The table of a list in which every entry is a map and at least one has a key; of at most so many entries.
    pub(crate) fn of(entries: &[Json], most: usize) -> Option<Self> {
        let maps: Option<Vec<&Map<String, Json>>> = entries.iter().map(record).collect();
        let maps = maps?;
        let shown = &maps[..maps.len().min(most)];
        let mut names: Vec<String> = Vec::new();
        for name in shown.iter().flat_map(|map| map.keys()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        if names.is_empty() {
            return None;
        }
        let of = |map: &&Map<String, Json>| -> Vec<String> {
            names.iter().map(|name| map.get(name).map_or_else(|| "-".to_owned(), cell)).collect()
        };
        let is_number = |name: &String| {
            let mut values = shown.iter().filter_map(|map| map.get(name)).filter(|value| !value.is_null()).peekable();
            values.peek().is_some() && values.all(Json::is_number)
        };
        let numbers = names.iter().map(is_number).collect();
        Some(Self { rows: shown.iter().map(of).collect(), numbers, names, count: entries.len() })
    }

    /// What is not in the rows: `and 2 more`.
    pub(crate) fn rest(&self) -> Option<String> {
        match self.count.saturating_sub(self.rows.len()) {
            0 => None,
            more => Some(format!("and {more} more")),
        }
    }

    /// The table in at most so many columns: numbers to the right, long texts cut with a mark, columns that find no room
    /// left out and named.
    pub(crate) fn lines(&self, style: &Style, room: usize) -> Vec<String> {
        let rows: Vec<Vec<String>> = std::iter::once(&self.names)
            .chain(&self.rows)
            .map(|row| row.iter().map(|cell| style.text(cell)).collect())
            .collect();
        let natural: Vec<usize> = (0..self.names.len())
            .map(|column| rows.iter().map(|row| columns_of(&row[column])).max().unwrap_or(0))
            .collect();
        let widths = self.fitted(&natural, room);
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = widths
                .iter()
                .enumerate()
                .map(|(column, width)| {
                    let text = style.cut(&row[column], *width);
                    if self.numbers[column] {
                        format!("{}{text}", " ".repeat(width.saturating_sub(columns_of(&text))))
                    } else {
                        pad(&text, *width)
                    }
                })
                .collect();
            cells.join("  ").trim_end().to_owned()
        };
        let mut out: Vec<String> = rows.iter().map(line).collect();
        let left_out: Vec<&str> = rows[0].iter().skip(widths.len()).map(String::as_str).collect();
        let mut foot: Vec<String> = self.rest().into_iter().collect();
        if !left_out.is_empty() {
            foot.push(format!("not shown: {}", left_out.join(", ")));
        }
        if !foot.is_empty() {
            out.push(style.cut(&foot.join("; "), room));
        }
        out
    }

    /// Whether nothing is cut in so many columns.
    pub(crate) fn fits(&self, style: &Style, room: usize) -> bool {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| columns_of(&style.text(&row[column])));
            cells.chain([columns_of(&style.text(&self.names[column]))]).max().unwrap_or(0)
        };
        (0..self.names.len()).map(|column| width(column) + GAP).sum::<usize>() <= room + GAP
    }

    /// The widths of the columns that are shown. The widest column of text gives first; numbers are never cut.
    fn fitted(&self, natural: &[usize], room: usize) -> Vec<usize> {
        let total = |widths: &[usize]| widths.iter().map(|width| width + GAP).sum::<usize>().saturating_sub(GAP);
        let mut widths = natural.to_vec();
        loop {
            let over = total(&widths).saturating_sub(room);
            if over == 0 {
                return widths;
            }
            let texts = widths.iter().enumerate().filter(|(column, width)| !self.numbers[*column] && **width > LEAST);
            match texts.max_by_key(|(_, width)| **width).map(|(column, _)| column) {
                Some(column) => widths[column] = widths[column].saturating_sub(over).max(LEAST),
                None if widths.len() > 1 => {
                    widths.pop();
                    widths.iter_mut().zip(natural).for_each(|(width, natural)| *width = *natural);
                }
                None => return vec![room],
            }
        }
    }
}

/// A map of the author's; points and spans of time are kept as maps too, and are none.
fn record(entry: &Json) -> Option<&Map<String, Json>> {
    entry.as_object().filter(|fields| !fields.keys().any(|key| key.starts_with('$')))
}

/// A list of plain values, the first of them: `a, b, c and 4 more`. Nothing for a list that holds lists or maps.
pub(crate) fn plain_list(entries: &[Json]) -> Option<String> {
    if entries.iter().any(|entry| entry.is_array() || record(entry).is_some()) {
        return None;
    }
    let shown: Vec<String> = entries.iter().take(PLAIN).map(cell).collect();
    let shown = shown.join(", ");
    Some(match entries.len().saturating_sub(PLAIN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    })
}
