//! `hold`: a read is sampled for a stretch of time, and what it watches must be so in every sample.

use super::attempt::{DEFAULT_TIMEOUT, Gone, Task, checks, shown};
use super::message::StepEnd;
use super::run::Acts;
use super::store_value::store;
use crate::event::{CheckView, ErrorClass, Event, Outcome, StepVerdict};
use crate::expr::{self, Time, Value};
use crate::plan::StepScope;
use crate::runbook::{Action, Hold, Step};
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;

/// The pause between two samples when the author does not say.
const EVERY: Duration = Duration::from_secs(10);
/// Samples closer together than this are no watch but a load.
const SHORTEST: Duration = Duration::from_millis(50);
/// More samples than this are refused: each of them is kept.
const MOST: u128 = 100_000;

/// The times of a stretch.
struct Stretch {
    length: Duration,
    every: Duration,
    timeout: Duration,
}

impl Stretch {
    fn of(task: &Task, step: &Step, hold: &Hold, scope: &StepScope) -> Result<Self, String> {
        let length = task.duration(Some(&hold.length), scope, Duration::ZERO)?;
        let every = task.duration(hold.every.as_ref(), scope, EVERY)?.max(SHORTEST);
        let timeout = task.duration(step.timeout.as_ref(), scope, DEFAULT_TIMEOUT)?;
        let samples = length.as_nanos() / every.as_nanos();
        if samples > MOST {
            return Err(format!("{samples} samples are more than {MOST}: make `hold.every` longer"));
        }
        Ok(Self { length, every, timeout })
    }

    /// When the sample after one that was taken at `last` is due, counted from the first; nothing after the last one.
    fn next(&self, last: Duration) -> Option<Duration> {
        (last < self.length).then(|| (last + self.every).min(self.length))
    }
}

/// The samples so far.
#[derive(Default)]
struct Samples {
    rows: Vec<Value>,
    held: Duration,
}

impl Samples {
    fn put(&mut self, at: jiff::Timestamp, verdict: Option<StepVerdict>, end: &StepEnd) {
        let captures = end.captures.iter().map(|(name, value)| (name.clone(), value.clone()));
        self.rows.push(Value::from_pairs([
            ("at".to_owned(), Time(at).into()),
            ("outcome".to_owned(), Value::from(super::change::outcome_word(end.outcome))),
            ("verdict".to_owned(), verdict.map_or(Value::from(()), |verdict| Value::from(verdict.as_str()))),
            ("captures".to_owned(), Value::from_pairs(captures)),
        ]));
    }
}

