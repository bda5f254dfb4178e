//! What makes pods: one place for what deployments, sets and jobs have in common.

use super::controller::Due;
use super::object::{holds, is_going, items, map_at, name, namespace, reference, text};
use super::store::{Key, Store};
use super::{deployments, jobs, sets};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Moves every workload on.
pub fn all(store: &mut Store, now: Timestamp, due: &mut Due) {
    for (plural, one) in [
        ("deployments", deployments::deployment as fn(&mut Store, &Value, Timestamp, &mut Due)),
        ("replicasets", deployments::replica_set),
        ("statefulsets", sets::stateful),
        ("daemonsets", sets::daemon),
    ] {
        for object in store.copies("apps", plural).iter().filter(|object| !is_going(object)) {
            one(store, object, now, due);
        }
    }
    for object in store.copies("batch", "jobs").iter().filter(|object| !is_going(object)) {
        jobs::job(store, object, now, due);
    }
    for object in store.copies("batch", "cronjobs") {
        jobs::cron_job(store, &object);
    }
}

/// Makes a pod from the template of its owner, with labels on top and on a node when one is given.
pub fn make_pod(store: &mut Store, by: &Value, own: &str, labels: &[(&str, &str)], node: Option<&str>, now: Timestamp) {
    let template = &by["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": own, "namespace": namespace(by), "labels": template["metadata"]["labels"],
            "ownerReferences": [reference(by)],
        },
        "spec": template["spec"], "status": { "phase": "Pending", "qosClass": "BestEffort" },
    });
    if template["metadata"]["annotations"].is_object() {
        pod["metadata"]["annotations"] = template["metadata"]["annotations"].clone();
    }
    for (key, value) in labels {
        map_at(&mut pod, &["metadata", "labels"]).insert((*key).to_owned(), json!(value));
    }
    if let Some(node) = node {
        pod["spec"]["nodeName"] = json!(node);
    }
    store.insert(Key::of("", "pods", namespace(by), own), pod, now);
    let message = format!("Created pod: {own}");
    super::controller::tell(store, by, "Normal", "SuccessfulCreate", &message, now);
}

/// The place of something that lives beside its owner.
pub fn beside(by: &Value, group: &str, plural: &str, own: &str) -> Key {
    Key::of(group, plural, namespace(by), own)
}

/// Whether a pod counts: it is neither going nor at its end.
pub fn is_live(pod: &Value) -> bool {
    !is_going(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// How many of these pods are ready.
pub fn ready(pods: &[Value]) -> i64 {
    count(pods.iter().filter(|pod| holds(pod, "Ready")))
}

/// How many there are, as JSON counts.
pub fn count(all: impl Iterator) -> i64 {
    i64::try_from(all.count()).unwrap_or(i64::MAX)
}

/// Ten letters and digits that stand for a pod template.
pub fn fingerprint(template: &Value) -> String {
    Sha256::digest(template.to_string()).iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a status when it differs from the one that is there.
pub fn report(store: &mut Store, group: &str, plural: &str, object: &Value, status: Value) {
    store.edit(&beside(object, group, plural, name(object)), |object| object["status"] = status);
}

/// The conditions of an object, to be kept in its next status.
pub fn conditions(object: &Value) -> Value {
    json!({ "conditions": items(object, "/status/conditions") })
}
