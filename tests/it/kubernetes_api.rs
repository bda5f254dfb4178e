//! The simulated Kubernetes as the stock kubectl sees it. Every test starts its own two clusters.

use crate::support::{Kubernetes, kubectl_minor};
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

pub(crate) const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: "nginx:1.25", ports: [{containerPort: 80}], env: [{name: LEVEL, value: info}]}
"#;

pub(crate) const BACKUP: &str = r#"
apiVersion: batch/v1
kind: CronJob
metadata: {name: backup}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: backup
              image: "backup:1"
              command: [pg_dump, --all]
              env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}]
              resources: {limits: {cpu: 500m, memory: 1Gi}}
              livenessProbe: {httpGet: {path: /, port: http}, periodSeconds: 5}
              volumeMounts: [{name: out, mountPath: /out}]
          volumes: [{name: out, emptyDir: {}}]
"#;

/// A running `web` with two pods, applied from the client's side.
pub(crate) fn with_web() -> Kubernetes {
    let kube = Kubernetes::start();
    _ = apply(&kube, WEB, "deployment.apps/web created");
    _ = kube.kubectl("rollout status deploy/web --timeout=10s").exits(0).says("successfully rolled out");
    kube
}

#[track_caller]
pub(crate) fn apply(kube: &Kubernetes, manifest: &str, says: &str) -> crate::support::Output {
    kube.kubectl_with(&["apply", "-f", "-"], manifest).exits(0).says(says)
}

#[track_caller]
pub(crate) fn field(kube: &Kubernetes, what: &str, path: &str) -> String {
    kube.kubectl(&format!("get {what} -o jsonpath={{{path}}}")).exits(0).stdout
}

#[test]
fn it_says_what_it_is_and_what_kinds_it_has() {
    let kube = Kubernetes::start();
    _ = kube.kubectl("version").exits(0).says("Server Version");
    let kinds = kube.kubectl("api-resources -o name").exits(0).stdout;
    let wanted = "namespaces nodes pods services configmaps secrets persistentvolumeclaims events serviceaccounts \
        deployments.apps replicasets.apps statefulsets.apps daemonsets.apps jobs.batch cronjobs.batch \
        leases.coordination.k8s.io roles.rbac.authorization.k8s.io rolebindings.rbac.authorization.k8s.io \
        clusterroles.rbac.authorization.k8s.io clusterrolebindings.rbac.authorization.k8s.io \
        ingresses.networking.k8s.io networkpolicies.networking.k8s.io poddisruptionbudgets.policy \
        customresourcedefinitions.apiextensions.k8s.io";
    for kind in wanted.split_whitespace() {
        assert!(kinds.lines().any(|line| line == kind), "{kind} is missing in\n{kinds}");
    }
}

#[test]
fn get_shows_objects_in_every_form() {
    let kube = with_web();
    _ = kube.kubectl("get deployments").exits(0).says("UP-TO-DATE").says("2/2");
    _ = kube.kubectl("get deploy web -o wide").exits(0).says("nginx:1.25").says("app=web");
    _ = kube.kubectl("get deploy web -o name").exits(0).says("deployment.apps/web\n");
    _ = kube.kubectl("get deploy web -o yaml").exits(0).says("kind: Deployment").says("replicas: 2");
    let list = kube.kubectl("get pods -o json").exits(0).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    _ = kube.kubectl("get all").exits(0).says("replicaset.apps/web-").says("pod/web-");
    _ = kube.kubectl("get pods --all-namespaces").exits(0).says("NAMESPACE").says("default");
    _ = kube.kubectl("get deploy nothing").exits(1).says("Error from server (NotFound)").says("\"nothing\" not found");
    _ = kube.kubectl("get deploy nothing --ignore-not-found").exits(0);
    _ = kube.kubectl("get nothing").exits(1).says("the server doesn't have a resource type \"nothing\"");
    _ = kube.kubectl("get pods -n empty").exits(0).says("No resources found in empty namespace");
    _ = kube.kubectl("describe deploy web").exits(0).says("NewReplicaSet:").says("ScalingReplicaSet");
}

