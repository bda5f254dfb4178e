//! Text a person wrote: files, spans, the YAML reader and the problems found on the way.
//!
//! Rank 0: uses nothing else of the crate and knows nothing about runbooks.

mod diagnostic;
mod file;
mod render;
mod yaml;

pub(crate) use diagnostic::nearest;
pub use diagnostic::{Diagnostic, Diagnostics, Label, Severity, Suggestion};
pub use file::{FILE_LIMIT, Source, Sp, Span};
pub use render::{DiagnosticFormat, render};
pub use yaml::{Data, Entry, Node, Scalar, ScalarProblem, Style, parse_yaml};
