//! From an action as written to an act with its values in.

use super::act::{Act, CommandAct, EditAct, HttpAct, PagesAct, RequestBody, Setting, StatusRule, WriteAct};
use super::place::{Machine, TargetAct, TlsAct};
use super::values::StepScope;
use crate::expr::{EvalError, Place, Rendered, Scope, Template, Value, unknown_of};
use crate::runbook::{
    Action, Body, Data, DurationSpec, EditAction, HttpAction, Identity, IdentityProbe, Program, Runbook, Shell, Target,
    TargetKind, TargetPlace, TargetRef, WriteAction, parse_duration,
};
use crate::source::Span;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why an act cannot be resolved: a value that its place refuses, or an expression that makes no sense.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// Where, in the runbook.
    pub span: Span,
}

impl From<EvalError> for Refusal {
    fn from(error: EvalError) -> Self {
        Self { message: error.message, span: error.span }
    }
}

/// Looks a program up by its name.
pub type FindProgram = Arc<dyn Fn(&str) -> Option<PathBuf> + Send + Sync>;

/// Resolves acts of one runbook.
#[derive(Clone)]
pub struct Resolver {
    runbook: Arc<Runbook>,
    programs: Arc<HashMap<String, PathBuf>>,
    find: FindProgram,
}

impl Resolver {
    /// `programs` are those found for `requires`; `find` looks up the others, by the file system alone.
    #[must_use]
    pub fn new(runbook: Arc<Runbook>, programs: HashMap<String, PathBuf>, find: FindProgram) -> Self {
        Self { runbook, programs: Arc::new(programs), find }
    }

    /// The act of an action, or nothing for actions that are no acts (`ask`, `set`, `wait`, ...). `change` says whether
    /// the step may change something: statements of a read run in a transaction that cannot.
    ///
    /// # Errors
    /// A value that its place refuses.
    pub fn act(
        &self,
        action: &Action,
        target: Option<&TargetRef>,
        change: bool,
        scope: &StepScope,
    ) -> Result<Option<Act>, Refusal> {
        let act = match action {
            Action::Run(run) => Act::Command(self.run(&run.argv, &run.program, target, run.span, scope)?),
            Action::Interactive(run) => {
                Act::Interactive(Box::new(self.run(&run.argv, &run.program, target, run.span, scope)?))
            }
            Action::Sql(sql) => Act::Sql(Box::new(super::sql::act(self, sql, target, change, scope)?)),
            Action::Prometheus(query) => Act::Prometheus(Box::new(super::prometheus::act(self, query, target, scope)?)),
            Action::Alert(name) => Act::Prometheus(Box::new(super::prometheus::alert(self, name, target, scope)?)),
            Action::Kubectl(kubectl) => Act::Kubectl(Box::new(super::kubectl::act(self, kubectl, target, scope)?)),
            Action::Log(log) => Act::Log(Box::new(super::log::act(self, log, target, scope)?)),
            Action::Service(service) => Act::Service(Box::new(super::service::act(self, service, target, scope)?)),
            Action::Shell(shell) => {
                let words: &[&str] = match shell.shell {
                    Shell::Bash => &["bash", "-p", "-euo", "pipefail", "-c"],
                    Shell::Sh => &["sh", "-eu", "-c"],
                };
                let mut argv: Vec<Rendered> = words.iter().map(|word| Rendered::text(*word)).collect();
                argv.push(Rendered::text(shell.script.value.clone()));
                let script = Some(shell.script.value.clone());
                let machine = self.machine(target, shell.script.span, scope)?;
                Act::Command(self.command(argv, script, &shell.program, machine, scope)?)
            }
            Action::Http(http) => Act::Http(self.http(http, target, scope)?),
            Action::Edit(edit) => Act::Edit(edit_act(edit, self.machine(target, edit.span, scope)?, scope)?),
            Action::Write(write) => Act::Write(write_act(write, self.machine(target, write.span, scope)?, scope)?),
            _ => return Ok(None),
        };
        Ok(Some(act))
    }

