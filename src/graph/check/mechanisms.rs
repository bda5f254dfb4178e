//! The expressions of actions that act on declared targets, and of those targets.

use super::super::names::Fields;
use super::Callee;
use super::expressions::{Checker, Goes, Used};
use crate::expr::{Shape, Template};
use crate::runbook::{
    Action, Alert, Call, IdentityExpect, IdentityProbe, LogSource, Probe, QueryPlace, Step, Target, TargetKind,
    TargetPlace, TargetRef, query_places,
};
use crate::source::{Sp, Span};

const ADDRESS: Goes = Goes::Steers("the address of a target");

impl Checker<'_> {
    /// The declaration of one target.
    pub(super) fn target(&mut self, name: &Sp<String>, target: &Target, none: &Fields, used: &mut Used) {
        let mut steering: Vec<&Template> = Vec::new();
        match &target.place {
            TargetPlace::Http(url) | TargetPlace::Postgres(url) | TargetPlace::Prometheus(url) => steering.push(url),
            TargetPlace::Kubernetes(place) => {
                steering.push(&place.context);
                steering.extend(place.namespace.iter().chain(&place.kubeconfig));
            }
            TargetPlace::Ssh(place) => {
                steering.push(&place.host);
                let more = [&place.port, &place.key, &place.known_hosts, &place.jump, &place.config];
                steering.extend(more.into_iter().flatten());
            }
            TargetPlace::Local => {}
            TargetPlace::Each(names) => self.members(name, names),
        }
        if let Some(tls) = &target.tls {
            steering.extend([&tls.ca, &tls.cert, &tls.key, &tls.server_name].into_iter().flatten());
        }
        for template in steering {
            self.template(template, none, None, ADDRESS, used);
        }
        for value in target.headers.values() {
            self.template(value, none, None, Goes::Free, used);
        }
        if let Some(auth) = &target.auth {
            let parts = [&auth.bearer, &auth.user, &auth.password];
            for part in parts.into_iter().flatten() {
                self.template(part, none, None, Goes::SteersSecret("the credentials of a target"), used);
            }
            // A password in the text of a runbook is on every screen and in every record that shows where an act goes.
            for part in [&auth.bearer, &auth.password].into_iter().flatten().filter(|part| part.literal().is_some()) {
                let message = "a password or token stands in the text of the runbook".to_owned();
                let hint = "declare an input with `secret: true` and a source, and write `\"{{ NAME }}\"` here";
                let problem = self.problem("plain-secret", part.span(), message).hint(hint);
                self.problems.push(problem);
            }
        }
        for (verb, argv) in &target.service {
            let own = Fields::from_iter([("name".to_owned(), Shape::Text)]);
            for (place, element) in argv.iter().enumerate() {
                let goes = if place == 0 { Goes::Steers("the program to run") } else { Goes::Open("argv") };
                self.template(element, &own, None, goes, used);
            }
            if !argv.iter().any(|element| element.source_text().contains("name")) {
                let message = format!("the command for `{}` does not use `{{{{ name }}}}`", verb.as_str());
                let problem = self.problem("service-driver", argv[0].span(), message);
                self.problems.push(problem);
            }
        }
        self.identity(target, none, used);
    }

    fn members(&mut self, name: &Sp<String>, names: &[Sp<String>]) {
        let targets = &self.runbook.targets;
        for member in names {
            let problem = match targets.get(member.value.as_str()) {
                None => {
                    let known: Vec<_> = targets.keys().map(|name| name.value.clone()).collect();
                    let message = format!("there is no target `{}`", member.value);
                    let problem = self.problem("unknown-target", member.span, message);
                    problem.near(&member.value, known.iter().map(String::as_str))
                }
                Some(target) if target.place.kind() == TargetKind::Each => {
                    let message = format!("`{}` is itself a list; `{}` names single targets", member.value, name.value);
                    self.problem("wrong-target", member.span, message)
                }
                Some(_) => continue,
            };
            self.problems.push(problem);
        }
    }

    fn identity(&mut self, target: &Target, none: &Fields, used: &mut Used) {
        let Some(identity) = &target.identity else { return };
        let steers = Goes::Steers("the identity of a target");
        let fields: &[&str] = match &identity.probe {
            IdentityProbe::Get(path) => {
                self.template(path, none, None, steers, used);
                &["status", "headers", "body", "text"]
            }
            IdentityProbe::Query(query) => {
                self.template(&query.text, none, None, steers, used);
                &["rows", "first", "count"]
            }
            IdentityProbe::Run(argv) => {
                for element in argv {
                    self.template(element, none, None, steers, used);
                }
                &["exit", "stdout", "stderr", "lines", "json"]
            }
            IdentityProbe::SystemIdentifier | IdentityProbe::ClusterUid => &[],
        };
        let own: Fields = fields.iter().map(|name| ((*name).to_owned(), Shape::Any)).collect();
        if let Some(read) = &identity.read {
            self.expression(read, &own, None, Goes::Free, used);
        }
        match &identity.expect {
            IdentityExpect::Holds(expect) => {
                self.expression(expect, &own, None, Goes::Condition, used);
            }
            IdentityExpect::Is(template) => self.template(template, none, None, steers, used),
        }
    }

    /// The actions that act on databases, clusters, services and logs.
    pub(super) fn mechanism(&mut self, action: &Action, own: &Fields, hidden: Option<&str>, used: &mut Used) {
        match action {
            Action::Sql(sql) => self.template(&sql.query.text, own, hidden, Goes::Free, used),
            Action::Prometheus(query) => {
                self.query_values(&query.query, own, hidden, used);
                if let Some(time) = &query.time {
                    self.template(time, own, hidden, Goes::Open("a query"), used);
                }
                for duration in [&query.range, &query.step].into_iter().flatten() {
                    self.duration(duration, own, hidden, used);
                }
            }
            Action::Alert(name) => self.alert(name),
            Action::Kubectl(kubectl) => {
                for element in &kubectl.args {
                    self.template(element, own, hidden, Goes::Open("argv"), used);
                }
                let mut free = Vec::new();
                if let Some(manifest) = &kubectl.manifest {
                    manifest.templates(&mut free);
                }
                for template in free {
                    self.template(template, own, hidden, Goes::Free, used);
                }
                self.program(&kubectl.program, own, hidden, used);
            }
            Action::Log(log) => {
                match &log.source {
                    LogSource::Journal { unit, directory } => {
                        self.template(unit, own, hidden, Goes::Open("argv"), used);
                        if let Some(directory) = directory {
                            self.template(directory, own, hidden, Goes::Steers("a file"), used);
                        }
                    }
                    LogSource::File(file) => self.template(file, own, hidden, Goes::Steers("a file"), used),
                    LogSource::Kubectl(pods) => {
                        let parts = [&pods.pod, &pods.selector, &pods.workload, &pods.container];
                        for part in parts.into_iter().flatten() {
                            self.template(part, own, hidden, Goes::Open("argv"), used);
                        }
                    }
                }
                self.log(log);
                for template in log.since.iter().chain(&log.include).chain(&log.exclude) {
                    self.template(template, own, hidden, Goes::Open("a filter"), used);
                }
            }
            Action::Service(service) => {
                self.template(&service.name, own, hidden, Goes::Open("argv"), used);
                if let Some(ready) = &service.ready {
                    self.probe(ready, own, used);
                }
            }
            Action::Interactive(run) => {
                for (place, element) in run.argv.iter().enumerate() {
                    let goes = if place == 0 { Goes::Steers("the program to run") } else { Goes::Open("argv") };
                    self.template(element, own, hidden, goes, used);
                }
                self.program(&run.program, own, hidden, used);
            }
            Action::Runbook(call) => self.call(call, own, hidden, used),
            _ => {}
        }
    }

    /// The values of a query: one outside of quotes is known to be no text, or it is told at the run.
    fn query_values(&mut self, query: &Template, own: &Fields, hidden: Option<&str>, used: &mut Used) {
        let (places, _) = query_places(query);
        for (expr, place) in query.expressions().zip(places) {
            let shape = self.expression(expr, own, hidden, Goes::Open("a query"), used);
            let fits = matches!(shape, Shape::Any | Shape::Number | Shape::Duration | Shape::Time | Shape::Secret);
            if place == QueryPlace::Bare && !fits {
                let message =
                    format!("`{}` is a {}, and it stands outside of quotes", expr.text().trim(), shape.word());
                let hint = "a number, a duration or a point in time can stand there: `| float`, `duration(..)`";
                let problem = self.problem("query-value", expr.span(), message).hint(hint);
                self.problems.push(problem);
            }
        }
    }

    /// What a call gives: a secret goes only where the called runbook keeps one.
    fn call(&mut self, call: &Call, own: &Fields, hidden: Option<&str>, used: &mut Used) {
        let callee = match self.context.callees.get(&call.name.value) {
            Some(Callee::Checked(callee)) => Some(callee.clone()),
            _ => None,
        };
        for (name, data) in &call.inputs {
            let input = callee.as_ref().and_then(|callee| callee.runbook().inputs.get(name.value.as_str()));
            let goes = match input {
                Some(input) if !input.is_secret() => Goes::Open("an input that is not secret"),
                _ => Goes::Free,
            };
            let mut templates = Vec::new();
            data.templates(&mut templates);
            for template in templates {
                self.template(template, own, hidden, goes, used);
            }
        }
    }

    fn alert(&mut self, name: &Sp<String>) {
        let alerts = &self.runbook.alerts.0;
        let problem = match alerts.iter().find(|alert| alert.alert.value == name.value) {
            Some(Alert { expr: Some(expr), .. }) if !expr.value.contains("{{") => return,
            Some(Alert { expr: Some(expr), .. }) => {
                // Asked for as it is written it would match nothing, and nothing found means that the alert is gone.
                let message = "the expression of an alert is asked for as it is written, and `{{` is no template there"
                    .to_owned();
                self.problem("alert-template", expr.span, message)
                    .hint("write the value out, or ask with `prometheus:`")
            }
            Some(_) => {
                let message = format!("the alert `{}` has no `expr`, so there is nothing to evaluate", name.value);
                self.problem("unknown-alert", name.span, message).hint("give it its expression under `alerts:`")
            }
            None => {
                let known: Vec<_> = alerts.iter().map(|alert| alert.alert.value.clone()).collect();
                let message = format!("`{}` is not among the `alerts` of this runbook", name.value);
                self.problem("unknown-alert", name.span, message).near(&name.value, known.iter().map(String::as_str))
            }
        };
        self.problems.push(problem);
    }

    /// The target of an action: it must exist and fit, and what it is made of must be there first.
    pub(super) fn target_name(&mut self, target: Option<&TargetRef>, action: &Action, own: &Fields, used: &mut Used) {
        if let Action::Service(service) = action {
            self.service(service, target);
        }
        let kinds = target_kinds(action);
        match target {
            None => self.only_target(action, &kinds, used),
            Some(TargetRef::Name(name)) => self.named_target(name, action, &kinds, used),
            Some(TargetRef::Each(names)) => {
                for name in names {
                    self.named_target(name, action, &kinds, used);
                }
            }
            Some(TargetRef::Computed(template)) => {
                self.template(template, own, None, Goes::Steers("the choice of a target"), used);
                if kinds.is_empty() {
                    let message = format!("`{}` acts on no target", action.name());
                    let problem = self.problem("wrong-target", template.span(), message);
                    self.problems.push(problem);
                }
                let all: Vec<_> = self.target_uses.values().flatten().cloned().collect();
                used.names.extend(all);
            }
        }
    }

    /// A part of a step that acts on another machine says where it acts itself: left out, it would look at this one,
    /// and prove or take back nothing.
    pub(super) fn place_of_part(&mut self, step: &Step, probe: &Probe) {
        let is_ssh =
            |name: &str| self.runbook.targets.get(name).is_some_and(|target| target.place.kind() == TargetKind::Ssh);
        let place = match &step.target {
            Some(TargetRef::Name(name)) if is_ssh(&name.value) => name.value.clone(),
            Some(TargetRef::Computed(template)) if self.runbook.targets.keys().any(|name| is_ssh(&name.value)) => {
                format!("\"{}\"", template.source_text())
            }
            _ => return,
        };
        if probe.target.is_none() && target_kinds(&probe.action).contains(&TargetKind::Ssh) {
            let message = format!(
                "this does not say where it acts: the step acts on {}, and without `target` this acts on the machine of the run",
                place.trim_matches('"')
            );
            let hint = format!("write `target: {place}` here too, or the name of a `local: true` target");
            let problem = self.problem("part-target", probe.span, message).hint(hint);
            self.problems.push(problem);
        }
        if let Some(verify) = &probe.verify {
            self.place_of_part(step, verify);
        }
    }

    fn named_target(&mut self, name: &Sp<String>, action: &Action, kinds: &[TargetKind], used: &mut Used) {
        let targets = &self.runbook.targets;
        let problem = match targets.get(name.value.as_str()).map(|target| target.place.kind()) {
            None => {
                let names: Vec<_> = targets.keys().map(|name| name.value.clone()).collect();
                let message = format!("there is no target `{}`", name.value);
                let problem = self.problem("unknown-target", name.span, message);
                problem.near(&name.value, names.iter().map(String::as_str))
            }
            Some(_) if kinds.is_empty() => {
                let message = format!("`{}` acts on no target", action.name());
                self.problem("wrong-target", name.span, message)
            }
            Some(TargetKind::Each) => {
                let message = format!("`{}` is a list of targets", name.value);
                let hint = format!("write `for_each: targets.{}` and `target: \"{{{{ item }}}}\"`", name.value);
                self.problem("wrong-target", name.span, message).hint(hint)
            }
            Some(kind) if !kinds.contains(&kind) => {
                let wanted: Vec<_> = kinds.iter().map(|kind| format!("`{}`", kind.as_str())).collect();
                let message = format!(
                    "`{}` is a target of kind `{}`, and `{}` acts on {}",
                    name.value,
                    kind.as_str(),
                    action.name(),
                    wanted.join(" or ")
                );
                self.problem("wrong-target", name.span, message)
            }
            Some(_) => {
                used.names.extend(self.target_uses.get(&name.value).cloned().unwrap_or_default());
                return;
            }
        };
        self.problems.push(problem);
    }

    /// A step that names no target: exactly one must fit, where one is needed.
    fn only_target(&mut self, action: &Action, kinds: &[TargetKind], used: &mut Used) {
        let Some(span) = needs_target(action) else { return };
        let targets = &self.runbook.targets;
        let fitting: Vec<_> = targets.iter().filter(|(_, target)| kinds.contains(&target.place.kind())).collect();
        if let [(name, _)] = fitting.as_slice() {
            used.names.extend(self.target_uses.get(&name.value).cloned().unwrap_or_default());
            return;
        }
        let names: Vec<_> = targets.keys().map(|name| format!("`{}`", name.value)).collect();
        let what = if matches!(action, Action::Http(_)) { "request" } else { "step" };
        let message = format!("this {what} does not say which target it goes to");
        let wanted: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
        let hint = match (fitting.is_empty(), action) {
            (true, Action::Http(_)) if names.is_empty() => {
                "declare one under `targets:`, or give a whole URL".to_owned()
            }
            (true, _) if names.is_empty() => format!("declare one of kind {} under `targets:`", wanted.join(" or ")),
            _ => format!("add `target:` with one of {}", names.join(", ")),
        };
        let problem = self.problem("which-target", span, message).hint(hint);
        self.problems.push(problem);
    }
}

