//! What a request does to the objects: read, create, replace, patch, delete.

use super::kind::Kind;
use super::object::{self, is_going, items, name, namespace, number, remove, set, stamp, text, uid};
use super::request::{Options, Place, Request};
use super::status::Failure;
use super::store::{Key, Store};
use super::watch::Plan;
use super::{admission, defaults, fields, logs, patch, rbac, streams, table, wire};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What a request is answered with.
#[derive(Debug)]
pub enum Reply {
    /// A document.
    Json(u16, Value),
    /// Plain text.
    Text(String),
    /// Bytes of another type.
    Bytes(&'static str, Vec<u8>),
    /// Changes, as they come.
    Watch(Box<Plan>),
    /// Log lines, as they come.
    Follow(logs::Follow),
    /// Streams both ways, on the same connection.
    Streams(streams::Session),
}

/// One request that names a place, by somebody who may do it.
pub struct Call<'a> {
    /// The cluster.
    pub store: &'a mut Store,
    /// The kind at the place.
    pub kind: Kind,
    /// The place.
    pub place: Place,
    /// The request.
    pub request: &'a Request,
    /// The time.
    pub now: Timestamp,
    /// What the answer warns of.
    pub warnings: Vec<String>,
}

impl Call<'_> {
    /// Does it.
    pub fn answer(&mut self, user: &rbac::User) -> Result<Reply, Failure> {
        let body = self.request.document()?;
        let options = Options::of(self.request, &body);
        if self.kind.is_review() {
            return rbac::review(self.store, user, &self.kind.plural, body).map(|answer| Reply::Json(201, answer));
        }
        let subresource = self.place.subresource.clone();
        match (self.place.verb(&self.request.method, &self.request.query), subresource.as_str()) {
            ("watch", "") => Ok(Reply::Watch(Box::new(Plan::of(self)?))),
            ("list", "") => self.list(),
            ("get", "" | "status") => Ok(self.show(vec![self.old()?.clone()], false)),
            ("get", "scale") => Ok(Reply::Json(200, scale(self.old()?))),
            ("get", "log") => logs::answer(self),
            ("get" | "create", "portforward" | "exec") => streams::answer(self),
            ("create", "eviction") => self.evict(&options),
            ("create", "") => self.create(body, &options),
            ("update", "scale") => self.rescale(&body, &options),
            ("update", "" | "status" | "finalize") => {
                let done = self.write(body, &options, true)?;
                Ok(Reply::Json(200, done))
            }
            ("patch", "scale") => {
                let now_scaled = scale(self.old()?);
                let scaled = patch::apply(&now_scaled, &body, self.request.header("content-type"), false)?;
                self.rescale(&scaled, &options)
            }
            ("patch", "" | "status") => self.patch(&body, &options),
            ("delete", "") => self.delete(&body, &options),
            ("deletecollection", "") => self.delete_all(&body, &options),
            (verb, _) => {
                let message = format!("the server does not allow this method on the requested resource ({verb})");
                Err(Failure::new(405, "MethodNotAllowed", message))
            }
        }
    }

    /// The place of the object that the path names.
    pub fn key(&self) -> Key {
        Key::new(&self.kind, &self.place.namespace, &self.place.name)
    }

    /// The object that the path names.
    pub fn old(&self) -> Result<&Value, Failure> {
        self.store.get(&self.key()).ok_or_else(|| Failure::not_found(&self.kind.resource(), &self.place.name))
    }

    fn list(&self) -> Result<Reply, Failure> {
        let selector = self.request.query.selector()?;
        let all = self.store.list(&self.kind.group, &self.kind.plural, &self.place.namespace);
        Ok(self.show(all.map(|(_, object)| object).filter(|object| selector.meets(object)).cloned().collect(), true))
    }

    /// An object or a list, as a table when that is wanted.
    pub fn show(&self, mut objects: Vec<Value>, is_list: bool) -> Reply {
        for object in &mut objects {
            object["apiVersion"] = json!(self.kind.api_version());
        }
        let version = self.store.version().to_string();
        if self.request.wants_table() {
            let version = if is_list { version } else { text(&objects[0], "/metadata/resourceVersion").to_owned() };
            let whole = self.request.query.get("includeObject") == "Object";
            return Reply::Json(200, table::render(&self.kind, &objects, &version, whole, self.now));
        }
        if !is_list {
            return Reply::Json(200, objects.remove(0));
        }
        let list = json!({
            "kind": format!("{}List", self.kind.name), "apiVersion": self.kind.api_version(),
            "metadata": { "resourceVersion": version }, "items": objects,
        });
        Reply::Json(200, list)
    }

    fn create(&mut self, body: Value, options: &Options) -> Result<Reply, Failure> {
        let made = self.create_object(body, options, true)?;
        Ok(Reply::Json(201, made))
    }

    fn create_object(&mut self, mut object: Value, options: &Options, note: bool) -> Result<Value, Failure> {
        self.fits_kind(&object)?;
        if self.kind.namespaced {
            let given = namespace(&object);
            if !given.is_empty() && given != self.place.namespace {
                return Err(Failure::bad(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            set(&mut object, &["metadata", "namespace"], json!(self.place.namespace));
        }
        if name(&object).is_empty() && !text(&object, "/metadata/generateName").is_empty() {
            let count = self.store.next();
            let made = format!("{}{}", text(&object, "/metadata/generateName"), suffix(count));
            set(&mut object, &["metadata", "name"], json!(made));
        }
        for key in ["uid", "creationTimestamp", "generation", "deletionTimestamp", "selfLink"] {
            remove(&mut object, &["metadata", key]);
        }
        if self.kind.has("status") {
            remove(&mut object, &["status"]);
        }
        self.warnings = wire::check(&self.kind, &mut object, options.strict)?;
        defaults::fill(&self.kind, &mut object);
        admission::create(self.store, &self.kind, &self.place.namespace, &object)?;
        let key = Key::new(&self.kind, &self.place.namespace, name(&object));
        if self.store.get(&key).is_some() {
            return Err(Failure::exists(&self.kind.resource(), name(&object)));
        }
        let count = if options.dry_run { u64::MAX } else { self.store.next() };
        set(&mut object, &["metadata", "uid"], json!(self.store.scene.uid(count)));
        if note {
            fields::note(None, &mut object, (&options.manager, ""), &self.kind, self.now);
        }
        // What the server adds now belongs to no manager: nobody's apply may take it away.
        self.complete(&mut object);
        if options.dry_run {
            set(&mut object, &["metadata", "creationTimestamp"], stamp(self.now));
            return Ok(object);
        }
        let made = self.store.insert(key.clone(), object, self.now);
        if self.kind.is("customresourcedefinitions") {
            self.store.kinds.declare(&made);
        }
        Ok(made)
    }

    /// What only the server knows about a new object.
    fn complete(&mut self, object: &mut Value) {
        if self.kind.is_custom() {
            return;
        }
        match self.kind.plural.as_str() {
            "namespaces" => {
                let own = json!(name(object));
                set(object, &["metadata", "labels", "kubernetes.io/metadata.name"], own);
                set(object, &["spec"], json!({ "finalizers": ["kubernetes"] }));
                set(object, &["status"], json!({ "phase": "Active" }));
            }
            "jobs" => defaults::tie_job(object),
            "services"
                if text(object, "/spec/clusterIP").is_empty() && text(object, "/spec/type") != "ExternalName" =>
            {
                let count = self.store.next();
                let address = format!("10.96.{}.{}", count / 250 % 250, count % 250 + 1);
                set(object, &["spec", "clusterIPs"], json!([address]));
                set(object, &["spec", "clusterIP"], json!(address));
            }
            "pods" => set(object, &["status"], json!({ "phase": "Pending", "qosClass": "BestEffort" })),
            "customresourcedefinitions" => {
                let mut status = json!({ "acceptedNames": object["spec"]["names"], "storedVersions": [] });
                object::condition(&mut status, "NamesAccepted", "True", "NoConflicts", "no conflicts found", self.now);
                object::condition(&mut status, "Established", "True", "InitialNamesAccepted", "", self.now);
                set(object, &["status"], status);
            }
            _ => {}
        }
    }

    fn fits_kind(&self, object: &Value) -> Result<(), Failure> {
        let (version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
        if !object.is_object() {
            return Err(Failure::bad("the body holds no object"));
        }
        if version == self.kind.api_version() && kind == self.kind.name {
            return Ok(());
        }
        let message = format!(
            "the API version in the data ({version}, Kind={kind}) does not match the expected API version ({}, Kind={})",
            self.kind.api_version(),
            self.kind.name
        );
        Err(Failure::bad(message))
    }

    /// Puts a new state in the place of the old one.
    fn write(&mut self, mut new: Value, options: &Options, note: bool) -> Result<Value, Failure> {
        self.fits_kind(&new)?;
        let (key, old, resource) = (self.key(), self.old()?.clone(), self.kind.resource());
        if name(&new) != key.name {
            let message =
                format!("the name of the object ({}) does not match the name on the URL ({})", name(&new), key.name);
            return Err(Failure::bad(message));
        }
        let version = text(&new, "/metadata/resourceVersion");
        if !version.is_empty() && version != text(&old, "/metadata/resourceVersion") {
            return Err(Failure::conflict(&resource, &key.name));
        }
        if !uid(&new).is_empty() && uid(&new) != uid(&old) {
            return Err(Failure::conflict(&resource, &key.name));
        }
        let subresource = self.place.subresource.clone();
        admission::restore(&self.kind, &old, &mut new, &subresource);
        self.warnings = wire::check(&self.kind, &mut new, options.strict)?;
        defaults::fill(&self.kind, &mut new);
        admission::check(&self.kind, &new, Some(&old))?;
        if note {
            fields::note(Some(&old), &mut new, (&options.manager, &subresource), &self.kind, self.now);
        }
        if options.dry_run {
            if old["spec"] != new["spec"] && old["metadata"]["generation"].is_i64() {
                let next = number(&old, "/metadata/generation", 0) + 1;
                set(&mut new, &["metadata", "generation"], json!(next));
            }
            set(&mut new, &["metadata", "resourceVersion"], old["metadata"]["resourceVersion"].clone());
            return Ok(new);
        }
        let mut done = self.store.replace(key.clone(), new);
        if is_going(&done)
            && items(&done, "/metadata/finalizers").is_empty()
            && !self.kind.is("pods")
            && !self.kind.is("namespaces")
        {
            self.store.remove(&key);
        }
        if self.kind.is("customresourcedefinitions") {
            self.store.kinds.declare(&done);
        }
        done["apiVersion"] = json!(self.kind.api_version());
        Ok(done)
    }

    fn patch(&mut self, body: &Value, options: &Options) -> Result<Reply, Failure> {
        let content_type = self.request.header("content-type");
        if content_type.starts_with("application/apply-patch") {
            return self.apply(body, options);
        }
        let mut old = self.old()?.clone();
        old["apiVersion"] = json!(self.kind.api_version());
        let new = patch::apply(&old, body, content_type, self.kind.is_custom())?;
        self.write(new, options, true).map(|done| Reply::Json(200, done))
    }

    /// Server-side apply: makes the object, or merges the manager's wish into it.
    fn apply(&mut self, wish: &Value, options: &Options) -> Result<Reply, Failure> {
        if self.request.query.get("fieldManager").is_empty() {
            return Err(Failure::bad(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        self.fits_kind(wish)?;
        if wish["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Failure::bad("metadata.managedFields must be nil"));
        }
        let old = self.old().ok().cloned();
        let mut wish = wish.clone();
        set(&mut wish, &["metadata", "name"], json!(self.place.name));
        let mut new = fields::apply(old.as_ref(), &wish, &options.manager, options.force, &self.kind, self.now)?;
        if old.is_none() {
            return self.create_object(new, options, false).map(|made| Reply::Json(201, made));
        }
        let version = wish["metadata"]["resourceVersion"].clone();
        set(&mut new, &["metadata", "resourceVersion"], version);
        self.write(new, options, false).map(|done| Reply::Json(200, done))
    }

    fn rescale(&mut self, scaled: &Value, options: &Options) -> Result<Reply, Failure> {
        let mut new = self.old()?.clone();
        set(&mut new, &["spec", "replicas"], scaled["spec"]["replicas"].clone());
        let version = scaled["metadata"]["resourceVersion"].clone();
        set(&mut new, &["metadata", "resourceVersion"], version);
        self.write(new, options, true).map(|done| Reply::Json(200, scale(&done)))
    }
}

/// The `Scale` of something that has replicas.
fn scale(object: &Value) -> Value {
    let labels: Vec<String> = object::pairs(object, "/spec/selector/matchLabels")
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let own = &object["metadata"];
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": own["name"], "namespace": own["namespace"], "uid": own["uid"],
            "resourceVersion": own["resourceVersion"], "creationTimestamp": own["creationTimestamp"],
        },
        "spec": { "replicas": number(object, "/spec/replicas", 0) },
        "status": { "replicas": number(object, "/status/replicas", 0), "selector": labels.join(",") },
    })
}

/// Five letters for a generated name; another number gives other letters.
pub fn suffix(count: u64) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut rest = count.wrapping_mul(2_654_435_761) % 14_348_907;
    let mut letters = String::new();
    for _ in 0..5 {
        letters.push(char::from(LETTERS[usize::try_from(rest % 27).unwrap_or(0)]));
        rest /= 27;
    }
    letters
}