    /// The runbook whose acts these are.
    pub(super) fn runbook(&self) -> &Arc<Runbook> {
        &self.runbook
    }

    /// The path of a program on this machine: as recorded for `requires`, else as it is found now.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        self.programs.get(name).cloned().or_else(|| (self.find)(name))
    }

    /// The target a step names, or the only one of these kinds. `Ok(None)` when it names none and none fits.
    ///
    /// # Errors
    /// A computed name that is no target, or a target of another kind.
    pub(super) fn declared(
        &self,
        target: Option<&TargetRef>,
        kinds: &[TargetKind],
        scope: &dyn Scope,
    ) -> Result<Option<(&str, &Target)>, Refusal> {
        let targets = &self.runbook.targets;
        let fits = |target: &Target| kinds.contains(&target.place.kind());
        let name = match target {
            None => {
                let found = targets.iter().find(|(_, target)| fits(target));
                return Ok(found.map(|(name, target)| (name.value.as_str(), target)));
            }
            Some(TargetRef::Name(name)) => name.value.clone(),
            Some(TargetRef::Computed(template)) => {
                let name = template.render(scope, Place::Path)?;
                let Some(known) = name.reveal() else {
                    let message = format!("the target `{name}` is not known yet");
                    return Err(Refusal { message, span: template.span() });
                };
                known
            }
            Some(TargetRef::Each(names)) => {
                let message = "several targets cannot stand here".to_owned();
                return Err(Refusal { message, span: names.first().map(|name| name.span).unwrap_or_default() });
            }
        };
        let span = target.map(TargetRef::span).unwrap_or_default();
        let Some((known, found)) = targets.get_key_value(name.as_str()) else {
            return Err(Refusal { message: format!("`{name}` is not a target of this runbook"), span });
        };
        if !fits(found) {
            let wanted: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
            let kind = found.place.kind().as_str();
            let message = format!("`{name}` is a target of kind `{kind}`, and {} is wanted here", wanted.join(" or "));
            return Err(Refusal { message, span });
        }
        Ok(Some((known.value.as_str(), found)))
    }

    /// The machine that a program, a file or a log is on: the one the step names, else this one.
    pub(super) fn machine(
        &self,
        target: Option<&TargetRef>,
        span: Span,
        scope: &dyn Scope,
    ) -> Result<Machine, Refusal> {
        // Without a word of the author, a program runs here: an ssh target that is declared for one step must not
        // catch every other one.
        let Some(target) = target else { return Ok(self.here()) };
        match self.declared(Some(target), &[TargetKind::Local, TargetKind::Ssh], scope)? {
            Some((name, target)) => match &target.place {
                TargetPlace::Ssh(ssh) => super::ssh::machine(self, name, target, ssh, scope),
                _ => Ok(Machine::Local(name.to_owned())),
            },
            None => Err(Refusal { message: "there is no such machine".to_owned(), span }),
        }
    }

    /// This machine. Where the only target of kind `local` says what proves it, no step acts here without that proof.
    fn here(&self) -> Machine {
        let mut local = self.runbook.targets.iter().filter(|(_, target)| target.place.kind() == TargetKind::Local);
        match (local.next(), local.next()) {
            (Some((name, target)), None) if target.identity.is_some() => Machine::Local(name.value.clone()),
            _ => Machine::Here,
        }
    }

    fn run(
        &self,
        argv: &[Template],
        program: &Program,
        target: Option<&TargetRef>,
        span: Span,
        scope: &dyn Scope,
    ) -> Result<CommandAct, Refusal> {
        let machine = self.machine(target, span, scope)?;
        self.command(arguments(argv, scope)?, None, program, machine, scope)
    }

    pub(super) fn command(
        &self,
        argv: Vec<Rendered>,
        script: Option<String>,
        program: &Program,
        machine: Machine,
        scope: &dyn Scope,
    ) -> Result<CommandAct, Refusal> {
        // The path of a program on another machine is that machine's business.
        let local = !matches!(machine, Machine::Ssh(_));
        let name = argv.first().and_then(Rendered::reveal).filter(|_| local);
        let path = name.and_then(|name| self.program(&name));
        let mut env = IndexMap::new();
        for (name, value) in &program.env {
            env.insert(name.value.clone(), value.render(scope, Place::Plain)?);
        }
        let ok: Vec<i32> = program.ok.iter().filter_map(|code| i32::try_from(code.value).ok()).collect();
        Ok(CommandAct {
            argv,
            script,
            program: path,
            env,
            pass_env: program.pass_env.iter().map(|name| name.value.clone()).collect(),
            cwd: optional(program.cwd.as_ref(), scope, Place::Path)?,
            stdin: optional(program.stdin.as_ref(), scope, Place::Plain)?,
            ok: if ok.is_empty() { vec![0] } else { ok },
            machine,
        })
    }

    /// A declared target that speaks HTTP (`http`, `prometheus`) with its values in.
    ///
    /// # Errors
    /// A value that its place refuses.
    pub fn target(&self, name: &str, scope: &dyn Scope) -> Result<Option<TargetAct>, Refusal> {
        let Some(target) = self.runbook.targets.get(name) else { return Ok(None) };
        let (TargetPlace::Http(url) | TargetPlace::Prometheus(url)) = &target.place else { return Ok(None) };
        let mut headers = IndexMap::new();
        for (name, value) in &target.headers {
            headers.extend(value.present(scope, Place::Header)?.map(|value| (name.value.clone(), value)));
        }
        let auth = target.auth.as_ref();
        let part = |template: Option<&Template>| optional(template, scope, Place::Header);
        let bearer = part(auth.and_then(|auth| auth.bearer.as_ref()))?;
        let user = part(auth.and_then(|auth| auth.user.as_ref()))?;
        let password = part(auth.and_then(|auth| auth.password.as_ref()))?;
        Ok(Some(TargetAct {
            name: name.to_owned(),
            base: url.render(scope, Place::Path)?,
            headers,
            basic: user.map(|user| (user, password.unwrap_or_default())),
            bearer,
            allow: target.allow.iter().map(|entry| entry.value.clone()).collect(),
            tls: tls(target, scope)?,
        }))
    }

    /// The act that asks a target what it is.
    ///
    /// # Errors
    /// A value that its place refuses, or an identity that does not fit its target.
    pub fn identity(&self, name: &str, identity: &Identity, scope: &StepScope) -> Result<Act, Refusal> {
        let span = identity.span;
        Ok(match &identity.probe {
            IdentityProbe::Get(path) => {
                let target = self.target(name, scope)?;
                let message = || format!("`{name}` is not a target that speaks HTTP");
                let target = target.ok_or_else(|| Refusal { message: message(), span })?;
                Act::Http(HttpAct {
                    target,
                    method: crate::runbook::Method::Get,
                    path: path.render(scope, Place::UrlPath)?,
                    query: Vec::new(),
                    headers: IndexMap::new(),
                    body: RequestBody::Empty,
                    status: StatusRule::Success,
                    pages: None,
                })
            }
            IdentityProbe::Run(argv) => {
                let named = TargetRef::Name(crate::source::Sp::new(name.to_owned(), span));
                Act::Command(self.run(argv, &Program::default(), Some(&named), span, scope)?)
            }
            IdentityProbe::Query(_) | IdentityProbe::SystemIdentifier => {
                Act::Sql(Box::new(super::sql::identity(self, name, identity, scope)?))
            }
            IdentityProbe::ClusterUid => Act::Kubectl(Box::new(super::kubectl::identity(self, name, identity, scope)?)),
        })
    }

    fn http(&self, http: &HttpAction, target: Option<&TargetRef>, scope: &StepScope) -> Result<HttpAct, Refusal> {
        let literal = http.path.literal().unwrap_or_default();
        let absolute = literal.starts_with("http://") || literal.starts_with("https://");
        let (target, path) = if absolute {
            let split = literal.find("://").map_or(0, |at| at + 3);
            let end = literal[split..].find('/').map_or(literal.len(), |at| split + at);
            let path = if end == literal.len() { "/" } else { &literal[end..] };
            (plain_target(&literal[..end]), Rendered::text(path))
        } else {
            let Some((name, _)) = self.declared(target, &[TargetKind::Http], scope)? else {
                let message = "this request has no target".to_owned();
                return Err(Refusal { message, span: http.span });
            };
            let Some(target) = self.target(name, scope)? else {
                let message = format!("`{name}` is not an `http` target");
                return Err(Refusal { message, span: http.span });
            };
            (target, http.path.render(scope, Place::UrlPath)?)
        };
        let mut query = Vec::new();
        for (name, value) in &http.query {
            query.extend(value.present(scope, Place::UrlQuery)?.map(|value| (name.value.clone(), value)));
        }
        let mut headers = IndexMap::new();
        for (name, value) in &http.headers {
            headers.extend(value.present(scope, Place::Header)?.map(|value| (name.value.clone(), value)));
        }
        let status: Vec<u16> = http.status.iter().filter_map(|status| u16::try_from(status.value).ok()).collect();
        Ok(HttpAct {
            target,
            method: http.method,
            path,
            query,
            headers,
            body: body(&http.body, scope)?,
            status: if status.is_empty() { StatusRule::Success } else { StatusRule::Among(status) },
            pages: http.pages.as_ref().map(|pages| PagesAct {
                items: pages.items.clone(),
                next: pages.next.clone(),
                param: pages.param.as_ref().map(|param| param.value.clone()),
                limit: pages.limit.as_ref().and_then(|limit| usize::try_from(limit.value).ok()).unwrap_or(10_000),
                scope: scope.clone(),
            }),
        })
    }
}

