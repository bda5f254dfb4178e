//! From `kubectl` as written to a command with context and namespace.

use super::act::KubectlAct;
use super::place::KubernetesTarget;
use super::resolve::{Refusal, Resolver};
use super::values::StepScope;
use crate::event::ActView;
use crate::expr::{Rendered, Scope};
use crate::runbook::{Identity, KubectlAction, TargetRef};
use crate::source::Span;

/// The command of an action with its values.
pub(super) fn act(
    _resolver: &Resolver,
    kubectl: &KubectlAction,
    _target: Option<&TargetRef>,
    _scope: &StepScope,
) -> Result<KubectlAct, Refusal> {
    Err(Refusal { message: "`kubectl` is not supported yet".to_owned(), span: kubectl.span })
}

/// The command that asks a cluster what it is: the UID of the namespace kube-system.
pub(super) fn identity(
    _resolver: &Resolver,
    _name: &str,
    identity: &Identity,
    _scope: &StepScope,
) -> Result<KubectlAct, Refusal> {
    Err(Refusal { message: "`kubectl` is not supported yet".to_owned(), span: identity.span })
}

/// The cluster that a step names, or the only one.
pub(super) fn cluster(
    _resolver: &Resolver,
    _target: Option<&TargetRef>,
    span: Span,
    _scope: &dyn Scope,
) -> Result<KubernetesTarget, Refusal> {
    Err(Refusal { message: "`kubectl` is not supported yet".to_owned(), span })
}

/// A command of ours (for `log` and `service`): arguments after the client's name, context and namespace added.
pub(super) fn command(_resolver: &Resolver, _target: KubernetesTarget, _args: Vec<Rendered>) -> Option<KubectlAct> {
    None
}

/// The command as a person reads it.
pub(super) fn view(act: &KubectlAct) -> ActView {
    let argv: Vec<_> = act.command.argv.iter().map(ToString::to_string).collect();
    ActView { action: "kubectl".to_owned(), text: super::quote::quote_command(&argv), ..ActView::default() }
}
