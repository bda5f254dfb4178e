//! Runbooks off the disk, with those that they call.

use super::failure::CommandError;
use super::files::{check_context, check_stem, read_source};
use super::session::Session;
use crate::graph::{Callee, CheckContext, StepGraph, check};
use crate::library::{Library, LookupError, RunbookPlace, resolve_runbook};
use crate::plan::check_call;
use crate::runbook::{Action, Call, Runbook, Step, StepBody, Target, parse_runbook};
use crate::source::{Diagnostic, Diagnostics, Source};
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Reads and checks runbooks; what several of them call is read once.
pub(super) struct Loader<'a> {
    session: &'a Session,
    library: Option<&'a Library>,
    /// The targets of the chosen environment, which stand in for those of the runbooks.
    targets: IndexMap<String, Target>,
    /// Called runbooks that have been read, by where they are.
    known: HashMap<String, Callee>,
    /// What is wrong with called runbooks.
    pub(super) problems: Diagnostics,
}

impl<'a> Loader<'a> {
    pub(super) fn new(session: &'a Session, library: Option<&'a Library>) -> Self {
        let (targets, known, problems) = (IndexMap::new(), HashMap::new(), Diagnostics::new());
        Self { session, library, targets, known, problems }
    }

    pub(super) fn with_targets(mut self, targets: &IndexMap<String, Target>) -> Self {
        self.targets.clone_from(targets);
        self
    }

    /// Reads and checks one runbook as it is written; a graph comes back only when there is no error.
    pub(super) fn read_checked(
        &mut self,
        place: &RunbookPlace,
        problems: &mut Diagnostics,
    ) -> Result<Option<StepGraph>, CommandError> {
        let Some(source) = read_source(self.session, place, problems)? else { return Ok(None) };
        let mut found = Diagnostics::new();
        let mut graph = None;
        if let Some(runbook) = parse_runbook(&source, &mut found) {
            if let RunbookPlace::File(path) = place {
                check_stem(&runbook, path, &mut found);
            }
            graph = self.checked(runbook, place, &mut Vec::new(), &mut found)?;
        }
        let failed = found.has_errors();
        problems.extend(found);
        Ok(if failed { None } else { graph })
    }

    /// Checks a runbook that calls what it calls from where it stands.
    pub(super) fn checked(
        &mut self,
        runbook: Runbook,
        place: &RunbookPlace,
        stack: &mut Vec<String>,
        problems: &mut Diagnostics,
    ) -> Result<Option<StepGraph>, CommandError> {
        let context = self.context(&runbook, place, stack)?;
        let graph = check(Arc::new(runbook), &context, problems);
        let calls = graph.iter().flat_map(|graph| graph.ids().filter_map(|id| graph.callee(id)));
        let wrong: Vec<_> = calls.flat_map(|(call, callee)| check_call(call, callee.runbook())).collect();
        if let Some(graph) = &graph {
            for problem in &wrong {
                problems.push(problem.diagnostic(graph.runbook().source()));
            }
        }
        Ok(graph)
    }

    /// What a check knows, with everything that the runbook calls.
    pub(super) fn context(
        &mut self,
        runbook: &Runbook,
        place: &RunbookPlace,
        stack: &mut Vec<String>,
    ) -> Result<CheckContext, CommandError> {
        let mut context = check_context(self.library);
        stack.push(runbook.id().to_owned());
        for call in calls(runbook) {
            let name = &call.name.value;
            if let Some(start) = stack.iter().position(|other| other == name) {
                let ring = stack[start..].iter().chain([name]).cloned().collect();
                context.callees.insert(name.clone(), Callee::Ring(ring));
            } else if let Some(callee) = self.callee(name, place, stack, &mut context.callable)? {
                context.callees.insert(name.clone(), callee);
            }
        }
        stack.pop();
        Ok(context)
    }

    fn callee(
        &mut self,
        name: &str,
        caller: &RunbookPlace,
        stack: &mut Vec<String>,
        callable: &mut Vec<String>,
    ) -> Result<Option<Callee>, CommandError> {
        let Some(place) = self.place_of(name, caller, callable)? else { return Ok(None) };
        let key = format!("{place:?}");
        if let Some(known) = self.known.get(&key) {
            return Ok(Some(known.clone()));
        }
        let mut found = Diagnostics::new();
        let mut graph = None;
        if let Some(source) = read_source(self.session, &place, &mut found)?
            && let Some(runbook) = parse_runbook(&source, &mut found)
        {
            let placed = runbook.with_targets(&self.targets);
            let context = self.context(&placed, &place, stack)?;
            let ring = context.callees.values().find_map(|callee| match callee {
                // A ring that goes through the caller is the caller's to tell.
                Callee::Ring(ring) if stack.contains(&ring[0]) => Some(ring.clone()),
                _ => None,
            });
            if let Some(ring) = ring {
                return Ok(Some(Callee::Ring(ring)));
            }
            if let RunbookPlace::File(path) = &place {
                check_stem(&runbook, path, &mut found);
            }
            graph = self.checked(placed, &place, stack, &mut found)?;
        }
        let errors = found.has_errors();
        let callee = match graph {
            Some(graph) if !errors => Callee::Checked(Arc::new(graph)),
            _ => Callee::Invalid,
        };
        if errors {
            self.problems.extend(found);
        }
        self.known.insert(key, callee.clone());
        Ok(Some(callee))
    }

