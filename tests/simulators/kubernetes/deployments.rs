//! Deployments and their replica sets: a new set for a new template, and the old ones make room step by step.

use super::controller::{Due, owned, remove, share, tell};
use super::object::{condition, flag, holds, name, namespace, number, reference, set, text, uid};
use super::store::Store;
use super::verbs::suffix;
use super::workloads::{beside, conditions, count, fingerprint, is_live, make_pod, ready, report};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

/// Makes as many pods as the set wants, and takes away what is too many.
pub fn replica_set(store: &mut Store, own: &Value, now: Timestamp, _: &mut Due) {
    let mut pods: Vec<Value> = owned(store, "", "pods", own).into_iter().filter(is_live).collect();
    let wanted = usize::try_from(number(own, "/spec/replicas", 1)).unwrap_or(0);
    for _ in pods.len()..wanted {
        let made = format!("{}-{}", name(own), suffix(store.next()));
        make_pod(store, own, &made, &[], None, now);
    }
    // Those that are not ready go first, of the others the youngest.
    pods.sort_by_key(|pod| (holds(pod, "Ready"), std::cmp::Reverse(store.since.get(uid(pod)).copied())));
    let too_many = pods.len().saturating_sub(wanted);
    for pod in pods.iter().take(too_many) {
        remove(store, &beside(own, "", "pods", name(pod)), now);
        tell(store, own, "Normal", "SuccessfulDelete", &format!("Deleted pod: {}", name(pod)), now);
    }
    let pods: Vec<Value> = owned(store, "", "pods", own).into_iter().filter(is_live).collect();
    let (all, good) = (count(pods.iter()), ready(&pods));
    let status = json!({
        "replicas": all, "fullyLabeledReplicas": all, "readyReplicas": good, "availableReplicas": good,
        "observedGeneration": own["metadata"]["generation"],
    });
    report(store, "apps", "replicasets", own, status);
}

/// Moves a rollout on by one step.
pub fn deployment(store: &mut Store, own: &Value, now: Timestamp, due: &mut Due) {
    let paused = flag(own, "/spec/paused");
    let sets = owned(store, "apps", "replicasets", own);
    let current = sets.iter().find(|set| template_of(set) == own["spec"]["template"]).cloned();
    let current = match current {
        Some(set) => Some(set),
        None if paused => None,
        None => Some(new_set(store, own, &sets, now)),
    };
    if let Some(current) = &current {
        revise(store, own, current, &sets);
    }
    scale(store, own, current.as_ref(), now);
    let sets = owned(store, "apps", "replicasets", own);
    let current = sets.iter().find(|set| current.as_ref().is_some_and(|current| uid(current) == uid(set)));
    status(store, own, &sets, current, now, due);
}

/// The template that a set was made for: without the label that tells sets apart.
fn template_of(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    super::object::remove(&mut template, &["metadata", "labels", HASH]);
    template
}

fn revision(object: &Value) -> i64 {
    object["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn new_set(store: &mut Store, own: &Value, sets: &[Value], now: Timestamp) -> Value {
    let template = &own["spec"]["template"];
    let hash = fingerprint(template);
    let made = format!("{}-{hash}", name(own));
    let next = sets.iter().map(revision).max().unwrap_or(0) + 1;
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": made, "namespace": namespace(own), "labels": template["metadata"]["labels"],
            "annotations": { REVISION: next.to_string() }, "ownerReferences": [reference(own)],
        },
        "spec": { "replicas": 0, "selector": own["spec"]["selector"], "template": template },
    });
    if let Some(cause) = own["metadata"]["annotations"].get("kubernetes.io/change-cause") {
        object["metadata"]["annotations"]["kubernetes.io/change-cause"] = cause.clone();
    }
    for path in [
        &["metadata", "labels", HASH][..],
        &["spec", "selector", "matchLabels", HASH],
        &["spec", "template", "metadata", "labels", HASH],
    ] {
        set(&mut object, path, json!(hash));
    }
    let key = beside(own, "apps", "replicasets", &made);
    // A set of that name that is somebody else's is in the way: the name gets a number.
    let key = if store.get(&key).is_some() {
        let other = format!("{made}-{}", suffix(store.next()));
        set(&mut object, &["metadata", "name"], json!(other));
        beside(own, "apps", "replicasets", &other)
    } else {
        key
    };
    store.insert(key, object, now)
}

/// Gives the current set the highest revision, writes it at the deployment, and forgets sets beyond the limit.
fn revise(store: &mut Store, own: &Value, current: &Value, sets: &[Value]) {
    let highest = sets.iter().filter(|set| uid(set) != uid(current)).map(revision).max().unwrap_or(0);
    let next = if revision(current) > highest { revision(current) } else { highest + 1 };
    for (plural, object) in [("replicasets", current), ("deployments", own)] {
        store.edit(&beside(own, "apps", plural, name(object)), |object| {
            set(object, &["metadata", "annotations", REVISION], json!(next.to_string()));
        });
    }
    let mut empty: Vec<&Value> = sets
        .iter()
        .filter(|set| {
            uid(set) != uid(current) && number(set, "/spec/replicas", 0) == 0 && number(set, "/status/replicas", 0) == 0
        })
        .collect();
    empty.sort_by_key(|set| revision(set));
    let limit = usize::try_from(number(own, "/spec/revisionHistoryLimit", 10)).unwrap_or(10);
    for set in empty.iter().take(empty.len().saturating_sub(limit)) {
        store.remove(&beside(own, "apps", "replicasets", name(set)));
    }
}

