//! The columns that `kubectl get` prints.

use super::kind::Kind;
use super::object::{flag, holds, is_going, items, name, number, pairs, text};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A column: its heading, whether only `-o wide` shows it, and its cell.
type Column = (&'static str, bool, fn(&Value, Timestamp) -> Value);

/// Objects as a `Table`. Rows carry the metadata, or with `whole` all of the object.
pub fn render(kind: &Kind, objects: &[Value], version: &str, whole: bool, now: Timestamp) -> Value {
    let (own, extra) = (columns(kind), kind.columns.as_deref().unwrap_or_default());
    // A custom kind that declares its age says where it goes.
    let own: &[Column] = if extra.is_empty() { &own } else { &own[..1] };
    let mut heads: Vec<Value> = own.iter().map(|(name, wide, _)| head(name, "string", i64::from(*wide))).collect();
    heads.extend(
        extra.iter().map(|column| head(text(column, "/name"), text(column, "/type"), number(column, "/priority", 0))),
    );
    let row = |object: &Value| {
        let mut cells: Vec<Value> = own.iter().map(|(_, _, cell)| cell(object, now)).collect();
        cells.extend(extra.iter().map(|column| custom_cell(object, column, now)));
        let short =
            json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] });
        json!({ "cells": cells, "object": if whole { object.clone() } else { short } })
    };
    let rows: Vec<Value> = objects.iter().map(row).collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": { "resourceVersion": version },
        "columnDefinitions": heads, "rows": rows,
    })
}

fn head(name: &str, kind: &str, priority: i64) -> Value {
    let format = if name == "Name" { "name" } else { "" };
    json!({ "name": name, "type": kind, "format": format, "description": "", "priority": priority })
}

/// A cell of a column that a definition declares: a plain path as `.spec.size`.
fn custom_cell(object: &Value, column: &Value, now: Timestamp) -> Value {
    let pointer = text(column, "/jsonPath").replace('.', "/");
    match object.pointer(&pointer) {
        Some(Value::String(time)) if text(column, "/type") == "date" => json!(since(time, now)),
        Some(value) => value.clone(),
        None => json!(""),
    }
}

fn columns(kind: &Kind) -> Vec<Column> {
    let first: Column = ("Name", false, |object, _| json!(name(object)));
    let last: Column = ("Age", false, |object, now| json!(since(text(object, "/metadata/creationTimestamp"), now)));
    let own = if kind.is_custom() { Vec::new() } else { own_columns(&kind.plural) };
    match kind.plural.as_str() {
        "events" if !kind.is_custom() => own,
        _ => {
            let place = own.iter().position(|(_, wide, _)| *wide).unwrap_or(own.len());
            let (shown, wide) = own.split_at(place);
            [&[first], shown, &[last], wide].concat()
        }
    }
}