#[test]
fn selectors_choose() {
    let kube = with_web();
    for (labels, expected) in [
        ("app=web", 2),
        ("app!=web", 0),
        ("app", 2),
        ("!app", 0),
        ("app in (web,api)", 2),
        ("app notin (web)", 0),
        ("app=web,x=y", 0),
    ] {
        let pods = kube.kubectl_with(&["get", "pods", "-l", labels, "-o", "name"], "").exits(0);
        assert_eq!(pods.stdout.lines().count(), expected, "{pods}");
    }
    for (fields, expected) in [("status.phase=Running", 2), ("status.phase!=Running", 0), ("metadata.name=web", 0)] {
        let pods = kube.kubectl_with(&["get", "pods", "--field-selector", fields, "-o", "name"], "").exits(0);
        assert_eq!(pods.stdout.lines().count(), expected, "{pods}");
    }
}

#[test]
fn a_watch_tells_every_change() {
    let kube = Kubernetes::start();
    let mut child = kube.command(&["get", "configmaps", "--watch", "--output-watch-events"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |word: &str| lines.find(|line| line.contains(word)).unwrap_or_else(|| panic!("no {word}"));
    assert!(next("kube-root-ca.crt").starts_with("ADDED"));
    _ = kube.kubectl("create configmap one --from-literal=a=b").exits(0);
    assert!(next("one").starts_with("ADDED"));
    _ = kube.kubectl("label configmap one x=y").exits(0);
    assert!(next("one").starts_with("MODIFIED"));
    _ = kube.kubectl("delete configmap one").exits(0);
    assert!(next("one").starts_with("DELETED"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn create_makes_things_once() {
    let kube = Kubernetes::start();
    for (line, says) in [
        ("create namespace shop", "namespace/shop created"),
        ("create configmap c --from-literal=a=b -n shop", "configmap/c created"),
        ("create secret generic s --from-literal=password=geheim -n shop", "secret/s created"),
        ("create serviceaccount robot -n shop", "serviceaccount/robot created"),
        ("create deployment d --image=nginx:1 --replicas=2 -n shop", "deployment.apps/d created"),
        ("create job j --image=busybox:1 -n shop", "job.batch/j created"),
        ("run p --image=nginx:1 -n shop", "pod/p created"),
    ] {
        _ = kube.kubectl(line).exits(0).says(says);
        _ = kube.kubectl(line).exits(1).says("already exists");
    }
    assert_eq!(field(&kube, "secret/s -n shop", ".data.password"), "Z2VoZWlt");
    _ = kube
        .kubectl("create configmap c --from-literal=a=b -n nowhere")
        .exits(1)
        .says("namespaces \"nowhere\" not found");
    let made = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: made-}\n";
    _ = kube.kubectl_with(&["create", "-f", "-"], made).exits(0).says("configmap/made-");
    _ = kube.kubectl("wait pod/p -n shop --for=condition=Ready --timeout=10s").exits(0);
    _ = kube.kubectl("delete namespace shop").exits(0);
    _ = kube.kubectl("get deploy d -n shop").exits(1).says("NotFound");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let kube = Kubernetes::start();
    let refused =
        |manifest: &str, says: &str| _ = kube.kubectl_with(&["apply", "-f", "-"], manifest).exits(1).says(says);
    // An older kubectl asks for no strictness; the field is dropped then.
    if kubectl_minor() >= 25 {
        refused(&WEB.replace("replicas:", "replica:"), "strict decoding error: unknown field \"spec.replica\"");
        let lenient = ["apply", "--validate=warn", "--dry-run=server", "-o", "json", "-f", "-"];
        let made = kube.kubectl_with(&lenient, &WEB.replace("replicas:", "replica:")).exits(0);
        assert_eq!(made.json()["spec"]["replica"], json!(null));
        _ = made.says("Warning: unknown field \"spec.replica\"");
    }
    refused(&WEB.replace("value: info", "value: 1"), "cannot unmarshal number into Go struct field EnvVar");
    let other = WEB.replace("labels: {app: web}}\n    spec", "labels: {app: other}}\n    spec");
    refused(&other, "`selector` does not match template `labels`");
    let ends = WEB.replace("      containers:", "      restartPolicy: Never\n      containers:");
    refused(&ends, "spec.template.spec.restartPolicy: Unsupported value: \"Never\"");
    refused(&WEB.replace("name: web, labels", "name: Web, labels"), "RFC 1123");
    refused("apiVersion: example.org/v1\nkind: Model\nmetadata: {name: m}\n", "no matches for kind \"Model\"");
    assert!(!kube.kubectl("get deploy -o name").stdout.contains("web"));
}

#[test]
fn apply_merges_what_it_said_before() {
    let kube = with_web();
    _ = apply(&kube, WEB, "deployment.apps/web unchanged");
    _ = kube.kubectl("scale deploy/web --replicas=3").exits(0).says("scaled");
    // What another client set and the manifest does not name stays; what it named before and names no more goes.
    _ = kube.kubectl("set image deploy/web web=nginx:1.26").exits(0);
    _ = kube.kubectl("label deploy web team=a").exits(0);
    let manifest = WEB.replace("  replicas: 2\n", "").replace(", env: [{name: LEVEL, value: info}]", "");
    _ = apply(&kube, &manifest, "deployment.apps/web configured");
    let web = kube.kubectl("get deploy web -o json").json();
    let container = &web["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&web["spec"]["replicas"], &container["image"]), (&json!(1), &json!("nginx:1.25")));
    assert_eq!((container.get("env"), &web["metadata"]["labels"]["team"]), (None, &json!("a")));
}

#[test]
fn server_side_apply_sees_conflicts_between_managers() {
    let kube = Kubernetes::start();
    let own = ["apply", "--server-side", "-f", "-"];
    _ = kube.kubectl_with(&own, WEB).exits(0).says("serverside-applied");
    _ = kube.kubectl("scale deploy/web --replicas=4").exits(0);
    let conflict = kube.kubectl_with(&own, WEB).exits(1);
    _ = conflict.says("Apply failed with 1 conflict").says("with subresource \"scale\" using apps/v1: .spec.replicas");
    _ = kube.kubectl_with(&own, &WEB.replace("  replicas: 2\n", "")).exits(0);
    assert_eq!(field(&kube, "deploy/web", ".spec.replicas"), "4");
    let other = ["apply", "--server-side", "--field-manager=other", "-f", "-"];
    let conflict = kube.kubectl_with(&other, &WEB.replace("1.25", "1.26")).exits(1);
    _ = conflict.says("2 conflicts").says(".spec.template.spec.containers[name=\"web\"].image");
    _ = kube.kubectl_with(&[&other[..], &["--force-conflicts"]].concat(), &WEB.replace("1.25", "1.26")).exits(0);
    assert_eq!(field(&kube, "deploy/web", ".spec.template.spec.containers[0].image"), "nginx:1.26");
    let more = if kubectl_minor() >= 21 { "--show-managed-fields" } else { "" };
    let web = kube.kubectl(&format!("get deploy web -o json {more}")).json();
    let fields = web["metadata"]["managedFields"].as_array().unwrap();
    let mut managers: Vec<&str> = fields.iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
    managers.sort_unstable();
    assert_eq!(managers, ["kubectl", "other"]);
    // What the server gave stays when the other way of applying takes over.
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";
    _ = apply(&kube, service, "service/s created");
    let address = field(&kube, "service/s", ".spec.clusterIP");
    _ = kube.kubectl_with(&[&own[..], &["--force-conflicts"]].concat(), service).exits(0);
    assert_eq!((field(&kube, "service/s", ".spec.clusterIP"), address.is_empty()), (address.clone(), false));
}

#[test]
fn diff_shows_what_an_apply_would_change_and_changes_nothing() {
    let kube = with_web();
    for more in [&[][..], &["--server-side", "--force-conflicts"]] {
        let line = [&["diff", "-f", "-"], more].concat();
        // An older kubectl shows who manages which field, which a server-side apply changes.
        if more.is_empty() || kubectl_minor() >= 22 {
            _ = kube.kubectl_with(&line, WEB).exits(0);
        }
        let output = kube.kubectl_with(&line, &WEB.replace("1.25", "1.26")).exits(1);
        _ = output.says("-        image: nginx:1.25").says("+        image: nginx:1.26");
        _ = kube.kubectl_with(&line, BACKUP).exits(1).says("+kind: CronJob");
    }
    assert_eq!(field(&kube, "deploy/web", ".spec.template.spec.containers[0].image"), "nginx:1.25");
    assert_eq!(field(&kube, "deploy/web", ".metadata.generation"), "1");
    _ = kube.kubectl("get cronjob backup").exits(1);
    let dry = ["apply", "--dry-run=server", "-f", "-"];
    _ = kube.kubectl_with(&dry, BACKUP).exits(0).says("created (server dry run)");
    _ = kube.kubectl("delete deploy web --dry-run=server").exits(0).says("deleted (server dry run)");
    _ = kube.kubectl("get deploy web").exits(0);
}

#[test]
fn patches_of_three_kinds() {
    let kube = with_web();
    let patch =
        |kind: &str, patch: &str| kube.kubectl_with(&["patch", "deploy", "web", "--type", kind, "-p", patch], "");
    _ = patch("merge", r#"{"spec":{"replicas":3}}"#).exits(0).says("patched");
    assert_eq!(field(&kube, "deploy/web", ".spec.replicas"), "3");
    _ = patch(
        "json",
        r#"[{"op":"test","path":"/spec/replicas","value":3},{"op":"replace","path":"/spec/replicas","value":1}]"#,
    )
    .exits(0);
    assert_eq!(field(&kube, "deploy/web", ".spec.replicas"), "1");
    _ = patch("json", r#"[{"op":"test","path":"/spec/replicas","value":3}]"#).exits(1).says("The request is invalid");
    _ = patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:2"}]}}}}"#)
        .exits(0);
    let container = ".spec.template.spec.containers[0]";
    assert_eq!(field(&kube, "deploy/web", &format!("{container}.image")), "nginx:2");
    assert_eq!(field(&kube, "deploy/web", &format!("{container}.env[0].name")), "LEVEL");
    _ = kube.kubectl("annotate deploy web note=x").exits(0).says("annotate");
    _ = kube.kubectl("label deploy web team=a").exits(0).says("labeled");
    _ = kube.kubectl("label deploy web team=b").exits(1).says("already has a value");
    _ = kube.kubectl("label deploy web team-").exits(0).says("labeled");
}

#[test]
fn a_stale_version_is_a_conflict() {
    let kube = with_web();
    let old = kube.kubectl("get deploy web -o yaml").exits(0).stdout;
    _ = kube.kubectl("annotate deploy web note=x").exits(0);
    let replace = ["replace", "-f", "-"];
    _ = kube
        .kubectl_with(&replace, &old)
        .exits(1)
        .says("Error from server (Conflict)")
        .says("the object has been modified");
    _ = kube.kubectl_with(&replace, &WEB.replace("1.25", "1.26")).exits(0).says("deployment.apps/web replaced");
    _ = kube.kubectl("scale deploy web --replicas=3 --current-replicas=7").exits(1).says("Expected replicas to be 7");
    _ = kube.kubectl_with(&replace, BACKUP).exits(1).says("NotFound");
}
