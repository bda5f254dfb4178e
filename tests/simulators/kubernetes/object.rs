//! Reading and writing parts of an object, which is plain JSON here.

use serde_json::{Map, Value, json};

/// The text at a JSON pointer, or nothing.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at a JSON pointer, or what to take when there is none.
pub fn number(object: &Value, pointer: &str, otherwise: i64) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(otherwise)
}

/// Whether the value at a JSON pointer is true.
pub fn flag(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// The items of the list at a JSON pointer.
pub fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The map at a JSON pointer, as pairs of texts.
pub fn pairs<'a>(object: &'a Value, pointer: &str) -> Vec<(&'a str, &'a str)> {
    let map = object.pointer(pointer).and_then(Value::as_object);
    map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())).collect()
}

/// `metadata.name`
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.namespace`, empty for what has none.
pub fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// `metadata.uid`
pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Whether it waits to be removed.
pub fn is_going(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// The uid of the owner that controls it, or of its first owner.
pub fn owner(object: &Value) -> &str {
    let owners = items(object, "/metadata/ownerReferences");
    let controller = owners.iter().find(|owner| flag(owner, "/controller"));
    controller.or(owners.first()).map_or("", |owner| text(owner, "/uid"))
}

/// An `ownerReferences` entry that points to this object.
pub fn reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The map at a path of keys, made when it is not there. What stands in its way is replaced.
pub fn map_at<'a>(object: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    let mut at = object;
    for key in path {
        at = in_map(at).entry(*key).or_insert_with(|| json!({}));
    }
    in_map(at)
}

fn in_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object above"),
    }
}

/// Sets one value at a path of keys.
pub fn set(object: &mut Value, path: &[&str], value: Value) {
    if let Some((last, before)) = path.split_last() {
        map_at(object, before).insert((*last).to_owned(), value);
    }
}

/// Sets one value at a path of keys unless something stands there.
pub fn default(object: &mut Value, path: &[&str], value: Value) {
    if let Some((last, before)) = path.split_last() {
        map_at(object, before).entry(*last).or_insert(value);
    }
}

/// Removes one value at a path of keys; makes nothing.
pub fn remove(object: &mut Value, path: &[&str]) {
    if let Some((last, before)) = path.split_last() {
        let mut at = Some(object);
        for key in before {
            at = at.and_then(|value| value.get_mut(*key));
        }
        if let Some(Value::Object(map)) = at {
            map.shift_remove(*last);
        }
    }
}

/// Drops what is null, at every depth: a field that is null is a field that is not there.
pub fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A time as Kubernetes writes it: whole seconds, in UTC.
pub fn stamp(time: jiff::Timestamp) -> Value {
    json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Sets a condition of a type; its time of change moves only when its status does.
pub fn condition(status: &mut Value, kind: &str, holds: &str, reason: &str, message: &str, now: jiff::Timestamp) {
    let list = map_at(status, &[]).entry("conditions").or_insert_with(|| json!([]));
    let Value::Array(list) = list else { return };
    let old = list.iter().position(|entry| entry["type"] == kind);
    let since = old
        .filter(|&place| list[place]["status"] == holds)
        .map_or_else(|| stamp(now), |place| list[place]["lastTransitionTime"].clone());
    let mut entry = json!({ "type": kind, "status": holds, "lastTransitionTime": since });
    if !reason.is_empty() {
        entry["reason"] = json!(reason);
    }
    if !message.is_empty() {
        entry["message"] = json!(message);
    }
    match old {
        Some(place) => list[place] = entry,
        None => list.push(entry),
    }
}

/// Whether a condition of a type is `True`.
pub fn holds(object: &Value, kind: &str) -> bool {
    items(object, "/status/conditions").iter().any(|entry| entry["type"] == kind && entry["status"] == "True")
}
