//! What is in a cluster at the start, and what its controller is told to do.

use super::kind::Kinds;
use super::rbac::GROUP;
use super::store::{Key, Store};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// Which pods are meant. Everything that is given must fit.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pods {
    /// The namespace.
    pub namespace: Option<String>,
    /// The pod's name, or a beginning that ends in `*`.
    pub name: Option<String>,
    /// A part of an image's name.
    pub image: Option<String>,
    /// What the container waits for, as `ImagePullBackOff`.
    pub reason: Option<String>,
}

/// Pods whose readiness somebody else tells, as a probe does: those that are not named run, and are not ready.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probed {
    /// The namespace.
    pub namespace: String,
    /// The pod's name, or a beginning that ends in `*`.
    pub name: String,
    /// The pods that are ready.
    pub ready: Vec<String>,
}

/// Which job fails.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failing {
    /// The job's name, or a beginning that ends in `*`.
    pub job: String,
    /// How many of its pods fail; without it the job is failed with its first pod.
    pub times: Option<u32>,
}

/// What one container has said.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The namespace; every one when absent.
    pub namespace: Option<String>,
    /// The pod's name, or a beginning that ends in `*`.
    pub pod: String,
    /// The container; every one when absent.
    pub container: Option<String>,
    /// Whether this is what the container before the last restart said.
    #[serde(default)]
    pub previous: bool,
    /// The lines, oldest first.
    pub lines: Vec<String>,
    /// The age of the lines in seconds.
    #[serde(default)]
    pub age: i64,
    /// When it was told.
    #[serde(skip, default)]
    pub told: Option<Timestamp>,
}

/// Where a port of a pod leads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The namespace; every one when absent.
    pub namespace: Option<String>,
    /// The pod's name, or a beginning that ends in `*`.
    pub pod: String,
    /// The port.
    pub port: u16,
    /// The address that answers, as `127.0.0.1:18180`.
    pub to: String,
}

/// What a program in a container does when it is started.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Program {
    /// The namespace; every one when absent.
    pub namespace: Option<String>,
    /// The pod's name, or a beginning that ends in `*`.
    pub pod: String,
    /// The container; every one when absent.
    pub container: Option<String>,
    /// The first words of the command.
    pub command: Vec<String>,
    /// Says on stdout what it reads on stdin.
    pub copies_input: bool,
    /// What it says on stdout.
    pub stdout: String,
    /// What it says on stderr.
    pub stderr: String,
    /// Its exit code.
    pub exit: u8,
}

/// What the controller is told to do, and what makes one cluster differ from another.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// The cluster's name; uids come from it.
    pub cluster: String,
    /// The version that it says it has, as `1.32.4`.
    pub release: String,
    /// How long a pod takes to get ready, and a container of a job to end after that.
    pub ready_after: Duration,
    /// How long a pod takes to go.
    pub gone_after: Duration,
    /// The controller does nothing.
    pub frozen: bool,
    /// Pods that never get ready.
    pub stuck: Vec<Pods>,
    /// Pods with a probe.
    pub probed: Vec<Probed>,
    /// Jobs that fail.
    pub failing: Vec<Failing>,
    /// What containers have said.
    pub said: Vec<Said>,
    /// Where ports of pods lead.
    pub forwards: Vec<Forward>,
    /// What programs do.
    pub programs: Vec<Program>,
    /// Who a bearer token belongs to.
    pub tokens: BTreeMap<String, String>,
}

impl Scene {
    /// The uid with a number: always the same for a cluster.
    pub fn uid(&self, count: u64) -> String {
        let digest = Sha256::digest(format!("{} {count}", self.cluster));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    }

    /// The minor version, as 32.
    pub fn minor(&self) -> u32 {
        self.release.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(32)
    }
}

/// Whether a name fits: the same, or a beginning that ends in `*`.
pub fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

/// A cluster with namespaces, three nodes, the usual roles, and a user `viewer` who may look.
pub fn cluster(scene: Scene, uid: Option<&str>, now: Timestamp) -> Store {
    let mut store = Store::new(Kinds::built_in(scene.minor()), scene);
    for name in ["kube-system", "kube-public", "kube-node-lease", "default"] {
        let mut namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
            "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
        });
        if let (Some(uid), "kube-system") = (uid, name) {
            namespace["metadata"]["uid"] = json!(uid);
        }
        store.insert(Key::of("", "namespaces", "", name), namespace, now);
    }
    for number in 1..=3 {
        let name = format!("node-{number}");
        store.insert(Key::of("", "nodes", "", &name), node(&name, number, &store.scene.release, now), now);
    }
    for (name, labels, rules) in roles() {
        let mut role = json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole",
            "metadata": { "name": name, "labels": labels }, "rules": rules,
        });
        if name == "view" || name == "edit" || name == "admin" {
            let label = format!("rbac.authorization.k8s.io/aggregate-to-{name}");
            role["aggregationRule"] = json!({ "clusterRoleSelectors": [{ "matchLabels": { label: "true" } }] });
        }
        store.insert(Key::of(GROUP, "clusterroles", "", name), role, now);
    }
    for (name, kind, who, role) in [
        ("cluster-admin", "Group", "system:masters", "cluster-admin"),
        ("system:basic-user", "Group", "system:authenticated", "system:basic-user"),
        ("system:discovery", "Group", "system:authenticated", "system:discovery"),
        ("viewer", "User", "viewer", "view"),
    ] {
        let binding = json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": name },
            "roleRef": { "apiGroup": GROUP, "kind": "ClusterRole", "name": role },
            "subjects": [{ "apiGroup": GROUP, "kind": kind, "name": who }],
        });
        store.insert(Key::of(GROUP, "clusterrolebindings", "", name), binding, now);
    }
    store
}

