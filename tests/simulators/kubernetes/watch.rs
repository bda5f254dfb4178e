//! Watches: what is there, then every change, as lines of JSON.

use super::kind::Kind;
use super::object::{set, text};
use super::selector::Selector;
use super::status::Failure;
use super::store::{Change, Store};
use super::table;
use super::verbs::Call;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// One watch: what it is about, and how far it has read.
#[derive(Debug)]
pub struct Plan {
    kind: Kind,
    namespace: String,
    name: String,
    selector: Selector,
    after: Option<u64>,
    table: bool,
    whole: bool,
    bookmarks: bool,
    initial_end: bool,
    headed: bool,
    /// When it ends by itself.
    pub timeout: Option<Duration>,
}

impl Plan {
    /// From a request.
    pub fn of(call: &Call) -> Result<Self, Failure> {
        let query = &call.request.query;
        let initial = query.on("sendInitialEvents");
        let after = match query.get("resourceVersion") {
            _ if initial => None,
            "" | "0" => None,
            given => Some(given.parse().map_err(|_| Failure::bad(format!("invalid resourceVersion {given:?}")))?),
        };
        Ok(Self {
            kind: call.kind.clone(),
            namespace: call.place.namespace.clone(),
            name: call.place.name.clone(),
            selector: query.selector()?,
            after,
            table: call.request.wants_table(),
            whole: query.get("includeObject") == "Object",
            bookmarks: query.on("allowWatchBookmarks"),
            initial_end: initial,
            headed: false,
            timeout: query
                .number("timeoutSeconds")
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map(Duration::from_secs),
        })
    }

    /// The events since the last call, as text; and whether the watch is over.
    pub fn next(&mut self, store: &Store, now: Timestamp) -> (String, bool) {
        let mut lines = String::new();
        let Some(after) = self.after else {
            let all: Vec<Value> = store
                .list(&self.kind.group, &self.kind.plural, &self.namespace)
                .map(|(_, object)| object.clone())
                .filter(|object| self.is_meant(object))
                .collect();
            for object in all {
                lines += &self.line("ADDED", object, now);
            }
            self.after = Some(store.version());
            if self.bookmarks && self.initial_end {
                lines += &self.bookmark(store.version());
            }
            return (lines, false);
        };
        let Some(changes) = store.changes(after) else {
            let gone = Failure::new(410, "Expired", format!("too old resource version: {after}"));
            return (event("ERROR", &gone.status()), true);
        };
        let changes: Vec<Change> = changes.filter(|change| self.is_here(change)).cloned().collect();
        for change in changes {
            lines += &self.tell(change, now);
        }
        self.after = Some(store.version());
        (lines, false)
    }

    /// A bookmark at where it is, when they are wanted.
    pub fn mark(&self) -> Option<String> {
        let after = self.after.filter(|_| self.bookmarks)?;
        let own = json!({ "resourceVersion": after.to_string() });
        Some(event(
            "BOOKMARK",
            &self.dress(json!({
                "kind": self.kind.name, "apiVersion": self.kind.api_version(), "metadata": own,
            })),
        ))
    }

    fn bookmark(&self, version: u64) -> String {
        let own = json!({
            "resourceVersion": version.to_string(), "annotations": { "k8s.io/initial-events-end": "true" },
        });
        event("BOOKMARK", &json!({ "kind": self.kind.name, "apiVersion": self.kind.api_version(), "metadata": own }))
    }

    fn dress(&self, object: Value) -> Value {
        if !self.table {
            return object;
        }
        let version = object["metadata"]["resourceVersion"].clone();
        json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": { "resourceVersion": version }, "columnDefinitions": null, "rows": [] })
    }

    fn is_here(&self, change: &Change) -> bool {
        change.key.group == self.kind.group
            && change.key.plural == self.kind.plural
            && (self.namespace.is_empty() || change.key.namespace == self.namespace)
    }

    fn is_meant(&self, object: &Value) -> bool {
        (self.name.is_empty() || text(object, "/metadata/name") == self.name) && self.selector.meets(object)
    }

    /// What a change is for this watch: an object may come into its selection, and leave it.
    fn tell(&mut self, change: Change, now: Timestamp) -> String {
        let was = change.old.as_ref().is_some_and(|old| self.is_meant(old));
        let is = change.new.as_ref().is_some_and(|new| self.is_meant(new));
        match (was, is, change.old, change.new) {
            (true, true, _, Some(new)) => self.line("MODIFIED", new, now),
            (false, true, _, Some(new)) => self.line("ADDED", new, now),
            (true, false, Some(mut old), _) => {
                set(&mut old, &["metadata", "resourceVersion"], json!(change.version.to_string()));
                self.line("DELETED", old, now)
            }
            _ => String::new(),
        }
    }

    fn line(&mut self, kind: &str, mut object: Value, now: Timestamp) -> String {
        object["apiVersion"] = json!(self.kind.api_version());
        if !self.table {
            return event(kind, &object);
        }
        let version = text(&object, "/metadata/resourceVersion").to_owned();
        let mut rows = table::render(&self.kind, &[object], &version, self.whole, now);
        // Only the first event of a watch carries the columns.
        if self.headed {
            rows["columnDefinitions"] = Value::Null;
        }
        self.headed = true;
        event(kind, &rows)
    }
}

fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({ "type": kind, "object": object }))
}
