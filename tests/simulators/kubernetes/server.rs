//! Listening, the request log, faults on demand, and the way from an HTTP request to its answer.

use super::control::Fault;
use super::object::text;
use super::rbac::{User, Wish};
use super::request::{Place, Request};
use super::seed::{self, Scene};
use super::status::Failure;
use super::store::Store;
use super::verbs::{Call, Reply};
use super::watch::Plan;
use super::{control, controller, discovery, logs, openapi, streams};
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use hyper::upgrade::OnUpgrade;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// One cluster, as all its requests share it.
pub struct Cluster {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    store: Mutex<Store>,
    faults: Mutex<Vec<Fault>>,
    log: Mutex<Vec<Value>>,
    changed: watch::Sender<u64>,
}

/// A lock that a panicking test has poisoned still holds good data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// Serves a new cluster on the loopback; port 0 takes a free one. It ends with the runtime.
    pub async fn start(scene: Scene, uid: Option<&str>, port: u16) -> Result<Arc<Self>, String> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|why| format!("port {port}: {why}"))?;
        let address = listener.local_addr().map_err(|why| why.to_string())?;
        let cluster = Arc::new(Self {
            url: format!("http://{address}"),
            store: Mutex::new(seed::cluster(scene, uid, Timestamp::now())),
            faults: Mutex::default(),
            log: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&cluster));
        tokio::spawn(async move { axum::serve(listener, app).await });
        tokio::spawn(run(Arc::clone(&cluster)));
        Ok(cluster)
    }

    /// Does something to the state, lets the controller follow, and tells those who wait.
    pub fn change<T>(&self, what: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = lock(&self.store);
        let before = store.version();
        let done = what(&mut store);
        controller::settle(&mut store, Timestamp::now());
        if store.version() != before {
            self.changed.send_replace(store.version());
        }
        done
    }

    /// Wakes who waits for a change, when something else than an object has changed.
    pub fn wake(&self) {
        self.changed.send_replace(0);
    }

    /// Makes coming requests fail.
    pub fn add_fault(&self, fault: Fault) {
        lock(&self.faults).push(fault);
    }

    /// Forgets the faults.
    pub fn clear_faults(&self) {
        lock(&self.faults).clear();
    }

    /// The requests so far, in order; control requests are not among them.
    pub fn requests(&self) -> Vec<Value> {
        lock(&self.log).clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        lock(&self.log).clear();
    }

    fn take_fault(&self, request: &Request) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let fault = faults.iter_mut().find(|fault| fault.meets(request))?;
        fault.times -= 1;
        Some(fault.clone())
    }

    fn note(&self, request: &Request) -> usize {
        let body = request.document().unwrap_or_else(|_| json!(String::from_utf8_lossy(&request.body)));
        let query: serde_json::Map<String, Value> =
            request.query.pairs().iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let mut log = lock(&self.log);
        log.push(json!({
            "method": request.method.as_str(), "path": request.path, "query": query, "body": body,
            "user": request.header("impersonate-user"), "type": request.header("content-type"),
        }));
        log.len() - 1
    }
}

/// Wakes the controller whenever something is due.
async fn run(cluster: Arc<Cluster>) {
    let mut changed = cluster.changed.subscribe();
    loop {
        let due = {
            let mut store = lock(&cluster.store);
            let before = store.version();
            let due = controller::settle(&mut store, Timestamp::now());
            if store.version() != before {
                cluster.changed.send_replace(store.version());
            }
            due.time()
        };
        changed.mark_unchanged();
        let sleep = due.map_or(Duration::from_hours(1), |due| {
            Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
                + Duration::from_millis(1)
        });
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            still_there = changed.changed() => if still_there.is_err() { return },
        }
    }
}

async fn answer(State(cluster): State<Arc<Cluster>>, request: axum::extract::Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let Ok(body) = to_bytes(body, 4 << 20).await else {
        return Failure::new(413, "RequestEntityTooLarge", "the body is too large").into_response();
    };
    let request = Request::new(parts.method, &parts.uri, parts.headers, body.to_vec());
    if request.path == "/control" {
        return control::answer(&cluster, &request);
    }
    let place = cluster.note(&request);
    let fault = cluster.take_fault(&request);
    let response = match fault {
        None => respond(&cluster, &request, upgrade),
        Some(fault) => fault.answer(|| respond(&cluster, &request, upgrade)).await,
    };
    if let Some(entry) = lock(&cluster.log).get_mut(place) {
        entry["status"] = json!(response.status().as_u16());
    }
    response
}

fn respond(cluster: &Arc<Cluster>, request: &Request, upgrade: Option<OnUpgrade>) -> Response {
    let reads = request.method == "GET" || request.method == "HEAD";
    let done = if reads {
        handle(&mut lock(&cluster.store), request, &cluster.url)
    } else {
        cluster.change(|store| handle(store, request, &cluster.url))
    };
    match done {
        Err(failure) => failure.into_response(),
        Ok((reply, warnings)) => {
            let mut response = send(cluster, reply, upgrade);
            for warning in warnings {
                let text = format!("299 - \"{}\"", warning.replace('"', "\\\""));
                if let Ok(text) = text.parse() {
                    response.headers_mut().append("warning", text);
                }
            }
            response
        }
    }
}

