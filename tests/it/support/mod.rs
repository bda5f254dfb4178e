//! What the tests of the program stand on: a place of its own for each, what a call said, a system to act on, a
//! terminal to type at.

mod example;
mod journal;
mod output;
mod sandbox;
mod services;
mod simulator;
mod terminal;

pub(crate) use example::example;
pub(crate) use journal::{Entry, Journal};
pub(crate) use output::Output;
pub(crate) use sandbox::{Sandbox, finish};
pub(crate) use services::Services;
pub(crate) use simulator::Simulator;
pub(crate) use terminal::Terminal;

use std::path::PathBuf;

/// A file or folder of the repository.
pub(crate) fn repository(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}
