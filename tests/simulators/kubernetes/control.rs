//! What a test may do to a cluster: `POST /control` sets the scene, `GET /control` tells what was asked.

use super::object::set;
use super::request::Request;
use super::seed::{Failing, Forward, Pods, Probed, Program, Said, fits};
use super::server::{Cluster, cluster_uid, refusal};
use super::status::Failure;
use super::store::{Key, Store};
use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Something that goes wrong with the next requests of a path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The path exactly, or a beginning that ends in `*`; every path when absent.
    #[serde(default = "every")]
    pub path: String,
    /// The HTTP method; every one when absent.
    pub method: Option<String>,
    /// How many requests it meets.
    #[serde(default = "once")]
    pub times: u32,
    /// Waits so long first.
    #[serde(default)]
    pub delay_ms: u64,
    /// Never answers.
    #[serde(default)]
    pub hang: bool,
    /// Answers this status instead.
    pub status: Option<u16>,
    /// With the status: when the client may try again, in seconds. Without it kubectl does not.
    pub retry_after: Option<u32>,
    /// Answers something that is no JSON.
    #[serde(default)]
    pub garbage: bool,
    /// Closes the connection in the middle of the answer.
    #[serde(default)]
    pub cut: bool,
    /// Whether the request takes effect all the same, before its answer is replaced.
    #[serde(default)]
    pub perform: bool,
}

fn every() -> String {
    "*".to_owned()
}

fn once() -> u32 {
    1
}

impl Fault {
    /// Whether it is about this request, and has not met enough yet.
    pub fn meets(&self, request: &Request) -> bool {
        let method = self.method.as_ref().is_none_or(|want| request.method.as_str().eq_ignore_ascii_case(want));
        self.times > 0 && method && fits(&self.path, &request.path)
    }

    /// The answer that the request gets.
    pub async fn answer(&self, perform: impl FnOnce() -> Response) -> Response {
        tokio::time::sleep(Duration::from_millis(self.delay_ms)).await;
        let replaced = self.status.is_some() || self.garbage || self.hang;
        let done = (self.perform || !replaced).then(perform);
        if self.hang {
            std::future::pending::<()>().await;
        }
        if let Some(code) = self.status {
            let mut response = refusal(code).into_response();
            if let Some(seconds) = self.retry_after {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            return response;
        }
        match done {
            Some(response) if self.cut => cut(response).await,
            Some(response) if !self.garbage => response,
            _ => {
                ([("content-type", "application/json")], "{\"kind\": \"Pod\", \"metadata\": {\"name\"").into_response()
            }
        }
    }
}

/// Half of an answer, and then the end of the connection.
async fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove("content-length");
    let half: Result<Bytes, std::io::Error> = Ok(bytes.slice(..bytes.len() / 2));
    let broken = Err(std::io::ErrorKind::ConnectionReset.into());
    Response::from_parts(parts, Body::from_stream(futures_util::stream::iter([half, broken])))
}

/// Everything that one control request may change. What is absent stays.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// The next requests of a path go wrong.
    pub fault: Option<Fault>,
    /// No request goes wrong any more.
    pub clear_faults: bool,
    /// These pods do not get ready, and stop being ready.
    pub stuck: Option<Pods>,
    /// All pods may get ready again.
    pub release: bool,
    /// Pods of which only those that are named get ready, in the place of what was said about them before.
    pub probed: Option<Probed>,
    /// A job fails.
    pub fail_job: Option<Failing>,
    /// A container says something.
    pub logs: Option<Said>,
    /// A port of a pod leads somewhere.
    pub forward: Option<Forward>,
    /// A program does something when it is started in a container.
    pub exec: Option<Program>,
    /// The uid of the namespace `kube-system`: another cluster.
    pub uid: Option<String>,
    /// The controller stops, or goes on.
    pub frozen: Option<bool>,
    /// How long a pod takes to get ready.
    pub ready_after_ms: Option<u64>,
    /// How long a pod takes to go.
    pub gone_after_ms: Option<u64>,
    /// A bearer token and whose it is.
    pub token: Option<(String, String)>,
    /// Forgets old changes: a watch from before has to start over.
    pub compact: bool,
    /// Forgets the requests so far.
    pub clear_requests: bool,
}

/// Answers a control request.
pub fn answer(cluster: &Cluster, request: &Request) -> Response {
    if request.method == "GET" {
        let uid = cluster.change(|store| cluster_uid(store));
        return Json(json!({ "requests": cluster.requests(), "uid": uid })).into_response();
    }
    let read = request.document().and_then(|body: Value| {
        serde_json::from_value::<Control>(body).map_err(|why| Failure::bad(format!("no such control: {why}")))
    });
    match read {
        Err(failure) => failure.into_response(),
        Ok(control) => {
            carry_out(cluster, control);
            Json(json!({ "done": true })).into_response()
        }
    }
}

fn carry_out(cluster: &Cluster, control: Control) {
    if control.clear_faults {
        cluster.clear_faults();
    }
    if control.clear_requests {
        cluster.clear_requests();
    }
    if let Some(fault) = control.fault.clone() {
        cluster.add_fault(fault);
    }
    cluster.change(|store| set_scene(store, control));
    cluster.wake();
}

fn set_scene(store: &mut Store, control: Control) {
    let scene = &mut store.scene;
    if control.release {
        scene.stuck.clear();
    }
    scene.stuck.extend(control.stuck);
    if let Some(probed) = control.probed {
        scene.probed.retain(|old| (&old.namespace, &old.name) != (&probed.namespace, &probed.name));
        scene.probed.push(probed);
    }
    scene.failing.extend(control.fail_job);
    scene.said.extend(control.logs.map(|said| Said { told: Some(Timestamp::now()), ..said }));
    scene.forwards.extend(control.forward);
    scene.programs.extend(control.exec);
    scene.tokens.extend(control.token);
    scene.frozen = control.frozen.unwrap_or(scene.frozen);
    scene.ready_after = control.ready_after_ms.map_or(scene.ready_after, Duration::from_millis);
    scene.gone_after = control.gone_after_ms.map_or(scene.gone_after, Duration::from_millis);
    if let Some(uid) = control.uid {
        let key = Key::of("", "namespaces", "", "kube-system");
        store.edit(&key, |home| set(home, &["metadata", "uid"], json!(uid)));
    }
    if control.compact {
        store.compact();
    }
}
