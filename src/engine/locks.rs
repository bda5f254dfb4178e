//! The lock on each place that a run changes: one run of a runbook at a time.

use super::attempt::Task;
use super::facts::Places;
use super::message::{Message, StepEnd};
use super::port::LockRefused;
use crate::event::{ErrorClass, Outcome};
use crate::plan::Act;
use tokio::sync::oneshot;

impl Task {
    /// Takes the locks of the places where these acts happen (ruling 18); the run keeps them to its end. What it has is
    /// had again. A place is the identity that its target proved; without one its address, or this machine.
    pub(super) async fn lock(&self, acts: &[Act], places: &Places) -> Result<(), StepEnd> {
        let proven = places.0.iter().map(|place| self.place(place.identity.as_ref(), Some(&place.address)));
        let others = acts.iter().filter(|act| act.target().is_none());
        let others = others.map(|act| self.place(None, act.address().as_ref()));
        let mut all: Vec<String> = proven.chain(others).collect();
        all.sort_unstable();
        all.dedup();
        let runbook = self.scene.graph.runbook().id();
        for place in all {
            self.lock_one(format!("`{runbook}` on {place}")).await?;
        }
        Ok(())
    }

    fn place(&self, identity: Option<&String>, address: Option<&String>) -> String {
        match (identity, address) {
            (Some(identity), _) => identity.clone(),
            (None, Some(address)) if *address != self.shared.host => address.clone(),
            (None, _) => format!("this machine ({})", self.shared.machine),
        }
    }

    async fn lock_one(&self, what: String) -> Result<(), StepEnd> {
        let ending = || StepEnd::because(Outcome::Cancelled, "the run is ending");
        let (reply, answer) = oneshot::channel();
        self.bus.send(Message::Lock { what, reply }).map_err(|_| ending())?;
        match answer.await.map_err(|_| ending())? {
            Ok(()) => Ok(()),
            Err(LockRefused::Held(who)) => Err(StepEnd::failed(ErrorClass::Denied, who)),
            Err(LockRefused::Store(error)) => {
                Err(StepEnd::failed(ErrorClass::System, format!("the lock cannot be taken: {error}")))
            }
        }
    }
}
