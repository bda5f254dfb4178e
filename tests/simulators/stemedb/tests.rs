//! The simulator as its clients see it: over HTTP, in order.

#![expect(clippy::disallowed_methods, reason = "what the system says is held against the real clock")]

use super::config::Settings;
use super::scene::{Scene, agent_id};
use super::server::{Running, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Answer {
    status: u16,
    head: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

/// One request on a connection of its own. None when the server hung up without an answer.
async fn call(server: &Running, method: &str, path: &str, headers: &str, body: Option<Value>) -> Option<Answer> {
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.ok()?;
    let all = String::from_utf8(all).unwrap();
    let (head, text) = all.split_once("\r\n\r\n")?;
    Some(Answer { status: head.split(' ').nth(1)?.parse().ok()?, head: head.to_owned(), text: text.to_owned() })
}

async fn get(server: &Running, path: &str) -> Answer {
    call(server, "GET", path, "", None).await.unwrap()
}

async fn post(server: &Running, path: &str, body: Value) -> Answer {
    call(server, "POST", path, "x-agent-signature: signed\r\n", Some(body)).await.unwrap()
}

async fn up(scene: Scene) -> Running {
    start(Settings::of(scene), 0).await.unwrap()
}

async fn metric(server: &Running, name: &str) -> f64 {
    let page = get(server, "/metrics").await.text;
    let line = page.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

async fn pending(server: &Running) -> usize {
    get(server, "/v1/admin/quarantine").await.json()["items"].as_array().unwrap().len()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.05
}

#[tokio::test]
async fn a_ban_stops_the_flood_and_rejecting_empties_the_queue() {
    let server = up(Scene::Flooding).await;
    let flooder = agent_id("8f3a2b1c");
    assert_eq!(pending(&server).await, 507);
    assert!(near(metric(&server, "stemedb_quarantine_rate_per_minute").await, 95.0));

    let path = format!("/v1/admin/circuit_breakers/{flooder}");
    let opened =
        post(&server, &format!("{path}/open"), json!({ "reason": "flooding_quarantine", "duration_seconds": 3600 }))
            .await;
    assert_eq!((opened.status, opened.json()["state"].as_str()), (200, Some("OPEN")));
    let refused = post(&server, "/v1/assert", json!({ "agent_id": flooder })).await;
    assert_eq!(refused.status, 429);
    assert!(refused.head.contains("x-circuit-breaker-state: OPEN"), "{}", refused.head);
    assert!(refused.head.contains("retry-after: 3"), "{}", refused.head);
    assert!(near(metric(&server, "stemedb_quarantine_rate_per_minute").await, 7.0));

    let theirs = get(&server, &format!("/v1/admin/quarantine?agent_id={flooder}")).await.json();
    let ids: Vec<String> =
        theirs["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 487);
    for id in &ids {
        let done =
            post(&server, &format!("/v1/admin/quarantine/{id}/reject"), json!({ "reason": "agent_flooding" })).await;
        assert_eq!((done.status, done.json()["status"].as_str()), (200, Some("rejected")));
    }
    assert_eq!(pending(&server).await, 20);
    assert!(near(metric(&server, "stemedb_quarantine_pending").await, 20.0));
    let twice = post(&server, &format!("/v1/admin/quarantine/{}/reject", ids[0]), json!({})).await;
    assert_eq!((twice.status, twice.json()["status"].as_str()), (409, Some("rejected")));
    assert_eq!(post(&server, "/v1/admin/quarantine/q-99999/approve", json!({})).await.status, 404);
}

#[tokio::test]
async fn a_ban_ends_with_the_virtual_clock_and_the_flood_comes_back() {
    let server = up(Scene::Flooding).await;
    let path = format!("/v1/admin/circuit_breakers/{}", agent_id("8f3a2b1c"));
    post(&server, &format!("{path}/open"), json!({ "reason": "x", "duration_seconds": 600 })).await;
    post(&server, "/_sim/advance", json!({ "seconds": 60 })).await;
    assert_eq!(pending(&server).await, 507 + 7, "only the two others send");
    post(&server, "/_sim/advance", json!({ "seconds": 600 })).await;
    assert_eq!(get(&server, &path).await.json()["state"], "CLOSED");
    assert!(near(metric(&server, "stemedb_quarantine_rate_per_minute").await, 95.0));
    post(&server, &format!("{path}/open"), json!({ "reason": "x", "duration_seconds": 600 })).await;
    assert_eq!(post(&server, &format!("{path}/reset"), json!({})).await.json()["status"], "reset");
    assert_eq!(get(&server, "/v1/admin/circuit_breakers/nobody").await.status, 404);
}

#[tokio::test]
async fn thresholds_count_only_after_a_restart() {
    for (scene, text, before, after) in [
        (Scene::Mixed, "quality_threshold = 0.5\nconfidence_threshold = 0.9\nduplicate_lookback_hours = 24\n", 133, 23),
        (
            Scene::Aggressive,
            "quality_threshold = 0.6\nconfidence_threshold = 0.85\nduplicate_lookback_hours = 48\n",
            180,
            15,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.toml");
        let settings = Settings { config: Some(config.clone()), ..Settings::of(scene) };
        let server = start(settings, 0).await.unwrap();
        assert_eq!(pending(&server).await, before);
        std::fs::write(&config, format!("[content_defense]\n{text}")).unwrap();
        assert_eq!(pending(&server).await, before, "not read yet");
        assert_eq!(post(&server, "/_sim/restart", json!({})).await.status, 200);
        assert_eq!(pending(&server).await, after);
        assert!(metric(&server, "stemedb_quarantine_rate_per_minute").await < 10.0);
        assert!(near(metric(&server, "stemedb_quarantine_approved_total").await, 0.0), "counters begin again");
        let ok = post(&server, "/v1/assert", json!({ "agent_id": "good" })).await;
        assert_eq!((ok.status, ok.json()["status"].as_str()), (201, Some("accepted")));
    }
}

#[tokio::test]
async fn broken_toml_ends_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let settings = Settings { config: Some(config.clone()), ..Settings::of(Scene::Mixed) };
    let mut server = start(settings.clone(), 0).await.unwrap();
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str("[content_defense]\nquality_threshold = 0.5\n");
    std::fs::write(&config, text).unwrap();
    assert_eq!(post(&server, "/_sim/restart", json!({})).await.status, 500);
    assert!(server.ended().await.contains("invalid TOML"));
    assert!(start(settings, 0).await.is_err(), "nor does it start again");
}

#[tokio::test]
async fn an_allowed_agent_is_not_quarantined_until_its_time_is_over() {
    let server = up(Scene::Surge).await;
    let agent = agent_id("bac4f111");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let body = json!({ "agent_id": agent, "expires_at": soon.to_string(), "reason": "backfill_operation" });
    assert_eq!(post(&server, "/v1/admin/content_defense/allowlist", body).await.status, 201);
    assert!(near(metric(&server, "stemedb_quarantine_rate_per_minute").await, 6.0));
    let listed = get(&server, "/v1/admin/content_defense/allowlist").await.json();
    assert_eq!(listed["allowlist"][0]["agent_id"], agent.as_str());
    post(&server, "/_sim/advance", json!({ "seconds": 7200 })).await;
    assert!(near(metric(&server, "stemedb_quarantine_rate_per_minute").await, 80.0));
    let past = json!({ "agent_id": agent, "expires_at": "2020-01-01T00:00:00Z", "reason": "late" });
    assert_eq!(post(&server, "/v1/admin/content_defense/allowlist", past).await.status, 400);
}

#[tokio::test]
async fn approvals_raise_the_counter() {
    let server = up(Scene::Surge).await;
    let list = get(&server, "/v1/admin/quarantine?limit=3").await.json();
    for item in list["items"].as_array().unwrap() {
        let path = format!("/v1/admin/quarantine/{}/approve", item["id"].as_str().unwrap());
        assert_eq!(call(&server, "POST", &path, "", None).await.unwrap().status, 200);
    }
    assert!(near(metric(&server, "stemedb_quarantine_approved_total").await, 63.0));
    let reviewed = get(&server, "/v1/admin/quarantine?include_reviewed=true").await.json();
    assert_eq!(reviewed["items"].as_array().unwrap().len(), 240);
}

#[tokio::test]
async fn the_real_list_is_cut_and_the_real_gauge_is_late() {
    let server = start(Settings { list_limit: true, ..Settings::of(Scene::Flooding) }, 0).await.unwrap();
    let list = get(&server, "/v1/admin/quarantine").await.json();
    assert_eq!(list["events"].as_array().unwrap().len(), 100);
    assert!(list.get("items").is_none());
    let more = get(&server, "/v1/admin/quarantine?limit=1000").await.json();
    assert_eq!(more["events"].as_array().unwrap().len(), 507);
    post(&server, "/v1/admin/quarantine/q-00001/reject", json!({})).await;
    assert!(near(metric(&server, "stemedb_quarantine_pending").await, 507.0), "nobody asked for health");
    assert_eq!(get(&server, "/v1/health").await.json()["cluster_id"], "sim-1");
    assert!(near(metric(&server, "stemedb_quarantine_pending").await, 506.0));
}

#[tokio::test]
async fn writes_need_a_signature_and_with_login_a_key() {
    let settings =
        Settings { auth: true, root_key: Some("root-key-for-tests".to_owned()), ..Settings::of(Scene::Quiet) };
    let server = start(settings, 0).await.unwrap();
    let body = || Some(json!({ "agent_id": "good" }));
    let bare = call(&server, "POST", "/v1/assert", "x-agent-signature: s\r\n", body()).await.unwrap();
    assert_eq!(bare.status, 401);
    let minted = post(&server, "/v1/admin/api-keys", json!({ "label": "tests", "role": "writer" })).await.json();
    let signed = format!("x-agent-signature: s\r\nx-api-key: {}\r\n", minted["key"].as_str().unwrap());
    assert_eq!(call(&server, "POST", "/v1/assert", &signed, body()).await.unwrap().status, 201);
    let listed = get(&server, "/v1/admin/api-keys").await.text;
    assert!(!listed.contains("steme_live_"), "{listed}");
    let path = format!("/v1/admin/api-keys/{}/rotate", minted["hash"].as_str().unwrap());
    let fresh = post(&server, &path, json!({})).await.json();
    assert_ne!(fresh["key"], minted["key"]);
    assert_eq!(call(&server, "POST", "/v1/assert", &signed, body()).await.unwrap().status, 401, "the old key is gone");
    let unsigned = format!("x-api-key: {}\r\n", fresh["key"].as_str().unwrap());
    assert_eq!(call(&server, "POST", "/v1/assert", &unsigned, body()).await.unwrap().status, 401);
}

#[tokio::test]
async fn faults_meet_as_many_requests_as_they_say_and_the_log_keeps_the_order() {
    let server = up(Scene::Quiet).await;
    post(&server, "/_sim/fault", json!({ "path": "/v1/admin/*", "status": 503, "times": 2 })).await;
    assert_eq!(get(&server, "/v1/admin/quarantine").await.status, 503);
    assert_eq!(get(&server, "/v1/health").await.status, 200);
    assert_eq!(get(&server, "/v1/admin/circuit_breakers").await.status, 503);
    assert_eq!(get(&server, "/v1/admin/quarantine").await.status, 200);
    let log = get(&server, "/_sim/log").await.json();
    let seen: Vec<(&str, u64)> = log["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["path"].as_str().unwrap(), entry["status"].as_u64().unwrap()))
        .collect();
    let admin = "/v1/admin/quarantine";
    assert_eq!(seen, [(admin, 503), ("/v1/health", 200), ("/v1/admin/circuit_breakers", 503), (admin, 200)]);
    post(&server, "/_sim/reset", json!({})).await;
    assert_eq!(get(&server, "/_sim/log").await.json()["requests"], json!([]));
}

#[tokio::test]
async fn a_dropped_answer_may_have_taken_effect() {
    let server = up(Scene::Flooding).await;
    let reject = |id: &str| format!("/v1/admin/quarantine/{id}/reject");
    post(&server, "/_sim/fault", json!({ "path": reject("q-00001"), "drop": true, "perform": true })).await;
    post(&server, "/_sim/fault", json!({ "path": reject("q-00002"), "drop": true })).await;
    for id in ["q-00001", "q-00002"] {
        assert!(call(&server, "POST", &reject(id), "", Some(json!({}))).await.is_none(), "no answer");
    }
    assert_eq!(get(&server, "/v1/admin/quarantine/q-00001").await.json()["status"], "rejected");
    assert_eq!(get(&server, "/v1/admin/quarantine/q-00002").await.json()["status"], "pending");
}

#[tokio::test]
async fn scenes_change_and_a_frozen_clock_gives_the_same_answers_twice() {
    let settings = Settings { clock: Some("2026-02-11T10:23:45Z".parse().unwrap()), ..Settings::of(Scene::Flooding) };
    let one = start(settings.clone(), 0).await.unwrap();
    let two = start(settings, 0).await.unwrap();
    assert_eq!(get(&one, "/v1/admin/quarantine").await.text, get(&two, "/v1/admin/quarantine").await.text);
    let path = format!("/v1/admin/circuit_breakers/{}/open", agent_id("8f3a2b1c"));
    let opened = post(&one, &path, json!({ "reason": "x", "duration_seconds": 3600 })).await.json();
    assert_eq!(opened["until"], "2026-02-11T11:23:45Z");
    post(&one, "/_sim/scene", json!({ "scene": "none" })).await;
    assert_eq!(pending(&one).await, 160);
    assert_eq!(post(&one, "/_sim/scene", json!({ "scene": "chaos" })).await.status, 500);
}
