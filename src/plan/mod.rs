//! Inputs resolved, acts resolved: what would be done, with holes where a value is not known.
//!
//! Rank 5.

mod act;
mod input;
mod pages;
mod policy;
mod preview;
mod prometheus;
mod quote;
mod resolve;
mod values;
mod view;

pub use crate::runbook::{EditFormat, Method};
pub use act::{Act, CommandAct, EditAct, HttpAct, RequestBody, Setting, StatusRule, TargetAct, WriteAct};
pub use input::{
    Asker, Broken, InputProblem, InputSources, LABEL_LIMIT, ResolvedInput, RunAnswer, parse_as, resolve_inputs,
};
pub use pages::{MOST_ITEMS, Page, PagesAct};
pub use policy::{GateLevel, GatePolicy};
pub use preview::{InputNote, Plan, PlanArm, PlanContext, PlanDifference, PlanRow, PlanSummary};
pub use prometheus::{PrometheusAct, Window};
pub use quote::{quote_argument, quote_command};
pub use resolve::{FindProgram, Refusal, Resolver, duration};
pub use values::{StepScope, Values};
pub use view::{Grade, address, grade, view};
