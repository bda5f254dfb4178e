//! From a name on the command line to everything a run, a probe or a plan starts with.

use super::arguments::RunbookArguments;
use super::ask::ask_input;
use super::callees::{Loader, tell_further};
use super::console::Console;
use super::earlier::EarlierRuns;
use super::failure::CommandError;
use super::helper::run_program;
use super::programs::find_required;
use super::session::Session;
use crate::action::{BaseEnvironment, find_program};
use crate::engine::store;
use crate::event::{InputView, Mode, ProgramView, RunId};
use crate::expr::{Time, UnknownSort, Value, unknown};
use crate::graph::StepGraph;
use crate::library::{Approvers, Environment, GateRule, Library, RunbookPlace, resolve_runbook};
use crate::plan::{
    Called, FindProgram, GateLevel, GatePolicy, InputSources, Plan, PlanContext, ResolvedInput, Resolver, RunAnswer,
    Values, resolve_called, resolve_inputs, target_names,
};
use crate::report::sanitize::visible;
use crate::runbook::{Action, Runbook, Step, Target, TargetPlace, Undo};
use crate::source::{Diagnostic, Diagnostics, Severity};
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

/// The most that is read of a file that gives an input its value.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// A runbook that is ready to start.
pub(super) struct Prepared {
    pub(super) graph: Arc<StepGraph>,
    pub(super) library: Option<PathBuf>,
    pub(super) environment: Option<String>,
    env: Value,
    pub(super) policy: GatePolicy,
    /// Whose signatures count at gates.
    pub(super) approvers: Approvers,
    pub(super) inputs: Vec<ResolvedInput>,
    pub(super) programs: Vec<ProgramView>,
    pub(super) resolver: Resolver,
    /// What the runbooks that are called need, by name.
    pub(super) called: HashMap<String, Called>,
    pub(super) base: BaseEnvironment,
    pub(super) warnings: Vec<String>,
    pub(super) now: Timestamp,
    earlier: EarlierRuns,
}

/// Finds, checks and resolves; every problem of a stage is told at once.
pub(super) fn prepare(session: &Session, arguments: &RunbookArguments, mode: Mode) -> Result<Prepared, CommandError> {
    let library = session.library()?;
    let environment = environment(arguments, library.as_ref())?;
    let place = resolve_runbook(&arguments.runbook, library.as_ref())?;
    let (graph, mut warnings) = graph(session, &place, library.as_ref(), environment)?;
    if let Some(refuse) = graph.runbook().refuse.as_ref().filter(|_| mode != Mode::Plan) {
        let (runbook, reason) =
            (graph.runbook().id().to_owned(), visible(&refuse.value.split_whitespace().collect::<Vec<_>>().join(" ")));
        return Err(CommandError::MustNotRun { runbook, reason });
    }
    let base = BaseEnvironment::from_vars(std::env::vars_os());
    let mut problems = Diagnostics::new();
    let mut programs = find_required(graph.runbook(), &base, mode != Mode::Plan, &mut problems);
    let callees = graph.all_called();
    for callee in callees.values() {
        programs.extend(find_required(callee.runbook(), &base, mode != Mode::Plan, &mut problems));
    }
    programs.dedup_by(|a, b| a.name == b.name && a.path == b.path);
    if mode == Mode::Plan {
        // A plan may be made anywhere: what is missing here is worth a word, and no reason to show nothing.
        warnings.extend(problems.sorted().iter().map(|problem| problem.message.clone()));
        problems = Diagnostics::new();
    }
    let now = Timestamp::now();
    let outside = Outside { session, base: &base, mode, now };
    let mut loose = Vec::new();
    let mut inputs = outside.inputs(graph.runbook(), arguments, environment, &mut loose, &mut problems);
    let mut called = HashMap::new();
    for (name, callee) in &callees {
        let found = outside.called_inputs(&graph, name, callee.runbook(), arguments, environment, &mut problems);
        let given = found.iter().map(|input| (input.name.clone(), input.value.clone())).collect();
        called.insert(name.clone(), Called { resolver: resolver(callee, &programs, &base), inputs: given });
        inputs.extend(found.into_iter().map(|input| ResolvedInput { name: format!("{name}.{}", input.name), ..input }));
    }
    if problems.has_errors() || !loose.is_empty() {
        return Err(CommandError::Inputs { loose, placed: problems });
    }
    warnings.extend(exposed_secrets(&inputs));
    let mut policy = policy(environment, graph.runbook());
    policy.production |= environment.is_none() && !callees.values().all(|callee| is_local(callee.runbook()));
    Ok(Prepared {
        library: library.as_ref().map(|library| library.root().to_owned()),
        environment: environment.map(|environment| environment.name.clone()),
        env: environment
            .map_or_else(|| unknown(UnknownSort::Unobtained, "no environment was chosen"), Environment::env_value),
        policy,
        approvers: library.as_ref().and_then(Library::file).map(|file| file.approvers.clone()).unwrap_or_default(),
        resolver: resolver(&graph, &programs, &base),
        graph: Arc::new(graph),
        inputs,
        called,
        programs,
        base,
        warnings,
        now,
        earlier: EarlierRuns { folder: session.store_folder().ok(), unsafe_fs: session.global.store_unsafe },
    })
}