/// The TLS settings of a target with their values in.
pub(super) fn tls(target: &Target, scope: &dyn Scope) -> Result<TlsAct, Refusal> {
    let Some(tls) = &target.tls else { return Ok(TlsAct::default()) };
    Ok(TlsAct {
        ca: optional(tls.ca.as_ref(), scope, Place::Path)?,
        cert: optional(tls.cert.as_ref(), scope, Place::Path)?,
        key: optional(tls.key.as_ref(), scope, Place::Path)?,
        server_name: optional(tls.server_name.as_ref(), scope, Place::Path)?,
    })
}

fn plain_target(base: &str) -> TargetAct {
    TargetAct {
        name: String::new(),
        base: Rendered::text(base),
        headers: IndexMap::new(),
        basic: None,
        bearer: None,
        allow: Vec::new(),
        tls: TlsAct::default(),
    }
}

/// Renders argv element by element; a list is as many elements as it has items. A value may begin an element with `-`
/// only where the author shows that options are over (`--` before it) or that it is one (the element itself starts with
/// `-`).
pub(super) fn arguments(argv: &[Template], scope: &dyn Scope) -> Result<Vec<Rendered>, Refusal> {
    let mut options_over = false;
    let mut rendered = Vec::with_capacity(argv.len());
    for element in argv {
        let dashes = options_over || element.source_text().starts_with('-');
        let place = if dashes { Place::ArgumentAfterDashes } else { Place::Argument };
        rendered.extend(element.words(scope, place)?);
        options_over |= element.literal() == Some("--");
    }
    match argv.first() {
        Some(first) if rendered.is_empty() => {
            Err(Refusal { message: "there is no program: the list is empty".to_owned(), span: first.span() })
        }
        _ => Ok(rendered),
    }
}

