//! What follows from the end of a step.

use super::super::body::{At, Blocker, BodyId, Early, Over, Standing};
use super::super::change::outcome_word;
use super::super::message::StepEnd;
use super::super::past::PastMoment;
use super::Dispatcher;
use crate::event::{Event, KEPT, Outcome, StepVerdict};
use crate::expr::{Place, Time, UnknownSort, Value, unknown};
use crate::graph::{Parent, Section, step_shape};
use crate::runbook::{Action, Escalation, Kind, OnFailure, Step, StepBody, Temporary, Then};
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};

impl Dispatcher {
    /// A step's task is over.
    pub(super) fn step_ended(&mut self, at: At, end: StepEnd) {
        if self.is_undo(at) {
            return self.taken_back(at, &end);
        }
        let is_again = self.is_restarting(at);
        self.task_over(at);
        if is_again {
            return self.lost_beside(at, end);
        }
        if let Some(past) = &end.past {
            self.recall(at, past);
        }
        let step = self.bodies.node(at).step.clone();
        let is_group = matches!(step.body, StepBody::Group(_)) && step.each.is_none();
        if is_group && end.outcome == Outcome::Succeeded {
            let out = self.bodies[at.body].schedule.open(at.node, |parent| matches!(parent, Parent::Group(_)));
            debug_assert!(out.is_empty());
            return self.join_if_done(at);
        }
        let answered = end.is_failure() && step.on_failure.is_some();
        self.log_end(at, &step, &end, answered);
        self.keep_values(at, &step, &end);
        self.bookkeeping(at, &step, &end);
        if let Some((to, text)) = end.escalate.clone() {
            self.escalate(at.body, to, text);
        }
        if end.is_failure()
            && let Some(on_failure) = &step.on_failure
        {
            return self.answer_failure(at, &step, on_failure);
        }
        if matches!(step.body, StepBody::Decide(_) | StepBody::Group(_)) {
            let reason = end.reason.clone().unwrap_or_else(|| "its holder was left out".to_owned());
            self.inner_left_out(at, &reason);
        }
        self.finish(at);
    }

    pub(super) fn log_end(&mut self, at: At, step: &Step, end: &StepEnd, handled: bool) {
        let is_plain_group = matches!(step.body, StepBody::Group(_)) && step.each.is_none();
        if is_plain_group && end.outcome != Outcome::Skipped && !end.is_failure() {
            return;
        }
        self.log_step(at, end.event(step, handled));
    }

    /// What later steps see of this one.
    pub(super) fn keep_values(&mut self, at: At, step: &Step, end: &StepEnd) {
        let id = self.bodies.node(at).id.clone();
        let mut values: IndexMap<String, Value> = IndexMap::new();
        if let StepBody::Action(action) = &step.body {
            let why = end.reason.clone().unwrap_or_else(|| outcome_word(end.outcome).to_owned());
            let sort = if end.outcome == Outcome::NotPerformed { UnknownSort::NotYet } else { UnknownSort::Unobtained };
            let absent = |name: &str| unknown(sort, format!("`{id}` gave no `{name}`: {why}"));
            let outputs = match action {
                Action::Runbook(call) => self.bodies[at.body].scene.graph.called(&call.name.value),
                _ => None,
            };
            let outputs = outputs.into_iter().flat_map(|graph| graph.runbook().outputs.keys());
            let captured = outputs.chain(step.capture.keys()).map(|name| name.value.clone());
            let names = step_shape(action).into_keys().chain(captured);
            values.extend(names.map(|name| (name.clone(), absent(&name))));
        }
        if step.hold.is_some() {
            let why = end.reason.clone().unwrap_or_else(|| outcome_word(end.outcome).to_owned());
            for name in ["samples", "held"] {
                let absent = || unknown(UnknownSort::Unobtained, format!("`{id}` gave no `{name}`: {why}"));
                // What was sampled before a stretch broke off was seen all the same.
                values.insert(name.to_owned(), end.values.get(name).cloned().unwrap_or_else(absent));
            }
        }
        if step.each.is_some() {
            let why = end.reason.clone().unwrap_or_else(|| outcome_word(end.outcome).to_owned());
            let absent = |name: &str| unknown(UnknownSort::Unobtained, format!("`{id}` gave no `{name}`: {why}"));
            values.extend(["results", "items"].map(|name| (name.to_owned(), absent(name))));
        }
        // What a failed read gave is no evidence for anything later; a failed change, or a list of which items failed,
        // may be reported on.
        if end.outcome == Outcome::Succeeded || step.change.is_some() || step.each.is_some() {
            values.extend(end.values.clone());
            values.extend(end.captures.clone());
        }
        let word = |text: &str| Value::from(text);
        values.insert("outcome".into(), word(outcome_word(end.outcome)));
        values.insert("verdict".into(), end.verdict.map_or(Value::from(()), |verdict| word(verdict.as_str())));
        values.insert("error".into(), end.error.as_ref().map_or(Value::from(()), |error| word(&error.to_string())));
        values.insert("attempts".into(), Value::from(end.attempts));
        let ended = end.past.as_ref().map_or_else(|| self.now(), |past| past.ended);
        values.insert("ended".into(), Time(ended).into());
        let started = self.bodies[at.body].started.get(&at.node);
        let not = || unknown(UnknownSort::Unobtained, "the step did not start");
        values.insert("started".into(), started.map_or_else(not, |started| Time(*started).into()));
        self.bodies[at.body].scene.values.set_step(&id, Value::from_pairs(values));
    }

