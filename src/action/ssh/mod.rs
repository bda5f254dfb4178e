//! Programs on other machines, through the OpenSSH client.
//!
//! One client per attempt, started and watched by `process` like any other child. It joins the connection of its
//! machine (`link`), starts a constant command line there and sends everything else as data (`far`). The far end tells
//! in lines of its own how it went; `sieve` takes those out of the program's output, and `talk` makes one fact of them:
//! not begun, refused, ended, or lost.

mod address;
mod far;
mod folder;
mod link;
mod sieve;
mod talk;
mod terminal;
mod trouble;

#[cfg(test)]
mod tests;

pub(super) use link::Links;
pub(super) use sieve::Sieve;
pub(super) use talk::{Far, FarEnd, Talk, prepare};
pub(super) use terminal::at_terminal;
