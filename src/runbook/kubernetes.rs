//! `kubectl`: the stock client, always with the target's context and namespace.

use super::action::{Data, Program};
use super::kubectl_call::KubectlCall;
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

impl KubectlAction {
    /// The call as written, templates as they stand.
    #[must_use]
    pub fn call(&self) -> KubectlCall {
        KubectlCall::new(self.args.iter().map(|argument| argument.source_text().to_owned()))
    }

    /// The documents that are written out: one, or each of a list.
    #[must_use]
    pub fn documents(&self) -> Vec<&Data> {
        match &self.manifest {
            None => Vec::new(),
            Some(Data::List(documents)) => documents.iter().collect(),
            Some(document) => vec![document],
        }
    }
}
