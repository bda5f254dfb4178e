//! The life of a pod: bound to a node, ready after a while, ended or gone when it is told.

use super::controller::{Due, stuck, tell};
use super::object::{condition, is_going, items, name, namespace, pairs, set, stamp, text, uid};
use super::seed::fits;
use super::store::{Key, Store};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Moves every pod on.
pub fn all(store: &mut Store, now: Timestamp, due: &mut Due) {
    for pod in store.copies("", "pods") {
        one(store, &pod, now, due);
    }
}

fn one(store: &mut Store, pod: &Value, now: Timestamp, due: &mut Due) {
    let key = Key::of("", "pods", namespace(pod), name(pod));
    let since = store.since.get(uid(pod)).copied().unwrap_or(now);
    if is_going(pod) {
        if due.passed(since, store.scene.gone_after, now) && items(pod, "/metadata/finalizers").is_empty() {
            store.remove(&key);
        }
        return;
    }
    if text(pod, "/spec/nodeName").is_empty() {
        schedule(store, pod, &key, now);
        return;
    }
    let ready_after = store.scene.ready_after;
    let ends = text(pod, "/spec/restartPolicy") != "Always";
    match text(pod, "/status/phase") {
        "Succeeded" | "Failed" => {}
        _ if stuck(&store.scene, pod).is_some() => {
            let reason = stuck(&store.scene, pod).unwrap_or_default().to_owned();
            hang(store, pod, &key, &reason, now);
        }
        _ if !due.passed(since, ready_after, now) => {}
        "Running" if ends => {
            if due.passed(since, ready_after * 2, now) {
                end(store, pod, &key, now);
            }
        }
        _ if fails_probe(store, pod) => start_unready(store, pod, &key, now),
        "Running" if super::object::holds(pod, "Ready") => {}
        _ => run(store, pod, &key, now),
    }
}

/// Binds a pod to the node with the fewest pods, of those that take it.
fn schedule(store: &mut Store, pod: &Value, key: &Key, now: Timestamp) {
    let wanted = pairs(pod, "/spec/nodeSelector");
    let nodes: Vec<String> = store
        .list("", "nodes", "")
        .map(|(_, node)| node)
        .filter(|node| !super::object::flag(node, "/spec/unschedulable"))
        .filter(|node| wanted.iter().all(|(label, value)| node["metadata"]["labels"][*label] == *value))
        .map(|node| name(node).to_owned())
        .collect();
    let load =
        |node: &String| store.list("", "pods", "").filter(|(_, pod)| text(pod, "/spec/nodeName") == node).count();
    let Some(node) = nodes.iter().min_by_key(|node| load(node)).cloned() else {
        if items(pod, "/status/conditions").is_empty() {
            let message = "0/3 nodes are available: no node takes this pod";
            tell(store, pod, "Warning", "FailedScheduling", message, now);
            store.edit(key, |pod| {
                condition(&mut pod["status"], "PodScheduled", "False", "Unschedulable", message, now);
            });
        }
        return;
    };
    store.since.insert(uid(pod).to_owned(), now);
    store.edit(key, |pod| {
        set(pod, &["spec", "nodeName"], json!(node));
        let containers: Vec<Value> = items(pod, "/spec/containers")
            .iter()
            .map(|own| status(own, false, 0, &json!({ "waiting": { "reason": "ContainerCreating" } })))
            .collect();
        pod["status"]["containerStatuses"] = json!(containers);
        pod["status"]["hostIP"] = json!(format!("10.0.0.{}", node.trim_start_matches("node-")));
        pod["status"]["startTime"] = stamp(now);
        conditions(pod, "False", "ContainersNotReady", now);
        condition(&mut pod["status"], "PodScheduled", "True", "", "", now);
    });
    let message = format!("Successfully assigned {}/{} to {node}", namespace(pod), name(pod));
    tell(store, pod, "Normal", "Scheduled", &message, now);
}

fn status(container: &Value, ready: bool, restarts: i64, state: &Value) -> Value {
    json!({
        "name": container["name"], "image": container["image"], "imageID": "", "ready": ready, "started": ready,
        "restartCount": restarts, "state": state, "lastState": {},
    })
}

