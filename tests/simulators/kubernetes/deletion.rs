//! Deletion: at once, after a while, or when nothing holds the object any more.

use super::object::{is_going, items, name, namespace, number, set, stamp, text, uid};
use super::request::Options;
use super::selector::Selector;
use super::status::Failure;
use super::store::{Key, Store};
use super::verbs::{Call, Reply};
use serde_json::{Value, json};

impl Call<'_> {
    /// Deletes a pod unless a disruption budget forbids it now.
    pub fn evict(&mut self, options: &Options) -> Result<Reply, Failure> {
        let pod = self.old()?.clone();
        let budgets = self.store.list("policy", "poddisruptionbudgets", namespace(&pod));
        let guarded = budgets.map(|(_, budget)| budget).find(|budget| {
            Selector::of(&budget["spec"]["selector"]).meets(&pod) && number(budget, "/status/disruptionsAllowed", 0) < 1
        });
        if let Some(budget) = guarded {
            let message = "Cannot evict pod as it would violate the pod's disruption budget.";
            let why = format!("The disruption budget {} allows no disruption now", name(budget));
            let details = json!({ "causes": [{ "reason": "DisruptionBudget", "message": why }] });
            return Err(Failure { details, ..Failure::new(429, "TooManyRequests", message) });
        }
        self.place.subresource.clear();
        self.delete(&json!({}), options)?;
        Ok(Reply::Json(
            201,
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }),
        ))
    }

    /// Deletes one object.
    pub fn delete(&mut self, body: &Value, options: &Options) -> Result<Reply, Failure> {
        let old = self.old()?.clone();
        let wrong = |key: &str, own: &str| {
            let wanted = text(body, &format!("/preconditions/{key}"));
            !wanted.is_empty() && wanted != own
        };
        if wrong("uid", uid(&old)) || wrong("resourceVersion", text(&old, "/metadata/resourceVersion")) {
            return Err(Failure::conflict(&self.kind.resource(), name(&old)));
        }
        let waits = if options.dry_run { None } else { self.take_away(&old, body) };
        let details =
            json!({ "name": name(&old), "group": self.kind.group, "kind": self.kind.plural, "uid": uid(&old) });
        let done =
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details });
        Ok(Reply::Json(200, waits.unwrap_or(done)))
    }

    /// Deletes the objects of a collection that are selected.
    pub fn delete_all(&mut self, body: &Value, options: &Options) -> Result<Reply, Failure> {
        let selector = self.request.query.selector()?;
        let all = self.store.list(&self.kind.group, &self.kind.plural, &self.place.namespace);
        let meant: Vec<Value> =
            all.map(|(_, object)| object).filter(|object| selector.meets(object)).cloned().collect();
        if !options.dry_run {
            for object in &meant {
                self.take_away(object, body);
            }
        }
        Ok(self.show(meant, true))
    }

    /// Removes an object, or marks it as going when it needs time; the marked object then.
    fn take_away(&mut self, old: &Value, body: &Value) -> Option<Value> {
        let key = Key::new(&self.kind, namespace(old), name(old));
        let policy = text(body, "/propagationPolicy");
        let policy = if policy.is_empty() { self.request.query.get("propagationPolicy") } else { policy };
        if policy == "Orphan" {
            orphan(self.store, uid(old));
        }
        let at_once =
            number(body, "/gracePeriodSeconds", self.request.query.number("gracePeriodSeconds").unwrap_or(30)) == 0;
        let is_pod = self.kind.is("pods") && !at_once && !text(old, "/spec/nodeName").is_empty();
        let takes_time = is_pod || self.kind.is("namespaces") || !items(old, "/metadata/finalizers").is_empty();
        if takes_time {
            if !is_going(old) {
                let now = self.now;
                self.store.since.insert(uid(old).to_owned(), now);
                self.store.edit(&key, |object| {
                    set(object, &["metadata", "deletionTimestamp"], stamp(now));
                    if object["kind"] == "Pod" {
                        set(object, &["metadata", "deletionGracePeriodSeconds"], json!(30));
                    }
                    if object["kind"] == "Namespace" {
                        set(object, &["status", "phase"], json!("Terminating"));
                    }
                });
            }
            return self.store.get(&key).cloned();
        }
        self.store.remove(&key);
        if self.kind.is("customresourcedefinitions") {
            let (group, plural) = (text(old, "/spec/group"), text(old, "/spec/names/plural"));
            let all: Vec<Key> = self.store.list(group, plural, "").map(|(key, _)| key.clone()).collect();
            for key in &all {
                self.store.remove(key);
            }
            self.store.kinds.forget(old);
        }
        None
    }
}

/// Lets what an object owns live without it.
fn orphan(store: &mut Store, owner: &str) {
    let owned = |object: &Value| items(object, "/metadata/ownerReferences").iter().any(|entry| entry["uid"] == owner);
    let keys: Vec<Key> = store.everything().filter(|(_, object)| owned(object)).map(|(key, _)| key.clone()).collect();
    for key in keys {
        store.edit(&key, |object| {
            if let Some(Value::Array(owners)) = object.pointer_mut("/metadata/ownerReferences") {
                owners.retain(|entry| entry["uid"] != owner);
            }
        });
    }
}
