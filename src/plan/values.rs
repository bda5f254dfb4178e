//! The values of a run: inputs, environment, results of steps; and the view of them that one step has.

use crate::expr::{Scope, UnknownSort, Value, unknown};
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All values of one run. Cheap to clone: clones share.
#[derive(Clone)]
pub struct Values {
    inner: Arc<Mutex<Inner>>,
    /// What is looked up when a name is not found: the values around the item of a loop.
    around: Option<Arc<Values>>,
    earlier: Option<Earlier>,
}

/// Gives the value that the latest run of a runbook captured under a name, or an unknown with the reason.
pub type Earlier = Arc<dyn Fn(&str, &str) -> Value + Send + Sync>;

struct Inner {
    roots: IndexMap<String, Value>,
    steps: HashMap<String, Option<Value>>,
    /// What a step that has not run gives.
    absent: UnknownSort,
}

impl Values {
    /// Starts with the root names (inputs, `env`, `run`) and the ids of all steps. `absent` says what a step that has
    /// not run gives: not yet (dry run), or nothing obtained.
    #[must_use]
    pub fn new(roots: IndexMap<String, Value>, steps: impl IntoIterator<Item = String>, absent: UnknownSort) -> Self {
        let steps = steps.into_iter().map(|id| (id, None)).collect();
        Self { inner: Arc::new(Mutex::new(Inner { roots, steps, absent })), around: None, earlier: None }
    }

    /// The same values, with those of earlier runs.
    #[must_use]
    pub fn with_earlier(self, earlier: Earlier) -> Self {
        Self { earlier: Some(earlier), ..self }
    }

    /// The values of one item of a loop: roots and steps of its own, which hide those around it.
    #[must_use]
    pub fn within(&self, roots: IndexMap<String, Value>, steps: impl IntoIterator<Item = String>) -> Self {
        let absent = self.lock().absent;
        let earlier = self.earlier.clone();
        Self { around: Some(Arc::new(self.clone())), earlier, ..Self::new(roots, steps, absent) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while the lock is held; a poisoned lock still holds good data.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the result of a step.
    pub fn set_step(&self, id: &str, value: Value) {
        self.lock().steps.insert(id.to_owned(), Some(value));
    }

    /// The result of a step that is over.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<Value> {
        self.lock().steps.get(id).cloned().flatten()
    }

    /// Keeps a root value (a target's identity, for instance).
    pub fn set_root(&self, name: &str, value: Value) {
        self.lock().roots.insert(name.to_owned(), value);
    }

    fn lookup(&self, name: &str) -> Option<Value> {
        let inner = self.lock();
        if let Some(step) = inner.steps.get(name) {
            let absent = || unknown(inner.absent, format!("`{name}` has not run"));
            return Some(step.clone().unwrap_or_else(absent));
        }
        let root = inner.roots.get(name).cloned();
        drop(inner);
        root.or_else(|| self.around.as_ref().and_then(|around| around.lookup(name)))
    }

    /// What one step sees, at one moment.
    #[must_use]
    pub fn scope(&self, now: Timestamp) -> StepScope {
        StepScope { values: self.clone(), own: IndexMap::new(), now }
    }
}

/// What one step sees: its item, its own results so far, and everything before it.
#[derive(Clone)]
pub struct StepScope {
    values: Values,
    own: IndexMap<String, Value>,
    now: Timestamp,
}

impl StepScope {
    /// Adds a name that hides the others.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: Value) -> Self {
        self.own.insert(name.into(), value);
        self
    }

    /// How values of earlier runs are looked up.
    #[must_use]
    pub fn earlier(&self) -> Option<Earlier> {
        self.values.earlier.clone()
    }

    /// The same values at another moment: what `now` is.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// Adds names that hide the others.
    pub fn extend(&mut self, names: impl IntoIterator<Item = (String, Value)>) {
        self.own.extend(names);
    }
}

impl Scope for StepScope {
    fn lookup(&self, name: &str) -> Option<Value> {
        self.own.get(name).cloned().or_else(|| self.values.lookup(name))
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn last(&self, runbook: &str, name: &str) -> Value {
        match &self.values.earlier {
            Some(earlier) => earlier(runbook, name),
            None => unknown(UnknownSort::Unobtained, format!("no earlier run of `{runbook}` has `{name}`")),
        }
    }
}