impl Task {
    /// Samples a read until its stretch is over, or something in it is not so. A stretch with a hole is no pass.
    pub(super) async fn hold_unit(
        &self,
        step: &Arc<Step>,
        action: &Action,
        hold: &Hold,
        base: &StepScope,
        path: &str,
    ) -> Result<StepEnd, Gone> {
        if self.shared.acts == Acts::Reads {
            return Ok(StepEnd::because(Outcome::NotPerformed, "a probe watches nothing for a stretch of time"));
        }
        let stretch = match Stretch::of(self, step, hold, base) {
            Ok(stretch) => stretch,
            Err(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason)),
        };
        let before = self.attempts_before(path);
        let began = self.shared.clock.elapsed();
        let mut samples = self.samples_before();
        let mut number = before.made;
        let first = self.round.samples.first().map_or(Duration::ZERO, |first| self.shared.since(first.at_ms));
        loop {
            let at = first + self.shared.clock.elapsed().saturating_sub(began);
            let gap = at.saturating_sub(samples.held);
            if !samples.rows.is_empty() && gap > stretch.every * 2 {
                let reason = format!("nothing was seen for {}: the stretch has a hole", words(gap));
                return Ok(self.hold_end(step, base, samples, cannot_tell(number, reason)));
            }
            samples.held = at;
            number += 1;
            let time = self.shared.clock.now();
            let mut end = self.read_once(step, action, base, path, number, stretch.timeout).await?;
            if end.outcome == Outcome::Cancelled || self.cancel.is_cancelled() {
                return Ok(StepEnd {
                    attempts: number,
                    ..StepEnd::because(Outcome::Cancelled, "stopped while it watched")
                });
            }
            let verdict = self.judge(hold, &base.clone().at(self.shared.clock.now()), &mut end);
            samples.put(time, Some(verdict), &end);
            let captures = end.captures.iter().map(|(name, value)| (name.clone(), store(value))).collect();
            let left = millis(stretch.length.saturating_sub(at));
            self.note(path, Some(number), Event::Sampled { verdict, captures, left_ms: left });
            if verdict != StepVerdict::Holds {
                end.reason = Some(breach(number, samples.held, &end));
                return Ok(self.hold_end(step, base, samples, end));
            }
            let Some(next) = stretch.next(at) else { return Ok(self.hold_end(step, base, samples, end)) };
            let pause = next.saturating_sub(first + self.shared.clock.elapsed().saturating_sub(began));
            if !self.sleep(pause).await {
                return Ok(StepEnd {
                    attempts: number,
                    ..StepEnd::because(Outcome::Cancelled, "stopped while it watched")
                });
            }
        }
    }

    /// The samples that an earlier process took.
    fn samples_before(&self) -> Samples {
        let mut samples = Samples::default();
        let Some(first) = self.round.samples.first() else { return samples };
        for sample in &self.round.samples {
            let end = StepEnd { captures: sample.captures.clone(), ..StepEnd::new(Outcome::Succeeded) };
            samples.put(sample.time, Some(sample.verdict), &end);
            samples.held = Duration::from_millis(sample.at_ms.saturating_sub(first.at_ms));
        }
        samples
    }

    /// What one sample says: a read that failed proves nothing either way.
    fn judge(&self, hold: &Hold, base: &StepScope, end: &mut StepEnd) -> StepVerdict {
        if end.outcome != Outcome::Succeeded {
            end.verdict = Some(StepVerdict::CannotTell);
            return StepVerdict::CannotTell;
        }
        let scope = self.result_scope(base, end);
        let (verdict, views) = checks(&hold.hold_while.0, &scope);
        let verdict = verdict.unwrap_or(StepVerdict::CannotTell);
        end.verdict = Some(verdict);
        end.checks = views;
        verdict
    }

    /// The step's end: what its last sample gave, all samples, and, after a whole stretch, the step's own `expect`.
    fn hold_end(&self, step: &Step, base: &StepScope, samples: Samples, mut end: StepEnd) -> StepEnd {
        let held = SignedDuration::try_from(samples.held).unwrap_or_default();
        end.values.insert("samples".into(), Value::from(samples.rows));
        end.values.insert("held".into(), expr::Duration(held).into());
        let scope = self.result_scope(base, &end);
        if end.verdict == Some(StepVerdict::Holds) && !step.expect.is_empty() {
            let (verdict, views) = checks(&step.expect, &scope);
            end.verdict = verdict.or(end.verdict);
            end.checks.extend(views);
        }
        end.shown = shown(&step.show, &scope);
        end
    }

    fn result_scope(&self, base: &StepScope, end: &StepEnd) -> StepScope {
        let mut scope = base.clone();
        scope.extend(end.values.clone());
        scope.extend(end.captures.clone());
        let error = end.error.as_ref().map_or(Value::from(()), |error| Value::from(error.to_string()));
        scope.extend([("error".to_owned(), error), ("attempts".to_owned(), Value::from(end.attempts))]);
        scope
    }
}

fn cannot_tell(attempts: u32, reason: String) -> StepEnd {
    let mut end = StepEnd::because(Outcome::Succeeded, reason);
    end.verdict = Some(StepVerdict::CannotTell);
    end.attempts = attempts;
    end
}

/// Why a stretch ended before its time.
fn breach(number: u32, held: Duration, end: &StepEnd) -> String {
    let failing = |check: &&CheckView| check.verdict != StepVerdict::Holds;
    let when = format!("sample {number}, after {}", words(held));
    match end.checks.iter().find(failing) {
        Some(check) if check.verdict == StepVerdict::DoesNotHold => {
            format!("{when}: `{}` does not hold", check.expression)
        }
        Some(check) => {
            let why = check.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            format!("{when}: `{}` cannot be told{why}", check.expression)
        }
        None => {
            let why = end.reason.as_deref().unwrap_or("the read failed");
            format!("{when}: {why}; what failed proves nothing")
        }
    }
}

fn words(duration: Duration) -> String {
    let whole = if duration < Duration::from_secs(1) {
        Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(0))
    } else {
        Duration::from_secs(duration.as_secs())
    };
    expr::Duration(SignedDuration::try_from(whole).unwrap_or_default()).to_string()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
