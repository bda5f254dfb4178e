//! Who asks, and whether he may: roles and bindings, impersonation, and the reviews that tell it.

use super::object::{items, name, text};
use super::request::{Place, Request};
use super::status::Failure;
use super::store::{Key, Store};
use serde_json::{Value, json};

/// The API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// Who asks.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// The groups.
    pub groups: Vec<String>,
}

impl User {
    /// Who comes without a name: over plain HTTP kubectl sends no credentials at all.
    pub fn admin() -> Self {
        Self {
            name: "kubernetes-admin".to_owned(),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
        }
    }

    /// A user of this name, with the groups that the name itself gives.
    pub fn named(name: &str, mut groups: Vec<String>) -> Self {
        if let Some((namespace, _)) = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
        {
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        groups.push("system:authenticated".to_owned());
        groups.dedup();
        Self { name: name.to_owned(), groups }
    }

    /// Who sent a request: its bearer token, or nobody (the admin), and then whom he impersonates.
    pub fn of(request: &Request, store: &Store) -> Result<Self, Failure> {
        let real = match request.header("authorization").strip_prefix("Bearer ") {
            None => Self::admin(),
            Some(token) => match store.scene.tokens.get(token) {
                Some(name) if name == "kubernetes-admin" => Self::admin(),
                Some(name) => Self::named(name, Vec::new()),
                None => return Err(Failure::new(401, "Unauthorized", "Unauthorized")),
            },
        };
        let played = request.header("impersonate-user");
        let groups: Vec<String> = request
            .headers
            .get_all("impersonate-group")
            .iter()
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect();
        if played.is_empty() {
            return if groups.is_empty() { Ok(real) } else { Err(Failure::bad("impersonate a group without a user")) };
        }
        Wish { verb: "impersonate", resource: "users", name: played, ..Wish::default() }.demand(store, &real)?;
        Ok(Self::named(played, groups))
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// As `list`.
    pub verb: &'a str,
    /// The API group.
    pub group: &'a str,
    /// The plural name of the kind.
    pub resource: &'a str,
    /// As `scale`.
    pub subresource: &'a str,
    /// Empty for all namespaces.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// The path, when it is no resource.
    pub path: &'a str,
}

impl<'a> Wish<'a> {
    /// To do this at a place. A namespace is its own namespace.
    pub fn at(place: &'a Place, verb: &'a str) -> Self {
        let own = place.group.is_empty() && place.plural == "namespaces";
        Self {
            verb,
            group: &place.group,
            resource: &place.plural,
            subresource: &place.subresource,
            namespace: if own { &place.name } else { &place.namespace },
            name: &place.name,
            path: "",
        }
    }

    /// The binding that allows it, as a sentence; nothing when none does.
    pub fn allowed(&self, store: &Store, user: &User) -> Option<String> {
        if user.groups.iter().any(|group| group == "system:masters") {
            return Some("system:masters may do everything".to_owned());
        }
        grants(store, user, self.namespace)
            .into_iter()
            .find(|(_, rules)| rules.iter().any(|rule| self.fits(rule)))
            .map(|(binding, _)| format!("RBAC: allowed by {binding} to User \"{}\"", user.name))
    }

    /// Nothing when it is allowed, otherwise the refusal.
    pub fn demand(&self, store: &Store, user: &User) -> Result<(), Failure> {
        if self.allowed(store, user).is_some() { Ok(()) } else { Err(self.refusal(user)) }
    }

    fn fits(&self, rule: &Value) -> bool {
        let has = |pointer: &str, wanted: &str| items(rule, pointer).iter().any(|item| item == "*" || item == wanted);
        if !has("/verbs", self.verb) {
            return false;
        }
        if !self.path.is_empty() {
            return items(rule, "/nonResourceURLs").iter().filter_map(Value::as_str).any(|pattern| {
                pattern.strip_suffix('*').map_or(pattern == self.path, |start| self.path.starts_with(start))
            });
        }
        let resource = if self.subresource.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        };
        let any_of_it = format!("*/{}", self.subresource);
        let names = items(rule, "/resourceNames");
        has("/apiGroups", self.group)
            && (has("/resources", &resource) || (!self.subresource.is_empty() && has("/resources", &any_of_it)))
            && (names.is_empty() || names.iter().any(|item| item == self.name))
    }

    fn refusal(&self, user: &User) -> Failure {
        if !self.path.is_empty() {
            let what = format!("User \"{}\" cannot {} path \"{}\"", user.name, self.verb, self.path);
            return Failure::new(403, "Forbidden", format!("forbidden: {what}"));
        }
        let Self { verb, group, namespace, name, .. } = self;
        let whole = if group.is_empty() { self.resource.to_owned() } else { format!("{}.{group}", self.resource) };
        let resource = if self.subresource.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        };
        let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{namespace}\"")
        };
        let message = format!(
            "{whole}{named} is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}",
            user.name
        );
        let details = json!({ "name": name, "group": group, "kind": self.resource });
        Failure { details, ..Failure::new(403, "Forbidden", message) }
    }
}

