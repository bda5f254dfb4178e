//! From a name on the command line to everything a run, a probe or a plan starts with.

use super::arguments::RunbookArguments;
use super::callees::{Loader, tell_further};
use super::failure::CommandError;
use super::frozen;
use super::outside::Outside;
use super::prepared::{Found, Prepared};
use super::programs::find_required;
use super::session::Session;
use crate::action::BaseEnvironment;
use crate::event::Mode;
use crate::graph::StepGraph;
use crate::library::{Environment, Library, RunbookPlace, resolve_runbook};
use crate::plan::ResolvedInput;
use crate::report::sanitize::visible;
use crate::source::{Diagnostic, Diagnostics, Severity};
use jiff::Timestamp;

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
    for (name, callee) in &callees {
        let found = outside.called_inputs(&graph, name, callee.runbook(), arguments, environment, &mut problems);
        inputs.extend(found.into_iter().map(|input| ResolvedInput { name: format!("{name}.{}", input.name), ..input }));
    }
    if problems.has_errors() || !loose.is_empty() {
        return Err(CommandError::Inputs { loose, placed: problems });
    }
    warnings.extend(exposed_secrets(&inputs));
    Ok(Prepared::of(Found {
        graph,
        library: library.as_ref().map(|library| library.root().to_owned()),
        folder: session.folder().to_owned(),
        settings: library.as_ref().and_then(|library| frozen::settings(session, library)),
        environment,
        inputs,
        programs,
        base,
        warnings,
        began: now,
        earlier: session.earlier_runs(),
    }))
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
