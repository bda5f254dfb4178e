//! What follows from the end of a step.

use super::super::change::outcome_word;
use super::super::message::{Choice, StepEnd};
use super::super::store_value::store;
use super::{Blocker, Dispatcher, Early, Over};
use crate::event::{Event, Outcome, StepVerdict};
use crate::expr::{Place, Time, UnknownSort, Value, unknown};
use crate::graph::{NodeId, Parent, Section, step_shape};
use crate::runbook::{Escalation, Kind, OnFailure, Step, StepBody, Then};
use indexmap::IndexMap;

impl Dispatcher {
    /// A step's task is over.
    #[expect(clippy::needless_pass_by_value, reason = "the message gives it away, and nobody else needs it")]
    pub(super) fn step_ended(&mut self, node: NodeId, end: StepEnd) {
        self.live = self.live.saturating_sub(1);
        let step = self.graph().node(node).step.clone();
        let is_group = matches!(step.body, StepBody::Group(_));
        if is_group && end.outcome == Outcome::Succeeded {
            let out = self.schedule.open(node, |parent| matches!(parent, Parent::Group(_)));
            debug_assert!(out.is_empty());
            return self.join_if_done(node);
        }
        let answered = end.is_failure() && step.on_failure.is_some();
        self.log_end(node, &step, &end, answered);
        self.keep_values(node, &step, &end);
        self.bookkeeping(node, &step, &end);
        if let Some((to, text)) = end.escalate.clone() {
            self.escalate(to, text);
        }
        if end.is_failure()
            && let Some(on_failure) = &step.on_failure
        {
            return self.answer_failure(node, &step, on_failure);
        }
        if matches!(step.body, StepBody::Decide(_) | StepBody::Group(_)) {
            let reason = end.reason.clone().unwrap_or_else(|| "its holder was left out".to_owned());
            self.inner_left_out(node, &reason);
        }
        self.finish(node);
    }

    fn log_end(&mut self, node: NodeId, step: &Step, end: &StepEnd, handled: bool) {
        if end.outcome == Outcome::Skipped {
            let reason = end.reason.clone().unwrap_or_default();
            return self.log_step(node, Event::StepSkipped { reason, deviation: end.deviation });
        }
        if matches!(step.body, StepBody::Group(_)) && !end.is_failure() {
            return;
        }
        let captures = end.captures.iter().map(|(name, value)| (name.clone(), store(value))).collect();
        let event = Event::StepEnded {
            outcome: end.outcome,
            verdict: end.verdict,
            captures,
            checks: end.checks.clone(),
            shown: end.shown.clone(),
            reason: end.reason.clone(),
            handled,
        };
        self.log_step(node, event);
    }

    /// What later steps see of this one.
    fn keep_values(&mut self, node: NodeId, step: &Step, end: &StepEnd) {
        let id = self.graph().node(node).id.clone();
        let mut values: IndexMap<String, Value> = IndexMap::new();
        if let StepBody::Action(action) = &step.body {
            let why = end.reason.clone().unwrap_or_else(|| outcome_word(end.outcome).to_owned());
            let sort = if end.outcome == Outcome::NotPerformed { UnknownSort::NotYet } else { UnknownSort::Unobtained };
            let absent = |name: &str| unknown(sort, format!("`{id}` gave no `{name}`: {why}"));
            let names = step_shape(action).into_keys().chain(step.capture.keys().map(|name| name.value.clone()));
            values.extend(names.map(|name| (name.clone(), absent(&name))));
        }
        // What a failed read gave is no evidence for anything later; a failed change may be reported on.
        if end.outcome == Outcome::Succeeded || step.change.is_some() {
            values.extend(end.values.clone());
            values.extend(end.captures.clone());
        }
        let word = |text: &str| Value::from(text);
        values.insert("outcome".into(), word(outcome_word(end.outcome)));
        values.insert("verdict".into(), end.verdict.map_or(Value::from(()), |verdict| word(verdict_word(verdict))));
        values.insert("error".into(), end.error.as_ref().map_or(Value::from(()), |error| word(&error.to_string())));
        values.insert("attempts".into(), Value::from(end.attempts));
        values.insert("ended".into(), Time(self.now()).into());
        let started = unknown(UnknownSort::Unobtained, "the step did not start");
        values.entry("started".into()).or_insert(started);
        self.shared.values.set_step(&id, Value::from_pairs(values));
    }

