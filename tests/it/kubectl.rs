//! Calls of the stock kubectl through the whole program, against a small Kubernetes API of our own.

mod changes;
mod places;

use crate::support::{Kubernetes, Output, Sandbox, example};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A library with an environment in which nothing asks, and two clusters.
struct Scene {
    sandbox: Sandbox,
    kubernetes: Kubernetes,
}

const UID: &str = "11111111-2222-3333-4444-555555555555";

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let gates = "{ low: pass, medium: pass, high: pass, irreversible: pass }";
        let _ = sandbox.write(
            "runwright.yaml",
            &format!("library: test\nenvironments:\n  free: {{ production: false, gates: {gates} }}\n  prod: {{}}\n"),
        );
        let kubernetes = Kubernetes::with(&["--uid", UID]);
        for namespace in ["shop", "other"] {
            _ = kubernetes.kubectl(&format!("create namespace {namespace}")).exits(0);
        }
        kubernetes.control(&json!({ "clear_requests": true }));
        Self { sandbox, kubernetes }
    }

    /// A scene with a deployment `shop` of two pods, ready.
    fn with_shop() -> Self {
        let scene = Self::new();
        let deployment = "create deployment shop --image=shop:1 --replicas=2 -n shop";
        _ = scene.kubernetes.kubectl(deployment).exits(0);
        _ = scene.kubernetes.kubectl("rollout status deployment/shop -n shop").exits(0);
        scene.kubernetes.control(&json!({ "clear_requests": true }));
        scene
    }

    fn runbook(&self, rest: &str) {
        self.runbook_on("{ context: prod, namespace: shop }", "", rest);
    }

    /// Writes a runbook whose target `shop` is this, with more keys beside it.
    fn runbook_on(&self, place: &str, more: &str, rest: &str) {
        let file = self.kubernetes.kubeconfig().display().to_string();
        let place = place.replace(" }", &format!(", kubeconfig: {file} }}"));
        let rest = rest.trim_start_matches('\n');
        let head = format!("targets:\n  shop: {{ kubernetes: {place}{more} }}\n");
        _ = self.sandbox.runbook("case", &format!("{head}{rest}"));
    }

    fn run(&self) -> Output {
        let output = self.sandbox.call(["run", "./case.yaml", "--env", "free"]);
        self.sandbox.leaves_nothing_behind();
        output
    }

    /// Runs these steps.
    fn steps(&self, steps: &str) -> Output {
        self.runbook(&format!("steps:\n{}", steps.trim_start_matches('\n')));
        self.run()
    }

    /// The step of the last run, as `show` has it.
    #[track_caller]
    fn step(&self, id: &str) -> Value {
        let show = self.sandbox.call(["show", "last", "--format", "json"]).exits(0).json();
        let steps = show["steps"].as_array().expect("steps");
        steps.iter().find(|step| step["step"] == id).unwrap_or_else(|| panic!("no step {id}: {show:#}")).clone()
    }

    /// The events of the last run.
    fn events(&self) -> Vec<Value> {
        let runs = self.sandbox.runs().into_iter().map(|run| Sandbox::events(&run));
        runs.max_by_key(|events| events[0]["time"].to_string()).expect("a run")
    }

    /// The last attempt of a step, as the transcript has it.
    #[track_caller]
    fn attempt(&self, path: &str) -> Value {
        let ends = self.events().into_iter().filter(|event| event["step"] == path).map(|event| event["event"].clone());
        let mut own = ends.filter(|event| event["kind"] == "attempt_ended");
        own.next_back().unwrap_or_else(|| panic!("no attempt at {path}"))
    }
}

/// Starts a call that was changed, and waits for it.
fn finish(command: &mut std::process::Command) -> Output {
    Output::new("runwright".to_owned(), &command.output().expect("the program starts"))
}

#[test]
fn what_is_read_is_typed() {
    let scene = Scene::with_shop();
    let output = scene.steps(
        r#"
  - id: pods
    validate: Two pods
    kubectl: [get, pods, -l, app=shop, -o, json]
    capture: { ready: "json['items'] | selectattr('status.phase', 'eq', 'Running') | list | length" }
    expect: ["json.kind == 'List'", "json['items'] | length == 2", ready == 2]
  - id: names
    validate: Their names
    kubectl: [get, pods, -o, name]
    expect: [lines | length == 2, "'pod/shop-' in lines[0]"]
  - id: text
    validate: Text stays text
    kubectl: [get, deployment, shop]
    expect: ["'2/2' in stdout", exit == 0, elapsed > 0]
"#,
    );
    _ = output.exits(0).says("RESOLVED");
    assert!(scene.kubernetes.writes().is_empty());
}

