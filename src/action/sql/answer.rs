//! What came back: rows within bounds, and the report about them.

use super::decode::{Raw, value};
use super::trouble::Trouble;
use crate::action::outcome::{bytes, unobtained};
use crate::expr::{Value, to_json, unknown_of};
use indexmap::IndexMap;
use std::fmt::Write as _;
use std::time::Duration;
use tokio_postgres::{Column, Row};
use unicode_width::UnicodeWidthStr as _;

/// What expressions may see of the rows, in bytes as they came.
const SEEN: usize = 16 << 20;

/// What a value counts at least, however short it came.
const LEAST: usize = 32;

/// The widest column of the table in the evidence; longer values stick out.
const WIDEST: usize = 40;

/// The rows of a statement.
#[derive(Default)]
pub(super) struct Answer {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    size: usize,
    /// Rows that statements changed, in all.
    pub(super) affected: u64,
}

impl Answer {
    /// Begins anew with the rows of the next statement.
    pub(super) fn begin(&mut self, columns: &[Column]) {
        self.columns = distinct(columns.iter().map(Column::name));
        self.rows = Vec::new();
        self.size = 0;
    }

    /// Takes one row.
    pub(super) fn take(&mut self, row: &Row, most: usize) -> Result<(), Trouble> {
        self.size += row.raw_size_bytes() + row.len() * LEAST;
        if self.rows.len() == most {
            return Err(Trouble::bad_answer(format!(
                "more than {most} rows: add a `limit`, or allow more with `rows:`"
            )));
        }
        if self.size > SEEN {
            return Err(Trouble::bad_answer(format!("more than {} of rows", bytes(SEEN as u64))));
        }
        let mut values = Vec::with_capacity(row.len());
        for (place, column) in row.columns().iter().enumerate() {
            values.push(match row.try_get::<_, Raw<'_>>(place) {
                Ok(raw) => value(column.type_(), raw.0),
                Err(error) => unobtained(format!("the column cannot be read: {error}")),
            });
        }
        self.rows.push(values);
        Ok(())
    }

    /// The result fields.
    pub(super) fn fields(self, took: Duration) -> IndexMap<String, Value> {
        let columns = self.columns;
        let row = |values: Vec<Value>| Value::from_pairs(columns.iter().cloned().zip(values));
        let rows: Vec<Value> = self.rows.into_iter().map(row).collect();
        let first = rows.first().cloned().unwrap_or_else(|| unobtained("there is no row"));
        IndexMap::from_iter([
            ("count".to_owned(), Value::from(rows.len())),
            ("rows".to_owned(), Value::from(rows)),
            ("first".to_owned(), first),
            ("columns".to_owned(), Value::from(columns)),
            ("affected".to_owned(), Value::from(self.affected)),
            ("elapsed".to_owned(), Value::from(took.as_secs_f64())),
        ])
    }

    /// The rows as a table for people; nothing when there are no columns.
    pub(super) fn table(&self) -> Option<String> {
        if self.columns.is_empty() {
            return None;
        }
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        let mut widths: Vec<usize> = self.columns.iter().map(|name| name.width()).collect();
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width().min(WIDEST));
            }
        }
        let mut table = String::new();
        let mut add = |cells: &[String]| {
            let padded = cells
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width()))));
            // Writing to a String cannot fail.
            writeln!(table, "{}", padded.collect::<Vec<_>>().join(" | ").trim_end()).ok();
        };
        add(&self.columns);
        add(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
        for row in &cells {
            add(row);
        }
        let rows = if self.rows.len() == 1 { "row" } else { "rows" };
        writeln!(table, "({} {rows})", self.rows.len()).ok();
        Some(table)
    }
}

/// The fields of a statement that gave none.
pub(super) fn no_fields(took: Duration) -> IndexMap<String, Value> {
    let missing = |name: &str| (name.to_owned(), unobtained("there was no answer"));
    let mut fields: IndexMap<_, _> =
        ["rows", "count", "first", "columns", "affected"].into_iter().map(missing).collect();
    fields.insert("elapsed".to_owned(), Value::from(took.as_secs_f64()));
    fields
}

/// Names of columns, each once: the second `a` becomes `a_2`.
pub(super) fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        let mut own = name.to_owned();
        let mut number = 2;
        while found.contains(&own) {
            own = format!("{name}_{number}");
            number += 1;
        }
        found.push(own);
    }
    found
}

/// A value in one line of the table.
fn cell(value: &Value) -> String {
    if value.is_none() {
        return "NULL".to_owned();
    }
    if let Some(unknown) = unknown_of(value) {
        return format!("({unknown})");
    }
    match value.as_str() {
        Some(text) => text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"),
        None => match to_json(value) {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        },
    }
}
