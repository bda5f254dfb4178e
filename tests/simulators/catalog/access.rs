//! Who asks, what it takes, and whether the cluster allows it.

use super::cluster::{Cluster, Refusal};
use axum::http::HeaderMap;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The group of the catalog's resources in roles.
const GROUP: &str = "catalog.kubeflow.org";

/// Who asks, as the proxy in front says in `X-Remote-User` and `X-Remote-Group`.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
}

impl Person {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
        let user = match text("x-remote-user") {
            "" => "anonymous",
            user => user,
        };
        let groups = text("x-remote-group").split(',').map(str::trim).filter(|group| !group.is_empty());
        Self { user: user.to_owned(), groups: groups.map(str::to_owned).collect() }
    }
}

/// A verb on a resource of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) resource: &'static str,
    pub(crate) verb: &'static str,
}

impl Right {
    /// What a request takes; nothing for pages that are open to everybody.
    pub(crate) fn of(method: &str, path: &str) -> Option<Self> {
        let right = |resource, verb| Some(Self { resource, verb });
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("POST", ["api", .., "refresh", _]) if path.ends_with(":cancel") => right("jobs", "create"),
            ("POST", [.., last]) if last.ends_with(":action") => right("actions", "execute"),
            ("POST", ["api", _, _, "management", "refresh", ..]) => right("jobs", "create"),
            ("GET", ["api", _, _, "management", "sources"]) => right("catalogsources", "list"),
            ("GET", ["api", _, _, "management", ..]) => right("catalogsources", "get"),
            ("POST" | "PUT" | "PATCH", ["api", _, _, "management", ..]) => right("catalogsources", "create"),
            ("DELETE", ["api", _, _, "management", ..]) => right("catalogsources", "delete"),
            ("GET", ["api", "audit", _, "events"]) => right("audit", "list"),
            ("GET", ["api", "audit", _, "events", _]) => right("audit", "get"),
            ("GET", ["api", "jobs", _, "refresh"]) => right("jobs", "list"),
            ("GET", ["api", "jobs", _, "refresh", _]) => right("jobs", "get"),
            ("GET", ["api", plugin, _, _]) if plugin.ends_with("_catalog") => right("assets", "list"),
            ("GET", ["api", plugin, _, _, _]) if plugin.ends_with("_catalog") => right("assets", "get"),
            _ => None,
        }
    }
}

/// What the cluster has said, for a while.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<BTreeMap<String, (Instant, bool)>>);

impl Answers {
    /// Whether somebody has a right in a namespace: by a SubjectAccessReview that the pod's service account makes, or
    /// as it was answered less than `kept` ago. An error is not kept.
    pub(crate) async fn allow(
        &self,
        cluster: &Cluster,
        account: &str,
        kept: Duration,
        person: &Person,
        right: Right,
        namespace: &str,
    ) -> Result<bool, Refusal> {
        let key = format!("{}:{:?}:{}:{}:{namespace}", person.user, person.groups, right.resource, right.verb);
        if let Some((until, allowed)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && Instant::now() < *until
        {
            return Ok(*allowed);
        }
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": person.user, "groups": person.groups,
                "resourceAttributes": {
                    "group": GROUP, "resource": right.resource, "verb": right.verb, "namespace": namespace,
                },
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let answer = cluster.ask(account, Method::POST, path, Some(&review)).await?;
        let allowed = answer["status"]["allowed"].as_bool().unwrap_or(false);
        let until = Instant::now() + kept;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (until, allowed));
        Ok(allowed)
    }
}
