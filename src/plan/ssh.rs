//! From an ssh target as written to another machine.

use super::act::CommandAct;
use super::place::{Machine, SshTarget};
use super::quote::{quote_argument, quote_command};
use super::resolve::{Refusal, Resolver, optional};
use super::view::{Holes, line};
use crate::event::Line;
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

/// On which machine, for a card.
pub(super) fn on(machine: &Machine, holes: &mut Holes) -> Option<Line> {
    let Machine::Ssh(ssh) = machine else { return None };
    let more = [&ssh.port, &ssh.key, &ssh.known_hosts, &ssh.jump, &ssh.config];
    for text in std::iter::once(&ssh.host).chain(more.into_iter().flatten()) {
        holes.text(text);
    }
    let through = ssh.jump.as_ref().map(|jump| format!(" through {jump}")).unwrap_or_default();
    Some(line("on", format!("{}{through}", ssh.address())))
}

/// The same by hand: one line that can be pasted into a shell here. Input is left out; a secret shows as its name.
pub(super) fn by_hand(command: &CommandAct) -> Option<Line> {
    let Machine::Ssh(ssh) = &command.machine else { return None };
    let argv: Vec<String> = command.argv.iter().map(ToString::to_string).collect();
    let mut there = String::new();
    if let Some(cwd) = &command.cwd {
        there.push_str(&format!("cd -- {} && ", quote_argument(&cwd.to_string())));
    }
    if !command.env.is_empty() {
        there.push_str("env ");
        for (name, value) in &command.env {
            there.push_str(&format!("{name}={} ", quote_argument(&value.to_string())));
        }
    }
    there.push_str(&quote_command(&argv));
    let mut words = vec!["ssh".to_owned()];
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    if let Some(config) = &ssh.config {
        option("-F", config.to_string());
    }
    if let Some(key) = &ssh.key {
        option("-i", key.to_string());
    }
    if let Some(file) = &ssh.known_hosts {
        option("-o", format!("UserKnownHostsFile={file}"));
    }
    if let Some(jump) = &ssh.jump {
        option("-J", jump.to_string());
    }
    if let Some(port) = &ssh.port {
        option("-p", port.to_string());
    }
    // A host that looks like an option is refused by the run; who pastes the line must not be worse off.
    words.extend(["--".to_owned(), ssh.host.to_string(), there]);
    Some(line("by hand", quote_command(&words)))
}
