//! What goes on in a cluster by itself: workloads make pods, pods get ready, what nobody owns goes away.
//!
//! `settle` looks at everything there is and does what is due. It is called after every change and whenever the time it
//! named has come; calling it more often changes nothing.

use super::object::{is_going, items, name, namespace, owner, set, stamp, text, uid};
use super::seed::Scene;
use super::store::{Key, Store};
use super::{pods, workloads};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// So often a round may find more to do before the rest waits for the next call.
const ROUNDS: usize = 100;

/// The next time at which something is due.
#[derive(Clone, Copy, Debug, Default)]
pub struct Due(Option<Timestamp>);

impl Due {
    /// Whether a delay since a time has passed; when not, its end is remembered.
    pub fn passed(&mut self, since: Timestamp, delay: Duration, now: Timestamp) -> bool {
        let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::ZERO);
        let end = since.checked_add(delay).unwrap_or(since);
        if end <= now {
            return true;
        }
        self.0 = Some(self.0.map_or(end, |next| next.min(end)));
        false
    }

    /// The time.
    pub fn time(self) -> Option<Timestamp> {
        self.0
    }
}

/// Does all that is due now.
pub fn settle(store: &mut Store, now: Timestamp) -> Due {
    if store.scene.frozen {
        return Due::default();
    }
    for _ in 0..ROUNDS {
        let before = store.version();
        let mut due = Due::default();
        namespaces(store, now);
        garbage(store, now);
        workloads::all(store, now, &mut due);
        pods::all(store, now, &mut due);
        claims(store);
        budgets(store);
        if store.version() == before {
            return due;
        }
    }
    Due(Some(now))
}

/// Removes an object as its owner's controller would: a pod that runs takes its time.
pub fn remove(store: &mut Store, key: &Key, now: Timestamp) {
    let Some(object) = store.get(key) else { return };
    let is_running_pod = key.plural == "pods" && key.group.is_empty() && !text(object, "/spec/nodeName").is_empty();
    if !is_running_pod && items(object, "/metadata/finalizers").is_empty() {
        store.remove(key);
    } else if !is_going(object) {
        let own = uid(object).to_owned();
        store.since.insert(own, now);
        store.edit(key, |object| set(object, &["metadata", "deletionTimestamp"], stamp(now)));
    }
}

/// Writes down that something happened to an object.
pub fn tell(store: &mut Store, about: &Value, kind: &str, reason: &str, message: &str, now: Timestamp) {
    let home = if namespace(about).is_empty() { "default" } else { namespace(about) };
    let count = store.next();
    let own = format!("{}.{count:016x}", name(about));
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": { "name": own, "namespace": home },
        "involvedObject": {
            "apiVersion": about["apiVersion"], "kind": about["kind"], "name": name(about),
            "namespace": namespace(about), "uid": uid(about),
        },
        "type": kind, "reason": reason, "message": message, "count": 1, "source": { "component": "simulator" },
        "firstTimestamp": stamp(now), "lastTimestamp": stamp(now),
    });
    store.insert(Key::of("", "events", home, &own), event, now);
}

/// Every namespace has its account and the roots of trust; one that goes takes everything with it.
fn namespaces(store: &mut Store, now: Timestamp) {
    for home in store.copies("", "namespaces") {
        let own = name(&home).to_owned();
        if is_going(&home) {
            let inside: Vec<Key> =
                store.everything().filter(|(key, _)| key.namespace == own).map(|(key, _)| key.clone()).collect();
            for key in &inside {
                if key.plural == "events" { drop(store.remove(key)) } else { remove(store, key, now) }
            }
            if inside.is_empty() {
                store.remove(&Key::of("", "namespaces", "", &own));
            }
            continue;
        }
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default", "namespace": own },
        });
        let roots = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "kube-root-ca.crt", "namespace": own },
            "data": { "ca.crt": "" },
        });
        for (plural, object) in [("serviceaccounts", account), ("configmaps", roots)] {
            let key = Key::of("", plural, &own, name(&object));
            if store.get(&key).is_none() {
                store.insert(key, object, now);
            }
        }
    }
}

