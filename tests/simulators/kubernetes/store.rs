//! The objects of one cluster, their versions, and the changes that watches read.

use super::kind::{Kind, Kinds};
use super::object::{set, stamp, uid};
use super::seed::Scene;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// So many changes can be read again; a watch from before them is told to start over.
const KEPT: usize = 20_000;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The API group.
    pub group: String,
    /// The name of the kind in paths.
    pub plural: String,
    /// Empty for what has none.
    pub namespace: String,
    /// The object's own name.
    pub name: String,
}

impl Key {
    /// The place of an object of a kind.
    pub fn new(kind: &Kind, namespace: &str, name: &str) -> Self {
        let namespace = if kind.namespaced { namespace } else { "" };
        Self::of(&kind.group, &kind.plural, namespace, name)
    }

    /// A place by its parts.
    pub fn of(group: &str, plural: &str, namespace: &str, name: &str) -> Self {
        Self {
            group: group.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// One change: before and after. Nothing before is a creation, nothing after a removal.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version that it made.
    pub version: u64,
    /// Where.
    pub key: Key,
    /// What was there.
    pub old: Option<Value>,
    /// What is there; for a removal the last state, with the version of the removal.
    pub new: Option<Value>,
}

/// The whole state of one cluster.
#[derive(Debug)]
pub struct Store {
    /// What kinds there are.
    pub kinds: Kinds,
    /// What the controller is told to do.
    pub scene: Scene,
    /// When something that has a life of its own was made, or was told to end, by uid.
    pub since: BTreeMap<String, Timestamp>,
    objects: BTreeMap<Key, Value>,
    history: VecDeque<Change>,
    version: u64,
    made: u64,
}

impl Store {
    /// An empty cluster.
    pub fn new(kinds: Kinds, scene: Scene) -> Self {
        Self {
            kinds,
            scene,
            since: BTreeMap::new(),
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            version: 1000,
            made: 0,
        }
    }

    /// The version of the newest change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A number that was not given before.
    pub fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// The objects of a kind, of one namespace or (empty) of all, sorted by namespace and name.
    pub fn list<'a>(
        &'a self,
        group: &str,
        plural: &str,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Value)> {
        let from = Key::of(group, plural, namespace, "");
        let (group, plural) = (group.to_owned(), plural.to_owned());
        self.objects
            .range((Bound::Included(from), Bound::Unbounded))
            .take_while(move |(key, _)| key.group == group && key.plural == plural)
            .take_while(move |(key, _)| namespace.is_empty() || key.namespace == namespace)
    }

    /// Copies of the objects of a kind in all namespaces.
    pub fn copies(&self, group: &str, plural: &str) -> Vec<Value> {
        self.list(group, plural, "").map(|(_, object)| object.clone()).collect()
    }

    /// Every object, with its place.
    pub fn everything(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter()
    }

    /// Puts a new object at its place and gives it what the server gives: uid, time, version.
    pub fn insert(&mut self, key: Key, mut object: Value, now: Timestamp) -> Value {
        let count = self.next();
        if uid(&object).is_empty() {
            let made = self.scene.uid(count);
            set(&mut object, &["metadata", "uid"], json!(made));
        }
        set(&mut object, &["metadata", "creationTimestamp"], stamp(now));
        if object.get("spec").is_some() {
            set(&mut object, &["metadata", "generation"], json!(1));
        }
        self.since.insert(uid(&object).to_owned(), now);
        self.write(key, None, object)
    }

    /// Puts a new state of an object in the place of the old one. The same state changes nothing.
    pub fn replace(&mut self, key: Key, mut object: Value) -> Value {
        let Some(old) = self.objects.get(&key).cloned() else { return object };
        set(&mut object, &["metadata", "resourceVersion"], old["metadata"]["resourceVersion"].clone());
        let generation = old["metadata"].get("generation").cloned();
        if let Some(generation) = generation {
            let moved = old.get("spec") != object.get("spec");
            let next = if moved { json!(generation.as_i64().unwrap_or(0) + 1) } else { generation };
            set(&mut object, &["metadata", "generation"], next);
        }
        if old == object { object } else { self.write(key, Some(old), object) }
    }

    /// Changes an object where it is.
    pub fn edit(&mut self, key: &Key, change: impl FnOnce(&mut Value)) {
        if let Some(mut object) = self.objects.get(key).cloned() {
            change(&mut object);
            self.replace(key.clone(), object);
        }
    }

    /// Takes an object away.
    pub fn remove(&mut self, key: &Key) -> Option<Value> {
        let old = self.objects.remove(key)?;
        self.since.remove(uid(&old));
        self.version += 1;
        let mut last = old.clone();
        set(&mut last, &["metadata", "resourceVersion"], json!(self.version.to_string()));
        self.keep(Change { version: self.version, key: key.clone(), old: Some(last), new: None });
        Some(old)
    }

    fn write(&mut self, key: Key, old: Option<Value>, mut object: Value) -> Value {
        self.version += 1;
        set(&mut object, &["metadata", "resourceVersion"], json!(self.version.to_string()));
        self.keep(Change { version: self.version, key: key.clone(), old, new: Some(object.clone()) });
        self.objects.insert(key, object.clone());
        object
    }

    fn keep(&mut self, change: Change) {
        self.history.push_back(change);
        if self.history.len() > KEPT {
            self.history.pop_front();
        }
    }

    /// The changes after a version; none when some of them are forgotten.
    pub fn changes(&self, after: u64) -> Option<impl Iterator<Item = &Change>> {
        let kept = self.history.front().map_or(self.version, |first| first.version - 1);
        (after >= kept || after >= self.version).then(|| {
            let start = self.history.partition_point(|change| change.version <= after);
            self.history.range(start..)
        })
    }

    /// Forgets all changes so far: watches from before are told to start over.
    pub fn compact(&mut self) {
        self.history.clear();
    }
}
