//! The kinds of patch: JSON patch, merge patch, and strategic merge with its table of merge keys.

use super::status::Failure;
use serde_json::{Map, Value, json};

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum List {
    /// The list is one value.
    Atomic,
    /// Plain values, each at most once.
    Set,
    /// Maps that these keys tell apart. A strategic merge uses the first only.
    Keyed(&'static [&'static str]),
}

/// How the list under this name is merged; `path` holds the names above it. Only built-in kinds have such lists.
pub fn list(path: &[&str], field: &str) -> List {
    let above = path.last().copied().unwrap_or_default();
    match (above, field) {
        (
            _,
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "env"
            | "volumes"
            | "imagePullSecrets"
            | "secrets",
        ) => List::Keyed(&["name"]),
        (_, "volumeMounts") => List::Keyed(&["mountPath"]),
        (_, "volumeDevices") => List::Keyed(&["devicePath"]),
        (_, "hostAliases" | "podIPs") => List::Keyed(&["ip"]),
        (_, "topologySpreadConstraints") => List::Keyed(&["topologyKey", "whenUnsatisfiable"]),
        ("containers" | "initContainers", "ports") => List::Keyed(&["containerPort", "protocol"]),
        ("spec", "ports") => List::Keyed(&["port", "protocol"]),
        ("status", "conditions" | "addresses") => List::Keyed(&["type"]),
        ("metadata", "ownerReferences") => List::Keyed(&["uid"]),
        ("metadata", "finalizers") => List::Set,
        _ => List::Atomic,
    }
}

/// Applies a patch by its content type.
pub fn apply(object: &Value, patch: &Value, content_type: &str, is_custom: bool) -> Result<Value, Failure> {
    let mut object = object.clone();
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json-patch+json" => {
            let patch: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|why| Failure::bad(format!("the patch is no list of operations: {why}")))?;
            // What exactly went wrong is not told, as in the real server.
            json_patch::patch(&mut object, &patch).map_err(|_| {
                Failure::new(422, "Invalid", "the server rejected our request due to an error in our request")
            })?;
        }
        "application/merge-patch+json" => json_patch::merge(&mut object, patch),
        "application/strategic-merge-patch+json" if !is_custom => {
            let Value::Object(changes) = patch else { return Err(Failure::bad("the patch is no object")) };
            strategic(&mut object, changes, &mut Vec::new())?;
        }
        _ => {
            let message = "the body of the request was in an unknown format - accepted media types include: \
                           application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
            return Err(Failure::new(415, "UnsupportedMediaType", message));
        }
    }
    Ok(object)
}

/// Merges strategically: maps by key, lists by the table, with the directives that start with `$`.
fn strategic<'a>(target: &mut Value, patch: &'a Map<String, Value>, path: &mut Vec<&'a str>) -> Result<(), Failure> {
    if patch.get("$patch") == Some(&json!("replace")) {
        *target = Value::Object(plain(patch));
        return Ok(());
    }
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(map) = target else { return Ok(()) };
    if let Some(Value::Array(kept)) = patch.get("$retainKeys") {
        map.retain(|key, _| kept.iter().any(|name| name == key));
    }
    for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        match value {
            Value::Null => {
                map.shift_remove(key);
            }
            Value::Object(inner) if inner.get("$patch") == Some(&json!("delete")) => {
                map.shift_remove(key);
            }
            Value::Object(inner) => {
                path.push(key);
                strategic(map.entry(key).or_insert(Value::Null), inner, path)?;
                path.pop();
            }
            Value::Array(items) => {
                let rule = list(path, key);
                path.push(key);
                let merged = merge_list(map.get(key), items, rule, path)?;
                map.insert(key.clone(), merged);
                path.pop();
            }
            other => {
                map.insert(key.clone(), other.clone());
            }
        }
    }
    for (directive, wanted) in patch {
        if let Some(key) = directive.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = wanted.as_array().map_or(&[][..], Vec::as_slice);
            if let Some(Value::Array(items)) = map.get_mut(key) {
                items.retain(|item| !gone.contains(item));
            }
        }
        if let Some(key) = directive.strip_prefix("$setElementOrder/") {
            let order = wanted.as_array().map_or(&[][..], Vec::as_slice);
            let rule = list(path, key);
            if let Some(Value::Array(items)) = map.get_mut(key) {
                items.sort_by_key(|item| order.iter().position(|entry| same(item, entry, rule)).unwrap_or(usize::MAX));
            }
        }
    }
    Ok(())
}

fn merge_list<'a>(
    old: Option<&Value>,
    items: &'a [Value],
    rule: List,
    path: &mut Vec<&'a str>,
) -> Result<Value, Failure> {
    let mut merged = old.and_then(Value::as_array).cloned().unwrap_or_default();
    let replaces = items.iter().any(|item| item.get("$patch") == Some(&json!("replace")));
    if replaces || rule == List::Atomic {
        let kept = items.iter().filter(|item| item.get("$patch").is_none());
        return Ok(Value::Array(kept.cloned().collect()));
    }
    for item in items {
        let place = merged.iter().position(|other| same(other, item, rule));
        match (item, rule) {
            (Value::Object(changes), List::Keyed(keys)) => {
                if !changes.contains_key(keys[0]) {
                    let message = format!("map: {item} does not contain declared merge key: {}", keys[0]);
                    return Err(Failure::bad(message));
                }
                if changes.get("$patch") == Some(&json!("delete")) {
                    merged.retain(|other| !same(other, item, rule));
                    continue;
                }
                let place = place.unwrap_or_else(|| {
                    merged.push(json!({}));
                    merged.len() - 1
                });
                strategic(&mut merged[place], changes, path)?;
            }
            _ if place.is_none() => merged.push(item.clone()),
            _ => {}
        }
    }
    Ok(Value::Array(merged))
}

fn same(one: &Value, other: &Value, rule: List) -> bool {
    match rule {
        List::Keyed(keys) => one.get(keys[0]).is_some() && one.get(keys[0]) == other.get(keys[0]),
        List::Set | List::Atomic => one == other,
    }
}

/// A map without directives.
fn plain(map: &Map<String, Value>) -> Map<String, Value> {
    map.iter().filter(|(key, _)| !key.starts_with('$')).map(|(key, value)| (key.clone(), value.clone())).collect()
}
