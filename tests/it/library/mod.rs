//! The runbooks that come with the program, run for real: every procedure of the documents they were made from.

mod catalog;
mod plans;
mod rows;
pub(crate) mod shelf;
mod stemedb;
mod vestige;
