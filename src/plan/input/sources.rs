//! Where values may come from.

use crate::library::Environment;
use crate::runbook::Input;
use indexmap::IndexMap;
use std::io;

/// The longest value of a label, in bytes (`rulings.md` 24).
pub const LABEL_LIMIT: usize = 4 * 1024;

/// What came of asking a program for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunAnswer {
    /// What it printed.
    Text(String),
    /// It is not run in a dry run.
    NotYet,
    /// It could not be run, or failed; one line that fits after "program `x`: ".
    Failed(String),
}

/// Asks a person for an input: its name, what is declared of it, and what was wrong with the answer before. Nothing means
/// that there is no answer.
pub type Asker<'a> = &'a mut dyn FnMut(&str, &Input, Option<&str>) -> Option<String>;

/// Where values may come from. Reading the outside is left to the functions given.
pub struct InputSources<'a> {
    /// `-i name=value`, in order; `@FILE` as a value means the content of that file, `@@` a text that starts with `@`.
    pub command_line: Vec<(String, String)>,
    /// The alert's labels.
    pub labels: IndexMap<String, String>,
    /// The environment of the run.
    pub environment: Option<&'a Environment>,
    /// Environment variables.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Files.
    pub file: &'a dyn Fn(&str) -> io::Result<Vec<u8>>,
    /// Programs.
    pub run: &'a dyn Fn(&[String]) -> RunAnswer,
    /// The person at the terminal.
    pub ask: Option<Asker<'a>>,
    /// The present moment, for defaults that compute.
    pub now: jiff::Timestamp,
}
