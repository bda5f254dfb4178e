//! What the API fills in where a manifest says nothing.

use super::kind::Kind;
use super::object::{default, items, name, remove, text, uid};
use base64::Engine as _;
use serde_json::{Value, json};

/// Fills in what a kind of object has by default.
pub fn fill(kind: &Kind, object: &mut Value) {
    if kind.is_custom() {
        return;
    }
    super::object::drop_nulls(object);
    match kind.plural.as_str() {
        "pods" => pod(&mut object["spec"]),
        "deployments" => {
            default(object, &["spec", "replicas"], json!(1));
            default(object, &["spec", "strategy", "type"], json!("RollingUpdate"));
            if text(object, "/spec/strategy/type") == "Recreate" {
                remove(object, &["spec", "strategy", "rollingUpdate"]);
            } else {
                default(object, &["spec", "strategy", "rollingUpdate", "maxUnavailable"], json!("25%"));
                default(object, &["spec", "strategy", "rollingUpdate", "maxSurge"], json!("25%"));
            }
            default(object, &["spec", "revisionHistoryLimit"], json!(10));
            default(object, &["spec", "progressDeadlineSeconds"], json!(600));
            pod(&mut object["spec"]["template"]["spec"]);
        }
        "replicasets" => {
            default(object, &["spec", "replicas"], json!(1));
            pod(&mut object["spec"]["template"]["spec"]);
        }
        "statefulsets" => {
            default(object, &["spec", "replicas"], json!(1));
            default(object, &["spec", "podManagementPolicy"], json!("OrderedReady"));
            default(object, &["spec", "updateStrategy", "type"], json!("RollingUpdate"));
            if text(object, "/spec/updateStrategy/type") == "RollingUpdate" {
                default(object, &["spec", "updateStrategy", "rollingUpdate", "partition"], json!(0));
            }
            default(object, &["spec", "revisionHistoryLimit"], json!(10));
            default(object, &["spec", "serviceName"], json!(""));
            pod(&mut object["spec"]["template"]["spec"]);
        }
        "daemonsets" => {
            default(object, &["spec", "updateStrategy", "type"], json!("RollingUpdate"));
            if text(object, "/spec/updateStrategy/type") == "RollingUpdate" {
                default(object, &["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"], json!(1));
                default(object, &["spec", "updateStrategy", "rollingUpdate", "maxSurge"], json!(0));
            }
            default(object, &["spec", "revisionHistoryLimit"], json!(10));
            pod(&mut object["spec"]["template"]["spec"]);
        }
        "jobs" => job(object),
        "cronjobs" => {
            default(object, &["spec", "concurrencyPolicy"], json!("Allow"));
            default(object, &["spec", "suspend"], json!(false));
            default(object, &["spec", "successfulJobsHistoryLimit"], json!(3));
            default(object, &["spec", "failedJobsHistoryLimit"], json!(1));
            pod(&mut object["spec"]["jobTemplate"]["spec"]["template"]["spec"]);
        }
        "services" => service(object),
        "secrets" => secret(object),
        "persistentvolumeclaims" => default(object, &["spec", "volumeMode"], json!("Filesystem")),
        _ => {}
    }
}

fn job(object: &mut Value) {
    for (key, value) in [
        ("parallelism", json!(1)),
        ("completions", json!(1)),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
    ] {
        default(object, &["spec", key], value);
    }
    pod(&mut object["spec"]["template"]["spec"]);
}

/// Gives a new job the labels and the selector that tie it to its pods.
pub fn tie_job(object: &mut Value) {
    let (own, job) = (json!(uid(object)), json!(name(object)));
    for (label, value) in [
        ("batch.kubernetes.io/controller-uid", &own),
        ("batch.kubernetes.io/job-name", &job),
        ("controller-uid", &own),
        ("job-name", &job),
    ] {
        default(object, &["spec", "template", "metadata", "labels", label], value.clone());
    }
    default(object, &["spec", "selector"], json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": own } }));
}

fn pod(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    for (key, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        default(spec, &[key], value);
    }
    for list in ["initContainers", "containers"] {
        let Some(Value::Array(containers)) = spec.get_mut(list) else { continue };
        for container in containers.iter_mut().filter(|container| container.is_object()) {
            let image = text(container, "/image");
            let is_latest =
                image.ends_with(":latest") || !image.rsplit('/').next().unwrap_or_default().contains([':', '@']);
            let pull = if is_latest { "Always" } else { "IfNotPresent" };
            for (key, value) in [
                ("resources", json!({})),
                ("terminationMessagePath", json!("/dev/termination-log")),
                ("terminationMessagePolicy", json!("File")),
                ("imagePullPolicy", json!(pull)),
            ] {
                default(container, &[key], value);
            }
            if let Some(Value::Array(ports)) = container.get_mut("ports") {
                ports
                    .iter_mut()
                    .filter(|port| port.is_object())
                    .for_each(|port| default(port, &["protocol"], json!("TCP")));
            }
        }
    }
}

fn service(object: &mut Value) {
    default(object, &["spec", "type"], json!("ClusterIP"));
    default(object, &["spec", "sessionAffinity"], json!("None"));
    if let Some(Value::Array(ports)) = object.pointer_mut("/spec/ports") {
        for port in ports.iter_mut().filter(|port| port.is_object()) {
            let own = port["port"].clone();
            default(port, &["protocol"], json!("TCP"));
            default(port, &["targetPort"], own);
        }
    }
}

/// Moves `stringData` into `data`.
fn secret(object: &mut Value) {
    default(object, &["type"], json!("Opaque"));
    let plain: Vec<(String, String)> = super::object::pairs(object, "/stringData")
        .into_iter()
        .map(|(key, value)| (key.to_owned(), base64::engine::general_purpose::STANDARD.encode(value)))
        .collect();
    for (key, value) in plain {
        super::object::set(object, &["data", &key], json!(value));
    }
    remove(object, &["stringData"]);
}

/// The container names of a pod's spec, ordinary ones first.
pub fn containers(pod: &Value) -> Vec<&str> {
    ["/spec/containers", "/spec/initContainers"]
        .iter()
        .flat_map(|list| items(pod, list))
        .map(|container| text(container, "/name"))
        .collect()
}
