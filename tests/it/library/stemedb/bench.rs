//! StemeDB for one test: the simulated service, or the same program kept running by a service manager.

use super::super::shelf::Shelf;
use crate::support::{Services, Simulator, free_address, repository};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The library, pointed at one StemeDB.
pub(super) struct Bench {
    // Dropped in this order: processes before the folder that they and the service manager live in.
    pub(super) services: Option<Services>,
    _simulator: Option<Simulator>,
    pub(super) shelf: Shelf,
    pub(super) url: String,
}

/// What a request came to.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Bench {
    /// A scene of the simulator. A restart of the service keeps its items, as the real one does.
    pub(super) fn scene(scene: &str) -> Self {
        Self::with(scene, &[])
    }

    /// The same, with more switches of the simulator.
    pub(super) fn with(scene: &str, more: &[&str]) -> Self {
        let shelf = Shelf::new();
        let simulator = Simulator::with(scene, &shelf.sandbox.folder(), more);
        let url = simulator.url.clone();
        let bench = Self { shelf, url, _simulator: Some(simulator), services: None };
        let stock = repository("tests/simulators/service-manager");
        let script = format!("#!/bin/sh\nSTEMEDB_URL={} exec {} \"$@\"\n", bench.url, stock.display());
        let manager = bench.shelf.sandbox.program("manager", &script);
        bench.point(&manager.display().to_string());
        bench
    }

    /// A real process, `stemedb-api`, that a service manager starts and restarts, with a journal of what it says.
    pub(super) fn service(scene: &str) -> Self {
        let shelf = Shelf::new();
        let services = Services::with_journal(&shelf.sandbox);
        let address = free_address();
        let unit = format!(
            "ExecStart={} stemedb --scene {scene} --port {} --config {}\n",
            Simulator::program().display(),
            address.port(),
            shelf.sandbox.path("config.toml").display()
        );
        _ = services.unit("stemedb-api", &unit).systemctl("start", "stemedb-api");
        let url = format!("http://{address}");
        let bench = Self { shelf, url, _simulator: None, services: Some(services) };
        bench.point("systemctl");
        bench.answers_again();
        bench
    }

    fn point(&self, manager: &str) {
        let config = self.config().display().to_string();
        let inputs =
            [("stemedb_url", self.url.as_str()), ("stemedb_config", &config), ("stemedb_service_manager", manager)];
        for (input, value) in inputs {
            _ = self.shelf.set(input, value);
        }
    }

    /// The service's configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.shelf.sandbox.path("config.toml")
    }

    /// What it holds.
    pub(super) fn settings(&self) -> String {
        std::fs::read_to_string(self.config()).unwrap()
    }

    /// One request, as anybody may send it; none when there is no answer.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).ok()?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nx-agent-signature: any\r\n");
        let kind = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{kind}{body}").as_bytes()).ok()?;
        let mut all = String::new();
        stream.read_to_string(&mut all).ok()?;
        let (head, text) = all.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, body: serde_json::from_str(text).unwrap_or(Value::Null) })
    }

    /// What a page says.
    #[track_caller]
    pub(super) fn get(&self, path: &str) -> Value {
        self.ask("GET", path, &Value::Null).expect("an answer").body
    }

    /// Steers the simulator: `scene`, `advance`, `fault`.
    #[track_caller]
    pub(super) fn steer(&self, what: &str, body: &Value) {
        let answer = self.ask("POST", &format!("/_sim/{what}"), body).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Makes the next requests of a path fail.
    pub(super) fn fails(&self, path: &str, status: u16, times: u32) {
        self.steer("fault", &json!({ "path": path, "status": status, "times": times }));
    }

    /// The requests that change something, in the order of their arrival: path, body, and the status of the answer.
    pub(super) fn changes(&self) -> Vec<(String, Value, u64)> {
        let log = self.get("/_sim/log");
        let posts = log["requests"].as_array().unwrap().iter().filter(|entry| entry["method"] == "POST");
        posts
            .map(|entry| {
                let path = entry["path"].as_str().unwrap().to_owned();
                (path, entry["body"].clone(), entry["status"].as_u64().unwrap_or_default())
            })
            .collect()
    }

    /// How many requests changed something at a path that ends like this.
    pub(super) fn count(&self, ending: &str) -> usize {
        self.changes().iter().filter(|(path, ..)| path.ends_with(ending)).count()
    }

    /// The items that wait, oldest first.
    pub(super) fn waiting(&self) -> Vec<Value> {
        let body = self.get("/v1/admin/quarantine?limit=10000");
        body.get("items").or(body.get("events")).unwrap().as_array().unwrap().clone()
    }

    /// The one agent whose key begins like this.
    pub(super) fn agent(&self, beginning: &str) -> String {
        let breakers = self.get("/v1/admin/circuit_breakers");
        let all = breakers["circuit_breakers"].as_array().unwrap().iter();
        let names = all.filter_map(|breaker| breaker["agent_id"].as_str());
        names.into_iter().find(|name| name.starts_with(beginning)).unwrap().to_owned()
    }

    /// Whether an agent is banned.
    pub(super) fn is_banned(&self, agent: &str) -> bool {
        self.get(&format!("/v1/admin/circuit_breakers/{agent}"))["state"] == "OPEN"
    }

    /// The thresholds in force.
    pub(super) fn thresholds(&self) -> Value {
        self.get("/v1/admin/content_defense/thresholds")
    }

    /// One assertion of an agent; how it is answered.
    pub(super) fn assert(&self, agent: &str, quality: f64) -> u16 {
        let body = json!({ "agent_id": agent, "subject": "a test", "quality": quality });
        self.ask("POST", "/v1/assert", &body).expect("an answer").status
    }

    /// Waits until the service answers.
    #[track_caller]
    pub(super) fn answers_again(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.ask("GET", "/v1/health", &Value::Null).is_none() {
            assert!(Instant::now() < deadline, "the service does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
