//! Who owns which field: `managedFields`, and server-side apply with its conflicts.

use super::kind::Kind;
use super::object::{items, map_at, set, stamp, text};
use super::patch::{List, list};
use super::status::Failure;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The way to a field, in the words of `fieldsV1`: `f:NAME`, `k:{KEYS}` or `v:VALUE`.
type Path = Vec<String>;

/// A set of fields. An item of a keyed list is in it by itself, as `.` in `fieldsV1`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Fields(BTreeSet<Path>);

/// What the server keeps, not the managers.
const NOT_MANAGED: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
];

impl Fields {
    fn of(object: &Value, kind: &Kind) -> Self {
        let mut fields = Self::default();
        let Value::Object(map) = object else { return fields };
        for (key, value) in map.iter().filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind")) {
            let mut names = vec![key.as_str()];
            let mut path = vec![format!("f:{key}")];
            if key == "metadata" {
                let own = value.as_object().into_iter().flatten();
                for (key, value) in own.filter(|(key, _)| !NOT_MANAGED.contains(&key.as_str())) {
                    path.push(format!("f:{key}"));
                    fields.walk(value, &mut path, &names, key, kind);
                    path.pop();
                }
            } else {
                names.pop();
                fields.walk(value, &mut path, &names, key, kind);
            }
        }
        fields
    }

    fn walk(&mut self, value: &Value, path: &mut Path, above: &[&str], name: &str, kind: &Kind) {
        let rule = if kind.is_custom() { List::Atomic } else { list(above, name) };
        let names: Vec<&str> = above.iter().copied().chain([name]).collect();
        match (value, rule) {
            (Value::Object(map), _) if !map.is_empty() && (kind.is_custom() || name != "selector") => {
                for (key, value) in map {
                    path.push(format!("f:{key}"));
                    self.walk(value, path, &names, key, kind);
                    path.pop();
                }
            }
            (Value::Array(list), List::Keyed(keys)) if !list.is_empty() => {
                for item in list {
                    path.push(key_of(item, keys));
                    self.0.insert(path.clone());
                    for (key, value) in item.as_object().into_iter().flatten() {
                        path.push(format!("f:{key}"));
                        self.walk(value, path, &names, key, kind);
                        path.pop();
                    }
                    path.pop();
                }
            }
            (Value::Array(list), List::Set) if !list.is_empty() => {
                for item in list {
                    path.push(format!("v:{item}"));
                    self.0.insert(path.clone());
                    path.pop();
                }
            }
            _ => {
                self.0.insert(path.clone());
            }
        }
    }

    fn to_json(&self) -> Value {
        let mut root = json!({});
        for path in &self.0 {
            let parts: Vec<&str> = path.iter().map(String::as_str).collect();
            let map = map_at(&mut root, &parts);
            if parts.last().is_some_and(|last| last.starts_with("k:")) {
                map.insert(".".to_owned(), json!({}));
            }
        }
        root
    }

    fn from_json(tree: &Value) -> Self {
        fn read(tree: &Value, path: &mut Path, into: &mut BTreeSet<Path>) {
            let map = tree.as_object();
            if map.is_none_or(Map::is_empty) && !path.is_empty() {
                into.insert(path.clone());
            }
            for (key, value) in map.into_iter().flatten() {
                if key == "." {
                    into.insert(path.clone());
                    continue;
                }
                path.push(key.clone());
                read(value, path, into);
                path.pop();
            }
        }
        let mut fields = Self::default();
        read(tree, &mut Vec::new(), &mut fields.0);
        fields
    }

    /// Whether it has the path or something below it.
    fn reaches(&self, path: &Path) -> bool {
        self.0.range(path.clone()..).next().is_some_and(|next| next.starts_with(path))
    }
}

fn key_of(item: &Value, keys: &[&str]) -> String {
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let pairs: Map<String, Value> = sorted.iter().map(|key| ((*key).to_owned(), part(item, key))).collect();
    format!("k:{}", Value::Object(pairs))
}

/// A key of an item, with the only default that a key has.
fn part(item: &Value, key: &str) -> Value {
    item.get(key).cloned().unwrap_or_else(|| if key == "protocol" { json!("TCP") } else { Value::Null })
}

