//! The service's own API.

use super::metrics;
use super::server::Shared;
use super::state::{Assertion, Item, Review, Status, Verdict, World};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Shares = State<Arc<Shared>>;

/// The routes of the service.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/admin/quarantine", get(list))
        .route("/v1/admin/quarantine/{id}", get(one))
        .route("/v1/admin/quarantine/{id}/approve", post(approve))
        .route("/v1/admin/quarantine/{id}/reject", post(reject))
        .route("/v1/admin/circuit_breakers", get(breakers))
        .route("/v1/admin/circuit_breakers/{agent}", get(breaker))
        .route("/v1/admin/circuit_breakers/{agent}/open", post(open))
        .route("/v1/admin/circuit_breakers/{agent}/reset", post(reset))
        .route("/v1/admin/content_defense/thresholds", get(thresholds))
        .route("/v1/admin/content_defense/allowlist", get(allowlist).post(allow))
        .route("/v1/admin/api-keys", get(keys).post(mint))
        .route("/v1/admin/api-keys/{hash}/rotate", post(rotate))
        .route("/v1/assert", post(assert))
        .route("/v1/health", get(health))
        .route("/v1/cluster/status", get(cluster))
        .route("/metrics", get(metrics_page))
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

#[derive(Deserialize)]
struct ListQuery {
    agent_id: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    include_reviewed: bool,
}

/// How many items the real service lists when nobody says.
const REAL_LIMIT: usize = 100;

fn item_json(item: &Item) -> Value {
    json!({
        "id": item.id,
        "agent_id": item.agent,
        "reason": item.marks.reason.as_str(),
        "quality_score": item.marks.quality,
        "confidence": item.marks.confidence,
        "created_at": item.created.to_string(),
        "status": item.status.as_str(),
    })
}

async fn list(State(shared): Shares, Query(query): Query<ListQuery>) -> Response {
    let world = shared.world();
    let real = world.settings().list_limit;
    let limit = query.limit.unwrap_or(if real { REAL_LIMIT } else { usize::MAX });
    let items: Vec<Value> = world
        .items()
        .filter(|item| query.include_reviewed || item.status == Status::Pending)
        .filter(|item| query.agent_id.as_ref().is_none_or(|agent| *agent == item.agent))
        .take(limit)
        .map(item_json)
        .collect();
    if real {
        Json(json!({ "count": items.len(), "events": items })).into_response()
    } else {
        Json(json!({ "items": items })).into_response()
    }
}

async fn one(State(shared): Shares, Path(id): Path<String>) -> Response {
    shared
        .world()
        .item(&id)
        .map_or_else(|| refuse(StatusCode::NOT_FOUND, "no such item"), |item| Json(item_json(item)).into_response())
}

async fn approve(State(shared): Shares, Path(id): Path<String>) -> Response {
    review(&mut shared.world(), &id, Status::Approved)
}

async fn reject(State(shared): Shares, Path(id): Path<String>) -> Response {
    review(&mut shared.world(), &id, Status::Rejected)
}

fn review(world: &mut World, id: &str, to: Status) -> Response {
    match world.review(id, to) {
        Review::Done => Json(json!({ "id": id, "status": to.as_str() })).into_response(),
        Review::Unknown => refuse(StatusCode::NOT_FOUND, "no such item"),
        Review::Already(status) => {
            let body = json!({ "error": "already reviewed", "id": id, "status": status.as_str() });
            (StatusCode::CONFLICT, Json(body)).into_response()
        }
    }
}

fn breaker_json(world: &World, agent: &str) -> Value {
    let open = world.open_breaker(agent);
    json!({
        "agent_id": agent,
        "state": if open.is_some() { "OPEN" } else { "CLOSED" },
        "until": open.map(|breaker| breaker.until.to_string()),
        "reason": open.map(|breaker| breaker.reason.clone()),
        "failure_count": world.pending().filter(|item| item.agent == agent).count(),
    })
}

async fn breakers(State(shared): Shares) -> Response {
    let world = shared.world();
    let all: Vec<Value> = world.known_agents().iter().map(|agent| breaker_json(&world, agent)).collect();
    Json(json!({ "circuit_breakers": all })).into_response()
}

async fn breaker(State(shared): Shares, Path(agent): Path<String>) -> Response {
    let world = shared.world();
    if world.known_agents().contains(&agent) {
        Json(breaker_json(&world, &agent)).into_response()
    } else {
        refuse(StatusCode::NOT_FOUND, "this agent was never seen")
    }
}

#[derive(Deserialize)]
struct OpenBody {
    reason: String,
    duration_seconds: u32,
}

async fn open(State(shared): Shares, Path(agent): Path<String>, Json(body): Json<OpenBody>) -> Response {
    let until = shared.world().open(&agent, body.reason, body.duration_seconds);
    let answer = json!({ "status": "opened", "agent_id": agent, "state": "OPEN", "until": until.to_string() });
    Json(answer).into_response()
}

async fn reset(State(shared): Shares, Path(agent): Path<String>) -> Response {
    let status = if shared.world().reset(&agent) { "reset" } else { "unchanged" };
    Json(json!({ "status": status, "agent_id": agent, "state": "CLOSED" })).into_response()
}

