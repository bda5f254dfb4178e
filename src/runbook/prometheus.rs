//! `prometheus` and `alert`: questions to Prometheus.

use super::amount::DurationSpec;
use super::decode::{Decode, Decoder};
use super::grammar::Grammar;
use crate::expr::Template;
use crate::source::{Node, Span};

/// `prometheus:`
#[derive(Clone, Debug)]
pub struct PrometheusAction {
    /// Where it stands.
    pub span: Span,
    /// The query (PromQL).
    pub query: Template,
    /// A range query over this stretch of time.
    pub range: Option<DurationSpec>,
    /// Its resolution.
    pub step: Option<DurationSpec>,
    /// The moment of an instant query, or the end of a range (default: now).
    pub time: Option<Template>,
}

record! {
    /// A question to Prometheus.
    pub(super) struct PrometheusRecord = "prometheus" {
        /// The query (PromQL).
        must query = "query": Template,
        /// Makes it a range query over this stretch of time.
        may range = "range": DurationSpec,
        /// The resolution of a range query (default: a sixtieth of the range, at least 1s).
        may step = "step": DurationSpec,
        /// The moment of an instant query, or the end of a range (default: now).
        may time = "time": Template,
    }
}

impl Decode for PrometheusAction {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Template, PrometheusRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if node.as_scalar().is_some() {
            let query = Template::decode(node, decoder)?;
            return Some(Self { span: node.span, query, range: None, step: None, time: None });
        }
        let record = PrometheusRecord::decode(node, decoder)?;
        if record.step.is_some() && record.range.is_none() {
            decoder.error("stray-key", record.span, "`step` belongs to a range query, and there is no `range`");
        }
        Some(Self { span: record.span, query: record.query, range: record.range, step: record.step, time: record.time })
    }
}
