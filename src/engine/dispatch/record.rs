//! The record of the run: events are put on it here, and written.

use super::super::body::At;
use super::super::port::StoreError;
use super::super::store_value::put_aside;
use super::{Dispatcher, undoing};
use crate::event::{Actor, Event, Record, StepPath};

impl Dispatcher {
    /// Puts an event on record.
    pub(in super::super) fn push(
        &mut self,
        step: Option<StepPath>,
        attempt: Option<u32>,
        actor: Actor,
        mut event: Event,
    ) {
        let is_mute = self.undoing.as_ref().is_some_and(undoing::Undoing::is_mute);
        if is_mute || self.past().has_told(step.as_ref(), &event) {
            return;
        }
        put_aside(&mut event, &*self.shared.evidence);
        self.records.push(Record {
            seq: 0,
            time: self.shared.clock.now(),
            elapsed_ms: self.shared.elapsed_ms(),
            actor,
            step,
            attempt,
            event,
            prev: String::new(),
        });
    }

    pub(in super::super) fn log(&mut self, event: Event) {
        self.push(None, None, Actor::Runwright, event);
    }

    pub(in super::super) fn log_step(&mut self, at: At, event: Event) {
        self.log_as(at, event, Actor::Runwright);
    }

    pub(in super::super) fn log_as(&mut self, at: At, event: Event, actor: Actor) {
        let path = self.bodies.path(at);
        self.push(Some(path), None, actor, event);
    }

    /// Writes what is on record, and lets those go on that waited for it to be on disk.
    pub(in super::super) fn flush(&mut self, sync: bool) -> Result<(), StoreError> {
        self.look_at_clock();
        if !self.records.is_empty() {
            let mut records = std::mem::take(&mut self.records);
            self.store.append(&mut records)?;
            for record in &records {
                (self.observer)(record);
            }
            self.unsynced = true;
        }
        if sync && self.unsynced {
            self.store.sync()?;
            self.unsynced = false;
        }
        if !self.unsynced {
            for waiting in self.durable.drain(..) {
                waiting.send(()).ok();
            }
        }
        Ok(())
    }
}
