//! A run that is taken up again: the walk through its past, up to the point where it goes on.
//!
//! Every step that may start is held back. Those that the record tells of are let go one after the other, in the order
//! of the record, and end as they ended; so joins, blockers and values come out as they did. Then processes in the
//! background are started again, changes whose end was not seen are settled in written order, and only then the rest
//! goes on.

use super::super::attempt::Task;
use super::super::body::{At, BodyId, Early, Over};
use super::super::message::StepEnd;
use super::super::past::{Past, Round};
use super::Dispatcher;
use crate::event::{Actor, ErrorClass, Event, Outcome, StepPath};
use crate::graph::NodeId;
use crate::runbook::{Action, StepBody};
use std::collections::{BTreeSet, HashSet};
use std::sync::{MutexGuard, PoisonError};

/// How far the walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What the record tells of.
    Past,
    /// What was left running is ended or waited for.
    Survivors,
    /// Processes in the background are started again.
    Restarting,
    /// Changes whose end was not seen.
    Settling,
}

/// The walk of a run that was taken up again; it is gone once the run goes on.
pub(super) struct Walk {
    stage: Stage,
    /// Steps that the record tells of, by the number of their record.
    known: BTreeSet<(u64, At)>,
    /// Steps that it does not tell of, or whose end it has not.
    held: BTreeSet<At>,
    /// Processes in the background that were relied on.
    beside: Vec<(At, Round)>,
    /// Attempts whose processes live.
    alive: usize,
    /// What the stage waits for.
    awaited: HashSet<At>,
    /// Why the run is ended as soon as it can be.
    abort: Option<String>,
}

/// Whether the record has the end of a step.
pub(super) enum EndedBefore {
    No,
    /// The end of the run, or of its branch, left it out: why.
    LeftOut(String),
    Performed,
}

impl Walk {
    pub(super) fn new(abort: Option<String>) -> Self {
        Self {
            stage: Stage::Past,
            known: BTreeSet::new(),
            held: BTreeSet::new(),
            beside: Vec::new(),
            alive: 0,
            awaited: HashSet::new(),
            abort,
        }
    }
}

impl Walk {
    /// The processes of one more attempt were seen to.
    pub(super) fn is_seen_to(&mut self) {
        self.alive = self.alive.saturating_sub(1);
    }
}

impl Dispatcher {
    pub(super) fn past(&self) -> MutexGuard<'_, Past> {
        self.shared.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a step back until its turn in the walk. False when there is no walk.
    pub(super) fn hold_back(&mut self, at: At) -> bool {
        if self.walk.is_none() {
            return false;
        }
        let known = self.told_at(at);
        if known.is_none() && self.bodies[at.body].is_sealed {
            // What holds it has ended without it.
            self.unperformed(at, "it was not performed");
            self.finish(at);
            return true;
        }
        let Some(walk) = &mut self.walk else { return false };
        match known {
            Some(seq) => walk.known.insert((seq, at)),
            None => walk.held.insert(at),
        };
        true
    }

    /// Where the record tells of a step so that it can be walked through: the number of that record.
    fn told_at(&self, at: At) -> Option<u64> {
        let path = self.path_of(at).0;
        let step = &self.node(at).step;
        let past = self.past();
        let round = past.peek(&path);
        let ended = round.and_then(|round| round.end.as_ref()).map(|end| end.seq);
        match &step.body {
            StepBody::Group(_) if step.each.is_some() => {
                let listed = round.is_some_and(|round| round.items.is_some());
                past.first_item(&path).filter(|_| listed).or(ended)
            }
            StepBody::Group(_) => self.first_inside(&past, at).or(ended),
            StepBody::Decide(_) => round.filter(|round| round.chosen.is_some()).map(|round| round.first).or(ended),
            StepBody::Action(Action::Runbook(_)) => {
                round.filter(|round| round.is_called).map(|round| round.first).or(ended)
            }
            StepBody::Action(_) => ended.or_else(|| round.filter(|round| round.is_ready).map(|round| round.first)),
        }
    }