#[test]
fn a_plan_starts_nothing_and_shows_the_whole_call() {
    let scene = Scene::new();
    scene.runbook(
        "steps:
  - id: apply
    remediate: Roll out
    irreversible: It is nothing.
    verify: { kubectl: [get, pods], expect: exit == 0 }
    kubectl: [apply]
    manifest: { apiVersion: v1, kind: ConfigMap, metadata: { name: x }, data: { a: b } }
  - id: inside
    validate: Inside
    kubectl: [exec, shop, --, ls, -n]
  - { id: backup, remediate: Back up, irreversible: No., kubectl: [create, job, --from=cronjob/backup] }
",
    );
    let plan = scene.sandbox.call(["plan", "./case.yaml"]).exits(0);
    let file = scene.kubernetes.kubeconfig().display().to_string();
    let whole = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        format!("kubectl apply -f - --context=prod --namespace=shop --kubeconfig={file}"),
        format!("kubectl exec shop --context=prod --namespace=shop --kubeconfig={file} -- ls -n"),
        format!(
            "kubectl create job --from=cronjob/backup ‹run.id› --context=prod --namespace=shop --kubeconfig={file}"
        ),
    ] {
        assert!(whole.contains(&line), "{line}\n{plan}");
    }
    assert!(scene.kubernetes.requests().is_empty());
}

#[test]
fn every_no_has_its_class() {
    let scene = Scene::with_shop();
    let file = scene.kubernetes.kubeconfig().display().to_string();
    let dead = scene.sandbox.write(
        "dead.yaml",
        r#"{ "apiVersion": "v1", "kind": "Config",
            "clusters": [{ "name": "a", "cluster": { "server": "http://127.0.0.1:1" } },
                         { "name": "b", "cluster": { "server": "http://no-such-host.invalid" } }],
            "users": [{ "name": "u", "user": {} }],
            "contexts": [{ "name": "dead", "context": { "cluster": "a", "user": "u" } },
                         { "name": "lost", "context": { "cluster": "b", "user": "u" } }] }"#,
    );
    let body = format!(
        "targets:
  shop: {{ kubernetes: {{ context: prod, namespace: shop, kubeconfig: {file} }} }}
  viewer: {{ kubernetes: {{ context: viewer, namespace: shop, kubeconfig: {file} }} }}
  nowhere: {{ kubernetes: {{ context: no-such-context, kubeconfig: {file} }} }}
  dead: {{ kubernetes: {{ context: dead, kubeconfig: {dead} }} }}
  lost: {{ kubernetes: {{ context: lost, kubeconfig: {dead} }} }}
  blank: {{ kubernetes: {{ context: prod, kubeconfig: /nowhere/config }} }}
steps:
  - {{ id: not_found, diagnose: a, target: shop, kubectl: [get, pod, nobody], tolerate: not_found }}
  - {{ id: no_kind, diagnose: b, target: shop, kubectl: [get, frobs], tolerate: not_found }}
  - {{ id: denied, diagnose: c, target: viewer, kubectl: [get, secrets], tolerate: denied }}
  - {{ id: bad_value, diagnose: d, target: nowhere, kubectl: [get, pods], tolerate: bad_value }}
  - {{ id: refused, diagnose: e, target: dead, kubectl: [get, pods], tolerate: refused }}
  - {{ id: dns, diagnose: f, target: lost, kubectl: [get, pods], tolerate: dns }}
  - {{ id: no_file, diagnose: g, target: blank, kubectl: [get, pods], tolerate: bad_value }}
  - {{ id: flag, diagnose: h, target: shop, kubectl: [get, pods, --frob], tolerate: bad_value }}
",
        dead = dead.display()
    );
    _ = scene.sandbox.runbook("case", &body);
    let output = scene.run().exits(0);
    let rows = [
        ("not_found", "not_found", "pods \"nobody\" not found"),
        ("no_kind", "not_found", "doesn't have a resource type"),
        ("denied", "denied", "cannot list resource"),
        ("bad_value", "bad_value", "`no-such-context` is not there"),
        ("refused", "refused", "was refused"),
        ("dns", "dns", "no such host"),
        ("no_file", "bad_value", "/nowhere/config"),
        ("flag", "bad_value", "--frob"),
    ];
    for (id, class, words) in rows {
        let attempt = scene.attempt(id);
        assert_eq!(attempt["error"], class, "{id}: {attempt:#}\n{output}");
        assert!(attempt["message"].as_str().unwrap_or_default().contains(words), "{id}: {attempt:#}");
    }
}

