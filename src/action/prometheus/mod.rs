//! Prometheus: one query over its HTTP interface (`/api/v1/query`, `/api/v1/query_range`), and what the answer means.
//!
//! The exchange itself is that of [`super::http`], with everything that holds there: addresses, TLS, credentials,
//! bounds, evidence.

#![expect(clippy::disallowed_methods, reason = "a range ends at the moment it is asked for")]

mod answer;
mod reply;

use super::http::{self, Connector};
use crate::engine::{AttemptContext, Performed};
use crate::expr::Rendered;
use crate::plan::{HttpAct, Method, PrometheusAct, RequestBody, StatusRule};
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The statuses with an answer of Prometheus behind them; its errors say more than the status does.
const ANSWERED: [u16; 4] = [200, 400, 422, 503];

/// Performs one query to its end.
pub(super) async fn perform(act: PrometheusAct, context: AttemptContext, connector: Arc<Connector>) -> Performed {
    let evidence = Arc::clone(&context.evidence);
    let request = request(&act, context.timeout, Timestamp::now());
    let performed = http::perform(request, context, connector).await;
    answer::read(performed, &act, &*evidence)
}

/// The request of a query. It travels as a form, so that it may be long.
fn request(act: &PrometheusAct, timeout: Duration, now: Timestamp) -> HttpAct {
    let mut form = vec![("query".to_owned(), act.query.clone())];
    let mut add = |name: &str, text: String| form.push((name.to_owned(), Rendered::text(text)));
    let path = match (act.range, act.time) {
        (None, None) => "/api/v1/query",
        (None, Some(time)) => {
            add("time", seconds_since(time));
            "/api/v1/query"
        }
        (Some((range, step)), time) => {
            let end = time.unwrap_or(now);
            let start = SignedDuration::try_from(range).ok().and_then(|range| end.checked_sub(range).ok());
            add("start", seconds_since(start.unwrap_or(Timestamp::UNIX_EPOCH)));
            add("end", seconds_since(end));
            add("step", seconds(step));
            "/api/v1/query_range"
        }
    };
    add("timeout", seconds(timeout));
    HttpAct {
        target: act.target.clone(),
        method: Method::Post,
        path: Rendered::text(path),
        query: Vec::new(),
        headers: IndexMap::new(),
        body: RequestBody::Form(form),
        status: StatusRule::Among(ANSWERED.to_vec()),
        pages: None,
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}

fn seconds_since(time: Timestamp) -> String {
    let milliseconds = time.as_millisecond();
    format!("{}.{:03}", milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000))
}

#[cfg(test)]
mod tests;
