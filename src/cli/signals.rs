//! Signals of the operating system, handed to the run.

use super::failure::CommandError;
use crate::engine::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Listens for SIGINT, SIGTERM and SIGHUP. From then on they no longer end the process by themselves.
///
/// Must be called inside a runtime.
pub(super) fn listen() -> Result<Receiver<Signal>, CommandError> {
    let (sender, receiver) = channel(8);
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let stream = signal(kind).map_err(|source| CommandError::SetUp { what: "signals", source })?;
        tokio::spawn(hand_on(stream, kind, sender.clone()));
    }
    Ok(receiver)
}

async fn hand_on(mut stream: Stream, kind: SignalKind, sender: Sender<Signal>) {
    while stream.recv().await.is_some() {
        if sender.send(Signal::Stop(kind.as_raw_value())).await.is_err() {
            return;
        }
    }
}
