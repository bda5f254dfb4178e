//! What goes on in the simulated Kubernetes, as the stock kubectl sees it: rollouts, jobs, deletion, logs, rights, and
//! everything that can go wrong.

use crate::kubernetes_api::{BACKUP, apply, field, with_web};
use crate::support::{Kubernetes, kubectl_minor};
use serde_json::json;
use std::process::Stdio;
use std::time::{Duration, Instant};

const DATABASE: &str = r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: "postgres:16"}, {name: side, image: "side:1"}]
  volumeClaimTemplates:
    - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: "agent:1"}]}
"#;

const MODEL: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: models.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Model, plural: models, singular: model, shortNames: [mo]}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
      subresources: {status: {}}
      additionalPrinterColumns: [{name: Size, type: string, jsonPath: .spec.size}]
";

#[test]
fn a_rollout_goes_on_step_by_step_and_can_be_undone() {
    let kube = with_web();
    _ = kube.kubectl("set image deploy/web web=nginx:1.26").exits(0);
    _ = kube.kubectl("rollout status deploy/web --timeout=20s").exits(0).says("successfully rolled out");
    _ = kube.kubectl("rollout history deploy/web").exits(0).says("2         <none>");
    _ = kube.kubectl("rollout undo deploy/web").exits(0).says("rolled back");
    _ = kube.kubectl("rollout status deploy/web --timeout=20s").exits(0);
    assert_eq!(field(&kube, "deploy/web", ".spec.template.spec.containers[0].image"), "nginx:1.25");
    assert_eq!(kube.kubectl("get rs -o name").stdout.lines().count(), 2);
    let before = kube.kubectl("get pods -o name").stdout;
    _ = kube.kubectl("rollout restart deploy/web").exits(0).says("restarted");
    _ = kube.kubectl("rollout status deploy/web --timeout=20s").exits(0);
    let old = |pods: &str| pods.lines().any(|pod| before.contains(pod));
    _ = kube.until_it("get pods -o name", |pods| !pods.stdout.is_empty() && !old(&pods.stdout));
    let generation = field(&kube, "deploy/web", ".metadata.generation");
    assert_eq!(field(&kube, "deploy/web", ".status.observedGeneration"), generation);
}

#[test]
fn a_rollout_that_hangs_is_not_done() {
    let kube = with_web();
    kube.control(&json!({ "stuck": { "image": "broken", "reason": "ImagePullBackOff" } }));
    _ = kube.kubectl("set image deploy/web web=broken:1").exits(0);
    _ = kube.kubectl("rollout status deploy/web --timeout=1s").exits(1).says("timed out waiting for the condition");
    _ = kube.until("get pods", "ImagePullBackOff");
    // The old pods stay until the new ones are ready.
    assert_eq!(field(&kube, "deploy/web", ".status.readyReplicas"), "2");
    let patch = r#"{"spec":{"progressDeadlineSeconds":1}}"#;
    _ = kube.kubectl_with(&["patch", "deploy", "web", "-p", patch], "").exits(0);
    _ = kube.kubectl("rollout status deploy/web --timeout=20s").exits(1).says("exceeded its progress deadline");
    kube.control(&json!({ "release": true }));
    _ = kube.kubectl("rollout status deploy/web --timeout=20s").exits(0).says("successfully rolled out");
}

#[test]
fn sets_have_numbered_pods_with_claims_and_a_pod_on_every_node() {
    let kube = Kubernetes::start();
    _ = apply(&kube, DATABASE, "statefulset.apps/db created");
    _ = kube.kubectl("rollout status sts/db --timeout=20s").exits(0);
    _ = kube.kubectl("rollout status ds/agent --timeout=20s").exits(0);
    assert_eq!(kube.kubectl("get pods -l app=agent -o name").stdout.lines().count(), 3);
    let (first, second) = (field(&kube, "pod/db-0", ".metadata.uid"), field(&kube, "pod/db-1", ".metadata.uid"));
    _ = kube.kubectl("get pvc").exits(0).says("data-db-0").says("data-db-1").says("Bound");
    _ = kube.kubectl("rollout restart sts/db ds/agent").exits(0);
    _ = kube.kubectl("rollout status sts/db --timeout=20s").exits(0);
    _ = kube.kubectl("rollout status ds/agent --timeout=20s").exits(0);
    assert_ne!(field(&kube, "pod/db-0", ".metadata.uid"), first);
    assert_ne!(field(&kube, "pod/db-1", ".metadata.uid"), second);
    _ = kube.kubectl("rollout undo sts/db").exits(0).says("rolled back");
    _ = kube.kubectl("scale sts/db --replicas=1").exits(0);
    _ = kube.until("get pod db-1", "NotFound");
    _ = kube.kubectl("get pvc data-db-1").exits(0);
}

