//! The one reader for every YAML file a person writes: parser events become a tree in which everything has a span.
//!
//! `reader` is the only file that knows the parser crate; `tree` builds and limits; `syntax` and `line` put the parser's
//! refusals into words; `place` finds the way from a text back to the file.

mod characters;
mod columns;
mod line;
mod node;
mod place;
mod reader;
mod syntax;
mod tree;
mod typed;

#[cfg(test)]
mod tests;

pub use node::{Data, Entry, Node, Scalar, Style};
pub use reader::parse_yaml;
pub use typed::ScalarProblem;
