//! Holders: which of their branches are opened, what they come to when everything inside is over, what is left out.

use super::super::body::{At, BodyId, Early, Over};
use super::super::message::{Choice, StepEnd};
use super::Dispatcher;
use crate::event::{Event, Outcome};
use crate::expr::{Time, UnknownSort, Value, unknown};
use crate::graph::Parent;
use crate::runbook::{Step, StepBody};
use indexmap::IndexMap;

impl Dispatcher {
    /// A decide came to something.
    pub(super) fn option_chosen(&mut self, at: At, choice: Choice) {
        let places = match choice {
            Choice::Options(places) => places,
            Choice::NotPerformed(reason) => {
                return self.step_ended(at, StepEnd::because(Outcome::NotPerformed, reason));
            }
            Choice::Failed(reason) => {
                let path = self.bodies.path(at);
                self.bodies.owner_mut(at.body).tally.undecided.get_or_insert(format!("`{path}`: {reason}"));
                self.block(at, false, format!("`{path}` was not decided"));
                return self.step_ended(at, StepEnd::because(Outcome::Failed, reason));
            }
        };
        self.task_over(at);
        self.keep_choice(at, &places);
        let body = &mut self.bodies[at.body];
        let taken = places.clone();
        let out = body
            .schedule
            .open(at.node, move |parent| matches!(parent, Parent::Option(_, place) if taken.contains(&place)));
        body.chosen.insert(at.node, places);
        for id in out {
            self.not_taken(at.beside(id));
        }
        self.join_if_done(at);
    }

    /// The values of a decide: who chose what.
    fn keep_choice(&mut self, at: At, places: &[usize]) {
        let node = self.bodies.node(at).clone();
        let StepBody::Decide(decide) = &node.step.body else { return };
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
        self.bodies[at.body].scene.values.set_step(&node.id, Value::from_pairs(values));
    }

    pub(super) fn join_if_done(&mut self, holder: At) {
        if self.bodies[holder.body].schedule.inner_left(holder.node) == 0 {
            self.join(holder);
        }
    }

    /// Everything inside a holder is over.
    fn join(&mut self, holder: At) {
        let body = &self.bodies[holder.body];
        let node = body.node(holder.node).clone();
        let failed_before = body.over.get(&holder.node).is_some_and(|over| over.failed);
        if failed_before && let Some(on_failure) = &node.step.on_failure {
            let all_well = node
                .children
                .iter()
                .filter(|&&child| matches!(body.node(child).parent, Some(Parent::Failure(_))))
                .all(|child| body.over.get(child).is_none_or(|over| !over.failed || over.handled));
            return self.after_failure(holder, &node.step, on_failure, all_well);
        }
        match &node.step.body {
            StepBody::Group(_) => self.join_group(holder, &node.step),
            StepBody::Decide(_) => self.join_decide(holder),
            StepBody::Action(_) => self.finish(holder),
        }
    }

    fn join_group(&mut self, holder: At, step: &Step) {
        let body = &self.bodies[holder.body];
        let own = |child: &&_| matches!(body.node(**child).parent, Some(Parent::Group(_)));
        let mut children = body.node(holder.node).children.iter().filter(own);
        let failed = children.any(|child| body.over.get(child).is_some_and(|over| over.failed && !over.handled));
        let mut end = StepEnd::new(if failed { Outcome::Failed } else { Outcome::Succeeded });
        end.reason = failed.then(|| "a step inside it failed".to_owned());
        self.keep_values(holder, step, &end);
        self.turn += 1;
        let over = Over { failed, ..Over::new(end.outcome, self.turn) };
        self.bodies[holder.body].over.insert(holder.node, over);
        if failed && let Some(on_failure) = &step.on_failure {
            self.log_end(holder, step, &end, true);
            return self.answer_failure(holder, step, on_failure);
        }
        self.finish(holder);
    }