#[test]
fn a_job_from_a_cron_job_completes_fails_and_goes_with_its_owner() {
    let kube = Kubernetes::start();
    _ = apply(&kube, BACKUP, "cronjob.batch/backup created");
    _ = kube.kubectl("create job --from=cronjob/backup good").exits(0).says("job.batch/good created");
    _ = kube.kubectl("create job --from=cronjob/backup good").exits(1).says("already exists");
    _ = kube.kubectl("wait --for=condition=complete job/good --timeout=10s").exits(0).says("condition met");
    let pod = kube.kubectl("get pods -l job-name=good -o json").json()["items"][0].clone();
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["env"][0]["valueFrom"]["secretKeyRef"], json!({ "name": "db", "key": "password" }));
    assert_eq!((&container["command"], &pod["status"]["phase"]), (&json!(["pg_dump", "--all"]), &json!("Succeeded")));
    kube.control(&json!({ "fail_job": { "job": "bad*" } }));
    _ = kube.kubectl("create job --from=cronjob/backup bad-1").exits(0);
    _ = kube.kubectl("wait --for=condition=failed job/bad-1 --timeout=10s").exits(0);
    _ = kube.kubectl("get job bad-1").exits(0).says("0/1");
    _ = kube.kubectl("wait --for=condition=complete job/bad-1 --timeout=1s").exits(1).says("timed out");
    _ = kube.kubectl("delete cronjob backup").exits(0);
    _ = kube.until("get jobs,pods", "No resources found");
}

#[test]
fn deletion_waits_and_takes_what_is_owned() {
    let kube = with_web();
    let start = Instant::now();
    kube.control(&json!({ "gone_after_ms": 1500 }));
    let pod = kube.kubectl("get pods -o name").stdout.lines().next().unwrap().to_owned();
    _ = kube.kubectl(&format!("delete {pod} --wait=false")).exits(0);
    _ = kube.kubectl(&format!("get {pod}")).exits(0).says("Terminating");
    _ = kube.kubectl(&format!("delete {pod}")).exits(0).says("deleted");
    assert!(start.elapsed() > Duration::from_millis(1400), "it does not wait");
    _ = kube.kubectl(&format!("get {pod}")).exits(1).says("NotFound");
    _ = kube.kubectl(&format!("delete {pod}")).exits(1).says("NotFound");
    _ = kube.kubectl(&format!("delete {pod} --ignore-not-found")).exits(0);
    kube.control(&json!({ "gone_after_ms": 50 }));
    _ = kube.kubectl("delete deploy -l app=other").exits(0).says("No resources found");
    _ = kube.kubectl("delete deploy -l app=web").exits(0).says("\"web\" deleted");
    _ = kube.until("get all", "No resources found");
}

#[test]
fn waiting_for_a_field_and_for_a_condition() {
    let kube = with_web();
    _ = kube.kubectl("scale deploy web --replicas=3").exits(0);
    if kubectl_minor() >= 23 {
        _ = kube.kubectl("wait deploy/web --for=jsonpath={.status.readyReplicas}=3 --timeout=10s").exits(0);
        _ = kube.kubectl("wait deploy/web --for=jsonpath={.status.readyReplicas}=9 --timeout=1s").exits(1);
    }
    _ = kube.kubectl("wait deploy/web --for=condition=Available --timeout=10s").exits(0).says("condition met");
    _ = kube.kubectl("wait pod -l app=web --for=condition=Ready --timeout=10s").exits(0);
    _ = kube.kubectl("wait deploy/web --for=condition=Nonsense --timeout=1s").exits(1).says("timed out");
    kube.control(&json!({ "gone_after_ms": 2000 }));
    let pod = kube.kubectl("get pods -o name").stdout.lines().next().unwrap().to_owned();
    _ = kube.kubectl(&format!("delete {pod} --wait=false")).exits(0);
    _ = kube.kubectl(&format!("wait --for=delete {pod} --timeout=10s")).exits(0).says("condition met");
    _ = kube.kubectl(&format!("get {pod}")).exits(1).says("NotFound");
}

