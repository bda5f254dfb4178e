//! The address in front of the pods: it listens while a pod is ready, and hands each request to one of them in turn.

use super::cluster::Cluster;
use super::journal::Journal;
use super::pod::Pod;
use super::scene::Scene;
use super::settings::{Environment, go_duration};
use super::{handlers, pod, replicas};
use crate::stemedb::server::{Fault, Peer, Severing};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the simulator was started with.
pub(crate) struct Options {
    /// The variables of every pod, under those of its own.
    pub(crate) environment: Environment,
    /// How long an answer of the cluster about a right is kept.
    pub(crate) sar_cache: Duration,
    /// How often a worker looks for a job, in place of the setting.
    pub(crate) job_poll: Option<Duration>,
    /// The pause between two looks at the lease.
    pub(crate) lease_retry: Duration,
    /// Where the log goes, beside stderr.
    pub(crate) log: Option<PathBuf>,
}

/// What all pods share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) journal: Journal,
    pub(crate) cluster: Option<Cluster>,
    scene: Mutex<Scene>,
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<Vec<Value>>,
    rotation: watch::Sender<Vec<Arc<Pod>>>,
    turn: AtomicUsize,
}

/// A lock that a panicking test has poisoned still holds good data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// What goes wrong.
    pub(crate) fn scene(&self) -> MutexGuard<'_, Scene> {
        lock(&self.scene)
    }

    /// Makes coming requests fail.
    pub(crate) fn add_fault(&self, fault: Fault) {
        lock(&self.faults).push(fault);
    }

    /// Forgets faults and requests.
    pub(crate) fn clear(&self) {
        lock(&self.faults).clear();
        lock(&self.requests).clear();
    }

    /// The requests so far, in order.
    pub(crate) fn requests(&self) -> Vec<Value> {
        lock(&self.requests).clone()
    }

    /// The pods that get requests.
    pub(crate) fn pods(&self) -> Vec<Arc<Pod>> {
        self.rotation.borrow().clone()
    }

    /// Puts a pod among those that get requests, or takes it out.
    pub(crate) fn rotate(&self, pod: &Arc<Pod>, is_in: bool) {
        self.rotation.send_if_modified(|pods| {
            let place = pods.iter().position(|own| Arc::ptr_eq(own, pod));
            match (place, is_in) {
                (None, true) => pods.push(Arc::clone(pod)),
                (Some(place), false) => drop(pods.remove(place)),
                _ => return false,
            }
            true
        });
    }

    fn take_fault(&self, method: &str, path: &str) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let fault = faults.iter_mut().find(|fault| fault.meets(method, path))?;
        fault.times -= 1;
        Some(fault.clone())
    }

    fn next_pod(&self) -> Option<Arc<Pod>> {
        let pods = self.rotation.borrow();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        pods.get(turn % pods.len().max(1)).cloned()
    }
}

/// Begins: the pods live, and the address is kept whether somebody listens there or not. Gives the state and the address.
pub(crate) async fn start(
    options: Options,
    cluster: Option<Cluster>,
    port: u16,
) -> Result<(Arc<Shared>, SocketAddr), String> {
    let socket = reserve(port)?;
    let address = socket.local_addr().map_err(|why| why.to_string())?;
    let shared = Arc::new(Shared {
        journal: Journal::start(options.log.clone(), cluster.clone()),
        options,
        cluster: cluster.clone(),
        scene: Mutex::new(Scene::new()),
        faults: Mutex::default(),
        requests: Mutex::default(),
        rotation: watch::Sender::default(),
        turn: AtomicUsize::new(0),
    });
    tokio::spawn(listen(Arc::clone(&shared), socket, address.port()));
    match cluster {
        None => {
            let plan = pod::Plan::alone(shared.options.environment.clone());
            tokio::spawn(pod::live(Arc::clone(&shared), plan, CancellationToken::new()));
        }
        Some(cluster) => {
            cluster.ready(&[]).await;
            tokio::spawn(tell_ready(Arc::clone(&shared), cluster.clone()));
            tokio::spawn(replicas::follow(Arc::clone(&shared), cluster));
        }
    }
    Ok((shared, address))
}

