//! A runbook as one step: its inputs are resolved, its steps are performed in a body of their own.

use super::attempt::{Gone, Task};
use super::body::Scene;
use super::limits::Budget;
use super::message::{Halt, Opening, StepEnd};
use super::run::Acts;
use super::store_value::store;
use crate::event::{ErrorClass, Event, Outcome, RunResult, StepVerdict};
use crate::expr::{UnknownSort, Value};
use crate::plan::called_values;
use crate::runbook::{Call, Kind, Step};
use std::sync::Arc;

impl Task {
    /// Performs a called runbook and waits for its end (ruling 32).
    pub(super) async fn call(&self, step: &Arc<Step>, call: &Call) -> Result<StepEnd, Gone> {
        let name = &call.name.value;
        let prepared = self.scene.graph.called(name).zip(self.shared.called.get(name));
        let Some((graph, called)) = prepared else {
            return Ok(StepEnd::failed(ErrorClass::BadValue, format!("`{name}` was not loaded before the run")));
        };
        if step.change.is_some() && self.shared.acts == Acts::All && !self.round.is_called {
            // The steps inside take the write slot one after the other; the call itself needs only not be blocked.
            match self.permit(true).await {
                Ok(permit) => drop(permit),
                Err(Halt::Blocked(reason)) => return Ok(StepEnd::blocked(reason)),
                Err(Halt::Ending) => return Ok(StepEnd::because(Outcome::Cancelled, "the run is ending")),
            }
        }
        let scope = self.scope();
        let inputs = called.inputs(call, (self.scene.graph.runbook(), graph.runbook()), &scope);
        let inputs = match inputs {
            Ok(inputs) => inputs,
            Err(reason) if self.shared.acts == Acts::Reads => {
                return Ok(StepEnd::because(Outcome::NotPerformed, reason));
            }
            Err(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason)),
        };
        let told = Event::Called {
            runbook: name.clone(),
            title: graph.runbook().title.value.clone(),
            inputs: inputs.iter().map(|(name, value)| (name.clone(), store(value))).collect(),
        };
        self.note(&self.path(), None, told);
        let scene = Scene {
            values: called_values(graph, inputs, &scope, UnknownSort::Unobtained),
            resolver: called.resolver.clone(),
            prefix: format!("{}/", self.path()),
            proven: Arc::default(),
            budget: Arc::new(Budget::new(graph.runbook())),
            approved: Arc::default(),
            graph: graph.clone(),
        };
        let end = self.open(Opening { scene, item_of: None, is_sealed: self.round.end.is_some() })?;
        self.hold(1);
        let body = end.await.map_err(|_| Gone)?;
        if let Some(end) = self.round.step_end() {
            return Ok(StepEnd { escalate: body.escalated, ..end });
        }
        let mut end = StepEnd::new(body.outcome);
        end.reason = body.reason;
        end.escalate = body.escalated;
        end.attempts = 1;
        end.captures = body.values;
        if let Some(result) = body.result {
            end.values.insert("result".into(), Value::from(result.as_str()));
        }
        let mut end = self.conclude(step, end, scope);
        if step.kind == Kind::Validate && body.result == Some(RunResult::NotResolved) {
            end.verdict = Some(StepVerdict::DoesNotHold);
        }
        Ok(end)
    }
}