/// The kinds of targets that an action can act on; none when it acts on no target.
fn target_kinds(action: &Action) -> Vec<TargetKind> {
    match action {
        Action::Http(_) => vec![TargetKind::Http],
        Action::Sql(_) => vec![TargetKind::Postgres],
        Action::Prometheus(_) | Action::Alert(_) => vec![TargetKind::Prometheus],
        Action::Kubectl(_) => vec![TargetKind::Kubernetes],
        Action::Log(log) => match log.source {
            LogSource::Kubectl(_) => vec![TargetKind::Kubernetes],
            _ => vec![TargetKind::Local, TargetKind::Ssh],
        },
        Action::Service(_) => vec![TargetKind::Local, TargetKind::Ssh, TargetKind::Kubernetes],
        Action::Run(_) | Action::Shell(_) | Action::Edit(_) | Action::Write(_) | Action::Interactive(_) => {
            vec![TargetKind::Local, TargetKind::Ssh]
        }
        _ => Vec::new(),
    }
}

/// Where an action stands that cannot do without a target.
fn needs_target(action: &Action) -> Option<Span> {
    match action {
        Action::Http(http) => {
            let literal = http.path.literal().unwrap_or_default();
            let absolute = literal.starts_with("http://") || literal.starts_with("https://");
            (!absolute).then_some(http.span)
        }
        Action::Sql(sql) => Some(sql.span),
        Action::Prometheus(query) => Some(query.span),
        Action::Alert(name) => Some(name.span),
        Action::Kubectl(kubectl) => Some(kubectl.span),
        Action::Log(log) if matches!(log.source, LogSource::Kubectl(_)) => Some(log.span),
        _ => None,
    }
}
