//! What is generated from the declarations: schemas, completions, manual pages, and the reference in `docs/cli.md`.

use super::arguments::{CompletionsArguments, ManArguments, SchemaArguments, SchemaOf};
use super::exit::Exit;
use super::failure::CommandError;
use super::overview::command;
use super::session::Session;
use crate::library::library_schema;
use crate::runbook::runbook_schema;
use std::fmt::Write as _;

/// Prints a JSON Schema.
pub(super) fn schema(session: &Session, arguments: &SchemaArguments) -> Result<Exit, CommandError> {
    session.console.data(&schema_text(arguments.of))?;
    Ok(Exit::Done)
}

/// A schema as it stands in `schemas/`.
pub(super) fn schema_text(of: SchemaOf) -> String {
    let schema = match of {
        SchemaOf::Runbook => runbook_schema(),
        SchemaOf::Library => library_schema(),
    };
    format!("{schema:#}\n")
}

/// Prints completions.
pub(super) fn completions(session: &Session, arguments: &CompletionsArguments) -> Result<Exit, CommandError> {
    let mut bytes = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "runwright", &mut bytes);
    session.console.data(&String::from_utf8_lossy(&bytes))?;
    Ok(Exit::Done)
}

/// Prints the manual page, or writes one for each command.
pub(super) fn man(session: &Session, arguments: &ManArguments) -> Result<Exit, CommandError> {
    let Some(folder) = &arguments.folder else {
        let mut bytes = Vec::new();
        clap_mangen::Man::new(command()).render(&mut bytes).map_err(CommandError::Output)?;
        session.console.data(&String::from_utf8_lossy(&bytes))?;
        return Ok(Exit::Done);
    };
    let folder = session.folder().join(folder);
    let failed = |source| CommandError::Write { path: session.shown(&folder).into(), source };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    clap_mangen::generate_to(command(), &folder).map_err(failed)?;
    Ok(Exit::Done)
}

/// The reference of the command line, as `docs/cli.md` has it.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# The command line\n\n<!-- Generated from the declarations; `RUNWRIGHT_WRITE_DOCS=1 cargo test --lib cli::` writes it. -->\n\n\
         Data goes to stdout, everything else to stderr. Every state is a word, never only a colour.\n\n",
    );
    exit_table(&mut text);
    let mut root = command();
    root.build();
    describe(&mut text, &root, "runwright");
    describe_below(&mut text, &root, "runwright");
    text
}

/// The commands below one, each followed by those below it.
fn describe_below(text: &mut String, command: &clap::Command, title: &str) {
    for found in command.get_subcommands().filter(|found| found.get_name() != "help") {
        let title = format!("{title} {}", found.get_name());
        describe(text, found, &title);
        describe_below(text, found, &title);
    }
}

fn exit_table(text: &mut String) {
    text.push_str("## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        // Writing to a String cannot fail.
        _ = writeln!(text, "| {} | {} |", exit.code(), exit.meaning());
    }
    text.push_str("\nThe first that applies wins, in this order: 70, 8, 9, 3, 7, 6, 4, 5, 1, 0.\n\n");
}

fn describe(text: &mut String, command: &clap::Command, title: &str) {
    let help = command.clone().term_width(100).color(clap::ColorChoice::Never).render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    // Writing to a String cannot fail.
    _ = writeln!(text, "## {title}\n\n```text\n{}\n```\n", help.join("\n").trim_end());
}
