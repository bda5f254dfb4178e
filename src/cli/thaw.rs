//! What a run goes by, out of its record alone: a resume reads no library.

use super::arguments::{MendedArguments, ThawArguments};
use super::ask::ask_input;
use super::callees::Thaw;
use super::console::Console;
use super::failure::CommandError;
use super::frozen::sha256;
use super::outside::Outside;
use super::prepared::{Found, Prepared};
use super::programs::find_required;
use super::refusal::Refusal;
use super::revised::Proposal;
use super::session::Session;
use crate::action::{BaseEnvironment, find_program};
use crate::engine::restore;
use crate::event::{
    Event, FrozenRunbook, FrozenSettings, InputView, Mode, Operator, ProgramView, Record, RunId, SEMANTICS, StoredValue,
};
use crate::graph::StepGraph;
use crate::library::{FILE_NAME, LibraryFile, parse_library};
use crate::plan::{InputSources, ResolvedInput, is_frozen, read_again};
use crate::runbook::{Input, Runbook, Target};
use crate::source::{Diagnostics, Source, Sp};
use crate::store::Transcript;
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the record says of how a run began, with what later processes put in its place.
pub(super) struct Start<'r> {
    run: &'r RunId,
    pub(super) runbook: FrozenRunbook,
    pub(super) operator: &'r Operator,
    /// The run whose changes this one takes back.
    pub(super) undo_of: Option<&'r RunId>,
    version: &'r str,
    called: &'r [FrozenRunbook],
    settings: Option<&'r FrozenSettings>,
    environment: Option<&'r str>,
    inputs: &'r [InputView],
    programs: &'r [ProgramView],
    folder: Option<&'r str>,
    library: Option<&'r str>,
    began: Timestamp,
    records: &'r [Record],
}

/// What a run goes by, and the runbook that takes the place of the frozen one.
pub(super) struct Thawed {
    pub(super) prepared: Prepared,
    pub(super) runbook: Option<FrozenRunbook>,
}

impl<'r> Start<'r> {
    /// Reads the start of a run that can be taken up again.
    ///
    /// # Errors
    /// It cannot: a dry run, an undo, a record of another version or without a first event.
    pub(super) fn of(transcript: &'r Transcript) -> Result<Self, Refusal> {
        let run = &transcript.run;
        let Some(Record { time, event: Event::RunStarted { .. }, .. }) = transcript.records.first() else {
            return Err(match transcript.newer.first() {
                Some(newer) => Refusal::Newer { run: run.clone(), line: newer.line },
                None => Refusal::NeverBegan(run.clone()),
            });
        };
        let mut start = Self::first(run, *time, &transcript.records)?;
        if let Some(newer) = transcript.newer.first() {
            return Err(Refusal::Newer { run: run.clone(), line: newer.line });
        }
        for record in &transcript.records {
            let Event::RunResumed(again) = &record.event else { continue };
            if let Some(runbook) = &again.runbook {
                start.runbook = runbook.clone();
            }
            start.folder = again.folder.as_deref().or(start.folder);
            start.library = again.library.as_deref().or(start.library);
            if !again.programs.is_empty() {
                start.programs = &again.programs;
            }
        }
        Ok(start)
    }

    fn first(run: &'r RunId, time: Timestamp, records: &'r [Record]) -> Result<Self, Refusal> {
        let Some(Event::RunStarted {
            semantics,
            version,
            mode,
            runbook,
            file,
            text,
            digest,
            library,
            environment,
            operator,
            inputs,
            programs,
            called,
            settings,
            undo_of,
            folder,
            began,
            ..
        }) = records.first().map(|record| &record.event)
        else {
            return Err(Refusal::NeverBegan(run.clone()));
        };
        if *semantics != SEMANTICS {
            let (run, version) = (run.clone(), version.clone());
            return Err(Refusal::Semantics { run, found: *semantics, ours: SEMANTICS, version });
        }
        if *mode != Mode::Run {
            return Err(Refusal::DryRun { run: run.clone(), mode: *mode, runbook: runbook.clone() });
        }
        let (file, text, digest) = (file.clone(), text.clone(), digest.clone());
        Ok(Self {
            run,
            runbook: FrozenRunbook { runbook: runbook.clone(), file, text, digest },
            operator,
            undo_of: undo_of.as_ref(),
            version,
            called,
            settings: settings.as_deref(),
            environment: environment.as_deref(),
            inputs,
            programs,
            folder: folder.as_deref(),
            library: library.as_deref(),
            began: began.unwrap_or(time),
            records,
        })
    }

