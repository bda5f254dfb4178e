//! So that it does not happen again: alert rules, the breaker, thresholds, allowlist.

use super::bench::Bench;
use crate::support::{Prometheus, Sandbox, finish, promtool, repository};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The rules of the library as a file `ours.yml`, and those of the document as `document.yml`.
fn rules() -> Sandbox {
    let sandbox = Sandbox::new();
    let library = repository("runbooks").display().to_string();
    let export = ["alerts", "export", "quarantine-overflow", "--library", &library, "--output", "ours.yml"];
    _ = sandbox.call(export).exits(0);
    _ = sandbox.write("document.yml", DOCUMENT);
    sandbox
}

const DOCUMENT: &str = r"
groups:
  - name: stemedb_quarantine
    rules:
      - alert: StemeDBQuarantineOverflow
        expr: stemedb_quarantine_pending > 100
        for: 10m
      - alert: StemeDBAgentFlooding
        expr: rate(stemedb_quarantine_total{agent_id}[5m]) > 50
        for: 5m
";

#[test]
fn the_rules_of_the_document_are_refused_as_a_whole_and_ours_are_read() {
    let sandbox = rules();
    let refused = promtool(&sandbox.folder(), &["check", "rules", "document.yml"]);
    assert_ne!(refused.code, 0, "{refused}");
    _ = refused.says("StemeDBAgentFlooding").says("could not parse expression");
    let ours = promtool(&sandbox.folder(), &["check", "rules", "--lint=all", "--lint-fatal", "ours.yml"]).exits(0);
    _ = ours.says("3 rules found");
    let text = std::fs::read_to_string(sandbox.path("ours.yml")).unwrap();
    for place in [
        "quarantine-overflow.alerts.StemeDBQuarantineOverflow",
        "quarantine-overflow.alerts.StemeDBAgentFlooding",
        "quarantine-overflow.alerts.StemeDBHighFalsePositiveRate",
    ] {
        assert!(text.contains(place.rsplit('.').next().unwrap()), "{place} is missing in\n{text}");
    }
    assert!(text.contains("Current count: {{ $value }}"), "Prometheus's own templates stay as they are");
}

/// One case of `promtool test rules`: what is there, and what fires after 20 and 60 minutes.
fn fires(sandbox: &Sandbox, file: &str, series: &[(&str, &str)], alert: &str, at: &str, labels: &str) -> bool {
    let series: String =
        series.iter().map(|(name, values)| format!("      - {{ series: '{name}', values: '{values}' }}\n")).collect();
    let text = format!(
        "rule_files: [{file}]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n{series}    \
         alert_rule_test:\n      - eval_time: {at}\n        alertname: {alert}\n        exp_alerts: []\n"
    );
    _ = sandbox.write("unit.yml", &text);
    let output = promtool(&sandbox.folder(), &["test", "rules", "unit.yml"]);
    assert!(output.code == 0 || output.all().contains(alert), "{output}");
    assert!(output.code == 0 || output.all().contains(labels), "it fires with other labels\n{output}");
    output.code != 0
}

#[test]
fn an_overflow_fires_after_ten_minutes_and_a_hundred_items_do_not() {
    let sandbox = rules();
    let place = "quarantine-overflow.alerts.StemeDBQuarantineOverflow";
    let alert = place.rsplit('.').next().unwrap();
    let pending = |count: &str, at: &str| {
        let series = [("stemedb_quarantine_pending", format!("{count}x60"))];
        let series: Vec<_> = series.iter().map(|(name, values)| (*name, values.as_str())).collect();
        fires(&sandbox, "ours.yml", &series, alert, at, "severity=\"warning\"")
    };
    assert!(pending("101+0", "11m"));
    assert!(!pending("101+0", "9m"), "not before ten minutes");
    assert!(!pending("100+0", "30m"));
}

#[test]
fn a_flood_of_a_hundred_a_minute_fires_here_and_not_in_the_document() {
    let sandbox = rules();
    let place = "quarantine-overflow.alerts.StemeDBAgentFlooding";
    let alert = place.rsplit('.').next().unwrap();
    // Without the part that Prometheus cannot read.
    _ = sandbox.write("repaired.yml", &DOCUMENT.replace("{agent_id}", ""));
    let flood = [
        ("stemedb_quarantine_total{agent_id=\"loud\"}", "0+100x60"),
        ("stemedb_quarantine_total{agent_id=\"quiet\"}", "0+40x60"),
    ];
    assert!(!fires(&sandbox, "repaired.yml", &flood, alert, "30m", ""), "per second, this would be 3000 a minute");
    assert!(fires(&sandbox, "ours.yml", &flood, alert, "30m", "agent_id=\"loud\""));
    assert!(!fires(&sandbox, "ours.yml", &flood[1..], alert, "30m", ""), "forty a minute are no flood");
    // Two series of one agent count together; what does not last five minutes does not fire.
    let twice = [
        ("stemedb_quarantine_total{agent_id=\"two\",node=\"a\"}", "0+30x60"),
        ("stemedb_quarantine_total{agent_id=\"two\",node=\"b\"}", "0+30x60"),
    ];
    assert!(fires(&sandbox, "ours.yml", &twice, alert, "30m", "agent_id=\"two\""));
    assert!(!fires(&sandbox, "ours.yml", &flood, alert, "4m", ""));
}

