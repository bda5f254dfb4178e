//! Calls of the stock kubectl through the whole program, against a small Kubernetes API of our own.

use crate::support::{Kubernetes, Output, Sandbox, Terminal, repository};
use base64::Engine as _;
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

const CONFIG: &str =
    "{ apiVersion: v1, kind: ConfigMap, metadata: { name: settings }, data: { colour: \"{{ colour }}\" } }";

/// A change of one document, applied.
fn apply(colour: &str) -> String {
    format!(
        "inputs: {{ colour: {{ type: string, default: \"{colour}\" }} }}
steps:
  - id: apply
    remediate: Set the colour
    kubectl: [apply]
    manifest: {CONFIG}
    undo: {{ kubectl: [delete, configmap/settings] }}
  - id: set
    validate: It is set
    kubectl: [get, configmap, settings, -o, json]
    expect: json.data.colour == colour
"
    )
}

#[test]
fn documents_are_applied_and_the_difference_is_shown_before() {
    let scene = Scene::new();
    scene.runbook(&apply("red"));
    _ = scene.run().exits(0);
    scene.runbook(&apply("green"));
    scene.kubernetes.control(&json!({ "clear_requests": true }));
    let mut terminal = Terminal::open(&scene.sandbox, &["run", "./case.yaml", "--env", "prod"]);
    terminal.sees("kind: ConfigMap").sees("-  colour: red").sees("+  colour: green").sees("go on?");
    // A look changes nothing.
    let tried = scene.kubernetes.requests();
    let writes = tried.iter().filter(|one| one["method"] == "PATCH" || one["method"] == "POST");
    for write in writes {
        assert!(write["query"].to_string().contains("dryRun"), "{write:#}");
    }
    terminal.types("y");
    _ = terminal.exits(0);
    let got = scene.kubernetes.kubectl("get configmap settings -n shop -o jsonpath={.data.colour}");
    assert_eq!(got.stdout, "green");
    // Nothing to do is said so.
    let mut terminal = Terminal::open(&scene.sandbox, &["run", "./case.yaml", "--env", "prod"]);
    terminal.sees("it would change nothing").sees("go on?").types("n").sees("why?").types("enough");
    _ = terminal.exits(4);
    scene.sandbox.is_whole();
}

#[test]
fn a_preview_that_fails_says_why() {
    let scene = Scene::new();
    scene.runbook_on("{ context: viewer, namespace: shop }", "", &apply("red"));
    let mut terminal = Terminal::open(&scene.sandbox, &["run", "./case.yaml", "--env", "prod"]);
    terminal.sees("there is no preview").sees("forbidden").sees("go on?").types("y");
    let screen = terminal.exits(7);
    assert!(screen.contains("denied"), "{screen}");
}

#[test]
fn differences_are_an_answer() {
    let scene = Scene::new();
    let steps = format!(
        "inputs: {{ colour: {{ type: string, default: red }} }}
steps:
  - {{ id: before, validate: It differs, kubectl: [diff], manifest: {CONFIG}, expect: [differs, exit == 1] }}
  - {{ id: trial, validate: A trial, kubectl: [apply, --dry-run=server], manifest: {CONFIG} }}
  - {{ id: still, validate: It still differs, kubectl: [diff], manifest: {CONFIG}, expect: differs }}
  - {{ id: apply, remediate: Apply, irreversible: No., kubectl: [apply], manifest: {CONFIG} }}
  - {{ id: after, validate: It does not, kubectl: [diff], manifest: {CONFIG}, expect: [not differs, exit == 0] }}
"
    );
    scene.runbook(&steps);
    _ = scene.run().exits(0);
    scene.kubernetes.control(&json!({ "fault": { "path": "*", "status": 500, "times": 1000 } }));
    scene.runbook(&steps);
    _ = scene.run().exits(1);
    assert_eq!(scene.step("before")["verdict"], "cannot_tell");
}

