//! From `kubectl` as written to a command with context and namespace.

use super::act::{CommandAct, KubectlAct, KubectlAnswer};
use super::place::{KubernetesTarget, Machine};
use super::resolve::{Refusal, Resolver, arguments, optional};
use super::values::StepScope;
use super::view::{Holes, line};
use crate::event::{ActView, Line};
use crate::expr::{Place, Rendered, Scope, Value, unknown_of};
use crate::runbook::{Identity, KubectlAction, KubectlCall, TargetKind, TargetPlace, TargetRef};
use crate::source::Span;

mod document;
mod job;

/// The command of an action with its values.
///
/// # Errors
/// A value that its place refuses, or that would make another call of it.
pub(super) fn act(
    resolver: &Resolver,
    kubectl: &KubectlAction,
    target: Option<&TargetRef>,
    scope: &StepScope,
) -> Result<KubectlAct, Refusal> {
    let refused = |message: String| Refusal { message, span: kubectl.span };
    let target = cluster(resolver, target, kubectl.span, scope)?;
    let mut args = arguments(&kubectl.args, scope)?;
    let call = call_of(&args);
    if let Some(problem) = call.problem(target.namespace.is_some()) {
        return Err(refused(format!("`{}`: {}; {}", words(&args), problem.message, problem.hint)));
    }
    // A value cannot make a change of what is written as a read.
    if call.verb() != kubectl.call().verb() || call.is_read() != kubectl.call().is_read() {
        return Err(refused(format!("`{}` is another call than the one that is written", words(&args))));
    }
    let manifest = documents(kubectl, &target, scope)?;
    if !manifest.is_empty() && call.flag("filename").is_none() {
        insert(&mut args, call.length(), [Rendered::text("-f"), Rendered::text("-")]);
    }
    let mut answer = answer_of(&call);
    if let Some(name) = job::unique_name(&call, &args, kubectl.span, scope) {
        let place = call_of(&args).length();
        insert(&mut args, place, [name.clone()]);
        answer = KubectlAnswer::Created(name);
    }
    let mut command = resolver.command(argv(&target, args), None, &kubectl.program, Machine::Here, scope)?;
    if kubectl.program.ok.is_empty() && matches!(answer, KubectlAnswer::Allowed | KubectlAnswer::Differs) {
        command.ok = vec![0, 1];
    }
    Ok(KubectlAct { verb: call.verb(), command, manifest, answer, target })
}

/// The command that asks a cluster what it is: the UID of the namespace kube-system.
///
/// # Errors
/// The target is no cluster, or a value that its place refuses.
pub(super) fn identity(
    resolver: &Resolver,
    name: &str,
    identity: &Identity,
    scope: &StepScope,
) -> Result<KubectlAct, Refusal> {
    let span = identity.span;
    let named = TargetRef::Name(crate::source::Sp::new(name.to_owned(), span));
    let whole = cluster(resolver, Some(&named), span, scope)?;
    let target = KubernetesTarget { namespace: None, ..whole.clone() };
    let args = ["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"].map(Rendered::text).to_vec();
    let message = || "the call cannot be made".to_owned();
    let act = command(resolver, target, args).ok_or_else(|| Refusal { message: message(), span })?;
    Ok(KubectlAct { answer: KubectlAnswer::Identity, target: whole, ..act })
}

/// The cluster that a step names, or the only one.
///
/// # Errors
/// There is none, or a value that its place refuses.
pub(super) fn cluster(
    resolver: &Resolver,
    target: Option<&TargetRef>,
    span: Span,
    scope: &dyn Scope,
) -> Result<KubernetesTarget, Refusal> {
    let missing = || Refusal { message: "this step has no target of kind `kubernetes`".to_owned(), span };
    let (name, found) = resolver.declared(target, &[TargetKind::Kubernetes], scope)?.ok_or_else(missing)?;
    let TargetPlace::Kubernetes(place) = &found.place else { return Err(missing()) };
    let context = place.context.render(scope, Place::Path)?;
    let namespace = optional(place.namespace.as_ref(), scope, Place::Path)?;
    let kubeconfig = optional(place.kubeconfig.as_ref(), scope, Place::Path)?;
    let named = [("context", Some(&context)), ("namespace", namespace.as_ref()), ("kubeconfig", kubeconfig.as_ref())];
    for (key, value) in named {
        // Without its value kubectl would fall back to what its file says.
        if value.and_then(Rendered::reveal).is_some_and(|value| value.trim().is_empty()) {
            return Err(Refusal { message: format!("the `{key}` of `{name}` is empty"), span: place.context.span() });
        }
    }
    let client = place.program.as_ref().map_or_else(|| "kubectl".to_owned(), |program| program.value.clone());
    Ok(KubernetesTarget {
        name: name.to_owned(),
        context,
        namespace,
        kubeconfig,
        program: resolver.program(&client),
        client,
        allow: found.allow.iter().map(|entry| entry.value.clone()).collect(),
    })
}

/// A command of ours (for `log` and `service`): arguments after the client's name, context and namespace added. Nothing
/// without arguments.
pub(super) fn command(_resolver: &Resolver, target: KubernetesTarget, args: Vec<Rendered>) -> Option<KubectlAct> {
    if args.is_empty() {
        return None;
    }
    let call = call_of(&args);
    let program = target.program.clone();
    let command = CommandAct {
        argv: argv(&target, args),
        script: None,
        program,
        env: indexmap::IndexMap::new(),
        pass_env: Vec::new(),
        cwd: None,
        stdin: None,
        ok: vec![0],
        machine: Machine::Here,
    };
    Some(KubectlAct { verb: call.verb(), command, manifest: Vec::new(), answer: answer_of(&call), target })
}

