//! Bodies inside bodies: opened for a holder, ended with the runbook around them, closed when all in them is over.

use super::super::body::{At, Body, BodyId, Early, Finding};
use super::super::message::{BodyEnd, Opening};
use super::super::run::Acts;
use super::Dispatcher;
use crate::event::{Outcome, RunResult};
use crate::expr::{UnknownSort, unknown};
use crate::graph::{Parent, Section};
use crate::runbook::{Kind, StepBody};
use indexmap::IndexMap;
use tokio::sync::oneshot;

impl Dispatcher {
    /// Opens a body for a step that waits for it.
    pub(super) fn open_body(&mut self, holder: At, opening: Opening, reply: oneshot::Sender<BodyEnd>) {
        self.bodies[holder.body].holding.remove(&holder.node);
        if self.is_ending(holder.body) || self.halted(holder).is_some() {
            reply.send(BodyEnd::because(Outcome::Cancelled, "the run is ending")).ok();
            return;
        }
        self.bodies.open(holder, opening, reply);
    }

    /// A holder says that it only waits.
    pub(super) fn holds(&mut self, at: At, open: usize) {
        self.bodies[at.body].holding.insert(at.node, open);
    }

    /// Ends a runbook early, and those that it has called: what runs is stopped, nothing more is started. A `finally`
    /// that runs is left to its end, unless it may touch nothing more either.
    pub(super) fn end_early(&mut self, outer: BodyId, early: Early, even_finally: bool) {
        let mut early = Some(early);
        for id in self.bodies.ids() {
            let is_meant = self.bodies.is_within(id, outer) && self.bodies[id].owner == id;
            let body = &mut self.bodies[id];
            if is_meant && (even_finally || !body.in_finally) {
                let why = if id == outer { early.take() } else { None };
                body.early.get_or_insert(why.unwrap_or(Early::Caller));
                body.cancel.cancel();
            }
        }
    }

    /// Why a branch that a step stands in, or one around it, is not gone on with.
    pub(in super::super) fn halted(&self, at: At) -> Option<String> {
        for at in self.bodies.chain(at) {
            if self.bodies.node(at).section == Section::Finally {
                return None;
            }
            if let Some(reason) = self.bodies[at.body].halts(at.node) {
                return Some(reason.to_owned());
            }
        }
        None
    }

    /// `first_failure: cancel`: the branches beside one that failed are not gone on with. Their running reads are
    /// stopped; a running change is not.
    pub(super) fn halt_beside(&mut self, at: At) {
        let body = &self.bodies[at.body];
        let Some(Parent::Group(group)) = body.node(at.node).parent else { return };
        let failed = body.over.get(&at.node).is_some_and(super::super::body::Over::is_trouble);
        if !failed || !body.node(group).step.cancels_on_failure() || self.halted(at).is_some() {
            return;
        }
        let reason =
            format!("`{}` failed, and `{}` stops at its first failure", body.node(at.node).id, body.node(group).id);
        let beside = body.node(group).children.iter().copied();
        let beside: Vec<_> =
            beside.filter(|&id| id != at.node && matches!(body.node(id).parent, Some(Parent::Group(_)))).collect();
        let body = &mut self.bodies[at.body];
        body.halted.extend(beside.into_iter().map(|id| (id, reason.clone())));
        self.stop_halted(&reason);
    }

    /// Stops the running reads, and takes back the prompts, of branches that are not gone on with.
    pub(super) fn stop_halted(&mut self, reason: &str) {
        for (at, cancel) in &self.running {
            if !self.is_change(*at) && self.halted(*at).is_some() {
                cancel.cancel();
            }
        }
        self.void_prompts_where(reason, |run, pending| run.halted(pending).is_some());
    }

    /// Closes a body that has nothing left to do, and tells its holder what it came to.
    pub(super) fn close_if_done(&mut self, id: BodyId) {
        let body = &self.bodies[id];
        let Some(holder) = body.holder.filter(|_| body.live == 0 && body.schedule.is_all_done()) else { return };
        let end = if body.item_of.is_some() { self.item_end(id) } else { self.call_end(id) };
        self.fold(id, holder, &end);
        let body = &mut self.bodies[id];
        body.is_open = false;
        let reply = body.reply.take();
        self.bodies[holder.body].holding.remove(&holder.node);
        if let Some(reply) = reply {
            reply.send(end).ok();
        }
    }

    /// What one item of a loop came to.
    fn item_end(&self, id: BodyId) -> BodyEnd {
        let body = &self.bodies[id];
        let top = |node: &crate::graph::NodeId| body.node(*node).parent.map(Parent::id) == body.item_of;
        let all = || body.over.iter();
        let trouble = |outcome: Outcome| all().find(|(_, over)| over.outcome == outcome && over.is_trouble());
        let failed = all().find(|(node, over)| top(node) && over.is_trouble() && over.outcome != Outcome::Cancelled);
        let declined = all().find(|(_, over)| over.outcome == Outcome::Declined && !over.handled);
        let is_ending = self.is_ending(id) || body.holder.is_some_and(|holder| self.halted(holder).is_some());
        let blocked = all().find(|(_, over)| over.blocked);
        let (outcome, by) = if let Some((node, _)) = trouble(Outcome::Unknown) {
            (Outcome::Unknown, Some(node))
        } else if let Some((node, _)) = failed {
            (Outcome::Failed, Some(node))
        } else if let Some((node, _)) = declined {
            (Outcome::Declined, Some(node))
        } else if is_ending {
            return BodyEnd::because(Outcome::Cancelled, "the run is ending");
        } else if let Some((node, _)) = trouble(Outcome::Cancelled) {
            (Outcome::Cancelled, Some(node))
        } else if let Some((node, _)) = blocked {
            (Outcome::Skipped, Some(node))
        } else {
            (Outcome::Succeeded, None)
        };
        let mut end = BodyEnd::new(outcome);
        end.values.clone_from(&body.captures);
        if let Some(node) = by {
            let (node, over) = innermost(body, *node);
            end.error.clone_from(&over.error);
            end.reason = Some(format!("`{}` {}", body.node(node).id, trouble_word(over)));
        }
        end
    }

