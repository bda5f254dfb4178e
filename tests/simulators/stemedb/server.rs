//! Listening, the request log, faults on demand, and the end.

use super::config::Settings;
use super::state::World;
use super::{control, routes};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::serve::{IncomingStream, Listener};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Something that goes wrong with the next requests of a path.
#[derive(Clone, Debug, Deserialize)]
pub struct Fault {
    /// The path exactly, or a beginning that ends in `*`.
    pub path: String,
    /// The verb; every one when absent.
    pub method: Option<String>,
    /// The status answered instead.
    pub status: Option<u16>,
    /// How long to wait first.
    #[serde(default)]
    pub delay_ms: u64,
    /// How many requests it meets.
    #[serde(default = "once")]
    pub times: u32,
    /// Closes the connection without an answer.
    #[serde(default)]
    pub drop: bool,
    /// Whether the request takes effect all the same, before its answer is replaced or lost.
    #[serde(default)]
    pub perform: bool,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// Whether it is about this request, and has not met enough yet.
    pub fn meets(&self, method: &str, path: &str) -> bool {
        let path_fits = self.path.strip_suffix('*').map_or(self.path == path, |start| path.starts_with(start));
        self.times > 0 && path_fits && self.method.as_ref().is_none_or(|want| want.eq_ignore_ascii_case(method))
    }
}

/// What all requests share.
pub struct Shared {
    world: Mutex<World>,
    faults: Mutex<Vec<Fault>>,
    log: Mutex<Vec<Value>>,
    end: watch::Sender<Option<String>>,
}

/// A lock that a panicking test has poisoned still holds good data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The state.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Makes coming requests fail.
    pub fn add_fault(&self, fault: Fault) {
        lock(&self.faults).push(fault);
    }

    /// The requests so far, in order.
    pub fn log(&self) -> Vec<Value> {
        lock(&self.log).clone()
    }

    /// Forgets faults and requests.
    pub fn clear(&self) {
        lock(&self.faults).clear();
        lock(&self.log).clear();
    }

    /// Ends the service with a reason, once the answer in hand is out.
    pub fn die(&self, why: &str) {
        self.end.send_replace(Some(why.to_owned()));
    }

    fn take_fault(&self, method: &str, path: &str) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let fault = faults.iter_mut().find(|fault| fault.meets(method, path))?;
        fault.times -= 1;
        Some(fault.clone())
    }
}

/// A server that is up. Dropping it stops the server.
pub struct Running {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// Its state, for tests in the same process.
    pub shared: Arc<Shared>,
    end: watch::Receiver<Option<String>>,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

impl Running {
    /// Waits until the service ends by itself; the reason.
    pub async fn ended(&mut self) -> String {
        match self.end.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "the server is gone".to_owned(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts serving on the loopback; port 0 takes a free one. An error is a line for the service's own log.
pub async fn start(settings: Settings, port: u16) -> Result<Running, String> {
    let world = World::new(settings)?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|e| format!("port {port}: {e}"))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let (sender, end) = watch::channel(None);
    let shared = Arc::new(Shared {
        world: Mutex::new(world),
        faults: Mutex::new(Vec::new()),
        log: Mutex::new(Vec::new()),
        end: sender,
    });
    let app = Router::new()
        .merge(routes::routes())
        .merge(control::routes())
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), around))
        .with_state(Arc::clone(&shared))
        .into_make_service_with_connect_info::<Peer>();
    let task = tokio::spawn(async move { axum::serve(Severing(listener), app).await });
    Ok(Running { url: format!("http://{address}"), shared, end, task })
}

/// What happens around every request of the service: log, faults, CORS. The control routes are left alone.
async fn around(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    if path.starts_with("/_sim/") {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let place = note(&shared, &parts, &bytes);
    let origin = parts.headers.get("origin").cloned();
    let fault = shared.take_fault(parts.method.as_str(), &path);
    let request = Request::from_parts(parts, Body::from(bytes));
    let mut response = match fault {
        None => next.run(request).await,
        Some(fault) => faulty(&fault, &peer, request, next).await,
    };
    let status = response.status().as_u16();
    let mut world = shared.world();
    *world.answered.entry(status).or_insert(0) += 1;
    if let Some(origin) = origin
        && world.settings().origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes())
    {
        response.headers_mut().insert("access-control-allow-origin", origin);
    }
    drop(world);
    if let Some(entry) = lock(&shared.log).get_mut(place) {
        entry["status"] = json!(status);
    }
    response
}

async fn faulty(fault: &Fault, peer: &Peer, request: Request, next: Next) -> Response {
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    let performed =
        if fault.perform || (fault.status.is_none() && !fault.drop) { Some(next.run(request).await) } else { None };
    if fault.drop {
        peer.sever();
    }
    match (fault.status.and_then(|code| StatusCode::from_u16(code).ok()), performed) {
        (Some(status), _) => (status, Json(json!({ "error": "injected by the test" }))).into_response(),
        (None, Some(response)) => response,
        (None, None) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Writes a request into the log as it comes, so that the order is the order of arrival.
fn note(shared: &Shared, parts: &axum::http::request::Parts, body: &Bytes) -> usize {
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let body = serde_json::from_slice(body).unwrap_or_else(|_| match body.len() {
        0 => Value::Null,
        _ => json!(String::from_utf8_lossy(body)),
    });
    let mut log = lock(&shared.log);
    log.push(json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "headers": headers,
        "body": body,
    }));
    log.len() - 1
}

/// One client: whether its connection is to be cut.
#[derive(Clone, Debug)]
pub struct Peer {
    severed: Arc<AtomicBool>,
}

impl Peer {
    /// Cuts the connection before anything more is written to it.
    pub fn sever(&self) {
        self.severed.store(true, Ordering::SeqCst);
    }
}

impl axum::extract::connect_info::Connected<IncomingStream<'_, Severing>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Severing>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A listener whose connections can be cut in the middle: a lost answer is a case the program under test must get right.
pub struct Severing(pub TcpListener);

impl Listener for Severing {
    type Io = Severable;
    type Addr = Peer;

    async fn accept(&mut self) -> (Severable, Peer) {
        loop {
            // An accept that fails (too many open files, a client gone already) is tried again, with a breath between.
            let Ok((stream, _address)) = self.0.accept().await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let severed = Arc::new(AtomicBool::new(false));
            let peer = Peer { severed: Arc::clone(&severed) };
            return (Severable { stream, severed }, peer);
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        // Asked only to learn whether the socket is alive; a listener has no connection that could be cut.
        self.0.local_addr().map(|_| Peer { severed: Arc::new(AtomicBool::new(false)) })
    }
}

/// A connection that breaks at its next write once it is severed.
pub struct Severable {
    stream: TcpStream,
    severed: Arc<AtomicBool>,
}

impl AsyncRead for Severable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Severable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.severed.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
