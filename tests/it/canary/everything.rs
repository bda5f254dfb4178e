//! A secret goes through every mechanism, and through what goes wrong there.

use super::server;
use crate::support::{CANARY, Canary, Cluster, Kubernetes, PASSWORD, Services, Sshd, free_address};
use serde_json::json;
use std::fmt::Write as _;

const TOKEN: &str = "inputs:\n  token: { type: string, secret: true, from: { env: CANARY } }\n";

/// A step that failed or cannot tell is part of it: the run goes on.
fn steps(list: &[(&str, &str)]) -> String {
    let mut text = "steps:\n".to_owned();
    for (place, (kind, body)) in list.iter().enumerate() {
        let extra = if *kind == "remediate" { ", risk: low, irreversible: A test." } else { "" };
        writeln!(text, "  - {{ id: s{place}, {kind}: Step {place}, {body}{extra}, on_failure: continue }}").unwrap();
    }
    text
}

#[test]
fn databases() {
    let canary = Canary::new();
    let database = Cluster::shared().database();
    let targets = format!(
        "  password: {{ type: string, secret: true, from: {{ env: DB_PASSWORD }} }}\ntargets:\n  db: {{ postgres: \
         \"{url}\", auth: {{ password: \"{{{{ password }}}}\" }} }}\n  wrong: {{ postgres: \"{url}\", auth: {{ password: \
         \"{{{{ token }}}}\" }} }}\n",
        url = database.url()
    );
    let list = steps(&[
        ("remediate", "target: db, sql: 'create table t (v text, w text unique)'"),
        ("remediate", "target: db, sql: 'insert into t values ({{ token }}, {{ token }}) returning v'"),
        // The server's words quote the value, in a message, a detail and a context.
        ("remediate", "target: db, sql: 'insert into t values ({{ token }}, {{ token }})'"),
        ("diagnose", "target: db, sql: 'select ({{ token }}::text)::int'"),
        ("diagnose", "target: db, sql: 'select v, convert_to(v, $$UTF8$$) as b, to_json(v) as j from t', show: [rows]"),
        ("diagnose", "target: db, sql: 'select v from t', expect: first.v == 5"),
        ("diagnose", "target: db, sql: \"do $$ begin raise exception 'no: %', (select v from t); end $$\""),
        (
            "diagnose",
            "target: db, sql: 'select v from t', capture: { k: { value: first.v, secret: true } }, show: [rows]",
        ),
        ("diagnose", "target: wrong, sql: 'select 1'"),
    ]);
    _ = canary.sandbox.runbook("case", &format!("{TOKEN}{targets}{list}"));
    let output = canary.finish(canary.command(&["run", "case", "--env", "free"]).env("DB_PASSWORD", PASSWORD));
    assert!(!canary.sandbox.runs().is_empty(), "{output}");
    canary.is_nowhere();
    assert!(output.all().contains("‹secret token›"), "{output}");
}

#[test]
fn servers_and_those_that_are_not_there() {
    let canary = Canary::new();
    let (url, closed) = (server(), format!("http://{}", free_address()));
    let targets = format!(
        r#"targets:
  up: {{ http: "{url}", allow: [loopback], auth: {{ bearer: "{{{{ token }}}}" }} }}
  down: {{ http: "{closed}", allow: [loopback], auth: {{ bearer: "{{{{ token }}}}" }}, headers: {{ X-K: "{{{{ token }}}}" }} }}
  tls: {{ http: "{tls}", allow: [loopback], auth: {{ user: u, password: "{{{{ token }}}}" }} }}
  far: {{ http: "{url}", auth: {{ bearer: "{{{{ token }}}}" }} }}
  prom: {{ prometheus: "{url}", allow: [loopback], auth: {{ bearer: "{{{{ token }}}}" }} }}
  proven: {{ http: "{url}", allow: [loopback], auth: {{ bearer: "{{{{ token }}}}" }}, identity: {{ get: /echo, read: body.raw, expect: "body.raw == 'another'" }} }}
"#,
        tls = url.replace("http:", "https:")
    );
    let list = steps(&[
        ("diagnose", "target: down, http: { get: /x }"),
        ("diagnose", "target: tls, http: { get: /x }"),
        ("diagnose", "target: far, http: { get: /x }"),
        ("diagnose", "target: up, http: { get: /slow }, timeout: 300ms"),
        ("diagnose", "target: up, http: { get: /cut }"),
        ("diagnose", "target: up, http: { get: /error }"),
        ("diagnose", "target: up, http: { get: /redirect }"),
        ("diagnose", "target: up, http: { get: /echo }, expect: body.raw == 5, show: [headers]"),
        ("diagnose", "target: up, http: { get: /pages, pages: { items: body.raw, next: body.url } }"),
        ("remediate", "target: up, http: { post: /error, form: { t: '{{ token }}' } }"),
        ("diagnose", "target: prom, prometheus: up"),
        ("diagnose", "target: prom, prometheus: { query: up, range: 1m, step: 10s }"),
        ("diagnose", "target: proven, http: { get: /echo }"),
    ]);
    // What a target says that it is goes on record, and it may say a secret.
    let output = canary.runs(&format!("{TOKEN}{targets}{list}"));
    assert!(output.all().contains("‹secret token›"), "{output}");
}

