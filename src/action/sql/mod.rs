//! SQL on PostgreSQL: one session per attempt, one conversation per session.
//!
//! The session is driven by the attempt itself, so it is gone when the attempt is. When time is over or somebody wants
//! it to stop, the server is told so on a second connection, and its answer is waited for.

mod answer;
mod bind;
mod conversation;
mod decode;
mod report;
mod session;
mod tls;
mod trouble;
mod wire;

use super::outcome::{cancelled_before_start, span};
use crate::engine::{AttemptContext, Performed};
use crate::event::ErrorClass;
use crate::plan::SqlAct;
use conversation::{Conversation, Failure};
use report::{End, Stop};
use session::{Doorway, Session};
use std::time::Duration;
use tokio::time::Instant;
use trouble::Trouble;

/// How long a session may take to be opened, name look-up and TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may take to stop, and to take leave.
const LEAVE: Duration = Duration::from_secs(5);

/// Performs statements to their end: answered, refused, broken, late or stopped.
pub(super) async fn perform(act: SqlAct, context: AttemptContext) -> Performed {
    if context.cancel.is_cancelled() {
        return cancelled_before_start();
    }
    let began = Instant::now();
    let doorway = match Doorway::new(&act.target, &context.marker) {
        Ok(doorway) => doorway,
        Err(refusal) => return refusal.report(&*context.evidence),
    };
    let place = doorway.place();
    let conversation = match Conversation::new(act, context.timeout + LEAVE) {
        Ok(conversation) => conversation,
        Err(refusal) => return refusal.report(&*context.evidence),
    };
    let (end, notices) = match open(&doorway, &context, began).await {
        Ok(session) => converse(session, &conversation, &context, began).await,
        Err(end) => (end, Vec::new()),
    };
    report::report(conversation, end, &notices, &place, &context, began.elapsed())
}

/// Opens a session within its time.
async fn open(doorway: &Doorway, context: &AttemptContext, began: Instant) -> Result<Session, End> {
    let bound = context.timeout.min(CONNECT);
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(End::NotBegun(Stop::Cancelled)),
        opened = tokio::time::timeout_at(began + bound, doorway.open()) => match opened {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(trouble)) => Err(End::Broken(trouble)),
            Err(_) if bound < context.timeout => {
                let message = format!("no session at `{}` within {}", doorway.place(), span(bound));
                Err(End::Broken(Trouble::before(ErrorClass::Timeout, message)))
            }
            Err(_) => Err(End::NotBegun(Stop::TimedOut)),
        },
    }
}

/// Holds the conversation, and closes the session whatever comes.
async fn converse(
    session: Session,
    conversation: &Conversation,
    context: &AttemptContext,
    began: Instant,
) -> (End, Vec<tokio_postgres::error::DbError>) {
    let Session { client, mut line, cancel, allowance } = session;
    let mut stop = None;
    let held = {
        let hold = conversation.hold(&client, &allowance);
        tokio::pin!(hold);
        let wanted = async {
            tokio::select! {
                biased;
                () = context.cancel.cancelled() => Stop::Cancelled,
                () = tokio::time::sleep_until(began + context.timeout) => Stop::TimedOut,
            }
        };
        tokio::pin!(wanted);
        loop {
            tokio::select! {
                biased;
                held = &mut hold => break Some(held),
                why = &mut wanted => {
                    stop = Some(why);
                    // Its own connection may hang as well; both share the bound.
                    let ending = async { tokio::join!(cancel.cancel(), &mut hold).1 };
                    break line.wait(ending, LEAVE).await;
                }
                () = line.listen() => {}
            }
        }
    };
    let failed: Option<Failure> = match held {
        Some(Ok(())) => None,
        Some(Err(failure)) => Some(failure),
        None => {
            // It does not even answer to that: nothing more can be done from here.
            return (End::Silent(stop.unwrap_or(Stop::TimedOut)), line.notices);
        }
    };
    let end = match failed {
        None => End::Whole,
        Some(failure) => {
            let trouble = conversation.trouble(failure, line.lost.as_ref());
            if !trouble.is_answer {
                // The statement may still run, also when the connection is lost: nobody wants it.
                line.wait(cancel.cancel(), LEAVE).await;
            }
            if conversation.act().transaction {
                // Its locks are gone when the step ends, not some time after.
                line.wait(client.batch_execute("rollback"), LEAVE).await;
            }
            match stop {
                Some(stop) => End::Stopped(stop, trouble),
                None => End::Broken(trouble),
            }
        }
    };
    drop(client);
    line.close(LEAVE).await;
    (end, line.notices)
}