fn is_item(item: &Value, step: &str) -> bool {
    if let Some(text) = step.strip_prefix("v:") {
        return serde_json::from_str::<Value>(text).is_ok_and(|value| *item == value);
    }
    let keys: Value = step.strip_prefix("k:").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    keys.as_object().is_some_and(|keys| keys.iter().all(|(key, value)| part(item, key) == *value))
}

fn find<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |at, step| match step.strip_prefix("f:") {
        Some(name) => at.get(name),
        None => at.as_array()?.iter().find(|item| is_item(item, step)),
    })
}

/// Removes what is at a path, and maps that are empty then.
fn cut(object: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else { return };
    match (object, step.strip_prefix("f:")) {
        (Value::Object(map), Some(name)) => {
            if let (Some(inner), false) = (map.get_mut(name), rest.is_empty()) {
                cut(inner, rest);
            }
            if rest.is_empty() || map.get(name).is_some_and(|left| *left == json!({}) || *left == json!([])) {
                map.shift_remove(name);
            }
        }
        (Value::Array(list), None) => {
            if rest.is_empty() {
                list.retain(|item| !is_item(item, step));
            } else if let Some(item) = list.iter_mut().find(|item| is_item(item, step)) {
                cut(item, rest);
            }
        }
        _ => {}
    }
}

/// One manager's entry.
#[derive(Clone, Debug)]
struct Entry {
    head: Value,
    fields: Fields,
}

impl Entry {
    fn manager(&self) -> &str {
        text(&self.head, "/manager")
    }

