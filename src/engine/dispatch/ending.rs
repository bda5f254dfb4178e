//! The end of a run: its result out of what happened (ruling 9).

use super::super::body::{Body, BodyId, Early, Over};
use super::super::port::StoreError;
use super::super::result::{RunEnd, RunState};
use super::super::run::Acts;
use super::super::store_value::store;
use super::Dispatcher;
use crate::event::{Event, Outcome, RunResult, StepVerdict, StoredValue};
use crate::expr::Expr;
use crate::graph::Section;
use crate::runbook::{End, Kind};
use indexmap::IndexMap;
use jiff::Timestamp;

/// What the validations of a run say together.
#[derive(Default)]
pub(super) struct Proof {
    /// Those that were meant to be performed.
    all: u32,
    holds: u32,
    /// Whether one holds after the last change.
    after_last_change: bool,
    pub(super) reasons: Vec<String>,
}

impl Dispatcher {
    /// Leaves a run that has not ended.
    pub(super) fn let_go(&mut self, state: RunState) -> Result<RunEnd, StoreError> {
        self.drop_letters();
        match &state {
            RunState::Parked(waiting) => self.log(Event::RunParked { waiting: waiting.clone() }),
            RunState::Suspended(reason) => self.log(Event::RunSuspended { reason: reason.clone() }),
            RunState::Ended(_) => {}
        }
        self.flush(true)?;
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        let state = match state {
            RunState::Parked(waiting) => RunState::Parked(self.masked(waiting)),
            state => state,
        };
        Ok(self.end(state))
    }

    /// Writes the closing event.
    pub(super) fn close(&mut self) -> Result<RunEnd, StoreError> {
        self.drop_letters();
        self.void_past_gates();
        self.take_stop_question_back("the run has ended");
        let root = &self.bodies[BodyId::ROOT];
        let proof = root.proof();
        let (result, mut reasons) = root.result(&proof);
        reasons.extend(proof.reasons.clone());
        reasons.dedup();
        let ran_to_end = !matches!(
            root.early,
            Some(Early::Aborted(_) | Early::TargetRefused(_) | Early::Held(_) | Early::Escalated)
        );
        let outputs = root.outputs(self.now());
        let event = Event::RunEnded {
            result,
            ran_to_end,
            reasons,
            holds: proof.holds,
            validations: proof.all,
            changes: root.tally.changes,
            open_changes: root.open_changes(self.now()),
            cleaned_up: root.tally.cleaned_up,
            waited_ms: u64::try_from(self.waited.before.as_millis()).unwrap_or(u64::MAX),
            outputs,
        };
        self.log(event);
        self.flush(true)?;
        self.head = self.store.close()?;
        Ok(self.end(RunState::Ended(result)))
    }

    /// Decisions that were left for prompts which never came.
    fn drop_letters(&mut self) {
        for decision in self.take_letters() {
            self.not_used(&decision, "nothing asked for it while this process had the run");
        }
    }

    pub(super) fn end(&self, state: RunState) -> RunEnd {
        let probe = self.shared.acts == Acts::Reads;
        let root = &self.bodies[BodyId::ROOT];
        let does_not_hold = root.facts().any(|(.., over)| over.verdict == Some(StepVerdict::DoesNotHold));
        RunEnd {
            run: self.run.clone(),
            state,
            refused: matches!(root.early, Some(Early::TargetRefused(_) | Early::Held(_))),
            // What was handed over for its failure is told as handed over.
            change_failed: root.tally.escalation.is_none() && !root.failed_changes().is_empty(),
            probe_does_not_hold: probe && does_not_hold,
            head: self.head.clone(),
            signal: self.signal,
        }
    }
}

impl Body {
    /// Changes that stand now, in words.
    fn open_changes(&self, now: Timestamp) -> Vec<String> {
        let open = self.tally.standing.iter().filter(|standing| standing.until.is_none_or(|until| until > now));
        open.map(|standing| standing.text.clone()).collect()
    }

    /// What the runbook gives, for later runs that ask for it with `last`.
    fn outputs(&self, now: Timestamp) -> IndexMap<String, StoredValue> {
        let scope = self.scene.values.scope(now);
        let value = |expr: &Expr| match expr.eval(&scope) {
            Ok(value) => store(&value),
            Err(error) => StoredValue::Unknown(error.message),
        };
        let outputs = self.scene.graph.runbook().outputs.iter();
        outputs.map(|(name, expr)| (name.value.clone(), value(expr))).collect()
    }

    /// What the steps of this body came to, and those of the bodies it held: path, kind, whether it stands in `finally`.
    fn facts(&self) -> impl Iterator<Item = (String, Kind, bool, &Over)> {
        let own = self.over.iter().map(|(id, over)| {
            let node = self.node(*id);
            (self.scene.path(*id), node.step.kind, node.section == Section::Finally, over)
        });
        let inner = self.found.iter();
        own.chain(inner.map(|finding| (finding.path.clone(), finding.kind, finding.in_finally, &finding.over)))
    }

