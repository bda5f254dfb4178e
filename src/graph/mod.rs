//! The order rule and the checks: from a runbook to a step graph.
//!
//! Rank 4: uses `source`, `expr`, `runbook` and `library`. Holding a [`StepGraph`] is the proof that the runbook was
//! checked: every id is unique, every reference points at a step that is over by then, no ring exists, every expression
//! uses names that are there, and no key promises what its step cannot keep.

mod build;
mod check;
mod draw;
mod names;
mod node;
mod order;
mod outline;
mod revision;

pub use check::{Callee, CheckContext, check};
pub use draw::{GraphFormat, draw};
pub use names::step_shape;
pub use node::{GraphNode, NodeId, Parent, Section, StepGraph};
pub use outline::Place;
pub use revision::{Revision, StepChange};
