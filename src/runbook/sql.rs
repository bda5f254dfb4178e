//! `sql`: statements to PostgreSQL.

use super::decode::{Decode, Decoder};
use super::grammar::Grammar;
use crate::expr::Template;
use crate::source::{Node, Sp, Span};

/// `sql:`
#[derive(Clone, Debug)]
pub struct SqlAction {
    /// Where it stands.
    pub span: Span,
    /// One statement or several; every `{{ x }}` is a bind parameter, `{{ x | ident }}` a quoted identifier.
    pub query: Template,
    /// Whether all statements stand or fall together (default: yes).
    pub transaction: Option<Sp<bool>>,
    /// The most rows that may come back (default 10000); more fail the step.
    pub rows: Option<Sp<i64>>,
}

record! {
    /// Statements to PostgreSQL.
    pub(super) struct SqlRecord = "sql" {
        /// One statement or several; every `{{ x }}` becomes a bind parameter, `{{ x | ident }}` a quoted identifier.
        must query = "query": Template,
        /// Whether all statements stand or fall together (default true); only for a change.
        may transaction = "transaction": Sp<bool>,
        /// The most rows that may come back (default 10000); more fail the step.
        may rows = "rows": Sp<i64>,
    }
}

impl Decode for SqlAction {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Template, SqlRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if node.as_scalar().is_some() {
            let query = Template::decode(node, decoder)?;
            return Some(Self { span: node.span, query, transaction: None, rows: None });
        }
        let record = SqlRecord::decode(node, decoder)?;
        if let Some(rows) = record.rows.as_ref().filter(|rows| rows.value < 1) {
            decoder.error("wrong-type", rows.span, "`rows` is at least 1");
        }
        Some(Self { span: record.span, query: record.query, transaction: record.transaction, rows: record.rows })
    }
}
