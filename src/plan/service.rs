//! From `service` as written to a driver, a verb and a name.

use super::act::ServiceAct;
use super::resolve::{Refusal, Resolver};
use super::values::StepScope;
use crate::event::ActView;
use crate::runbook::{ServiceAction, TargetRef};

/// What is done to which service.
pub(super) fn act(
    _resolver: &Resolver,
    service: &ServiceAction,
    _target: Option<&TargetRef>,
    _scope: &StepScope,
) -> Result<ServiceAct, Refusal> {
    Err(Refusal { message: "`service` is not supported yet".to_owned(), span: service.span })
}

/// The same as a person reads it.
pub(super) fn view(act: &ServiceAct) -> ActView {
    let text = format!("{} {}", act.verb.as_str(), act.name);
    ActView { action: "service".to_owned(), text, ..ActView::default() }
}
