//! The file that tells kubectl where the clusters are and who asks.

use serde_json::{Value, json};

/// A kubeconfig with the contexts `prod` and `drill` (the admin of two clusters) and `viewer` (somebody who may only
/// look, in the first). Over plain HTTP kubectl sends no credentials: a request without a name is the admin's, and the
/// viewer is impersonated. JSON is YAML, so kubectl reads it.
pub fn text(prod: &str, drill: &str) -> String {
    let cluster = |name: &str, server: &str| json!({ "name": name, "cluster": { "server": server } });
    let context = |name: &str, cluster: &str, user: &str| -> Value {
        json!({ "name": name, "context": { "cluster": cluster, "user": user, "namespace": "default" } })
    };
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "prod",
        "clusters": [cluster("prod", prod), cluster("drill", drill)],
        "users": [{ "name": "admin", "user": {} }, { "name": "viewer", "user": { "as": "viewer" } }],
        "contexts": [context("prod", "prod", "admin"), context("drill", "drill", "admin"), context("viewer", "prod", "viewer")],
    });
    format!("{config:#}\n")
}
