//! From `log` as written to a source of lines and its filters.

use super::act::LogAct;
use super::resolve::{Refusal, Resolver};
use super::values::StepScope;
use crate::event::ActView;
use crate::runbook::{LogAction, TargetRef};

/// The source and filters of an action with their values.
pub(super) fn act(
    _resolver: &Resolver,
    log: &LogAction,
    _target: Option<&TargetRef>,
    _scope: &StepScope,
) -> Result<LogAct, Refusal> {
    Err(Refusal { message: "`log` is not supported yet".to_owned(), span: log.span })
}

/// The source and filters as a person reads them.
pub(super) fn view(_act: &LogAct) -> ActView {
    ActView { action: "log".to_owned(), ..ActView::default() }
}
