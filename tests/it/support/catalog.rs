//! A catalog-server to act on: its pods in a simulated Kubernetes, its data in a real PostgreSQL.

use super::postgres::{Cluster, Database};
use super::{Kubernetes, Output, Simulator};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The password of the server's role; long enough to be masked.
pub(crate) const CATALOG_PASSWORD: &str = "ledger-stone-lantern";

/// How long something may take to come true. Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// How it is installed before a test begins.
pub(crate) struct CatalogPlan<'a> {
    /// Variables of the deployment, over its own: DATABASE_DSN from the secret `catalog-database`, POD_NAME and
    /// POD_NAMESPACE, CATALOG_TENANCY_MODE=namespace, CATALOG_AUTHZ_MODE=sar, CATALOG_LEADER_ELECTION_ENABLED=true. An
    /// empty one is left out.
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// Pods. With none, nothing listens.
    pub(crate) replicas: u32,
    /// Whether the roles are there: the server may review access and hold its lease; ops-admin may do everything in the
    /// catalog; the group team-a-engineers what the document gives it in team-a. Nobody may do anything in team-b.
    pub(crate) roles: bool,
    /// Whether the pods have a readiness probe on /readyz, as the real deployment's have. It names no namespace.
    pub(crate) probes: bool,
    /// More arguments for the simulator.
    pub(crate) arguments: &'a [&'a str],
}

impl Default for CatalogPlan<'_> {
    fn default() -> Self {
        Self { variables: &[], replicas: 3, roles: true, probes: false, arguments: &[] }
    }
}

/// One running server. It ends when this is dropped.
pub(crate) struct Catalog {
    simulator: Simulator,
    control: String,
    /// Contexts `prod` (where the deployment is), `drill` and `viewer`; namespaces catalog-system, team-a, team-b.
    pub(crate) kubernetes: Kubernetes,
    /// Its database; what is done through this is the superuser's.
    pub(crate) database: Database<'static>,
    /// Its role, which owns the database.
    pub(crate) role: String,
}

impl Catalog {
    /// Three pods that serve two tenants.
    pub(crate) fn start() -> Self {
        Self::with(&CatalogPlan::default())
    }

    /// Installed like this. When there are pods, they serve by now.
    pub(crate) fn with(plan: &CatalogPlan) -> Self {
        let catalog = Self::begun(plan);
        if plan.replicas > 0 {
            catalog.serves(plan.replicas);
        }
        catalog
    }

    /// The same, and nobody waits for the pods: they may never serve.
    pub(crate) fn begun(plan: &CatalogPlan) -> Self {
        let database = Cluster::shared().database();
        let role = format!("catalog_{}", database.name);
        database.execute(&format!(
            "create role {role} login password '{CATALOG_PASSWORD}'; alter database {} owner to {role}",
            database.name
        ));
        let kubernetes = Kubernetes::start();
        let own = ["catalog", "--until-stdin-closes", "--port", "0", "--kubernetes", kubernetes.address()];
        let quick = ["--sar-cache", "1s", "--job-poll", "50ms", "--lease-retry", "100ms"];
        let (simulator, rest) = Simulator::start(&[&own, quick.as_slice(), plan.arguments].concat());
        let control = rest.trim_start_matches(" (control: ").trim_end_matches(')').to_owned();
        let catalog = Self { simulator, control, kubernetes, database, role };
        catalog.apply(&catalog.documents(plan));
        catalog
    }

    /// The address in front of the pods. Nothing listens there while no pod is ready.
    pub(crate) fn url(&self) -> &str {
        &self.simulator.url
    }

    /// The connection string of the server's role.
    pub(crate) fn dsn(&self) -> String {
        let (port, name) = (self.database.cluster.port, &self.database.name);
        format!("postgres://{}:{CATALOG_PASSWORD}@localhost:{port}/{name}?sslmode=require", self.role)
    }

    /// Puts documents into the cluster, as JSON.
    #[track_caller]
    pub(crate) fn apply(&self, documents: &[Value]) {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": documents });
        _ = self.kubernetes.kubectl_with(&["apply", "-f", "-"], &list.to_string()).exits(0);
    }

