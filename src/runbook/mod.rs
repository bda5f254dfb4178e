//! The document as written: steps, kinds, actions, inputs, targets, gates and alerts, with the place of every word.
//!
//! Rank 2: uses `source` and `expr`. It knows what may be written, not what it means together: order, references and
//! names are the business of `graph`.
//!
//! Every record of the language is declared once with the `record!` macro in `decode`; that one declaration reads the
//! document, reports every problem of it in one pass, and gives the JSON Schema and the key tables of the reference.

#[macro_use]
mod decode;

#[macro_use]
mod with_action;

mod action;
mod alert;
mod amount;
mod ask;
mod call;
mod document;
mod dsn;
mod gate;
mod grammar;
mod http;
mod input;
mod kubectl_call;
mod kubernetes;
mod log;
mod lower;
mod part;
mod prometheus;
mod promql;
mod schema;
mod service;
mod sql;
mod sql_script;
mod sqlstate;
mod step;
mod target;
mod undo;
mod window;

pub use action::{
    Action, Data, EditAction, EditFormat, Escalation, Program, RunAction, Shell, ShellAction, WriteAction,
    action_names, refused_variable,
};
pub use alert::Alert;
pub use amount::{DurationSpec, parse_duration};
pub use ask::{Ask, Choices, Question};
pub use call::Call;
pub use decode::{Decode, Decoder, Many, Placed};
pub(crate) use decode::{record, words};
pub use document::{Cadence, Contact, Limits, Link, Requirement, Reviewed, Runbook, Share, parse_runbook};
pub use dsn::{Dsn, DsnHost, DsnProblem, SslMode};
pub use gate::{Gate, GateFloor};
pub use grammar::{Grammar, KeyDoc, RecordDoc};
pub use http::{Body, HttpAction, Method, Pages};
pub use input::{Input, InputFrom, InputType, is_reserved_name};
pub use kubectl_call::{KubectlCall, KubectlFlag, KubectlProblem};
pub use kubernetes::KubectlAction;
pub use log::{LogAction, LogSource, PodLog};
pub use prometheus::PrometheusAction;
pub use promql::{QueryPlace, QueryProblem, query_places};
pub use schema::{json_schema, key_tables, runbook_schema};
pub use service::{ServiceAction, ServiceVerb};
pub use sql::{SqlAction, SqlQuery};
pub use sql_script::{SqlPart, SqlProblem, SqlScript, SqlText};
pub use sqlstate::{is_sqlstate_class, sqlstate_class, sqlstate_names};
pub use step::{
    Background, CaptureRule, Change, Choice, Decide, DecideBy, ERROR_CLASSES, Each, End, FirstFailure, Hold,
    ItemFailure, Kind, OnFailure, Parallel, Probe, Retry, Risk, Step, StepBody, Temporary, Then, Until, is_error_class,
};
pub use target::{
    Identity, IdentityExpect, IdentityProbe, KubernetesPlace, SshPlace, Target, TargetAuth, TargetKind, TargetPlace,
    TargetRef, Tls,
};
pub use undo::{Undo, UndoAct, UndoWork};
pub use window::{Window, WindowProblem};
