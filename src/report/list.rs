//! The runs of a store as a table and as JSON.

use super::layout::labelled;
use super::sanitize::json_text;
use super::style::{Style, Tone, columns_of, pad};
use super::words;
use jiff::Timestamp;

/// One run in a list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RunLine {
    /// Its id.
    pub run: String,
    /// The runbook's id.
    pub runbook: String,
    /// When it began.
    pub started: Timestamp,
    /// Who began it.
    pub operator: String,
    /// In which environment.
    pub environment: Option<String>,
    /// `running`, `parked`, `suspended`, `incomplete`, or its result: `resolved`.
    pub state: String,
    /// Milliseconds from its first to its last record.
    pub elapsed_ms: u64,
    /// What is open or waited for: `gate ban_agent`, `1 open change`.
    pub open: Option<String>,
}

/// The runs as an aligned table, in the order given.
#[must_use]
pub fn list_text(runs: &[RunLine], style: &Style) -> Vec<String> {
    if runs.is_empty() {
        return vec!["no runs in this store".to_owned()];
    }
    let row = |run: &RunLine| {
        [
            style.text(&run.run),
            style.text(&run.state),
            run.started.strftime("%Y-%m-%d %H:%M").to_string(),
            words::span(run.elapsed_ms),
            style.text(&run.runbook),
            style.text(run.environment.as_deref().unwrap_or("-")),
            style.text(&run.operator),
        ]
    };
    let names = ["RUN", "STATE", "STARTED (UTC)", "TOOK", "RUNBOOK", "ENV", "OPERATOR"].map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(names).chain(runs.iter().map(row)).collect();
    let widths: Vec<usize> =
        (0..7).map(|column| rows.iter().map(|row| columns_of(&row[column])).max().unwrap_or(0)).collect();
    // On a narrow terminal the facts that least tell runs apart go first; the id is never cut.
    let kept: Vec<usize> = [&[0, 1, 2, 3, 4, 5, 6][..], &[0, 1, 2, 4, 5], &[0, 1, 4], &[0, 1]]
        .into_iter()
        .find(|columns| columns.iter().map(|column| widths[*column] + 2).sum::<usize>() <= style.columns() + 2)
        .unwrap_or(&[0, 1])
        .to_vec();
    let mut out = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = kept.iter().map(|column| pad(&row[*column], widths[*column])).collect();
        let line = cells.join("  ").trim_end().to_owned();
        out.push(if index == 0 { style.paint(Tone::Quiet, &line) } else { line });
        if let Some(open) = index.checked_sub(1).and_then(|index| runs[index].open.as_deref()) {
            out.extend(labelled(style, 2, "open", "  ", &style.text(open)));
        }
    }
    out
}

/// The runs as a JSON list.
#[must_use]
pub fn list_json(runs: &[RunLine]) -> String {
    json_text(&serde_json::to_value(runs).unwrap_or_default())
}