#[test]
fn clusters() {
    let canary = Canary::new();
    let kubernetes = Kubernetes::start();
    _ = kubernetes.kubectl("create namespace shop").exits(0);
    let targets = format!(
        "targets:\n  shop: {{ kubernetes: {{ context: prod, namespace: shop, kubeconfig: {} }} }}\n",
        kubernetes.kubeconfig().display()
    );
    let object = "kind: Secret, apiVersion: v1, metadata: { name: key }";
    let list = [
        format!("kubectl: [apply], manifest: {{ {object}, stringData: {{ key: '{{{{ token }}}}' }} }}"),
        "kubectl: [annotate, secret, key, note=one]".to_owned(),
        // A name that is none: the client's words hold the document.
        "kubectl: [apply], manifest: { kind: Secret, apiVersion: v1, metadata: { name: '{{ token }}' } }".to_owned(),
        "kubectl: [apply], manifest: { kind: '{{ token }}', apiVersion: v1, metadata: { name: a } }".to_owned(),
        "kubectl: [create], manifest: { kind: ConfigMap, apiVersion: v1, metadata: { name: b }, data: { a: '{{ token \
         }}' } }"
            .to_owned(),
        "kubectl: [create], manifest: { kind: ConfigMap, apiVersion: v1, metadata: { name: b }, data: { a: '{{ token \
         }}' } }"
            .to_owned(),
    ];
    let mut all: Vec<(&str, &str)> = list.iter().map(|body| ("remediate", body.as_str())).collect();
    all.push(("diagnose", "kubectl: [get, secret, key, -o, json], show: [stdout]"));
    all.push(("diagnose", "kubectl: [get, configmap, b, -o, yaml], show: [stdout], expect: stdout | json == 5"));
    all.push((
        "diagnose",
        "kubectl: [get, configmap, b, -o, json], capture: { k: { value: json.data.a, secret: true } }, show: [stdout]",
    ));
    let output = canary.runs(&format!("{TOKEN}{targets}{}", steps(&all)));
    assert!(output.all().contains("‹secret token›"), "{output}");
}

#[test]
fn logs_services_and_files() {
    let canary = Canary::new();
    let services = Services::new(&canary.sandbox);
    services.unit("app", "ExecStart=sleep 300\n");
    let folder = canary.sandbox.folder().display().to_string();
    _ = canary.sandbox.write("app.log", &format!("one {CANARY}\ntwo ERROR {CANARY} {}\n", json!(CANARY)));
    for name in ["a.json", "a.toml", "a.yaml.txt", "a.ini", "a.env"] {
        _ = canary.sandbox.write(name, if name == "a.json" { "{}\n" } else { "" });
    }
    let edit = |file: &str, format: &str, path: &str| {
        format!("edit: {{ file: {folder}/{file}, format: {format}, set: {{ {path}: '{{{{ token }}}}' }} }}")
    };
    let edits = [
        edit("a.json", "json", "a"),
        edit("a.toml", "toml", "a"),
        edit("a.yaml.txt", "yaml", "a"),
        edit("a.ini", "ini", "s.a"),
        edit("a.env", "env", "A"),
        edit("no/such.json", "json", "a"),
        format!("write: {{ file: {folder}/own, text: \"{{{{ token }}}}\\n\" }}"),
        format!("write: {{ file: {folder}/own, text: 'gone' }}"),
        format!("write: {{ file: {folder}/no/such, text: '{{{{ token }}}}' }}"),
        "service: { restart: app }".to_owned(),
    ];
    let mut all: Vec<(&str, &str)> = edits.iter().map(|body| ("remediate", body.as_str())).collect();
    let log = format!("log: {{ file: {folder}/app.log, include: ERROR }}");
    let (shown, clash) = (format!("{log}, show: [lines, first]"), format!("{log}, expect: (first | json) == 5"));
    let found = format!("{log}, capture: {{ k: {{ value: '(first | split)[2]', secret: true }} }}, show: [lines]");
    all.extend([("diagnose", shown.as_str()), ("diagnose", &clash), ("diagnose", &found)]);
    all.push(("diagnose", "service: { status: app }"));
    let output = canary.runs(&format!("{TOKEN}{}", steps(&all)));
    assert!(output.all().contains("‹secret token›"), "{output}");
    assert_eq!(std::fs::read_to_string(canary.sandbox.path("a.env")).unwrap().matches("c4nary").count(), 1);
}

