//! Where the acts behind a gate happen, and the lock on each of these places: one run of a runbook at a time changes it.

use super::attempt::Task;
use super::facts::Look;
use super::message::{Message, StepEnd};
use super::port::LockRefused;
use crate::event::ErrorClass;
use crate::plan::{Act, StepScope};
use tokio::sync::oneshot;

/// One place at which acts happen.
pub(super) struct Spot {
    pub(super) target: Option<String>,
    /// What it was proven to be.
    pub(super) identity: Option<String>,
    pub(super) address: String,
}

impl Spot {
    /// The name that a typed gate wants.
    pub(super) fn name(&self) -> String {
        self.identity.clone().or_else(|| self.target.clone()).unwrap_or_else(|| self.address.clone())
    }

    /// The place on a card.
    pub(super) fn shown(&self) -> String {
        let address = &self.address;
        match (&self.target, &self.identity) {
            (Some(target), Some(identity)) => format!("{target} = {identity} (proven just now) at {address}"),
            (Some(target), None) => format!("{target} at {address} (declares no identity)"),
            (None, _) => format!("this machine, {address}"),
        }
    }
}

impl Task {
    /// The places of these acts, each once, with their identities proven.
    pub(super) async fn places(&self, acts: &[Act], look: Look, scope: &StepScope) -> Result<Vec<Spot>, StepEnd> {
        let mut places: Vec<Spot> = Vec::new();
        for act in acts {
            let target = act.target().map(str::to_owned);
            let address = act.address().unwrap_or_else(|| self.shared.host.clone());
            if places.iter().any(|place| place.target == target && place.address == address) {
                continue;
            }
            let identity = match &target {
                None => None,
                Some(target) => self
                    .prove(target, look == Look::Fresh, scope)
                    .await
                    .map_err(|error| StepEnd::failed(ErrorClass::BadAnswer, error.reason()))?,
            };
            places.push(Spot { target, identity, address });
        }
        Ok(places)
    }

    /// Takes the locks of these places for this run (ruling 18); it keeps them to its end. What it has is had again.
    pub(super) async fn lock(&self, places: &[Spot]) -> Result<(), StepEnd> {
        let runbook = self.scene.graph.runbook().id();
        for place in places {
            // The name that a target has in one file says nothing about what stands behind it.
            let here = place.address == self.shared.host;
            let what = match &place.identity {
                Some(identity) => identity.clone(),
                None if here => format!("this machine ({})", self.shared.machine),
                None => place.address.clone(),
            };
            let (reply, answer) = oneshot::channel();
            let what = format!("`{runbook}` on {what}");
            let ending = || StepEnd::because(crate::event::Outcome::Cancelled, "the run is ending");
            self.bus.send(Message::Lock { what, reply }).map_err(|_| ending())?;
            match answer.await.map_err(|_| ending())? {
                Ok(()) => {}
                Err(LockRefused::Held(who)) => return Err(StepEnd::failed(ErrorClass::Denied, who)),
                Err(LockRefused::Store(error)) => {
                    return Err(StepEnd::failed(ErrorClass::System, format!("the lock cannot be taken: {error}")));
                }
            }
        }
        Ok(())
    }
}