#[test]
fn may_i_is_a_question_with_three_answers() {
    let scene = Scene::with_shop();
    scene.runbook_on(
        "{ context: viewer, namespace: shop }",
        "",
        r"
steps:
  - { id: can, diagnose: See?, kubectl: [auth, can-i, list, pods] }
  - { id: cannot, diagnose: Delete?, kubectl: [auth, can-i, delete, pods] }
  - { id: quiet, diagnose: Quietly?, kubectl: [auth, can-i, delete, pods, --quiet] }
  - { id: unheard, diagnose: Of what?, kubectl: [auth, can-i, delete, frobs.example.com] }
  - validate: Each as it is
    assert: [can.allowed, can.exit == 0, not cannot.allowed, cannot.exit == 1, not quiet.allowed]
  - { id: tell, validate: Nobody can tell, assert: not unheard.allowed }
",
    );
    let output = scene.run().exits(1).says("`no` proves nothing");
    assert_eq!(scene.step("tell")["verdict"], "cannot_tell", "{output}");
    // An error ends with 1 as well, and is no "no".
    let fault = json!({ "fault": { "path": "/apis/authorization.k8s.io/*", "status": 500, "times": 100 } });
    scene.kubernetes.control(&fault);
    let output =
        scene.steps("  - { id: may, validate: May I?, kubectl: [auth, can-i, list, pods], expect: not allowed }\n");
    _ = output.exits(1).says("bad_answer");
}

