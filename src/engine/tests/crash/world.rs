//! A world that outlives the process that changes it.

use crate::engine::{AttemptContext, NoPreview, Performed, Performer};
use crate::event::{ErrorClass, Outcome, Settlement};
use crate::plan::{Act, view};
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long each act takes, half of it before its effect.
const TAKES: Duration = Duration::from_millis(20);

/// What is there, whoever made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// How often each effect took place.
    pub(super) done: BTreeMap<String, u32>,
    /// What stands now.
    pub(super) stands: BTreeSet<String>,
}

#[derive(Default)]
struct Inner {
    state: State,
    /// How often each act was begun: some fail the first time only.
    begun: BTreeMap<String, u32>,
    /// Effects that took place before their attempt was on the disk.
    too_early: Vec<String>,
}

/// The systems that a run acts on.
#[derive(Default)]
pub(super) struct World(Mutex<Inner>);

impl World {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> State {
        self.inner().state.clone()
    }

    pub(super) fn too_early(&self) -> Vec<String> {
        self.inner().too_early.clone()
    }

    /// What somebody finds who looks what became of this act, which was attempted so many times.
    pub(super) fn became(&self, act: &str, attempted: u32) -> Settlement {
        let (verb, name) = parts(act);
        let inner = self.inner();
        let was_done =
            if verb == "back" { !inner.state.stands.contains(name) } else { inner.state.done.contains_key(name) };
        let was_begun = inner.begun.get(act).is_some_and(|begun| *begun >= attempted);
        match verb {
            _ if was_done => Settlement::Done,
            "trips" if was_begun => Settlement::NotDone,
            _ => Settlement::Retry,
        }
    }

    fn begin(&self, act: &str) -> u32 {
        let mut inner = self.inner();
        let begun = inner.begun.entry(act.to_owned()).or_default();
        *begun += 1;
        *begun
    }

    fn make(&self, name: &str) {
        let mut inner = self.inner();
        *inner.state.done.entry(name.to_owned()).or_default() += 1;
        inner.state.stands.insert(name.to_owned());
    }

    fn take_back(&self, name: &str) {
        let mut inner = self.inner();
        *inner.state.done.entry(format!("back {name}")).or_default() += 1;
        inner.state.stands.remove(name);
    }
}

fn parts(act: &str) -> (&str, &str) {
    act.split_once(' ').unwrap_or((act, ""))
}

/// What the hands of one life ask before they touch the world.
pub(super) trait Vitals: Send + Sync {
    /// Whether the process is dead.
    fn is_dead(&self) -> bool;
    /// Whether the attempt with this marker is on the disk.
    fn is_on_disk(&self, marker: &str) -> bool;
    /// Time since the run began, over all its lives.
    fn elapsed(&self) -> Duration;
}

/// The hands of one life. What they do is said by the first word of the act: `do`, `lost` (done, its end not seen),
/// `gone` (not done, its end not seen), `flaky` and `trips` (fail once), `fail`, `back` (undo), `is` (whether it stands), `look`,
/// `late N NAME` (holds after N seconds, and when it stands), `bad` (a read that fails), `serve` (runs until it is stopped).
pub(super) struct Hands {
    pub(super) world: Arc<World>,
    pub(super) vitals: Arc<dyn Vitals>,
}

impl Performer for Hands {
    fn perform(&self, act: Act, context: AttemptContext) -> BoxFuture<'static, Performed> {
        let (world, vitals) = (self.world.clone(), self.vitals.clone());
        let text = view(&act).text;
        Box::pin(async move { perform(&text, &context, &world, vitals.as_ref()).await })
    }

    fn preview(&self, _: Act, _: AttemptContext) -> BoxFuture<'static, Result<Option<String>, NoPreview>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn fingerprint(&self, _: &Act) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// The dead do nothing.
async fn alive(vitals: &dyn Vitals) {
    if vitals.is_dead() {
        std::future::pending::<()>().await;
    }
}

async fn perform(text: &str, context: &AttemptContext, world: &World, vitals: &dyn Vitals) -> Performed {
    let (verb, name) = parts(text);
    alive(vitals).await;
    let begun = world.begin(text);
    if verb == "serve" {
        context.cancel.cancelled().await;
        let outcome = if context.change { Outcome::Unknown } else { Outcome::Cancelled };
        return end(outcome, Some(ErrorClass::Cancelled), 0);
    }
    tokio::time::sleep(TAKES / 2).await;
    alive(vitals).await;
    if context.change && !vitals.is_on_disk(&context.marker) {
        world.inner().too_early.push(context.marker.clone());
    }
    let end = match verb {
        "do" => made(world, name),
        "flaky" | "trips" if begun > 1 => made(world, name),
        "flaky" | "trips" | "fail" | "bad" => end(Outcome::Failed, Some(ErrorClass::Exit(1)), 1),
        "lost" => {
            world.make(name);
            end(Outcome::Unknown, Some(ErrorClass::Connection), 0)
        }
        "gone" => end(Outcome::Unknown, Some(ErrorClass::Connection), 0),
        "back" => {
            world.take_back(name);
            end(Outcome::Succeeded, None, 0)
        }
        "is" => end(Outcome::Succeeded, None, i64::from(!world.inner().state.stands.contains(name))),
        "late" => {
            let (due, name) = parts(name);
            let due = Duration::from_secs(due.parse().expect("seconds"));
            let stands = name.is_empty() || world.inner().state.stands.contains(name);
            end(Outcome::Succeeded, None, i64::from(vitals.elapsed() < due || !stands))
        }
        "look" => end(Outcome::Succeeded, None, 0),
        other => panic!("the world knows no `{other}`"),
    };
    tokio::time::sleep(TAKES / 2).await;
    alive(vitals).await;
    end
}

fn made(world: &World, name: &str) -> Performed {
    world.make(name);
    end(Outcome::Succeeded, None, 0)
}

fn end(outcome: Outcome, error: Option<ErrorClass>, exit: i64) -> Performed {
    let fields = serde_json::json!({ "exit": exit, "stdout": "" });
    let fields = fields.as_object().expect("a map").iter();
    Performed {
        outcome,
        error,
        message: None,
        fields: fields.map(|(name, value)| (name.clone(), crate::expr::from_record(value))).collect::<IndexMap<_, _>>(),
        evidence: Vec::new(),
        left: Vec::new(),
    }
}