fn send(cluster: &Arc<Cluster>, reply: Reply, upgrade: Option<OnUpgrade>) -> Response {
    match reply {
        Reply::Json(code, document) => {
            (StatusCode::from_u16(code).unwrap_or(StatusCode::OK), Json(document)).into_response()
        }
        Reply::Text(text) => text.into_response(),
        Reply::Bytes(kind, bytes) => ([("content-type", kind)], bytes).into_response(),
        Reply::Watch(plan) => {
            ([("content-type", "application/json")], watching(Arc::clone(cluster), *plan)).into_response()
        }
        Reply::Streams(session) => streams::upgrade(session, upgrade),
        Reply::Follow(follow) => {
            ([("content-type", "text/plain")], following(Arc::clone(cluster), follow)).into_response()
        }
    }
}

/// From a request to its answer and its warnings, with the state at hand.
fn handle(store: &mut Store, request: &Request, url: &str) -> Result<(Reply, Vec<String>), Failure> {
    let user = User::of(request, store)?;
    let path = request.path.trim_end_matches('/');
    if let Some(page) = page(store, request, path, url) {
        let verb = request.method.as_str().to_lowercase();
        Wish { verb: &verb, path, ..Wish::default() }.demand(store, &user)?;
        return page.map(|page| (page, Vec::new()));
    }
    let place = Place::parse(path).ok_or_else(Failure::no_path)?;
    let verb = place.verb(&request.method, &request.query);
    Wish::at(&place, verb).demand(store, &user)?;
    let kind = place.kind(&store.kinds)?.clone();
    let mut call = Call { store, kind, place, request, now: Timestamp::now(), warnings: Vec::new() };
    let reply = call.answer(&user)?;
    Ok((reply, call.warnings))
}

/// The answer for a path that is no resource.
fn page(store: &Store, request: &Request, path: &str, url: &str) -> Option<Result<Reply, Failure>> {
    let address = url.trim_start_matches("http://");
    let found = match path {
        "/version" => Ok(discovery::version(&store.scene)),
        "/healthz" | "/livez" | "/readyz" => return Some(Ok(Reply::Text("ok".to_owned()))),
        "/openapi/v2" if request.header("accept").contains("protobuf") => {
            let kind = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
            return Some(Ok(Reply::Bytes(kind, openapi::v2_protobuf(&store.kinds))));
        }
        "/openapi/v2" => Ok(openapi::v2(&store.kinds)),
        _ => match path.strip_prefix("/openapi/v3") {
            Some(below) => openapi::v3(&store.kinds, below.trim_start_matches('/')),
            None => {
                return discovery::page(&store.kinds, path, address)
                    .map(|page| page.map(|page| Reply::Json(200, page)));
            }
        },
    };
    Some(found.map(|page| Reply::Json(200, page)))
}

/// The body of a watch.
fn watching(cluster: Arc<Cluster>, plan: Plan) -> Body {
    let end = tokio::time::Instant::now() + plan.timeout.unwrap_or(Duration::from_hours(24));
    let changed = cluster.changed.subscribe();
    let start = (cluster, plan, changed, false);
    Body::from_stream(futures_util::stream::unfold(start, move |(cluster, mut plan, mut changed, over)| async move {
        if over {
            return None;
        }
        loop {
            changed.mark_unchanged();
            let (lines, over) = plan.next(&lock(&cluster.store), Timestamp::now());
            if !lines.is_empty() || over {
                return Some((Ok::<_, Infallible>(lines), (cluster, plan, changed, over)));
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(end) => {
                    let last = plan.mark().unwrap_or_default();
                    return Some((Ok(last), (cluster, plan, changed, true)));
                }
            }
        }
    }))
}

/// The body of a log that is followed.
fn following(cluster: Arc<Cluster>, follow: logs::Follow) -> Body {
    let changed = cluster.changed.subscribe();
    let start = (cluster, follow, changed, true);
    Body::from_stream(futures_util::stream::unfold(start, |(cluster, mut follow, mut changed, more)| async move {
        let first = std::mem::take(&mut follow.first);
        if !first.is_empty() {
            return Some((Ok::<_, Infallible>(first), (cluster, follow, changed, more)));
        }
        if !more {
            return None;
        }
        loop {
            changed.mark_unchanged();
            let (lines, more) = follow.next(&lock(&cluster.store));
            if !lines.is_empty() || !more {
                return Some((Ok(lines), (cluster, follow, changed, more)));
            }
            changed.changed().await.ok()?;
        }
    }))
}

/// What a fault answers: a status in the form of Kubernetes.
pub fn refusal(code: u16) -> Failure {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    Failure::new(code, reason, "injected by the test")
}

/// The uid of a cluster: that of its namespace `kube-system`.
pub fn cluster_uid(store: &Store) -> String {
    let key = super::store::Key::of("", "namespaces", "", "kube-system");
    store.get(&key).map(|home| text(home, "/metadata/uid").to_owned()).unwrap_or_default()
}