async fn thresholds(State(shared): Shares) -> Response {
    let world = shared.world();
    let t = &world.config().thresholds;
    Json(json!({
        "quality_threshold": t.quality,
        "confidence_threshold": t.confidence,
        "untrusted_confidence_threshold": t.untrusted_confidence,
        "duplicate_lookback_hours": t.duplicate_lookback_hours,
    }))
    .into_response()
}

#[derive(Deserialize)]
struct AllowBody {
    agent_id: String,
    expires_at: Timestamp,
    reason: String,
}

async fn allow(State(shared): Shares, Json(body): Json<AllowBody>) -> Response {
    let mut world = shared.world();
    if body.expires_at <= world.now() {
        return refuse(StatusCode::BAD_REQUEST, "expires_at is in the past");
    }
    let answer = json!({ "agent_id": body.agent_id, "expires_at": body.expires_at.to_string() });
    world.allow(body.agent_id, body.expires_at, body.reason);
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn allowlist(State(shared): Shares) -> Response {
    let world = shared.world();
    let entries: Vec<Value> = world
        .allowed()
        .map(|(agent, entry)| json!({ "agent_id": agent, "expires_at": entry.expires.to_string(), "reason": entry.reason }))
        .collect();
    Json(json!({ "allowlist": entries })).into_response()
}

#[derive(Deserialize)]
struct MintBody {
    label: String,
    role: String,
}

async fn keys(State(shared): Shares) -> Response {
    let world = shared.world();
    let keys: Vec<Value> =
        world.keys().map(|(hash, key)| json!({ "hash": hash, "label": key.label, "role": key.role })).collect();
    Json(json!({ "keys": keys })).into_response()
}

async fn mint(State(shared): Shares, Json(body): Json<MintBody>) -> Response {
    let (key, hash) = shared.world().mint(&body.label, &body.role);
    (StatusCode::CREATED, Json(json!({ "key": key, "hash": hash }))).into_response()
}

async fn rotate(State(shared): Shares, Path(hash): Path<String>) -> Response {
    shared.world().rotate(&hash).map_or_else(
        || refuse(StatusCode::NOT_FOUND, "no such key"),
        |(key, hash)| Json(json!({ "key": key, "hash": hash })).into_response(),
    )
}

#[derive(Deserialize)]
struct AssertBody {
    agent_id: String,
    #[serde(default)]
    subject: String,
    #[serde(default = "good_quality")]
    quality: f64,
    #[serde(default = "usual_confidence")]
    confidence: f64,
}

fn good_quality() -> f64 {
    0.9
}

/// Caught by thresholds that are too strict, not by the tested ones.
fn usual_confidence() -> f64 {
    0.82
}

async fn assert(State(shared): Shares, headers: HeaderMap, Json(body): Json<AssertBody>) -> Response {
    let mut world = shared.world();
    // A banned agent is refused before anything about the request is looked at.
    if world.open_breaker(&body.agent_id).is_none()
        && let Some(refusal) = missing_login(&world, &headers)
    {
        return refuse(StatusCode::UNAUTHORIZED, refusal);
    }
    let assertion =
        Assertion { agent: body.agent_id, subject: body.subject, quality: body.quality, confidence: body.confidence };
    let agent = &assertion.agent;
    match world.assert(&assertion) {
        Verdict::Accepted(hash) => {
            if let Err(error) = world.append_wal(&hash) {
                return refuse(StatusCode::INTERNAL_SERVER_ERROR, &error);
            }
            (StatusCode::CREATED, Json(json!({ "status": "accepted", "agent_id": agent, "hash": hash })))
                .into_response()
        }
        Verdict::Quarantined(id, reason) => {
            let body =
                json!({ "status": "quarantined", "agent_id": agent, "quarantine_id": id, "reason": reason.as_str() });
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
        Verdict::Banned(seconds) => (
            StatusCode::TOO_MANY_REQUESTS,
            [("x-circuit-breaker-state", "OPEN".to_owned()), ("retry-after", seconds.to_string())],
            Json(json!({ "error": "circuit breaker open", "agent_id": agent, "retry_after_seconds": seconds })),
        )
            .into_response(),
    }
}

fn missing_login(world: &World, headers: &HeaderMap) -> Option<&'static str> {
    let given = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if world.settings().auth && !world.keys().any(|(_, key)| key.key == given("x-api-key")) {
        return Some("an API key is needed");
    }
    given("x-agent-signature").is_empty().then_some("a signature is needed")
}

async fn health(State(shared): Shares) -> Response {
    let mut world = shared.world();
    world.refresh_gauge();
    Json(json!({
        "status": "healthy",
        "cluster_id": world.settings().cluster_id,
        "scene": world.scene().as_str(),
        "now": world.now().to_string(),
    }))
    .into_response()
}

async fn cluster(State(shared): Shares) -> Response {
    let world = shared.world();
    let nodes: Vec<Value> = (0..3)
        .map(|n| json!({ "id": format!("stemedb-{n}"), "state": "ready", "role": if n == 0 { "leader" } else { "follower" } }))
        .collect();
    Json(json!({ "cluster_id": world.settings().cluster_id, "nodes": nodes })).into_response()
}

async fn metrics_page(State(shared): Shares) -> Response {
    let text = metrics::page(&shared.world());
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
