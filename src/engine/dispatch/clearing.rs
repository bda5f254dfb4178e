//! The end of a runbook before its `finally`: temporary changes are taken back, whatever happened.

use super::super::body::{At, BodyId, Standing};
use super::super::temporary::{Cleared, TakeBack};
use super::Dispatcher;

impl Dispatcher {
    /// Remembers how a change is taken back when its runbook ends.
    pub(super) fn remember(&mut self, at: At, back: TakeBack) {
        self.bodies.owner_mut(at.body).temporary.push(back);
    }

    /// Starts to take temporary changes back. False when there are none: `finally` may start at once.
    pub(super) fn clear(&mut self, id: BodyId) -> bool {
        let body = &mut self.bodies[id];
        let backs = std::mem::take(&mut body.temporary);
        let Some(first) = backs.first() else { return false };
        let at = At { body: id, node: first.at.node };
        body.clearing = true;
        body.live += 1;
        let task = self.task(at);
        tokio::spawn(task.clear(backs));
        true
    }

    /// What could be taken back has been: now comes `finally`.
    pub(super) fn cleared(&mut self, at: At, cleared: Cleared) {
        self.task_over(at);
        let body = &mut self.bodies[at.body];
        body.clearing = false;
        let tally = &mut body.tally;
        let is_clean = cleared.standing.is_empty() && tally.cleaned_up != Some(false);
        tally.cleaned_up = Some(is_clean);
        tally.standing.extend(cleared.standing.into_iter().map(|text| Standing { text, until: None }));
        self.end_beside(at.body);
    }
}
