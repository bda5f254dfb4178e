//! From `service` as written to a driver, a verb and a name.

use super::act::{CommandAct, KubectlAct, ServiceAct, ServiceDriverAct};
use super::place::Machine;
use super::resolve::{Refusal, Resolver, arguments};
use super::values::StepScope;
use super::view::{Holes, command_view, line};
use crate::event::ActView;
use crate::expr::{Place, Rendered, Value};
use crate::runbook::{Program, ServiceAction, ServiceVerb, Target, TargetKind, TargetPlace, TargetRef};
use crate::source::Span;

/// What is asked of systemctl.
const PROPERTIES: &str =
    "LoadState,ActiveState,SubState,Type,Result,ExecMainStatus,MainPID,NRestarts,ActiveEnterTimestamp";

/// Lines of the journal that go with a service that is not what it shall be.
const LAST_LINES: &str = "20";

/// What is done to which service.
pub(super) fn act(
    resolver: &Resolver,
    service: &ServiceAction,
    target: Option<&TargetRef>,
    scope: &StepScope,
) -> Result<ServiceAct, Refusal> {
    let name = service.name.render(scope, Place::Argument)?;
    let kinds = [TargetKind::Local, TargetKind::Ssh, TargetKind::Kubernetes];
    let declared = match target {
        Some(_) => resolver.declared(target, &kinds, scope)?,
        // A target of this machine says how its services are driven, whether or not a step names it.
        None => only_local(resolver),
    };
    let declared = declared.map(|(_, target)| target);
    let (machine, driver) = if let Some(Target { place: TargetPlace::Kubernetes(_), .. }) = declared {
        (Machine::Here, cluster(resolver, service, target, &name, scope)?)
    } else {
        let machine = resolver.machine(target, service.span, scope)?;
        let driver = match declared.filter(|target| !target.service.is_empty()) {
            Some(target) => commands(resolver, service, target, &name, &machine, scope)?,
            None => systemctl(resolver, service, &name, &machine, scope)?,
        };
        (machine, driver)
    };
    let waits = service.ready.is_none();
    Ok(ServiceAct { machine, driver, verb: service.verb, name, waits })
}

fn only_local(resolver: &Resolver) -> Option<(&str, &Target)> {
    let mut found = resolver.runbook().targets.iter().filter(|(_, target)| target.place.kind() == TargetKind::Local);
    let (name, target) = found.next()?;
    found.next().is_none().then_some((name.value.as_str(), target))
}

fn words(words: &[&str]) -> Vec<Rendered> {
    words.iter().map(|word| Rendered::text(*word)).collect()
}

fn systemctl(
    resolver: &Resolver,
    service: &ServiceAction,
    name: &Rendered,
    machine: &Machine,
    scope: &StepScope,
) -> Result<ServiceDriverAct, Refusal> {
    let span = service.name.span();
    if let Some(name) = name.reveal().filter(|name| !is_unit(name)) {
        return Err(Refusal { message: format!("`{name}` is not the name of a unit of systemd"), span });
    }
    let command = |first: &[&str]| -> Result<CommandAct, Refusal> {
        let mut argv = words(first);
        argv.push(name.clone());
        let mut command = resolver.command(argv, None, &Program::default(), machine.clone(), scope)?;
        // Times are written in the zone of the one who asks.
        command.env.insert("TZ".to_owned(), Rendered::text("UTC"));
        Ok(command)
    };
    let act = match service.verb {
        ServiceVerb::Status => None,
        verb => Some(command(&["systemctl", "--no-ask-password", verb.as_str(), "--"])?),
    };
    Ok(ServiceDriverAct::Systemctl {
        look: command(&["systemctl", "show", "--no-pager", "-p", PROPERTIES, "--"])?,
        act,
        journal: command(&["journalctl", "--no-pager", "--output=short-iso", "--lines", LAST_LINES, "--unit"])?,
    })
}

/// systemctl takes patterns too, and they would reach more than one unit.
fn is_unit(name: &str) -> bool {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "_.:@\\-".contains(character);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(allowed)
}