#[test]
fn false_positives_fire_after_half_an_hour_and_without_reviews_nothing_does() {
    let sandbox = rules();
    let place = "quarantine-overflow.alerts.StemeDBHighFalsePositiveRate";
    let alert = place.rsplit('.').next().unwrap();
    let reviews = |approved: &'static str, rejected: &'static str, at: &str| {
        let series = [("stemedb_quarantine_approved_total", approved), ("stemedb_quarantine_rejected_total", rejected)];
        fires(&sandbox, "ours.yml", &series, alert, at, "severity=\"warning\"")
    };
    assert!(reviews("0+4x120", "0+6x120", "90m"));
    assert!(!reviews("0+4x120", "0+6x120", "20m"));
    assert!(!reviews("0+3x120", "0+7x120", "90m"), "30 % are not more than 30 %");
    assert!(!reviews("5+0x120", "5+0x120", "90m"), "no review is no false positive");
}

#[test]
fn an_alert_hands_its_agent_to_the_run() {
    let bench = Bench::scene("flooding");
    let agent = bench.agent("7d2e5f9a");
    let label = format!("agent_id={agent}");
    let ran = bench.shelf.run("quarantine-overflow", "{}", &["--label", &label, "-i", "manageable=1000"]).exits(0);
    // "quarantine-overflow.alerts.StemeDBAgentFlooding" carries it.
    let ran = ran.reached(&["quarantine-queue.list"]).tells("NO ACTION");
    assert_eq!(ran.value("quarantine-queue.list", "suspect"), agent.as_str());
    assert_eq!(ran.value("quarantine-queue.list", "suspect_count"), 12);
    // What is not an agent's key is refused before anything is asked.
    let refused = finish(&mut bench.shelf.command([
        "run",
        "quarantine-overflow",
        "--env",
        "simulator",
        "--label",
        "agent_id=../x",
    ]));
    assert_eq!(refused.code, 3, "{refused}");
}

/// The bench with a Prometheus that watches the simulator, and the program at hand for its own runbook.
fn watched() -> (Bench, Prometheus) {
    let bench = Bench::scene("flooding");
    let page: SocketAddr = bench.url.trim_start_matches("http://").parse().unwrap();
    let prometheus = Prometheus::watching(page);
    let program = bench.shelf.sandbox.path("bin/runwright");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_runwright"), program).unwrap();
    let file = prometheus.rules().join("stemedb.yml").display().to_string();
    _ = bench.shelf.set("stemedb_prometheus_url", prometheus.url.clone()).set("stemedb_rules_file", file);
    (bench, prometheus)
}