    fn is(&self, manager: &str, operation: &str, subresource: &str) -> bool {
        self.manager() == manager
            && text(&self.head, "/operation") == operation
            && text(&self.head, "/subresource") == subresource
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    items(object, "/metadata/managedFields")
        .iter()
        .map(|entry| Entry { head: entry.clone(), fields: Fields::from_json(&entry["fieldsV1"]) })
        .collect()
}

fn keep(object: &mut Value, entries: Vec<Entry>) {
    let list: Vec<Value> = entries
        .into_iter()
        .filter(|entry| !entry.fields.0.is_empty())
        .map(|entry| {
            let mut head = entry.head;
            head["fieldsV1"] = entry.fields.to_json();
            head
        })
        .collect();
    set(object, &["metadata", "managedFields"], Value::Array(list));
}

fn entry(manager: &str, operation: &str, subresource: &str, kind: &Kind, now: Timestamp) -> Entry {
    let mut head = json!({
        "manager": manager, "operation": operation, "apiVersion": kind.api_version(), "time": stamp(now),
        "fieldsType": "FieldsV1",
    });
    if !subresource.is_empty() {
        head["subresource"] = json!(subresource);
    }
    Entry { head, fields: Fields::default() }
}

/// Notes that a manager made `new` out of `old` by an ordinary write: what changed is his, and nobody else's.
pub fn note(old: Option<&Value>, new: &mut Value, who: (&str, &str), kind: &Kind, now: Timestamp) {
    let (manager, subresource) = who;
    let nothing = Value::Null;
    let old = old.unwrap_or(&nothing);
    let base = if new["metadata"]["managedFields"].is_array() { &*new } else { old };
    let mut list = entries(base);
    let fields = Fields::of(new, kind);
    let is_item = |path: &Path| path.last().is_some_and(|last| !last.starts_with("f:"));
    let changed: BTreeSet<Path> = fields
        .0
        .iter()
        .filter(|path| match find(old, path) {
            Some(before) => !is_item(path) && Some(before) != find(new, path),
            None => true,
        })
        .cloned()
        .collect();
    for entry in &mut list {
        entry.fields.0.retain(|path| !changed.contains(path) && find(new, path).is_some());
    }
    if !changed.is_empty() {
        let place = list.iter().position(|entry| entry.is(manager, "Update", subresource)).unwrap_or_else(|| {
            list.push(entry(manager, "Update", subresource, kind, now));
            list.len() - 1
        });
        list[place].fields.0.extend(changed);
        list[place].head["time"] = stamp(now);
    }
    keep(new, list);
}

/// Applies a manager's whole wish: sets what it names, removes what it named before and names no more.
pub fn apply(
    old: Option<&Value>,
    wish: &Value,
    manager: &str,
    force: bool,
    kind: &Kind,
    now: Timestamp,
) -> Result<Value, Failure> {
    let fields = Fields::of(wish, kind);
    let nothing = Value::Null;
    let before = old.unwrap_or(&nothing);
    let mut list = entries(before);
    let mut causes = Vec::new();
    for other in list.iter_mut().filter(|other| !other.is(manager, "Apply", "")) {
        let shared: Vec<Path> = other.fields.0.intersection(&fields.0).cloned().collect();
        for path in shared.into_iter().filter(|path| find(before, path) != find(wish, path)) {
            if path.last().is_some_and(|last| !last.starts_with("f:")) {
                continue;
            }
            let field = shown(&path);
            let through = match text(&other.head, "/subresource") {
                "" => String::new(),
                door => format!(" with subresource \"{door}\""),
            };
            let version = text(&other.head, "/apiVersion");
            let by = format!("conflict with \"{}\"{through} using {version}", other.manager());
            causes.push(json!({ "reason": "FieldManagerConflict", "message": by, "field": field }));
            other.fields.0.remove(&path);
        }
    }
    if !causes.is_empty() && !force {
        return Err(conflict(&causes));
    }
    let mut merged = before.clone();
    merge(&mut merged, wish, &[], kind);
    let own = list.iter().position(|entry| entry.is(manager, "Apply", ""));
    let dropped: Vec<Path> =
        own.map(|place| list[place].fields.0.difference(&fields.0).cloned().collect()).unwrap_or_default();
    for path in dropped.iter().rev() {
        let others = list.iter().enumerate().filter(|(place, _)| Some(*place) != own);
        if !fields.reaches(path) && !others.clone().any(|(_, other)| other.fields.reaches(path)) {
            cut(&mut merged, path);
        }
    }
    match own {
        Some(place) if list[place].fields == fields => {}
        Some(place) => {
            list[place].fields = fields;
            list[place].head["time"] = stamp(now);
        }
        None => list.push(Entry { fields, ..entry(manager, "Apply", "", kind, now) }),
    }
    keep(&mut merged, list);
    Ok(merged)
}

fn conflict(causes: &[Value]) -> Failure {
    let said: Vec<String> =
        causes.iter().map(|cause| format!("{}: {}", text(cause, "/message"), text(cause, "/field"))).collect();
    let plural = if causes.len() == 1 { "" } else { "s" };
    let message = format!("Apply failed with {} conflict{plural}: {}", causes.len(), said.join("\n"));
    Failure { details: json!({ "causes": causes }), ..Failure::new(409, "Conflict", message) }
}

/// A path for people: `.spec.containers[name="a"].image`.
fn shown(path: &Path) -> String {
    let step = |step: &String| match step.split_at(2) {
        ("f:", name) => format!(".{name}"),
        ("k:", keys) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let pairs: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", pairs.join(","))
        }
        (_, value) => format!("[={value}]"),
    };
    path.iter().map(step).collect()
}

fn merge(target: &mut Value, wish: &Value, path: &[&str], kind: &Kind) {
    let Value::Object(wishes) = wish else {
        *target = wish.clone();
        return;
    };
    for (key, value) in wishes.iter().filter(|(_, value)| !value.is_null()) {
        let rule = if kind.is_custom() { List::Atomic } else { list(path, key) };
        let below: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
        let slot = map_at(target, &[]).entry(key).or_insert(Value::Null);
        match (value, rule) {
            (Value::Object(map), _) if !map.is_empty() && (kind.is_custom() || key != "selector") => {
                merge(slot, value, &below, kind);
            }
            (Value::Array(wanted), List::Keyed(keys)) => {
                let mut have = slot.as_array().cloned().unwrap_or_default();
                for item in wanted {
                    let step = key_of(item, keys);
                    match have.iter_mut().find(|old| is_item(old, &step)) {
                        Some(old) => merge(old, item, &below, kind),
                        None => have.push(item.clone()),
                    }
                }
                *slot = Value::Array(have);
            }
            (Value::Array(wanted), List::Set) => {
                let mut have = slot.as_array().cloned().unwrap_or_default();
                have.extend(wanted.iter().filter(|item| !have.contains(item)).cloned().collect::<Vec<_>>());
                *slot = Value::Array(have);
            }
            _ => *slot = value.clone(),
        }
    }
}
