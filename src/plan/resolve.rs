//! From an action as written to an act with its values in.

use super::act::{Act, CommandAct, EditAct, HttpAct, RequestBody, Setting, StatusRule, TargetAct, WriteAct};
use crate::expr::{EvalError, Place, Rendered, Scope, Template, Value, unknown_of};
use crate::runbook::{
    Action, Body, Data, DurationSpec, EditAction, HttpAction, Identity, Program, Runbook, Shell, Target, TargetPlace,
    WriteAction, parse_duration,
};
use crate::source::{Sp, Span};
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

    /// The act of an action, or nothing for actions that are no acts (`ask`, `set`, `wait`, ...).
    ///
    /// # Errors
    /// A value that its place refuses.
    pub fn act(&self, action: &Action, target: Option<&Sp<String>>, scope: &dyn Scope) -> Result<Option<Act>, Refusal> {
        let act = match action {
            Action::Run(run) => {
                let argv = arguments(&run.argv, scope)?;
                Act::Command(self.command(argv, None, &run.program, scope)?)
            }
            Action::Shell(shell) => {
                let words: &[&str] = match shell.shell {
                    Shell::Bash => &["bash", "-p", "-euo", "pipefail", "-c"],
                    Shell::Sh => &["sh", "-eu", "-c"],
                };
                let mut argv: Vec<Rendered> = words.iter().map(|word| Rendered::text(*word)).collect();
                argv.push(Rendered::text(shell.script.value.clone()));
                Act::Command(self.command(argv, Some(shell.script.value.clone()), &shell.program, scope)?)
            }
            Action::Http(http) => Act::Http(self.http(http, target, scope)?),
            Action::Edit(edit) => Act::Edit(edit_act(edit, scope)?),
            Action::Write(write) => Act::Write(write_act(write, scope)?),
            _ => return Ok(None),
        };
        Ok(Some(act))
    }

    fn command(
        &self,
        argv: Vec<Rendered>,
        script: Option<String>,
        program: &Program,
        scope: &dyn Scope,
    ) -> Result<CommandAct, Refusal> {
        let name = argv.first().and_then(Rendered::reveal);
        let path = name.and_then(|name| self.programs.get(&name).cloned().or_else(|| (self.find)(&name)));
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
        })
    }

    /// The target an HTTP action goes to: the one named, or the only one.
    fn http_target(&self, name: Option<&Sp<String>>) -> Option<(&str, &Target)> {
        let targets = &self.runbook.targets;
        match name {
            Some(name) => targets.get_key_value(name.value.as_str()),
            None => targets.iter().find(|(_, target)| matches!(target.place, TargetPlace::Http(_))),
        }
        .map(|(name, target)| (name.value.as_str(), target))
    }

    /// A declared HTTP target with its values in.
    ///
    /// # Errors
    /// A value that its place refuses.
    pub fn target(&self, name: &str, scope: &dyn Scope) -> Result<Option<TargetAct>, Refusal> {
        let Some(target) = self.runbook.targets.get(name) else { return Ok(None) };
        let TargetPlace::Http(url) = &target.place else { return Ok(None) };
        let mut headers = IndexMap::new();
        for (name, value) in &target.headers {
            headers.insert(name.value.clone(), value.render(scope, Place::Header)?);
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
            ca: optional(target.ca.as_ref(), scope, Place::Path)?,
        }))
    }

    /// The request that proves a target's identity.
    ///
    /// # Errors
    /// A value that its place refuses, or a target that is not `http`.
    pub fn identity(&self, name: &str, identity: &Identity, scope: &dyn Scope) -> Result<HttpAct, Refusal> {
        let span = identity.span;
        let target = self.target(name, scope)?;
        let target = target.ok_or_else(|| Refusal { message: format!("`{name}` is not an `http` target"), span })?;
        Ok(HttpAct {
            target,
            method: crate::runbook::Method::Get,
            path: identity.get.render(scope, Place::UrlPath)?,
            query: Vec::new(),
            headers: IndexMap::new(),
            body: RequestBody::Empty,
            status: StatusRule::Success,
            pages: None,
        })
    }

    fn http(&self, http: &HttpAction, target: Option<&Sp<String>>, scope: &dyn Scope) -> Result<HttpAct, Refusal> {
        let literal = http.path.literal().unwrap_or_default();
        let absolute = literal.starts_with("http://") || literal.starts_with("https://");
        let (target, path) = if absolute {
            let split = literal.find("://").map_or(0, |at| at + 3);
            let end = literal[split..].find('/').map_or(literal.len(), |at| split + at);
            let path = if end == literal.len() { "/" } else { &literal[end..] };
            (plain_target(&literal[..end]), Rendered::text(path))
        } else {
            let Some((name, _)) = self.http_target(target) else {
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
            query.push((name.value.clone(), value.render(scope, Place::UrlQuery)?));
        }
        let mut headers = IndexMap::new();
        for (name, value) in &http.headers {
            headers.insert(name.value.clone(), value.render(scope, Place::Header)?);
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
            pages: None,
        })
    }
}

fn plain_target(base: &str) -> TargetAct {
    TargetAct {
        name: String::new(),
        base: Rendered::text(base),
        headers: IndexMap::new(),
        basic: None,
        bearer: None,
        allow: Vec::new(),
        ca: None,
    }
}

/// Renders argv element by element. A value may begin an element with `-` only where the author shows that options are
/// over (`--` before it) or that it is one (the element itself starts with `-`).
fn arguments(argv: &[Template], scope: &dyn Scope) -> Result<Vec<Rendered>, Refusal> {
    let mut options_over = false;
    let mut rendered = Vec::with_capacity(argv.len());
    for element in argv {
        let dashes = options_over || element.source_text().starts_with('-');
        let place = if dashes { Place::ArgumentAfterDashes } else { Place::Argument };
        rendered.push(element.render(scope, place)?);
        options_over |= element.literal() == Some("--");
    }
    Ok(rendered)
}

fn optional(template: Option<&Template>, scope: &dyn Scope, place: Place) -> Result<Option<Rendered>, Refusal> {
    Ok(template.map(|template| template.render(scope, place)).transpose()?)
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

fn edit_act(edit: &EditAction, scope: &dyn Scope) -> Result<EditAct, Refusal> {
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

fn write_act(write: &WriteAction, scope: &dyn Scope) -> Result<WriteAct, Refusal> {
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

fn to_duration(value: &Value) -> Option<Duration> {
    if let Some(text) = value.as_str() {
        return parse_duration(text);
    }
    crate::expr::Duration::of(value).and_then(|span| Duration::try_from(span.0).ok())
}
