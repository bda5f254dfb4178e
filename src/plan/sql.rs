//! From `sql` as written to statements with bind parameters.

use super::act::SqlAct;
use super::resolve::{Refusal, Resolver};
use super::values::StepScope;
use crate::event::ActView;
use crate::runbook::{Identity, SqlAction, TargetRef};

/// The statements of an action with their values.
pub(super) fn act(
    _resolver: &Resolver,
    sql: &SqlAction,
    _target: Option<&TargetRef>,
    _change: bool,
    _scope: &StepScope,
) -> Result<SqlAct, Refusal> {
    Err(Refusal { message: "`sql` is not supported yet".to_owned(), span: sql.span })
}

/// The statement that asks a database what it is. Its first row has the column `identity` for the built-in form.
pub(super) fn identity(
    _resolver: &Resolver,
    _name: &str,
    identity: &Identity,
    _scope: &StepScope,
) -> Result<SqlAct, Refusal> {
    Err(Refusal { message: "`sql` is not supported yet".to_owned(), span: identity.span })
}

/// The statements as a person reads them.
pub(super) fn view(act: &SqlAct) -> ActView {
    let texts: Vec<_> = act.statements.iter().map(|statement| statement.text.as_str()).collect();
    ActView { action: "sql".to_owned(), text: texts.join(";\n"), ..ActView::default() }
}
