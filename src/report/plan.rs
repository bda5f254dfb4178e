//! A plan as text: every step of every branch, how much of it is known, and the summing-up.

use super::blocks::input_table;
use super::layout::{labelled, prose};
use super::style::{Style, Tone, columns_of, pad};
use crate::plan::{Grade, Plan, PlanArm, PlanRow, PlanSummary};

/// The column in which what a step does begins.
const INDENT: usize = 8;
/// The least room for the condition of an option beside its name.
const CONDITION: usize = 30;

/// The plan as lines.
#[must_use]
pub fn plan_text(plan: &Plan, style: &Style) -> Vec<String> {
    let mut out =
        vec![format!("{}  {}   nothing is executed", style.paint(Tone::Kind, "PLAN"), style.text(&plan.runbook),)];
    out.extend(prose(style, 2, &style.text(&plan.title)));
    if let Some(refuse) = &plan.refuse {
        out.extend(labelled(style, 2, &style.paint(Tone::Bad, "REFUSED"), " ", &style.text(refuse.trim())));
        out.extend(prose(style, 2, "This runbook can be read, and never started."));
        return out;
    }
    let environment = plan.environment.as_deref().unwrap_or("none");
    out.extend(labelled(style, 2, "environment", " ", &style.text(environment)));
    out.extend(input_table(style, &plan.inputs));
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
    for line in row.act.iter().flat_map(|act| &act.more) {
        if line.text.contains('\n') {
            // A document or a script is part of the act: exact, under its label, as on the card.
            out.push(format!("{:INDENT$}{}", "", line.label));
            out.extend(style.lines(&line.text).iter().map(|text| format!("{:1$}{text}", "", INDENT + 2)));
        } else {
            out.extend(labelled(style, INDENT, &format!("{:<8}", line.label), " ", &style.text(&line.text)));
        }
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
    out.extend(arms(row, style));
    out.extend(unknown(row, style));
    out
}

/// The options of a decide, one under the other: what is known of each, its name, its condition.
fn arms(row: &PlanRow, style: &Style) -> Vec<String> {
    let widest = |text: fn(&PlanArm) -> &str| {
        row.arms.iter().map(|arm| columns_of(&style.text(text(arm)))).max().unwrap_or(0).min(style.columns() / 3)
    };
    let (known, name) = (widest(|arm| &arm.known), widest(|arm| &arm.name));
    let line = |arm: &PlanArm| {
        let label = format!("{}  {}", pad(&style.text(&arm.known), known), pad(&style.text(&arm.name), name));
        if INDENT + columns_of(&label) + CONDITION > style.columns() {
            let mut lines = vec![format!("{:INDENT$}{}", "", label.trim_end())];
            lines.extend(prose(style, INDENT + 4, &style.text(&arm.when)).into_iter().filter(|line| !line.is_empty()));
            return lines;
        }
        labelled(style, INDENT, &label, "  ", &style.text(&arm.when))
    };
    row.arms.iter().flat_map(line).collect()
}

/// What must be known first: steps that have to run, merged; anything else with its own reason.
fn unknown(row: &PlanRow, style: &Style) -> Vec<String> {
    let mut steps: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    for hole in &row.holes {
        match not_run(&hole.text) {
            Some(step) if steps.contains(&step) => {}
            Some(step) => steps.push(step),
            None => {
                let text = format!("{} ({})", hole.label, hole.text);
                out.extend(labelled(style, INDENT, "unknown ", " ", &style.text(&text)));
            }
        }
    }
    if !steps.is_empty() {
        let text = format!("until {} run", have(&steps));
        out.insert(0, String::new());
        out.splice(0..1, labelled(style, INDENT, "unknown ", " ", &style.text(&text)));
    }
    out
}

/// The step of a reason that says that a step has not run.
fn not_run(reason: &str) -> Option<&str> {
    reason.strip_prefix('`')?.strip_suffix("` has not run")
}

/// `a has`, `a, b and c have`.
fn have(steps: &[&str]) -> String {
    match steps {
        [] => String::new(),
        [one] => format!("{one} has"),
        [first @ .., last] => format!("{} and {last} have", first.join(", ")),
    }
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
    for row in plan.rows.iter().filter(|row| row.kind == "decide" && row.grade != Grade::Exact) {
        out.extend(prose(style, 0, &style.text(&undecided(row))));
    }
    out.extend(prose(style, 0, &style.text(&probe(plan, &found))));
    out
}

fn undecided(row: &PlanRow) -> String {
    let mut steps: Vec<&str> = row.holes.iter().filter_map(|hole| not_run(&hole.text)).collect();
    let mut seen = Vec::new();
    steps.retain(|step| {
        !seen.contains(step) && {
            seen.push(*step);
            true
        }
    });
    let mut waits = Vec::new();
    if !steps.is_empty() {
        waits.push(format!("until {} run", have(&steps)));
    }
    let others: Vec<&str> =
        row.holes.iter().filter(|hole| not_run(&hole.text).is_none()).map(|hole| hole.label.as_str()).collect();
    if !others.is_empty() {
        waits.push(format!("before {} is known", others.join(", ")));
    }
    match waits.as_slice() {
        [] => format!("`{}` is a person's choice", row.id),
        waits => format!("`{}` cannot be decided {}", row.id, waits.join(", and not ")),
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