#[test]
fn other_machines() {
    let canary = Canary::new();
    let sshd = Sshd::start();
    let target = format!("targets:\n{}", sshd.target("web"));
    let folder = canary.sandbox.folder().display().to_string();
    let write = format!("target: web, write: {{ file: {folder}/there, text: '{{{{ token }}}}' }}");
    let list = steps(&[
        (
            "diagnose",
            "target: web, env: { T: '{{ token }}' }, shell: 'echo \"$T\"; echo \"$T\" >&2; exit 3', show: [stdout]",
        ),
        ("diagnose", "target: web, stdin: '{{ token }}', run: [cat], capture: { back: stdout }, show: [back]"),
        ("diagnose", "target: web, env: { T: '{{ token }}' }, shell: 'echo \"$T\" >&2; kill -SEGV $$'"),
        ("diagnose", "target: web, env: { T: '{{ token }}' }, shell: 'echo \"$T\"; sleep 60', timeout: 1s"),
        ("diagnose", "target: web, stdin: '{{ token }}', run: [no-such-program]"),
        ("remediate", &write),
        (
            "diagnose",
            "target: web, env: { T: '{{ token }}' }, shell: 'echo \"$T\"', capture: { k: { value: 'stdout | trim', secret: true } }",
        ),
    ]);
    let output = canary.runs(&format!("{TOKEN}{target}{list}"));
    assert!(output.all().contains("‹secret token›"), "{output}");
    canary.is_not_in("what the other machine wrote down", sshd.log().as_bytes());
}

/// A runbook that is called, with a secret for an input and one among its outputs.
const CALLEE: &str = r#"
inputs:
  given: { type: string, secret: true }
steps:
  - { id: says, diagnose: It says it, stdin: "{{ given }}", run: [cat], show: [stdout] }
  - id: finds
    diagnose: It finds one
    stdin: "{{ given }}"
    run: [cat]
    capture: { k: { value: stdout, secret: true } }
finally:
  - { id: ends, diagnose: It ends, stdin: "{{ given }}", run: [cat] }
outputs: { key: finds.k, text: says.stdout }
"#;

const FLOW: &str = r#"
steps:
  - id: called
    diagnose: Another runbook
    runbook: { name: callee, inputs: { given: "{{ token }}" } }
  - id: outputs
    diagnose: Its outputs
    set: { k: called.key, t: called.text }
  - id: tunnel
    diagnose: A process beside the steps
    env: { T: "{{ token }}" }
    shell: echo "$T"; echo "$T" >&2; exec sleep 300
    background: true
    ready: { env: { T: "{{ token }}" }, shell: "echo \"$T\"", expect: "'c4nary' in stdout" }
  - id: watch
    validate: It is watched
    stdin: "{{ token }}"
    run: [cat]
    hold: { for: 200ms, every: 100ms, while: "stdout | length > 0" }
    capture: { back: stdout }
  - id: poll
    validate: It is polled
    stdin: "{{ token }}"
    run: [cat]
    until: { within: 300ms, every: 100ms, expect: (stdout | json) == 5 }
    on_failure: continue
  - id: temporary
    remediate: For a while
    risk: low
    stdin: "{{ token }}"
    run: [tee, FOLDER/temporary]
    temporary: true
    preview: { stdin: "{{ token }}", run: [cat] }
    verify: { stdin: "{{ token }}", run: [cat], expect: "stdout | length > 5" }
    undo: { stdin: "{{ token }}", shell: "cat; rm FOLDER/temporary", verify: { stdin: "{{ token }}", run: [cat], expect: exit == 0 } }
  - id: list
    remediate: A list of them
    risk: low
    for_each: "[outputs.t]"
    stdin: "{{ token }}"
    run: [cat]
    undo: { stdin: "{{ token }}", run: [cat] }
    on_failure: continue
  - id: rows
    diagnose: Items that hold it
    for_each: "[outputs.t, outputs.t ~ 'x']"
    stdin: "{{ item }}"
    run: [cat]
    show: [stdout]
  - id: argument
    diagnose: It does not go into argv by another way
    run: [echo, "{{ outputs.t }}"]
    on_failure: continue
  - id: choice
    decide: By what stands there
    show: [outputs.t]
    options:
      one: { when: "outputs.t | length > 3", set: { got: outputs.t } }
      two: { when: "outputs.t == ''" }
  - id: by_hand
    diagnose: A person
    manual: "Look at {{ outputs.t }}, {{ choice.got }}"
  - id: asked
    diagnose: A question
    ask: { question: "What of {{ outputs.t }}?", default: "{{ outputs.t }}" }