/// What stands under a key that may be left out; `none` leaves it out, too.
pub(super) fn optional(
    template: Option<&Template>,
    scope: &dyn Scope,
    place: Place,
) -> Result<Option<Rendered>, Refusal> {
    Ok(template.map(|template| template.present(scope, place)).transpose()?.flatten())
}

fn body(body: &Body, scope: &dyn Scope) -> Result<RequestBody, Refusal> {
    Ok(match body {
        Body::Empty => RequestBody::Empty,
        Body::Json(data) => RequestBody::Json(data.value(scope)?),
        Body::Form(form) => {
            let mut pairs = Vec::new();
            for (name, value) in form {
                pairs.push((name.value.clone(), value.render(scope, Place::Plain)?));
            }
            RequestBody::Form(pairs)
        }
        Body::Text(text) => RequestBody::Text(text.render(scope, Place::Plain)?),
    })
}

fn edit_act(edit: &EditAction, machine: Machine, scope: &dyn Scope) -> Result<EditAct, Refusal> {
    let mut settings = Vec::new();
    if let Some(set) = &edit.set {
        flatten(set, &mut Vec::new(), scope, &mut settings)?;
    }
    for path in &edit.unset.0 {
        settings.push(Setting { path: dotted(&path.value), value: None });
    }
    Ok(EditAct {
        file: edit.file.render(scope, Place::Path)?,
        format: edit.format,
        settings,
        follow: edit.follow.as_ref().is_some_and(|follow| follow.value),
        machine,
    })
}