#[test]
fn the_rules_are_checked_written_and_loaded_and_taken_back() {
    let (bench, prometheus) = watched();
    let ran = bench.shelf.run("quarantine-alert-rules", "", &[]).exits(0).tells("RESOLVED");
    _ = ran.reached(&[
        "quarantine-alert-rules.rules",
        "quarantine-alert-rules.rules_checked",
        "quarantine-alert-rules.loaded_before",
        "quarantine-alert-rules.readable",
        "quarantine-alert-rules.write_rules",
        "quarantine-alert-rules.reload",
        "quarantine-alert-rules.loaded",
    ]);
    let groups = prometheus.groups();
    let rules: Vec<_> =
        groups[0]["rules"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(rules, ["StemeDBQuarantineOverflow", "StemeDBAgentFlooding", "StemeDBHighFalsePositiveRate"]);
    // 507 items wait: the alert waits for its ten minutes.
    prometheus.has("ALERTS{alertname=\"StemeDBQuarantineOverflow\",alertstate=\"pending\"}");
    // Again: the file is as it should be.
    let again = bench.shelf.run("quarantine-alert-rules", "", &[]).exits(0);
    assert_eq!(again.value("quarantine-alert-rules.write_rules", "diff"), "");
    // Taken back, Prometheus has forgotten them.
    let first = bench.shelf.sandbox.runs().into_iter().find(|run| *run != again.folder).unwrap();
    let name = first.file_name().unwrap().to_string_lossy().into_owned();
    _ = finish(&mut bench.shelf.command(["undo", &name])).exits(0).says("UNDONE");
    assert!(!prometheus.rules().join("stemedb.yml").exists());
    assert_eq!(prometheus.groups(), Vec::<Value>::new());
}

#[test]
fn a_rule_that_prometheus_cannot_read_is_not_written() {
    let (bench, prometheus) = watched();
    // As the document has it.
    let path = bench.shelf.sandbox.path("library/stemedb/quarantine-overflow.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let broken = text.replace(
        "sum by (agent_id) (rate(stemedb_quarantine_total[5m])) * 60 > 50",
        "rate(stemedb_quarantine_total{agent_id}[5m]) > 50",
    );
    assert_ne!(text, broken);
    std::fs::write(&path, broken).unwrap();
    let ran = bench.shelf.run("quarantine-alert-rules", "", &[]).exits(1);
    _ = ran
        .came_to(&["quarantine-alert-rules.rules_checked"], &["does_not_hold"])
        .came_to(&["quarantine-alert-rules.write_rules"], &["skipped"]);
    assert!(!prometheus.rules().join("stemedb.yml").exists());
    // A rule file that is broken already is seen before ours is written.
    std::fs::write(path, text).unwrap();
    std::fs::write(prometheus.rules().join("theirs.yml"), "groups: [{ name: x, rules: [{ alert: A, expr: 'up =' }] }]")
        .unwrap();
    let ran = bench.shelf.run("quarantine-alert-rules", "", &[]);
    assert_ne!(ran.output.code, 0, "{}", ran.output);
    assert!(!prometheus.rules().join("stemedb.yml").exists());
}

#[test]
fn a_stricter_breaker_bans_by_itself_and_leaves_the_thresholds_alone() {
    let bench = Bench::service("quiet");
    let before = (bench.settings(), bench.thresholds());
    // As it was: an agent may go on, whatever it sends, once its ban of 30 seconds is over.
    let ran = bench.shelf.run("quarantine-breaker-settings", "", &[]).exits(0).tells("RESOLVED");
    let ran = ran.reached(&[
        "quarantine-breaker-settings.config_before",
        "quarantine-breaker-settings.set_breaker",
        "quarantine-breaker-settings.restart",
        "quarantine-breaker-settings.read_back",
        "quarantine-breaker-settings.thresholds_kept",
    ]);
    let wanted = before.0.replace("failure_rate_threshold = 0.5", "failure_rate_threshold = 0.3");
    let wanted = wanted
        .replace("timeout_seconds = 30\n", "timeout_seconds = 3600\n")
        .replace("min_requests = 5", "min_requests = 20");
    assert_eq!(bench.settings(), wanted);
    assert_eq!(bench.thresholds(), before.1);
    // Six of twenty are bad: the twenty-first is refused, for an hour.
    let sent: Vec<u16> = (0..21).map(|n| bench.assert("new-agent", if n < 6 { 0.1 } else { 0.9 })).collect();
    assert_eq!(sent[..6], [202; 6]);
    assert_eq!(sent[6..20], [201; 14]);
    assert_eq!(sent[20], 429);
    let until: jiff::Timestamp =
        bench.get("/v1/admin/circuit_breakers/new-agent")["until"].as_str().unwrap().parse().unwrap();
    assert!(until.duration_since(jiff::Timestamp::now()).as_secs() > 3_500);
    // Undo: the file first, then the restart with it.
    let name = ran.folder.file_name().unwrap().to_string_lossy().into_owned();
    _ = finish(&mut bench.shelf.command(["undo", &name])).exits(0).says("UNDONE");
    assert_eq!(bench.settings(), before.0);
    bench.answers_again();
    let sent: Vec<u16> = (0..6).map(|_| bench.assert("new-agent", 0.1)).collect();
    assert_eq!(sent, [202, 202, 202, 202, 202, 429], "the old breaker is in force again");
}

#[test]
fn thresholds_are_reviewed_against_the_review_before() {
    let bench = Bench::scene("aggressive");
    let overdue = finish(&mut bench.shelf.command(["list", "--overdue"]));
    _ = overdue.exits(1).says("quarantine-threshold-review");
    let ran = bench.shelf.run("quarantine-threshold-review", "choice: { answer: defaults }", &[]).exits(0);
    let ran = ran.reached(&[
        "quarantine-threshold-review.queue",
        "quarantine-threshold-review.thresholds",
        "quarantine-threshold-review.trend",
        "quarantine-threshold-review.judged",
        "quarantine-threshold-review.to_defaults",
        "quarantine-threshold-review.adjusted",
    ]);
    assert_eq!(ran.value("quarantine-threshold-review.trend", "false_positives"), 0.42);
    assert_eq!(bench.thresholds()["quality_threshold"], 0.6);
    // Right after the restart nobody has reviewed anything.
    let ran = bench.shelf.run("quarantine-threshold-review", "", &[]).exits(0).tells("Too few reviews to judge");
    assert_eq!(ran.value("quarantine-threshold-review.trend", "before"), 0.42);
    assert_eq!(ran.value("quarantine-threshold-review.trend", "rose"), false);
    let overdue = finish(&mut bench.shelf.command(["list", "--overdue"]));
    assert!(!overdue.all().contains("quarantine-threshold-review"), "{overdue}");
    // With reviews, and good ones.
    bench.steer("scene", &json!({ "scene": "quiet" }));
    let before = bench.thresholds();
    _ = bench.shelf.run("quarantine-threshold-review", "", &[]).exits(0).tells("NO ACTION").tells("They are right");
    assert_eq!(bench.thresholds(), before);
}

#[test]
fn a_backfill_gets_an_entry_with_an_end_and_its_end_is_proven() {
    let bench = Bench::scene("quiet");
    let input = "agent=backfill-agent-1";
    let answers = "plan: { source: the archive of 2025, watcher: Ana, sure: true }";
    let ran = bench.shelf.run("quarantine-before-backfill", answers, &["-i", input, "-i", "allow_for=2h"]).exits(0);
    _ = ran.reached(&[
        "quarantine-before-backfill.room",
        "quarantine-before-backfill.plan",
        "quarantine-before-backfill.own_agent",
        "quarantine-before-backfill.allow_backfill",
        "quarantine-allow-agent.not_too_long",
        "quarantine-allow-agent.their_breaker",
        "quarantine-allow-agent.allow",
        "quarantine-allow-agent.listed",
    ]);
    assert_eq!(bench.assert("backfill-agent-1", 0.1), 201, "what it sends is not checked");
    // Two hours later it is.
    let ran = bench.shelf.run("quarantine-allowlist-ended", "", &["-i", input]).exits(1);
    _ = ran
        .came_to(&["quarantine-allowlist-ended.not_listed"], &["does_not_hold"])
        .reached(&["quarantine-allowlist-ended.none_past_its_end"]);
    bench.steer("advance", &json!({ "seconds": 7_300 }));
    let ran = bench.shelf.run("quarantine-allowlist-ended", "", &["-i", input]).exits(0);
    _ = ran.reached(&["quarantine-allowlist-ended.entries", "quarantine-allowlist-ended.not_listed"]);
    assert_eq!(bench.assert("backfill-agent-1", 0.1), 202);
}

#[test]
fn an_entry_that_outlives_its_end_is_found() {
    // The service's clock stands: nothing ends there.
    let bench = Bench::with("quiet", &["--clock", "2026-01-01T00:00:00Z"]);
    let entry = json!({ "agent_id": "forgotten", "expires_at": "2026-01-02T00:00:00Z", "reason": "a test" });
    assert_eq!(bench.ask("POST", "/v1/admin/content_defense/allowlist", &entry).unwrap().status, 201);
    let ran = bench.shelf.run("quarantine-allowlist-ended", "", &[]).exits(1).tells("forgotten");
    _ = ran.came_to(&["quarantine-allowlist-ended.none_past_its_end"], &["does_not_hold", "failed"]);
    // A service that does not list its allowlist: a person looks.
    bench.fails("/v1/admin/content_defense/allowlist", 404, 1);
    let ran =
        bench.shelf.run("quarantine-allowlist-ended", "told: { answer: true }", &["-i", "agent=forgotten"]).exits(0);
    _ = ran.reached(&["quarantine-allowlist-ended.told"]);
}

#[test]
fn nobody_is_let_through_who_is_banned_or_for_too_long() {
    let bench = Bench::scene("flooding");
    let agent = bench.agent("8f3a2b1c");
    let input = format!("agent={agent}");
    _ = bench
        .shelf
        .run("quarantine-allow-agent", "", &["-i", &input, "-i", "allow_for=100h"])
        .exits(1)
        .came_to(&["quarantine-allow-agent.not_too_long"], &["does_not_hold"]);
    let path = format!("/v1/admin/circuit_breakers/{agent}/open");
    _ = bench.ask("POST", &path, &json!({ "reason": "a test", "duration_seconds": 600 }));
    let ran = bench.shelf.run("quarantine-allow-agent", "", &["-i", &input]).exits(1);
    _ = ran.came_to(&["quarantine-allow-agent.their_breaker"], &["does_not_hold"]);
    // An overflow first, then a backfill.
    let answers = "plan: { source: x, watcher: Ana, sure: true }";
    let ran = bench.shelf.run("quarantine-before-backfill", answers, &["-i", "agent=another"]).exits(1);
    _ = ran.came_to(&["quarantine-before-backfill.room"], &["does_not_hold"]);
    assert_eq!(bench.count("/allowlist"), 0);
}
