//! The runs of a store as a table and as JSON.

use super::layout::labelled;
use super::sanitize::json_text;
use super::style::{Style, Tone, columns_of, pad};
use super::words;
use jiff::Timestamp;

/// One run in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
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
    /// The process that has it, or may have it; only while one does.
    pub owner: Option<OwnerLine>,
    /// The last step it came to; only while it has not ended.
    pub step: Option<String>,
    /// A change whose end is unknown.
    pub unknown: Option<String>,
    /// Why it was suspended.
    pub reason: Option<String>,
    /// What it waits for; only when it is parked.
    pub waits: Vec<WaitLine>,
    /// Temporary changes that are not taken back.
    pub open_changes: Vec<OpenLine>,
    /// The hosts it was on, when there were several.
    pub hosts: Vec<String>,
}

/// The process that has a run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OwnerLine {
    /// Who started that process.
    pub operator: String,
    /// Its number.
    pub pid: u32,
    /// On which host.
    pub host: String,
    /// Since when it has the run.
    pub since: Timestamp,
    /// How many milliseconds ago it last gave a sign of life.
    pub last_sign_ms: Option<u64>,
    /// Whether it is certain that it is there. On another machine nobody can see that from here.
    pub is_certain: bool,
}

/// Something that a run waits for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct WaitLine {
    /// The step.
    pub step: String,
    /// `gate`, `decide`, `ask`, `manual`, `when`.
    pub what: String,
    /// One line for people.
    pub text: String,
}

/// A temporary change that is not taken back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OpenLine {
    /// The change.
    pub step: String,
    /// How it is taken back, in words.
    pub undo: Option<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

impl RunLine {
    /// What stands under its line: names and texts.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts: Vec<(&'static str, String)> = Vec::new();
        let at = self.step.as_ref().map_or_else(String::new, |step| format!(", at `{step}`"));
        if let Some(owner) = &self.owner {
            let OwnerLine { operator, pid, host, last_sign_ms, .. } = owner;
            let sign =
                last_sign_ms.map_or_else(String::new, |ms| format!(", last sign of life {} ago", words::span(ms)));
            let doubt = if owner.is_certain { "" } else { "; from here nobody can see whether that process is gone" };
            facts.push(("who", format!("{operator}, process {pid} on {host}{at}{sign}{doubt}")));
        } else if self.state == "incomplete" {
            facts.push(("died", format!("its process died{at}")));
        }
        if let Some(step) = &self.unknown
            && self.owner.as_ref().is_none_or(|owner| !owner.is_certain)
        {
            facts.push(("unknown", format!("the end of the change `{step}`")));
        }
        if let Some(reason) = self.reason.as_ref().filter(|_| self.state == "suspended") {
            facts.push(("why", format!("{reason}{at}")));
        }
        for wait in &self.waits {
            let text = if wait.text.is_empty() { String::new() } else { format!(": {}", wait.text) };
            facts.push(("waits", format!("{} {}{text}", wait.what, wait.step)));
        }
        for change in &self.open_changes {
            let undo = change.undo.as_ref().map_or_else(String::new, |undo| format!(": {undo}"));
            let end = match &change.until {
                Some(until) => format!(" (ends {})", until.strftime("%Y-%m-%d %H:%M:%S UTC")),
                None => " (until it is taken back)".to_owned(),
            };
            facts.push(("open", format!("{}{undo}{end}", change.step)));
        }
        if !self.hosts.is_empty() {
            facts.push(("hosts", self.hosts.join(", then ")));
        }
        facts
    }
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
        let Some(run) = index.checked_sub(1).map(|index| &runs[index]) else { continue };
        for (name, text) in run.facts() {
            out.extend(labelled(style, 2, &pad(name, 7), " ", &style.text(&text)));
        }
    }
    out
}

/// The runs as a JSON list.
#[must_use]
pub fn list_json(runs: &[RunLine]) -> String {
    json_text(&serde_json::to_value(runs).unwrap_or_default())
}
