//! What a killed process of this run left running (ruling 4). It is seen to before the attempts without an end get one:
//! of a read and of a process in the background it is ended, for they begin again; a change is waited for, or a person
//! says what becomes of it.

use super::super::body::At;
use super::super::outlived::Outlived;
use super::super::survivor::Trace;
use super::Dispatcher;
use crate::event::StepPath;
use std::time::Duration;

impl Dispatcher {
    /// Looks for what lives of the attempts without an end. Gives how many of them have something to be seen to.
    pub(super) fn see_to_survivors(&mut self) -> usize {
        let traces: Vec<(StepPath, u32, bool, Duration, Trace)> = {
            let Some(here) = &self.here else { return 0 };
            self.past().traces(self.run.as_str(), here, |began| self.shared.since(began))
        };
        let mut count = 0;
        for (path, number, change, spent, trace) in traces {
            let survivors = self.shared.performer.survivors(&trace);
            let Some(at) = self.at_of(&path.0) else { continue };
            if survivors.is_empty() {
                continue;
            }
            let is_begun_again = !change || self.node(at).step.background.is_some();
            let outlived = Outlived {
                path,
                number,
                trace,
                survivors,
                spent,
                is_ended: is_begun_again || self.shared.is_ending,
                is_attended: self.is_attended(),
            };
            tokio::spawn(self.task(at).see_to(outlived));
            count += 1;
        }
        count
    }

    /// The step that an attempt belongs to: its own path, or the longest beginning of it that names a step.
    fn at_of(&self, path: &str) -> Option<At> {
        let mut path = path;
        loop {
            if let Some(at) = self.bodies.find(path) {
                return Some(at);
            }
            let end = path.rfind(['/', '['])?;
            path = &path[..end];
        }
    }

    /// What lived of an attempt is gone, or was left alone.
    pub(super) fn outlived(&mut self, path: &StepPath, number: u32, left: Vec<String>) {
        self.past().leave(path, number, left);
        if let Some(walk) = &mut self.walk {
            walk.is_seen_to();
        }
    }
}
