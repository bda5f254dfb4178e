//! Rules about steps that need no expression: reads that look like reads, changes that can be judged, stale reviews.

use super::super::build::Flat;
use super::super::node::GraphNode;
use super::super::order::is_free_read;
use super::{Callee, CheckContext};
use crate::runbook::{
    Action, Change, ERROR_CLASSES, Input, InputType, Kind, Probe, Program, Runbook, ServiceVerb, StepBody, TargetRef,
    Temporary, Then, Undo, is_error_class, is_reserved_name, refused_variable, sqlstate_names,
};
use crate::source::{Diagnostic, Diagnostics, Sp};
use std::collections::BTreeSet;

pub(super) fn check(flat: &Flat, runbook: &Runbook, context: &CheckContext, problems: &mut Diagnostics) {
    let mut rules = Rules { runbook, problems };
    for (name, input) in &runbook.inputs {
        rules.input(name, input);
    }
    for node in &flat.nodes {
        rules.step(node, flat);
    }
    rules.proven(flat);
    rules.polls(flat);
    rules.related(context);
    rules.reviewed(context);
    rules.written_out();
    rules.limits(flat);
    rules.unused_inputs(flat, context);
}

struct Rules<'a> {
    runbook: &'a Runbook,
    problems: &'a mut Diagnostics,
}