#[test]
fn a_secret_goes_in_by_standard_input_and_is_seen_nowhere() {
    const CANARY: &str = "canary-\"'\\-of-the-shop";
    let scene = Scene::new();
    let file = scene.kubernetes.kubeconfig().display().to_string();
    let body = format!(
        "targets: {{ shop: {{ kubernetes: {{ context: prod, namespace: shop, kubeconfig: {file} }} }} }}
inputs: {{ word: {{ type: string, secret: true, from: {{ env: WORD }} }} }}
steps:
  - id: apply
    remediate: Hand it over
    irreversible: No.
    kubectl: [apply]
    manifest: {{ apiVersion: v1, kind: Secret, metadata: {{ name: word }}, stringData: {{ word: \"{{{{ word }}}}\" }} }}
"
    );
    _ = scene.sandbox.runbook("case", &body);
    let mut command = scene.sandbox.command(["run", "./case.yaml", "--env", "free"]);
    let output = finish(command.env("WORD", CANARY));
    assert!(output.all().contains("‹secret word›") && !output.all().contains(CANARY), "{output}");
    let got = scene.kubernetes.kubectl("get secret word -n shop -o json").json();
    let text = got["data"]["word"].as_str().or(got["stringData"]["word"].as_str()).expect("a value").to_owned();
    let plain = base64::engine::general_purpose::STANDARD.decode(&text).unwrap_or(text.into_bytes());
    assert_eq!(String::from_utf8_lossy(&plain), CANARY);
    let run = scene.sandbox.only_run();
    let transcript = std::fs::read_to_string(run.join("transcript.jsonl")).expect("a transcript");
    assert!(!transcript.contains("of-the-shop"), "{transcript}");
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
fn each_job_has_a_name_of_its_own() {
    let scene = Scene::new();
    let cron = "create cronjob backup --image=backup --schedule=@daily -n shop";
    _ = scene.kubernetes.kubectl(cron).exits(0);
    let steps = r#"
  - { id: one, remediate: Back up, irreversible: No., kubectl: [create, job, --from=cronjob/backup] }
  - { id: two, remediate: And again, irreversible: No., kubectl: [create, job, --from=cronjob/backup] }
  - { id: own, remediate: By name, irreversible: No., kubectl: [create, job, "own-{{ run.id }}", --from=cronjob/backup] }
  - id: done
    validate: Both came to their end
    timeout: 60s
    kubectl: [wait, "job/{{ one.name }}", "job/{{ two.name }}", "job/{{ own.name }}", --for=condition=Complete]
"#;
    _ = scene.steps(steps).exits(0);
    _ = scene.steps(steps).exits(0);
    let jobs = scene.kubernetes.kubectl("get jobs -n shop -o name");
    let names: std::collections::BTreeSet<_> = jobs.stdout.lines().collect();
    assert_eq!(names.len(), 6, "{jobs}");
    assert!(names.iter().all(|name| name.len() <= "job.batch/".len() + 63), "{jobs}");
}

#[test]
fn a_job_is_not_made_twice_when_its_making_was_not_seen() {
    let scene = Scene::new();
    let cron = "create cronjob backup --image=backup --schedule=@daily -n shop";
    _ = scene.kubernetes.kubectl(cron).exits(0);
    let fault = json!({ "fault": { "path": "/apis/batch/v1/namespaces/shop/jobs", "method": "POST", "cut": true } });
    scene.kubernetes.control(&fault);
    let output = scene.steps(
        "  - { id: one, remediate: Back up, irreversible: No., kubectl: [create, job, --from=cronjob/backup] }\n",
    );
    _ = output.exits(7);
    assert_eq!(scene.step("one")["outcome"], "unknown");
    let jobs = scene.kubernetes.kubectl("get jobs -n shop -o name");
    assert_eq!(jobs.stdout.lines().count(), 1, "{jobs}");
}

#[test]
fn a_change_that_was_not_answered_is_unknown_and_one_that_was_refused_is_not() {
    let map = "/api/v1/namespaces/shop/configmaps";
    let rows = [
        // A no.
        (json!({ "path": map, "method": "POST", "status": 403 }), "failed", "denied"),
        (json!({ "path": map, "method": "POST", "status": 409 }), "failed", ""),
        // Performed, and the answer was lost.
        (json!({ "path": map, "method": "POST", "cut": true, "perform": true }), "unknown", ""),
        (json!({ "path": map, "method": "POST", "garbage": true, "perform": true }), "unknown", ""),
        (json!({ "path": map, "method": "POST", "hang": true, "perform": true }), "unknown", "timeout"),
    ];
    for (fault, outcome, class) in rows {
        let scene = Scene::new();
        scene.kubernetes.control(&json!({ "fault": fault }));
        let output = scene.steps(
            "  - id: make
    remediate: Make it
    irreversible: No.
    timeout: 5s
    kubectl: [create]
    manifest: { apiVersion: v1, kind: ConfigMap, metadata: { name: x } }
",
        );
        _ = output.exits(7);
        let attempt = scene.attempt("make");
        assert_eq!(attempt["outcome"], outcome, "{fault}: {attempt:#}");
        assert!(class.is_empty() || attempt["error"] == class, "{fault}: {attempt:#}");
    }
}

#[test]
fn what_was_done_before_an_error_is_named() {
    let scene = Scene::new();
    let output = scene.steps(
        "  - id: make
    remediate: Make two
    irreversible: No.
    kubectl: [create]
    manifest:
      - { apiVersion: v1, kind: ConfigMap, metadata: { name: x } }
      - { apiVersion: v1, kind: Namespace, metadata: { name: shop } }
  - id: again
    remediate: Make one
    irreversible: No.
    kubectl: [create, namespace, other]
",
    );
    _ = output.exits(7).says("was partly done (configmap/x created)").says("already exists");
    assert_eq!(scene.attempt("make")["outcome"], "unknown");
    let output =
        scene.steps("  - { id: again, remediate: Make one, irreversible: No., kubectl: [create, namespace, other] }\n");
    _ = output.exits(7);
    let attempt = scene.attempt("again");
    assert_eq!((&attempt["outcome"], &attempt["error"]), (&json!("failed"), &json!("already_exists")), "{attempt:#}");
}

#[test]
fn a_verify_settles_what_was_not_seen() {
    let scene = Scene::new();
    let fault = json!({ "fault": { "path": "/api/v1/namespaces/shop/configmaps", "method": "POST", "cut": true, "perform": true } });
    scene.kubernetes.control(&fault);
    let output = scene.steps(
        "  - id: make
    remediate: Make it
    irreversible: No.
    kubectl: [create, configmap, x, --from-literal=a=b]
    verify: { kubectl: [get, configmap, x, -o, json], expect: json.data.a == 'b', within: 5s }
  - { id: there, validate: It is there, kubectl: [get, configmap, x] }
",
    );
    _ = output.exits(0);
    assert_eq!(scene.step("make")["outcome"], "succeeded");
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
    assert!(scene.kubernetes.requests().is_empty());
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
fn the_example_of_the_language_reference_runs() {
    let scene = Scene::new();
    let text = std::fs::read_to_string(repository("docs/language.md")).expect("the reference");
    let start = text.find("runbook: kubectl-example").expect("the example");
    let example = &text[start..start + text[start..].find("```").expect("its end")];
    _ = scene.sandbox.write("kubectl-example.yaml", example);
    // Its target names no file: the client's own is the one below HOME.
    let home = scene.sandbox.folder().with_file_name("home").join(".kube");
    std::fs::create_dir_all(&home).expect("a folder");
    _ = std::fs::copy(scene.kubernetes.kubeconfig(), home.join("config")).expect("a file");
    let output = scene.sandbox.call(["run", "./kubectl-example.yaml", "--env", "free", "-i", &format!("uid={UID}")]);
    _ = output.exits(0).says("RESOLVED");
}