    /// The library's root: that of the start, or, where it is not here, the one that is named.
    fn library(&self, session: &Session) -> Option<PathBuf> {
        let recorded = PathBuf::from(self.library?);
        if recorded.is_dir() {
            return Some(recorded);
        }
        let named = session.global.library.as_ref()?;
        session.folder().join(named).canonicalize().ok().filter(|named| named.is_dir())
    }

    /// The working folder: that of the start; where it is not here, the one that is named, or the same place in the
    /// library that is named.
    pub(super) fn folder(&self, session: &Session, named: Option<&Path>) -> Result<PathBuf, Refusal> {
        let Some(recorded) = self.folder.map(PathBuf::from) else { return Ok(session.folder().to_owned()) };
        if recorded.is_dir() {
            return Ok(recorded);
        }
        let inside = || {
            let below = recorded.strip_prefix(self.library?).ok()?;
            Some(self.library(session)?.join(below))
        };
        let named = named.map(|named| session.folder().join(named)).or_else(inside);
        named
            .and_then(|named| named.canonicalize().ok())
            .filter(|named| named.is_dir())
            .ok_or(Refusal::FolderGone(recorded))
    }

    /// The working folder, when it is another one than before.
    pub(super) fn other_folder(&self, folder: &Path) -> Option<String> {
        let folder = folder.display().to_string();
        self.folder.is_some_and(|recorded| recorded != folder).then_some(folder)
    }

    /// The library's root, when it is another one than before.
    pub(super) fn other_library(&self, library: Option<&Path>) -> Option<String> {
        let library = library?.display().to_string();
        self.library.is_some_and(|recorded| recorded != library).then_some(library)
    }

    /// Everything the run goes by. The working folder of this process is that of the run already.
    ///
    /// # Errors
    /// Something that is frozen cannot be used here, or a secret cannot be read again.
    pub(super) fn prepared(
        &self,
        session: &Session,
        thaw: &ThawArguments,
        mended: Option<&MendedArguments>,
    ) -> Result<Thawed, CommandError> {
        let folder = self.folder(session, thaw.folder.as_deref())?;
        let library = self.library(session);
        let settings = self.library_file(library.as_deref(), &folder)?;
        let environment = self.environment.map(|name| {
            let found = settings.as_ref().and_then(|settings| settings.environments.get(name));
            found.ok_or_else(|| self.unreadable(FILE_NAME, format!("it has no environment `{name}`")))
        });
        let environment = environment.transpose()?;
        let targets = environment.map(|environment| environment.targets.clone()).unwrap_or_default();
        let (graph, revised) = self.graph(session, &targets, &folder, mended)?;
        let base = BaseEnvironment::from_vars(std::env::vars_os());
        let programs = self.programs(&graph, &base, thaw.find_programs)?;
        let outside = Outside { session, base: &base, mode: Mode::Run, now: self.began };
        let given = &thaw.inputs;
        let mut ask = |name: &str, input: &Input, wrong: Option<&str>| ask_input(&session.console, name, input, wrong);
        let mut sources = InputSources {
            command_line: given.clone(),
            labels: IndexMap::new(),
            environment,
            variable: &|name| std::env::var(name).ok(),
            // What is given now is named from here, what the runbook says from where the run has its files.
            file: &|path| {
                let is_given = given.iter().any(|(_, text)| text.strip_prefix('@') == Some(path));
                if is_given || path.starts_with("~/") { outside.file(path) } else { outside.file_in(&folder, path) }
            },
            run: &|argv| outside.run(argv),
            ask: if Console::has_person() { Some(&mut ask) } else { None },
            now: self.began,
        };
        let inputs = self.inputs(&graph, &mut sources)?;
        drop(sources);
        let prepared = Prepared::of(Found {
            graph,
            library,
            folder,
            settings: self.settings.cloned(),
            environment,
            inputs,
            programs,
            base,
            warnings: Vec::new(),
            began: self.began,
            earlier: session.earlier_runs(),
        });
        Ok(Thawed { prepared, runbook: revised })
    }