impl Rules<'_> {
    fn error(&self, code: &'static str, span: crate::source::Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.runbook.source(), code, span, message)
    }

    fn warn(&self, code: &'static str, span: crate::source::Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.runbook.source(), code, span, message)
    }

    fn input(&mut self, name: &Sp<String>, input: &Input) {
        if is_reserved_name(name) {
            let message = format!("an input cannot be called `{}`: it is a name of the language", name.value);
            self.problems.push(self.error("taken-name", name.span, message));
        }
        if let Some(pattern) = &input.pattern
            && let Err(error) = regex::Regex::new(&pattern.value)
        {
            let reason =
                error.to_string().lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
            self.problems.push(self.error(
                "pattern",
                pattern.span,
                format!("this is not a regular expression: {reason}"),
            ));
        }
        let wants_choices = input.kind == InputType::Choice || input.of == Some(InputType::Choice);
        if wants_choices && input.choices.0.is_empty() {
            self.problems.push(self.error(
                "missing-key",
                name.span,
                format!("the choice `{}` has no `choices`", name.value),
            ));
        }
        if input.of.is_some() && input.kind != InputType::List {
            self.problems.push(self.error("stray-key", name.span, "`of` belongs to `type: list`"));
        }
        let unchecked = input.kind == InputType::String && input.pattern.is_none() && input.choices.0.is_empty();
        if input.from.as_ref().is_some_and(|from| from.label.is_some()) && unchecked {
            let message = format!("`{}` comes from an alert's label and takes any text", name.value);
            self.problems.push(
                self.error("unchecked-label", name.span, message)
                    .hint("give it a `pattern`, `choices`, or a type that is not string"),
            );
        }
    }

    /// A process in the background ends with its group or its runbook; it cannot be started twice.
    fn beside(&mut self, node: &GraphNode, flat: &Flat) {
        let Some(background) = &node.step.background else { return };
        if let Some(ready) = &background.ready {
            self.probe_reads(ready);
        }
        let mut holders = std::iter::successors(node.parent, |parent| flat.nodes[parent.id().0].parent);
        let again = |parent: super::super::node::Parent| {
            let on_failure = flat.nodes[parent.id().0].step.on_failure.as_ref();
            matches!(parent, super::super::node::Parent::Failure(_))
                || on_failure.is_some_and(|then| then.then == Then::Again)
        };
        let place = if node.section == super::super::node::Section::Finally {
            "`finally`"
        } else if node.item_of.is_some() {
            "a loop"
        } else if holders.any(again) {
            "what is performed once more after a failure"
        } else {
            return;
        };
        let message = format!("a process is not kept running in {place}");
        let problem = self.error("background-place", node.step.id.span, message);
        self.problems.push(problem.hint("start it before, in the steps of the runbook or of a group"));
    }

    fn step(&mut self, node: &GraphNode, flat: &Flat) {
        let step = &node.step;
        self.error_classes(&step.tolerate);
        if let Some(retry) = &step.retry {
            self.error_classes(&retry.classes.0);
        }
        self.beside(node, flat);
        if let StepBody::Action(action) = &step.body {
            if step.kind.is_read() {
                self.reads(action, step.id.span, step.kind);
            }
            self.program(action);
            self.path(action);
            self.call(action, step.target.as_ref(), step.timeout.is_some());
        }
        let Some(change) = &step.change else {
            if let StepBody::Decide(decide) = &step.body {
                self.likelihoods(node, decide);
            }
            return;
        };
        for probe in [&change.preview, &change.verify].into_iter().flatten() {
            self.probe_reads(probe);
        }
        if let Some(verify) = &change.verify
            && verify.expect.is_empty()
            && !matches!(verify.action, Action::Assert(ref list) if !list.is_empty())
        {
            self.problems.push(self.error(
                "verify-proves-nothing",
                verify.span,
                "this `verify` has no `expect`, so it proves nothing",
            ));
        }
        for (probe, changes) in change.undo.iter().flat_map(Undo::probes) {
            self.undo(probe, changes);
        }
        let is_file = matches!(node.step.action(), Some(Action::Edit(_) | Action::Write(_)));
        if !is_file && change.undo.as_ref().is_some_and(Undo::restores) {
            let message = "`restore` puts a file back, and this step is neither `edit` nor `write`";
            self.problems.push(self.error("undo-steps", step.id.span, message));
        }
        self.temporary(node, change);
        let undoable = match step.action() {
            Some(Action::Edit(_) | Action::Write(_) | Action::Manual(_) | Action::Interactive(_) | Action::Ask(_)) => {
                true
            }
            // What was restarted runs as before: there is nothing to go back to.
            Some(Action::Service(service)) => matches!(service.verb, ServiceVerb::Restart | ServiceVerb::Reload),
            _ => false,
        };
        let is_act = !matches!(
            step.action(),
            Some(
                Action::Ask(_)
                    | Action::Set(_)
                    | Action::Assert(_)
                    | Action::Wait(_)
                    | Action::Escalate(_)
                    | Action::Runbook(_)
            )
        );
        let is_said = change.undo.is_some() || change.irreversible.is_some() || change.keep.is_some();
        if is_act && !undoable && !is_said {
            let message = format!("`{}` says neither how to undo this nor why it cannot be undone", node.id);
            self.problems.push(self.warn("no-undo", step.id.span, message).hint(
                "add `undo:` with an act, `irreversible:` with the reason, or `keep:` for what is meant to stay",
            ));
        }
    }

    /// An act of an undo; one that does not change anything is a read.
    fn undo(&mut self, probe: &Probe, changes: bool) {
        if !changes {
            return self.probe_reads(probe);
        }
        self.program(&probe.action);
        self.path(&probe.action);
        self.call(&probe.action, probe.target.as_ref(), probe.timeout.is_some());
        self.error_classes(&probe.tolerate);
        if let Some(verify) = &probe.verify {
            self.probe_reads(verify);
        }
    }

    /// What is taken back by itself needs an act that the program can perform, and an end that comes after it.
    fn temporary(&mut self, node: &GraphNode, change: &Change) {
        let Some(Temporary::Run) = change.temporary else { return };
        let by_people = |action: &Action| !action.is_act();
        let problem = match &change.undo {
            _ if node.section == super::super::node::Section::Finally => {
                "a change of `finally` cannot be temporary: what is temporary is taken back before it".to_owned()
            }
            _ if node.step.action().is_some_and(by_people) => {
                "what is temporary is made and taken back by the program, and this is not".to_owned()
            }
            None => "`temporary: true` needs `undo`: it is taken back by itself when the run ends".to_owned(),
            Some(Undo::Act(probe)) if by_people(&probe.action) => {
                format!(
                    "a temporary change is taken back by the program, and `{}` is no act of it",
                    probe.action.name()
                )
            }
            Some(undo) if undo.restores() => {
                "a temporary change is taken back by acts that are written out, and `restore` is none".to_owned()
            }
            Some(_) => return,
        };
        self.problems.push(self.error("temporary-undo", node.step.id.span, problem));
    }

    /// `tolerate` and `retry.for` name classes of errors; a misspelt one would never match.
    fn error_classes(&mut self, names: &[Sp<String>]) {
        for name in names.iter().filter(|name| !is_error_class(&name.value)) {
            let message = format!("`{}` is not a class of errors", name.value);
            let problem = self.error("unknown-error-class", name.span, message);
            let near = problem.near(&name.value, ERROR_CLASSES.iter().copied().chain(sqlstate_names()));
            let hint = format!(
                "one of {}, or with a number: exit_3, status_404; for `sql` a name of PostgreSQL: undefined_table",
                ERROR_CLASSES.join(", ")
            );
            self.problems.push(if near.hint.is_some() { near } else { near.hint(hint) });
        }
    }

    fn probe_reads(&mut self, probe: &Probe) {
        self.program(&probe.action);
        self.path(&probe.action);
        self.call(&probe.action, probe.target.as_ref(), probe.timeout.is_some());
        self.error_classes(&probe.tolerate);
        self.reads(&probe.action, probe.span, Kind::Validate);
    }

    /// Ruling 10: a read must look like a read.
    fn reads(&mut self, action: &Action, span: crate::source::Span, kind: Kind) {
        // A call without a verb has its own problem.
        let is_no_call = |problem: crate::runbook::KubectlProblem| problem.code == "kubectl-verb";
        let is_told = matches!(action, Action::Kubectl(call) if call.call().problem(false).is_some_and(is_no_call));
        if !action.is_plain_change() || is_told {
            return;
        }
        let (what, hint) = match action {
            Action::Http(http) => (
                format!("a {} request changes something", http.method.as_str()),
                "use `remediate`; a query that is sent by POST says `reads: true` inside `http`",
            ),
            Action::Service(service) => {
                (format!("`service: {}` changes what runs", service.verb.as_str()), "use `remediate`, or `status`")
            }
            Action::Kubectl(kubectl) => (
                format!("`kubectl {}` changes something", kubectl.call().verb()),
                "use `remediate`; a trial says `--dry-run=server`",
            ),
            other => (format!("`{}` changes a file", other.name()), "use `remediate`"),
        };
        let message = format!("{what}, and a {} step only reads", kind.as_str());
        self.problems.push(self.error("read-that-changes", span, message).hint(hint));
    }

    fn program(&mut self, action: &Action) {
        let program: &Program = match action {
            Action::Run(run) | Action::Interactive(run) => &run.program,
            Action::Shell(shell) => &shell.program,
            Action::Kubectl(kubectl) => &kubectl.program,
            _ => return,
        };
        for name in program.env.keys().chain(&program.pass_env) {
            if let Some(reason) = refused_variable(name) {
                let message = format!("a step cannot set `{}`: {reason}", name.value);
                self.problems.push(self.error("refused-variable", name.span, message));
            }
        }
        for code in &program.ok {
            if !(0..=255).contains(&code.value) {
                self.problems.push(self.error("exit-code", code.span, format!("{} is not an exit code", code.value)));
            }
        }
    }

    /// A call of kubectl.
    fn call(&mut self, action: &Action, target: Option<&TargetRef>, is_bounded: bool) {
        if let Action::Kubectl(kubectl) = action {
            super::kubectl::check(self.runbook, kubectl, target, is_bounded, self.problems);
        }
    }

    fn path(&mut self, action: &Action) {
        let Action::Http(http) = action else { return };
        let text = http.path.source_text();
        let absolute = text.starts_with("http://") || text.starts_with("https://");
        if absolute && http.path.literal().is_none() {
            self.problems.push(
                self.error("http-path", http.path.span(), "a whole URL cannot hold values")
                    .hint("declare a target, and give the path here"),
            );
        } else if !absolute && !text.starts_with('/') {
            self.problems.push(self.error(
                "http-path",
                http.path.span(),
                "a path starts with `/`; the host comes from the target",
            ));
        } else if text.contains('?') || text.contains('#') {
            self.problems.push(
                self.error("http-path", http.path.span(), "a path holds no `?` and no `#`")
                    .hint("put the pairs under `query:`; every value there is encoded"),
            );
        }
    }

    fn likelihoods(&mut self, node: &GraphNode, decide: &crate::runbook::Decide) {
        let sum: f64 = decide.options.values().filter_map(|option| option.likelihood).sum();
        if sum > 100.5 {
            let message = format!("the likelihoods of `{}` add up to {sum} %", node.id);
            self.problems.push(self.warn("likelihood", node.step.id.span, message));
        }
        let people_only = decide.by == crate::runbook::DecideBy::Evidence
            && decide.options.values().all(|option| option.when.is_none());
        if people_only {
            let message = format!("no option of `{}` has a `when`: only a person can choose", node.id);
            self.problems.push(self.warn("by-person", node.step.id.span, message).hint("say so: `by: person`"));
        }
        let mut names: Vec<Vec<&str>> =
            decide.options.values().map(|option| option.set.keys().map(|name| name.value.as_str()).collect()).collect();
        for list in &mut names {
            list.sort_unstable();
        }
        if names.windows(2).any(|pair| pair[0] != pair[1]) {
            let message = format!("the options of `{}` set different names; the missing ones will be unknown", node.id);
            self.problems.push(self.warn("different-sets", node.step.id.span, message));
        }
    }

    /// A change that nothing looks at afterwards.
    fn proven(&mut self, flat: &Flat) {
        let last_validate = flat.nodes.iter().rposition(|node| node.step.kind == Kind::Validate);
        for (place, node) in flat.nodes.iter().enumerate() {
            let Some(change) = &node.step.change else { continue };
            // A called runbook looks after its own changes, and a service is watched until it runs.
            let by_hand = matches!(
                node.step.action(),
                Some(
                    Action::Manual(_)
                        | Action::Interactive(_)
                        | Action::Ask(_)
                        | Action::Runbook(_)
                        | Action::Service(_)
                )
            );
            let later = last_validate.is_some_and(|last| last > place);
            if change.verify.is_none() && !later && !by_hand && node.section == super::super::node::Section::Body {
                let message = format!("nothing looks at what `{}` changed: no `verify`, no later `validate`", node.id);
                self.problems.push(self.warn("not-verified", node.step.id.span, message));
            }
        }
    }

    /// Ruling 34: a poll before a change is a guard, and a guard is a validate.
    fn polls(&mut self, flat: &Flat) {
        for (place, node) in flat.nodes.iter().enumerate() {
            let watches = node.step.until.is_some() || node.step.hold.is_some();
            let polls = node.step.kind == Kind::Diagnose && watches && !is_free_read(&node.step);
            let change_follows = flat.nodes[place + 1..].iter().any(|later| later.step.change.is_some());
            if polls && change_follows && node.step.on_failure.is_none() {
                let message = format!(
                    "`{}` waits for something, and the change after it starts even if that never comes",
                    node.id
                );
                self.problems.push(
                    self.warn("poll-is-no-guard", node.step.id.span, message)
                        .hint("make it a `validate`, which blocks later changes, or say `on_failure`"),
                );
            }
        }
    }

    fn related(&mut self, context: &CheckContext) {
        let Some(known) = &context.runbooks else { return };
        for name in &self.runbook.related.0 {
            if !known.contains(&name.value) {
                let message = format!("`{}` is not a runbook of this library", name.value);
                self.problems.push(
                    self.warn("unknown-related", name.span, message)
                        .near(&name.value, known.iter().map(String::as_str)),
                );
            }
        }
    }

    fn limits(&mut self, flat: &Flat) {
        let Some(limits) = &self.runbook.limits else { return };
        if let Some(changes) = limits.changes.as_ref().filter(|changes| changes.value < 0) {
            let message = "`changes` is a number of changes, 0 or more";
            self.problems.push(self.error("wrong-type", changes.span, message));
        }
        if let Some(share) = limits.of.as_ref().filter(|share| !(0.0..=100.0).contains(&share.percent.value)) {
            let message = "`percent` is between 0 and 100";
            self.problems.push(self.error("wrong-type", share.percent.span, message));
        }
        if limits.pause.is_none() {
            return;
        }
        for node in flat.nodes.iter().filter(|node| node.step.change.is_some()) {
            if node.step.each.as_ref().is_some_and(|each| each.at_once > 1) {
                let message = format!(
                    "`limits.pause` leaves a pause between two changes, and `{}` makes several at once",
                    node.id
                );
                self.problems.push(
                    self.error("stray-key", node.step.span, message).hint("leave `at_once` out, or `limits.pause`"),
                );
            }
        }
    }

    /// What is compared with the calendar is needed when no value is there.
    fn written_out(&mut self) {
        let reviewed = self.runbook.reviewed.as_ref().map(|reviewed| ("reviewed.every", &reviewed.every));
        let cadence = self.runbook.cadence.as_ref().and_then(|cadence| cadence.every.as_ref());
        for (key, every) in reviewed.into_iter().chain(cadence.map(|every| ("cadence.every", every))) {
            let Some(expr) = every.expression() else { continue };
            let message = format!("`{key}` is read before there are values");
            self.problems
                .push(self.error("wrong-type", expr.span(), message).hint("write the duration out, such as 90d"));
        }
    }

    fn reviewed(&mut self, context: &CheckContext) {
        let (Some(reviewed), Some(today)) = (&self.runbook.reviewed, context.today) else { return };
        let Some(every) = reviewed.every.fixed() else { return };
        let days = today.since(reviewed.at.value).map_or(0, |span| i64::from(span.get_days()));
        if u64::try_from(days).unwrap_or(0) * 86_400 > every.as_secs() {
            let message = format!("last reviewed {days} days ago, on {}", reviewed.at.value);
            self.problems.push(self.warn("stale-review", reviewed.span, message));
        }
    }

    fn unused_inputs(&mut self, flat: &Flat, context: &CheckContext) {
        let text = self.runbook.source().text();
        let mut handed_on = BTreeSet::new();
        for node in &flat.nodes {
            let Some(Action::Runbook(call)) = node.step.action() else { continue };
            let Some(Callee::Checked(callee)) = context.callees.get(&call.name.value) else { continue };
            let names = call.handed_on(self.runbook, callee.runbook()).map(|(name, ..)| name.value.clone());
            handed_on.extend(names);
        }
        for name in self.runbook.inputs.keys().filter(|name| !handed_on.contains(&name.value)) {
            // A word of the text outside its own declaration; cheap, and wrong only on the quiet side.
            let word = name.value.as_str();
            let used = text.match_indices(word).any(|(at, _)| {
                let inside = at >= name.span.start && at < name.span.end;
                let before = text[..at].chars().next_back();
                let after = text[at + word.len()..].chars().next();
                let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
                !inside && !is_word(before) && !is_word(after)
            });
            if !used {
                self.problems.push(self.warn("unused-input", name.span, format!("input `{word}` is never used")));
            }
        }
    }
}