#[test]
fn values_stay_values() {
    let scene = Scene::with_shop();
    let hostile = [
        ("; touch pwned", true),
        ("$(touch pwned)", true),
        ("a b", true),
        ("-A", false),
        ("--context=drill", false),
        ("--kubeconfig=/evil", false),
    ];
    for (value, is_sent) in hostile {
        let file = scene.kubernetes.kubeconfig().display().to_string();
        let body = format!(
            "targets: {{ shop: {{ kubernetes: {{ context: prod, namespace: shop, kubeconfig: {file} }} }} }}
inputs: {{ name: {{ type: string }} }}
steps:
  - {{ id: look, diagnose: Look, kubectl: [get, pod, \"{{{{ name }}}}\"] }}
  - {{ id: flag, diagnose: Look, kubectl: [get, pod, \"--{{{{ name }}}}\"] }}
"
        );
        _ = scene.sandbox.runbook("case", &body);
        let given = format!("name={value}");
        let output = scene.sandbox.call(["run", "./case.yaml", "--env", "free", "-i", &given]);
        let attempted = |id: &str| {
            scene.events().iter().any(|event| event["event"]["kind"] == "attempt_started" && event["step"] == id)
        };
        assert_eq!(attempted("look"), is_sent, "{value}: {output}");
        assert!(!scene.sandbox.path("pwned").exists());
    }
    // What is written as a flag cannot become another cluster either.
    let file = scene.kubernetes.kubeconfig().display().to_string();
    for value in
        ["context=drill", "namespace=other", "server=http://127.0.0.1:1", "kube_config=/evil", "as=a --token=b"]
    {
        let body = format!(
            "targets: {{ shop: {{ kubernetes: {{ context: prod, namespace: shop, kubeconfig: {file} }} }} }}
inputs: {{ flag: {{ type: string }} }}
steps: [{{ id: look, diagnose: Look, kubectl: [get, pods, \"--{{{{ flag }}}}\"] }}]
"
        );
        _ = scene.sandbox.runbook("case", &body);
        let output = scene.sandbox.call(["run", "./case.yaml", "--env", "free", "-i", &format!("flag={value}")]);
        assert_ne!(output.code, 0, "{value}: {output}");
        assert_eq!(scene.step("look")["outcome"], "failed", "{value}");
    }
    assert!(scene.kubernetes.drill_requests().is_empty());
}

#[test]
fn waiting_ends_with_kubectls_own_words() {
    let scene = Scene::with_shop();
    scene.kubernetes.control(&json!({ "stuck": { "namespace": "shop" } }));
    let output = scene.steps(
        r"
  - { id: restart, remediate: Restart, irreversible: No., kubectl: [rollout, restart, deployment/shop] }
  - { id: out, validate: It is out, timeout: 8s, kubectl: [rollout, status, deployment/shop] }
  - { id: gone, validate: It is gone, timeout: 4s, kubectl: [wait, deployment/shop, --for=delete] }
",
    );
    _ = output.exits(1);
    for id in ["out", "gone"] {
        let attempt = scene.attempt(id);
        assert_eq!(attempt["error"], "timeout", "{attempt:#}");
        assert_eq!(attempt["outcome"], "timed_out", "{attempt:#}");
        assert!(attempt["message"].as_str().unwrap_or_default().contains("timed out waiting"), "{attempt:#}");
    }
    scene.kubernetes.control(&json!({ "release": true }));
    _ = scene
        .steps("  - { id: out, validate: It is out, timeout: 60s, kubectl: [rollout, status, deployment/shop] }\n")
        .exits(0);
}

#[test]
fn a_server_that_misbehaves_gives_a_clear_end() {
    let rows = [
        (json!({ "hang": true, "times": 1000 }), "timeout"),
        (json!({ "status": 500, "times": 1000 }), "bad_answer"),
        (json!({ "garbage": true, "times": 1000 }), "bad_answer"),
        (json!({ "cut": true, "times": 1000 }), ""),
        (json!({ "status": 401, "times": 1000 }), "denied"),
        (json!({ "status": 503, "times": 1000 }), ""),
    ];
    for (fault, class) in rows {
        let scene = Scene::new();
        scene.kubernetes.control(&json!({ "fault": fault }));
        let began = Instant::now();
        let output = scene.steps("  - { id: look, validate: Look, timeout: 4s, kubectl: [get, pods] }\n").exits(1);
        assert!(began.elapsed() < Duration::from_secs(25), "{fault}: {output}");
        let attempt = scene.attempt("look");
        let error = attempt["error"].as_str().unwrap_or_default();
        assert!(!error.is_empty() && (class.is_empty() || error == class), "{fault}: {attempt:#}");
        assert_eq!(scene.step("look")["verdict"], "cannot_tell", "{fault}");
    }
}

#[test]
fn a_call_dies_with_its_step() {
    let scene = Scene::with_shop();
    let output = scene.steps(
        "  - { id: watch, diagnose: Watch, timeout: 2s, kubectl: [get, pods, -w, -o, name], tolerate: timeout }\n",
    );
    _ = output.exits(0);
    // What came before is there.
    let attempt = scene.attempt("watch");
    assert!(attempt["fields"]["stdout"].to_string().contains("pod/shop-"), "{attempt:#}");
}

#[test]
fn a_program_in_a_pod_answers_for_itself() {
    let scene = Scene::with_shop();
    let program =
        json!({ "pod": "shop-*", "command": ["psql"], "stdout": "1 row\n", "stderr": "no such table\n", "exit": 3 });
    scene.kubernetes.control(&json!({ "exec": program }));
    let output = scene.steps(
        r#"
  - id: said
    validate: It says what it was told
    kubectl: [exec, deployment/shop, --, echo, --context=evil, a b]
    expect: "lines[0] == '--context=evil a b'"
  - id: fed
    validate: It reads what it is given
    kubectl: [exec, -i, deployment/shop, --, cat]
    stdin: one line
    expect: "'one line' in stdout"
  - { id: three, diagnose: It ends with 3, kubectl: [exec, deployment/shop, --, psql], tolerate: exit_3 }
  - { id: there, diagnose: Nobody is there, kubectl: [exec, deployment/nobody, --, psql], tolerate: not_found }
"#,
    );
    _ = output.exits(0);
    assert_eq!(scene.attempt("three")["error"], json!({ "exit": 3 }));
    let message = scene.attempt("three")["message"].to_string();
    assert!(message.contains("the command in the pod ended with exit code 3: no such table"), "{message}");
}

#[test]
fn the_example_of_the_language_reference_runs() {
    let scene = Scene::new();
    _ = scene.sandbox.write("kubectl-example.yaml", &example("kubectl-example"));
    // Its target names no file: the client's own is the one below HOME.
    let home = scene.sandbox.folder().with_file_name("home").join(".kube");
    std::fs::create_dir_all(&home).expect("a folder");
    _ = std::fs::copy(scene.kubernetes.kubeconfig(), home.join("config")).expect("a file");
    let output = scene.sandbox.call(["run", "./kubectl-example.yaml", "--env", "free", "-i", &format!("uid={UID}")]);
    _ = output.exits(0).says("RESOLVED");
}
