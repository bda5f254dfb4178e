//! Evaluation with three values.

use super::syntax::Expr;
use super::value::Value;
use crate::source::Span;

/// Where an expression's names come from.
pub trait Scope {
    /// The value of a root name, or nothing when there is no such name (an error: names are checked before a run).
    fn lookup(&self, name: &str) -> Option<Value>;

    /// The present moment, fixed for one step.
    fn now(&self) -> jiff::Timestamp;

    /// The value captured by the latest run that performed it: `last(runbook, name)`.
    fn last(&self, runbook: &str, name: &str) -> Value {
        super::value::unknown(super::UnknownSort::Unobtained, format!("no earlier run of `{runbook}` has `{name}`"))
    }
}

/// Three-valued truth of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is so.
    Holds,
    /// It is not so.
    DoesNotHold,
    /// It could not be told.
    CannotTell,
}

/// A value that an evaluation used: what was read, and what it was.
#[derive(Clone, Debug)]
pub struct Used {
    /// The reference as text: `queue.pending`.
    pub path: String,
    /// What it was.
    pub value: Value,
}

/// An expression that cannot be evaluated at all (a text compared with a number, a filter given the wrong kind).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// What is wrong, naming both sides where there are two.
    pub message: String,
    /// Where, in the file.
    pub span: Span,
}

impl Expr {
    /// Evaluates; an unknown result is a value, not an error.
    ///
    /// # Errors
    /// A clash of types, or a function that refuses its arguments.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        self.eval_used(scope, &mut Vec::new())
    }

    /// Evaluates and notes each reference that was really read, once, in order.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn eval_used(&self, scope: &dyn Scope, used: &mut Vec<Used>) -> Result<Value, EvalError> {
        let _ = (scope, used);
        Ok(Value::from(()))
    }

    /// Evaluates as a condition. Only `true` and `false` are conditions; anything else that is known is an error that
    /// says so. The unknown cannot tell.
    ///
    /// # Errors
    /// As [`Expr::eval`], and for a value that is not a boolean.
    pub fn verdict(&self, scope: &dyn Scope, used: &mut Vec<Used>) -> Result<Verdict, EvalError> {
        let _ = (scope, used);
        Ok(Verdict::CannotTell)
    }
}
