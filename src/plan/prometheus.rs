//! From `prometheus` and `alert` as written to a query.

use super::act::PrometheusAct;
use super::resolve::{Refusal, Resolver};
use super::values::StepScope;
use crate::event::ActView;
use crate::runbook::{PrometheusAction, TargetRef};
use crate::source::Sp;

/// The query of an action with its values.
pub(super) fn act(
    _resolver: &Resolver,
    query: &PrometheusAction,
    _target: Option<&TargetRef>,
    _scope: &StepScope,
) -> Result<PrometheusAct, Refusal> {
    Err(Refusal { message: "`prometheus` is not supported yet".to_owned(), span: query.span })
}

/// The query of an alert of this runbook.
pub(super) fn alert(
    _resolver: &Resolver,
    name: &Sp<String>,
    _target: Option<&TargetRef>,
    _scope: &StepScope,
) -> Result<PrometheusAct, Refusal> {
    Err(Refusal { message: "`alert` is not supported yet".to_owned(), span: name.span })
}

/// The query as a person reads it.
pub(super) fn view(act: &PrometheusAct) -> ActView {
    ActView { action: "prometheus".to_owned(), text: act.query.to_string(), ..ActView::default() }
}
