//! Inputs: from the sources a run has to typed values, with every problem reported in one pass.

mod again;
mod call;
mod problem;
mod resolve;
mod sources;
mod text;
mod typed;

#[cfg(test)]
mod tests;

pub use again::{is_frozen, read_again};
pub(super) use call::call_inputs;
pub use call::{check_call, resolve_called};
pub use problem::InputProblem;
pub use resolve::{ResolvedInput, resolve_inputs};
pub use sources::{Asker, InputSources, LABEL_LIMIT, RunAnswer};
pub use text::{Broken, parse_as};
