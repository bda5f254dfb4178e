//! Calls of kubectl: what belongs to the target, what needs a person or a bound, and documents that are no objects.

use crate::expr::Template;
use crate::runbook::{Data, KubectlAction, KubectlCall, Runbook, TargetKind, TargetPlace, TargetRef};
use crate::source::{Diagnostic, Diagnostics, Span};

/// Checks one call. `is_bounded` says that something ends it: a `timeout` of its own, or that it runs beside the steps.
pub(super) fn check(
    runbook: &Runbook,
    action: &KubectlAction,
    target: Option<&TargetRef>,
    is_bounded: bool,
    problems: &mut Diagnostics,
) {
    let mut check = Check { runbook, action, problems };
    let namespace = namespace_of(runbook, target);
    let call = action.call();
    if let Some(problem) = call.problem(namespace.is_some()) {
        let span = action.args.get(problem.place).map_or(action.span, Template::span);
        check.error(problem.code, span, problem.message, problem.hint);
    }
    if let Some(flag) = call.watches().filter(|_| !is_bounded) {
        let message = format!("`{}` goes on until it is ended", action.args[flag.place].source_text());
        let hint = "give the step a `timeout`, use `log`, or ask again and again with `until`";
        check.error("kubectl-watch", action.args[flag.place].span(), message, hint);
    }
    check.environment();
    check.manifest(&call, namespace.and_then(Template::literal));
}

/// The namespace that the target of a call gives.
fn namespace_of<'r>(runbook: &'r Runbook, target: Option<&TargetRef>) -> Option<&'r Template> {
    let place = if let Some(target) = target {
        &runbook.targets.get(target.name()?.value.as_str())?.place
    } else {
        let mut places = runbook.targets.values().map(|target| &target.place);
        places.find(|place| place.kind() == TargetKind::Kubernetes)?
    };
    let TargetPlace::Kubernetes(place) = place else { return None };
    place.namespace.as_ref()
}

struct Check<'a> {
    runbook: &'a Runbook,
    action: &'a KubectlAction,
    problems: &'a mut Diagnostics,
}

impl Check<'_> {
    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Diagnostic::error(self.runbook.source(), code, span, message).hint(hint));
    }

    /// The file that says which clusters there are never comes from the environment.
    fn environment(&mut self) {
        let program = &self.action.program;
        let given: Vec<Span> = program
            .env
            .keys()
            .chain(&program.pass_env)
            .filter(|name| name.value == "KUBECONFIG")
            .map(|name| name.span)
            .collect();
        for span in given {
            let message = "which kubeconfig file is used belongs to the target, not to the environment of a call";
            self.error("kubectl-flag", span, message, "say it there: `kubernetes: { context: .., kubeconfig: .. }`");
        }
    }

    fn manifest(&mut self, call: &KubectlCall, namespace: Option<&str>) {
        const CODE: &str = "kubectl-manifest";
        if self.action.manifest.is_none() {
            return;
        }
        let span = self.action.span;
        if !call.takes_files() {
            let message = format!("`{}` takes no documents", call.verb());
            return self.error(CODE, span, message, "`manifest` is for apply, create, replace, delete and diff");
        }
        let elsewhere = call.flags().into_iter().find(|flag| {
            let dash = flag.value.as_deref().or_else(|| {
                let next = self.action.args.get(flag.place + 1)?;
                Some(next.source_text())
            });
            flag.name == "kustomize" || (flag.name == "filename" && dash != Some("-"))
        });
        if let Some(flag) = elsewhere {
            let message = format!("`--{}` names another place than `manifest`", flag.name);
            let hint = "leave the flag out: `-f -` is added";
            return self.error(CODE, self.action.args[flag.place].span(), message, hint);
        }
        let documents = self.action.documents();
        if documents.is_empty() {
            return self.error(CODE, span, "`manifest` holds no document", "give it one object, or a list of them");
        }
        for (place, document) in documents.into_iter().enumerate() {
            if let Some((message, hint)) = document_problem(document, namespace) {
                self.error(CODE, span, format!("document {} of `manifest` {message}", place + 1), hint);
            }
        }
    }
}

/// What is wrong with a document, as far as it is written out.
fn document_problem(document: &Data, namespace: Option<&str>) -> Option<(String, &'static str)> {
    let entries = match document {
        Data::Map(entries) => entries,
        // A whole document may be a value; it is looked at when it is known.
        Data::Text(template) if template.single().is_some() => return None,
        _ => return Some(("is no object".to_owned(), "an object of Kubernetes is a map with `apiVersion` and `kind`")),
    };
    for key in ["apiVersion", "kind"] {
        if !matches!(entries.get(key), Some(Data::Text(text)) if text.literal() != Some("")) {
            return Some((format!("has no `{key}`"), "an object of Kubernetes says its `apiVersion` and its `kind`"));
        }
    }
    let Some(Data::Map(metadata)) = entries.get("metadata") else { return None };
    let Some(Data::Text(own)) = metadata.get("namespace") else { return None };
    let (own, wanted) = (own.literal()?, namespace?);
    (own != wanted).then(|| {
        let message = format!("belongs to the namespace `{own}`, and the target to `{wanted}`");
        (message, "leave `metadata.namespace` out, or declare a target for that namespace")
    })
}