#[test]
fn logs_are_what_was_set() {
    let kube = Kubernetes::start();
    _ = apply(&kube, DATABASE, "db created");
    _ = kube.kubectl("rollout status sts/db --timeout=20s").exits(0);
    _ = kube.kubectl("logs db-0 -c db").exits(0).says("db-0 db[0]: starting\n");
    kube.control(
        &json!({ "logs": { "pod": "db-*", "container": "db", "age": 3600, "lines": ["one", "two", "three"] } }),
    );
    kube.control(&json!({ "logs": { "pod": "db-*", "container": "db", "lines": ["running migrations with lock"] } }));
    kube.control(
        &json!({ "logs": { "pod": "db-0", "container": "db", "previous": true, "lines": ["out of memory"] } }),
    );
    let said = |line: &str| kube.kubectl(line).exits(0).stdout;
    assert_eq!(said("logs db-0 -c db"), "one\ntwo\nthree\nrunning migrations with lock\n");
    assert_eq!(said("logs db-0 -c db --tail=2"), "three\nrunning migrations with lock\n");
    assert_eq!(said("logs db-0 -c db --since=10m"), "running migrations with lock\n");
    assert_eq!(said("logs db-0 -c db --previous"), "out of memory\n");
    assert_eq!(said("logs -l app=db -c db --tail=1").lines().count(), 2);
    assert!(said("logs db-0 -c db --timestamps").starts_with("20"));
    assert_eq!(said("logs sts/db -c db --tail=1"), "running migrations with lock\n");
    _ = kube.kubectl("logs db-0 -c nope").exits(1).says("container nope is not valid for pod db-0");
    _ = kube.kubectl("logs db-1 -c db --previous").exits(1).says("previous terminated container");
    _ = kube.kubectl("logs nothing").exits(1).says("NotFound");
    let mut child = kube.command(&["logs", "-f", "db-0", "-c", "db"]);
    let child = child.stdout(Stdio::piped()).spawn().unwrap();
    kube.control(&json!({ "logs": { "pod": "db-0", "lines": ["later"] } }));
    _ = kube.kubectl("delete pod db-0").exits(0);
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("later\n"), "{output:?}");
}

#[test]
fn rights_come_from_roles_and_bindings() {
    let kube = with_web();
    _ = kube.kubectl("auth can-i delete pods").exits(0).says("yes");
    _ = kube.kubectl("auth can-i delete pods --as viewer").exits(1).says("no");
    _ = kube.kubectl("--context viewer auth can-i list deployments").exits(0).says("yes");
    _ = kube.kubectl("--context viewer get pods").exits(0).says("web-");
    let refused = kube.kubectl("--context viewer scale deploy/web --replicas=0").exits(1);
    _ = refused.says("Forbidden").says("User \"viewer\" cannot").says("in the namespace \"default\"");
    _ = kube.kubectl("--context viewer get secrets").exits(1).says("cannot list resource \"secrets\"");
    _ = kube.kubectl("--context viewer get nodes").exits(1).says("at the cluster scope");
    _ = kube.kubectl("get pods --as jane").exits(1).says("User \"jane\" cannot list resource \"pods\"");
    _ = kube.kubectl("--context viewer get pods --as jane").exits(1);
    _ = kube.kubectl("create role scaler --verb=get,patch,update --resource=deployments,deployments/scale").exits(0);
    _ = kube
        .kubectl("create rolebinding scaler --role=scaler --user=jane --serviceaccount=shop:robot --group=ops")
        .exits(0);
    _ = kube.kubectl("scale deploy/web --replicas=1 --as jane").exits(0);
    for who in ["--as jane", "--as system:serviceaccount:shop:robot", "--as bob --as-group ops"] {
        _ = kube.kubectl(&format!("auth can-i patch deployments.apps {who}")).exits(0).says("yes");
        _ = kube.kubectl(&format!("auth can-i update deploy --subresource=scale {who}")).exits(0).says("yes");
        _ = kube.kubectl(&format!("auth can-i patch deployments.apps -n kube-system {who}")).exits(1).says("no");
    }
    _ = kube.kubectl("auth can-i delete deploy --as jane").exits(1).says("no");
    // A review of somebody else, as an object: group and kind are named and not guessed.
    let review = "apiVersion: authorization.k8s.io/v1\nkind: SubjectAccessReview\nspec: {user: x, groups: [ops], \
        resourceAttributes: {namespace: default, verb: patch, group: apps, resource: deployments}}";
    let allowed = ["create", "-o", "jsonpath={.status.allowed}", "-f", "-"];
    assert_eq!(kube.kubectl_with(&allowed, review).exits(0).stdout, "true");
    assert_eq!(kube.kubectl_with(&allowed, &review.replace("ops", "dev")).exits(0).stdout, "false");
    _ = kube.kubectl("delete rolebinding scaler").exits(0);
    _ = kube.kubectl("auth can-i patch deployments.apps --as jane").exits(1).says("no");
}

