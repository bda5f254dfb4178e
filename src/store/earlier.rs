//! What earlier runs of a runbook captured.

use super::root::Store;
use crate::engine::StoreError;
use crate::event::{Event, Mode, Record, RunId, StoredValue};

/// So many runs of the runbook are looked through, the latest first.
const RUNS: usize = 50;

/// A value of an earlier run.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlierValue {
    /// The run.
    pub run: RunId,
    /// The value, as it was kept.
    pub value: StoredValue,
}

impl Store {
    /// The value that the latest run of a runbook captured, among the last 50 of it, closed or still open: `step.name`
    /// for a capture of a step, or the name of an output. A value that was unknown was not captured. Runs that cannot
    /// be read, and plans and probes, are passed over.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn earlier(
        &self,
        runbook: &str,
        name: &str,
        except: Option<&RunId>,
    ) -> Result<Option<EarlierValue>, StoreError> {
        let is_one = |run: &&super::summary::RunSummary| {
            run.runbook == runbook && run.mode == Mode::Run && Some(&run.id) != except
        };
        let runs = self.runs()?;
        for run in runs.iter().rev().filter(is_one).take(RUNS) {
            let Ok(transcript) = self.read(&run.id) else { continue };
            let value = transcript.records.iter().rev().find_map(|record| captured(record, name));
            if let Some(value) = value {
                return Ok(Some(EarlierValue { run: run.id.clone(), value: value.clone() }));
            }
        }
        Ok(None)
    }
}

fn captured<'r>(record: &'r Record, name: &str) -> Option<&'r StoredValue> {
    let value = match (&record.event, name.rsplit_once('.')) {
        (Event::RunEnded { outputs, .. }, None) => outputs.get(name),
        (Event::StepEnded { captures, .. }, Some((step, capture))) => {
            captures.get(capture).filter(|_| record.step.as_ref().is_some_and(|path| path.0 == step))
        }
        _ => None,
    };
    value.filter(|value| matches!(value, StoredValue::Value(_) | StoredValue::Secret(_) | StoredValue::Kept(_)))
}