    /// The first record of what stands inside a group.
    fn first_inside(&self, past: &Past, holder: At) -> Option<u64> {
        let body = &self.bodies[holder.body];
        let mut stack: Vec<NodeId> = body.node(holder.node).children.clone();
        let mut first: Option<u64> = None;
        while let Some(id) = stack.pop() {
            let node = body.node(id);
            stack.extend(node.children.iter().copied().filter(|_| node.item_of == body.item_of));
            let own = past.peek(&body.scene.path(id)).map(|round| round.first);
            first = first.into_iter().chain(own).min();
        }
        first
    }

    /// How a step ended before, which then comes about whatever else is so by now.
    pub(super) fn ended_before(&self, at: At) -> EndedBefore {
        let past = self.past();
        match past.peek(&self.path_of(at).0).and_then(|round| round.end.as_ref()) {
            None => EndedBefore::No,
            Some(end) if end.ending => EndedBefore::LeftOut(end.reason.clone().unwrap_or_default()),
            Some(_) => EndedBefore::Performed,
        }
    }

    /// One more step of the walk, when nothing else is going on. False when there was nothing to do.
    pub(super) fn walk_on(&mut self) -> bool {
        let is_quiet = self.busy() == 0 && self.queue.is_empty();
        let Some(walk) = &mut self.walk else { return false };
        match walk.stage {
            Stage::Past if !is_quiet => false,
            Stage::Past => {
                match walk.known.pop_first() {
                    Some((_, at)) => self.let_go_of(at),
                    None => self.past_is_over(),
                }
                true
            }
            Stage::Survivors if walk.alive > 0 => false,
            Stage::Survivors => {
                self.past_is_past();
                true
            }
            Stage::Restarting | Stage::Settling if !walk.awaited.is_empty() => false,
            Stage::Restarting => {
                self.settle_unseen();
                true
            }
            Stage::Settling => {
                self.go_on();
                true
            }
        }
    }

    fn let_go_of(&mut self, at: At) {
        let is_background = self.node(at).step.background.is_some();
        let runs = is_background
            && self.past().peek(&self.path_of(at).0).is_some_and(|round| round.is_ready && round.end.is_none());
        if runs { self.relied_on(at) } else { self.start(at) }
    }

    /// A process in the background that was relied on when the record breaks off: for the steps after it, its step is
    /// over; the process itself is started again.
    fn relied_on(&mut self, at: At) {
        let path = self.path_of(at).0;
        let round = self.past().take(&path).unwrap_or_default();
        let step = self.node(at).step.clone();
        let end = StepEnd::because(Outcome::Succeeded, "it runs in the background");
        self.keep_values(at, &step, &end);
        let turn = round.first;
        self.bodies[at.body].over.insert(at.node, Over::new(Outcome::Succeeded, turn));
        if step.change.is_some() {
            let tally = &mut self.bodies.owner_mut(at.body).tally;
            tally.changes += 1;
            tally.last_change = turn;
        }
        if let Some(walk) = &mut self.walk {
            walk.beside.push((at, round));
        }
        self.finish(at);
    }

    /// Everything that the record tells was walked through.
    fn past_is_over(&mut self) {
        if self.undoing.is_some() {
            return self.begin_undo();
        }
        let alive = self.see_to_survivors();
        if let Some(walk) = &mut self.walk {
            walk.stage = Stage::Survivors;
            walk.alive = alive;
        }
    }

    /// What was left running is seen to.
    fn past_is_past(&mut self) {
        self.close_open_attempts();
        self.restart_beside();
    }

    /// Attempts whose end was not seen get one.
    pub(super) fn close_open_attempts(&mut self) {
        let open = std::mem::take(&mut self.past().open);
        for (path, number, change) in open {
            let outcome = if change { Outcome::Unknown } else { Outcome::Cancelled };
            let event = Event::AttemptEnded {
                outcome,
                error: Some(ErrorClass::Cancelled),
                message: Some("its end was not seen: the process that had the run was gone".to_owned()),
                fields: indexmap::IndexMap::new(),
                evidence: Vec::new(),
                took_ms: 0,
                left: self.past().left_of(&path, number),
            };
            self.push(Some(path), Some(number), Actor::Runwright, event);
        }
    }

