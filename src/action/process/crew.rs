//! Threads that watch children. One is made when none is idle, so there are never more than attempts at once; it stays
//! for the next attempt, because making a thread costs a tenth of starting a program.

use crate::engine::Performed;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::oneshot;

/// One attempt to be watched, and where its report goes.
pub(super) struct Duty {
    pub(super) attempt: Box<dyn FnOnce() -> Performed + Send>,
    pub(super) report: oneshot::Sender<Performed>,
}

/// A thread that is idle: it waits at the other end of this channel.
struct Idle(SyncSender<Order>);

/// A duty together with the thread's own end of the channel. While a thread is busy nobody else holds that end, so
/// that it ends when the crew is gone.
struct Order {
    duty: Duty,
    own: Idle,
}

type List = Mutex<Vec<Idle>>;

/// Watching threads. They end with the crew, each after its attempt.
#[derive(Default)]
pub(in crate::action) struct Crew {
    idle: Arc<List>,
}

impl Crew {
    /// Has an attempt watched.
    ///
    /// # Errors
    /// No thread can be made; the attempt was not begun.
    pub(super) fn assign(&self, duty: Duty) -> io::Result<()> {
        let waiting = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let order = match waiting {
            Some(thread) => {
                // There is room for one order, and only the holder of this end can place one.
                match thread.0.clone().try_send(Order { duty, own: thread }) {
                    Ok(()) => return Ok(()),
                    Err(refused) => match refused {
                        std::sync::mpsc::TrySendError::Full(order)
                        | std::sync::mpsc::TrySendError::Disconnected(order) => order.duty,
                    },
                }
            }
            None => duty,
        };
        let (sender, orders) = sync_channel(1);
        let first = Order { duty: order, own: Idle(sender) };
        let idle = Arc::downgrade(&self.idle);
        std::thread::Builder::new().name("attempt".to_owned()).spawn(move || member(first, &orders, &idle))?;
        Ok(())
    }
}

/// The life of one thread.
fn member(first: Order, orders: &Receiver<Order>, idle: &Weak<List>) {
    let mut next = Some(first);
    while let Some(Order { duty, own }) = next {
        let performed = (duty.attempt)();
        if let Some(idle) = idle.upgrade() {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(own);
        } else {
            drop(own);
        }
        // Told after this thread is idle, so that the next attempt of a chain finds it. Nobody listens any more when
        // the runtime is gone; the attempt is over all the same.
        drop(duty.report.send(performed));
        next = orders.recv().ok();
    }
}
