//! Finding a runbook by what a person sees: a question, an alert's name, lines of a log.
//!
//! Named runbooks come first (by id, or by an alert they answer), then those of which a quoted text stands in a line, then
//! those with an alert whose name is nearly right, then those that have words in common with a line. Nothing is learned,
//! weighed by how rare it is, or guessed beyond that: the page on the library says the rules in a few sentences.

mod entry;
mod index;
mod lines;
mod quoted;
mod search;
mod words;

pub use entry::{Entry, Text, TextKind};
pub use index::Finder;
pub use lines::Lines;
pub use search::{By, Found, Reason, Search};

#[cfg(test)]
mod tests;