    /// Processes in the background that were relied on are started again.
    fn restart_beside(&mut self) {
        let Some(walk) = &mut self.walk else { return };
        walk.stage = Stage::Restarting;
        let beside = std::mem::take(&mut walk.beside);
        let (beside, over): (Vec<_>, Vec<_>) = beside.into_iter().partition(|(at, _)| self.is_still_needed(*at));
        for (at, _) in over {
            let step = self.node(at).step.clone();
            let end = StepEnd::because(Outcome::Succeeded, "it was no longer needed when the run was taken up again");
            self.log_end(at, &step, &end, false);
        }
        if let Some(walk) = &mut self.walk {
            walk.awaited.extend(beside.iter().map(|(at, _)| *at));
        }
        for (at, round) in beside {
            let task = Task { round, ..self.task(at) };
            self.bodies[at.body].live += 1;
            tokio::spawn(task.restart_beside());
        }
    }

    /// Whether the steps that a process in the background was started for are not over: what is taken back at the end
    /// may still need it.
    fn is_still_needed(&self, at: At) -> bool {
        let body = &self.bodies[at.body];
        let holder = body.scene.graph.holders(at.node).next();
        let is_needed = !body.in_finally || body.clearing;
        body.is_open && is_needed && holder.is_none_or(|holder| !body.over.contains_key(&holder))
    }

    /// Changes whose end was not seen are settled before anything starts (ruling 19).
    fn settle_unseen(&mut self) {
        let Some(walk) = &mut self.walk else { return };
        walk.stage = Stage::Settling;
        let held: Vec<At> = walk.held.iter().copied().collect();
        let unseen: Vec<At> = {
            let past = self.past();
            held.into_iter().filter(|at| past.has_unsettled(&self.path_of(*at).0)).collect()
        };
        for at in unseen {
            if let Some(walk) = &mut self.walk {
                walk.held.remove(&at);
                walk.awaited.insert(at);
            }
            self.start(at);
        }
    }

    /// The run goes on, or is ended.
    fn go_on(&mut self) {
        let Some(walk) = self.walk.take() else { return };
        let (aborted, refused) = {
            let past = self.past();
            (past.aborted.clone(), past.refused.clone())
        };
        self.bodies.forget_barriers();
        self.shared.goes_on.cancel();
        let root = &self.bodies[BodyId::ROOT];
        if let Some(target) = refused {
            self.end_early(BodyId::ROOT, Early::TargetRefused(target), true);
        } else if let Some(reason) = aborted {
            if !root.in_finally {
                self.bodies[BodyId::ROOT].early = None;
                self.end_early(BodyId::ROOT, Early::Aborted(reason), false);
                self.void_prompts(BodyId::ROOT, "the run is ending");
            }
        } else if let Some(reason) = walk.abort
            && !root.in_finally
        {
            let by = Actor::Person(self.operator());
            self.abort(reason, by);
        }
        for at in walk.known.into_iter().map(|(_, at)| at).chain(walk.held) {
            self.start(at);
        }
    }

    /// A change whose end was not seen is settled, or its step is over.
    pub(super) fn known(&mut self, at: At) {
        if let Some(walk) = &mut self.walk {
            walk.awaited.remove(&at);
        }
    }

    /// Whether a process in the background is being started again: its step was over before.
    pub(super) fn is_restarting(&self, at: At) -> bool {
        self.walk.as_ref().is_some_and(|walk| walk.stage == Stage::Restarting && walk.awaited.contains(&at))
    }

    /// The task of a step.
    pub(super) fn task(&self, at: At) -> Task {
        let body = &self.bodies[at.body];
        Task::new(self.shared.clone(), body.scene.clone(), at, self.bus.clone(), body.cancel.child_token())
    }

    /// Gates that the record has open and that nobody came back to are void when the run ends.
    pub(super) fn void_past_gates(&mut self) {
        let gates = std::mem::take(&mut self.past().gates);
        for (path, (number, digest)) in gates {
            let event =
                Event::GateAnswered { number, digest, answer: crate::event::GateAnswer::voided("the run ended") };
            self.push(Some(StepPath(path)), None, Actor::Runwright, event);
        }
    }
}