    fn documents(&self, plan: &CatalogPlan) -> Vec<Value> {
        let mut all: Vec<Value> = ["catalog-system", "team-a", "team-b"]
            .iter()
            .map(|name| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }))
            .collect();
        let own = |kind: &str, version: &str, name: &str| json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name, "namespace": "catalog-system" } });
        let mut secret = own("Secret", "v1", "catalog-database");
        secret["stringData"] = json!({ "DATABASE_DSN": self.dsn() });
        all.extend([own("ServiceAccount", "v1", "catalog-server"), secret]);
        if plan.roles {
            all.extend(roles());
        }
        let mut deployment = own("Deployment", "apps/v1", "catalog-server");
        let mut container = json!({
            "name": "catalog-server", "image": "catalog-server:1.0", "ports": [{ "containerPort": 8080 }],
            "env": variables(plan.variables),
        });
        if plan.probes {
            container["readinessProbe"] =
                json!({ "httpGet": { "path": "/readyz", "port": 8080 }, "periodSeconds": 10 });
        }
        deployment["spec"] = json!({
            "replicas": plan.replicas, "selector": { "matchLabels": { "app": "catalog-server" } },
            "template": {
                "metadata": { "labels": { "app": "catalog-server" } },
                "spec": { "serviceAccountName": "catalog-server", "containers": [container] },
            },
        });
        all.push(deployment);
        all
    }

    /// Waits until exactly so many pods get requests.
    #[track_caller]
    pub(crate) fn serves(&self, pods: u32) {
        self.waits("pods serve", || self.state()["pods"].as_array().is_some_and(|all| all.len() == pods as usize));
    }

    /// Waits until something is true; it says what it was.
    #[track_caller]
    pub(crate) fn waits(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "never true: {what}\n{}\n{}", self.state(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The pods that get requests, and which of them leads: `{serving, pods: [{name, leader}]}`.
    pub(crate) fn state(&self) -> Value {
        json_of(&ask(&self.control, "GET", "/_sim/state", &[], "").1)
    }

    /// Sets the scene; the keys are those of `Control` in `tests/simulators/catalog/control.rs`.
    #[track_caller]
    pub(crate) fn control(&self, what: &Value) {
        let (status, answer) = ask(&self.control, "POST", "/_sim/control", &[], &what.to_string());
        assert_eq!(status, 200, "{what} is refused: {answer}");
    }

    /// The requests so far: method, path, query, headers, body, pod, status.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let (_, answer) = ask(&self.control, "GET", "/_sim/log", &[], "");
        json_of(&answer)["requests"].as_array().expect("a list").clone()
    }

    /// A request as somebody: path with its query, user, groups. The status and the body.
    pub(crate) fn get(&self, path: &str, user: &str, groups: &str) -> (u16, Value) {
        self.ask("GET", path, user, groups)
    }

    /// A request of any method as somebody.
    pub(crate) fn ask(&self, method: &str, path: &str, user: &str, groups: &str) -> (u16, Value) {
        let (status, body) = ask(self.url(), method, path, &[("x-remote-user", user), ("x-remote-group", groups)], "");
        (status, json_of(&body))
    }

    /// The lines of all pods.
    pub(crate) fn log(&self) -> String {
        let line = "logs -n catalog-system -l app=catalog-server --tail=-1 --prefix";
        self.kubernetes.kubectl(line).stdout
    }

    /// Calls kubectl in the namespace of the server.
    pub(crate) fn kubectl(&self, line: &str) -> Output {
        self.kubernetes.kubectl(&format!("-n catalog-system {line}"))
    }

    /// The changes that were made to the cluster by others than the server itself, as `PATCH /apis/...`.
    pub(crate) fn writes(&self) -> Vec<String> {
        let all = self.kubernetes.requests();
        let of_others = |one: &&Value| {
            let is_own = one["user"].as_str().is_some_and(|user| user.ends_with(":catalog-server"));
            one["method"] != "GET" && !is_own && !one["path"].to_string().contains("authorization.k8s.io/v1/s")
        };
        let text = |one: &Value| format!("{} {}", one["method"].as_str().unwrap(), one["path"].as_str().unwrap());
        all.iter().filter(of_others).map(text).collect()
    }
}

