//! `kubectl`: the stock client, always with the target's context and namespace.

use super::action::{Data, Program};
use crate::expr::Template;
use crate::source::Span;

/// `kubectl:`
#[derive(Clone, Debug)]
pub struct KubectlAction {
    /// Where the list stands.
    pub span: Span,
    /// The arguments after `kubectl`.
    pub args: Vec<Template>,
    /// Documents on standard input: one, or a list of them; values keep their type.
    pub manifest: Option<Data>,
    /// Exit codes, environment and the like.
    pub program: Program,
}
