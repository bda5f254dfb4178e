//! What a test may do to the simulator, under `/_sim/`: set scenes, let time pass, make requests fail, read the log.

use super::scene::Scene;
use super::server::{Fault, Shared};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The control routes.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/scene", post(scene))
        .route("/_sim/restart", post(restart))
        .route("/_sim/advance", post(advance))
        .route("/_sim/fault", post(fault))
        .route("/_sim/log", get(log))
        .route("/_sim/reset", post(reset))
}

#[derive(Deserialize)]
struct SceneBody {
    scene: String,
}

async fn scene(State(shared): State<Arc<Shared>>, Json(body): Json<SceneBody>) -> Response {
    let done = body.scene.parse::<Scene>().and_then(|scene| shared.world().set_scene(scene));
    answer(done, json!({ "scene": body.scene }))
}

/// Back to the scene of the start, without faults and with an empty log. The config file stays as it is.
async fn reset(State(shared): State<Arc<Shared>>) -> Response {
    shared.clear();
    let scene = shared.world().settings().scene;
    let done = shared.world().set_scene(scene);
    answer(done, json!({ "scene": scene.as_str() }))
}

/// A restart of the service. When its configuration cannot be read it stays down, as the real one does.
async fn restart(State(shared): State<Arc<Shared>>) -> Response {
    let done = shared.world().restart();
    if let Err(why) = &done {
        shared.die(why);
    }
    answer(done, json!({ "restarted": true }))
}

#[derive(Deserialize)]
struct AdvanceBody {
    seconds: u32,
}

async fn advance(State(shared): State<Arc<Shared>>, Json(body): Json<AdvanceBody>) -> Response {
    let mut world = shared.world();
    world.advance(body.seconds);
    Json(json!({ "now": world.now().to_string() })).into_response()
}

async fn fault(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) -> Response {
    shared.add_fault(fault);
    Json(json!({ "added": true })).into_response()
}

async fn log(State(shared): State<Arc<Shared>>) -> Response {
    Json(json!({ "requests": shared.log() })).into_response()
}

fn answer(done: Result<(), String>, good: serde_json::Value) -> Response {
    match done {
        Ok(()) => Json(good).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": error }))).into_response(),
    }
}