    /// Where a called runbook is: in the library of the caller; beside it, when it stands in none.
    fn place_of(
        &self,
        name: &str,
        caller: &RunbookPlace,
        callable: &mut Vec<String>,
    ) -> Result<Option<RunbookPlace>, CommandError> {
        let beside = match (caller, self.library) {
            (RunbookPlace::File(path), Some(library)) if !self.absolute(path).starts_with(library.root()) => Some(path),
            (RunbookPlace::File(path), None) => Some(path),
            _ => None,
        };
        if let Some(path) = beside {
            let folder = path.parent().unwrap_or(Path::new(""));
            callable.extend(stems(&self.absolute(folder)));
            let file = folder.join(format!("{name}.yaml"));
            if self.absolute(&file).is_file() {
                return Ok(Some(RunbookPlace::File(file)));
            }
        }
        // Beside a file that stands in no library, only what is inside the program is left.
        match resolve_runbook(name, self.library.filter(|_| beside.is_none())) {
            Ok(place) => Ok(Some(place)),
            Err(LookupError::Unknown(_)) => Ok(None),
            Err(duplicate) => Err(duplicate.into()),
        }
    }

    fn absolute(&self, path: &Path) -> std::path::PathBuf {
        self.session.folder().join(path)
    }
}

/// The names of the runbooks in a folder.
fn stems(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let yaml = entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect()
}

/// Every call in a runbook, wherever it stands.
fn calls(runbook: &Runbook) -> Vec<&Call> {
    fn of<'r>(steps: &'r [Arc<Step>], found: &mut Vec<&'r Call>) {
        for step in steps {
            if let Some(Action::Runbook(call)) = step.action() {
                found.push(call);
            }
            if let StepBody::Group(steps) = &step.body {
                of(steps, found);
            }
            if let StepBody::Decide(decide) = &step.body {
                decide.options.values().chain(&decide.otherwise).for_each(|option| of(&option.steps, found));
            }
            if let Some(on_failure) = &step.on_failure {
                of(&on_failure.steps, found);
            }
        }
    }
    let mut found = Vec::new();
    of(&runbook.steps, &mut found);
    of(runbook.finally_steps(), &mut found);
    found
}

/// What went wrong in called runbooks and is not told yet.
pub(super) fn tell_further(problems: &mut Diagnostics, further: &Diagnostics) {
    let told = |problems: &Diagnostics, problem: &Diagnostic| {
        problems.sorted().iter().any(|other| {
            other.source.name() == problem.source.name()
                && other.code == problem.code
                && other.label.span == problem.label.span
        })
    };
    for problem in further.sorted() {
        if !told(problems, problem) {
            problems.push(problem.clone());
        }
    }
}

/// The runbooks that a record holds, checked again.
pub(super) struct Thaw<'f> {
    /// The texts of the called runbooks, by name.
    pub(super) frozen: &'f BTreeMap<String, Source>,
    /// The targets of the environment, which stand in for those of the runbooks.
    pub(super) targets: &'f IndexMap<String, Target>,
    known: HashMap<String, Callee>,
}

impl<'f> Thaw<'f> {
    pub(super) fn new(frozen: &'f BTreeMap<String, Source>, targets: &'f IndexMap<String, Target>) -> Self {
        Self { frozen, targets, known: HashMap::new() }
    }

    /// The graph of a text, as it was when the run began; nothing, and problems, for what this version does not accept.
    pub(super) fn graph(&mut self, text: &Source, problems: &mut Diagnostics) -> Option<StepGraph> {
        self.below(text, 0, problems)
    }

    fn below(&mut self, text: &Source, depth: usize, problems: &mut Diagnostics) -> Option<StepGraph> {
        // A record that somebody wrote by hand may hold a ring.
        if depth > 64 {
            return None;
        }
        let runbook = parse_runbook(text, problems)?.with_targets(self.targets);
        let mut context = CheckContext::default();
        for call in calls(&runbook) {
            let name = &call.name.value;
            if !self.known.contains_key(name) {
                let frozen = self.frozen.get(name);
                let callee = frozen.and_then(|text| self.below(text, depth + 1, problems));
                let callee = callee.map_or(Callee::Invalid, |graph| Callee::Checked(Arc::new(graph)));
                self.known.insert(name.clone(), callee);
            }
            if let Some(callee) = self.known.get(name) {
                context.callees.insert(name.clone(), callee.clone());
            }
        }
        check(Arc::new(runbook), &context, problems)
    }
}
