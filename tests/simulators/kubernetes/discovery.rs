//! What the API says of itself: versions, groups, and the kinds of each.

use super::kind::{Kind, Kinds};
use super::seed::Scene;
use super::status::Failure;
use serde_json::{Value, json};

/// `/version`
pub fn version(scene: &Scene) -> Value {
    let mut parts = scene.release.split('.');
    json!({
        "major": parts.next(), "minor": parts.next(), "gitVersion": format!("v{}", scene.release),
        "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
        "buildDate": "2025-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "linux/amd64",
    })
}

/// The answer for a path below `/api` and `/apis` that is no resource.
pub fn page(kinds: &Kinds, path: &str, address: &str) -> Option<Result<Value, Failure>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts[..] {
        ["api"] => Some(Ok(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": address }],
        }))),
        ["api", "v1"] => Some(resources(kinds, "", "v1")),
        ["apis"] => {
            let groups: Vec<Value> = kinds.groups().iter().map(|(group, versions)| entry(group, versions)).collect();
            Some(Ok(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })))
        }
        ["apis", group] => Some(match kinds.groups().iter().find(|(name, _)| name == group) {
            Some((group, versions)) => {
                let mut found = entry(group, versions);
                found["kind"] = json!("APIGroup");
                found["apiVersion"] = json!("v1");
                Ok(found)
            }
            None => Err(Failure::no_path()),
        }),
        ["apis", group, version] => Some(resources(kinds, group, version)),
        _ => None,
    }
}

fn entry(group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({ "groupVersion": format!("{group}/{version}"), "version": version }))
        .collect();
    json!({ "name": group, "preferredVersion": versions[0], "versions": versions })
}

fn resources(kinds: &Kinds, group: &str, version: &str) -> Result<Value, Failure> {
    let own: Vec<&Kind> = kinds.all().iter().filter(|kind| kind.group == group && kind.version == version).collect();
    let first = own.first().ok_or_else(Failure::no_path)?;
    let list: Vec<Value> = own.iter().flat_map(|kind| resource(kind)).collect();
    Ok(json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(), "resources": list }))
}

fn resource(kind: &Kind) -> Vec<Value> {
    let verbs: &[&str] = if kind.is_review() {
        &["create"]
    } else {
        &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    };
    let mut own = json!({
        "name": kind.plural, "singularName": kind.name.to_lowercase(), "namespaced": kind.namespaced,
        "kind": kind.name, "verbs": verbs,
    });
    if !kind.short.is_empty() {
        own["shortNames"] = json!(kind.short);
    }
    if !kind.categories.is_empty() {
        own["categories"] = json!(kind.categories);
    }
    let mut all = vec![own];
    for subresource in &kind.subresources {
        let (of, verbs): (&str, &[&str]) = match subresource.as_str() {
            "scale" => ("Scale", &["get", "patch", "update"]),
            "eviction" => ("Eviction", &["create"]),
            "log" => (&kind.name, &["get"]),
            "portforward" => ("PodPortForwardOptions", &["create", "get"]),
            "exec" => ("PodExecOptions", &["create", "get"]),
            "finalize" => (&kind.name, &["update"]),
            _ => (&kind.name, &["get", "patch", "update"]),
        };
        let mut entry = json!({
            "name": format!("{}/{subresource}", kind.plural), "singularName": "", "namespaced": kind.namespaced,
            "kind": of, "verbs": verbs,
        });
        let (group, version) = match of {
            "Scale" => ("autoscaling", "v1"),
            "Eviction" => ("policy", "v1"),
            _ => ("", ""),
        };
        if !group.is_empty() {
            entry["group"] = json!(group);
            entry["version"] = json!(version);
        }
        all.push(entry);
    }
    all
}
