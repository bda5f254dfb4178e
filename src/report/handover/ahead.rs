//! What comes next, and when to look again.

use super::super::closing::Closing;
use super::super::words::{between, near, span};
use super::{Ahead, Handover, Item, cut};
use crate::event::{Event, StepPath, Waiting};
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;

impl<'a> Handover<'a> {
    pub(super) fn next(&self) -> Vec<Item> {
        let commands = self.run.commands;
        let id = self.id();
        if let Some(end) = self.story.end.and_then(Closing::of) {
            let mut out: Vec<String> = end.reasons.to_vec();
            if let Some((to, text)) = self.story.escalated {
                let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
                out.insert(0, format!("escalated{to}: {text}"));
            }
            out.push(if let Some(of) = self.story.undo_of() {
                let (word, what) = end.undone();
                format!("nothing runs any more; everything of run {of} taken back: {word} ({what})")
            } else {
                let (word, proof) = end.goal();
                format!("nothing runs any more; goal met: {word} ({proof})")
            });
            return out.into_iter().map(Item::from).collect();
        }
        let mut out: Vec<Item> = Vec::new();
        if self.run.live {
            out.extend(self.asked());
        } else {
            let text = |wait: &Waiting| {
                let wants = wait.wants.as_deref().unwrap_or("an answer");
                format!("{} {} waits for {wants}: {}", wait.what, wait.step, cut(&wait.text))
            };
            out.extend(self.waiting().iter().map(|wait| Item::from(text(wait))));
            // A run that was left, or that died, says nothing of what it waited for; its open gates do.
            if self.waiting().is_empty() {
                out.extend(self.asked());
            }
            out.push(Item::with("go on with", commands.line("resume", &[id], "")));
        }
        let ahead = self.ahead();
        if !ahead.is_empty() {
            out.push(format!("then: {}", ahead.join("; ")).into());
        }
        if !self.run.live {
            out.push(Item::with("or end it", commands.line("abort", &[id], "--reason TEXT")));
        }
        out
    }

    /// What a run that goes on waits for.
    fn asked(&self) -> Vec<Item> {
        let open = self.story.gates.iter().filter(|gate| gate.answer.is_none());
        let gates = open.map(|gate| {
            let command = self.run.commands.line("approve", &[self.id(), gate.step.0.as_str()], "");
            Item::with(format!("gate {} waits for an answer", gate.step.0), command)
        });
        let asked = self.story.steps.iter().filter(|(_, step)| step.asked && step.ended.is_none());
        let asked = asked.map(|(path, step)| Item::from(format!("{} waits for a person: {}", path.0, step.title())));
        gates.chain(asked).collect()
    }

    fn waiting(&self) -> &'a [Waiting] {
        match self.story.last.map(|record| &record.event) {
            Some(Event::RunParked { waiting }) => waiting,
            _ => &[],
        }
    }

    /// Steps that nothing is on record of, in written order: each with its kind and title.
    fn ahead(&self) -> Vec<String> {
        let begun: HashSet<StepPath> = self.story.steps.keys().map(|path| super::super::steps::general(path)).collect();
        let waits = self.waiting();
        let is_taken = |(decide, option): &(StepPath, String)| {
            let decided = self.story.decisions.iter().rev();
            let decided = decided.filter(|decision| !decision.options.is_empty() && *decision.step == *decide);
            decided.map(|decision| decision.chosen.contains(option)).next().unwrap_or(true)
        };
        let is_ahead = |step: &&Ahead| {
            let waits = waits.iter().any(|wait| wait.step == step.path);
            !waits && !step.on_failure && !begun.contains(&step.path) && step.arms.iter().all(is_taken)
        };
        let ahead = self.about.order.iter().filter(is_ahead).map(|step| &step.path);
        let line = |path: &StepPath| {
            let info = self.run.steps.find(path);
            format!("{} {}: {}", info.kind, path.0, info.title)
        };
        ahead.map(line).collect()
    }

    pub(super) fn look_again(&self) -> Vec<String> {
        let mut when: Vec<(Timestamp, String)> = Vec::new();
        for (path, change) in self.story.changes.standing(self.now) {
            if let Some(until) = change.until {
                when.push((until, format!("{} ends by itself", path.0)));
            }
        }
        let mut waits: IndexMap<&StepPath, (Timestamp, String)> = IndexMap::new();
        for record in self.run.records {
            let Some(path) = &record.step else { continue };
            let (ms, why) = match &record.event {
                Event::Paused { for_ms, reason } => (*for_ms, reason.clone()),
                Event::Sampled { left_ms, .. } => (*left_ms, "it has been watched for long enough".to_owned()),
                Event::StepEnded { .. } | Event::StepSkipped { .. } => {
                    waits.shift_remove(path);
                    continue;
                }
                _ => continue,
            };
            let ms = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
            if let Ok(over) = record.time.checked_add(ms) {
                waits.insert(path, (over, format!("{}: {why}", path.0)));
            }
        }
        if self.run.live {
            when.extend(waits.into_values().filter(|(over, _)| *over > self.now));
        }
        when.sort();
        when.into_iter()
            .map(|(time, what)| format!("{} UTC, in {}: {what}", near(time, self.now), span(between(self.now, time))))
            .collect()
    }
}
