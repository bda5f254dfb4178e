//! Signals of the operating system, handed to the run.

use super::failure::CommandError;
use crate::engine::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How long after a program at our terminal has ended a key may still be on its way to us.
const LATE: Duration = Duration::from_millis(100);

/// Whether a program has our terminal. The keys that end programs are for it then, and reach us as well because it is
/// in our process group.
#[derive(Clone, Default)]
pub(super) struct Lent(Arc<AtomicBool>);

impl Lent {
    /// Lets a program have the terminal.
    pub(super) fn while_lent<T>(&self, lend: impl FnOnce() -> T) -> T {
        self.0.store(true, Ordering::Relaxed);
        let came = lend();
        // What ended the program was sent to us in the same moment, and is read by another thread.
        std::thread::sleep(LATE);
        self.0.store(false, Ordering::Relaxed);
        came
    }
}

/// Listens for SIGINT, SIGQUIT, SIGTERM and SIGHUP. From then on they no longer end the process by themselves.
///
/// Must be called inside a runtime.
pub(super) fn listen(lent: &Lent) -> Result<Receiver<Signal>, CommandError> {
    let (sender, receiver) = channel(8);
    let keys = [SignalKind::interrupt(), SignalKind::quit()];
    for kind in [keys[0], keys[1], SignalKind::terminate(), SignalKind::hangup()] {
        let stream = signal(kind).map_err(|source| CommandError::SetUp { what: "signals", source })?;
        let lent = if keys.contains(&kind) { lent.clone() } else { Lent::default() };
        tokio::spawn(hand_on(stream, kind, lent, sender.clone()));
    }
    Ok(receiver)
}

async fn hand_on(mut stream: Stream, kind: SignalKind, lent: Lent, sender: Sender<Signal>) {
    while stream.recv().await.is_some() {
        if lent.0.load(Ordering::Relaxed) {
            continue;
        }
        if sender.send(Signal::Stop(kind.as_raw_value())).await.is_err() {
            return;
        }
    }
}
