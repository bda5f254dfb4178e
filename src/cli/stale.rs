//! How old the evidence of a card is by now, for a person who answers it from elsewhere.

use super::recorded::Read;
use crate::event::{CardView, Event, Record};
use crate::expr::Duration;
use crate::library::parse_library;
use crate::plan::GatePolicy;
use crate::source::{Diagnostics, Source};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// The reads whose values stand on a card and that are older than evidence is good for: one sentence each.
pub(super) fn stale(read: &Read, card: &CardView, now: Timestamp) -> Vec<String> {
    let records = &read.transcript.records;
    let limit = SignedDuration::try_from(good_for(records)).unwrap_or(SignedDuration::MAX);
    let names: BTreeSet<&str> = card.because.iter().filter_map(|used| used.name.split('.').next()).collect();
    let old = names.into_iter().filter_map(|name| {
        let is_read = read.graph.as_ref()?.at_path(name)?.step.kind.is_read();
        let ended = records.iter().rev().filter(|_| is_read).find(|record| {
            matches!(record.event, Event::StepEnded { .. }) && record.step.as_ref().is_some_and(|step| step.0 == name)
        })?;
        let age = now.duration_since(ended.time);
        let seconds = SignedDuration::from_secs(age.as_secs());
        (age > limit).then(|| format!("`{name}` was read {} ago; resume --refresh reads it again", Duration(seconds)))
    });
    old.collect()
}

/// How long evidence is good for, by what was frozen at the start.
fn good_for(records: &[Record]) -> std::time::Duration {
    let own = match records.first().map(|record| &record.event) {
        Some(Event::RunStarted { settings: Some(settings), environment: Some(name), .. }) => {
            let source = Source::new(settings.file.as_str(), settings.text.as_str());
            let file = parse_library(&source, &mut Diagnostics::new());
            file.and_then(|file| file.environments.get(name)?.stale_after)
        }
        _ => None,
    };
    GatePolicy { stale_after: own, ..GatePolicy::default() }.stale_after()
}
