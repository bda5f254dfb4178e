//! `kubectl`: the stock client as a child, and what its end means.

mod address;
mod judge;
mod manifest;
mod trouble;

pub(super) use address::check as check_address;

use super::outcome::Refusal;
use super::process::{self, Workshop};
use crate::engine::{AttemptContext, Performed};
use crate::expr::Rendered;
use crate::plan::{CommandAct, KubectlAct, KubectlAnswer};
use judge::Judge;
use std::sync::Arc;
use std::time::Duration;

/// Performs one call to its end.
pub(super) async fn perform(act: KubectlAct, context: AttemptContext, workshop: Arc<Workshop>) -> Performed {
    let evidence = Arc::clone(&context.evidence);
    let judge = Judge::new(&act, context.change);
    let command = match prepared(act, context.timeout) {
        Ok(command) => command,
        Err(refusal) => return refusal.report(&*evidence),
    };
    let performed = process::perform(command, context, workshop).await;
    judge.judge(performed, &*evidence)
}

/// The command with its documents on standard input, and with a bound of its own where it waits.
fn prepared(act: KubectlAct, timeout: Duration) -> Result<CommandAct, Refusal> {
    let mut command = act.command;
    if !act.manifest.is_empty() {
        command.stdin = Some(Rendered::text(manifest::text(&act.manifest)?));
    }
    if matches!(act.answer, KubectlAnswer::Waits) {
        let end = command.argv.iter().position(|word| word.to_string() == "--").unwrap_or(command.argv.len());
        command.argv.insert(end, Rendered::text(format!("--timeout={}ms", own_bound(timeout).as_millis())));
    }
    Ok(command)
}

/// A bit less than the step's timeout: kubectl then says itself what it has waited for.
fn own_bound(timeout: Duration) -> Duration {
    let early = (timeout / 4).min(Duration::from_secs(5));
    timeout.saturating_sub(early).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests;