    fn bookkeeping(&mut self, at: At, step: &Step, end: &StepEnd) {
        self.turn += 1;
        let turn = end.past.as_ref().map_or(self.turn, |past| past.seq);
        let failed = end.is_failure() || end.outcome == Outcome::Cancelled;
        let not_meant = end.outcome == Outcome::Skipped && !end.deviation && step.change.is_none();
        let body = &mut self.bodies[at.body];
        let over = Over {
            verdict: end.verdict,
            failed,
            not_meant,
            blocked: end.blocked,
            error: end.error.clone(),
            left: body.left(at.node, end.undone),
            ..Over::new(end.outcome, turn)
        };
        body.over.insert(at.node, over);
        if step.each.is_some() && end.outcome == Outcome::Succeeded {
            body.excuse_items(at.node);
        }
        if body.item_of.is_some() && !end.captures.is_empty() {
            let id = body.node(at.node).id.to_string();
            let captures = end.captures.iter().map(|(name, value)| (name.clone(), value.clone()));
            body.captures.insert(id, Value::from_pairs(captures));
        }
        let path = self.bodies.path(at);
        let in_body = self.bodies.node(at).section == Section::Body;
        let undo = self.bodies[at.body].undo.get(&at.node).cloned();
        let until = match &end.past {
            Some(past) => past.until,
            None => self.until(at, step),
        };
        self.tell_change(at, step, end, undo.as_ref(), until);
        let tally = &mut self.bodies.owner_mut(at.body).tally;
        if end.changed {
            tally.changes += end.attempts.max(1);
            // What `finally` clears away is not what the validations are about.
            if in_body {
                tally.last_change = turn;
            }
        }
        let stands = end.changed && matches!(end.outcome, Outcome::Succeeded | Outcome::Unknown);
        let clears = step.change.as_ref().is_some_and(|change| matches!(change.temporary, Some(Temporary::Run)));
        if stands
            && !clears
            && let Some(undo) = undo.filter(|undo| !undo.starts_with(KEPT))
        {
            let when =
                until.map_or_else(String::new, |until| format!(" (at {})", until.strftime("%Y-%m-%d %H:%M:%S UTC")));
            tally.standing.push(Standing { text: format!("{path}: {undo}{when}"), until });
        }
        if end.outcome == Outcome::Declined {
            let reason = end.reason.clone().unwrap_or_default();
            tally.declined.get_or_insert(format!("`{path}`: {reason}"));
            self.block(at, false, format!("a person said no to `{path}`"));
        }
        if end.undecided {
            let reason = end.reason.clone().unwrap_or_default();
            self.bodies.owner_mut(at.body).tally.undecided.get_or_insert(format!("`{path}`: {reason}"));
        }
        if end.deviation {
            let text = format!("`{path}` was left out: {}", end.reason.clone().unwrap_or_default());
            self.log(Event::Deviated { text });
        }
        if !end.is_failure() || step.on_failure.is_some() {
            return;
        }
        self.block_by_default(at, step, end);
        if step.background.is_some() && end.past.is_some() {
            self.miss(at);
        }
    }

    /// A step that an earlier process performed: what the dispatcher knew of it besides.
    fn recall(&mut self, at: At, past: &PastMoment) {
        if let Some(undo) = &past.undo {
            self.keep_undo(at, undo.clone());
        }
    }

    /// Says on record that a change stands from here on, as far as is known.
    fn tell_change(&mut self, at: At, step: &Step, end: &StepEnd, undo: Option<&String>, until: Option<Timestamp>) {
        if !end.changed || !matches!(end.outcome, Outcome::Succeeded | Outcome::Unknown | Outcome::Failed) {
            return;
        }
        let temporary = step.change.as_ref().is_some_and(|change| matches!(change.temporary, Some(Temporary::Run)));
        self.log_step(at, Event::ChangeMade { undo: undo.cloned(), until, temporary });
    }