fn node(name: &str, number: u32, release: &str, now: Timestamp) -> Value {
    let mut status = json!({
        "addresses": [
            { "type": "InternalIP", "address": format!("10.0.0.{number}") },
            { "type": "Hostname", "address": name },
        ],
        "allocatable": { "cpu": "4", "memory": "16Gi", "pods": "110" },
        "capacity": { "cpu": "4", "memory": "16Gi", "pods": "110" },
        "nodeInfo": {
            "kubeletVersion": format!("v{release}"), "osImage": "Debian GNU/Linux 12 (bookworm)",
            "kernelVersion": "6.1.0", "containerRuntimeVersion": "containerd://1.7.0", "architecture": "amd64",
            "operatingSystem": "linux",
        },
    });
    super::object::condition(&mut status, "Ready", "True", "KubeletReady", "kubelet is posting ready status", now);
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" } },
        "spec": {}, "status": status,
    })
}

/// Name, labels and rules of the roles of every cluster; `view` shows no secrets.
fn roles() -> Vec<(&'static str, Value, Value)> {
    let read = json!(["get", "list", "watch"]);
    let change = json!(["create", "delete", "deletecollection", "patch", "update"]);
    let core = [
        "bindings",
        "configmaps",
        "endpoints",
        "events",
        "limitranges",
        "namespaces",
        "namespaces/status",
        "persistentvolumeclaims",
        "pods",
        "pods/log",
        "pods/status",
        "replicationcontrollers",
        "resourcequotas",
        "serviceaccounts",
        "services",
        "services/status",
    ];
    let seen = json!([
        { "verbs": read, "apiGroups": [""], "resources": core },
        { "verbs": read, "apiGroups": ["apps", "batch", "autoscaling", "networking.k8s.io", "policy"], "resources": ["*"] },
    ]);
    let changed = json!([
        { "verbs": change, "apiGroups": [""], "resources": [
            "configmaps", "endpoints", "persistentvolumeclaims", "pods", "pods/eviction", "secrets",
            "serviceaccounts", "services",
        ] },
        { "verbs": read, "apiGroups": [""], "resources": ["secrets"] },
        { "verbs": ["get", "create"], "apiGroups": [""], "resources": ["pods/exec", "pods/portforward"] },
        { "verbs": change, "apiGroups": ["apps", "batch", "autoscaling", "networking.k8s.io", "policy"], "resources": ["*"] },
    ]);
    let rolled = json!([{ "verbs": ["*"], "apiGroups": [GROUP], "resources": ["roles", "rolebindings"] }]);
    let none = json!({});
    let into = |role: &str| json!({ format!("rbac.authorization.k8s.io/aggregate-to-{role}"): "true" });
    let mut into_edit = into("edit");
    into_edit["rbac.authorization.k8s.io/aggregate-to-admin"] = json!("true");
    let mut into_all = into("view");
    into_all["rbac.authorization.k8s.io/aggregate-to-edit"] = json!("true");
    into_all["rbac.authorization.k8s.io/aggregate-to-admin"] = json!("true");
    let reviews = json!([
        { "verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
          "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"] },
        { "verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"] },
    ]);
    let pages = json!([{ "verbs": ["get"], "nonResourceURLs": [
        "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/readyz", "/openapi", "/openapi/*", "/version", "/version/",
    ] }]);
    vec![
        (
            "cluster-admin",
            none.clone(),
            json!([
                { "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }, { "verbs": ["*"], "nonResourceURLs": ["*"] },
            ]),
        ),
        ("admin", none.clone(), json!([])),
        ("edit", none.clone(), json!([])),
        ("view", none.clone(), json!([])),
        ("system:aggregate-to-admin", into("admin"), rolled),
        ("system:aggregate-to-edit", into_edit, changed),
        ("system:aggregate-to-view", into_all, seen),
        ("system:basic-user", none.clone(), reviews),
        ("system:discovery", none, pages),
    ]
}