/// Tells the cluster which pods are ready, whenever that changes.
async fn tell_ready(shared: Arc<Shared>, cluster: Cluster) {
    let mut changes = shared.rotation.subscribe();
    while changes.changed().await.is_ok() {
        let names: Vec<String> = changes.borrow_and_update().iter().map(|pod| pod.name.clone()).collect();
        cluster.ready(&names).await;
    }
}

/// The address, bound and not listening: who connects is refused.
fn reserve(port: u16) -> Result<TcpSocket, String> {
    let reserve = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(socket)
    };
    reserve().map_err(|why: std::io::Error| format!("port {port}: {why}"))
}

/// Listens while there is a pod for requests.
async fn listen(shared: Arc<Shared>, first: TcpSocket, port: u16) {
    let mut socket = Some(first);
    let mut changes = shared.rotation.subscribe();
    loop {
        if changes.wait_for(|pods| !pods.is_empty()).await.is_err() {
            return;
        }
        let bound = match socket.take() {
            Some(socket) => Ok(socket),
            None => reserve(port),
        };
        let listener: TcpListener = match bound.and_then(|socket| socket.listen(1024).map_err(|why| why.to_string())) {
            Ok(listener) => listener,
            Err(why) => {
                shared.journal.line("", format!("FATAL {why}"));
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let app = app.into_make_service_with_connect_info::<Peer>();
        let mut ends = shared.rotation.subscribe();
        let emptied = async move {
            drop(ends.wait_for(Vec::is_empty).await);
        };
        let serve = axum::serve(Severing(listener), app).with_graceful_shutdown(emptied);
        // The listener is gone at once; connections with a request in hand end after it, beside us.
        let serving = tokio::spawn(async move { serve.await });
        drop(changes.wait_for(Vec::is_empty).await);
        socket = reserve_again(port).await;
        drop(serving);
    }
}

/// The address again, as soon as the listener has let it go.
async fn reserve_again(port: u16) -> Option<TcpSocket> {
    for _ in 0..100 {
        if let Ok(socket) = reserve(port) {
            return Some(socket);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

/// One request from its arrival to its line in the log.
async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: axum::extract::Request,
) -> Response {
    let begin = Instant::now();
    let Some(pod) = shared.next_pod() else {
        // A connection from before the last pod went.
        peer.sever();
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let (method, path) = (parts.method.as_str().to_owned(), parts.uri.path().to_owned());
    let place = note(&shared, &pod, &parts, &body);
    let call = handlers::Call::new(&shared, &pod, &parts);
    let response = match shared.take_fault(&method, &path) {
        None => call.answer().await,
        Some(fault) => faulty(&fault, &peer, call).await,
    };
    let status = response.status().as_u16().to_string();
    let (took, query) = (go_duration(begin.elapsed()), parts.uri.query().unwrap_or_default().to_owned());
    let fields = [
        ("method", method.as_str()),
        ("path", &path),
        ("query", &query),
        ("status", &status),
        ("duration", &took),
        ("user", &super::access::Person::of(&parts.headers).user),
    ];
    shared.journal.say(&pod.name, "INFO", "request completed", &fields);
    if let Some(entry) = lock(&shared.requests).get_mut(place) {
        entry["status"] = json!(response.status().as_u16());
    }
    response
}

async fn faulty(fault: &Fault, peer: &Peer, call: handlers::Call<'_>) -> Response {
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    let performed =
        if fault.perform || (fault.status.is_none() && !fault.drop) { Some(call.answer().await) } else { None };
    if fault.drop {
        peer.sever();
    }
    match (fault.status.and_then(|code| StatusCode::from_u16(code).ok()), performed) {
        (Some(status), _) => (status, axum::Json(json!({ "error": "injected by the test" }))).into_response(),
        (None, Some(response)) => response,
        (None, None) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Writes a request down as it comes, so that the order is the order of arrival.
fn note(shared: &Shared, pod: &Pod, parts: &axum::http::request::Parts, body: &[u8]) -> usize {
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let mut requests = lock(&shared.requests);
    requests.push(json!({
        "method": parts.method.as_str(), "path": parts.uri.path(), "query": parts.uri.query(), "headers": headers,
        "body": String::from_utf8_lossy(body), "pod": pod.name,
    }));
    requests.len() - 1
}
