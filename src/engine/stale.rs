//! Evidence that was gathered before a run was taken up again, and may not be true any more (ruling 19).

use super::attempt::Task;
use crate::expr::{Duration, Expr, Scope as _, Time};
use crate::plan::StepScope;
use crate::runbook::{Action, Step, StepBody};
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::sync::PoisonError;

impl Task {
    /// The reads that a change rests on, that ended before the run was taken up again, and longer ago than evidence is
    /// good for: one sentence each. It rests on what its act, its `when` and its list read, and on what chose the
    /// option that it stands in.
    pub(super) fn stale(&self, step: &Step, action: &Action, scope: &StepScope) -> Vec<String> {
        let before = self.shared.past.lock().unwrap_or_else(PoisonError::into_inner).last_time;
        let Some((taken_up, _)) = before else { return Vec::new() };
        let now = self.shared.clock.now();
        let limit = SignedDuration::try_from(self.shared.policy.stale_after()).unwrap_or(SignedDuration::MAX);
        let age = |id: &str| {
            let is_read = self.scene.graph.find(id).is_some_and(|id| self.scene.graph.node(id).step.kind.is_read());
            let ended = scope.lookup(id).filter(|_| is_read)?.get_attr("ended").ok()?;
            let ended = Time::of(&ended)?.0;
            Some(now.duration_since(ended)).filter(|age| ended <= taken_up && *age > limit)
        };
        let old = self.rests_on(step, action).into_iter().filter_map(|id| {
            let seconds = SignedDuration::from_secs(age(&id)?.as_secs());
            Some(format!("`{id}` was read {} ago; resume --refresh reads it again", Duration(seconds)))
        });
        old.collect()
    }

    /// The names that a change reads, and those that led to it.
    fn rests_on(&self, step: &Step, action: &Action) -> BTreeSet<String> {
        let mut expressions: Vec<&Expr> = super::facts::expressions(action);
        expressions.extend(&step.when);
        expressions.extend(step.each.as_ref().map(|each| &each.list));
        let graph = &self.scene.graph;
        for holder in graph.holders(self.at.node) {
            let holder = &graph.node(holder).step;
            expressions.extend(&holder.when);
            expressions.extend(holder.each.as_ref().map(|each| &each.list));
            if let StepBody::Decide(decide) = &holder.body {
                expressions.extend(decide.options.values().filter_map(|option| option.when.as_ref()));
                expressions.extend(&holder.show);
            }
        }
        let references = expressions.into_iter().flat_map(Expr::references);
        references.filter_map(|reference| reference.path.into_iter().next()).collect()
    }
}
