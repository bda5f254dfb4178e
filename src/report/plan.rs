//! A plan as text: every step of every branch, how much of it is known, and the summing-up.

use super::layout::{labelled, prose};
use super::style::{Style, Tone, columns_of, pad};
use super::value::short;
use crate::plan::{Grade, Plan, PlanRow, PlanSummary};

/// The column in which what a step does begins.
const INDENT: usize = 8;

/// The plan as lines.
#[must_use]
pub fn plan_text(plan: &Plan, style: &Style) -> Vec<String> {
    let mut out =
        vec![format!("{}  {}   nothing is executed", style.paint(Tone::Kind, "PLAN"), style.text(&plan.runbook),)];
    out.extend(prose(style, 2, &style.text(&plan.title)));
    let environment = plan.environment.as_deref().unwrap_or("none");
    out.extend(labelled(style, 2, "environment", " ", &style.text(environment)));
    for input in &plan.inputs {
        let text = format!("{} {} ({})", input.name, short(style, &input.value, 60), input.source);
        out.extend(labelled(style, 2, "input      ", " ", &style.text(&text)));
    }
    out.push(String::new());
    let widths = Widths::of(plan, style);
    for row in &plan.rows {
        out.extend(step(row, &widths, style));
    }
    out.push(String::new());
    out.extend(summary(plan, style));
    out
}

/// The widths of the columns that differ from plan to plan.
struct Widths {
    number: usize,
    name: usize,
}

impl Widths {
    /// Kind and id share a column, so that nesting moves both; a long id pushes only its own line.
    fn of(plan: &Plan, style: &Style) -> Self {
        let number = plan.rows.len().to_string().len().max(3);
        let widest = plan.rows.iter().map(|row| columns_of(&name(row, style))).max().unwrap_or(0);
        Self { number, name: widest.min(style.columns() / 2) }
    }
}

fn name(row: &PlanRow, style: &Style) -> String {
    format!("{}{:<9} {}", "  ".repeat(row.depth.min(8)), row.kind, style.text(&row.id))
}

fn step(row: &PlanRow, widths: &Widths, style: &Style) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(under) = &row.under {
        out.push(format!(
            "{:width$}  {}[{}]",
            "",
            "  ".repeat(row.depth.saturating_sub(1).min(8)),
            style.text(under),
            width = widths.number
        ));
    }
    let head = format!("{:>width$}  {}", row.number, pad(&name(row, style), widths.name), width = widths.number);
    let tone = if row.grade == Grade::Exact { Tone::Good } else { Tone::Attention };
    let head = format!("{head}  {:<7}", grade_word(row.grade)).trim_end().to_owned();
    let painted = head.replacen(grade_word(row.grade), &style.paint(tone, grade_word(row.grade)), 1);
    out.push(painted);
    out.extend(prose(style, INDENT, &style.text(&row.title)));
    for line in style.lines(&row.text) {
        out.push(format!("{:INDENT$}{line}", ""));
    }
    let facts = [
        ("when", row.when.as_ref()),
        ("for each", row.for_each.as_ref()),
        ("gate", row.gate.as_ref()),
        ("verify", row.verify.as_ref()),
        ("undo", row.undo.as_ref()),
        ("REFUSED", row.refused.as_ref()),
    ];
    for (label, text) in facts {
        if let Some(text) = text {
            out.extend(labelled(style, INDENT, &format!("{label:<8}"), " ", &style.text(text)));
        }
    }
    for hole in &row.holes {
        let text = format!("{} ({})", hole.label, hole.text);
        out.extend(labelled(style, INDENT, "unknown ", " ", &style.text(&text)));
    }
    out
}

fn grade_word(grade: Grade) -> &'static str {
    match grade {
        Grade::Exact => "exact",
        Grade::Partial => "partial",
        Grade::Unknown => "unknown",
    }
}

fn summary(plan: &Plan, style: &Style) -> Vec<String> {
    let found = plan.summary();
    let grades = [(found.exact, "exact"), (found.partial, "partial"), (found.unknown, "unknown")];
    let grades: Vec<String> =
        grades.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
    let dot = style.glyphs().dot;
    let mut text = format!("{}: {}", count(found.steps, "step"), grades.join(", "));
    if found.changes > 0 {
        let (changes, gates) = (count(found.changes, "change"), count(found.gates, "gate"));
        text = format!("{text} {dot} up to {changes} behind {gates}");
    }
    let mut out = prose(style, 0, &text);
    for (step, waits) in &found.undecided {
        out.extend(prose(style, 0, &style.text(&undecided(step, waits))));
    }
    out.extend(prose(style, 0, &style.text(&probe(plan, &found))));
    out
}

fn undecided(step: &str, waits: &[String]) -> String {
    match waits {
        [] => format!("`{step}` is a person's choice"),
        waits => format!("`{step}` cannot be decided before {} is known", waits.join(", ")),
    }
}

fn probe(plan: &Plan, found: &PlanSummary) -> String {
    let reads: Vec<String> =
        found.reads.iter().map(|(place, number)| format!("{} on {place}", count(*number, "read"))).collect();
    if reads.is_empty() {
        return "no step reads anything by itself".to_owned();
    }
    format!("`runwright probe {}` would perform {} and change nothing", plan.runbook, reads.join(", "))
}

fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
