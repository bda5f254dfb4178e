//! Where the document is wrong: its own commands do harm or nothing, and the runbooks do what was meant.

use super::bench::Bench;
use crate::support::{Simulator, finish};
use serde_json::{Value, json};
use std::process::Command;

/// What the document appends to the file.
const APPENDED: &str = "[content_defense]\nquality_threshold = 0.5\nconfidence_threshold = 0.9\n";

/// What it overwrites the file with.
const WRITTEN: &str = "[content_defense]\nquality_threshold = 0.6\nconfidence_threshold = 0.85\n\
                       duplicate_lookback_hours = 48\nuntrusted_confidence_threshold = 0.95\n";

const TUNED: [&str; 4] = ["-i", "quality_threshold=0.5", "-i", "confidence_threshold=0.9"];

impl Bench {
    /// Restarts the service as the document does, with more in the environment of the shell; whether it came back.
    fn restart_by_hand(&self, variables: &[(&str, &str)]) -> bool {
        let program = self.shelf.sandbox.path("bin/systemctl");
        let output = Command::new(program).args(["restart", "stemedb-api"]).envs(variables.iter().copied()).output();
        assert!(output.is_ok(), "the stand-in starts");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let services = self.services.as_ref().expect("a service");
        while services.process("stemedb-api").is_some() && std::time::Instant::now() < deadline {
            if self.ask("GET", "/v1/health", &Value::Null).is_some() {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        false
    }
}

#[test]
fn a_second_table_stops_the_service_and_the_runbook_sets_keys_in_the_first() {
    let bench = Bench::service("mixed");
    let before = bench.settings();
    std::fs::write(bench.config(), format!("{before}{APPENDED}")).unwrap();
    assert!(!bench.restart_by_hand(&[]), "the service starts with a file that declares a table twice");
    // Nor is such a file edited: what is meant by it is not known.
    let broken = bench.settings();
    let ran = bench.shelf.run("quarantine-thresholds", "", &TUNED);
    assert_ne!(ran.output.code, 0);
    assert_eq!(bench.settings(), broken);
    std::fs::write(bench.config(), &before).unwrap();
    assert!(bench.restart_by_hand(&[]));
    let ran = bench.shelf.run("quarantine-thresholds", "", &TUNED).exits(0).tells("RESOLVED");
    _ = ran.reached(&["quarantine-thresholds.set_thresholds", "quarantine-thresholds.in_force"]);
    assert_eq!(bench.settings().matches("[content_defense]").count(), 1);
    assert_eq!(bench.thresholds()["quality_threshold"], 0.5);
}

#[test]
fn a_variable_of_a_shell_never_reaches_the_service_and_the_file_does() {
    let bench = Bench::service("mixed");
    let variable = ("STEMEDB_QUALITY_THRESHOLD", "0.5");
    // The service would heed it, if it got it.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let mut direct = Command::new(Simulator::program())
        .args(["stemedb", "--scene", "mixed", "--port", "0", "--until-stdin-closes", "--config"])
        .arg(&config)
        .envs([variable])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(direct.stderr.take().unwrap()), &mut line).unwrap();
    direct.kill().unwrap();
    _ = direct.wait().unwrap();
    assert!(line.contains("quality: 0.5"), "{line}");
    assert!(bench.restart_by_hand(&[variable]));
    assert_eq!(bench.thresholds()["quality_threshold"], 0.7, "its service manager starts it with its own environment");
    let ran = bench.shelf.run("quarantine-thresholds", "", &TUNED).exits(0);
    _ = ran.reached(&["quarantine-thresholds.restart"]);
    assert_eq!(bench.thresholds()["quality_threshold"], 0.5);
}

#[test]
fn writing_the_file_anew_loses_the_breaker_and_the_runbook_keeps_it() {
    let bench = Bench::service("aggressive");
    let strict = bench.settings().replace("timeout_seconds = 30", "timeout_seconds = 3600");
    std::fs::write(bench.config(), WRITTEN).unwrap();
    assert!(bench.restart_by_hand(&[]));
    let sent: Vec<u16> = (0..6).map(|_| bench.assert("loud", 0.1)).collect();
    assert_eq!(sent[5], 429);
    let until = bench.get("/v1/admin/circuit_breakers/loud")["until"].as_str().unwrap().parse::<jiff::Timestamp>();
    let lasts = until.unwrap().duration_since(jiff::Timestamp::now()).as_secs();
    assert!(lasts <= 30, "the hour of the breaker is gone with its table");
    std::fs::write(bench.config(), &strict).unwrap();
    let ran = bench.shelf.run("quarantine-thresholds", "", &[]).exits(0);
    _ = ran.reached(&["quarantine-thresholds.set_thresholds"]);
    let kept = bench.settings();
    assert!(kept.contains("timeout_seconds = 3600") && kept.contains("# Who is banned without a person."), "{kept}");
    assert_eq!(bench.thresholds()["quality_threshold"], 0.6);
}

#[test]
fn a_service_that_does_not_come_back_says_why() {
    let bench = Bench::service("mixed");
    let good = bench.settings();
    // Readable, and refused by the service: somebody edited the file and never restarted.
    std::fs::write(bench.config(), good.replace("min_requests = 5", "min_requests = \"many\"")).unwrap();
    let ran = bench.shelf.run("quarantine-thresholds", "", &TUNED).exits(6);
    let ran =
        ran.came_to(&["quarantine-thresholds.restart"], &["failed"]).reached(&["quarantine-thresholds.last_words"]);
    let lines = ran.value("quarantine-thresholds.last_words", "lines").to_string();
    assert!(lines.contains("min_requests is not a whole number"), "{lines}");
    let ran = ran.tells("does not come back").tells("puts the old file back");
    std::fs::write(bench.config(), bench.settings().replace("\"many\"", "5")).unwrap();
    // Somebody has changed it since, so it is left alone.
    let name = ran.folder.file_name().unwrap().to_string_lossy().into_owned();
    _ = finish(&mut bench.shelf.command(["undo", &name])).exits(7).says("somebody has changed it since");
    assert!(bench.settings().contains("quality_threshold = 0.5"));
}

#[test]
fn an_overflow_is_seen_though_the_list_ends_at_a_hundred() {
    let bench = Bench::with("flooding", &["--list-limit"]);
    // As the document counts.
    let list = bench.get("/v1/admin/quarantine");
    assert!(list.get("items").is_none(), "the real key is another");
    assert_eq!(list["events"].as_array().map(Vec::len), Some(100));
    let ran = bench.shelf.run("quarantine-overflow", "", &[]).exits(0).tells("RESOLVED");
    let ran = ran.reached(&["quarantine-queue.health", "quarantine-queue.list", "quarantine-queue.rates"]);
    assert_eq!(ran.value("quarantine-queue.rates", "pending"), 507);
    assert_eq!(ran.value("quarantine-queue.list", "listed"), 507);
    assert_eq!(bench.count("/reject"), 487);
    // The gauge is brought up to date before it is read.
    assert_eq!(ran.value("quarantine-checks.under_limit", "pending"), 20);
}

#[test]
fn endpoints_that_a_service_does_not_have_are_findings() {
    let bench = Bench::with("quiet", &["--list-limit"]);
    // An agent without a breaker, an allowlist that is not listed.
    bench.steer(
        "fault",
        &json!({ "path": "/v1/admin/content_defense/allowlist", "method": "GET", "status": 404, "times": 2 }),
    );
    let ran = bench.shelf.run("quarantine-allow-agent", "", &["-i", "agent=never-seen"]).exits(0);
    _ = ran.reached(&["quarantine-allow-agent.their_breaker", "quarantine-allow-agent.listed"]);
    let ran = bench.shelf.run("quarantine-allowlist-ended", "told: { answer: false }", &["-i", "agent=never-seen"]);
    _ = ran.exits(1).came_to(&["quarantine-allowlist-ended.told"], &["does_not_hold"]);
}

#[test]
fn undo_puts_the_file_back_and_restarts_with_it() {
    let bench = Bench::service("mixed");
    let (settings, thresholds) = (bench.settings(), bench.thresholds());
    let ran = bench.shelf.run("quarantine-thresholds", "", &TUNED).exits(0).reached(&["quarantine-thresholds.restart"]);
    assert_ne!(bench.thresholds(), thresholds);
    let name = ran.folder.file_name().unwrap().to_string_lossy().into_owned();
    _ = finish(&mut bench.shelf.command(["undo", &name])).exits(0).says("UNDONE");
    assert_eq!(bench.settings(), settings, "to the byte");
    assert_eq!(bench.thresholds(), thresholds, "the service runs with it again");
    bench.shelf.sandbox.is_whole();
}