fn environment<'l>(
    arguments: &RunbookArguments,
    library: Option<&'l Library>,
) -> Result<Option<&'l Environment>, CommandError> {
    match (library, &arguments.environment) {
        (None, Some(name)) => Err(CommandError::EnvironmentWithoutLibrary(name.clone())),
        (None, None) => Ok(None),
        // An environment that cannot be read could be the one that says what is production.
        (Some(library), _) if library.problems().has_errors() => Err(CommandError::Invalid(library.problems().clone())),
        (Some(library), name) => Ok(library.environment(name.as_deref())?),
    }
}

/// The checked graph, with the environment's targets in their places, and what `check` warns about that matters now.
fn graph(
    session: &Session,
    place: &RunbookPlace,
    library: Option<&Library>,
    environment: Option<&Environment>,
) -> Result<(StepGraph, Vec<String>), CommandError> {
    let mut problems = Diagnostics::new();
    let targets = environment.map(|environment| environment.targets.clone()).unwrap_or_default();
    let mut loader = Loader::new(session, library).with_targets(&targets);
    let Some(graph) = loader.read_checked(place, &mut problems)? else {
        tell_further(&mut problems, &loader.problems);
        return Err(CommandError::Invalid(problems));
    };
    let warnings = problems
        .sorted()
        .into_iter()
        .filter(|problem| problem.severity == Severity::Warning && problem.code == "stale-review");
    let warnings = warnings.map(|problem| problem.message.clone()).collect();
    let Some(environment) = environment.filter(|environment| !environment.targets.is_empty()) else {
        return Ok((graph, warnings));
    };
    let runbook = graph.runbook().with_targets(&environment.targets);
    let mut found = Diagnostics::new();
    let graph = loader.checked(runbook, place, &mut Vec::new(), &mut found)?;
    match graph.filter(|_| !found.has_errors()) {
        Some(graph) => Ok((graph, warnings)),
        // The runbook alone was fine, so what is wrong stands in the targets of the environment.
        None => Err(CommandError::Invalid(placed_in_library(&found, library))),
    }
}

fn placed_in_library(found: &Diagnostics, library: Option<&Library>) -> Diagnostics {
    let mut placed = Diagnostics::new();
    for problem in found.sorted().into_iter().filter(|problem| problem.severity == Severity::Error) {
        let source = library.and_then(Library::source).unwrap_or(&problem.source).clone();
        placed.push(Diagnostic { source, ..problem.clone() });
    }
    placed
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
            let undo = match &change.undo {
                Some(Undo::Act(probe)) => Some(probe),
                _ => None,
            };
            change.verify.iter().chain(undo)
        });
        let own = step.action().into_iter().chain(probes.map(|probe| &probe.action));
        let failing = step.on_failure.iter().flat_map(|failure| &failure.steps);
        let undoing = step.change.iter().flat_map(|change| match &change.undo {
            Some(Undo::Steps(steps)) => steps.as_slice(),
            _ => &[],
        });
        own.into_iter().any(|action| matches!(action, Action::Http(_)))
            || step.children().into_iter().chain(failing).chain(undoing).any(|step| sends(step))
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
    }
}

