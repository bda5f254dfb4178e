//! The kinds of object: the built-in ones as a table, and those that custom resource definitions declare.

use super::object::{flag, items, text};
use serde_json::Value;

/// One kind in one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version, as `v1`.
    pub version: String,
    /// The name of the type, as `Deployment`.
    pub name: String,
    /// The name in paths, as `deployments`.
    pub plural: String,
    /// Short names, as `deploy`.
    pub short: Vec<String>,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// Categories, as `all`.
    pub categories: Vec<String>,
    /// Its subresources.
    pub subresources: Vec<String>,
    /// Extra columns of a custom kind; `None` for a built-in one.
    pub columns: Option<Vec<Value>>,
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods` or `deployments.apps`, as in messages.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Whether a custom resource definition declares it.
    pub fn is_custom(&self) -> bool {
        self.columns.is_some()
    }

    /// Whether it is this built-in kind.
    pub fn is(&self, plural: &str) -> bool {
        !self.is_custom() && self.plural == plural
    }

    /// Whether it is a question that is answered and not kept.
    pub fn is_review(&self) -> bool {
        matches!(self.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io")
    }

    /// Whether it has a subresource of this name.
    pub fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|own| own == subresource)
    }
}

/// group, version, kind, plural, short names, namespaced, in `all`, subresources.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    bool,
    bool,
    &'static [&'static str],
);

const BUILT_IN: &[Row] = &[
    ("", "v1", "Namespace", "namespaces", &["ns"], false, false, &["status", "finalize"]),
    ("", "v1", "Node", "nodes", &["no"], false, false, &["status"]),
    ("", "v1", "Pod", "pods", &["po"], true, true, &["status", "log", "eviction", "portforward", "exec"]),
    ("", "v1", "Service", "services", &["svc"], true, true, &["status"]),
    ("", "v1", "ConfigMap", "configmaps", &["cm"], true, false, &[]),
    ("", "v1", "Secret", "secrets", &[], true, false, &[]),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"], true, false, &["status"]),
    ("", "v1", "Event", "events", &["ev"], true, false, &[]),
    ("", "v1", "ServiceAccount", "serviceaccounts", &["sa"], true, false, &[]),
    ("", "v1", "Endpoints", "endpoints", &["ep"], true, false, &[]),
    ("apps", "v1", "Deployment", "deployments", &["deploy"], true, true, &["status", "scale"]),
    ("apps", "v1", "ReplicaSet", "replicasets", &["rs"], true, true, &["status", "scale"]),
    ("apps", "v1", "StatefulSet", "statefulsets", &["sts"], true, true, &["status", "scale"]),
    ("apps", "v1", "DaemonSet", "daemonsets", &["ds"], true, true, &["status"]),
    ("apps", "v1", "ControllerRevision", "controllerrevisions", &[], true, false, &[]),
    ("batch", "v1beta1", "CronJob", "cronjobs", &["cj"], true, true, &["status"]),
    ("batch", "v1", "Job", "jobs", &[], true, true, &["status"]),
    ("batch", "v1", "CronJob", "cronjobs", &["cj"], true, true, &["status"]),
    ("coordination.k8s.io", "v1", "Lease", "leases", &[], true, false, &[]),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", &[], true, false, &[]),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", &[], true, false, &[]),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", &[], false, false, &[]),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", &[], false, false, &[]),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", &["ing"], true, false, &["status"]),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", &["netpol"], true, false, &[]),
    ("policy", "v1beta1", "PodDisruptionBudget", "poddisruptionbudgets", &["pdb"], true, false, &["status"]),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", &["pdb"], true, false, &["status"]),
    ("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", &[], false, false, &[]),
    ("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", &[], false, false, &[]),
    ("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", &[], false, false, &[]),
    ("authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", &[], true, false, &[]),
    ("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", &[], false, false, &[]),
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        &["crd", "crds"],
        false,
        false,
        &["status"],
    ),
];

/// All kinds that are served now.
#[derive(Clone, Debug)]
pub struct Kinds {
    all: Vec<Kind>,
}

impl Kinds {
    /// The built-in kinds. Up to Kubernetes 1.24 a CronJob and a PodDisruptionBudget are `v1beta1` too, and before
    /// 1.21 in the first place: a client of that time knows no other. `minor` says whose world this is.
    pub fn built_in(minor: u32) -> Self {
        let served = |row: &&Row| row.1 != "v1beta1" || minor < 25;
        let mut all: Vec<Kind> = BUILT_IN.iter().filter(served).map(built_in).collect();
        if minor >= 21 {
            all.sort_by_key(|kind| kind.version == "v1beta1");
        }
        Self { all }
    }

    /// All of them, in the order of discovery.
    pub fn all(&self) -> &[Kind] {
        &self.all
    }

    /// The kind of a path.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Kind> {
        self.all.iter().find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
    }

    /// The groups with their versions, preferred ones first, without the core group.
    pub fn groups(&self) -> Vec<(String, Vec<String>)> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for kind in self.all.iter().filter(|kind| !kind.group.is_empty()) {
            let place = groups.iter().position(|(group, _)| *group == kind.group).unwrap_or_else(|| {
                groups.push((kind.group.clone(), Vec::new()));
                groups.len() - 1
            });
            let versions = &mut groups[place].1;
            if !versions.contains(&kind.version) {
                versions.push(kind.version.clone());
            }
        }
        groups
    }

    /// Takes in what a definition declares, instead of what it declared before.
    pub fn declare(&mut self, definition: &Value) {
        self.forget(definition);
        self.all.extend(declared(definition));
    }

    /// Drops what a definition declares.
    pub fn forget(&mut self, definition: &Value) {
        let (group, plural) = (text(definition, "/spec/group"), text(definition, "/spec/names/plural"));
        self.all.retain(|kind| !(kind.is_custom() && kind.group == group && kind.plural == plural));
    }
}

fn built_in(row: &Row) -> Kind {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    Kind {
        group: row.0.to_owned(),
        version: row.1.to_owned(),
        name: row.2.to_owned(),
        plural: row.3.to_owned(),
        short: owned(row.4),
        namespaced: row.5,
        categories: if row.6 { vec!["all".to_owned()] } else { Vec::new() },
        subresources: owned(row.7),
        columns: None,
    }
}

fn declared(definition: &Value) -> Vec<Kind> {
    let texts = |pointer: &str| -> Vec<String> {
        items(definition, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut kinds: Vec<Kind> = items(definition, "/spec/versions")
        .iter()
        .filter(|version| flag(version, "/served"))
        .map(|version| Kind {
            group: text(definition, "/spec/group").to_owned(),
            version: text(version, "/name").to_owned(),
            name: text(definition, "/spec/names/kind").to_owned(),
            plural: text(definition, "/spec/names/plural").to_owned(),
            short: texts("/spec/names/shortNames"),
            namespaced: text(definition, "/spec/scope") == "Namespaced",
            categories: texts("/spec/names/categories"),
            subresources: version["subresources"]
                .as_object()
                .map(|names| names.keys().cloned().collect())
                .unwrap_or_default(),
            columns: Some(items(version, "/additionalPrinterColumns").to_vec()),
        })
        .collect();
    // A stable version goes before a beta, a beta before an alpha.
    kinds.sort_by_key(|kind| (kind.version.contains("alpha"), kind.version.contains("beta"), kind.version.clone()));
    kinds
}
