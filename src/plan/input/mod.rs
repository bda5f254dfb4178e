//! Inputs: from the sources a run has to typed values, with every problem reported in one pass.

mod problem;
mod resolve;
mod sources;
mod text;
mod typed;

#[cfg(test)]
mod tests;

pub use problem::InputProblem;
pub use resolve::{ResolvedInput, resolve_inputs};
pub use sources::{Asker, InputSources, LABEL_LIMIT, RunAnswer};
pub use text::{Broken, parse_as};