#[test]
fn a_context_is_a_cluster_and_a_user() {
    let kube = Kubernetes::with(&["--uid", "11111111-2222-4333-8444-555555555555"]);
    let uid = |context: &str| field(&kube, &format!("namespace kube-system --context {context}"), ".metadata.uid");
    assert_eq!(uid("prod"), "11111111-2222-4333-8444-555555555555");
    assert_eq!(uid("viewer"), uid("prod"));
    assert_ne!(uid("drill"), uid("prod"));
    let before = kube.requests().len();
    _ = kube.kubectl("--context drill create configmap only-here --from-literal=a=b").exits(0);
    assert_eq!(kube.requests().len(), before);
    assert!(kube.drill_requests().iter().any(|one| one["method"] == "POST"));
    _ = kube.kubectl("get configmap only-here").exits(1);
    _ = kube.kubectl("--context nowhere get pods").exits(1).says("nowhere");
    kube.control(&json!({ "uid": "99999999-2222-4333-8444-555555555555" }));
    assert_eq!(uid("prod"), "99999999-2222-4333-8444-555555555555");
}

#[test]
fn a_definition_makes_a_kind() {
    let kube = Kubernetes::start();
    let one = "apiVersion: example.org/v1\nkind: Model\nmetadata: {name: small, finalizers: [example.org/hold]}\nspec: {size: 7b, tags: [a]}\n";
    _ = apply(&kube, MODEL, "models.example.org created");
    _ = kube.kubectl("wait --for=condition=Established crd/models.example.org --timeout=10s").exits(0);
    _ = apply(&kube, one, "model.example.org/small created");
    _ = apply(&kube, &one.replace("7b", "8b"), "model.example.org/small configured");
    _ = kube.kubectl("get mo").exits(0).says("SIZE").says("8b");
    _ = kube
        .kubectl_with(&["patch", "model", "small", "--type=merge", "-p", r#"{"spec":{"tags":["b"]}}"#], "")
        .exits(0);
    assert_eq!(field(&kube, "model/small", ".spec.tags"), r#"["b"]"#);
    let strategic = ["patch", "model", "small", "--type=strategic", "-p", "{}"];
    _ = kube.kubectl_with(&strategic, "").exits(1);
    _ = kube.kubectl("auth can-i list models.example.org --as viewer").exits(1).says("no");
    // A finalizer holds it until it is taken off.
    _ = kube.kubectl("delete model small --wait=false").exits(0);
    _ = kube.kubectl("get model small").exits(0);
    _ = kube
        .kubectl_with(&["patch", "model", "small", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#], "")
        .exits(0);
    _ = kube.kubectl("get model small").exits(1).says("NotFound");
    _ = kube.kubectl("delete crd models.example.org").exits(0);
    _ = kube.kubectl("get models").exits(1).says("the server");
}

#[test]
fn nodes_are_cordoned_and_drained() {
    let kube = with_web();
    _ = kube.kubectl("cordon node-1 node-2").exits(0).says("node/node-1 cordoned");
    _ = kube.kubectl("get nodes").exits(0).says("Ready,SchedulingDisabled");
    _ = kube.kubectl("rollout restart deploy/web").exits(0);
    _ = kube.kubectl("rollout status deploy/web --timeout=20s").exits(0);
    let nodes = "get pods -o jsonpath={.items[*].spec.nodeName}";
    _ = kube.until_it(nodes, |output| output.stdout.split_whitespace().all(|node| node == "node-3"));
    _ = kube.kubectl("uncordon node-1").exits(0);
    _ = kube.kubectl("create pdb web --selector=app=web --max-unavailable=0").exits(0);
    _ = kube
        .kubectl("drain node-3 --ignore-daemonsets --timeout=2s")
        .exits(1)
        .says("would violate the pod's disruption budget");
    _ = kube.kubectl("delete pdb web").exits(0);
    _ = kube.kubectl("drain node-3 --ignore-daemonsets --timeout=20s").exits(0).says("node-3");
    _ = kube.kubectl("get events").exits(0).says("Scheduled").says("Successfully assigned default/web-");
}

#[test]
fn faults_happen_to_the_next_requests() {
    let kube = with_web();
    let fault = |fault: serde_json::Value| kube.control(&json!({ "fault": fault }));
    let path = "/apis/apps/v1/namespaces/default/deployments/web";
    fault(json!({ "path": path, "status": 500 }));
    _ = kube.kubectl("get deploy web").exits(1).says("Error from server (InternalError)");
    _ = kube.kubectl("get deploy web").exits(0);
    fault(json!({ "path": path, "status": 429, "retry_after": 1 }));
    _ = kube.kubectl("get deploy web").exits(0);
    fault(json!({ "path": path, "status": 429 }));
    _ = kube.kubectl("get deploy web").exits(1).says("TooManyRequests");
    fault(json!({ "path": path, "garbage": true }));
    _ = kube.kubectl("get deploy web").exits(1);
    // kubectl reads again after a broken connection, ten times.
    fault(json!({ "path": path, "cut": true }));
    _ = kube.kubectl("get deploy web").exits(0);
    fault(json!({ "path": path, "cut": true, "times": 100 }));
    _ = kube.kubectl("get deploy web --request-timeout=3s").exits(1);
    kube.control(&json!({ "clear_faults": true }));
    fault(json!({ "path": path, "hang": true }));
    let start = Instant::now();
    _ = kube.kubectl("get deploy web --request-timeout=1s").exits(1);
    assert!(start.elapsed() >= Duration::from_secs(1));
    fault(json!({ "path": path, "delay_ms": 700 }));
    let start = Instant::now();
    _ = kube.kubectl("get deploy web").exits(0);
    assert!(start.elapsed() >= Duration::from_millis(700));
    // The change is made, its answer is lost.
    fault(json!({ "path": format!("{path}*"), "method": "PATCH", "status": 500, "perform": true }));
    _ = kube.kubectl("scale deploy/web --replicas=3").exits(1).says("InternalError");
    assert_eq!(field(&kube, "deploy/web", ".spec.replicas"), "3");
    kube.control(&json!({ "clear_requests": true }));
    _ = kube.kubectl("scale deploy/web --replicas=1").exits(0);
    assert_eq!(kube.writes(), [format!("PATCH {path}/scale")]);
    let last = kube.requests().pop().unwrap();
    assert_eq!((&last["body"]["spec"]["replicas"], &last["status"]), (&json!(1), &json!(200)));
}

#[test]
fn a_pod_may_lose_its_readiness_and_the_controller_may_stop() {
    let kube = with_web();
    kube.control(&json!({ "stuck": { "name": "web-*" } }));
    _ = kube.until("get deploy web", "0/2");
    _ = kube.until("get pods", "CrashLoopBackOff");
    kube.control(&json!({ "release": true, "frozen": true }));
    _ = kube.kubectl("scale deploy/web --replicas=3").exits(0);
    assert_eq!(kube.kubectl("get pods -o name").stdout.lines().count(), 2);
    kube.control(&json!({ "frozen": false }));
    _ = kube.until("get deploy web", "3/3");
}
