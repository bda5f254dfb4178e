//! From an ssh target as written to another machine.

use super::place::{Machine, SshTarget};
use super::resolve::{Refusal, Resolver, optional};
use crate::expr::{Place, Scope};
use crate::runbook::{SshPlace, Target};

/// The machine of an ssh target.
pub(super) fn machine(
    resolver: &Resolver,
    name: &str,
    target: &Target,
    ssh: &SshPlace,
    scope: &dyn Scope,
) -> Result<Machine, Refusal> {
    let path = |template| optional(template, scope, Place::Path);
    Ok(Machine::Ssh(Box::new(SshTarget {
        name: name.to_owned(),
        host: ssh.host.render(scope, Place::Path)?,
        port: path(ssh.port.as_ref())?,
        key: path(ssh.key.as_ref())?,
        known_hosts: path(ssh.known_hosts.as_ref())?,
        jump: path(ssh.jump.as_ref())?,
        config: path(ssh.config.as_ref())?,
        agent: ssh.agent,
        allow: target.allow.iter().map(|entry| entry.value.clone()).collect(),
        program: resolver.program("ssh"),
    })))
}
