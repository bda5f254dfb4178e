//! The command line: the only place that wires, prints, reads arguments, environment and clock. Rank 10.
//!
//! A command takes its arguments and the `Session`, prints its data to stdout and everything else to stderr,
//! and gives an [`Exit`] or a `CommandError`; one function turns that into words and a number.

#![expect(clippy::disallowed_methods, reason = "the program meets its arguments, environment and clock here")]

mod alerts;
mod answers;
mod approve;
mod arguments;
mod ask;
mod callees;
mod check;
mod clock;
mod console;
mod decide;
mod earlier;
mod exit;
mod failure;
mod files;
mod follow;
mod frozen;
mod handover;
mod helper;
mod keys;
mod list;
mod lookup;
mod new;
mod outside;
mod overdue;
mod overview;
mod pages;
mod perform;
mod person;
mod plan;
mod prepare;
mod prepared;
mod programs;
mod recorded;
mod refusal;
mod resume;
mod revised;
mod run;
mod screen;
mod scripts;
mod session;
mod show;
mod signals;
mod signatures;
mod stale;
mod thaw;
mod undo;
mod verify;
mod word;

#[cfg(test)]
mod tests;

pub use arguments::Arguments;
pub use exit::Exit;
pub use overview::command;
pub use pages::reference;

use arguments::Command;
use console::Console;
use failure::CommandError;
use session::Session;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Our own children start through this mode; nothing else of the program may run before it.
    if arguments.get(1).is_some_and(|first| first == "__exec") {
        return crate::action::exec_mode(arguments.into_iter().skip(2));
    }
    match overview::parse(arguments) {
        Ok(arguments) => perform(arguments).into(),
        Err(error) => {
            // `--help` too comes as an error; a reader that has gone away is none.
            drop(error.print());
            if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
        }
    }
}

fn perform(arguments: Arguments) -> Exit {
    let console = Console::new(arguments.global.color);
    let mut session = Session::new(arguments.global, console);
    match dispatch(&mut session, arguments.command) {
        Ok(exit) => exit,
        Err(error) => error.tell(&session.console, &session.secrets),
    }
}

fn dispatch(session: &mut Session, command: Command) -> Result<Exit, CommandError> {
    match command {
        Command::Run(arguments) => run::run(session, &arguments),
        Command::Resume(arguments) => resume::resume(session, &arguments),
        Command::Undo(arguments) => undo::undo(session, &arguments),
        Command::Plan(arguments) => plan::plan(session, &arguments),
        Command::Probe(arguments) => run::probe(session, &arguments),
        Command::Check(arguments) => check::check(session, &arguments),
        Command::New(arguments) => new::new_runbook(session, &arguments),
        Command::Lookup(arguments) => lookup::lookup(session, &arguments),
        Command::List(arguments) => list::list(session, &arguments),
        Command::Show(arguments) => show::show(session, &arguments),
        Command::Verify(arguments) => verify::verify(session, &arguments),
        Command::Approve(arguments) => approve::approve(session, &arguments),
        Command::Deny(arguments) => approve::deny(session, &arguments),
        Command::Answer(arguments) => decide::answer(session, &arguments),
        Command::Handover(arguments) => handover::handover(session, &arguments),
        Command::Note(arguments) => word::note(session, &arguments),
        Command::Mark(arguments) => word::mark(session, &arguments),
        Command::Abort(arguments) => word::abort(session, &arguments),
        Command::Alerts(arguments) => alerts::alerts(session, &arguments),
        Command::Schema(arguments) => pages::schema(session, &arguments),
        Command::Completions(arguments) => pages::completions(session, &arguments),
        Command::Man(arguments) => pages::man(session, &arguments),
    }
}
