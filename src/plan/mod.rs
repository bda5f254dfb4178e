//! Inputs resolved, acts resolved: what would be done, with holes where a value is not known.
//!
//! Rank 5.

mod act;
mod input;

pub use crate::runbook::{EditFormat, Method};
pub use act::{Act, CommandAct, EditAct, HttpAct, RequestBody, Setting, StatusRule, TargetAct, WriteAct};
pub use input::{
    Asker, Broken, InputProblem, InputSources, LABEL_LIMIT, ResolvedInput, RunAnswer, parse_as, resolve_inputs,
};
