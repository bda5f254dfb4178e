//! Queries and alerts through the whole program, against a real Prometheus.

use crate::support::{MetricsPage, Output, Prometheus, Sandbox, Server, Simulator, documented, say_json};
use serde_json::{Value, json};

const PAGE: &str = r#"
load{endpoint="/a"} 0.4
load{endpoint="/b"} 2
queue_items 7
odd{name="a\"b\\c.d"} 1
odd{name="a\"b\\cxd"} 5
"#;

/// The step of a run, as `show` has it.
#[track_caller]
fn step(sandbox: &Sandbox, id: &str) -> Value {
    let show = sandbox.call(["show", "last", "--format", "json"]).exits(0).json();
    let steps = show["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["step"] == id).unwrap_or_else(|| panic!("no step {id}: {show:#}")).clone()
}

/// Runs a runbook whose only target is that Prometheus.
fn run(sandbox: &Sandbox, prometheus: &Prometheus, more: &str, steps: &str) -> Output {
    let target = format!("targets: {{ prom: {{ prometheus: \"{}\", allow: [loopback] }} }}\n", prometheus.url);
    _ = sandbox.runbook("case", &format!("{target}{more}steps:\n{steps}"));
    let output = sandbox.call(["run", "./case.yaml"]);
    sandbox.is_whole();
    output
}

#[test]
fn numbers_series_and_nothing_are_told_apart() {
    let sandbox = Sandbox::new();
    let page = MetricsPage::new(PAGE);
    let prometheus = Prometheus::scraping(page.address);
    let steps = r#"
  - id: one
    validate: One series is a number
    prometheus: queue_items
    expect: [value == 7, count == 1, not empty, not nan, "series[0].labels.job == 'case'"]
  - id: scalar
    validate: A scalar too
    prometheus: scalar(queue_items) * 2
    expect: [value == 14, warnings | length == 0]
  - id: several
    validate: Several are none
    prometheus: load
    expect: value < 1
  - id: nothing
    validate: Nothing is no pass
    prometheus: no_such_metric
    expect: value < 1
  - id: nothing_in_a_list
    validate: Neither in a list
    prometheus: no_such_metric
    expect: series | selectattr('value', 'gt', 1) | length == 0
  - id: handled
    validate: Unless somebody says so
    prometheus: no_such_metric
    expect: empty or value < 1
  - id: nan
    validate: NaN is no pass either
    prometheus: queue_items * NaN
    expect: value < 1
  - id: nan_seen
    validate: And it is seen
    prometheus: queue_items * NaN
    expect: [nan, not empty]
  - id: most
    validate: The worst of all
    prometheus: load
    expect: series | map(attribute='value') | max < 3
"#;
    let output = run(&sandbox, &prometheus, "", steps);
    let verdicts = [
        ("one", "holds"),
        ("scalar", "holds"),
        ("several", "cannot_tell"),
        ("nothing", "cannot_tell"),
        ("nothing_in_a_list", "cannot_tell"),
        ("handled", "holds"),
        ("nan", "cannot_tell"),
        ("nan_seen", "holds"),
        ("most", "holds"),
    ];
    for (id, verdict) in verdicts {
        assert_eq!(step(&sandbox, id)["verdict"], verdict, "{id}: {output}");
    }
    _ = output
        .exits(1)
        .tells("the query returned 2 series: use `series`")
        .tells("the query returned no series")
        .tells("the sample is NaN");
    sandbox.leaves_nothing_behind();
}

#[test]
fn each_series_has_its_own_limit() {
    let sandbox = Sandbox::new();
    let page = MetricsPage::new(PAGE);
    let prometheus = Prometheus::scraping(page.address);
    let steps = r#"
  - id: within
    validate: Every endpoint is within its limit
    prometheus: load
    expect: "series | above({'/b': 2.5}, by='endpoint', otherwise=0.5) | length == 0"
  - id: beyond
    validate: One is not
    prometheus: load
    expect: "series | above({'/b': 1}, by='endpoint', otherwise=0.5) | length == 0"
    show: ["series | above({'/b': 1}, by='endpoint', otherwise=0.5)"]
  - id: missing
    validate: One is not there
    prometheus: load
    expect: "series | above({'/c': 1}, by='endpoint', otherwise=5) | length == 0"
  - id: history
    validate: Over a while too
    prometheus: { query: load, range: 2s, step: 500ms }
    until: { within: 30s, every: 500ms }
    expect:
      - "series | above({'/b': 2.5}, by='endpoint', otherwise=0.5, attribute='max') | length == 0"
      - series[0].count >= 3
"#;
    let output = run(&sandbox, &prometheus, "", steps).exits(1).tells("no series has endpoint=\"/c\"");
    for (id, verdict) in
        [("within", "holds"), ("beyond", "does_not_hold"), ("missing", "cannot_tell"), ("history", "holds")]
    {
        assert_eq!(step(&sandbox, id)["verdict"], verdict, "{id}: {output}");
    }
}

#[test]
fn values_stay_values() {
    let sandbox = Sandbox::new();
    let page = MetricsPage::new(PAGE);
    let prometheus = Prometheus::scraping(page.address);
    let inputs = r#"inputs:
  odd: { type: string, default: 'a"b\c.d' }
  evil: { type: string, default: 'x"} or load{endpoint="/b' }
  least: { type: number, default: -0.5 }
  span: { type: duration, default: 5m }
  names: { type: list, default: ['/a', '/b'] }
"#;
    let steps = r#"
  - { id: exact, validate: Quotes arrive, prometheus: 'odd{name="{{ odd }}"}', expect: value == 1 }
  - { id: pattern, validate: In a pattern a dot is a dot, prometheus: "odd{name=~'{{ odd }}'}", expect: value == 1 }
  - { id: inject, validate: Nothing breaks out, prometheus: 'load{endpoint="{{ evil }}"}', expect: empty }
  - { id: both, validate: A list is alternatives, prometheus: 'load{endpoint=~"{{ names }}"}', expect: count == 2 }
  - { id: number, validate: A number, prometheus: "queue_items - {{ least }} > {{ least }}", expect: value == 7.5 }
  - { id: power, validate: After an operator, prometheus: "queue_items * 2 ^ {{ least }}", expect: value > 4 }
  - { id: window, validate: A duration, prometheus: "max_over_time(queue_items[{{ span }}])", expect: value == 7 }
  - { id: time, validate: A point in time, prometheus: "queue_items @ {{ run.started }}", expect: "empty or value == 7" }
  - { id: before, validate: Before it began, prometheus: { query: queue_items, time: "2026-01-01T00:00:00Z" }, expect: empty }
"#;
    let output = run(&sandbox, &prometheus, inputs, steps).exits(0);
    let sent = step(&sandbox, "inject");
    assert_eq!(sent["act"]["text"], r#"load{endpoint="x\"} or load{endpoint=\"/b"}"#, "{output}");
    let steps = "  - { id: much, diagnose: A text, prometheus: \"queue_items > {{ odd }}\" }\n";
    _ = run(&sandbox, &prometheus, inputs, steps).exits(3).tells("query-value");
}

#[test]
fn what_prometheus_refuses_has_its_own_words() {
    let sandbox = Sandbox::new();
    let page = MetricsPage::new(PAGE);
    let prometheus = Prometheus::scraping(page.address);
    let steps = r#"
  - { id: syntax, diagnose: No query, prometheus: "load{" }
  - { id: clash, diagnose: Not computable, prometheus: "queue_items + on() load", tolerate: [bad_answer] }
"#;
    _ = run(&sandbox, &prometheus, "", steps).exits(1).tells("1:6: parse error: unexpected end of input");
    assert!(
        step(&sandbox, "syntax")["error"].to_string().contains("bad_value: Prometheus does not take the query: 1:6")
    );
    assert_eq!(step(&sandbox, "clash")["outcome"], "succeeded");
}

#[test]
fn an_alert_is_asked_for_by_its_own_expression() {
    let sandbox = Sandbox::new();
    let page = MetricsPage::new("pending{shard=\"1\"} 150\npending{shard=\"2\"} 200\n");
    let prometheus = Prometheus::scraping(page.address);
    let alerts = "alerts: [{ alert: TooMany, expr: pending > 100, for: 10m }, { alert: NoExpression }]\n";
    let quiet =
        "  - { id: quiet, validate: It does not fire, alert: TooMany, show: firing | map(attribute='labels.shard') }\n";
    let output = run(&sandbox, &prometheus, alerts, quiet).exits(1).tells("count == 0 (count 2)");
    let step_of = step(&sandbox, "quiet");
    assert_eq!(step_of["verdict"], "does_not_hold", "{output}");
    assert_eq!(step_of["act"]["text"], "TooMany: pending > 100");
    let loud =
        "  - { id: loud, validate: It fires for both, alert: TooMany, expect: [count == 2, value is unknown] }\n";
    _ = run(&sandbox, &prometheus, alerts, loud).exits(0);
    page.says("pending{shard=\"1\"} 15\npending{shard=\"2\"} 20\n");
    let waits = "  - { id: quiet, validate: It does not fire, alert: TooMany, until: { within: 30s, every: 200ms } }\n";
    _ = run(&sandbox, &prometheus, alerts, waits).exits(0);
    assert!(step(&sandbox, "quiet")["attempts"].as_u64() >= Some(1));
    page.says("pending{shard=\"1\"} 15\npending{shard=\"2\"} 101\n");
    let waits = "  - { id: loud, validate: It fires, alert: TooMany, until: { within: 30s, every: 200ms, expect: count > 0 } }\n";
    _ = run(&sandbox, &prometheus, alerts, waits).exits(0);
}

#[test]
fn a_simulated_system_is_watched() {
    let sandbox = Sandbox::new();
    let simulator = Simulator::stemedb("flooding", &sandbox.folder());
    let page = simulator.url.trim_start_matches("http://").parse().expect("an address");
    let prometheus = Prometheus::scraping(page);
    let steps = "
  - id: pending
    diagnose: How many wait?
    prometheus: stemedb_quarantine_pending
    capture: { waiting: value }
  - id: worst
    diagnose: Who is it?
    prometheus: topk(1, stemedb_quarantine_rate_per_agent)
    capture:
      agent: series[0].labels.agent_id
    show: [agent]
  - { id: flood, validate: It is a flood, alert: Flood, expect: count == 1 }
";
    let alerts = "alerts: [{ alert: Flood, expr: stemedb_quarantine_pending > 100 }]\n";
    _ = run(&sandbox, &prometheus, alerts, steps).exits(0);
    let pending = step(&sandbox, "pending");
    assert!(pending["captures"]["waiting"].as_f64() > Some(100.0), "{pending:#}");
}

#[test]
fn the_plan_shows_what_is_asked() {
    let sandbox = Sandbox::new();
    let text = r#"
alerts: [{ alert: TooMany, expr: pending > 100 }]
targets:
  prom:
    prometheus: "http://127.0.0.1:9"
    headers: { X-Scope-OrgID: one }
steps:
  - id: first
    diagnose: First
    prometheus: pending
  - id: range
    diagnose: A range
    prometheus: { query: "rate(x{shard='{{ first.series[0].labels.shard }}'}[5m])", range: 10m }
  - id: alert
    validate: Not any more
    alert: TooMany
"#;
    _ = sandbox.runbook("case", text);
    let output = sandbox.call(["plan", "./case.yaml"]).exits(0);
    _ = output
        .tells("rate(x{shard='‹first.series[0].labels.shard›'}[5m])")
        .tells("over 10m, every 10s")
        .tells("TooMany: pending > 100")
        .tells("3 steps: 2 exact, 1 partial");
    assert!(sandbox.runs().is_empty());
}

#[test]
fn the_examples_of_the_reference_run() {
    let sandbox = Sandbox::new();
    let page = MetricsPage::new(
        "request_p99_seconds{endpoint=\"/search\"} 0.1\nrequest_p99_seconds{endpoint=\"/load\"} 0.45\n\
         request_p99_seconds{endpoint=\"/other\"} 1.9\nqueue_items 7\n",
    );
    let prometheus = Prometheus::scraping(page.address);
    let call = |name: &str, more: &[&str]| {
        let file = sandbox.write(&format!("{name}.yaml"), &documented(name)).display().to_string();
        let url = format!("url={}", prometheus.url);
        sandbox.call([&["run", file.as_str(), "-i", url.as_str()], more].concat())
    };
    let good = call("prometheus-example", &["-i", "job=case"]).exits(0);
    assert_eq!(step(&sandbox, "queue")["captures"]["most"], 7, "{good}");
    _ = call("prometheus-example", &["-i", "job=nobody"]).exits(1).tells("the query returned no series");
    _ = call("alert-example", &[]).exits(0);
    page.says("request_p99_seconds{endpoint=\"/search\"} 0.3\nrequest_p99_seconds{endpoint=\"/load\"} 0.45\n");
    prometheus.has("request_p99_seconds{endpoint=\"/search\"} > 0.2");
    _ = call("prometheus-example", &["-i", "job=case"]).exits(1);
    assert_eq!(step(&sandbox, "latency")["verdict"], "does_not_hold");
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_target_is_proven_and_fenced_and_its_warnings_are_told() {
    let sandbox = Sandbox::new();
    let server = Server::new(|target, stream| match target {
        "/api/v1/status/config" => say_json(stream, &json!({ "data": { "cluster": "blue" } })),
        _ => say_json(
            stream,
            &json!({
                "status": "success", "warnings": ["store 3 did not answer"],
                "data": { "resultType": "vector", "result": [{ "metric": {}, "value": [1, "1"] }] },
            }),
        ),
    });
    let text = |cluster: &str, allow: &str| {
        format!(
            "targets:
  prom:
    prometheus: \"{}\"
    allow: {allow}
    identity: {{ get: /api/v1/status/config, read: body.data.cluster, expect: body.data.cluster == '{cluster}' }}
steps:
  - {{ id: look, validate: Look, prometheus: up, expect: [value == 1, warnings | length == 1] }}
",
            server.url
        )
    };
    _ = sandbox.runbook("case", &text("blue", "loopback"));
    _ = sandbox.call(["run", "./case.yaml"]).exits(0).tells("Prometheus warns: store 3 did not answer");
    _ = sandbox.runbook("case", &text("green", "loopback"));
    _ = sandbox.call(["run", "./case.yaml"]).exits(9).tells("blue");
    _ = sandbox.runbook("case", &text("blue", "public"));
    _ = sandbox.call(["run", "./case.yaml"]).exits(1).tells("which is loopback");
    sandbox.is_whole();
}