    fn unreadable(&self, file: &str, why: String) -> Refusal {
        Refusal::Unreadable { file: file.to_owned(), why, version: self.version.to_owned() }
    }

    /// `runwright.yaml` as it was.
    fn library_file(&self, library: Option<&Path>, folder: &Path) -> Result<Option<LibraryFile>, CommandError> {
        let Some(FrozenSettings { file, text, digest }) = self.settings else { return Ok(None) };
        let now = library.map_or_else(|| folder.join(file), |library| library.join(FILE_NAME));
        let source = as_it_was(file, text, digest, &now, "--library DIR")?;
        let mut problems = Diagnostics::new();
        let parsed = parse_library(&source, &mut problems);
        Ok(Some(parsed.ok_or_else(|| self.unreadable(file, first(&problems)))?))
    }

    fn graph(
        &self,
        session: &Session,
        targets: &IndexMap<String, Target>,
        folder: &Path,
        mended: Option<&MendedArguments>,
    ) -> Result<(StepGraph, Option<FrozenRunbook>), CommandError> {
        let mut called = BTreeMap::new();
        for FrozenRunbook { runbook, file, text, digest } in self.called {
            let source = as_it_was(file, text, digest, &folder.join(file), "--library DIR")?;
            called.insert(runbook.clone(), source);
        }
        let FrozenRunbook { file, text, digest, .. } = &self.runbook;
        let named = mended.and_then(|mended| mended.runbook.as_ref()).map(|path| session.folder().join(path));
        let now = named.clone().unwrap_or_else(|| folder.join(file));
        let source = as_it_was(file, text, digest, &now, "--runbook FILE")?;
        let mut problems = Diagnostics::new();
        let mut thaw = Thaw::new(&called, targets);
        let graph = thaw.graph(&source, &mut problems);
        let graph = graph.ok_or_else(|| self.unreadable(file, first(&problems)))?;
        let Some(named) = named else { return Ok((graph, None)) };
        let proposal = Proposal { run: self.run, records: self.records, frozen: &self.runbook };
        match proposal.read(session, &named, &mut thaw, &graph)? {
            Some((graph, runbook)) => {
                proposal.agreed(session, &runbook, mended.and_then(|mended| mended.accept_runbook.as_deref()))?;
                Ok((graph, Some(runbook)))
            }
            None => Ok((graph, None)),
        }
    }

    /// The programs of the start, which must still be where they were; or those that are found now.
    fn programs(
        &self,
        graph: &StepGraph,
        base: &BaseEnvironment,
        anew: bool,
    ) -> Result<Vec<ProgramView>, CommandError> {
        if !anew {
            let gone = self.programs.iter().find(|program| find_program(&program.path, base.path()).is_err());
            return match gone {
                Some(ProgramView { name, path, .. }) => {
                    Err(Refusal::ProgramGone { name: name.clone(), path: path.clone() }.into())
                }
                None => Ok(self.programs.to_vec()),
            };
        }
        let mut problems = Diagnostics::new();
        let callees = graph.all_called();
        let runbooks = callees.values().map(|callee| callee.runbook()).chain([graph.runbook()]);
        let mut found: Vec<ProgramView> =
            runbooks.flat_map(|runbook| find_required(runbook, base, true, &mut problems)).collect();
        found.dedup_by(|a, b| a.name == b.name && a.path == b.path);
        if problems.has_errors() { Err(CommandError::Invalid(problems)) } else { Ok(found) }
    }