    /// What its validations say together.
    pub(super) fn proof(&self) -> Proof {
        let mut proof = Proof::default();
        let left = self.left_items(Kind::Validate);
        proof.all += u32::try_from(left.len()).unwrap_or(u32::MAX);
        proof.reasons.extend(left);
        for (path, kind, in_finally, over) in self.facts() {
            if kind != Kind::Validate || in_finally || over.not_meant {
                continue;
            }
            proof.all += 1;
            match over.verdict {
                Some(StepVerdict::Holds) => {
                    proof.holds += 1;
                    proof.after_last_change |= over.turn > self.tally.last_change;
                }
                Some(StepVerdict::DoesNotHold) => proof.reasons.push(format!("`{path}` does not hold")),
                Some(StepVerdict::CannotTell) => proof.reasons.push(format!("`{path}` cannot be told")),
                None if over.failed => proof.reasons.push(format!("`{path}` failed")),
                None => proof.reasons.push(format!("`{path}` was not performed")),
            }
        }
        proof
    }

    /// The result of its runbook, with the reasons.
    pub(super) fn result(&self, proof: &Proof) -> (RunResult, Vec<String>) {
        match &self.early {
            Some(Early::Aborted(reason)) => return (RunResult::Aborted, vec![format!("aborted: {reason}")]),
            Some(Early::TargetRefused(target)) => {
                return (RunResult::Failed, vec![format!("target `{target}` is not the one this run is for")]);
            }
            Some(Early::Held(who)) => return (RunResult::Failed, vec![who.clone()]),
            Some(Early::Caller) => return (RunResult::Aborted, vec!["the run is ending".to_owned()]),
            _ => {}
        }
        let failed = self.failed_changes();
        if !failed.is_empty() && self.tally.escalation.is_none() {
            return (RunResult::Failed, failed);
        }
        if let Some((to, text)) = &self.tally.escalation {
            let to = to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
            return (RunResult::Escalated, vec![format!("escalated{to}: {text}")]);
        }
        if let Some(declined) = &self.tally.declined {
            return (RunResult::Declined, vec![format!("declined {declined}")]);
        }
        if let Some(undecided) = &self.tally.undecided {
            return (RunResult::Undecided, vec![format!("not decided {undecided}")]);
        }
        self.goal(proof)
    }

    fn failed_changes(&self) -> Vec<String> {
        let bad = self.facts().filter(|(_, kind, _, over)| *kind == Kind::Remediate && over.is_trouble());
        let stuck = (self.tally.cleaned_up == Some(false)).then(|| "a temporary change was not taken back".to_owned());
        bad.map(|(path, _, _, over)| {
            let word = if over.outcome == Outcome::Unknown { "has an unknown outcome" } else { "failed" };
            format!("change `{path}` {word}")
        })
        .chain(self.left_items(Kind::Remediate))
        .chain(stuck)
        .collect()
    }

    /// Loops with such steps inside that were not performed for all their items, though nothing said that they need
    /// not be.
    fn left_items(&self, kind: Kind) -> Vec<String> {
        let by_runbook = matches!(self.early, Some(Early::Option(_)));
        let is_meant = |over: &Over| {
            let has = if kind == Kind::Validate { over.left.validations } else { over.left.changes };
            has && !over.handled && !by_runbook
        };
        let left = self.facts().filter(|(.., over)| is_meant(over));
        left.map(|(path, .., over)| format!("`{path}` was not performed for {} of its items", over.left.items))
            .collect()
    }

    fn goal(&self, proof: &Proof) -> (RunResult, Vec<String>) {
        let all_hold = proof.holds == proof.all;
        if let Some(Early::Option(end)) = &self.early {
            return match end {
                _ if !all_hold => (RunResult::NotResolved, Vec::new()),
                End::Resolved => (RunResult::Resolved, Vec::new()),
                End::NoAction => (RunResult::NoAction, Vec::new()),
            };
        }
        let failed = self.facts().filter(|(_, kind, _, over)| over.is_trouble() && *kind != Kind::Validate);
        let failed: Vec<_> = failed.map(|(path, ..)| format!("`{path}` failed")).collect();
        if proof.all == 0 {
            if self.tally.changes > 0 {
                let reason = "something was changed, and nothing validates it".to_owned();
                return (RunResult::NotResolved, vec![reason]);
            }
            let result = if failed.is_empty() { RunResult::Completed } else { RunResult::NotResolved };
            return (result, failed);
        }
        if !all_hold {
            return (RunResult::NotResolved, failed);
        }
        if !proof.after_last_change {
            return (RunResult::NotResolved, vec!["nothing was validated after the last change".to_owned()]);
        }
        (RunResult::Resolved, Vec::new())
    }
}