    fn bookkeeping(&mut self, node: NodeId, step: &Step, end: &StepEnd) {
        self.turn += 1;
        let turn = self.turn;
        let failed = end.is_failure() || end.outcome == Outcome::Cancelled;
        let not_meant = end.outcome == Outcome::Skipped && !end.deviation && step.change.is_none();
        let over = Over { outcome: end.outcome, verdict: end.verdict, failed, handled: false, not_meant, turn };
        self.over.insert(node, over);
        if end.changed {
            self.tally.changes += end.attempts.max(1);
            // What `finally` clears away is not what the validations are about.
            if self.graph().node(node).section == Section::Body {
                self.tally.last_change = turn;
            }
        }
        let id = self.graph().node(node).id.clone();
        let stands = end.changed && matches!(end.outcome, Outcome::Succeeded | Outcome::Unknown);
        if stands && let Some(undo) = self.undo.get(&node) {
            self.tally.standing.push(format!("{id}: {undo}"));
        }
        if end.outcome == Outcome::Declined {
            let reason = end.reason.clone().unwrap_or_default();
            self.tally.declined.get_or_insert(format!("`{id}`: {reason}"));
            self.block(node, false, format!("a person said no to `{id}`"));
        }
        if end.deviation {
            let text = format!("`{id}` was left out: {}", end.reason.clone().unwrap_or_default());
            self.log(Event::Deviated { text });
        }
        if !end.is_failure() || step.on_failure.is_some() {
            return;
        }
        self.block_by_default(node, step, end);
    }

    /// What a failure blocks when nothing answers it (`format.md` 5, ruling 7).
    fn block_by_default(&mut self, node: NodeId, step: &Step, end: &StepEnd) {
        let id = self.graph().node(node).id.clone();
        match step.kind {
            Kind::Validate => {
                let word =
                    if end.verdict == Some(StepVerdict::DoesNotHold) { "does not hold" } else { "cannot be told" };
                self.block(node, true, format!("validation `{id}` {word}"));
            }
            Kind::Diagnose => {}
            _ => {
                let word = if end.outcome == Outcome::Unknown { "has an unknown outcome" } else { "failed" };
                self.block(node, false, format!("`{id}` {word}"));
            }
        }
    }

    pub(super) fn block(&mut self, by: NodeId, later_only: bool, reason: String) {
        self.blockers.push(Blocker { by, later_only, reason });
    }

    fn answer_failure(&mut self, node: NodeId, step: &Step, on_failure: &OnFailure) {
        if let Some(escalation) = &on_failure.escalate {
            let (to, text) = self.escalation(escalation);
            self.escalate(to, text);
            self.inner_left_out(node, "the run was escalated");
            return self.finish(node);
        }
        if !on_failure.steps.is_empty() {
            self.close_arms(node);
            self.schedule.open_failure(node);
            return self.join_if_done(node);
        }
        self.after_failure(node, step, on_failure, true);
    }

    /// The steps of `on_failure` are over (or there were none).
    fn after_failure(&mut self, node: NodeId, step: &Step, on_failure: &OnFailure, all_well: bool) {
        let id = self.graph().node(node).id.clone();
        let repeats = self.repeats.get(&node).copied().unwrap_or(0);
        match on_failure.then {
            Then::Again if all_well && repeats < on_failure.times && !self.is_ending() => {
                self.repeats.insert(node, repeats + 1);
                return self.schedule.again(node);
            }
            Then::Continue if all_well => {
                if let Some(over) = self.over.get_mut(&node) {
                    over.handled = true;
                }
            }
            Then::Stop if all_well && !on_failure.steps.is_empty() => {
                if let Some(over) = self.over.get_mut(&node) {
                    over.handled = true;
                }
                self.block(node, false, format!("`{id}` failed, and no change is made after its remedy"));
            }
            Then::Stop if step.kind.is_read() && !all_well => self.block(node, false, format!("`{id}` failed")),
            _ => self.block(node, false, format!("`{id}` failed")),
        }
        self.inner_left_out(node, "its step is over");
        self.finish(node);
    }

    fn escalation(&self, escalation: &Escalation) -> (Option<String>, String) {
        let scope = self.shared.values.scope(self.now());
        let text = escalation.text.render(&scope, Place::Plain);
        let text = text.map_or_else(|_| escalation.text.source_text().to_owned(), |text| text.to_string());
        (escalation.to.as_ref().map(|to| to.value.clone()), text)
    }

    fn escalate(&mut self, to: Option<String>, text: String) {
        if self.tally.escalation.is_some() {
            return;
        }
        self.log(Event::Escalated { to: to.clone(), text: text.clone() });
        self.tally.escalation = Some((to, text));
        if !self.in_finally {
            self.early.get_or_insert(Early::Escalated);
            self.cancel.cancel();
            self.void_prompts("the run is escalated");
        }
    }

