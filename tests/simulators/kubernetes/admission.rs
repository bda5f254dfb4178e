//! What is refused before it is kept: bad names, missing parts, changes of what must not change.

use super::kind::Kind;
use super::object::{flag, is_going, items, map_at, name, number, pairs, text};
use super::selector::Selector;
use super::status::Failure;
use super::store::{Key, Store};
use serde_json::Value;

/// Refuses a new object that cannot be kept in this place.
pub fn create(store: &Store, kind: &Kind, namespace: &str, object: &Value) -> Result<(), Failure> {
    if kind.namespaced {
        let home = store.get(&Key::of("", "namespaces", "", namespace));
        let home = home.ok_or_else(|| Failure::not_found("namespaces", namespace))?;
        if is_going(home) {
            let message = format!(
                "{} \"{}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
                kind.resource(),
                name(object)
            );
            return Err(Failure::new(403, "Forbidden", message));
        }
    }
    if !text(object, "/metadata/resourceVersion").is_empty() {
        return Err(Failure::bad("resourceVersion should not be set on objects to be created"));
    }
    check(kind, object, None)
}

/// Refuses a new state that a kind of object cannot have.
pub fn check(kind: &Kind, object: &Value, old: Option<&Value>) -> Result<(), Failure> {
    let mut causes: Vec<(String, String)> = Vec::new();
    let mut wrong = |field: &str, why: &str| causes.push((field.to_owned(), why.to_owned()));
    if !is_name(name(object)) && kind.group != super::rbac::GROUP {
        let why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
                   start and end with an alphanumeric character";
        wrong("metadata.name", &format!("Invalid value: {:?}: {why}", name(object)));
    }
    let bad_label = pairs(object, "/metadata/labels").into_iter().find(|(_, value)| !is_label(value));
    if let Some((_, value)) = bad_label {
        wrong(
            "metadata.labels",
            &format!(
                "Invalid value: {value:?}: a valid label must be an empty string or consist of \
            alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
            ),
        );
    }
    if !kind.is_custom() {
        own_rules(kind, object, old, &mut wrong);
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid(&kind.name, name(object), &causes)) }
}

fn own_rules(kind: &Kind, object: &Value, old: Option<&Value>, wrong: &mut impl FnMut(&str, &str)) {
    let changed = |pointer: &str| old.is_some_and(|old| old.pointer(pointer) != object.pointer(pointer));
    match kind.plural.as_str() {
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" => {
            if number(object, "/spec/replicas", 0) < 0 {
                let value = number(object, "/spec/replicas", 0);
                wrong("spec.replicas", &format!("Invalid value: {value}: must be greater than or equal to 0"));
            }
            let selector = &object["spec"]["selector"];
            if Selector::of(selector).is_empty() {
                wrong("spec.selector", "Required value");
            } else if !Selector::of(selector).meets(&object["spec"]["template"]) {
                wrong("spec.template.metadata.labels", "Invalid value: `selector` does not match template `labels`");
            }
            if changed("/spec/selector") {
                wrong("spec.selector", "Invalid value: field is immutable");
            }
            containers(&object["spec"]["template"]["spec"], "spec.template.spec.containers", wrong);
            let restarts = text(object, "/spec/template/spec/restartPolicy");
            if restarts != "Always" {
                let why = format!("Unsupported value: {restarts:?}: supported values: \"Always\"");
                wrong("spec.template.spec.restartPolicy", &why);
            }
        }
        "jobs" => {
            containers(&object["spec"]["template"]["spec"], "spec.template.spec.containers", wrong);
            if text(object, "/spec/template/spec/restartPolicy") == "Always" {
                wrong("spec.template.spec.restartPolicy", "Required value: valid values: \"OnFailure\", \"Never\"");
            }
            if changed("/spec/template") {
                wrong("spec.template", "Invalid value: field is immutable");
            }
        }
        "cronjobs" if text(object, "/spec/schedule").is_empty() => wrong("spec.schedule", "Required value"),
        "pods" => containers(&object["spec"], "spec.containers", wrong),
        "services" if text(object, "/spec/type") != "ExternalName" && items(object, "/spec/ports").is_empty() => {
            wrong("spec.ports", "Required value");
        }
        "secrets" | "configmaps"
            if old.is_some_and(|old| flag(old, "/immutable")) && (changed("/data") || changed("/binaryData")) =>
        {
            wrong("data", "Forbidden: field is immutable when `immutable` is set");
        }
        "rolebindings" | "clusterrolebindings" if changed("/roleRef") => {
            wrong("roleRef", "Invalid value: cannot change roleRef");
        }
        "persistentvolumeclaims" if changed("/spec/storageClassName") || changed("/spec/accessModes") => {
            wrong("spec", "Forbidden: spec is immutable after creation except resources.requests");
        }
        _ => {}
    }
}

fn containers(spec: &Value, field: &str, wrong: &mut impl FnMut(&str, &str)) {
    let list = items(spec, "/containers");
    if list.is_empty() {
        wrong(field, "Required value");
    }
    for (place, container) in list.iter().enumerate() {
        for key in ["name", "image"] {
            if text(container, &format!("/{key}")).is_empty() {
                wrong(&format!("{field}[{place}].{key}"), "Required value");
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let edge = |character: Option<char>| character.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= 253
        && edge(name.chars().next())
        && edge(name.chars().last())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
}

fn is_label(value: &str) -> bool {
    let edge = |character: Option<char>| character.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && edge(value.chars().next())
        && edge(value.chars().last())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Puts back what a change through this door must not touch: the status, or everything but the status.
pub fn restore(kind: &Kind, old: &Value, new: &mut Value, subresource: &str) {
    let splits = kind.has("status");
    if subresource == "status" {
        let status = new.get("status").cloned();
        let (fields, version) = (new["metadata"]["managedFields"].clone(), new["metadata"]["resourceVersion"].clone());
        *new = old.clone();
        let own = map_at(new, &["metadata"]);
        own.insert("managedFields".to_owned(), fields);
        own.insert("resourceVersion".to_owned(), version);
        if let Some(status) = status {
            new["status"] = status;
        }
    } else if splits {
        match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => super::object::remove(new, &["status"]),
        }
    }
    let own = map_at(new, &["metadata"]);
    for key in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        match old["metadata"].get(key) {
            Some(value) => own.insert(key.to_owned(), value.clone()),
            None => own.shift_remove(key),
        };
    }
}
