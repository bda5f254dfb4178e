//! `check`: every problem of every file in one pass.

use super::arguments::{CheckArguments, GraphForm, ProblemFormat};
use super::callees::{Loader, tell_further};
use super::exit::Exit;
use super::failure::CommandError;
use super::scripts::check_scripts;
use super::session::Session;
use crate::action::BaseEnvironment;
use crate::graph::{GraphFormat, StepGraph, draw};
use crate::library::{Library, RunbookPlace, resolve_runbook, runbook_files};
use crate::source::{Diagnostic, DiagnosticFormat, Diagnostics, Severity, Source, Span, render};

/// Checks runbooks and prints what is wrong with them.
pub(super) fn check(session: &Session, arguments: &CheckArguments) -> Result<Exit, CommandError> {
    let library = session.library()?;
    let mut problems = Diagnostics::new();
    let places = places(session, arguments, library.as_ref(), &mut problems)?;
    if arguments.graph.is_some() && places.len() != 1 {
        return Err(CommandError::usage("--graph draws one runbook", "name the one you mean: check RUNBOOK --graph"));
    }
    let mut loader = Loader::new(session, library.as_ref());
    let mut graphs = Vec::new();
    let environment = BaseEnvironment::from_vars(std::env::vars_os());
    for place in &places {
        let Some(graph) = loader.read_checked(place, &mut problems)? else { continue };
        check_scripts(&graph, &environment, &mut problems);
        graphs.push(graph);
    }
    tell_further(&mut problems, &loader.problems);
    print_problems(session, arguments, &problems, places.len())?;
    if let (Some(form), [graph]) = (arguments.graph, graphs.as_slice()) {
        print_graph(session, graph, form)?;
    }
    let failed = problems.has_errors() || (arguments.strict && problems.count(Severity::Warning) > 0);
    Ok(if failed { Exit::Invalid } else { Exit::Done })
}

/// The runbooks named, or all of the library with the problems of the library itself.
fn places(
    session: &Session,
    arguments: &CheckArguments,
    library: Option<&Library>,
    problems: &mut Diagnostics,
) -> Result<Vec<RunbookPlace>, CommandError> {
    if arguments.runbooks.is_empty() {
        let library = library.ok_or(CommandError::NoLibrary)?;
        problems.extend(library.problems().clone());
        duplicates(session, library, problems);
        return Ok(library.runbooks().iter().map(|file| RunbookPlace::File(file.path.clone())).collect());
    }
    let mut places = Vec::new();
    for name in &arguments.runbooks {
        let path = session.folder().join(name);
        if path.is_dir() {
            places.extend(runbook_files(&path)?.into_iter().map(|file| RunbookPlace::File(file.path)));
        } else {
            places.push(resolve_runbook(name, library)?);
        }
    }
    Ok(places)
}

fn duplicates(session: &Session, library: &Library, problems: &mut Diagnostics) {
    for twice in library.duplicates() {
        let name = session.shown(&library.root().join(&twice.second));
        let source = Source::new(name, "");
        let first = session.shown(&library.root().join(&twice.first));
        let message = format!("`{}` is the id of another file too: {first}", twice.id);
        problems.push(
            Diagnostic::error(&source, "duplicate-runbook", Span::default(), message)
                .hint("an id is the name of one file in the whole library; rename one of them"),
        );
    }
}

/// Problems are the data of a check; with a drawing, the drawing is.
fn print_problems(
    session: &Session,
    arguments: &CheckArguments,
    problems: &Diagnostics,
    files: usize,
) -> Result<(), CommandError> {
    let console = &session.console;
    let format = match arguments.format {
        ProblemFormat::Text => DiagnosticFormat::Text,
        ProblemFormat::Json => DiagnosticFormat::Json,
        ProblemFormat::Sarif => DiagnosticFormat::Sarif,
        ProblemFormat::Github => DiagnosticFormat::Github,
    };
    if arguments.graph.is_some() {
        console.say(&render(problems, format, console.error_style().colour));
    } else {
        console.data(&render(problems, format, console.out_style().colour))?;
    }
    if arguments.format == ProblemFormat::Text {
        console.say(&format!("{}\n", summary(problems, files)));
    }
    Ok(())
}

/// The count of problems stands under the problems already.
fn summary(problems: &Diagnostics, files: usize) -> String {
    let checked = format!("{files} runbook{} checked", if files == 1 { "" } else { "s" });
    if problems.is_empty() { format!("{checked}: nothing to mend") } else { checked }
}

fn print_graph(session: &Session, graph: &StepGraph, form: GraphForm) -> Result<(), CommandError> {
    let format = match form {
        GraphForm::Text => GraphFormat::Text,
        GraphForm::Mermaid => GraphFormat::Mermaid,
        GraphForm::Dot => GraphFormat::Dot,
    };
    let mut text = draw(graph, format);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    session.console.data(&text)
}