    /// The inputs of the record, with the secrets read again.
    fn inputs(&self, graph: &StepGraph, sources: &mut InputSources<'_>) -> Result<Vec<ResolvedInput>, CommandError> {
        self.refuse_others(graph, sources)?;
        let (mut inputs, mut problems) = (Vec::new(), Diagnostics::new());
        for InputView { name, value, source } in self.inputs {
            let Some((declared, input, runbook)) = declaration(graph, name) else { continue };
            if !matches!(value, StoredValue::Secret(_)) {
                inputs.push(ResolvedInput {
                    name: name.clone(),
                    value: restore(value),
                    source: source.clone(),
                    is_secret: false,
                    tainted: source.starts_with("label "),
                });
                continue;
            }
            match read_again(name, declared, input, source, sources) {
                Ok(found) => inputs.push(found),
                Err(problem) => problems.push(problem.diagnostic(runbook.source())),
            }
        }
        if problems.has_errors() {
            return Err(CommandError::Inputs { loose: Vec::new(), placed: problems });
        }
        Ok(inputs)
    }

    /// Refuses what is given and is no secret.
    fn refuse_others(&self, graph: &StepGraph, sources: &InputSources<'_>) -> Result<(), CommandError> {
        let is_secret = |view: &&InputView| matches!(view.value, StoredValue::Secret(_));
        for (name, _) in &sources.command_line {
            let recorded = self.inputs.iter().find(|view| view.name == *name);
            match (recorded, declaration(graph, name)) {
                (Some(view), Some(_)) if is_secret(&view) => {}
                (Some(view), Some((declared, input, _))) if !name.contains('.') => {
                    let is_same = is_frozen(declared, input, &restore(&view.value), sources);
                    if !is_same.unwrap_or(false) {
                        return Err(Refusal::Frozen(name.clone()).into());
                    }
                }
                _ => {
                    let known = self.inputs.iter().filter(is_secret).map(|view| view.name.clone()).collect();
                    let runbook = self.runbook.runbook.clone();
                    return Err(Refusal::NoSecret { runbook, name: name.clone(), known }.into());
                }
            }
        }
        Ok(())
    }
}

/// How an input is declared: in the runbook, or, as `runbook.input`, in one that is called.
fn declaration<'g>(graph: &'g StepGraph, name: &str) -> Option<(&'g Sp<String>, &'g Input, &'g Runbook)> {
    let (runbook, name): (&Runbook, &str) = match name.split_once('.') {
        Some((callee, name)) => (callee_of(graph, callee)?, name),
        None => (graph.runbook(), name),
    };
    let (declared, input) = runbook.inputs.iter().find(|(declared, _)| declared.value == name)?;
    Some((declared, input, runbook))
}

fn callee_of<'g>(graph: &'g StepGraph, name: &str) -> Option<&'g Runbook> {
    graph.outline().into_iter().find_map(|place| {
        let (call, callee) = place.graph.callee(place.id)?;
        (call.name.value == name).then(|| &**callee.runbook())
    })
}

/// A frozen text; where it held a secret, the file itself, if that is still the same.
fn as_it_was(file: &str, text: &str, digest: &str, now: &Path, option: &str) -> Result<Source, Refusal> {
    if sha256(text) == digest {
        return Ok(Source::new(file, text));
    }
    let refused =
        |found: &str| Refusal::Masked { file: file.to_owned(), found: found.to_owned(), option: option.to_owned() };
    let found = std::fs::read_to_string(now).map_err(|_| refused("the file is not here"))?;
    if sha256(&found) == digest { Ok(Source::new(file, found)) } else { Err(refused("the file has changed since")) }
}

fn first(problems: &Diagnostics) -> String {
    problems.sorted().first().map_or_else(|| "it cannot be read".to_owned(), |problem| problem.message.clone())
}
