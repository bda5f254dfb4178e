//! What a run goes by, whether it was found for a start or thawed from a record.

use super::earlier::EarlierRuns;
use crate::action::{BaseEnvironment, find_program};
use crate::engine::store;
use crate::event::{FrozenSettings, InputView, ProgramView, RunId};
use crate::expr::{Time, UnknownSort, Value, unknown};
use crate::graph::StepGraph;
use crate::library::{Environment, GateRule};
use crate::plan::{
    Called, FindProgram, GateLevel, GatePolicy, Plan, PlanContext, ResolvedInput, Resolver, Values, target_names,
};
use crate::runbook::{Action, Runbook, Step, Target, TargetPlace, Undo};
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A runbook that is ready to start, or to go on.
pub(super) struct Prepared {
    pub(super) graph: Arc<StepGraph>,
    pub(super) library: Option<PathBuf>,
    /// Where relative names of files and programs start.
    pub(super) folder: PathBuf,
    pub(super) settings: Option<FrozenSettings>,
    pub(super) environment: Option<String>,
    env: Value,
    pub(super) policy: GatePolicy,
    pub(super) inputs: Vec<ResolvedInput>,
    pub(super) programs: Vec<ProgramView>,
    pub(super) resolver: Resolver,
    /// What the runbooks that are called need, by name.
    pub(super) called: HashMap<String, Called>,
    pub(super) base: BaseEnvironment,
    pub(super) warnings: Vec<String>,
    /// What expressions read as `run.started`.
    pub(super) began: Timestamp,
    earlier: EarlierRuns,
}

/// What was found or thawed.
pub(super) struct Found<'l> {
    pub(super) graph: StepGraph,
    pub(super) library: Option<PathBuf>,
    pub(super) folder: PathBuf,
    pub(super) settings: Option<FrozenSettings>,
    pub(super) environment: Option<&'l Environment>,
    /// Those of called runbooks read `runbook.input`.
    pub(super) inputs: Vec<ResolvedInput>,
    pub(super) programs: Vec<ProgramView>,
    pub(super) base: BaseEnvironment,
    pub(super) warnings: Vec<String>,
    pub(super) began: Timestamp,
    pub(super) earlier: EarlierRuns,
}

impl Prepared {
    /// Puts together what belongs together.
    pub(super) fn of(found: Found<'_>) -> Self {
        let Found { graph, environment, inputs, programs, base, .. } = found;
        let callees = graph.all_called();
        let called = callees.iter().map(|(name, callee)| {
            let given = inputs.iter().filter_map(|input| {
                let own = input.name.strip_prefix(name.as_str())?.strip_prefix('.')?;
                Some((own.to_owned(), input.value.clone()))
            });
            let called = Called { resolver: resolver(callee, &programs, &base), inputs: given.collect() };
            (name.clone(), called)
        });
        let called = called.collect();
        let mut policy = policy(environment, graph.runbook());
        policy.production |= environment.is_none() && !callees.values().all(|callee| is_local(callee.runbook()));
        let no_environment = || unknown(UnknownSort::Unobtained, "no environment was chosen");
        Self {
            library: found.library,
            folder: found.folder,
            settings: found.settings,
            environment: environment.map(|environment| environment.name.clone()),
            env: environment.map_or_else(no_environment, Environment::env_value),
            policy,
            resolver: resolver(&graph, &programs, &base),
            graph: Arc::new(graph),
            inputs,
            called,
            programs,
            base,
            warnings: found.warnings,
            began: found.began,
            earlier: found.earlier,
        }
    }

    /// Inputs as the record keeps them.
    pub(super) fn input_views(&self) -> Vec<InputView> {
        let view = |input: &ResolvedInput| InputView {
            name: input.name.clone(),
            value: store(&input.value),
            source: input.source.clone(),
        };
        self.inputs.iter().map(view).collect()
    }

