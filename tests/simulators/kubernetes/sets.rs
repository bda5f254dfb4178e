//! Stateful sets (numbered pods, one after the other) and daemon sets (a pod on every node).

use super::controller::{Due, owned, remove};
use super::object::{flag, holds, is_going, items, name, namespace, number, pairs, reference, set, text};
use super::store::{Key, Store};
use super::verbs::suffix;
use super::workloads::{beside, count, fingerprint, is_live, make_pod, ready, report};
use jiff::Timestamp;
use serde_json::{Value, json};

const HASH: &str = "controller-revision-hash";

/// Keeps the revision of the template, so that a rollout can be undone; the name of the revision.
fn revision(store: &mut Store, own: &Value, now: Timestamp) -> String {
    let hash = fingerprint(&own["spec"]["template"]);
    let made = format!("{}-{hash}", name(own));
    let kept = owned(store, "apps", "controllerrevisions", own);
    let highest = kept.iter().map(|revision| number(revision, "/revision", 0)).max().unwrap_or(0);
    let key = beside(own, "apps", "controllerrevisions", &made);
    match kept.iter().find(|revision| name(revision) == made) {
        Some(old) if number(old, "/revision", 0) == highest => {}
        Some(_) => store.edit(&key, |revision| revision["revision"] = json!(highest + 1)),
        None => {
            let mut template = own["spec"]["template"].clone();
            template["$patch"] = json!("replace");
            let object = json!({
                "apiVersion": "apps/v1", "kind": "ControllerRevision",
                "metadata": {
                    "name": made, "namespace": namespace(own), "labels": own["spec"]["template"]["metadata"]["labels"],
                    "ownerReferences": [reference(own)],
                },
                "data": { "spec": { "template": template } }, "revision": highest + 1,
            });
            store.insert(key, object, now);
        }
    }
    made
}

fn revision_of(pod: &Value) -> &str {
    pod["metadata"]["labels"][HASH].as_str().unwrap_or_default()
}

/// Moves a stateful set on by one step.
pub fn stateful(store: &mut Store, own: &Value, now: Timestamp, _: &mut Due) {
    let update = revision(store, own, now);
    let wanted = number(own, "/spec/replicas", 1);
    let ordered = text(own, "/spec/podManagementPolicy") != "Parallel";
    let calm = fill(store, own, &update, (wanted, ordered), now);
    let mut pods = owned(store, "", "pods", own);
    pods.sort_by_key(|pod| std::cmp::Reverse(number_of(pod)));
    let surplus: Vec<&Value> = pods.iter().filter(|pod| number_of(pod) >= wanted).collect();
    for pod in surplus.iter().take(if ordered { 1 } else { usize::MAX }) {
        remove(store, &beside(own, "", "pods", name(pod)), now);
    }
    if calm && surplus.is_empty() && text(own, "/spec/updateStrategy/type") != "OnDelete" {
        let partition = number(own, "/spec/updateStrategy/rollingUpdate/partition", 0);
        let next = pods.iter().find(|pod| number_of(pod) >= partition && revision_of(pod) != update);
        if let Some(pod) = next {
            remove(store, &beside(own, "", "pods", name(pod)), now);
        }
    }
    let pods: Vec<Value> = owned(store, "", "pods", own).into_iter().filter(is_live).collect();
    let updated = count(pods.iter().filter(|pod| revision_of(pod) == update));
    let before = text(own, "/status/currentRevision").to_owned();
    let is_done = updated == wanted || before.is_empty();
    let current = if is_done { update.clone() } else { before };
    let status = json!({
        "replicas": count(pods.iter()), "readyReplicas": ready(&pods), "availableReplicas": ready(&pods),
        "currentReplicas": count(pods.iter().filter(|pod| revision_of(pod) == current)), "updatedReplicas": updated,
        "currentRevision": current, "updateRevision": update, "collisionCount": 0,
        "observedGeneration": own["metadata"]["generation"],
    });
    report(store, "apps", "statefulsets", own, status);
}