    /// When a change that was just made ends by itself.
    fn until(&self, at: At, step: &Step) -> Option<Timestamp> {
        let Some(Temporary::Ends(spec)) = &step.change.as_ref()?.temporary else { return None };
        let now = self.now();
        let length = crate::plan::duration(spec, &self.bodies[at.body].scene.values.scope(now)).ok()??;
        now.checked_add(SignedDuration::try_from(length).ok()?).ok()
    }

    /// What a failure blocks when nothing answers it (`format.md` 5, ruling 7).
    pub(super) fn block_by_default(&mut self, at: At, step: &Step, end: &StepEnd) {
        let path = self.bodies.path(at);
        match step.kind {
            Kind::Validate => {
                let word =
                    if end.verdict == Some(StepVerdict::DoesNotHold) { "does not hold" } else { "cannot be told" };
                self.block(at, true, format!("validation `{path}` {word}"));
            }
            Kind::Diagnose => {}
            _ => {
                let word = if end.outcome == Outcome::Unknown { "has an unknown outcome" } else { "failed" };
                self.block(at, false, format!("`{path}` {word}"));
            }
        }
    }

    pub(super) fn block(&mut self, by: At, later_only: bool, reason: String) {
        self.bodies[by.body].blockers.push(Blocker { by: by.node, later_only, reason });
    }

    /// A failure is answered by the step's own `on_failure`. On a group that is any failure inside, and what the
    /// failures inside have blocked is this answer's business now (ruling 30).
    pub(super) fn answer_failure(&mut self, at: At, step: &Step, on_failure: &OnFailure) {
        self.bodies[at.body].lift_blockers_inside(at.node);
        if let Some(escalation) = &on_failure.escalate {
            let (to, text) = self.escalation(at.body, escalation);
            self.escalate(at.body, to, text);
            self.inner_left_out(at, "the run was escalated");
            return self.finish(at);
        }
        if !on_failure.steps.is_empty() {
            self.close_arms(at);
            self.bodies[at.body].schedule.open_failure(at.node);
            return self.join_if_done(at);
        }
        self.after_failure(at, step, on_failure, true);
    }

    /// The steps of `on_failure` are over (or there were none).
    pub(super) fn after_failure(&mut self, at: At, step: &Step, on_failure: &OnFailure, all_well: bool) {
        let path = self.bodies.path(at);
        let is_ending = self.is_ending(at.body);
        let body = &mut self.bodies[at.body];
        let repeats = body.repeats.get(&at.node).copied().unwrap_or(0);
        match on_failure.then {
            Then::Again if all_well && repeats < on_failure.times && !is_ending => {
                body.repeats.insert(at.node, repeats + 1);
                body.forget_inside(at.node);
                return body.schedule.again(at.node);
            }
            Then::Continue if all_well => body.handle_inside(at.node),
            Then::Stop if all_well && !on_failure.steps.is_empty() => {
                body.handle_inside(at.node);
                self.block(at, false, format!("`{path}` failed, and no change is made after its remedy"));
            }
            Then::Stop if step.kind.is_read() && !all_well => self.block(at, false, format!("`{path}` failed")),
            _ => self.block(at, false, format!("`{path}` failed")),
        }
        self.inner_left_out(at, "its step is over");
        self.finish(at);
    }

    pub(super) fn escalation(&self, body: BodyId, escalation: &Escalation) -> (Option<String>, String) {
        let scope = self.bodies[body].scene.values.scope(self.now());
        let text = escalation.text.render(&scope, Place::Plain);
        let text = text.map_or_else(|_| escalation.text.source_text().to_owned(), |text| text.to_string());
        (escalation.to.as_ref().map(|to| to.value.clone()), text)
    }

    /// Hands the runbook that a body belongs to over to people.
    pub(super) fn escalate(&mut self, body: BodyId, to: Option<String>, text: String) {
        let id = self.bodies[body].owner;
        if self.bodies[id].tally.escalation.is_some() {
            return;
        }
        // What a called runbook escalates, its caller escalates too, and that is told once.
        if id == BodyId::ROOT {
            self.log(Event::Escalated { to: to.clone(), text: text.clone() });
        }
        let owner = &mut self.bodies[id];
        owner.tally.escalation = Some((to, text));
        if !owner.in_finally {
            self.end_early(id, Early::Escalated, false);
            self.void_prompts(id, "the run is escalated");
        }
    }
}