    fn join_decide(&mut self, holder: At) {
        let node = self.bodies.node(holder).clone();
        let StepBody::Decide(decide) = &node.step.body else { return };
        let places = self.bodies[holder.body].chosen.get(&holder.node).cloned().unwrap_or_default();
        let options: Vec<_> = decide.options.values().chain(&decide.otherwise).collect();
        let taken: Vec<_> = places.iter().filter_map(|place| options.get(*place).copied()).collect();
        self.turn += 1;
        self.bodies[holder.body].over.insert(holder.node, Over::new(Outcome::Succeeded, self.turn));
        let known = self.bodies[holder.body].scene.values.clone();
        let scope = known.scope(self.now());
        if let Some(before) = known.step(&node.id) {
            let mut values: IndexMap<String, Value> = IndexMap::new();
            if let Ok(keys) = before.try_iter() {
                values.extend(keys.map(|key| (key.to_string(), before.get_item(&key).unwrap_or_default())));
            }
            for (name, expr) in taken.iter().flat_map(|option| &option.set) {
                let value = expr.eval(&scope).unwrap_or_else(|error| unknown(UnknownSort::Unobtained, error.message));
                values.insert(name.value.clone(), value);
            }
            known.set_step(&node.id, Value::from_pairs(values));
        }
        for option in taken {
            if let Some(escalation) = &option.escalate {
                let (to, text) = self.escalation(holder.body, escalation);
                self.escalate(holder.body, to, text);
            }
            let owner = self.bodies[holder.body].owner;
            if let Some(end) = option.end
                && !self.bodies[owner].in_finally
            {
                self.end_early(owner, Early::Option(end), false);
                self.void_prompts(owner, "the run is ending");
            }
        }
        self.finish(holder);
    }

    pub(super) fn finish(&mut self, at: At) {
        self.halt_beside(at);
        self.stop_beside_in(at);
        for id in self.bodies[at.body].schedule.close_inside(at.node) {
            self.not_taken(at.beside(id));
        }
        if let Some(holder) = self.bodies[at.body].schedule.end(at.node) {
            self.join(at.beside(holder));
        }
    }

    /// A step of a branch that was not taken: nothing is on record for it, its values are unknown with that reason.
    fn not_taken(&mut self, at: At) {
        let body = &self.bodies[at.body];
        let reason = match body.node(at.node).parent {
            Some(Parent::Failure(holder)) => format!("`{}` did not fail", body.node(holder).id),
            _ => "it stands in an option that was not taken".to_owned(),
        };
        self.unperformed(at, &reason);
    }

    pub(super) fn unperformed(&mut self, at: At, reason: &str) {
        let step = self.bodies.node(at).step.clone();
        let end = StepEnd::because(Outcome::Skipped, reason);
        self.keep_values(at, &step, &end);
        self.turn += 1;
        let over = Over { not_meant: true, ..Over::new(Outcome::Skipped, self.turn) };
        self.bodies[at.body].over.entry(at.node).or_insert(over);
    }

    pub(super) fn close_arms(&mut self, at: At) {
        let children = self.bodies.node(at).children.clone();
        for child in children {
            if !matches!(self.bodies.node(at.beside(child)).parent, Some(Parent::Failure(_))) {
                for id in self.bodies[at.body].schedule.close(child) {
                    self.not_taken(at.beside(id));
                }
            }
        }
    }

    pub(super) fn inner_left_out(&mut self, at: At, reason: &str) {
        for id in self.bodies[at.body].schedule.close_inside(at.node) {
            self.unperformed(at.beside(id), reason);
        }
    }

    /// A step that was ready when the run began to end.
    pub(super) fn left_out(&mut self, at: At, reason: &str) {
        self.log_step(
            at,
            Event::StepSkipped { reason: reason.to_owned(), deviation: false, blocked: false, ending: true },
        );
        self.unperformed(at, reason);
        self.missed(at);
        self.finish(at);
    }

    /// A step that the end of the run left out was meant to be performed, unless the runbook itself says `end:` there.
    fn missed(&mut self, at: At) {
        let by_runbook = matches!(self.bodies.owner(at.body).early, Some(Early::Option(_)));
        if let Some(over) = self.bodies[at.body].over.get_mut(&at.node) {
            over.not_meant = by_runbook;
        }
    }

    /// Leaves out what has not started: the run ends early.
    pub(super) fn close_body(&mut self, body: BodyId) {
        for node in self.bodies[body].schedule.close_body() {
            let at = At { body, node };
            self.unperformed(at, "the run ended before it");
            self.missed(at);
        }
        while let Some(node) = self.bodies[body].schedule.joinable() {
            self.join(At { body, node });
        }
    }
}
