//! `port-forward` and `exec`: a connection that becomes streams.
//!
//! A forwarded port leads to an address that the control endpoint names. A program is one that the control endpoint
//! describes, or `echo`, `cat`, `true` or `false`.

use super::object::{name, namespace};
use super::seed::{Forward, Program, Scene, fits};
use super::spdy::{Event, Incoming, Outgoing, compression, split};
use super::status::Failure;
use super::verbs::{Call, Reply};
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// What a connection becomes.
#[derive(Debug)]
pub enum Session {
    /// Ports of a pod, each with the address it leads to.
    Forward(BTreeMap<String, String>),
    /// A program in a container, and how many streams its client opens.
    Exec(Program, usize),
}

/// Answers `pods/NAME/portforward` and `pods/NAME/exec`.
pub fn answer(call: &Call) -> Result<Reply, Failure> {
    let pod = call.old()?;
    let wanted = call.request.header("upgrade");
    if !wanted.eq_ignore_ascii_case("SPDY/3.1") {
        // A client that comes with a websocket tries SPDY then.
        return Err(Failure::bad(format!("this server upgrades to SPDY/3.1 only, not to {wanted:?}")));
    }
    if !super::object::items(pod, "/status/containerStatuses").iter().any(|one| one["state"]["running"].is_object()) {
        return Err(Failure::new(500, "InternalError", format!("pod {} is not running", name(pod))));
    }
    let scene = &call.store.scene;
    let session = if call.place.subresource == "portforward" {
        Session::Forward(ports(scene, pod))
    } else {
        let words = call.request.query.pairs().iter().filter(|(key, _)| key == "command");
        let command: Vec<String> = words.map(|(_, word)| word.clone()).collect();
        let streams = ["stdin", "stdout", "stderr"].iter().filter(|key| call.request.query.on(key)).count();
        Session::Exec(program(scene, pod, call.request.query.get("container"), command), streams + 1)
    };
    Ok(Reply::Streams(session))
}

fn ports(scene: &Scene, pod: &Value) -> BTreeMap<String, String> {
    let is_meant = |rule: &&Forward| {
        fits(&rule.pod, name(pod)) && rule.namespace.as_deref().is_none_or(|own| own == namespace(pod))
    };
    scene.forwards.iter().filter(is_meant).map(|rule| (rule.port.to_string(), rule.to.clone())).collect()
}

/// The program that a command is: one that was described, or one of the few that are always there.
fn program(scene: &Scene, pod: &Value, container: &str, command: Vec<String>) -> Program {
    let rule = scene.programs.iter().rev().find(|rule| {
        fits(&rule.pod, name(pod))
            && rule.namespace.as_deref().is_none_or(|own| own == namespace(pod))
            && rule.container.as_deref().is_none_or(|own| own == container)
            && command.starts_with(&rule.command)
    });
    if let Some(rule) = rule {
        return rule.clone();
    }
    let (stdout, stderr, exit) = match command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["echo", ref words @ ..] => (format!("{}\n", words.join(" ")), String::new(), 0),
        ["cat" | "true"] => (String::new(), String::new(), 0),
        ["false"] => (String::new(), String::new(), 1),
        _ => (String::new(), format!("no such program here: {}\n", command.join(" ")), 127),
    };
    Program { copies_input: command == ["cat"], stdout, stderr, exit, command, ..Program::default() }
}

/// Switches the protocol and goes on in the background.
pub fn upgrade(session: Session, upgrade: Option<OnUpgrade>) -> Response {
    let Some(upgrade) = upgrade else { return Failure::bad("this connection cannot be upgraded").into_response() };
    let protocol = match &session {
        Session::Forward(_) => "portforward.k8s.io",
        Session::Exec(..) => "v4.channel.k8s.io",
    };
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            let _a_client_may_hang_up = run(session, TokioIo::new(connection)).await;
        }
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "Upgrade")
        .header("upgrade", "SPDY/3.1")
        .header("x-stream-protocol-version", protocol);
    response.body(Body::empty()).unwrap_or_default()
}

async fn run<S: AsyncRead + AsyncWrite + Send + 'static>(session: Session, connection: S) -> io::Result<()> {
    let (incoming, outgoing) = split(connection);
    match session {
        Session::Forward(ports) => forward(&ports, incoming, &outgoing).await,
        Session::Exec(program, streams) => exec(&program, streams, incoming, &outgoing).await,
    }
}

