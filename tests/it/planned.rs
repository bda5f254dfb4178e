//! What a plan shows of acts that go elsewhere: where they go, and every line of what is sent.

use crate::support::{Output, Sandbox};

/// The plan of a runbook, whose targets are never connected to.
fn plan(rest: &str) -> Output {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", rest);
    let output = sandbox.call(["plan", "./case.yaml"]).exits(0);
    assert!(sandbox.runs().is_empty());
    output
}

const MACHINES: &str = "
targets:
  a: { ssh: root@a.example }
  b: { ssh: { host: root@b.example, port: 2222 } }
";

#[test]
fn a_step_on_several_targets_is_shown_on_the_first_and_counted_on_each() {
    let output = plan(&format!(
        "{MACHINES}steps:
  - {{ id: who, diagnose: Who, target: [a, b], run: [id, -u] }}
  - id: clean
    remediate: Clean
    target: [b, a]
    run: [rm, /tmp/x]
    irreversible: It is gone.
    verify: {{ target: \"{{{{ target }}}}\", run: [test, '!', -e, /tmp/x], expect: exit == 0 }}
"
    ));
    let output = output
        .tells("id -u on root@a.example")
        .tells("for each a, b (the first is shown)")
        .tells("rm /tmp/x on root@b.example:2222")
        .tells("verify test '!' -e /tmp/x (on root@b.example:2222) expects exit == 0")
        .tells("2 steps: 2 exact")
        .tells("would perform 1 read on a, 1 read on b and change nothing");
    assert!(!output.all().contains("REFUSED"), "{output}");
}

#[test]
fn the_steps_of_a_loop_over_targets_are_shown_for_the_first() {
    let output = plan(&format!(
        "{MACHINES}steps:
  - group: Everywhere
    for_each: \"['b', 'a']\"
    as: machine
    steps:
      - {{ id: who, diagnose: Who, target: \"{{{{ machine }}}}\", run: [id, -u] }}
"
    ));
    _ = output.tells("for each b, a (the first is shown)").tells("id -u on root@b.example:2222");
}

#[test]
fn a_log_and_a_service_elsewhere_say_where() {
    let output = plan(&format!(
        "inputs: {{ bad: {{ type: string, default: \"x\\nrm -rf /\" }} }}{MACHINES}steps:
  - {{ id: log, diagnose: Log, target: a, log: {{ file: /var/log/app.log, include: \"{{{{ bad }}}}\" }} }}
  - {{ id: state, diagnose: State, target: b, service: {{ status: app }} }}
"
    ));
    let output = output
        .tells("on root@b.example:2222")
        .says("lines that match x\\nrm")
        .tells("would perform 1 read on a, 1 read on b and change nothing");
    assert!(!output.all().lines().any(|line| line.trim_start().starts_with("rm ")), "{output}");
}

#[test]
fn a_query_says_which_prometheus_is_asked() {
    let output = plan(
        "targets:
  one: { prometheus: \"http://127.0.0.1:9/one\" }
  two: { prometheus: \"http://127.0.0.1:9/two\" }
steps:
  - { id: up, diagnose: Up, target: two, prometheus: up }
",
    );
    let output = output.tells("up on http://127.0.0.1:9/two");
    assert!(!output.all().contains("9/one"), "{output}");
}

#[test]
fn documents_are_shown_line_by_line() {
    let output = plan(
        "targets: { shop: { kubernetes: { context: prod, namespace: shop } } }
steps:
  - id: settings
    remediate: Set
    kubectl: [apply]
    manifest: { apiVersion: v1, kind: ConfigMap, metadata: { name: x }, data: { text: \"one\\ntwo\" } }
    verify: { kubectl: [get, configmap, x, -o, json], expect: json.data.text != '' }
    irreversible: It is nothing.
",
    );
    let output = output.says("\n          metadata:\n            name: x\n");
    assert!(!output.all().contains("u{a}"), "{output}");
}

#[test]
fn a_verify_and_an_undo_say_the_values_of_their_statements() {
    let output = plan(
        "inputs: { queue: { type: string, default: mail } }
targets: { db: { postgres: \"postgres://app@127.0.0.1:9/orders\" } }
steps:
  - id: release
    remediate: Put back
    sql: update jobs set state = 'waiting' where queue = {{ queue }}
    verify: { sql: \"select count(*) as n from jobs where queue = {{ queue }}\", expect: first.n == 0 }
    undo: { sql: \"update jobs set state = 'running' where queue = {{ queue }}\" }
",
    );
    _ = output
        .tells("select count(*) as n from jobs where queue = $1 ($1 = 'mail') expects first.n == 0")
        .tells("undo update jobs set state = 'running' where queue = $1 ($1 = 'mail')");
}

#[test]
fn the_only_local_target_is_proven_before_a_step_that_names_none() {
    let sandbox = Sandbox::library();
    let text = "targets: { box: { local: true, identity: { run: [echo, mine], read: stdout | trim, expect: stdout == 'other' } } }
steps:
  - { id: touch, diagnose: Touch, run: [touch, done.txt] }
";
    _ = sandbox.runbook("case", text);
    _ = sandbox.call(["run", "./case.yaml"]).exits(9).tells("`box` is mine, and that is not the target of this run");
    assert!(!sandbox.path("done.txt").exists());
}

#[test]
fn a_host_that_looks_like_an_option_is_none_in_the_line_to_paste() {
    let output = plan(
        "inputs: { host: { type: string, default: \"-oProxyCommand=id\" } }
targets: { web: { ssh: \"{{ host }}\" } }
steps:
  - { id: who, diagnose: Who, target: web, run: [id] }
",
    );
    _ = output.tells("by hand ssh -- -oProxyCommand=id id");
}