/// The variables of the container.
fn variables(over: &[(&str, &str)]) -> Vec<Value> {
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let mut all = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        json!({
            "name": "DATABASE_DSN",
            "valueFrom": { "secretKeyRef": { "name": "catalog-database", "key": "DATABASE_DSN" } },
        }),
        json!({ "name": "CATALOG_TENANCY_MODE", "value": "namespace" }),
        json!({ "name": "CATALOG_AUTHZ_MODE", "value": "sar" }),
        json!({ "name": "CATALOG_LEADER_ELECTION_ENABLED", "value": "true" }),
    ];
    for (name, value) in over {
        all.retain(|variable| variable["name"] != *name);
        if !value.is_empty() {
            all.push(json!({ "name": name, "value": value }));
        }
    }
    all
}

fn roles() -> Vec<Value> {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let object = |kind: &str, name: &str, namespace: &str| {
        let mut metadata = json!({ "name": name });
        if !namespace.is_empty() {
            metadata["namespace"] = json!(namespace);
        }
        json!({ "apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": metadata })
    };
    let role = |kind: &str, name: &str, namespace: &str, rules: Value| {
        let mut role = object(kind, name, namespace);
        role["rules"] = rules;
        role
    };
    let bound = |kind: &str, name: &str, namespace: &str, subject: Value, to: (&str, &str)| {
        let mut binding = object(kind, name, namespace);
        binding["subjects"] = json!([subject]);
        binding["roleRef"] = json!({ "apiGroup": GROUP, "kind": to.0, "name": to.1 });
        binding
    };
    let account = json!({ "kind": "ServiceAccount", "name": "catalog-server", "namespace": "catalog-system" });
    let review =
        json!([{ "apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"] }]);
    let lease = json!([{ "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"] }]);
    let everything = json!([{ "apiGroups": ["catalog.kubeflow.org"], "resources": ["*"], "verbs": ["*"] }]);
    let engineer = json!([
        { "apiGroups": ["catalog.kubeflow.org"], "resources": ["catalogsources", "assets", "actions", "jobs"],
          "verbs": ["get", "list", "create", "update"] },
        { "apiGroups": ["catalog.kubeflow.org"], "resources": ["plugins", "capabilities"], "verbs": ["get", "list"] },
    ]);
    vec![
        role("ClusterRole", "catalog-server-sar-creator", "", review),
        bound(
            "ClusterRoleBinding",
            "catalog-server-sar-creator",
            "",
            account.clone(),
            ("ClusterRole", "catalog-server-sar-creator"),
        ),
        role("Role", "catalog-server-leader", "catalog-system", lease),
        bound("RoleBinding", "catalog-server-leader", "catalog-system", account, ("Role", "catalog-server-leader")),
        role("ClusterRole", "catalog-operator", "", everything),
        bound(
            "ClusterRoleBinding",
            "catalog-operator",
            "",
            json!({ "kind": "User", "name": "ops-admin" }),
            ("ClusterRole", "catalog-operator"),
        ),
        role("Role", "catalog-ai-engineer", "team-a", engineer),
        bound(
            "RoleBinding",
            "team-a-engineers",
            "team-a",
            json!({ "kind": "Group", "name": "team-a-engineers" }),
            ("Role", "catalog-ai-engineer"),
        ),
    ]
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// One request on a connection of its own: the status and the body. A server that does not listen is status 0.
fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let host = address.trim_start_matches("http://");
    let Ok(mut stream) = TcpStream::connect(host) else { return (0, String::new()) };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} {path} HTTP/1.0\r\nhost: {host}\r\ncontent-type: application/json\r\n{headers}");
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).expect("a request");
    let mut answer = String::new();
    // A server that goes in the middle of its answer gives less.
    stream.read_to_string(&mut answer).ok();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
}