    /// A decide came to something.
    pub(super) fn option_chosen(&mut self, node: NodeId, choice: Choice) {
        let places = match choice {
            Choice::Options(places) => places,
            Choice::NotPerformed(reason) => {
                return self.step_ended(node, StepEnd::because(Outcome::NotPerformed, reason));
            }
            Choice::Failed(reason) => {
                let id = self.graph().node(node).id.clone();
                self.tally.undecided.get_or_insert(format!("`{id}`: {reason}"));
                self.block(node, false, format!("`{id}` was not decided"));
                return self.step_ended(node, StepEnd::because(Outcome::Failed, reason));
            }
        };
        self.live = self.live.saturating_sub(1);
        self.keep_choice(node, &places);
        let taken = places.clone();
        let out = self
            .schedule
            .open(node, move |parent| matches!(parent, Parent::Option(_, place) if taken.contains(&place)));
        self.chosen.insert(node, places);
        for id in out {
            self.not_taken(id);
        }
        self.join_if_done(node);
    }

    /// The values of a decide: who chose what.
    fn keep_choice(&mut self, node: NodeId, places: &[usize]) {
        let graph = self.graph().clone();
        let step = &graph.node(node).step;
        let StepBody::Decide(decide) = &step.body else { return };
        let name = |place: &usize| {
            decide.options.keys().nth(*place).map_or_else(|| "otherwise".to_owned(), |name| name.value.clone())
        };
        let names: Vec<_> = places.iter().map(name).collect();
        let chosen =
            if decide.all { Value::from(names) } else { Value::from(names.first().cloned().unwrap_or_default()) };
        let mut values: IndexMap<String, Value> = IndexMap::from([
            ("chosen".to_owned(), chosen),
            ("outcome".to_owned(), Value::from("succeeded")),
            ("error".to_owned(), Value::from(())),
            ("ended".to_owned(), Time(self.now()).into()),
        ]);
        for option in decide.options.values().chain(&decide.otherwise) {
            for name in option.set.keys() {
                let absent =
                    unknown(UnknownSort::Unobtained, format!("the option that sets `{}` was not taken", name.value));
                values.entry(name.value.clone()).or_insert(absent);
            }
        }
        self.shared.values.set_step(&graph.node(node).id, Value::from_pairs(values));
    }

    fn join_if_done(&mut self, holder: NodeId) {
        if self.schedule.inner_left(holder) == 0 {
            self.join(holder);
        }
    }

    /// Everything inside a holder is over.
    fn join(&mut self, holder: NodeId) {
        let graph = self.graph().clone();
        let step = &graph.node(holder).step;
        let failure_steps: Vec<NodeId> = graph
            .node(holder)
            .children
            .iter()
            .copied()
            .filter(|&child| matches!(graph.node(child).parent, Some(Parent::Failure(_))))
            .collect();
        let failed_before = self.over.get(&holder).is_some_and(|over| over.failed);
        if failed_before && let Some(on_failure) = &step.on_failure {
            let all_well =
                failure_steps.iter().all(|child| self.over.get(child).is_none_or(|over| !over.failed || over.handled));
            return self.after_failure(holder, step, on_failure, all_well);
        }
        match &step.body {
            StepBody::Group(_) => self.join_group(holder, step),
            StepBody::Decide(_) => self.join_decide(holder),
            StepBody::Action(_) => self.finish(holder),
        }
    }

    fn join_group(&mut self, holder: NodeId, step: &Step) {
        let graph = self.graph().clone();
        let own = |child: &&NodeId| matches!(graph.node(**child).parent, Some(Parent::Group(_)));
        let failed = graph
            .node(holder)
            .children
            .iter()
            .filter(own)
            .any(|child| self.over.get(child).is_some_and(|over| over.failed && !over.handled));
        let mut end = StepEnd::new(if failed { Outcome::Failed } else { Outcome::Succeeded });
        end.reason = failed.then(|| "a step inside it failed".to_owned());
        self.keep_values(holder, step, &end);
        self.turn += 1;
        let over =
            Over { outcome: end.outcome, verdict: None, failed, handled: false, not_meant: false, turn: self.turn };
        self.over.insert(holder, over);
        if failed && let Some(on_failure) = &step.on_failure {
            self.log_end(holder, step, &end, true);
            return self.answer_failure(holder, step, on_failure);
        }
        self.finish(holder);
    }

