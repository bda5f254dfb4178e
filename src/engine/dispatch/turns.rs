//! Turns: which task may perform now, and at which place.

use super::super::body::{At, BodyId, Early};
use super::super::message::{Halt, Permit};
use super::super::port::{LockRefused, StoreError};
use super::Dispatcher;
use crate::event::Event;
use crate::graph::Section;
use std::collections::VecDeque;
use tokio::sync::oneshot;

impl Dispatcher {
    /// Takes a lock. Where another run has it, this one ends: what it would do there is being done.
    pub(in super::super) fn take_lock(&mut self, what: &str, reply: oneshot::Sender<Result<(), LockRefused>>) {
        let taken = self.locks.take(what);
        match &taken {
            // Whoever takes the run up knows by this what to lock, and a later run what this one was about to change.
            Ok(true) => self.log(Event::Locked { what: what.to_owned() }),
            Ok(false) | Err(LockRefused::Store(_)) => {}
            Err(LockRefused::Held(who)) => self.end_early(BodyId::ROOT, Early::Held(who.clone()), false),
        }
        reply.send(taken.map(drop)).ok();
    }

    /// Hands out places: reads up to `--jobs`, one change at a time, in the order asked.
    pub(in super::super) fn grant(&mut self) {
        let mut kept = VecDeque::new();
        while let Some(queued) = self.queue.pop_front() {
            if self.is_ending(queued.at.body) {
                queued.reply.send(Err(Halt::Ending)).ok();
                continue;
            }
            // Nothing that went wrong in the body keeps its temporary changes from being taken back.
            let clears = self.bodies[queued.at.body].clearing;
            if let Some(reason) = self.halted(queued.at).filter(|_| !clears) {
                queued.reply.send(Err(Halt::Blocked(reason))).ok();
                continue;
            }
            if queued.change
                && !clears
                && let Some(reason) = self.blocked(queued.at)
            {
                queued.reply.send(Err(Halt::Blocked(reason))).ok();
                continue;
            }
            let free = if queued.change { !self.write_slot && !self.is_put_off() } else { self.reading < self.jobs };
            if !free {
                kept.push_back(queued);
                continue;
            }
            let (back, returned) = oneshot::channel();
            if queued.reply.send(Ok(Permit { _back: back })).is_err() {
                continue;
            }
            if queued.change {
                self.write_slot = true;
            } else {
                self.reading += 1;
            }
            let change = queued.change;
            self.back.push(Box::pin(async move {
                returned.await.ok();
                change
            }));
        }
        self.queue = kept;
    }

    /// Why a change may not start: something in its own body, or in one around it, seen from the step that holds it.
    pub(in super::super) fn blocked(&self, at: At) -> Option<String> {
        for at in self.bodies.chain(at) {
            if self.bodies.node(at).section == Section::Finally {
                return None;
            }
            if let Some(reason) = self.bodies[at.body].blocks(at.node) {
                return Some(reason.to_owned());
            }
        }
        None
    }

    /// Leaves the run because its record has no room: no change starts without it, not even one that takes another
    /// back, so the run is not ended but suspended. The last of the room is for the words that say so.
    pub(in super::super) fn leave_for(&mut self, at: At, trouble: StoreError) {
        if self.trouble.is_none() {
            self.suspend(format!("`{}` was not started: {trouble}", self.bodies.path(at)));
            self.trouble = Some(trouble);
        }
    }
}
