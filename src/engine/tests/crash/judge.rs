//! Whether a run that was stopped and taken up again came to what it would have come to.

use super::life::Lives;
use crate::engine::History;
use crate::event::{Event, Outcome, Record, RunResult, StepPath, StepVerdict, StoredValue};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};

/// How a step came out, as the record says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StepSummary {
    outcome: Outcome,
    verdict: Option<StepVerdict>,
    captures: IndexMap<String, StoredValue>,
    chosen: Vec<String>,
}

/// How a run came out, as the record says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) steps: BTreeMap<String, StepSummary>,
    result: Option<RunResult>,
    ran_to_end: bool,
    holds: (u32, u32),
    changes: u32,
    open_changes: Vec<String>,
    cleaned_up: Option<bool>,
    outputs: IndexMap<String, StoredValue>,
}

impl Summary {
    pub(super) fn of(records: &[Record]) -> Self {
        let mut summary = Self {
            steps: BTreeMap::new(),
            result: None,
            ran_to_end: false,
            holds: (0, 0),
            changes: 0,
            open_changes: Vec::new(),
            cleaned_up: None,
            outputs: IndexMap::new(),
        };
        let mut chosen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for record in records {
            let path = record.step.as_ref().map(|step| step.0.clone()).unwrap_or_default();
            let end = |outcome, verdict, captures: &IndexMap<_, _>, chosen| StepSummary {
                outcome,
                verdict,
                captures: captures.clone(),
                chosen,
            };
            match &record.event {
                Event::Decided { chosen: options, .. } => {
                    chosen.insert(path, options.clone());
                }
                Event::StepEnded { outcome, verdict, captures, .. } => {
                    let chosen = chosen.get(&path).cloned().unwrap_or_default();
                    summary.steps.insert(path, end(*outcome, *verdict, captures, chosen));
                }
                Event::StepSkipped { .. } => {
                    summary.steps.insert(path, end(Outcome::Skipped, None, &IndexMap::new(), Vec::new()));
                }
                Event::RunEnded {
                    result,
                    ran_to_end,
                    holds,
                    validations,
                    changes,
                    open_changes,
                    cleaned_up,
                    outputs,
                    ..
                } => {
                    summary.result = Some(*result);
                    summary.ran_to_end = *ran_to_end;
                    summary.holds = (*holds, *validations);
                    summary.changes = *changes;
                    summary.open_changes.clone_from(open_changes);
                    summary.cleaned_up = *cleaned_up;
                    summary.outputs.clone_from(outputs);
                }
                _ => {}
            }
        }
        summary
    }

    /// What is otherwise than in the run that nobody disturbed, one line each. What was unknown there may be settled
    /// here.
    fn differences(&self, other: &Self, lives: u32) -> Vec<String> {
        let mut found = Vec::new();
        let paths: BTreeSet<_> = self.steps.keys().chain(other.steps.keys()).collect();
        for path in paths {
            let (was, is) = (self.steps.get(path), other.steps.get(path));
            let is_settled = was.is_some_and(|was| was.outcome == Outcome::Unknown);
            if was != is && !is_settled {
                found.push(format!("step `{path}`: undisturbed {was:?}, now {is:?}"));
            }
        }
        // Of a list, the words are those of an item that its gate was last about; what runs side by side has no order.
        let words = |summary: &Self| {
            let steps = summary.open_changes.iter().map(|open| open.split(": ").next().unwrap_or_default().to_owned());
            steps.collect::<BTreeSet<String>>().into_iter().collect()
        };
        let bare = |summary: &Self| Self {
            steps: BTreeMap::new(),
            changes: 0,
            open_changes: words(summary),
            ..summary.clone()
        };
        // An attempt that was cut off counts as a change: it may have been one.
        if other.changes < self.changes || other.changes > self.changes + lives {
            found.push(format!("{} changes instead of {}", other.changes, self.changes));
        }
        if bare(self) != bare(other) {
            found.push(format!("the end: undisturbed {:?}, now {:?}", bare(self), bare(other)));
        }
        found
    }
}