    fn join_decide(&mut self, holder: NodeId) {
        let graph = self.graph().clone();
        let StepBody::Decide(decide) = &graph.node(holder).step.body else { return };
        let places = self.chosen.get(&holder).cloned().unwrap_or_default();
        let options: Vec<_> = decide.options.values().chain(&decide.otherwise).collect();
        let taken: Vec<_> = places.iter().filter_map(|place| options.get(*place).copied()).collect();
        self.turn += 1;
        let over = Over {
            outcome: Outcome::Succeeded,
            verdict: None,
            failed: false,
            handled: false,
            not_meant: false,
            turn: self.turn,
        };
        self.over.insert(holder, over);
        let id = graph.node(holder).id.clone();
        let scope = self.shared.values.scope(self.now());
        if let Some(before) = self.shared.values.step(&id) {
            let mut values: IndexMap<String, Value> = IndexMap::new();
            if let Ok(keys) = before.try_iter() {
                values.extend(keys.map(|key| (key.to_string(), before.get_item(&key).unwrap_or_default())));
            }
            for (name, expr) in taken.iter().flat_map(|option| &option.set) {
                let value = expr.eval(&scope).unwrap_or_else(|error| unknown(UnknownSort::Unobtained, error.message));
                values.insert(name.value.clone(), value);
            }
            self.shared.values.set_step(&id, Value::from_pairs(values));
        }
        for option in taken {
            if let Some(escalation) = &option.escalate {
                let (to, text) = self.escalation(escalation);
                self.escalate(to, text);
            }
            if let Some(end) = option.end
                && !self.in_finally
            {
                self.early.get_or_insert(Early::Option(end));
                self.cancel.cancel();
            }
        }
        self.finish(holder);
    }

    fn finish(&mut self, node: NodeId) {
        for id in self.schedule.close_inside(node) {
            self.not_taken(id);
        }
        if let Some(holder) = self.schedule.end(node) {
            self.join(holder);
        }
    }

    /// A step of a branch that was not taken: nothing is on record for it, its values are unknown with that reason.
    fn not_taken(&mut self, node: NodeId) {
        let graph = self.graph().clone();
        let reason = match graph.node(node).parent {
            Some(Parent::Failure(holder)) => format!("`{}` did not fail", graph.node(holder).id),
            _ => "it stands in an option that was not taken".to_owned(),
        };
        self.unperformed(node, &reason);
    }

    fn unperformed(&mut self, node: NodeId, reason: &str) {
        let graph = self.graph().clone();
        let step = graph.node(node).step.clone();
        let end = StepEnd::because(Outcome::Skipped, reason);
        self.keep_values(node, &step, &end);
        self.turn += 1;
        let over = Over {
            outcome: Outcome::Skipped,
            verdict: None,
            failed: false,
            handled: false,
            not_meant: true,
            turn: self.turn,
        };
        self.over.entry(node).or_insert(over);
    }

    fn close_arms(&mut self, node: NodeId) {
        let children = self.graph().node(node).children.clone();
        for child in children {
            if !matches!(self.graph().node(child).parent, Some(Parent::Failure(_))) {
                for id in self.schedule.close(child) {
                    self.not_taken(id);
                }
            }
        }
    }

    fn inner_left_out(&mut self, node: NodeId, reason: &str) {
        for id in self.schedule.close_inside(node) {
            self.unperformed(id, reason);
        }
    }

    /// A step that was ready when the run began to end.
    pub(super) fn left_out(&mut self, node: NodeId, reason: &str) {
        self.log_step(node, Event::StepSkipped { reason: reason.to_owned(), deviation: false });
        self.unperformed(node, reason);
        self.missed(node);
        self.finish(node);
    }

    /// A step that the end of the run left out was meant to be performed, unless the runbook itself says `end:` there.
    fn missed(&mut self, node: NodeId) {
        let by_runbook = matches!(self.early, Some(Early::Option(_)));
        if let Some(over) = self.over.get_mut(&node) {
            over.not_meant = by_runbook;
        }
    }

    /// Leaves out what has not started: the run ends early.
    pub(super) fn close_body(&mut self) {
        let closed = self.schedule.close_body();
        for id in closed {
            self.unperformed(id, "the run ended before it");
            self.missed(id);
        }
        while let Some(holder) = self.schedule.joinable() {
            self.join(holder);
        }
    }
}

fn verdict_word(verdict: StepVerdict) -> &'static str {
    match verdict {
        StepVerdict::Holds => "holds",
        StepVerdict::DoesNotHold => "does_not_hold",
        StepVerdict::CannotTell => "cannot_tell",
    }
}