/// Each connection of the client is two streams with one `requestid`: `error`, then `data`.
async fn forward<R: AsyncRead + Unpin>(
    ports: &BTreeMap<String, String>,
    mut incoming: Incoming<R>,
    outgoing: &Outgoing,
) -> io::Result<()> {
    let mut headers = compression()?;
    let mut errors: BTreeMap<String, u32> = BTreeMap::new();
    let mut inputs: BTreeMap<u32, mpsc::UnboundedSender<Vec<u8>>> = BTreeMap::new();
    while let Some(event) = incoming.next().await? {
        match event {
            Event::Opened(stream, said) => {
                outgoing.accept(stream, &mut headers);
                let part = |key: &str| said.get(key).cloned().unwrap_or_default();
                if part("streamtype") == "error" {
                    errors.insert(part("requestid"), stream);
                } else {
                    let (sender, input) = mpsc::unbounded_channel();
                    inputs.insert(stream, sender);
                    let error = errors.remove(&part("requestid")).unwrap_or_default();
                    let target = ports.get(&part("port")).cloned();
                    let refusal =
                        format!("error forwarding port {0} to pod: connection to 127.0.0.1:{0} refused", part("port"));
                    tokio::spawn(carry(outgoing.clone(), (stream, error), target, refusal, input));
                }
            }
            Event::Data(stream, bytes, last) => {
                if let Some(input) = inputs.get(&stream) {
                    let _the_other_side_may_be_gone = input.send(bytes);
                }
                if last {
                    inputs.remove(&stream);
                }
            }
        }
    }
    Ok(())
}

/// Carries one forwarded connection until either side has had enough.
async fn carry(
    outgoing: Outgoing,
    (stream, error): (u32, u32),
    target: Option<String>,
    refusal: String,
    mut input: mpsc::UnboundedReceiver<Vec<u8>>,
) {
    let connection = match target {
        Some(target) => TcpStream::connect(target).await.ok(),
        None => None,
    };
    let Some(connection) = connection else {
        outgoing.data(error, refusal.as_bytes(), true);
        outgoing.data(stream, &[], true);
        return;
    };
    let (mut from, mut to) = connection.into_split();
    let there = tokio::spawn(async move {
        while let Some(bytes) = input.recv().await {
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _it_is_over_anyway = to.shutdown().await;
    });
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        outgoing.data(stream, &buffer[..length], false);
    }
    outgoing.data(stream, &[], true);
    outgoing.data(error, &[], true);
    there.abort();
}

/// Waits for all streams, runs the program, and says how it ended.
async fn exec<R: AsyncRead + Unpin>(
    program: &Program,
    wanted: usize,
    mut incoming: Incoming<R>,
    outgoing: &Outgoing,
) -> io::Result<()> {
    let mut headers = compression()?;
    let mut streams: BTreeMap<String, u32> = BTreeMap::new();
    let mut input_is_over = false;
    let mut input = Vec::new();
    while streams.len() < wanted || (program.copies_input && streams.contains_key("stdin") && !input_is_over) {
        match incoming.next().await? {
            None => return Ok(()),
            Some(Event::Opened(stream, said)) => {
                outgoing.accept(stream, &mut headers);
                streams.insert(said.get("streamtype").cloned().unwrap_or_default(), stream);
            }
            Some(Event::Data(stream, bytes, last)) if streams.get("stdin") == Some(&stream) => {
                input.extend(bytes);
                input_is_over |= last;
            }
            Some(Event::Data(..)) => {}
        }
    }
    let stdout = if program.copies_input { &input } else { program.stdout.as_bytes() };
    for (kind, bytes) in [("stdout", stdout), ("stderr", program.stderr.as_bytes())] {
        if let Some(stream) = streams.get(kind) {
            outgoing.data(*stream, bytes, true);
        }
    }
    if let Some(stream) = streams.get("error") {
        outgoing.data(*stream, end(program.exit).to_string().as_bytes(), true);
    }
    // The client closes the connection when it has read everything.
    while incoming.next().await?.is_some() {}
    Ok(())
}

fn end(exit: u8) -> Value {
    if exit == 0 {
        return json!({ "metadata": {}, "status": "Success" });
    }
    let message = format!("command terminated with non-zero exit code: exit status {exit}");
    json!({
        "metadata": {}, "status": "Failure", "message": message, "reason": "NonZeroExitCode",
        "details": { "causes": [{ "reason": "ExitCode", "message": exit.to_string() }] },
    })
}