    /// What a called runbook came to (ruling 32).
    fn call_end(&self, id: BodyId) -> BodyEnd {
        let body = &self.bodies[id];
        let runbook = body.scene.graph.runbook();
        if body.early == Some(Early::Caller) {
            return BodyEnd::because(Outcome::Cancelled, "the run is ending");
        }
        let proof = body.proof();
        let (result, mut reasons) = body.result(&proof);
        reasons.extend(proof.reasons.clone());
        reasons.dedup();
        let well = matches!(result, RunResult::Resolved | RunResult::Completed | RunResult::NoAction);
        let untouched = self.shared.acts == Acts::Reads && body.scene.graph.has_change();
        let mut end = BodyEnd::new(if untouched {
            Outcome::NotPerformed
        } else if well {
            Outcome::Succeeded
        } else if result == RunResult::Declined {
            // A person who says no inside says no to what the caller wanted.
            Outcome::Declined
        } else {
            Outcome::Failed
        });
        if untouched {
            end.reason = Some("a probe changes nothing".to_owned());
        } else if !well {
            let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
            end.reason = Some(format!("`{}` ended as {}{why}", runbook.id(), result.as_str()));
        }
        let scope = body.scene.values.scope(self.now());
        let output = |expr: &crate::expr::Expr| {
            expr.eval(&scope).unwrap_or_else(|error| unknown(UnknownSort::Unobtained, error.message))
        };
        end.values = runbook.outputs.iter().map(|(name, expr)| (name.value.clone(), output(expr))).collect();
        // What it would come to with its changes is not known in a probe.
        end.result = (!untouched).then_some(result);
        end.escalated.clone_from(&body.tally.escalation);
        end
    }

    /// Keeps what a body has found where it still matters: with the body around it.
    fn fold(&mut self, id: BodyId, holder: At, end: &BodyEnd) {
        let body = &mut self.bodies[id];
        let is_call = body.item_of.is_none();
        let found = std::mem::take(&mut body.found);
        let own = body.over.iter().map(|(node, over)| {
            let step = body.node(*node);
            Finding {
                holder: holder.node,
                path: body.scene.path(*node),
                kind: step.step.kind,
                in_finally: step.section == Section::Finally,
                item_failed: false,
                over: over.clone(),
            }
        });
        let item_failed = !is_call && end.outcome != Outcome::Succeeded;
        // The step that called a runbook failed where that did not go well: what stands inside says no more.
        let counts = !is_call || end.outcome == Outcome::Succeeded || self.shared.acts == Acts::Reads;
        let matters = |finding: &Finding| match finding.kind {
            Kind::Validate => counts && !(is_call && finding.in_finally),
            Kind::Remediate => !is_call && finding.over.failed,
            _ => finding.over.left.items > 0,
        };
        let mut all: Vec<Finding> = own.chain(found).filter(matters).collect();
        for finding in &mut all {
            finding.holder = holder.node;
            finding.item_failed |= item_failed;
        }
        let tally = is_call.then(|| std::mem::take(&mut body.tally));
        self.bodies[holder.body].found.extend(all);
        let Some(tally) = tally else { return };
        let in_body = self.bodies.node(holder).section == Section::Body;
        let outer = &mut self.bodies.owner_mut(holder.body).tally;
        outer.changes += tally.changes;
        outer.standing.extend(tally.standing);
        if let Some(clean) = tally.cleaned_up {
            outer.cleaned_up = Some(clean && outer.cleaned_up != Some(false));
        }
        if in_body {
            // Where its own validations held after its last change, they do so for the caller too.
            outer.last_change = outer.last_change.max(tally.last_change);
        }
    }
}

/// The step inside a holder that is the reason for its trouble.
fn innermost(body: &Body, node: crate::graph::NodeId) -> (crate::graph::NodeId, &super::super::body::Over) {
    let mut at = node;
    let is_holder = |id| !matches!(body.node(id).step.body, StepBody::Action(_)) && !body.scene.graph.is_loop(id);
    while is_holder(at) {
        let inside = |id: &&crate::graph::NodeId| body.over.get(id).is_some_and(super::super::body::Over::is_trouble);
        match body.node(at).children.iter().find(inside) {
            Some(&child) => at = child,
            None => break,
        }
    }
    (at, &body.over[&at])
}

fn trouble_word(over: &super::super::body::Over) -> &'static str {
    use crate::event::StepVerdict;
    match (over.outcome, over.verdict) {
        (Outcome::Unknown, _) => "has an unknown outcome",
        (Outcome::Declined, _) => "was declined",
        (Outcome::Cancelled, _) => "was stopped",
        (Outcome::Skipped, _) => "was left out, because changes are blocked",
        (Outcome::Succeeded, Some(StepVerdict::DoesNotHold)) => "does not hold",
        (Outcome::Succeeded, Some(StepVerdict::CannotTell)) => "cannot be told",
        (Outcome::TimedOut, _) => "timed out",
        _ => "failed",
    }
}

impl BodyEnd {
    fn new(outcome: Outcome) -> Self {
        Self { outcome, error: None, reason: None, result: None, escalated: None, values: IndexMap::new() }
    }

    fn because(outcome: Outcome, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..Self::new(outcome) }
    }
}
