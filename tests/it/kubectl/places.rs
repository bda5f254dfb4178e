//! Which cluster a call goes to, and how it is proven.

use super::{Scene, UID, finish};
use serde_json::json;

#[test]
fn the_context_and_the_namespace_are_those_of_the_target_whatever_is_current() {
    let scene = Scene::with_shop();
    // The file's own context is prod, and the environment points elsewhere.
    let target = "drill: { kubernetes: { context: drill, namespace: kube-system, kubeconfig: FILE } }";
    let file = scene.kubernetes.kubeconfig().display().to_string();
    let body = format!(
        "targets:\n  {}\nsteps:\n  - {{ id: who, diagnose: Who?, target: drill, kubectl: [get, pods, -o, name] }}\n",
        target.replace("FILE", &file)
    );
    _ = scene.sandbox.runbook("case", &body);
    let mut command = scene.sandbox.command(["run", "./case.yaml"]);
    command.env("KUBECONFIG", "/nowhere/config").env("KUBECTL_EXTERNAL_DIFF", "/nowhere/diff");
    _ = finish(&mut command).exits(0);
    assert!(scene.kubernetes.requests().is_empty(), "prod was asked");
    let asked = scene.kubernetes.drill_requests();
    let paths: Vec<_> = asked.iter().filter_map(|one| one["path"].as_str()).collect();
    assert!(paths.contains(&"/api/v1/namespaces/kube-system/pods"), "{paths:?}");
}

#[test]
fn two_contexts_of_one_runbook_do_not_meet() {
    let scene = Scene::with_shop();
    let file = scene.kubernetes.kubeconfig().display().to_string();
    let body = format!(
        "targets:
  a: {{ kubernetes: {{ context: prod, namespace: shop, kubeconfig: {file} }} }}
  b: {{ kubernetes: {{ context: prod, namespace: other, kubeconfig: {file} }} }}
  c: {{ kubernetes: {{ context: drill, namespace: other, kubeconfig: {file} }} }}
steps:
  - {{ id: a, validate: Here, target: a, kubectl: [get, pods, -o, name], expect: lines | length == 2 }}
  - {{ id: b, validate: Not here, target: b, kubectl: [get, pods, -o, name], expect: lines | length == 0 }}
  - {{ id: c, validate: Nor here, target: c, kubectl: [get, pods, -o, name], expect: lines | length == 0 }}
"
    );
    _ = scene.sandbox.runbook("case", &body);
    _ = scene.run().exits(0);
}

#[test]
fn another_cluster_is_refused_by_its_uid_and_both_names_are_shown() {
    let scene = Scene::with_shop();
    let change = "
steps:
  - { id: restart, remediate: Restart, irreversible: No., kubectl: [rollout, restart, deployment/shop] }
  - { id: out, validate: It is out, timeout: 60s, kubectl: [rollout, status, deployment/shop] }
";
    let identity = format!(", identity: {{ uid: {UID} }}");
    scene.runbook_on("{ context: prod, namespace: shop }", &identity, change);
    _ = scene.run().exits(0).says(UID);
    let before = scene.kubernetes.writes().len();
    scene.runbook_on("{ context: drill, namespace: shop }", &identity, change);
    let output = scene.run().exits(9).says(UID);
    let own = scene.kubernetes.kubectl("get namespace kube-system --context drill -o jsonpath={.metadata.uid}").stdout;
    assert!(!own.is_empty() && own != UID && output.all().contains(&own), "{output}");
    assert_eq!(scene.kubernetes.writes().len(), before);
    // A cluster that does not answer is not proven, and nothing is changed.
    let fault = json!({ "fault": { "path": "/api/v1/namespaces/kube-system", "status": 403, "times": 100 } });
    scene.kubernetes.control(&fault);
    scene.runbook_on("{ context: prod, namespace: shop }", &identity, change);
    let output = scene.run();
    assert_ne!(output.code, 0, "{output}");
    assert_eq!(scene.kubernetes.writes().len(), before);
}

#[test]
fn the_address_of_the_server_must_be_allowed() {
    let scene = Scene::new();
    let look = "\nsteps:\n  - { id: look, validate: Look, kubectl: [get, pods] }\n";
    scene.runbook_on("{ context: prod, namespace: shop }", ", allow: loopback", look);
    _ = scene.run().exits(0);
    scene.kubernetes.control(&json!({ "clear_requests": true }));
    scene.runbook_on("{ context: prod, namespace: shop }", ", allow: [private, api.example.com]", look);
    let output = scene.run().exits(1);
    assert_eq!(scene.attempt("look")["error"], "address", "{output}");
    // So it is for everything that asks kubectl.
    let others = "
steps:
  - { id: lines, diagnose: Lines, target: shop, log: { kubectl: { selector: app=shop } } }
  - { id: state, diagnose: State, target: shop, service: { status: shop } }
";
    scene.runbook_on("{ context: prod, namespace: shop }", ", allow: private", others);
    let output = scene.run();
    for id in ["lines", "state"] {
        assert_eq!(scene.attempt(id)["error"], "address", "{id}: {output}");
    }
    assert!(scene.kubernetes.requests().is_empty());
}

#[test]
fn another_client_takes_its_place() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::new();
    let oc = scene.sandbox.write("bin/oc", "#!/bin/sh\necho \"$0 $*\" >&2\nexec kubectl \"$@\"\n");
    std::fs::set_permissions(&oc, std::fs::Permissions::from_mode(0o755)).expect("a program");
    let look = "\nsteps:\n  - { id: look, validate: Look, kubectl: [get, pods], expect: \"'bin/oc get pods --context=prod' in stderr\" }\n";
    scene.runbook_on("{ context: prod, namespace: shop, program: oc }", "", look);
    let mut command = scene.sandbox.command(["run", "./case.yaml", "--env", "free"]);
    let path = format!("{}:{}", scene.sandbox.path("bin").display(), std::env::var("PATH").expect("PATH"));
    _ = finish(command.env("PATH", path)).exits(0);
}

#[test]
fn a_probe_reads_and_changes_nothing() {
    let scene = Scene::with_shop();
    scene.runbook(
        "steps:
  - { id: look, validate: Look, kubectl: [get, deployment, shop] }
  - { id: restart, remediate: Restart, irreversible: No., kubectl: [rollout, restart, deployment/shop] }
  - { id: out, validate: It is out, kubectl: [rollout, status, deployment/shop] }
",
    );
    _ = scene.sandbox.call(["probe", "./case.yaml", "--env", "free"]).exits(0);
    assert!(scene.kubernetes.writes().is_empty());
}