finally:
  - { id: last, diagnose: It ends, stdin: "{{ token }}", run: [cat], show: [stdout] }
"#;

#[test]
fn every_way_through_a_runbook() {
    let canary = Canary::new();
    _ = canary.sandbox.runbook("callee", CALLEE);
    let folder = canary.sandbox.folder().display().to_string();
    _ = canary.sandbox.runbook("case", &format!("{TOKEN}{}", FLOW.trim_start().replace("FOLDER", &folder)));
    for words in [&["plan", "case"][..], &["plan", "case", "--out", "plan.json"], &["probe", "case"]] {
        let output = canary.call(&[words, &["--env", "free"]].concat());
        assert!(output.code < 2, "{output}");
    }
    let plan = std::fs::read(canary.sandbox.path("plan.json")).unwrap();
    canary.is_not_in("the plan", &plan);
    // It parks at what a person is to do.
    _ = canary.call(&["run", "case", "--env", "free"]).exits(5).says("‹secret token›");
    canary.is_nowhere();
    let answers = canary.sandbox.write("answers.txt", "by_hand: done\n").display().to_string();
    _ = canary.call(&["run", "case", "--env", "free", "--answers", &answers]).exits(5);
    _ = canary.call(&["answer", "last", "asked", "answer=here"]);
    canary.is_nowhere();
    canary.sandbox.leaves_nothing_behind();
}

#[test]
fn no_cut_goes_through_a_secret() {
    let canary = Canary::new();
    // Wherever a text is cut for people, the secret lies across the cut: at its end, and at its beginning.
    let mut ends: Vec<usize> = Vec::new();
    for cut in [20_usize, 40, 60, 120, 160, 400, 2048, 4096, 65536] {
        ends.extend([30_usize, 21, 12, 3].into_iter().filter_map(|before| cut.checked_sub(before)));
    }
    let ends: Vec<String> = ends.iter().map(ToString::to_string).collect();
    let list = ends.join(", ");
    let words = r#"env: { T: "{{ token }}", N: "{{ item }}" }"#;
    let print = r#"printf "%${N}s%s%100s" "" "$T" "" | tr ' ' x"#;
    let lines = r#"printf "%${N}s%s%100s" "" "$T" "" | tr ' ' '\n'"#;
    let steps = format!(
        r#"
steps:
  - id: said
    diagnose: The last words of a program
    for_each: "[{list}]"
    on_item_failure: continue
    at_once: 4
    {words}
    shell: |
      {print} >&2; exit 3
    on_failure: continue
  - id: tail
    diagnose: Its last words, cut at their beginning
    for_each: "[{list}]"
    on_item_failure: continue
    at_once: 4
    {words}
    shell: |
      printf "%s%${{N}}s" "$T" "" | tr " " x >&2; exit 3
    on_failure: continue
  - id: expressions
    diagnose: What an expression says
    for_each: "[{list}]"
    on_item_failure: continue
    at_once: 4
    {words}
    shell: |
      {print}
    expect: [stdout | int == 5, "(stdout | json) == 5", "stdout | duration > ('1s' | duration)", "time(stdout) < now"]
    show: [stdout, "stdout | jq('.a')", "stdout | toml", "stdout | yaml"]
    on_failure: continue
  - id: many
    diagnose: Many lines
    for_each: "[{list}]"
    on_item_failure: continue
    at_once: 4
    {words}
    shell: |
      {lines}; {lines} >&2; exit 4
    tolerate: [exit_4]
    show: [stdout, lines]
    on_failure: continue
  - id: json
    diagnose: In JSON
    for_each: "[{list}]"
    on_item_failure: continue
    at_once: 4
    {words}
    shell: |
      {print}
    capture: {{ listed: "[stdout, stdout]", mapped: "{{'a': stdout}}" }}
    expect: ["(mapped.a | json) == 5", "listed | first | json == 5"]
    show: [listed, mapped, mapped | tojson]
    on_failure: continue
"#
    );
    let output = canary.runs(&format!("{TOKEN}{}", steps.trim_start_matches('\n')));
    assert!(output.all().contains("‹secret token›"), "{output}");
}
