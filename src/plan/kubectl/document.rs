//! Documents of a manifest: what an object must say, and how a person reads it.

use super::super::view::Holes;
use crate::expr::{Duration, SecretText, Time, Value, to_json, unknown_of};
use minijinja::value::ValueKind;
use serde_json::Value as Json;

/// How deep a document is shown.
const DEEPEST: usize = 128;

/// What is wrong with a document, as far as its values are known.
pub(super) fn problem(document: &Value, namespace: Option<&str>) -> Option<String> {
    if unknown_of(document).is_some() {
        return None;
    }
    if document.kind() != ValueKind::Map {
        return Some("is no object: an object of Kubernetes is a map with `apiVersion` and `kind`".to_owned());
    }
    for key in ["apiVersion", "kind"] {
        let value = document.get_item(&Value::from(key)).unwrap_or_default();
        let is_text = value.as_str().is_some_and(|text| !text.is_empty());
        if !is_text && unknown_of(&value).is_none() {
            return Some(format!("has no `{key}`"));
        }
    }
    let own = document.get_attr("metadata").and_then(|metadata| metadata.get_attr("namespace")).unwrap_or_default();
    let (own, wanted) = (own.as_str()?, namespace?);
    (own != wanted).then(|| format!("belongs to the namespace `{own}`, and the target to `{wanted}`"))
}

/// A document as YAML: secrets by their names, what is unknown as `‹..›`.
pub(super) fn yaml(document: &Value, holes: &mut Holes) -> String {
    let json = shown(document, "manifest", holes, DEEPEST);
    let text = serde_yaml::to_string(&json).unwrap_or_else(|_| json.to_string());
    text.trim_end().to_owned()
}

fn shown(value: &Value, name: &str, holes: &mut Holes, deeper: usize) -> Json {
    if let Some(unknown) = unknown_of(value) {
        holes.add(name, &unknown.reason);
        return Json::from(format!("‹{name}›"));
    }
    if let Some(secret) = value.downcast_object_ref::<SecretText>() {
        return Json::from(format!("‹secret {}›", secret.name));
    }
    let Some(deeper) = deeper.checked_sub(1) else { return Json::from("‹too deep›") };
    let is_plain = Time::of(value).is_some() || Duration::of(value).is_some();
    match (value.kind(), value.try_iter()) {
        (ValueKind::Map, Ok(keys)) if !is_plain => {
            let entries = keys.map(|key| {
                let inner = value.get_item(&key).unwrap_or_default();
                let text = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                let json = shown(&inner, &format!("{name}.{text}"), holes, deeper);
                (text, json)
            });
            Json::Object(entries.collect())
        }
        (ValueKind::Seq | ValueKind::Iterable, Ok(items)) if !is_plain => {
            let items = items.enumerate();
            Json::Array(items.map(|(place, item)| shown(&item, &format!("{name}[{place}]"), holes, deeper)).collect())
        }
        _ => to_json(value),
    }
}
