//! HTTP: one request per attempt, on a connection of its own; or one for each page of an answer.

#![expect(clippy::disallowed_methods, reason = "how long a request took is measured where it is made")]

mod answer;
mod client;
mod pages;
mod request;
mod retry_after;
mod tls;
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
use std::time::{Duration, Instant};
use trouble::Trouble;

/// Performs one request to its end: answered, broken, late or stopped. With pages, one request for each.
pub(super) async fn perform(act: HttpAct, context: AttemptContext, connector: Arc<Connector>) -> Performed {
    if context.cancel.is_cancelled() {
        return cancelled_before_start();
    }
    let exchange = Exchange { act: &act, context: &context, connector: &connector, began: Instant::now() };
    let request = match Request::new(&act) {
        Ok(request) => request,
        Err(refusal) => return exchange.broken(refusal.into()),
    };
    match &act.pages {
        None => exchange.perform(request, "body").await,
        Some(rule) => pages::perform(&exchange, rule, request).await,
    }
}

/// What the requests of one attempt share: the act, its context, and the time they have together.
struct Exchange<'a> {
    act: &'a HttpAct,
    context: &'a AttemptContext,
    connector: &'a Connector,
    began: Instant,
}

impl Exchange<'_> {
    /// Sends one request and takes the whole answer; its body is kept under the name given.
    async fn perform(&self, request: Request, stream: &str) -> Performed {
        let context = self.context;
        let mut answer = match context.evidence.begin(stream) {
            Ok(writer) => Answer::new(Some(writer)),
            Err(error) => {
                let refusal = Refusal::new(ErrorClass::System, format!("the answer cannot be kept: {error}"));
                return refusal.report(&*context.evidence);
            }
        };
        let left = context.timeout.saturating_sub(self.began.elapsed());
        let end = tokio::select! {
            biased;
            () = context.cancel.cancelled() => End::Cancelled,
            exchanged = tokio::time::timeout(left, self.send(request, &mut answer)) => match exchanged {
                Ok(Ok(())) => End::Whole,
                Ok(Err(trouble)) => End::Broken(trouble),
                Err(_) => End::TimedOut,
            },
        };
        answer.judge(&end, self.act, context, self.elapsed())
    }

    /// The report of an attempt in which nothing could be sent.
    fn broken(&self, trouble: Trouble) -> Performed {
        Answer::new(None).judge(&End::Broken(trouble), self.act, self.context, self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    async fn send(&self, request: Request, answer: &mut Answer) -> Result<(), Trouble> {
        let rules = Rules::new(&self.act.target.allow);
        rules.check_literal(&request.url).map_err(|refused| Trouble::address(&refused, false))?;
        let client = self.connector.client(self.act, &request.url, &rules)?;
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let mut response = request.send(&client).await.map_err(|error| Trouble::of(&error, &host))?;
        answer.begin(&response);
        rules.check_connected(&host, response.remote_addr()).map_err(|refused| Trouble::address(&refused, true))?;
        while let Some(piece) = response.chunk().await.map_err(|error| Trouble::of(&error, &host))? {
            answer.take(&piece);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
