//! `edit` and `write`: files changed in place of `sed`, `cat >` and `tee`; and files taken back to what they were before.
//!
//! Part of the hands (rank 8). It uses `source`, `expr`, `event`, `plan` and the ports; it starts no program. The path of a
//! change is: reach the file without following links (`disk`), work the new text out (`edit` and one module per format),
//! read it back, keep the old bytes and the diff as evidence, replace the file at once (`disk`).

mod change;
mod datum;
mod disk;
mod edit;
mod env;
mod far;
mod ini;
mod json;
mod lines;
mod masks;
mod perform;
mod problem;
mod restore;
mod toml;
mod tree;
mod yaml;
mod yaml_tree;

#[cfg(test)]
mod tests;

pub(crate) use far::{perform as perform_far, preview as preview_far};
pub(crate) use perform::{perform, preview};