fn exposed_secrets(inputs: &[ResolvedInput]) -> Vec<String> {
    let exposed = inputs.iter().filter(|input| input.is_secret && input.source == "command line");
    exposed
        .map(|input| {
            format!(
                "the secret `{0}` came by the command line, which other users of this machine may see: \
                 a file does not show (-i {0}=@FILE)",
                input.name
            )
        })
        .collect()
}

/// The outside, as inputs see it.
struct Outside<'a> {
    session: &'a Session,
    base: &'a BaseEnvironment,
    mode: Mode,
    now: Timestamp,
}

impl Outside<'_> {
    fn inputs(
        &self,
        runbook: &Runbook,
        arguments: &RunbookArguments,
        environment: Option<&Environment>,
        loose: &mut Vec<Diagnostic>,
        problems: &mut Diagnostics,
    ) -> Vec<ResolvedInput> {
        let console = &self.session.console;
        let mut ask =
            |name: &str, input: &crate::runbook::Input, wrong: Option<&str>| ask_input(console, name, input, wrong);
        let mut sources = InputSources {
            command_line: arguments.inputs.clone(),
            labels: arguments.labels.iter().cloned().collect(),
            environment,
            variable: &|name| std::env::var(name).ok(),
            file: &|path| self.file(path),
            run: &|argv| self.run(argv),
            ask: if Console::has_person() { Some(&mut ask) } else { None },
            now: self.now,
        };
        let mut found = Vec::new();
        let inputs = resolve_inputs(runbook, &mut sources, &mut found);
        for problem in found {
            let told = problem.diagnostic(runbook.source());
            if problem.span.is_some() { problems.push(told) } else { loose.push(told) }
        }
        inputs
    }

    /// The inputs of a called runbook that its calls leave to the outside.
    fn called_inputs(
        &self,
        graph: &StepGraph,
        name: &str,
        callee: &Runbook,
        arguments: &RunbookArguments,
        environment: Option<&Environment>,
        problems: &mut Diagnostics,
    ) -> Vec<ResolvedInput> {
        let calls = |place: crate::graph::Place<'_>| {
            let (call, _) = place.graph.callee(place.id)?;
            (call.name.value == name)
                .then(|| call.inputs.keys().map(|input| input.value.clone()).collect::<BTreeSet<_>>())
        };
        let calls = graph.outline().into_iter().filter_map(calls);
        let given = calls.reduce(|all, one| all.intersection(&one).cloned().collect()).unwrap_or_default();
        let mut sources = InputSources {
            command_line: Vec::new(),
            labels: arguments.labels.iter().cloned().collect(),
            environment,
            variable: &|name| std::env::var(name).ok(),
            file: &|path| self.file(path),
            run: &|argv| self.run(argv),
            ask: None,
            now: self.now,
        };
        let mut found = Vec::new();
        let inputs = resolve_called(callee, &given, &mut sources, &mut found);
        for problem in &found {
            problems.push(problem.diagnostic(callee.source()));
        }
        inputs
    }

    /// The bytes of a file; `~/` is the home folder, other relative names start at the working folder.
    fn file(&self, path: &str) -> io::Result<Vec<u8>> {
        let path = match (path.strip_prefix("~/"), self.session.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.session.folder().join(path),
        };
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(io::Error::other(format!("it has more than {FILE_LIMIT} bytes")));
        }
        Ok(bytes)
    }

    fn run(&self, argv: &[String]) -> RunAnswer {
        if self.mode == Mode::Plan {
            return RunAnswer::NotYet;
        }
        let program = argv.first().and_then(|name| find_program(name, self.base.path()).ok());
        match run_program(self.base, argv, program) {
            Ok((text, _)) => RunAnswer::Text(text),
            Err(why) => RunAnswer::Failed(visible(&why)),
        }
    }
}

impl Prepared {
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
            ("started", if id.is_some() { Time(self.now).into() } else { not_yet() }),
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
            now: self.now,
        };
        Plan::new(&self.graph, &context)
    }
}