/// The read that shows what an act would change: `kubectl diff` for `apply`.
pub(super) fn preview(act: &KubectlAct) -> Option<KubectlAct> {
    if act.verb != "apply" {
        return None;
    }
    let mut argv = act.command.argv.clone();
    let end = argv.iter().position(|word| word.to_string() == "--").unwrap_or(argv.len());
    argv.truncate(end);
    *argv.get_mut(1)? = Rendered::text("diff");
    let mut kept = Vec::with_capacity(argv.len());
    let mut is_dropping = false;
    for word in argv {
        let text = word.to_string();
        let flag = text.split('=').next().unwrap_or_default().replace('_', "-");
        if text.starts_with('-') && text != "-" {
            is_dropping = ONLY_APPLY.contains(&flag.as_str()) || flag.starts_with("-o");
            // A flag that stands alone takes the next word with it, unless it is a switch.
            let takes_next = matches!(text.as_str(), "-o" | "--output" | "--timeout" | "--grace-period" | "--template");
            if is_dropping {
                is_dropping = takes_next;
                continue;
            }
        } else if is_dropping {
            is_dropping = false;
            continue;
        }
        kept.push(word);
    }
    let command = CommandAct { argv: kept, ok: vec![0, 1], ..act.command.clone() };
    Some(KubectlAct { verb: "diff".to_owned(), command, answer: KubectlAnswer::Differs, ..act.clone() })
}

/// Flags that `apply` has and `diff` has not.
const ONLY_APPLY: [&str; 16] = [
    "--all",
    "--allow-missing-template-keys",
    "--cascade",
    "--dry-run",
    "--force",
    "--grace-period",
    "--openapi-patch",
    "--output",
    "--overwrite",
    "--record",
    "--save-config",
    "--template",
    "--timeout",
    "--validate",
    "--wait",
    "--watch",
];

/// The command as a person reads it.
pub(super) fn view(act: &KubectlAct) -> ActView {
    let mut holes = Holes::default();
    let mut view = super::view::command_view(&act.command, &mut holes);
    for document in &act.manifest {
        let text = document::yaml(document, &mut holes);
        view.more.push(line("manifest", text));
    }
    if matches!(act.answer, KubectlAnswer::Waits) {
        view.more.push(line("waits", "as long as the step's timeout: --timeout is added"));
    }
    let target = Some(act.target.name.clone());
    ActView { action: "kubectl".to_owned(), target, holes: unique(holes.0), ..view }
}

fn unique(mut holes: Vec<Line>) -> Vec<Line> {
    holes.dedup_by(|one, other| one.label == other.label);
    holes
}

/// What the answer of a call means.
fn answer_of(call: &KubectlCall) -> KubectlAnswer {
    match call.verb().as_str() {
        "auth can-i" => KubectlAnswer::Allowed,
        "diff" => KubectlAnswer::Differs,
        "rollout status" | "wait" if call.flag("timeout").is_none() => KubectlAnswer::Waits,
        _ => KubectlAnswer::Text,
    }
}

/// Program and arguments, with the flags that choose the cluster before the first `--`, else at the end: a plugin comes
/// first (ruling 37).
fn argv(target: &KubernetesTarget, args: Vec<Rendered>) -> Vec<Rendered> {
    let mut argv = vec![Rendered::text(target.client.clone())];
    argv.extend(args);
    let place = argv.iter().position(|word| word.to_string() == "--").unwrap_or(argv.len());
    let flag = |name: &str, value: &Rendered| {
        let mut flag = Rendered::text(format!("--{name}="));
        flag.pieces.extend(value.pieces.iter().cloned());
        flag
    };
    let mut flags = vec![flag("context", &target.context)];
    flags.extend(target.namespace.as_ref().map(|namespace| flag("namespace", namespace)));
    flags.extend(target.kubeconfig.as_ref().map(|file| flag("kubeconfig", file)));
    insert(&mut argv, place, flags);
    argv
}

fn insert(args: &mut Vec<Rendered>, place: usize, more: impl IntoIterator<Item = Rendered>) {
    args.splice(place..place, more);
}

fn call_of(args: &[Rendered]) -> KubectlCall {
    KubectlCall::new(args.iter().map(ToString::to_string))
}

fn words(args: &[Rendered]) -> String {
    let words: Vec<String> = args.iter().map(ToString::to_string).collect();
    format!("kubectl {}", super::quote::quote_command(&words))
}

/// The documents of `manifest` with their values in, each checked as far as it is known.
fn documents(kubectl: &KubectlAction, target: &KubernetesTarget, scope: &StepScope) -> Result<Vec<Value>, Refusal> {
    let Some(manifest) = &kubectl.manifest else { return Ok(Vec::new()) };
    let refused = |message: String| Refusal { message, span: kubectl.span };
    let value = manifest.value(scope)?;
    let is_list = matches!(value.kind(), minijinja::value::ValueKind::Seq | minijinja::value::ValueKind::Iterable);
    let documents: Vec<Value> = match value.try_iter() {
        Ok(items) if is_list && unknown_of(&value).is_none() => items.collect(),
        _ => vec![value],
    };
    if documents.is_empty() {
        return Err(refused("`manifest` holds no document".to_owned()));
    }
    let namespace = target.namespace.as_ref().and_then(Rendered::reveal);
    for (place, document) in documents.iter().enumerate() {
        if let Some(message) = document::problem(document, namespace.as_deref()) {
            return Err(refused(format!("document {} of `manifest` {message}", place + 1)));
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod tests;