/// Changes the sizes of the sets by as much as the strategy allows now.
fn scale(store: &mut Store, own: &Value, current: Option<&Value>, now: Timestamp) {
    let wanted = number(own, "/spec/replicas", 1);
    let sets = owned(store, "apps", "replicasets", own);
    let size = |set: &Value| number(set, "/spec/replicas", 0);
    let is_current = |set: &&Value| current.is_some_and(|current| uid(current) == uid(set));
    let old: Vec<&Value> = sets.iter().filter(|set| !is_current(set) && size(set) > 0).collect();
    let Some(new) = sets.iter().find(is_current) else {
        if let [only] = old[..] {
            resize(store, own, only, wanted, now);
        }
        return;
    };
    if flag(own, "/spec/paused") && !old.is_empty() {
        return;
    }
    if text(own, "/spec/strategy/type") == "Recreate" {
        for set in &old {
            resize(store, own, set, 0, now);
        }
        let all = sets.iter().filter(|set| !is_current(set));
        let left: usize =
            all.map(|set| owned(store, "", "pods", set).iter().filter(|pod| !is_ended(pod)).count()).sum();
        if left == 0 {
            resize(store, own, new, wanted, now);
        }
        return;
    }
    if old.is_empty() {
        return resize(store, own, new, wanted, now);
    }
    let rolling = &own["spec"]["strategy"]["rollingUpdate"];
    let unavailable = share_down(&rolling["maxUnavailable"], wanted);
    let surge = share(&rolling["maxSurge"], wanted).max(i64::from(unavailable == 0));
    let total: i64 = sets.iter().map(size).sum();
    let room = (wanted + surge - total).max(0);
    resize(store, own, new, (size(new) + room).min(wanted), now);
    let good: i64 = sets.iter().map(|set| number(set, "/status/readyReplicas", 0).min(size(set))).sum();
    let mut spare = good - (wanted - unavailable);
    for set in old {
        let sick = (size(set) - number(set, "/status/readyReplicas", 0)).max(0);
        let healthy = (size(set) - sick).min(spare.max(0));
        spare -= healthy;
        resize(store, own, set, size(set) - sick - healthy, now);
    }
}

fn is_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// A number, or a share of all in percent, rounded down.
fn share_down(value: &Value, all: i64) -> i64 {
    match value {
        Value::String(text) => all * text.trim_end_matches('%').parse::<i64>().unwrap_or(0) / 100,
        other => other.as_i64().unwrap_or(0),
    }
}

fn resize(store: &mut Store, own: &Value, of: &Value, size: i64, now: Timestamp) {
    let old = number(of, "/spec/replicas", 0);
    if old == size {
        return;
    }
    store.edit(&beside(own, "apps", "replicasets", name(of)), |object| set(object, &["spec", "replicas"], json!(size)));
    let way = if size > old { "up" } else { "down" };
    let message = format!("Scaled {way} replica set {} from {old} to {size}", name(of));
    tell(store, own, "Normal", "ScalingReplicaSet", &message, now);
}

fn status(store: &mut Store, own: &Value, sets: &[Value], current: Option<&Value>, now: Timestamp, due: &mut Due) {
    let wanted = number(own, "/spec/replicas", 1);
    let sum = |pointer: &str| -> i64 { sets.iter().map(|set| number(set, pointer, 0)).sum() };
    let (all, good) = (sum("/status/replicas"), sum("/status/readyReplicas"));
    let updated = current.map_or(0, |set| number(set, "/status/replicas", 0));
    let counts = [all, good, updated, wanted];
    let mut status = conditions(own);
    for (key, value) in [
        ("replicas", all),
        ("readyReplicas", good),
        ("availableReplicas", good),
        ("updatedReplicas", updated),
        ("unavailableReplicas", (wanted - good).max(0)),
    ] {
        status[key] = json!(value);
    }
    status["observedGeneration"] = own["metadata"]["generation"].clone();
    let enough = good >= wanted - share_down(&own["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], wanted);
    let (holds, reason) =
        if enough { ("True", "MinimumReplicasAvailable") } else { ("False", "MinimumReplicasUnavailable") };
    condition(&mut status, "Available", holds, reason, "", now);
    let finished = updated == wanted && all == wanted && good == wanted;
    let before = ["replicas", "readyReplicas", "updatedReplicas"].map(|key| number(own, &format!("/status/{key}"), -1));
    // The deadline counts from the last progress, or from the last change of what is wanted.
    let moved = before != counts[..3] || own["status"]["observedGeneration"] != status["observedGeneration"];
    let clock = format!("progress {}", uid(own));
    if moved {
        store.since.insert(clock.clone(), now);
    }
    let since = store.since.get(&clock).copied().unwrap_or(now);
    let deadline = Duration::from_secs(number(own, "/spec/progressDeadlineSeconds", 600).unsigned_abs());
    let set = current.map_or("", name);
    if finished {
        let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
        condition(&mut status, "Progressing", "True", "NewReplicaSetAvailable", &message, now);
    } else if due.passed(since, deadline, now) {
        let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
        condition(&mut status, "Progressing", "False", "ProgressDeadlineExceeded", &message, now);
    } else {
        let message = format!("ReplicaSet \"{set}\" is progressing.");
        condition(&mut status, "Progressing", "True", "ReplicaSetUpdated", &message, now);
    }
    report(store, "apps", "deployments", own, status);
}
