//! The wall clock, watched against the one that goes on evenly (ruling 22).

use super::super::message::GateOutcome;
use super::super::settle::Wanted;
use super::Dispatcher;
use crate::event::{Actor, Event, GateAnswer};
use jiff::Timestamp;
use std::time::Duration;

/// How far the clocks may be apart. Both are slewed alike, so what is more than a few seconds was a jump.
const TOLERANCE_MS: i128 = 5000;

/// The two clocks at one moment.
pub(super) struct Clocks {
    wall: Timestamp,
    elapsed: Duration,
}

impl Clocks {
    pub(super) fn at(wall: Timestamp, elapsed: Duration) -> Self {
        Self { wall, elapsed }
    }

    /// How far the wall clock has jumped since, in milliseconds; nothing when it has not.
    fn jumped(&self, wall: Timestamp, elapsed: Duration) -> Option<i64> {
        let by_wall = wall.duration_since(self.wall).as_millis();
        let really = i128::try_from(elapsed.saturating_sub(self.elapsed).as_millis()).unwrap_or(i128::MAX);
        let by = by_wall.saturating_sub(really);
        (by.abs() > TOLERANCE_MS).then(|| i64::try_from(by).unwrap_or(if by < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl Dispatcher {
    /// Looks whether the wall clock has jumped since the last look. What it says of how long ago something was is then
    /// wrong, so open gates are opened anew.
    pub(super) fn look_at_clock(&mut self) {
        let (wall, elapsed) = (self.now(), self.shared.clock.elapsed());
        let Some(by_ms) = self.clocks.jumped(wall, elapsed) else { return };
        self.clocks = Clocks::at(wall, elapsed);
        self.log(Event::ClockMoved { by_ms });
        let way = if by_ms < 0 { "back" } else { "ahead" };
        let why = format!("the wall clock was set {way}; what was approved before counts no more");
        let gates: Vec<_> = self
            .pending
            .iter()
            .filter(|pending| matches!(pending.what, Wanted::Gate { .. }))
            .map(|pending| pending.id)
            .collect();
        for id in gates {
            let Some(mut pending) = self.take_pending(id) else { continue };
            self.person.withdraw(id, &why);
            let at = pending.at;
            let Wanted::Gate { request, reply, .. } = &mut pending.what else { continue };
            let (number, digest, answer) = (request.number, request.digest.clone(), GateAnswer::voided(&why));
            self.log_as(at, Event::GateAnswered { number, digest, answer }, Actor::Runwright);
            if let Some(reply) = reply.take() {
                reply.send(GateOutcome::Moved(why.clone())).ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_more_than_five_seconds_either_way() {
        let wall: Timestamp = "2026-11-21T01:00:00Z".parse().expect("a time");
        let clocks = Clocks::at(wall, Duration::from_secs(100));
        let after = |by: i64, elapsed: u64| {
            let wall = wall + jiff::SignedDuration::from_secs(by);
            clocks.jumped(wall, Duration::from_secs(elapsed))
        };
        assert_eq!(after(0, 100), None);
        assert_eq!(after(5, 100), None);
        assert_eq!(after(6, 100), Some(6000));
        assert_eq!(after(-3600, 100), Some(-3_600_000));
        // A machine that slept has lost no time.
        assert_eq!(after(86_400, 86_500), None);
    }
}