fn dotted(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// Nested maps become paths; a key with dots is a path of its own.
fn flatten(data: &Data, path: &mut Vec<String>, scope: &dyn Scope, settings: &mut Vec<Setting>) -> Result<(), Refusal> {
    if let Data::Map(entries) = data {
        for (key, value) in entries {
            let depth = path.len();
            path.extend(dotted(key));
            flatten(value, path, scope, settings)?;
            path.truncate(depth);
        }
        return Ok(());
    }
    settings.push(Setting { path: path.clone(), value: Some(data.value(scope)?) });
    Ok(())
}

fn write_act(write: &WriteAction, machine: Machine, scope: &dyn Scope) -> Result<WriteAct, Refusal> {
    let mode = match &write.mode {
        None => None,
        Some(mode) => match u32::from_str_radix(mode.value.trim_start_matches("0o"), 8) {
            Ok(bits) if bits <= 0o7777 => Some(bits),
            _ => {
                let message = format!("`{}` is not a file mode such as \"0640\"", mode.value);
                return Err(Refusal { message, span: mode.span });
            }
        },
    };
    Ok(WriteAct {
        file: write.file.render(scope, Place::Path)?,
        text: write.text.render(scope, Place::Plain)?,
        mode,
        owner: write.owner.as_ref().map(|owner| owner.value.clone()),
        follow: write.follow.as_ref().is_some_and(|follow| follow.value),
        machine,
    })
}

/// A duration with its value in; nothing when it is unknown.
///
/// # Errors
/// A value that is not a duration.
pub fn duration(spec: &DurationSpec, scope: &dyn Scope) -> Result<Option<Duration>, Refusal> {
    let expr = match spec {
        DurationSpec::Fixed(duration, _) => return Ok(Some(*duration)),
        DurationSpec::Computed(expr) => expr,
    };
    let value = expr.eval(scope)?;
    if unknown_of(&value).is_some() {
        return Ok(None);
    }
    match to_duration(&value) {
        Some(duration) => Ok(Some(duration)),
        None => Err(Refusal { message: format!("`{}` is {value}, not a duration", expr.text()), span: expr.span() }),
    }
}

pub(super) fn to_duration(value: &Value) -> Option<Duration> {
    if let Some(text) = value.as_str() {
        return parse_duration(text);
    }
    crate::expr::Duration::of(value).and_then(|span| Duration::try_from(span.0).ok())
}