fn own_columns(plural: &str) -> Vec<Column> {
    match plural {
        "pods" => vec![
            ("Ready", false, |pod, _| {
                let all = items(pod, "/status/containerStatuses");
                let ready = all.iter().filter(|status| flag(status, "/ready")).count();
                json!(format!("{ready}/{}", items(pod, "/spec/containers").len()))
            }),
            ("Status", false, |pod, _| json!(pod_status(pod))),
            ("Restarts", false, |pod, _| json!(number(pod, "/status/containerStatuses/0/restartCount", 0).to_string())),
            ("IP", true, |pod, _| json!(or_none(text(pod, "/status/podIP")))),
            ("Node", true, |pod, _| json!(or_none(text(pod, "/spec/nodeName")))),
            ("Nominated Node", true, |_, _| json!("<none>")),
            ("Readiness Gates", true, |_, _| json!("<none>")),
        ],
        "deployments" => vec![
            ("Ready", false, |object, _| json!(ready(object, "/status/readyReplicas"))),
            ("Up-to-date", false, |object, _| json!(number(object, "/status/updatedReplicas", 0))),
            ("Available", false, |object, _| json!(number(object, "/status/availableReplicas", 0))),
            ("Containers", true, |object, _| json!(of_containers(object, "/name"))),
            ("Images", true, |object, _| json!(of_containers(object, "/image"))),
            ("Selector", true, |object, _| json!(selector(object))),
        ],
        "replicasets" => vec![
            ("Desired", false, |object, _| json!(number(object, "/spec/replicas", 0))),
            ("Current", false, |object, _| json!(number(object, "/status/replicas", 0))),
            ("Ready", false, |object, _| json!(number(object, "/status/readyReplicas", 0))),
            ("Containers", true, |object, _| json!(of_containers(object, "/name"))),
            ("Images", true, |object, _| json!(of_containers(object, "/image"))),
            ("Selector", true, |object, _| json!(selector(object))),
        ],
        "statefulsets" => vec![
            ("Ready", false, |object, _| json!(ready(object, "/status/readyReplicas"))),
            ("Containers", true, |object, _| json!(of_containers(object, "/name"))),
            ("Images", true, |object, _| json!(of_containers(object, "/image"))),
        ],
        "daemonsets" => vec![
            ("Desired", false, |object, _| json!(number(object, "/status/desiredNumberScheduled", 0))),
            ("Current", false, |object, _| json!(number(object, "/status/currentNumberScheduled", 0))),
            ("Ready", false, |object, _| json!(number(object, "/status/numberReady", 0))),
            ("Up-to-date", false, |object, _| json!(number(object, "/status/updatedNumberScheduled", 0))),
            ("Available", false, |object, _| json!(number(object, "/status/numberAvailable", 0))),
            ("Node Selector", false, |_, _| json!("<none>")),
            ("Containers", true, |object, _| json!(of_containers(object, "/name"))),
            ("Images", true, |object, _| json!(of_containers(object, "/image"))),
            ("Selector", true, |object, _| json!(selector(object))),
        ],
        "jobs" => vec![
            ("Status", false, |job, _| json!(job_status(job))),
            ("Completions", false, |job, _| {
                json!(format!("{}/{}", number(job, "/status/succeeded", 0), number(job, "/spec/completions", 1)))
            }),
            ("Duration", false, |job, now| {
                let end = text(job, "/status/completionTime").parse().unwrap_or(now);
                json!(since(text(job, "/status/startTime"), end))
            }),
            ("Containers", true, |object, _| json!(of_containers(object, "/name"))),
            ("Images", true, |object, _| json!(of_containers(object, "/image"))),
        ],
        "cronjobs" => vec![
            ("Schedule", false, |object, _| object["spec"]["schedule"].clone()),
            ("Timezone", false, |object, _| json!(or_none(text(object, "/spec/timeZone")))),
            ("Suspend", false, |object, _| json!(if flag(object, "/spec/suspend") { "True" } else { "False" })),
            ("Active", false, |object, _| json!(items(object, "/status/active").len())),
            ("Last Schedule", false, |object, now| json!(since(text(object, "/status/lastScheduleTime"), now))),
        ],
        "services" => vec![
            ("Type", false, |object, _| object["spec"]["type"].clone()),
            ("Cluster-IP", false, |object, _| json!(or_none(text(object, "/spec/clusterIP")))),
            ("External-IP", false, |object, _| json!(or_none(text(object, "/spec/externalName")))),
            ("Port(s)", false, |object, _| json!(or_none(&ports(object)))),
            ("Selector", true, |object, _| json!(joined(&pairs(object, "/spec/selector")))),
        ],
        "namespaces" => vec![("Status", false, |object, _| object["status"]["phase"].clone())],
        "nodes" => vec![
            ("Status", false, |node, _| {
                let ready = if holds(node, "Ready") { "Ready" } else { "NotReady" };
                let cordoned = if flag(node, "/spec/unschedulable") { ",SchedulingDisabled" } else { "" };
                json!(format!("{ready}{cordoned}"))
            }),
            ("Roles", false, |_, _| json!("<none>")),
            ("Version", false, |node, _| node["status"]["nodeInfo"]["kubeletVersion"].clone()),
            ("Internal-IP", true, |node, _| node["status"]["addresses"][0]["address"].clone()),
            ("OS-Image", true, |node, _| node["status"]["nodeInfo"]["osImage"].clone()),
        ],
        "configmaps" => {
            vec![("Data", false, |object, _| json!(pairs(object, "/data").len() + pairs(object, "/binaryData").len()))]
        }
        "secrets" => vec![
            ("Type", false, |object, _| object["type"].clone()),
            ("Data", false, |object, _| json!(pairs(object, "/data").len())),
        ],
        "serviceaccounts" => vec![("Secrets", false, |object, _| json!(items(object, "/secrets").len()))],
        "persistentvolumeclaims" => vec![
            ("Status", false, |object, _| {
                json!(if is_going(object) { "Terminating" } else { text(object, "/status/phase") })
            }),
            ("Volume", false, |object, _| json!(text(object, "/spec/volumeName"))),
            ("Capacity", false, |object, _| json!(text(object, "/status/capacity/storage"))),
            ("Access Modes", false, |object, _| json!(modes(object))),
            ("StorageClass", false, |object, _| json!(text(object, "/spec/storageClassName"))),
            ("VolumeMode", true, |object, _| object["spec"]["volumeMode"].clone()),
        ],
        "leases" => vec![("Holder", false, |object, _| json!(text(object, "/spec/holderIdentity")))],
        "rolebindings" | "clusterrolebindings" => vec![("Role", false, |object, _| {
            json!(format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name")))
        })],
        "ingresses" => vec![
            ("Class", false, |object, _| json!(or_none(text(object, "/spec/ingressClassName")))),
            ("Hosts", false, |object, _| {
                let hosts: Vec<&str> = items(object, "/spec/rules").iter().map(|rule| text(rule, "/host")).collect();
                json!(hosts.join(","))
            }),
        ],
        "networkpolicies" => {
            vec![("Pod-Selector", false, |object, _| {
                json!(or_none(&joined(&pairs(object, "/spec/podSelector/matchLabels"))))
            })]
        }
        "poddisruptionbudgets" => vec![
            ("Min Available", false, |object, _| json!(plain(&object["spec"]["minAvailable"]))),
            ("Max Unavailable", false, |object, _| json!(plain(&object["spec"]["maxUnavailable"]))),
            ("Allowed Disruptions", false, |object, _| json!(number(object, "/status/disruptionsAllowed", 0))),
        ],
        "events" => vec![
            ("Last Seen", false, |event, now| json!(since(text(event, "/lastTimestamp"), now))),
            ("Type", false, |event, _| event["type"].clone()),
            ("Reason", false, |event, _| event["reason"].clone()),
            ("Object", false, |event, _| {
                let kind = text(event, "/involvedObject/kind").to_lowercase();
                json!(format!("{kind}/{}", text(event, "/involvedObject/name")))
            }),
            ("Message", false, |event, _| event["message"].clone()),
        ],
        _ => Vec::new(),
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "N/A".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn ready(object: &Value, pointer: &str) -> String {
    format!("{}/{}", number(object, pointer, 0), number(object, "/spec/replicas", 0))
}

fn of_containers(object: &Value, pointer: &str) -> String {
    let all: Vec<&str> =
        items(object, "/spec/template/spec/containers").iter().map(|container| text(container, pointer)).collect();
    all.join(",")
}

fn selector(object: &Value) -> String {
    joined(&pairs(object, "/spec/selector/matchLabels"))
}

fn joined(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn ports(service: &Value) -> String {
    let port = |port: &Value| format!("{}/{}", number(port, "/port", 0), text(port, "/protocol"));
    items(service, "/spec/ports").iter().map(port).collect::<Vec<_>>().join(",")
}

fn modes(claim: &Value) -> String {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        _ => "RWOP",
    };
    items(claim, "/spec/accessModes").iter().map(short).collect::<Vec<_>>().join(",")
}

fn pod_status(pod: &Value) -> &str {
    if is_going(pod) {
        return "Terminating";
    }
    let state = &pod["status"]["containerStatuses"][0]["state"];
    let reason = ["/waiting/reason", "/terminated/reason"].iter().map(|pointer| text(state, pointer));
    reason.into_iter().find(|reason| !reason.is_empty()).unwrap_or(text(pod, "/status/phase"))
}

fn job_status(job: &Value) -> &'static str {
    match () {
        () if holds(job, "Complete") => "Complete",
        () if holds(job, "Failed") => "Failed",
        () if flag(job, "/spec/suspend") => "Suspended",
        () => "Running",
    }
}

/// How long ago a time is, as kubectl says it: `5s`, `3m`, `2h`, `4d`.
fn since(time: &str, now: Timestamp) -> String {
    let Ok(time) = time.parse::<Timestamp>() else { return "<none>".to_owned() };
    let seconds = now.duration_since(time).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}