/// How often a `verify` of these runbooks is asked before its time is over, at most.
const POLLS: u32 = 6;

/// Attempts that each path made.
fn attempts(records: &[Record]) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for record in records {
        if let (Some(step), Event::AttemptStarted { .. }) = (&record.step, &record.event) {
            *found.entry(step.0.clone()).or_default() += 1;
        }
    }
    found
}

/// What is wrong with a run that was stopped, against one that was not; empty when nothing is.
pub(super) fn judge(undisturbed: &Lives, disturbed: &Lives) -> Vec<String> {
    let mut wrong = lawful(&disturbed.records);
    wrong.extend(disturbed.world.too_early().iter().map(|marker| format!("`{marker}` acted before it was on record")));
    let (was, is) = (undisturbed.world.state(), disturbed.world.state());
    if was != is {
        wrong.push(format!("the world: undisturbed {was:?}, now {is:?}"));
    }
    let lives = u32::try_from(disturbed.resumed.len()).expect("few lives");
    wrong.extend(Summary::of(&undisturbed.records).differences(&Summary::of(&disturbed.records), lives));
    wrong.extend(repeated(undisturbed, disturbed));
    let end = |lives: &Lives| lives.records.last().map_or(0, |record| record.elapsed_ms);
    // An attempt that was cut off is made again, and so is a poll; waiting is not begun anew.
    if end(disturbed) > end(undisturbed) + u64::from(lives) * 6_000 {
        wrong.push(format!("it took {} ms instead of {}", end(disturbed), end(undisturbed)));
    }
    wrong
}

/// The laws of the record, at every prefix.
pub(super) fn lawful(records: &[Record]) -> Vec<String> {
    match History::of(records) {
        Ok(_) => Vec::new(),
        Err(broken) => vec![broken.to_string()],
    }
}

/// What had ended is not performed again: each path makes as many attempts as it would have, and more only where a
/// death left its step without an end.
fn repeated(undisturbed: &Lives, disturbed: &Lives) -> Vec<String> {
    let planned = attempts(&undisturbed.records);
    let mut allowed = planned.clone();
    for &found in &disturbed.resumed {
        let mut unfinished: BTreeMap<String, bool> = BTreeMap::new();
        for record in &disturbed.records[..found] {
            let Some(StepPath(path)) = &record.step else { continue };
            match &record.event {
                Event::AttemptStarted { .. } => _ = unfinished.insert(path.clone(), true),
                Event::StepEnded { .. } => {
                    unfinished.insert(path.clone(), false);
                    unfinished.insert(format!("{path}/verify"), false);
                }
                _ => {}
            }
        }
        for (path, _) in unfinished.into_iter().filter(|(_, unfinished)| *unfinished) {
            // A change that a person has made once more passes its gate once more, and that covers its attempts anew.
            *allowed.entry(path.clone()).or_default() += planned.get(&path).copied().unwrap_or(0).max(1);
            // What settles it is asked again, for as long as it was; and where it had nothing to wait for then, it may
            // have to be asked until its time is over now.
            let verify = format!("{path}/verify");
            let polls = allowed.get(&verify).copied().unwrap_or(0).max(1);
            allowed.insert(verify, polls * 2 + POLLS);
        }
        // A stretch of samples has one at the end as well.
        for path in sampled(&disturbed.records[..found]) {
            *allowed.entry(path).or_default() += 1;
        }
    }
    let made = attempts(&disturbed.records);
    let more = made.iter().filter(|(path, made)| **made > allowed.get(*path).copied().unwrap_or(0));
    more.map(|(path, made)| {
        format!("`{path}` made {made} attempts, and may make {}", allowed.get(path).copied().unwrap_or(0))
    })
    .collect()
}

/// The paths that are watched for a stretch of time.
fn sampled(records: &[Record]) -> BTreeSet<String> {
    let is_sample = |record: &&Record| matches!(record.event, Event::Sampled { .. });
    records.iter().filter(is_sample).filter_map(|record| Some(record.step.as_ref()?.0.clone())).collect()
}
