//! Inputs resolved, acts resolved: what would be done, with holes where a value is not known.
//!
//! Rank 5.

mod act;
mod called;
mod input;
mod kubectl;
mod log;
mod pages;
mod place;
mod policy;
mod preview;
mod prometheus;
mod quote;
mod resolve;
mod restore;
mod service;
mod sql;
mod ssh;
mod values;
mod view;

pub use crate::runbook::{EditFormat, Method, ServiceVerb};
pub use act::{
    Act, CommandAct, EditAct, HttpAct, KubectlAct, KubectlAnswer, LogAct, LogSourceAct, PagesAct, PrometheusAct,
    RequestBody, ServiceAct, ServiceDriverAct, Setting, Since, SqlAct, SqlBind, SqlStatement, StatusRule, WriteAct,
};
pub use called::{Called, called_values, target_names};
pub use input::{
    Asker, Broken, InputProblem, InputSources, LABEL_LIMIT, ResolvedInput, RunAnswer, check_call, is_frozen, parse_as,
    read_again, resolve_called, resolve_inputs,
};
pub use pages::Page;
pub use place::{KubernetesTarget, Machine, PostgresTarget, SshTarget, TargetAct, TlsAct};
pub use policy::{GateLevel, GatePolicy, gate_terms};
pub use preview::{InputNote, Plan, PlanArm, PlanContext, PlanDifference, PlanRow, PlanSummary};
pub use quote::{quote_argument, quote_command};
pub use resolve::{FindProgram, Refusal, Resolver, duration};
pub use restore::{FileAct, RestoreAct, restore_of};
pub use sql::{SqlPlace, SqlPlaces, sql_text};
pub use values::{Earlier, StepScope, Values};
pub use view::{Grade, address, grade, preview as preview_of, view};