    /// The values known before the first step. `run` is the run's own map: its id, when it started, who runs it. `id` is
    /// the run itself, which is not its own past.
    pub(super) fn values(&self, run: Value, id: Option<&RunId>, absent: UnknownSort) -> Values {
        let mut roots: IndexMap<String, Value> =
            self.inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect();
        roots.insert("env".to_owned(), self.env.clone());
        roots.insert("run".to_owned(), run);
        roots.insert("targets".to_owned(), target_names(self.graph.runbook()));
        let steps = self.graph.nodes().iter().map(|node| node.id.to_string());
        Values::new(roots, steps, absent).with_earlier(self.earlier.lookup(id))
    }

    /// What expressions see as `run`.
    pub(super) fn run_value(&self, id: Option<&str>, operator: &str) -> Value {
        let not_yet = || unknown(UnknownSort::NotYet, "there is no run yet");
        let name = self.environment.clone();
        Value::from_pairs([
            ("id", id.map_or_else(not_yet, Value::from)),
            ("started", if id.is_some() { Time(self.began).into() } else { not_yet() }),
            ("operator", Value::from(operator)),
            (
                "environment",
                name.map_or_else(|| unknown(UnknownSort::Unobtained, "no environment was chosen"), Value::from),
            ),
        ])
    }

    /// The plan. Values that only running a program gives are holes in every plan, so that a saved plan and the plan of
    /// a run are comparable.
    pub(super) fn plan(&self, operator: &str) -> Plan {
        let values = self.values(self.run_value(None, operator), None, UnknownSort::NotYet);
        let mut inputs = self.input_views();
        for (view, input) in inputs.iter_mut().zip(&self.inputs) {
            if input.source.starts_with("program ") {
                let value = unknown(UnknownSort::NotYet, format!("{} is not run in a plan", input.source));
                view.value = store(&value);
                values.set_root(&input.name, value);
            }
        }
        let context = PlanContext {
            values: &values,
            resolver: &self.resolver,
            called: &self.called,
            policy: self.policy,
            environment: self.environment.clone(),
            inputs,
            now: self.began,
        };
        Plan::new(&self.graph, &context)
    }
}

fn resolver(graph: &StepGraph, programs: &[ProgramView], base: &BaseEnvironment) -> Resolver {
    let found: HashMap<String, PathBuf> =
        programs.iter().map(|program| (program.name.clone(), PathBuf::from(&program.path))).collect();
    let path = base.path().to_owned();
    let find: FindProgram = Arc::new(move |name| find_program(name, &path).ok());
    Resolver::new(Arc::clone(graph.runbook()), found, find)
}

/// Whether all of a runbook happens on this machine: no target is elsewhere, and no request is sent.
pub(super) fn is_local(runbook: &Runbook) -> bool {
    fn sends(step: &Step) -> bool {
        let probes = step.change.iter().flat_map(|change| {
            let undo = change.undo.iter().flat_map(Undo::probes).map(|(probe, _)| probe);
            change.verify.iter().map(|verify| &**verify).chain(undo)
        });
        let own = step.action().into_iter().chain(probes.map(|probe| &probe.action));
        let failing = step.on_failure.iter().flat_map(|failure| &failure.steps);
        own.into_iter().any(|action| matches!(action, Action::Http(_)))
            || step.children().into_iter().chain(failing).any(|step| sends(step))
    }
    let is_here = |target: &Target| matches!(target.place, TargetPlace::Local);
    runbook.targets.values().all(is_here)
        && !runbook.steps.iter().chain(runbook.finally.iter().flatten()).any(|step| sends(step))
}

/// The gates of the environment. No environment counts as production, except where the only target is this machine.
pub(super) fn policy(environment: Option<&Environment>, runbook: &Runbook) -> GatePolicy {
    let level = |rule: Option<GateRule>| {
        rule.map(|rule| match rule {
            GateRule::Pass => GateLevel::Pass,
            GateRule::Confirm => GateLevel::Confirm,
            GateRule::Type => GateLevel::Type,
        })
    };
    let Some(environment) = environment else {
        return GatePolicy { production: !is_local(runbook), ..GatePolicy::default() };
    };
    GatePolicy {
        production: environment.production,
        low: level(environment.gates.low),
        medium: level(environment.gates.medium),
        high: level(environment.gates.high),
        irreversible: level(environment.gates.irreversible),
        stale_after: environment.stale_after,
    }
}
