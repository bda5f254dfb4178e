//! The outside, as inputs see it: variables, files, programs and the person at the terminal.

use super::arguments::RunbookArguments;
use super::ask::ask_input;
use super::console::Console;
use super::helper::run_program;
use super::session::Session;
use crate::action::{BaseEnvironment, find_program};
use crate::event::Mode;
use crate::expr::SecretText;
use crate::graph::StepGraph;
use crate::library::Environment;
use crate::plan::{InputSources, ResolvedInput, RunAnswer, resolve_called, resolve_inputs};
use crate::report::sanitize::visible;
use crate::runbook::Runbook;
use crate::source::{Diagnostic, Diagnostics};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::Path;

/// The most that is read of a file that gives an input its value.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// The outside, as inputs see it.
pub(super) struct Outside<'a> {
    pub(super) session: &'a Session,
    pub(super) base: &'a BaseEnvironment,
    pub(super) mode: Mode,
    pub(super) now: Timestamp,
}

impl Outside<'_> {
    pub(super) fn inputs(
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
        self.learn(&inputs);
        for problem in found {
            let told = self.masked(problem.diagnostic(runbook.source()));
            if problem.span.is_some() { problems.push(told) } else { loose.push(told) }
        }
        inputs
    }

    /// Takes note of the secrets among inputs. One that cannot be masked is refused before the run, without its text.
    fn learn(&self, inputs: &[ResolvedInput]) {
        let secrets = inputs.iter().filter_map(|input| input.value.downcast_object_ref::<SecretText>());
        secrets.for_each(|secret| drop(self.session.secrets.add(secret)));
    }

    /// A problem without secrets: one may have been given to an input that is none.
    fn masked(&self, mut problem: Diagnostic) -> Diagnostic {
        let secrets = &self.session.secrets;
        problem.message = secrets.mask(&problem.message);
        problem.hint = problem.hint.map(|hint| secrets.mask(&hint));
        problem
    }

    /// The inputs of a called runbook that its calls leave to the outside.
    pub(super) fn called_inputs(
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
            let handed_on = call.handed_on(place.graph.runbook(), callee).filter(|(_, ours, _)| !ours.is_optional());
            let given = call.inputs.keys().chain(handed_on.map(|(input, ..)| input));
            (call.name.value == name).then(|| given.map(|input| input.value.clone()).collect::<BTreeSet<_>>())
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
        self.learn(&inputs);
        for problem in &found {
            problems.push(self.masked(problem.diagnostic(callee.source())));
        }
        inputs
    }

    /// The bytes of a file; `~/` is the home folder, other relative names start at the working folder.
    pub(super) fn file(&self, path: &str) -> io::Result<Vec<u8>> {
        self.file_in(self.session.folder(), path)
    }

    /// The same, with relative names that start at another folder.
    pub(super) fn file_in(&self, folder: &Path, path: &str) -> io::Result<Vec<u8>> {
        let path = match (path.strip_prefix("~/"), self.session.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => folder.join(path),
        };
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(io::Error::other(format!("it has more than {FILE_LIMIT} bytes")));
        }
        Ok(bytes)
    }

    pub(super) fn run(&self, argv: &[String]) -> RunAnswer {
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
