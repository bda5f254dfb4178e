//! Inputs resolved, acts resolved: what would be done, with holes where a value is not known.
//!
//! Rank 5.

mod act;

pub use crate::runbook::{EditFormat, Method};
pub use act::{Act, CommandAct, EditAct, HttpAct, RequestBody, Setting, StatusRule, TargetAct, WriteAct};
