//! `sql`: statements to PostgreSQL.

use super::decode::{Decode, Decoder};
use super::dsn::{Dsn, SslMode};
use super::grammar::Grammar;
use super::sql_script::SqlScript;
use crate::expr::{Segment, Template};
use crate::source::{Diagnostic, Node, Sp, Span};

/// A script of SQL: the template it was written as, and its statements.
#[derive(Clone, Debug)]
pub struct SqlQuery {
    /// As written.
    pub text: Template,
    /// Cut into statements; every `{{ x }}` is a bind parameter, `{{ x | ident }}` a quoted identifier.
    pub script: SqlScript,
}

impl Decode for SqlQuery {
    fn grammar() -> Grammar {
        Grammar::Template
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "text")?;
        let text = decoder.template(scalar)?;
        match SqlScript::parse(&text, scalar, decoder.source) {
            Ok(script) => Some(Self { text, script }),
            Err(problems) => {
                for problem in problems {
                    decoder.error_hint(problem.code, problem.span, problem.message, problem.hint);
                }
                None
            }
        }
    }
}

/// `sql:`
#[derive(Clone, Debug)]
pub struct SqlAction {
    /// Where it stands.
    pub span: Span,
    /// One statement or several.
    pub query: SqlQuery,
    /// Whether all statements stand or fall together (default: yes).
    pub transaction: Option<Sp<bool>>,
    /// The most rows that may come back (default 10000); more fail the step.
    pub rows: Option<Sp<i64>>,
}

record! {
    /// Statements to PostgreSQL.
    pub(super) struct SqlRecord = "sql" {
        /// One statement or several; every `{{ x }}` becomes a bind parameter, `{{ x | ident }}` a quoted identifier.
        must query = "query": SqlQuery,
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
            let query = SqlQuery::decode(node, decoder)?;
            return Some(Self { span: node.span, query, transaction: None, rows: None });
        }
        let record = SqlRecord::decode(node, decoder)?;
        if let Some(rows) = record.rows.as_ref().filter(|rows| rows.value < 1) {
            decoder.error("wrong-type", rows.span, "`rows` is at least 1");
        }
        Some(Self { span: record.span, query: record.query, transaction: record.transaction, rows: record.rows })
    }
}

/// Reports what can be told of a database's address before its values are known.
pub(super) fn check_dsn(template: &Template, decoder: &mut Decoder<'_>) {
    let mut text = String::new();
    for (place, segment) in template.segments().enumerate() {
        match segment {
            // What a value at the beginning says decides the form of the rest.
            Segment::Expr(_) if place == 0 => return,
            // Its value is looked at when it is known.
            Segment::Expr(_) if text.ends_with("sslmode=") => text.push_str(SslMode::Disable.as_str()),
            Segment::Expr(_) => text.push('1'),
            Segment::Text(plain) => text.push_str(plain.as_str()),
        }
    }
    let has_values = template.literal().is_none();
    let found = if has_values && !text.contains("://") {
        Some("values can stand in the URL form only: `postgres://{{ user }}@{{ host }}/{{ database }}`".to_owned())
    } else {
        Dsn::parse(&text).err().map(|problem| problem.to_string())
    };
    if let Some(message) = found {
        let problem = Diagnostic::error(decoder.source, "postgres-dsn", template.span(), message);
        decoder
            .problems
            .push(problem.hint("a database is written `postgres://user@host:port/database?sslmode=verify-full`"));
    }
}