/// What is owned by something that is gone goes too.
fn garbage(store: &mut Store, now: Timestamp) {
    let alive: BTreeSet<String> = store.everything().map(|(_, object)| uid(object).to_owned()).collect();
    let lost: Vec<Key> = store
        .everything()
        .filter(|(_, object)| {
            let owners = items(object, "/metadata/ownerReferences");
            !owners.is_empty() && owners.iter().all(|owner| !alive.contains(text(owner, "/uid")))
        })
        .map(|(key, _)| key.clone())
        .collect();
    for key in lost {
        remove(store, &key, now);
    }
}

/// Claims are bound at once.
fn claims(store: &mut Store) {
    for claim in store.copies("", "persistentvolumeclaims") {
        if text(&claim, "/status/phase") == "Bound" {
            continue;
        }
        let key = Key::of("", "persistentvolumeclaims", namespace(&claim), name(&claim));
        store.edit(&key, |claim| {
            let volume = format!("pvc-{}", uid(claim));
            let capacity = claim["spec"]["resources"]["requests"].clone();
            claim["status"] =
                json!({ "phase": "Bound", "accessModes": claim["spec"]["accessModes"], "capacity": capacity });
            set(claim, &["spec", "volumeName"], json!(volume));
        });
    }
}

/// How many of the pods of a disruption budget may go.
fn budgets(store: &mut Store) {
    for budget in store.copies("policy", "poddisruptionbudgets") {
        let selector = super::selector::Selector::of(&budget["spec"]["selector"]);
        let meant: Vec<&Value> = store
            .list("", "pods", namespace(&budget))
            .map(|(_, pod)| pod)
            .filter(|pod| selector.meets(pod) && !is_going(pod))
            .collect();
        let all = i64::try_from(meant.len()).unwrap_or(0);
        let healthy = meant.iter().filter(|pod| super::object::holds(pod, "Ready")).count();
        let healthy = i64::try_from(healthy).unwrap_or(0);
        let most = &budget["spec"]["maxUnavailable"];
        let wanted = if most.is_null() { share(&budget["spec"]["minAvailable"], all) } else { all - share(most, all) };
        let status = json!({
            "expectedPods": all, "currentHealthy": healthy, "desiredHealthy": wanted,
            "disruptionsAllowed": (healthy - wanted).max(0), "observedGeneration": budget["metadata"]["generation"],
        });
        let key = Key::of("policy", "poddisruptionbudgets", namespace(&budget), name(&budget));
        store.edit(&key, |budget| budget["status"] = status);
    }
}

/// A number, or a share of all in percent (rounded up).
pub fn share(value: &Value, all: i64) -> i64 {
    match value {
        Value::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            (all * percent + 99) / 100
        }
        other => other.as_i64().unwrap_or(0),
    }
}

/// The objects of a kind that an owner controls.
pub fn owned(store: &Store, group: &str, plural: &str, by: &Value) -> Vec<Value> {
    let all = store.list(group, plural, namespace(by)).map(|(_, object)| object);
    all.filter(|object| owner(object) == uid(by)).cloned().collect()
}

/// The rule that meets a pod, of those that keep pods from getting ready.
pub fn stuck<'a>(scene: &'a Scene, pod: &Value) -> Option<&'a str> {
    let rule = scene.stuck.iter().find(|rule| {
        let images = items(pod, "/spec/containers");
        rule.namespace.as_deref().is_none_or(|own| own == namespace(pod))
            && rule.name.as_deref().is_none_or(|own| super::seed::fits(own, name(pod)))
            && rule.image.as_deref().is_none_or(|part| images.iter().any(|own| text(own, "/image").contains(part)))
    })?;
    Some(rule.reason.as_deref().unwrap_or("CrashLoopBackOff"))
}
