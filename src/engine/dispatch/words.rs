//! Words that nobody asked for: notes and marks go on record, an abort ends the run.

use super::super::body::{At, BodyId, Early};
use super::super::word::{InboxWord, Said};
use super::Dispatcher;
use crate::event::{Actor, Event};

impl Dispatcher {
    /// Takes in what people said elsewhere since the last look. An inbox that cannot be read is no reason to stop: a
    /// record that cannot be written shows by itself.
    pub(super) fn read_words(&mut self) {
        for word in self.inbox.words().unwrap_or_default() {
            self.word(word);
        }
    }

    fn word(&mut self, word: InboxWord) {
        match word.said {
            Said::Abort { .. } if self.is_final() => {
                let text = format!("{} wanted to abort the run when it was ending already", word.by.name);
                self.log(Event::Deviated { text });
            }
            Said::Abort { reason } => self.abort(reason, Actor::Person(word.by)),
            said => {
                if let Some(event) = said.event(word.at) {
                    self.push(None, None, Actor::Person(word.by), event);
                }
            }
        }
    }

    /// Whether the run is past the point where an abort changes anything.
    fn is_final(&self) -> bool {
        let root = &self.bodies[BodyId::ROOT];
        root.in_finally || matches!(root.early, Some(Early::Aborted(_)))
    }

    /// A note or a mark of the person at the terminal, said while a step waited for them. A mark is about the incident,
    /// not about the step.
    pub(in super::super) fn said_at(&mut self, at: At, said: &Said) {
        let actor = Actor::Person(self.operator());
        match said.event(self.now()) {
            Some(event @ Event::Marked { .. }) => self.push(None, None, actor, event),
            Some(event) => self.log_as(at, event, actor),
            None => {}
        }
    }
}
