//! What was found, and what was ruled out.

use super::super::prompt::option_title;
use super::super::story::{DecisionStory, StepStory};
use super::super::style::Style;
use super::super::value::{short, used};
use super::super::words;
use super::{Handover, cut};
use crate::event::{Event, OptionVerdict, Outcome, StepPath, StepVerdict, StoredValue, UsedView};
use std::collections::HashSet;

/// Columns of one value.
const VALUE: usize = 48;

impl<'a> Handover<'a> {
    /// Decisions with what they rest on, then what reads found: what was used first, and what does not hold first of
    /// all.
    pub(super) fn found(&self) -> Vec<String> {
        let mut out: Vec<String> = self.decisions();
        let used = self.names_used();
        let mut reads: Vec<(u8, String)> = Vec::new();
        for (path, step) in &self.story.steps {
            let is_read = matches!(step.info.kind.as_str(), "diagnose" | "validate");
            if !is_read || path.0.ends_with("/verify") {
                continue;
            }
            let Some(text) = self.read(path, step) else { continue };
            let matters = match (step.outcome, step.verdict) {
                (Some(Outcome::Succeeded), None | Some(StepVerdict::Holds)) if used.contains(path.0.as_str()) => 1,
                (Some(Outcome::Succeeded), None | Some(StepVerdict::Holds)) => 2,
                _ => 0,
            };
            reads.push((matters, text));
        }
        reads.sort_by_key(|(matters, _)| *matters);
        out.extend(reads.into_iter().map(|(_, text)| text));
        out
    }

    fn decisions(&self) -> Vec<String> {
        let decided = self.story.decisions.iter().filter(|decision| !decision.options.is_empty());
        let one = |decision: &DecisionStory<'_>| {
            let option = |name: &String| decision.options.iter().find(|option| option.name == *name);
            let titles: Vec<&str> =
                decision.chosen.iter().map(|name| option(name).map_or(name.as_str(), option_title)).collect();
            let titles = if titles.is_empty() { "no option".to_owned() } else { titles.join(", ") };
            let by = if decision.by == "person" { words::actor(decision.actor) } else { decision.by.to_owned() };
            let mut because: Vec<String> = decision
                .chosen
                .iter()
                .filter_map(option)
                .filter_map(|option| proof(option.expression.as_deref(), &option.used))
                .collect();
            because.extend(decision.reason.map(str::to_owned));
            let because = if because.is_empty() { String::new() } else { format!(": {}", because.join("; ")) };
            format!("{}: {titles} (by {by}{because})", decision.step.0)
        };
        decided.map(one).collect()
    }

    /// Steps whose values a decision or a card rests on.
    fn names_used(&self) -> HashSet<&'a str> {
        let cards = self.run.records.iter().filter_map(|record| match &record.event {
            Event::GateOpened { card, .. } => Some(&card.because),
            _ => None,
        });
        let mut names: Vec<&'a UsedView> = cards.flatten().collect();
        for decision in &self.story.decisions {
            names.extend(decision.shown);
            names.extend(decision.options.iter().flat_map(|option| &option.used));
        }
        names.iter().filter_map(|used| used.name.split(['.', '[']).next()).collect()
    }

    fn read(&self, path: &StepPath, step: &StepStory<'_>) -> Option<String> {
        let outcome = step.outcome.filter(|outcome| *outcome != Outcome::Skipped)?;
        let (state, _) = words::state(outcome, step.verdict, false, step.handled);
        let values = values(step);
        let is_plain = outcome == Outcome::Succeeded && step.verdict.is_none_or(|says| says == StepVerdict::Holds);
        if is_plain {
            let proven = if step.info.kind == "validate" { " holds" } else { "" };
            return match (values.is_empty(), proven.is_empty()) {
                (true, true) => None,
                (true, false) => Some(format!("{}{proven}: {}", path.0, step.title())),
                (false, _) => Some(format!("{}{proven}: {values}", path.0)),
            };
        }
        let failing = step.checks.iter().find(|check| check.verdict != StepVerdict::Holds);
        let check = failing.and_then(|check| proof(Some(&check.expression), &check.used));
        let why = check.or_else(|| step.reason.map(str::to_owned)).or_else(|| step.error.clone()).unwrap_or_default();
        let title = step.title();
        Some(format!("{} {state}: {}", path.0, if why.is_empty() { title } else { &why }))
    }

    pub(super) fn ruled_out(&self) -> Vec<String> {
        let options = self.story.decisions.iter().flat_map(|decision| decision.options);
        let out = options.filter(|option| option.verdict == OptionVerdict::DoesNotHold);
        let line = |option: &crate::event::OptionView| {
            let proof = proof(option.expression.as_deref(), &option.used);
            let proof = proof.map(|proof| format!(" ({proof})")).unwrap_or_default();
            format!("{}{proof}", option_title(option))
        };
        out.map(line).collect()
    }
}

/// What a person wants to see of a read: what its author shows, else what it kept; lists and maps only in short.
fn values(step: &StepStory<'_>) -> String {
    if !step.shown.is_empty() {
        return used(&Style::PLAIN, step.shown, VALUE);
    }
    let captures = step.captures.into_iter().flatten();
    let telling = captures.filter(|(_, value)| {
        !matches!(
            value,
            StoredValue::Value(serde_json::Value::Array(_) | serde_json::Value::Object(_)) | StoredValue::Kept(_)
        )
    });
    let texts = telling.map(|(name, value)| format!("{name} {}", short(&Style::PLAIN, value, VALUE)));
    texts.collect::<Vec<_>>().join(", ")
}

/// An expression with the values it saw: `queue.top_share > 0.5 with queue.top_share 0.95`.
fn proof(expression: Option<&str>, values: &[UsedView]) -> Option<String> {
    let seen = used(&Style::PLAIN, values, VALUE);
    match (expression, seen.is_empty()) {
        (None, true) => None,
        (None, false) => Some(seen),
        (Some(expression), true) => Some(cut(expression)),
        (Some(expression), false) => Some(format!("{} with {seen}", cut(expression))),
    }
}