/// The rules that a user has in a namespace (empty: everywhere), each with the binding that gives them.
fn grants(store: &Store, user: &User, in_namespace: &str) -> Vec<(String, Vec<Value>)> {
    let everywhere = store.list(GROUP, "clusterrolebindings", "");
    let here = store.list(GROUP, "rolebindings", in_namespace).filter(|_| !in_namespace.is_empty());
    everywhere
        .chain(here)
        .filter(|(key, binding)| {
            items(binding, "/subjects").iter().any(|subject| is_meant(subject, user, &key.namespace))
        })
        .map(|(key, binding)| {
            let role = text(binding, "/roleRef/name");
            let place = match text(binding, "/roleRef/kind") {
                "ClusterRole" => Key::of(GROUP, "clusterroles", "", role),
                _ => Key::of(GROUP, "roles", &key.namespace, role),
            };
            let rules = store.get(&place).map(|role| rules(store, role)).unwrap_or_default();
            (format!("{} \"{}\"", text(binding, "/kind"), name(binding)), rules)
        })
        .collect()
}

/// The rules of a role, with those of the roles that it gathers.
fn rules(store: &Store, role: &Value) -> Vec<Value> {
    let mut rules = items(role, "/rules").to_vec();
    for selector in items(role, "/aggregationRule/clusterRoleSelectors") {
        let selector = super::selector::Selector::of(selector);
        for (_, other) in store.list(GROUP, "clusterroles", "").filter(|(_, other)| selector.meets(other)) {
            rules.extend_from_slice(items(other, "/rules"));
        }
    }
    rules
}

fn is_meant(subject: &Value, user: &User, namespace: &str) -> bool {
    let who = text(subject, "/name");
    match text(subject, "/kind") {
        "User" => user.name == who,
        "Group" => user.groups.iter().any(|group| group == who),
        "ServiceAccount" => {
            let own = text(subject, "/namespace");
            let own = if own.is_empty() { namespace } else { own };
            user.name == format!("system:serviceaccount:{own}:{who}")
        }
        _ => false,
    }
}

/// Answers a review; `user` is who asks.
pub fn review(store: &Store, user: &User, plural: &str, mut asked: Value) -> Result<Value, Failure> {
    let answer = match plural {
        "selfsubjectaccessreviews" => access(store, user, &asked),
        "subjectaccessreviews" | "localsubjectaccessreviews" => {
            let groups = items(&asked, "/spec/groups").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            access(store, &User::named(text(&asked, "/spec/user"), groups), &asked)
        }
        "selfsubjectrulesreviews" => all_rules(store, user, text(&asked, "/spec/namespace")),
        "selfsubjectreviews" => json!({ "userInfo": { "username": user.name, "groups": user.groups } }),
        _ => return Err(Failure::no_path()),
    };
    asked["status"] = answer;
    Ok(asked)
}

fn access(store: &Store, user: &User, asked: &Value) -> Value {
    let part = |key: &str| text(asked, &format!("/spec/resourceAttributes/{key}"));
    let wish = if asked["spec"]["nonResourceAttributes"].is_object() {
        Wish {
            verb: text(asked, "/spec/nonResourceAttributes/verb"),
            path: text(asked, "/spec/nonResourceAttributes/path"),
            ..Wish::default()
        }
    } else {
        Wish {
            verb: part("verb"),
            group: part("group"),
            resource: part("resource"),
            subresource: part("subresource"),
            namespace: part("namespace"),
            name: part("name"),
            path: "",
        }
    };
    match wish.allowed(store, user) {
        Some(reason) => json!({ "allowed": true, "reason": reason }),
        None => json!({ "allowed": false }),
    }
}

fn all_rules(store: &Store, user: &User, namespace: &str) -> Value {
    let mut granted: Vec<Value> = grants(store, user, namespace).into_iter().flat_map(|(_, rules)| rules).collect();
    if user.groups.iter().any(|group| group == "system:masters") {
        granted.push(json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }));
        granted.push(json!({ "verbs": ["*"], "nonResourceURLs": ["*"] }));
    }
    let (paths, resources): (Vec<Value>, Vec<Value>) =
        granted.into_iter().partition(|rule| rule.get("nonResourceURLs").is_some());
    json!({ "resourceRules": resources, "nonResourceRules": paths, "incomplete": false })
}
