//! Changes: what is shown before them, and what is known after them.

use super::{Scene, finish};
use crate::support::Terminal;
use base64::Engine as _;
use serde_json::json;

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
  - {{ id: before, validate: It differs, kubectl: [diff], manifest: {CONFIG}, expect: [differs, exit == 1, \"'colour: red' in diff\", \"'/tmp' not in diff\"] }}
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
