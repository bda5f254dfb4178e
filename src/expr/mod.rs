//! The expression language: minijinja's syntax, filters and tests, evaluated with a third value, the *unknown*.
//!
//! Rank 1: uses `source` only. It knows values and names, not steps or runbooks.
//!
//! minijinja parses, and provides filters, tests and functions; the evaluation over its syntax tree is ours, because the
//! logic of the unknown (Kleene's), typed comparison and the record of the values used are what the language promises.

mod check;
mod clash;
mod eval;
mod functions;
mod kind;
mod operate;
mod parse;
mod shape;
mod syntax;
mod template;
mod time;
mod value;

#[cfg(test)]
mod tests;

pub use eval::{EvalError, Scope, Used, Verdict};
pub use functions::{FunctionDoc, function_table};
pub use kind::scalar_text;
pub use shape::{Names, Problem, Shape};
pub use syntax::{Expr, ParseError, Reference};
pub use template::{Piece, Place, PlainText, Rendered, Segment, Template};
pub use time::{Duration, Time};
pub use value::{
    SecretText, Unknown, UnknownSort, Value, from_json, from_record, is_secret, secret, to_json, to_record, unknown,
    unknown_of,
};
