//! From an ssh target as written to another machine.

use super::place::Machine;
use super::resolve::{Refusal, Resolver};
use crate::expr::Scope;
use crate::runbook::{SshPlace, Target};

/// The machine of an ssh target.
pub(super) fn machine(
    _resolver: &Resolver,
    name: &str,
    _target: &Target,
    ssh: &SshPlace,
    _scope: &dyn Scope,
) -> Result<Machine, Refusal> {
    Err(Refusal { message: format!("the ssh target `{name}` is not supported yet"), span: ssh.span })
}