fn conditions(pod: &mut Value, ready: &str, reason: &str, now: Timestamp) {
    for kind in ["Initialized", "ContainersReady", "Ready"] {
        let (holds, reason) = if kind == "Initialized" { ("True", "") } else { (ready, reason) };
        condition(&mut pod["status"], kind, holds, reason, "", now);
    }
}

fn run(store: &mut Store, pod: &Value, key: &Key, now: Timestamp) {
    let count = store.next();
    store.edit(key, |pod| {
        let state = json!({ "running": { "startedAt": stamp(now) } });
        let containers: Vec<Value> =
            items(pod, "/spec/containers").iter().map(|own| status(own, true, 0, &state)).collect();
        pod["status"]["phase"] = json!("Running");
        pod["status"]["containerStatuses"] = json!(containers);
        if pod["status"]["podIP"].is_null() {
            pod["status"]["podIP"] = json!(format!("10.244.{}.{}", count / 250 % 250, count % 250 + 1));
        }
        conditions(pod, "True", "", now);
    });
    for container in items(pod, "/spec/containers") {
        let message = format!("Started container {}", text(container, "/name"));
        tell(store, pod, "Normal", "Started", &message, now);
    }
}

/// Whether somebody tells the readiness of this pod, and has not said that it is ready.
fn fails_probe(store: &Store, pod: &Value) -> bool {
    let mut probed = store.scene.probed.iter();
    let own = probed.find(|own| own.namespace == namespace(pod) && fits(&own.name, name(pod)));
    own.is_some_and(|own| !own.ready.iter().any(|ready| ready == name(pod)))
}

/// A pod that runs and is not ready.
fn start_unready(store: &mut Store, pod: &Value, key: &Key, now: Timestamp) {
    if text(pod, "/status/phase") == "Running" && !super::object::holds(pod, "Ready") {
        return;
    }
    run(store, pod, key, now);
    store.edit(key, |pod| {
        for status in pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
            status["ready"] = json!(false);
        }
        conditions(pod, "False", "ContainersNotReady", now);
    });
}

/// A pod that does not get ready: its container waits for a reason.
fn hang(store: &mut Store, pod: &Value, key: &Key, reason: &str, now: Timestamp) {
    if text(pod, "/status/containerStatuses/0/state/waiting/reason") == reason {
        return;
    }
    let message = format!("back-off: {reason}");
    store.edit(key, |pod| {
        let crashes = reason == "CrashLoopBackOff";
        let state = json!({ "waiting": { "reason": reason, "message": message } });
        let containers: Vec<Value> = items(pod, "/spec/containers")
            .iter()
            .map(|own| status(own, false, if crashes { 3 } else { 0 }, &state))
            .collect();
        pod["status"]["phase"] = json!(if crashes { "Running" } else { "Pending" });
        pod["status"]["containerStatuses"] = json!(containers);
        conditions(pod, "False", "ContainersNotReady", now);
    });
    let why = if reason == "CrashLoopBackOff" { "BackOff" } else { "Failed" };
    tell(store, pod, "Warning", why, &message, now);
}

/// The end of a pod that is to end: well, unless its job is told to fail.
fn end(store: &mut Store, pod: &Value, key: &Key, now: Timestamp) {
    let job = text(pod, "/metadata/labels/job-name").to_owned();
    let mut rules = store.scene.failing.iter_mut();
    let told = rules.find(|rule| rule.times != Some(0) && !job.is_empty() && fits(&rule.job, &job));
    let fails = told.is_some();
    if let Some(times) = told.and_then(|rule| rule.times.as_mut()) {
        *times -= 1;
    }
    let (phase, reason, code) = if fails { ("Failed", "Error", 1) } else { ("Succeeded", "Completed", 0) };
    store.edit(key, |pod| {
        let started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"].clone();
        let state = json!({ "terminated": {
            "exitCode": code, "reason": reason, "startedAt": started, "finishedAt": stamp(now),
        } });
        let containers: Vec<Value> =
            items(pod, "/spec/containers").iter().map(|own| status(own, false, 0, &state)).collect();
        pod["status"]["phase"] = json!(phase);
        pod["status"]["containerStatuses"] = json!(containers);
        conditions(pod, "False", "PodCompleted", now);
    });
}
