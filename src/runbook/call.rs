//! `runbook`: another runbook as one step.

use super::action::Data;
use super::decode::{Decode, Decoder};
use super::document::Runbook;
use super::grammar::Grammar;
use super::input::Input;
use crate::source::{Node, Sp, Span};
use indexmap::IndexMap;

/// `runbook:` in a step.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where it stands.
    pub span: Span,
    /// The id of the called runbook.
    pub name: Sp<String>,
    /// Its inputs; values keep their type.
    pub inputs: IndexMap<Sp<String>, Data>,
}

record! {
    /// Another runbook as one step.
    pub(super) struct CallRecord = "runbook call" {
        /// The id of the called runbook.
        must name = "name": Sp<String>,
        /// Its inputs.
        with inputs = "inputs": IndexMap<Sp<String>, Data>,
    }
}

impl Call {
    /// What goes on by itself: the inputs of the called runbook that this call does not give, and that its caller has
    /// under the same name. In their order there, with both declarations: the caller's, then the called one's.
    pub fn handed_on<'a>(
        &self,
        caller: &'a Runbook,
        called: &'a Runbook,
    ) -> impl Iterator<Item = (&'a Sp<String>, &'a Input, &'a Input)> {
        let open = called.inputs.iter().filter(|(name, _)| !self.inputs.contains_key(name.value.as_str()));
        open.filter_map(|(name, theirs)| Some((name, caller.inputs.get(name.value.as_str())?, theirs)))
    }
}

impl Decode for Call {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Text, CallRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if node.as_scalar().is_some() {
            return Some(Self { span: node.span, name: Sp::decode(node, decoder)?, inputs: IndexMap::new() });
        }
        let record = CallRecord::decode(node, decoder)?;
        Some(Self { span: record.span, name: record.name, inputs: record.inputs })
    }
}
