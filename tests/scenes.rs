//! The runbooks of the library against the simulated system, unattended, from the command line to the last request.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

#[path = "simulators/stemedb/mod.rs"]
mod stemedb;

use assert_cmd::Command;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use stemedb::config::Settings;
use stemedb::scene::{Scene, agent_id};
use stemedb::server::{Running, start};
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A simulated system, a store, and a configuration file: one test's world.
struct Bench {
    /// Serves in the background for as long as it is held.
    _runtime: Runtime,
    server: Running,
    folder: TempDir,
}

/// What a run came to.
struct Ran {
    code: i32,
    text: String,
}

impl Bench {
    fn new(scene: Scene) -> Self {
        Self::with(Settings::of(scene))
    }

    fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { config: Some(folder.path().join("config.toml")), ..settings };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(start(settings, 0)).unwrap();
        // What restarts services there.
        let manager = folder.path().join("manager");
        let stock = root().join("tests/simulators/service-manager");
        let script = format!("#!/bin/sh\nSTEMEDB_URL={} exec {} \"$@\"\n", server.url, stock.display());
        std::fs::write(&manager, script).unwrap();
        std::fs::set_permissions(&manager, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { _runtime: runtime, server, folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn run(&self, runbook: &str, arguments: &[&str]) -> Ran {
        let output = Command::cargo_bin("runwright")
            .unwrap()
            .current_dir(root())
            .env("RUNWRIGHT_LIBRARY", root().join("runbooks"))
            .env("RUNWRIGHT_STORE", self.folder.path().join("store"))
            .args(["run", runbook, "--env", "simulator", "-i", &format!("stemedb_url={}", self.server.url)])
            .args(arguments)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
        Ran { code: output.status.code().unwrap_or(-1), text }
    }

    fn quarantine(&self, answers: &str) -> Ran {
        let answers = root().join("tests/inputs/answers").join(answers);
        let config = format!("stemedb_config={}", self.config().display());
        let manager = format!("stemedb_service_manager={}", self.folder.path().join("manager").display());
        let answers = answers.to_string_lossy();
        self.run("quarantine-overflow", &["-i", &config, "-i", &manager, "--answers", &answers])
    }

    /// The requests that change something, in order of arrival: path and body.
    fn changes(&self) -> Vec<(String, Value)> {
        let log = self.server.shared.log();
        let posts = log.iter().filter(|entry| entry["method"] == "POST");
        posts.map(|entry| (entry["path"].as_str().unwrap_or_default().to_owned(), entry["body"].clone())).collect()
    }

    fn pending(&self) -> usize {
        self.server.shared.world().pending().count()
    }
}

fn count(changes: &[(String, Value)], ending: &str) -> usize {
    changes.iter().filter(|(path, _)| path.ends_with(ending)).count()
}

#[test]
fn a_flood_is_banned_before_its_items_are_rejected() {
    for settings in [Settings::of(Scene::Flooding), Settings { list_limit: true, ..Settings::of(Scene::Flooding) }] {
        let bench = Bench::with(settings);
        let ran = bench.quarantine("flooding.yaml");
        assert_eq!(ran.code, 0, "{}", ran.text);
        let changes = bench.changes();
        let flooder = agent_id("8f3a2b1c");
        assert_eq!(changes[0].0, format!("/v1/admin/circuit_breakers/{flooder}/open"));
        assert_eq!(changes[0].1, serde_json::json!({ "reason": "flooding_quarantine", "duration_seconds": 3600 }));
        assert_eq!((changes[1].0.as_str(), &changes[1].1["agent_id"]), ("/v1/assert", &Value::from(flooder)));
        assert_eq!(count(&changes, "/reject"), 487);
        assert_eq!((changes.len(), bench.pending()), (490, 20), "and one test assertion");
        assert!(ran.text.contains("RESOLVED"), "{}", ran.text);
    }
}

#[test]
fn thresholds_are_tuned_in_place_and_the_service_restarted() {
    let bench = Bench::new(Scene::Mixed);
    let before = std::fs::read_to_string(bench.config()).unwrap();
    let ran = bench.quarantine("mixed.yaml");
    assert_eq!(ran.code, 0, "{}", ran.text);
    let after = std::fs::read_to_string(bench.config()).unwrap();
    let wanted = before
        .replace("quality_threshold = 0.7", "quality_threshold = 0.5")
        .replace("\nconfidence_threshold = 0.8", "\nconfidence_threshold = 0.9");
    assert_ne!(before, wanted);
    assert_eq!(after, wanted, "the other table, the comments and the order are as they were");
    assert_eq!(bench.pending(), 23);
    assert_eq!(count(&bench.changes(), "/approve"), 0);
}

#[test]
fn a_known_good_agents_items_are_approved_first() {
    let bench = Bench::new(Scene::Mixed);
    let ran = bench.quarantine("mixed-approve.yaml");
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert_eq!(count(&bench.changes(), "/approve"), 23);
    assert!(bench.server.shared.world().items().any(|item| item.status == stemedb::state::Status::Approved));
}

#[test]
fn too_strict_thresholds_go_back_to_the_tested_ones() {
    let bench = Bench::new(Scene::Aggressive);
    let ran = bench.quarantine("aggressive.yaml");
    assert_eq!(ran.code, 0, "{}", ran.text);
    let thresholds = bench.server.shared.world().config().thresholds.clone();
    assert_eq!(thresholds, stemedb::config::Thresholds::default());
    assert!(std::fs::read_to_string(bench.config()).unwrap().contains("[circuit_breaker]"));
    assert_eq!(bench.pending(), 15);
}

#[test]
fn a_surge_that_people_expect_is_let_through() {
    let bench = Bench::new(Scene::Surge);
    let ran = bench.quarantine("surge.yaml");
    assert_eq!(ran.code, 0, "{}", ran.text);
    let changes = bench.changes();
    assert_eq!(count(&changes, "/approve"), 212);
    let allowed = changes.iter().find(|(path, _)| path.ends_with("/allowlist")).map(|(_, body)| body);
    assert_eq!(allowed.map(|body| &body["agent_id"]), Some(&Value::from(agent_id("bac4f111"))));
    assert_eq!(allowed.map(|body| &body["reason"]), Some(&Value::from("backfill")));
    assert_eq!(bench.pending(), 28);
}

#[test]
fn what_nobody_can_explain_is_handed_over_with_nothing_changed() {
    let bench = Bench::new(Scene::None);
    let ran = bench.quarantine("none.yaml");
    assert_eq!(ran.code, 6, "{}", ran.text);
    assert!(ran.text.contains("ESCALATED"), "{}", ran.text);
    assert_eq!(bench.changes(), []);
}

#[test]
fn a_question_that_nobody_answers_parks_the_run() {
    let bench = Bench::new(Scene::Surge);
    let config = format!("stemedb_config={}", bench.config().display());
    let ran = bench.run("quarantine-overflow", &["-i", &config]);
    assert_eq!(ran.code, 5, "{}", ran.text);
    assert_eq!(bench.changes(), []);
}

#[test]
fn a_small_queue_needs_nothing() {
    let bench = Bench::new(Scene::Quiet);
    let ran = bench.quarantine("quiet.yaml");
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.text.contains("NO ACTION"), "{}", ran.text);
    assert_eq!(bench.changes(), []);
}

#[test]
fn another_cluster_is_refused_before_anything_is_changed() {
    let bench = Bench::with(Settings { cluster_id: "prod-eu".to_owned(), ..Settings::of(Scene::Flooding) });
    let ran = bench.quarantine("flooding.yaml");
    assert_eq!(ran.code, 9, "{}", ran.text);
    assert_eq!(bench.changes(), []);
}

#[test]
fn a_ban_that_does_not_hold_is_handed_over() {
    let bench = Bench::new(Scene::Flooding);
    let flooder = agent_id("8f3a2b1c");
    let fault = serde_json::json!({ "path": format!("/v1/admin/circuit_breakers/{flooder}/open"), "status": 500 });
    bench.server.shared.add_fault(serde_json::from_value(fault).unwrap());
    let ran = bench.quarantine("flooding.yaml");
    assert_eq!(ran.code, 6, "{}", ran.text);
    assert!(ran.text.contains("firewall"), "{}", ran.text);
    assert_eq!(count(&bench.changes(), "/reject"), 0);
}

#[test]
fn a_lost_answer_is_settled_by_looking_again() {
    let bench = Bench::new(Scene::Flooding);
    let path = format!("/v1/admin/circuit_breakers/{}/open", agent_id("8f3a2b1c"));
    let fault = serde_json::json!({ "path": path, "drop": true, "perform": true });
    bench.server.shared.add_fault(serde_json::from_value(fault).unwrap());
    let ran = bench.quarantine("flooding.yaml");
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert_eq!(count(&bench.changes(), "/open"), 1, "the ban is not sent twice");
}

#[test]
fn no_secret_reaches_the_store_or_the_screen() {
    let bench = Bench::new(Scene::Flooding);
    let ran = bench.run(
        "quarantine-overflow",
        &[
            "-i",
            &format!("stemedb_config={}", bench.config().display()),
            "-i",
            "stemedb_test_signature=canary-7f3d9e51",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(bench.server.shared.log().iter().any(|entry| entry["headers"]["x-agent-signature"] == "canary-7f3d9e51"));
    assert!(!ran.text.contains("canary-7f3d9e51"));
    assert_eq!(files_with(&bench.folder.path().join("store"), b"canary-7f3d9e51"), Vec::<PathBuf>::new());
}

fn files_with(folder: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if std::fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle) {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_ban_is_lifted_and_an_agent_that_is_not_banned_is_left_alone() {
    let bench = Bench::new(Scene::Flooding);
    let agent = agent_id("8f3a2b1c");
    let input = format!("agent={agent}");
    let idle = bench.run("unban-agent", &["-i", &input]);
    assert_eq!(idle.code, 0, "{}", idle.text);
    assert_eq!(bench.changes(), []);
    bench.server.shared.world().open(&agent, "by hand".to_owned(), 3_600);
    let ran = bench.run("unban-agent", &["-i", &input]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(bench.server.shared.world().open_breaker(&agent).is_none());
    assert_eq!(count(&bench.changes(), "/reset"), 1);
}
