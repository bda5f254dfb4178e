//! `prometheus` and `alert`: questions to Prometheus.

use super::action::Action;
use super::amount::DurationSpec;
use super::decode::{Decode, Decoder};
use super::grammar::Grammar;
use super::promql::query_places;
use crate::expr::{Expr, Template};
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
            check_values(&query, decoder);
            return Some(Self { span: node.span, query, range: None, step: None, time: None });
        }
        let record = PrometheusRecord::decode(node, decoder)?;
        if record.step.is_some() && record.range.is_none() {
            decoder.error("stray-key", record.span, "`step` belongs to a range query, and there is no `range`");
        }
        check_values(&record.query, decoder);
        Some(Self { span: record.span, query: record.query, range: record.range, step: record.step, time: record.time })
    }
}

/// Reports the values of a query that stand where they would become a part of its syntax.
fn check_values(query: &Template, decoder: &mut Decoder<'_>) {
    let (_, problems) = query_places(query);
    for problem in problems {
        decoder.error_hint("query-value", problem.span, problem.message, problem.hint);
    }
}

/// What must hold of an action: what the author says; of an alert without a word about it, that it returns nothing.
pub(super) fn expected(action: &Action, given: Vec<Expr>) -> Vec<Expr> {
    match action {
        Action::Alert(name) if given.is_empty() => {
            let quiet = Expr::parse("count == 0", &|_| name.span);
            quiet.into_iter().collect()
        }
        _ => given,
    }
}
