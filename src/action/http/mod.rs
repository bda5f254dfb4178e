//! HTTP: one request per attempt, on a connection of its own.

#![expect(clippy::disallowed_methods, reason = "how long a request took is measured where it is made")]

mod answer;
mod client;
mod request;
mod trouble;

pub use client::install_crypto;

pub(super) use client::Connector;

use super::address::Rules;
use super::outcome::{Refusal, cancelled_before_start};
use crate::engine::{AttemptContext, Performed};
use crate::event::ErrorClass;
use crate::plan::HttpAct;
use answer::{Answer, End};
use request::Request;
use std::sync::Arc;
use std::time::Instant;
use trouble::Trouble;

/// Performs one request to its end: answered, broken, late or stopped.
pub(super) async fn perform(act: HttpAct, context: AttemptContext, connector: Arc<Connector>) -> Performed {
    if context.cancel.is_cancelled() {
        return cancelled_before_start();
    }
    let mut answer = match context.evidence.begin("body") {
        Ok(writer) => Answer::new(writer),
        Err(error) => {
            let refusal = Refusal::new(ErrorClass::System, format!("the answer cannot be kept: {error}"));
            return refusal.report(&*context.evidence);
        }
    };
    let began = Instant::now();
    let end = tokio::select! {
        biased;
        () = context.cancel.cancelled() => End::Cancelled,
        exchanged = tokio::time::timeout(context.timeout, exchange(&act, &connector, &mut answer)) => match exchanged {
            Ok(Ok(())) => End::Whole,
            Ok(Err(trouble)) => End::Broken(trouble),
            Err(_) => End::TimedOut,
        },
    };
    answer.judge(&end, &act, &context, began.elapsed())
}

/// Sends the request and takes the whole answer.
async fn exchange(act: &HttpAct, connector: &Connector, answer: &mut Answer) -> Result<(), Trouble> {
    let rules = Rules::new(&act.target.allow);
    let request = Request::new(act)?;
    rules.check_literal(&request.url).map_err(|refused| Trouble::address(&refused, false))?;
    let client = connector.client(act, &request.url, &rules)?;
    let host = request.url.host_str().unwrap_or_default().to_owned();
    let mut response = request.send(&client).await.map_err(|error| Trouble::of(&error, &host))?;
    answer.begin(&response);
    rules.check_connected(&host, response.remote_addr()).map_err(|refused| Trouble::address(&refused, true))?;
    while let Some(piece) = response.chunk().await.map_err(|error| Trouble::of(&error, &host))? {
        answer.take(&piece);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
