//! What a test may do to the simulator, at an address of its own: set the scene, make requests fail, look inside.

use super::gate::Shared;
use super::scene::{Provider, Scene, Slow};
use crate::stemedb::server::Fault;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::TcpListener;

/// Everything that one control request may change. What is absent stays.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Control {
    /// Nothing is wrong any more; faults and the requests so far are forgotten.
    reset: bool,
    /// The initial load is not done: 503 with `pending`.
    loading: Option<bool>,
    /// Plugins that are not healthy.
    sick: Option<Vec<String>>,
    /// How slow lists are.
    slow: Option<Slow>,
    /// How a remote source answers, by its id.
    provider: Option<(String, Provider)>,
    /// Workers take no job.
    idle: Option<bool>,
    /// Whether reads that were denied are in the audit trail.
    audits_reads: Option<bool>,
    /// The next requests of a path go wrong.
    fault: Option<Fault>,
}

/// Serves `/_sim/` on the loopback; gives the address.
pub(crate) async fn start(shared: Arc<Shared>) -> Result<String, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|why| why.to_string())?;
    let address = listener.local_addr().map_err(|why| why.to_string())?;
    let app = Router::new()
        .route("/_sim/control", post(carry_out))
        .route("/_sim/state", get(state))
        .route("/_sim/log", get(log))
        .with_state(shared);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}

async fn carry_out(State(shared): State<Arc<Shared>>, Json(control): Json<Control>) -> Response {
    if control.reset {
        shared.clear();
        *shared.scene() = Scene::new();
    }
    if let Some(fault) = control.fault {
        shared.add_fault(fault);
    }
    let mut scene = shared.scene();
    scene.loading = control.loading.unwrap_or(scene.loading);
    scene.idle = control.idle.unwrap_or(scene.idle);
    scene.audits_reads = control.audits_reads.unwrap_or(scene.audits_reads);
    scene.sick = control.sick.unwrap_or_else(|| scene.sick.clone());
    scene.slow = control.slow.unwrap_or_else(|| scene.slow.clone());
    scene.providers.extend(control.provider);
    drop(scene);
    Json(json!({ "done": true })).into_response()
}

/// The pods that get requests.
async fn state(State(shared): State<Arc<Shared>>) -> Response {
    let pods: Vec<Value> = shared
        .pods()
        .iter()
        .map(|pod| json!({ "name": pod.name, "leader": pod.leads.load(Ordering::SeqCst) }))
        .collect();
    Json(json!({ "serving": !pods.is_empty(), "pods": pods })).into_response()
}

async fn log(State(shared): State<Arc<Shared>>) -> Response {
    Json(json!({ "requests": shared.requests() })).into_response()
}