/// Makes the pods that are missing; whether all that are wanted are there and ready.
fn fill(store: &mut Store, own: &Value, update: &str, how: (i64, bool), now: Timestamp) -> bool {
    let (wanted, ordered) = how;
    let mut calm = true;
    for place in 0..wanted {
        let pod = format!("{}-{place}", name(own));
        let there = store.get(&beside(own, "", "pods", &pod)).map(|pod| holds(pod, "Ready") && !is_going(pod));
        if there.is_none() {
            claims(store, own, &pod, now);
            let index = place.to_string();
            let labels = [
                (HASH, update),
                ("statefulset.kubernetes.io/pod-name", &pod),
                ("apps.kubernetes.io/pod-index", &index),
            ];
            make_pod(store, own, &pod, &labels, None, now);
        }
        if there != Some(true) {
            calm = false;
            if ordered {
                break;
            }
        }
    }
    calm
}

/// The number at the end of the name of a pod.
fn number_of(pod: &Value) -> i64 {
    name(pod).rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(-1)
}

/// The claims of one pod. They stay when the pod goes, and when the set goes.
fn claims(store: &mut Store, own: &Value, pod: &str, now: Timestamp) {
    for template in items(own, "/spec/volumeClaimTemplates") {
        let made = format!("{}-{pod}", name(template));
        let key = beside(own, "", "persistentvolumeclaims", &made);
        if store.get(&key).is_none() {
            let mut claim = json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": made, "namespace": namespace(own), "labels": own["spec"]["selector"]["matchLabels"],
                },
                "spec": template["spec"], "status": { "phase": "Pending" },
            });
            set(&mut claim, &["spec", "volumeMode"], json!("Filesystem"));
            store.insert(key, claim, now);
        }
    }
}

/// Moves a daemon set on by one step.
pub fn daemon(store: &mut Store, own: &Value, now: Timestamp, _: &mut Due) {
    let update = revision(store, own, now);
    let hash = update.rsplit('-').next().unwrap_or_default().to_owned();
    let wanted = pairs(own, "/spec/template/spec/nodeSelector");
    let nodes: Vec<String> = store
        .list("", "nodes", "")
        .filter(|(_, node)| wanted.iter().all(|(label, value)| node["metadata"]["labels"][*label] == *value))
        .map(|(key, _)| key.name.clone())
        .collect();
    let pods = owned(store, "", "pods", own);
    for node in &nodes {
        if !pods.iter().any(|pod| text(pod, "/spec/nodeName") == node) {
            let made = format!("{}-{}", name(own), suffix(store.next()));
            make_pod(store, own, &made, &[(HASH, &hash)], Some(node), now);
        }
    }
    for pod in pods.iter().filter(|pod| !nodes.iter().any(|node| text(pod, "/spec/nodeName") == node)) {
        remove(store, &Key::of("", "pods", namespace(pod), name(pod)), now);
    }
    let live: Vec<Value> = owned(store, "", "pods", own).into_iter().filter(is_live).collect();
    let (all, good) = (count(nodes.iter()), ready(&live));
    let rolls = text(own, "/spec/updateStrategy/type") != "OnDelete";
    let stale = live.iter().find(|pod| revision_of(pod) != hash);
    let is_free = good == all || stale.is_some_and(|pod| !holds(pod, "Ready") && !flag(pod, "/spec/hostNetwork"));
    if let Some(pod) = stale.filter(|_| rolls && is_free) {
        remove(store, &beside(own, "", "pods", name(pod)), now);
    }
    let status = json!({
        "desiredNumberScheduled": all, "currentNumberScheduled": count(live.iter()), "numberMisscheduled": 0,
        "numberReady": good, "numberAvailable": good, "numberUnavailable": all - good,
        "updatedNumberScheduled": count(live.iter().filter(|pod| revision_of(pod) == hash)),
        "observedGeneration": own["metadata"]["generation"],
    });
    report(store, "apps", "daemonsets", own, status);
}
