//! Every expression of a runbook: names, shapes, places where a secret or an alert's label may not go, references.

use super::super::build::Flat;
use super::super::names::{Fields, hold_fields, outside_shape, own_fields, probe_fields, roots, step_shape};
use super::super::node::{NodeId, Reads};
use super::super::order::{hidden_by, inside_loop, is_inside};
use super::CheckContext;
use super::values::shape_word;
use crate::expr::{Shape, Template};
use crate::runbook::{
    Action, Body, CaptureRule, Choices, Decide, Escalation, Probe, Runbook, Step, StepBody, Temporary, Undo,
};
use crate::source::{Diagnostic, Diagnostics, Sp, Span};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};

/// Where a value goes, as far as it matters before a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    /// Anywhere that takes any value.
    Free,
    /// Decides something: must be true or false.
    Condition,
    /// A place that others can read, such as argv or a URL: no secret.
    Open(&'static str),
    /// A place that steers where an act goes: no secret, no unchecked label of an alert.
    Steers(&'static str),
    /// A place that steers and may hold a secret (`auth`).
    SteersSecret(&'static str),
}

pub(super) struct Checker<'a> {
    pub(super) runbook: &'a Runbook,
    pub(super) context: &'a CheckContext,
    pub(super) roots: Fields,
    pub(super) steps: IndexMap<String, Shape>,
    pub(super) tainted: HashSet<String>,
    /// For each loop, the names of its item.
    items: HashMap<NodeId, Fields>,
    /// The names of the items around the step that is looked at.
    pub(super) around: Fields,
    /// The names that each target's declaration reads.
    pub(super) target_uses: IndexMap<String, Vec<(String, Span)>>,
    /// The names that `limits` reads: before each change, and before each list of changes.
    limit_uses: [Vec<(String, Span)>; 2],
    /// What is read at all.
    pub(super) reads: Reads,
    pub(super) problems: &'a mut Diagnostics,
}

/// Checks all expressions and fills in whose values each step uses.
pub(super) fn check(flat: &mut Flat, runbook: &Runbook, context: &CheckContext, problems: &mut Diagnostics) -> Reads {
    let steps =
        flat.nodes.iter().map(|node| (node.id.to_string(), Shape::Record(outside_shape(node, context)))).collect();
    let tainted = super::taint::names(flat, runbook, context);
    let target_uses = IndexMap::new();
    let mut checker = Checker {
        runbook,
        context,
        roots: roots(&runbook.inputs),
        steps,
        tainted,
        items: HashMap::new(),
        around: Fields::new(),
        target_uses,
        limit_uses: Default::default(),
        reads: Reads::default(),
        problems,
    };
    checker.inputs();
    checker.targets();
    checker.limits();
    for place in 0..flat.nodes.len() {
        let mut used = Used::default();
        checker.around = checker.items_around(flat, NodeId(place));
        checker.step(flat, NodeId(place), &mut used);
        checker.link(flat, NodeId(place), &used);
    }
    checker.around = Fields::new();
    let mut used = Used::default();
    for value in runbook.outputs.values() {
        checker.expression(value, &Fields::new(), None, Goes::Free, &mut used);
    }
    checker.visible(flat, None, &used);
    checker.reads
}

/// Root names that were read, with the place of the first reading.
#[derive(Default)]
pub(super) struct Used {
    pub(super) names: Vec<(String, Span)>,
}

impl Checker<'_> {
    pub(super) fn problem(&mut self, code: &'static str, span: Span, message: String) -> Diagnostic {
        Diagnostic::error(self.runbook.source(), code, span, message)
    }

    fn inputs(&mut self) {
        let runbook = self.runbook;
        for (name, input) in &runbook.inputs {
            let mut templates = Vec::new();
            if let Some(default) = &input.default {
                default.templates(&mut templates);
            }
            templates.extend(&input.description);
            templates.extend(&input.find);
            for expr in templates.into_iter().flat_map(Template::expressions) {
                let message = format!("the declaration of input `{}` cannot use values", name.value);
                let problem = self.problem("input-value", expr.span(), message);
                self.problems.push(problem);
            }
        }
    }

    fn targets(&mut self) {
        let runbook = self.runbook;
        let mut used = Used::default();
        let none = Fields::new();
        for (name, target) in &runbook.targets {
            self.target(name, target, &none, &mut used);
            // A target may be made of what steps found: who acts on it waits for them (ruling 37).
            self.target_uses.insert(name.value.clone(), std::mem::take(&mut used.names));
        }
    }

    /// What the limits are made of must be there before the changes that they bound.
    fn limits(&mut self) {
        let Some(limits) = &self.runbook.limits else { return };
        let none = Fields::new();
        let (mut each, mut list) = (Used::default(), Used::default());
        if let Some(pause) = &limits.pause {
            self.duration(pause, &none, None, &mut each);
        }
        if let Some(share) = &limits.of {
            let shape = self.expression(&share.whole, &none, None, Goes::Free, &mut list);
            if !matches!(shape, Shape::Any | Shape::Number | Shape::List(_)) {
                let message = format!("the whole is a number or a list, and this is {}", shape_word(&shape));
                let problem = self.problem("type-clash", share.whole.span(), message);
                self.problems.push(problem);
            }
        }
        self.limit_uses = [each.names, list.names];
    }

    /// The names of the items around a step, the nearest ones hiding those farther out.
    fn items_around(&self, flat: &Flat, id: NodeId) -> Fields {
        let up = |holder: &NodeId| flat.nodes[holder.0].item_of;
        let mut loops: Vec<_> = std::iter::successors(flat.nodes[id.0].item_of, up).collect();
        loops.reverse();
        loops
            .iter()
            .filter_map(|holder| self.items.get(holder))
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// Says which of the names stand inside a loop that the user cannot see into.
    fn visible(&mut self, flat: &Flat, from: Option<NodeId>, used: &Used) {
        let mut told: Vec<NodeId> = Vec::new();
        for (name, span) in &used.names {
            let Some(&other) = flat.index.get(name.as_str()) else { continue };
            if let Some(holder) = hidden_by(&flat.nodes, from, other)
                && !told.contains(&other)
            {
                told.push(other);
                self.problems.push(inside_loop(self.runbook, &flat.nodes, other, holder, *span));
            }
        }
    }

    /// Turns the names a step used into edges.
    fn link(&mut self, flat: &mut Flat, id: NodeId, used: &Used) {
        self.visible(flat, Some(id), used);
        let mut uses: Vec<NodeId> = Vec::new();
        for (name, span) in &used.names {
            let Some(&other) = flat.index.get(name.as_str()) else { continue };
            if other == id || uses.contains(&other) || hidden_by(&flat.nodes, Some(id), other).is_some() {
                continue;
            }
            if is_inside(&flat.nodes, other, id) {
                let message =
                    format!("step `{}` uses `{name}`, which stands inside it and comes later", flat.nodes[id.0].id);
                let problem = self.problem("uses-inner", *span, message);
                self.problems.push(problem);
                continue;
            }
            let (here, there) = (flat.nodes[id.0].section, flat.nodes[other.0].section);
            if here != there && there == super::super::node::Section::Finally {
                let message = format!("`{name}` is a step of `finally`, which runs after everything else");
                let problem = self.problem("uses-later", *span, message);
                self.problems.push(problem);
                continue;
            }
            uses.push(other);
        }
        flat.nodes[id.0].uses = uses;
    }

    fn step(&mut self, flat: &Flat, id: NodeId, used: &mut Used) {
        let node = &flat.nodes[id.0];
        let step = node.step.clone();
        let hidden = Some(&*node.id);
        let none = Fields::new();
        self.people(&step, hidden, used);
        if let Some(when) = &step.when {
            self.expression(when, &none, hidden, Goes::Condition, used);
        }
        let mut before = Fields::new();
        if let Some(each) = &step.each {
            let list = self.expression(&each.list, &none, hidden, Goes::Free, used);
            let item = match list {
                Shape::List(item) => *item,
                Shape::Any => Shape::Any,
                other => {
                    let message = format!("`for_each` needs a list, and this is {}", shape_word(&other));
                    let problem = self.problem("type-clash", each.list.span(), message);
                    self.problems.push(problem);
                    Shape::Any
                }
            };
            before.insert(each.name.value.clone(), item.clone());
            before.insert("items".into(), Shape::List(Box::new(item)));
            if matches!(step.body, StepBody::Group(_)) {
                self.items.insert(id, before.clone());
                if let Some(pause) = &each.pause {
                    self.duration(pause, &none, hidden, used);
                }
            }
        }
        match &step.body {
            StepBody::Action(action) => {
                self.action(action, &before, hidden, used);
                self.target_name(step.target.as_ref(), action, &before, used);
                self.results(&step, &node.id, &before, used);
            }
            StepBody::Decide(decide) => {
                let mut later = Used::default();
                self.decide(&step, decide, hidden, used, &mut later);
                self.visible(flat, Some(id), &later);
            }
            StepBody::Group(_) => {
                if step.each.is_some() && holds_change(&step) {
                    used.names.extend(self.limit_uses[1].clone());
                }
                for expr in &step.show {
                    self.expression(expr, &none, hidden, Goes::Free, used);
                }
            }
        }
        if let Some(escalation) = step.on_failure.as_ref().and_then(|on_failure| on_failure.escalate.as_ref()) {
            self.escalation(escalation, &none, None, used);
        }
    }

    /// Texts for people.
    fn people(&mut self, step: &Step, hidden: Option<&str>, used: &mut Used) {
        let mut own = Fields::new();
        if let Some(each) = &step.each {
            // A group stands before its items, and its title is that of all of them.
            if !matches!(step.body, StepBody::Group(_)) {
                own.insert(each.name.value.clone(), Shape::Any);
            }
            own.insert("items".into(), Shape::Any);
        }
        let texts = [Some(&step.title), step.why.as_ref(), step.notes.as_ref(), step.warning.as_ref()];
        for text in texts.into_iter().flatten() {
            self.template(text, &own, hidden, Goes::Open("a text for people"), used);
        }
        let change = step.change.as_ref();
        let whys = change.into_iter().flat_map(|change| [&change.irreversible, &change.keep]);
        for why in whys.flatten() {
            self.template(why, &own, hidden, Goes::Open("a text for people"), used);
        }
    }

    fn results(&mut self, step: &Step, id: &str, before: &Fields, used: &mut Used) {
        let hidden = Some(id);
        let mut own = before.clone();
        own.extend(own_fields(step, self.context));
        for field in ["error", "attempts", "outcome"] {
            own.insert(field.into(), Shape::Any);
        }
        for name in hold_fields(step).keys() {
            if let Some((name, _)) = step.capture.get_key_value(name.as_str()) {
                let message = format!("`{}` is what `hold` gives; give the capture another name", name.value);
                let problem = self.problem("taken-name", name.span, message);
                self.problems.push(problem);
            }
        }
        self.secret_captures(step);
        self.captures(&step.capture, &mut own, hidden, used, Some((id, step.each.is_some())));
        let retry = step.retry.as_ref();
        let until = step.until.as_ref();
        for expr in step.hold.iter().flat_map(|hold| &hold.hold_while.0) {
            self.expression(expr, &own, hidden, Goes::Condition, used);
        }
        if let Some(probe) = step.background.as_ref().and_then(|background| background.ready.as_ref()) {
            self.probe(probe, before, used);
        }
        own.extend(hold_fields(step));
        for expr in step.expect.iter().chain(until.iter().flat_map(|until| &until.expect.0)) {
            self.expression(expr, &own, hidden, Goes::Condition, used);
        }
        if let Some(give_up) = until.and_then(|until| until.give_up.as_ref()) {
            self.expression(give_up, &own, hidden, Goes::Condition, used);
        }
        for expr in &step.show {
            self.expression(expr, &own, hidden, Goes::Free, used);
        }
        let durations = [
            step.timeout.as_ref(),
            retry.and_then(|retry| retry.every.as_ref()),
            retry.and_then(|retry| retry.backoff.as_ref()),
            until.and_then(|until| until.every.as_ref()),
            until.map(|until| &until.within),
            step.hold.as_ref().map(|hold| &hold.length),
            step.hold.as_ref().and_then(|hold| hold.every.as_ref()),
            step.each.as_ref().and_then(|each| each.pause.as_ref()),
        ];
        for duration in durations.into_iter().flatten() {
            self.duration(duration, before, hidden, used);
        }
        self.change(step, before, used);
    }

    /// `preview` sees what was before; `verify` and `undo` see the step's own values too, as `<id>.NAME`.
    fn change(&mut self, step: &Step, before: &Fields, used: &mut Used) {
        let Some(change) = &step.change else { return };
        let [each, list] = self.limit_uses.clone();
        let list = list.into_iter().filter(|_| step.each.is_some());
        // A step that the limits read is not bounded by itself.
        used.names.extend(each.into_iter().chain(list).filter(|(name, _)| *name != step.id.value));
        if let Some(gate) = &change.gate {
            if let Some(text) = &gate.text {
                self.template(text, before, None, Goes::Open("a text to type"), used);
            }
            if let Some(expires) = &gate.expires {
                self.duration(expires, before, None, used);
            }
        }
        if let Some(Temporary::Ends(ends)) = &change.temporary {
            self.duration(ends, before, None, used);
        }
        for probe in [&change.preview, &change.verify].into_iter().flatten() {
            self.place_of_part(step, probe);
            self.probe(probe, before, used);
        }
        if let Some(Action::Service(service)) = step.action()
            && let Some(ready) = &service.ready
        {
            self.place_of_part(step, ready);
        }
        if let Some(undo) = &change.undo {
            self.undo(step, undo, before, used);
        }
    }

    /// The acts of an undo do not see one another: what they need is there before the first.
    fn undo(&mut self, step: &Step, undo: &Undo, before: &Fields, used: &mut Used) {
        if let Undo::Steps(acts) = undo {
            for title in acts.iter().filter_map(|act| act.title.as_ref()) {
                self.template(title, before, None, Goes::Open("a text for people"), used);
            }
        }
        for (probe, _) in undo.probes() {
            self.place_of_part(step, probe);
            self.probe(probe, before, used);
        }
    }

    pub(super) fn probe(&mut self, probe: &Probe, before: &Fields, used: &mut Used) {
        self.action(&probe.action, before, None, used);
        self.target_name(probe.target.as_ref(), &probe.action, before, used);
        let mut own = before.clone();
        own.extend(probe_fields(probe));
        own.insert("error".into(), Shape::Any);
        self.captures(&probe.capture, &mut own, None, used, None);
        for expr in &probe.expect {
            self.expression(expr, &own, None, Goes::Condition, used);
        }
        for duration in [&probe.within, &probe.every, &probe.timeout].into_iter().flatten() {
            self.duration(duration, before, None, used);
        }
        if let Some(verify) = &probe.verify {
            self.probe(verify, before, used);
        }
    }

    /// A secret can be found only in output that can be held back until it is known.
    fn secret_captures(&mut self, step: &Step) {
        let Some((name, _)) = step.capture.iter().find(|(_, rule)| rule.secret) else { return };
        let why = match step.action() {
            Some(Action::Ask(_) | Action::Manual(_)) => "what a person says goes on record; a question can be secret",
            Some(Action::Interactive(_)) => "what happens at the terminal is not seen",
            Some(Action::Runbook(_)) => "the steps of the runbook it calls keep their own output",
            Some(Action::Set(_) | Action::Assert(_) | Action::Wait(_) | Action::Escalate(_)) => "it has no result",
            _ => return,
        };
        let message = format!("`{}` cannot be captured as a secret from this step: {why}", name.value);
        let problem = self.problem("secret-capture", name.span, message);
        self.problems.push(problem);
    }

    fn captures(
        &mut self,
        rules: &IndexMap<Sp<String>, CaptureRule>,
        own: &mut Fields,
        hidden: Option<&str>,
        used: &mut Used,
        outside: Option<(&str, bool)>,
    ) {
        for (name, rule) in rules {
            if own.contains_key(&name.value) {
                let message =
                    format!("`{}` is already a result of this action; give the capture another name", name.value);
                let problem = self.problem("taken-name", name.span, message);
                self.problems.push(problem);
            }
            let shape = self.expression(&rule.value, own, hidden, Goes::Free, used);
            let shape = if rule.secret { Shape::Secret } else { shape };
            own.insert(name.value.clone(), shape.clone());
            if let Some((id, false)) = outside
                && let Some(Shape::Record(fields)) = self.steps.get_mut(id)
            {
                fields.insert(name.value.clone(), shape);
            }
        }
    }

    fn decide(&mut self, step: &Step, decide: &Decide, hidden: Option<&str>, used: &mut Used, later: &mut Used) {
        let none = Fields::new();
        for expr in &step.show {
            self.expression(expr, &none, hidden, Goes::Free, used);
        }
        for option in decide.options.values().chain(&decide.otherwise) {
            if let Some(title) = &option.title {
                self.template(title, &none, hidden, Goes::Open("a text for people"), used);
            }
            if let Some(when) = &option.when {
                self.expression(when, &none, hidden, Goes::Condition, used);
            }
            // What an option sets is computed after its steps: their values are there.
            for value in option.set.values() {
                self.expression(value, &none, hidden, Goes::Free, later);
            }
            if let Some(escalation) = &option.escalate {
                self.escalation(escalation, &none, hidden, used);
            }
        }
    }

    fn action(&mut self, action: &Action, own: &Fields, hidden: Option<&str>, used: &mut Used) {
        match action {
            Action::Run(run) => {
                for (place, element) in run.argv.iter().enumerate() {
                    let goes = if place == 0 { Goes::Steers("the program to run") } else { Goes::Open("argv") };
                    self.template(element, own, hidden, goes, used);
                }
                self.program(&run.program, own, hidden, used);
            }
            Action::Shell(shell) => self.program(&shell.program, own, hidden, used),
            Action::Http(http) => {
                self.template(&http.path, own, hidden, Goes::Open("a URL"), used);
                for value in http.query.values() {
                    self.template(value, own, hidden, Goes::Open("a URL"), used);
                }
                let mut free: Vec<&Template> = http.headers.values().collect();
                match &http.body {
                    Body::Empty => {}
                    Body::Json(data) => data.templates(&mut free),
                    Body::Form(form) => free.extend(form.values()),
                    Body::Text(text) => free.push(text),
                }
                for template in free {
                    self.template(template, own, hidden, Goes::Free, used);
                }
                if let Some(pages) = &http.pages {
                    let mut page = own.clone();
                    page.extend(step_shape(action));
                    self.expression(&pages.items, &page, hidden, Goes::Free, used);
                    self.expression(&pages.next, &page, hidden, Goes::Free, used);
                }
            }
            Action::Edit(edit) => {
                self.template(&edit.file, own, hidden, Goes::Steers("a file"), used);
                let mut values = Vec::new();
                if let Some(set) = &edit.set {
                    set.templates(&mut values);
                }
                for template in values {
                    self.template(template, own, hidden, Goes::Free, used);
                }
            }
            Action::Write(write) => {
                self.template(&write.file, own, hidden, Goes::Steers("a file"), used);
                self.template(&write.text, own, hidden, Goes::Free, used);
            }
            Action::Ask(ask) => {
                if let Some(of) = &ask.of {
                    self.contact(of);
                }
                if let Some(expires) = &ask.expires {
                    self.duration(expires, own, hidden, used);
                }
                for answer in ask.otherwise.values() {
                    self.template(answer, own, hidden, Goes::Open("an answer"), used);
                }
                for question in ask.questions.values() {
                    self.template(&question.question, own, hidden, Goes::Open("a question"), used);
                    if let Some(default) = &question.default {
                        self.template(default, own, hidden, Goes::Open("a default"), used);
                    }
                    match &question.choices {
                        Some(Choices::Fixed(list)) => {
                            for template in list {
                                self.template(template, own, hidden, Goes::Open("a choice"), used);
                            }
                        }
                        Some(Choices::Computed(expr)) => {
                            self.expression(expr, own, hidden, Goes::Free, used);
                        }
                        None => {}
                    }
                }
            }
            Action::Manual(text) => self.template(text, own, hidden, Goes::Open("a text for people"), used),
            Action::Set(values) => {
                let mut names = own.clone();
                for (name, expr) in values {
                    let shape = self.expression(expr, &names, hidden, Goes::Free, used);
                    names.insert(name.value.clone(), shape.clone());
                    if let Some(Shape::Record(fields)) = hidden.and_then(|id| self.steps.get_mut(id)) {
                        fields.insert(name.value.clone(), shape);
                    }
                }
            }
            Action::Assert(list) => {
                for expr in list {
                    self.expression(expr, own, hidden, Goes::Condition, used);
                }
            }
            Action::Wait(duration) => self.duration(duration, own, hidden, used),
            Action::Escalate(escalation) => self.escalation(escalation, own, hidden, used),
            other => self.mechanism(other, own, hidden, used),
        }
    }

    pub(super) fn program(
        &mut self,
        program: &crate::runbook::Program,
        own: &Fields,
        hidden: Option<&str>,
        used: &mut Used,
    ) {
        if let Some(cwd) = &program.cwd {
            self.template(cwd, own, hidden, Goes::Steers("a working folder"), used);
        }
        for value in program.env.values().chain(&program.stdin) {
            self.template(value, own, hidden, Goes::Free, used);
        }
    }

    fn escalation(&mut self, escalation: &Escalation, own: &Fields, hidden: Option<&str>, used: &mut Used) {
        self.template(&escalation.text, own, hidden, Goes::Open("a text for people"), used);
        if let Some(to) = &escalation.to {
            self.contact(to);
        }
    }

    /// A person or a rota must be among the contacts.
    fn contact(&mut self, to: &Sp<String>) {
        if !self.runbook.contacts.contains_key(to.value.as_str()) {
            let names: Vec<_> = self.runbook.contacts.keys().map(|name| name.value.clone()).collect();
            let message = format!("`{}` is not among the `contacts` of this runbook", to.value);
            let problem = self.problem("unknown-contact", to.span, message);
            self.problems.push(problem.near(&to.value, names.iter().map(String::as_str)));
        }
    }
}

/// Whether a change stands anywhere inside a step.
fn holds_change(step: &Step) -> bool {
    step.children().into_iter().any(|step| step.change.is_some() || holds_change(step))
}