fn cluster(
    resolver: &Resolver,
    service: &ServiceAction,
    target: Option<&TargetRef>,
    name: &Rendered,
    scope: &StepScope,
) -> Result<ServiceDriverAct, Refusal> {
    let span = service.span;
    if matches!(service.verb, ServiceVerb::Start | ServiceVerb::Stop | ServiceVerb::Reload) {
        return Err(Refusal { message: not_in_a_cluster(service.verb), span });
    }
    let mut workload = name.clone();
    if !name.reveal().is_some_and(|name| name.contains('/')) {
        workload.pieces.insert(0, crate::expr::Piece::Text("deployment/".to_owned()));
    }
    let command = |first: &[&str], last: &[&str]| -> Result<Box<KubectlAct>, Refusal> {
        let cluster = super::kubectl::cluster(resolver, target, span, scope)?;
        let mut arguments = words(first);
        arguments.push(workload.clone());
        arguments.extend(words(last));
        let message = "services of a cluster are not supported here".to_owned();
        let command = super::kubectl::command(resolver, cluster, arguments).ok_or(Refusal { message, span })?;
        Ok(Box::new(command))
    };
    let act = match service.verb {
        ServiceVerb::Restart => Some(command(&["rollout", "restart"], &[])?),
        _ => None,
    };
    Ok(ServiceDriverAct::Kubectl { look: command(&["get"], &["-o", "json"])?, act })
}

/// Why a verb cannot be had of a cluster.
fn not_in_a_cluster(verb: ServiceVerb) -> String {
    format!("a workload of Kubernetes can be restarted and looked at, and has no `{}`", verb.as_str())
}

fn commands(
    resolver: &Resolver,
    service: &ServiceAction,
    target: &Target,
    name: &Rendered,
    machine: &Machine,
    scope: &StepScope,
) -> Result<ServiceDriverAct, Refusal> {
    let value = match (name.reveal(), service.name.single()) {
        (Some(text), _) => Value::from(text),
        (None, Some(expr)) => expr.eval(scope)?,
        (None, None) => service.name.value(scope)?,
    };
    let scope = scope.clone().with("name", value);
    let command = |verb: ServiceVerb| -> Result<Option<CommandAct>, Refusal> {
        let Some(argv) = target.service.get(&verb) else { return Ok(None) };
        let argv = arguments(argv, &scope)?;
        Ok(Some(resolver.command(argv, None, &Program::default(), machine.clone(), &scope)?))
    };
    let look = command(ServiceVerb::Status)?;
    let act = if service.verb == ServiceVerb::Status { None } else { command(service.verb)? };
    if (service.verb == ServiceVerb::Status && look.is_none()) || (service.verb != ServiceVerb::Status && act.is_none())
    {
        return Err(no_command(service.verb, service.span));
    }
    Ok(ServiceDriverAct::Commands { look, act })
}

fn no_command(verb: ServiceVerb, span: Span) -> Refusal {
    Refusal { message: format!("the target's `service` has no command for `{}`", verb.as_str()), span }
}

impl ServiceAct {
    /// The command that does what is wanted; none for `status`.
    #[must_use]
    pub fn command(&self) -> Option<&CommandAct> {
        match &self.driver {
            ServiceDriverAct::Systemctl { act, .. } | ServiceDriverAct::Commands { act, .. } => act.as_ref(),
            ServiceDriverAct::Kubectl { act, .. } => act.as_ref().map(|act| &act.command),
        }
    }

    /// The command that looks at the service.
    #[must_use]
    pub fn look(&self) -> Option<&CommandAct> {
        match &self.driver {
            ServiceDriverAct::Systemctl { look, .. } => Some(look),
            ServiceDriverAct::Kubectl { look, .. } => Some(&look.command),
            ServiceDriverAct::Commands { look, .. } => look.as_ref(),
        }
    }
}

/// The same as a person reads it: what is done, and what is looked at before and after.
pub(super) fn view(act: &ServiceAct) -> ActView {
    let mut holes = Holes::default();
    let main = act.command().or_else(|| act.look());
    let mut view = main.map(|command| command_view(command, &mut holes)).unwrap_or_default();
    "service".clone_into(&mut view.action);
    // The zone of times is nothing that an author has said; the machine is.
    view.more.retain(|line| matches!(line.label.as_str(), "program" | "on"));
    if act.command().is_some() {
        let look = act.look().map(|look| command_view(look, &mut holes).text);
        view.more.extend(look.map(|text| line("looks", text)));
        let until = if act.waits { wanted(act) } else { "`ready` holds" };
        view.more.push(line("until", until));
    }
    view.holes = holes.0;
    view
}

/// What is waited for.
fn wanted(act: &ServiceAct) -> &'static str {
    match (&act.driver, act.verb) {
        (ServiceDriverAct::Commands { look: None, .. }, _) => "the command has ended",
        (ServiceDriverAct::Kubectl { .. }, _) => "every pod is new and available",
        (_, ServiceVerb::Stop) => "it has stopped",
        _ => "it runs, at two looks",
    }
}
