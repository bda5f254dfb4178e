//! What was done, what was tried, and what is open.

use super::super::changes::{Became, Change};
use super::super::closing::end_of;
use super::super::words::{self, between, near, span};
use super::{Handover, Item, cut};
use crate::event::{AnswerKind, StepPath, StepVerdict};
use indexmap::IndexMap;
use std::fmt::Write as _;

impl Handover<'_> {
    pub(super) fn done(&self) -> Vec<String> {
        let done = self.story.changes.all().filter(|(_, change)| change.became() == Became::Done);
        let line = |path: &str, change: &Change| {
            let when = change.ended.or(change.began).map(|time| near(time, self.now)).unwrap_or_default();
            let title = change.title.as_deref().unwrap_or(&change.act);
            let verified = if change.verdict == Some(StepVerdict::Holds) { ", verified" } else { "" };
            let by = change.approved.as_deref().map(|who| format!(", {who}")).unwrap_or_default();
            let settled = change.settled.as_ref().map(|(_, who, why)| format!(", as {who} says: {why}"));
            format!("{when} {path}: {title}{verified}{by}{}", settled.unwrap_or_default())
        };
        grouped(done, |list, items, change| match items {
            1 => line(list, change),
            items => format!("{} ({items} items)", line(list, change)),
        })
    }

    /// Changes that failed or were taken back, what people refused, and what went otherwise than written.
    pub(super) fn tried(&self) -> Vec<String> {
        let failed = self.story.changes.all().filter(|(_, change)| change.became() == Became::Failed);
        let mut out = grouped(failed, |path, items, change| {
            let error = change.error.as_deref().unwrap_or("no reason is on record");
            let items = if items > 1 { format!(" ({items} items, this is the first)") } else { String::new() };
            let tries =
                if change.attempts > 1 { format!(" after {} attempts", change.attempts) } else { String::new() };
            format!("{path} FAILED{tries}{items}: {}", cut(error))
        });
        let back = self.story.changes.all().filter(|(_, change)| change.became() == Became::TakenBack);
        out.extend(grouped(back, |path, items, change| {
            let items = if items > 1 { format!(" ({items} items)") } else { String::new() };
            format!("{path} was done and taken back{items}: {}", change.title.as_deref().unwrap_or(&change.act))
        }));
        for gate in &self.story.gates {
            let Some((answer, by, _)) = gate.answer else { continue };
            let word = match answer.answer {
                AnswerKind::Declined => "declined",
                AnswerKind::Expired => "not answered in time",
                _ => continue,
            };
            let why = answer.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let by =
                if answer.answer == AnswerKind::Expired { String::new() } else { format!(" by {}", words::actor(by)) };
            out.push(format!("{} {word}{by}{why}", gate.step.0));
        }
        out.extend(self.story.deviations.all().iter().map(|(_, text)| text.clone()));
        out
    }

    /// What may still be there when nobody does anything, the uncertain first.
    pub(super) fn open(&self) -> Vec<Item> {
        let changes = &self.story.changes;
        let unknown = changes.all().filter(|(_, change)| change.became() == Became::Unknown);
        let mut out = grouped(unknown, |path, items, change| {
            let items = if items > 1 { format!(" ({items} items)") } else { String::new() };
            let why = change.error.as_deref().unwrap_or("its end was not seen");
            format!(
                "NOT KNOWN whether done: {path}{items}: {} ({})",
                change.title.as_deref().unwrap_or(&change.act),
                cut(why)
            )
        });
        let running = changes.all().filter(|(_, change)| change.became() == Became::Running && change.is_open);
        let word = if self.run.live { "is being done" } else { "had begun, and its end was not seen" };
        out.extend(running.map(|(path, change)| format!("{} {word}: {}", path.0, cut(&change.act))));
        let mut standing: Vec<_> =
            changes.standing(self.now).filter(|(_, change)| change.became() == Became::Done).collect();
        // What was seen while reading, and what came later, stands in no event of this run.
        out.extend(self.run.findings.iter().cloned());
        // Those that go by themselves are the ones to watch.
        standing.sort_by_key(|(_, change)| !change.is_passing());
        let can_undo = standing.iter().any(|(_, change)| change.undo.is_some());
        out.extend(grouped(standing.into_iter(), |path, items, change| {
            let items = if items > 1 { format!(" ({items} items)") } else { String::new() };
            let end = self.end(change);
            let undo = match (&change.undo, &change.irreversible) {
                (_, Some(why)) => format!("cannot be undone: {why}"),
                (Some(undo), None) => format!("undo: {}", cut(undo)),
                (None, None) => "no undo is written".to_owned(),
            };
            let failed = change.not_taken_back().map(|why| format!("; NOT taken back: {why}")).unwrap_or_default();
            format!("{path}{items} stands{end}; {undo}{failed}")
        }));
        let mut out: Vec<Item> = out.into_iter().map(Item::from).collect();
        if can_undo && self.story.end.is_some() {
            out.push(Item::with("take back what can be", self.run.commands.line("undo", &[self.id()], "")));
        }
        out
    }

    /// When a change goes: ` (until 02:15:00 UTC, in 43 min 10 s)`.
    fn end(&self, change: &Change) -> String {
        let mut end = end_of(change, self.now);
        if let Some(until) = change.until
            && end.ends_with(')')
        {
            end.truncate(end.len() - 1);
            _ = write!(end, ", in {})", span(between(self.now, until)));
        }
        end
    }
}

/// Items of the same list become one line. Gives the list's place, how many, and the first of them.
fn grouped<'c>(
    changes: impl Iterator<Item = (&'c StepPath, &'c Change)>,
    line: impl Fn(&str, usize, &Change) -> String,
) -> Vec<String> {
    let mut lists: IndexMap<String, (usize, &Change)> = IndexMap::new();
    for (path, change) in changes {
        let place =
            path.0.strip_suffix(']').and_then(|path| path.rsplit_once('[')).map_or(path.0.as_str(), |(list, _)| list);
        lists.entry(place.to_owned()).or_insert((0, change)).0 += 1;
    }
    lists.into_iter().map(|(place, (count, change))| line(&place, count, change)).collect()
}
