//! The plan of a run: every step of every branch with what it would do, as far as that is known.
//!
//! Pure: evaluates and renders, touches nothing. The values of steps that have not run are *not yet* and spread; after a
//! probe, the same walk shows what became known.

use super::called::{Called, called_values};
use super::policy::GatePolicy;
use super::resolve::Resolver;
use super::view::{Grade, grade, view};
use crate::event::{ActView, GateRequirement, InputView, Line};
use crate::expr::{Place, Scope, Template, UnknownSort, Verdict, unknown};
use crate::graph::{GraphNode, NodeId, Parent, StepGraph};
use crate::plan::values::{StepScope, Values};
use crate::runbook::{Action, Change, Probe, StepBody, Temporary};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// What a plan is made from, beside the graph.
pub struct PlanContext<'a> {
    /// The values known before the run.
    pub values: &'a Values,
    /// Resolves acts.
    pub resolver: &'a Resolver,
    /// What called runbooks need.
    pub called: &'a HashMap<String, Called>,
    /// The gates of the environment.
    pub policy: GatePolicy,
    /// The environment's name.
    pub environment: Option<String>,
    /// Inputs as resolved.
    pub inputs: Vec<InputView>,
    /// The present moment.
    pub now: jiff::Timestamp,
}

/// An input as a saved plan keeps it.
pub type InputNote = InputView;

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The runbook's id.
    pub runbook: String,
    /// Its title.
    pub title: String,
    /// SHA-256 of its text.
    pub runbook_digest: String,
    /// Why the runbook must not be run, when it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuse: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// Inputs; secrets by name and source only.
    pub inputs: Vec<InputNote>,
    /// One row a step, in document order.
    pub rows: Vec<PlanRow>,
    /// SHA-256 over all of the above.
    pub digest: String,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    /// Its place in the document, from 1.
    pub number: usize,
    /// How deep it stands.
    pub depth: usize,
    /// Its kind.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its title, values in.
    pub title: String,
    /// The option, group or failure it stands under, when it is the first there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<String>,
    /// How much is known.
    pub grade: Grade,
    /// What it does, in one text.
    pub text: String,
    /// The runbook it calls, whose steps follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<String>,
    /// The options of a decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<PlanArm>,
    /// The act, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<ActView>,
    /// Its condition and what is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The list it is performed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<String>,
    /// The targets it is performed on, when it is performed for each of several that are known; the act is the first's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// The gate in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// How it is undone, or why not; only for changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// How it is verified; only for changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
    /// What must be known first: expression and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holes: Vec<Line>,
    /// Why it would be refused as things stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// An option of a decide, before the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanArm {
    /// Its name.
    pub name: String,
    /// What is known of it: `holds`, `does not hold`, `not known yet`, `a person's choice`.
    pub known: String,
    /// Its condition; empty for a person's choice.
    pub when: String,
}

/// The summing-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSummary {
    /// Steps in all.
    pub steps: usize,
    /// Steps whose text is final.
    pub exact: usize,
    /// Steps with named holes.
    pub partial: usize,
    /// Steps of which nothing could be shown.
    pub unknown: usize,
    /// Changes in all branches.
    pub changes: usize,
    /// Gates in front of them.
    pub gates: usize,
    /// Decides that cannot be decided yet, with what they wait for.
    pub undecided: Vec<(String, Vec<String>)>,
    /// What a probe would do, by target: requests and commands.
    pub reads: BTreeMap<String, usize>,
}

/// One difference between a saved plan and the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDifference {
    /// What differs: `runbook`, `environment`, `input url`, `step ban_agent`.
    pub what: String,
    /// As it was saved.
    pub saved: String,
    /// As it is now.
    pub now: String,
}

impl Plan {
    /// Makes the plan of a run.
    #[must_use]
    pub fn new(graph: &StepGraph, context: &PlanContext<'_>) -> Self {
        let mut rows = Vec::new();
        fill_rows(&mut rows, graph, "", 0, context);
        let runbook = graph.runbook();
        let mut plan = Self {
            runbook: runbook.id().to_owned(),
            title: runbook.title.value.clone(),
            runbook_digest: hex(&Sha256::digest(runbook.source().text())),
            refuse: runbook.refuse.as_ref().map(|refuse| refuse.value.clone()),
            environment: context.environment.clone(),
            inputs: context.inputs.clone(),
            rows,
            digest: String::new(),
        };
        plan.digest = plan.compute_digest();
        plan
    }

    /// The digest over everything but the digest itself.
    #[must_use]
    pub fn compute_digest(&self) -> String {
        let bare = Self { digest: String::new(), ..self.clone() };
        hex(&Sha256::digest(serde_json::to_vec(&bare).unwrap_or_default()))
    }

    /// What differs between this saved plan and a present one; nothing when a run may go by it.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<PlanDifference> {
        let mut found = Vec::new();
        let mut note = |what: String, saved: String, now: String| {
            if saved != now {
                found.push(PlanDifference { what, saved, now });
            }
        };
        note("runbook".into(), self.runbook.clone(), now.runbook.clone());
        note("text of the runbook".into(), self.runbook_digest.clone(), now.runbook_digest.clone());
        let name = |plan: &Self| plan.environment.clone().unwrap_or_else(|| "none".to_owned());
        note("environment".into(), name(self), name(now));
        for input in &now.inputs {
            let saved = self.inputs.iter().find(|other| other.name == input.name);
            let text = |input: &InputView| serde_json::to_string(&(&input.value, &input.source)).unwrap_or_default();
            note(format!("input {}", input.name), saved.map(text).unwrap_or_default(), text(input));
        }
        for row in &now.rows {
            let saved = self.rows.iter().find(|other| other.id == row.id);
            let text = |row: &PlanRow| serde_json::to_string(row).unwrap_or_default();
            if saved.is_some_and(|saved| saved == row) {
                continue;
            }
            let short = |row: Option<&PlanRow>| row.map_or_else(|| "not there".to_owned(), |row| row.text.clone());
            let (before, after) = (short(saved), short(Some(row)));
            if before == after {
                note(format!("step {}", row.id), saved.map(text).unwrap_or_default(), text(row));
            } else {
                note(format!("step {}", row.id), before, after);
            }
        }
        for row in self.rows.iter().filter(|row| now.rows.iter().all(|other| other.id != row.id)) {
            note(format!("step {}", row.id), row.text.clone(), "not there".to_owned());
        }
        found
    }

    /// The summing-up.
    #[must_use]
    pub fn summary(&self) -> PlanSummary {
        let count = |wanted: Grade| self.rows.iter().filter(|row| row.grade == wanted).count();
        let changes = self.rows.iter().filter(|row| row.kind == "remediate" && row.calls.is_none());
        let undecided = self.rows.iter().filter(|row| row.kind == "decide" && row.grade != Grade::Exact).map(|row| {
            let mut waits: Vec<String> = row.holes.iter().map(|hole| hole.label.clone()).collect();
            waits.dedup();
            (row.id.clone(), waits)
        });
        let mut reads = BTreeMap::new();
        for row in self.rows.iter().filter(|row| matches!(row.kind.as_str(), "diagnose" | "validate")) {
            let Some(act) = &row.act else { continue };
            let place = act.target.clone().unwrap_or_else(|| "this machine".to_owned());
            // The act that is shown is that of the first of several targets, if it goes there at all.
            let places = if row.targets.first() == Some(&place) { row.targets.clone() } else { vec![place] };
            for place in places {
                *reads.entry(place).or_insert(0) += 1;
            }
        }
        PlanSummary {
            steps: self.rows.len(),
            exact: count(Grade::Exact),
            partial: count(Grade::Partial),
            unknown: count(Grade::Unknown),
            changes: changes.clone().count(),
            gates: changes.filter(|row| row.gate.is_some()).count(),
            undecided: undecided.collect(),
            reads,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rows of a graph, and under each call those of the runbook it calls.
fn fill_rows(rows: &mut Vec<PlanRow>, graph: &StepGraph, prefix: &str, depth: usize, context: &PlanContext<'_>) {
    for id in graph.ids() {
        let mut row = row(graph, id, context);
        row.number = rows.len() + 1;
        row.depth += depth;
        row.id = format!("{prefix}{}", row.id);
        let (prefix, depth) = (format!("{}/", row.id), row.depth + 1);
        let callee = graph.callee(id);
        row.calls = callee.map(|(call, _)| call.name.value.clone());
        rows.push(row);
        let Some((call, callee)) = callee else { continue };
        let Some(called) = context.called.get(&call.name.value) else { continue };
        let scope = in_loops(graph, id, context);
        let inputs = called.planned_inputs(call, (graph.runbook(), callee.runbook()), &scope);
        let values = called_values(callee, inputs, &scope, UnknownSort::NotYet);
        let inner = PlanContext {
            values: &values,
            resolver: &called.resolver,
            called: context.called,
            policy: context.policy,
            environment: context.environment.clone(),
            inputs: Vec::new(),
            now: context.now,
        };
        fill_rows(rows, callee, &prefix, depth, &inner);
    }
}

/// What a step sees before the run: of the loops it stands in, no item is known yet.
fn in_loops(graph: &StepGraph, id: NodeId, context: &PlanContext<'_>) -> StepScope {
    let mut scope = context.values.scope(context.now);
    let up = |holder: &NodeId| graph.node(*holder).item_of;
    let mut loops: Vec<_> = std::iter::successors(graph.node(id).item_of, up).collect();
    loops.reverse();
    for each in loops.into_iter().filter_map(|holder| graph.node(holder).step.each.as_ref()) {
        let first = targets_of(each, &scope, context).into_iter().next();
        scope.extend(items_of(each, first.as_ref()));
    }
    scope
}

/// What an item is before the run: the first of the targets where the list names some, for without one nothing of
/// the act could be shown; else unknown.
fn items_of(each: &crate::runbook::Each, first: Option<&String>) -> [(String, crate::expr::Value); 2] {
    let not_yet = |what: &str| unknown(UnknownSort::NotYet, format!("{what} of the list"));
    let item = first.map_or_else(|| not_yet("an item"), |name| crate::expr::Value::from(name.as_str()));
    [(each.name.value.clone(), item), ("items".to_owned(), not_yet("the items"))]
}

/// The targets that a list names; none when it is not known yet or holds anything else.
fn targets_of(each: &crate::runbook::Each, scope: &StepScope, context: &PlanContext<'_>) -> Vec<String> {
    let Ok(list) = each.list.eval(scope) else { return Vec::new() };
    if crate::expr::unknown_of(&list).is_some() {
        return Vec::new();
    }
    let targets = &context.resolver.runbook().targets;
    let name = |item: crate::expr::Value| item.as_str().filter(|name| targets.contains_key(*name)).map(str::to_owned);
    list.try_iter().ok().and_then(|items| items.map(name).collect()).unwrap_or_default()
}

fn row(graph: &StepGraph, id: NodeId, context: &PlanContext<'_>) -> PlanRow {
    let node = graph.node(id);
    let step = &node.step;
    let mut scope = in_loops(graph, id, context);
    let mut row = PlanRow {
        number: id.0 + 1,
        depth: node.depth,
        kind: step.kind.as_str().to_owned(),
        id: graph.general_path(id),
        calls: None,
        title: plain(&step.title, &scope),
        under: under(graph, id),
        grade: Grade::Exact,
        text: String::new(),
        arms: Vec::new(),
        act: None,
        when: None,
        for_each: None,
        targets: Vec::new(),
        gate: None,
        undo: None,
        verify: None,
        holes: Vec::new(),
        refused: None,
    };
    if let Some(when) = &step.when {
        row.when = Some(condition(when, &scope));
    }
    if let Some(each) = &step.each {
        row.for_each = Some(list(&each.list, &scope, &mut row.holes));
        row.targets = targets_of(each, &scope, context);
        if !row.targets.is_empty() {
            row.for_each = Some(format!("{} (the first is shown)", row.targets.join(", ")));
        }
        let items = each.list.eval(&scope).ok().filter(|items| crate::expr::unknown_of(items).is_none());
        scope.extend(items_of(each, row.targets.first()));
        scope.extend(items.map(|items| ("items".to_owned(), items)));
        row.title = plain(&step.title, &scope);
    }
    match &step.body {
        StepBody::Action(action) => {
            fill_action(&mut row, action, step.target.as_ref(), step.change.is_some(), &scope, context);
        }
        StepBody::Decide(decide) => fill_decide(&mut row, decide, &scope),
        StepBody::Group(steps) => row.text = format!("{} steps", steps.len()),
    }
    if let Some(change) = &step.change
        && graph.callee(id).is_none()
    {
        fill_change(&mut row, node, change, &scope, context);
    }
    row
}

/// The option or failure a step stands under, named at its first step.
fn under(graph: &StepGraph, id: NodeId) -> Option<String> {
    let node = graph.node(id);
    let parent = node.parent?;
    let first = graph.node(parent.id()).children.iter().find(|&&child| graph.node(child).parent == Some(parent));
    if first != Some(&id) {
        return None;
    }
    match (parent, &graph.node(parent.id()).step.body) {
        (Parent::Option(_, place), StepBody::Decide(decide)) => {
            Some(decide.options.keys().nth(place).map_or_else(|| "otherwise".to_owned(), |name| name.value.clone()))
        }
        (Parent::Failure(_), _) => Some(format!("if `{}` fails", graph.node(parent.id()).id)),
        _ => None,
    }
}

fn plain(template: &Template, scope: &dyn Scope) -> String {
    template.render(scope, Place::Plain).map_or_else(|_| template.source_text().to_owned(), |text| text.to_string())
}

fn condition(expr: &crate::expr::Expr, scope: &StepScope) -> String {
    format!("{} ({})", expr.text().trim(), known(&expr.verdict(scope, &mut Vec::new())))
}

/// What is known of a condition, in words.
fn known<E>(verdict: &Result<Verdict, E>) -> &'static str {
    match verdict {
        Ok(Verdict::Holds) => "holds",
        Ok(Verdict::DoesNotHold) => "does not hold",
        Ok(Verdict::CannotTell) => "not known yet",
        Err(_) => "cannot be evaluated",
    }
}

fn list(expr: &crate::expr::Expr, scope: &StepScope, holes: &mut Vec<Line>) -> String {
    let text = expr.text().trim().to_owned();
    match expr.eval(scope) {
        Ok(value) => match crate::expr::unknown_of(&value) {
            Some(unknown) => {
                holes.push(Line { label: text.clone(), text: unknown.reason.clone() });
                format!("each of {text}")
            }
            None => format!("each of {} items of {text}", value.len().unwrap_or(0)),
        },
        Err(error) => format!("each of {text} ({error})"),
    }
}

fn fill_action(
    row: &mut PlanRow,
    action: &Action,
    target: Option<&crate::runbook::TargetRef>,
    change: bool,
    scope: &StepScope,
    context: &PlanContext<'_>,
) {
    match context.resolver.act(action, target, change, scope) {
        Ok(Some(act)) => {
            let view = view(&act);
            row.text.clone_from(&view.text);
            row.grade = grade(&view);
            row.holes.extend(view.holes.iter().cloned());
            row.act = Some(view);
        }
        Ok(None) => row.text = describe(action, scope),
        Err(refusal) => {
            row.grade = Grade::Unknown;
            action.name().clone_into(&mut row.text);
            row.refused = Some(refusal.message);
        }
    }
}

/// Actions that are no acts, in words.
fn describe(action: &Action, scope: &StepScope) -> String {
    match action {
        Action::Ask(ask) => {
            let questions: Vec<_> = ask.questions.values().map(|question| plain(&question.question, scope)).collect();
            format!("ask: {}", questions.join(" / "))
        }
        Action::Manual(text) => format!("by hand: {}", plain(text, scope).lines().next().unwrap_or_default()),
        Action::Set(values) => {
            let values: Vec<_> =
                values.iter().map(|(name, expr)| format!("{} = {}", name.value, expr.text().trim())).collect();
            format!("set {}", values.join(", "))
        }
        Action::Assert(_) => "check values that are already there".to_owned(),
        Action::Wait(spec) => match super::resolve::duration(spec, scope) {
            Ok(Some(duration)) => {
                format!("wait {}", crate::expr::Duration(jiff::SignedDuration::try_from(duration).unwrap_or_default()))
            }
            _ => "wait".to_owned(),
        },
        Action::Escalate(escalation) => format!("escalate: {}", plain(&escalation.text, scope)),
        Action::Runbook(call) => format!("call the runbook {}", call.name.value),
        other => other.name().to_owned(),
    }
}

fn fill_decide(row: &mut PlanRow, decide: &crate::runbook::Decide, scope: &StepScope) {
    let mut open = 0;
    let mut arms = Vec::new();
    let arm = |name: &str, known: &str, when: &str| PlanArm {
        name: name.to_owned(),
        known: known.to_owned(),
        when: when.trim().to_owned(),
    };
    for (name, option) in &decide.options {
        let Some(when) = &option.when else {
            arms.push(arm(&name.value, "a person's choice", ""));
            open += 1;
            continue;
        };
        let mut used = Vec::new();
        let verdict = when.verdict(scope, &mut used);
        if !matches!(verdict, Ok(Verdict::DoesNotHold)) {
            open += 1;
        }
        if matches!(verdict, Ok(Verdict::CannotTell)) {
            row.grade = Grade::Unknown;
            for used in used {
                if let Some(unknown) = crate::expr::unknown_of(&used.value) {
                    let hole = Line { label: used.path.clone(), text: unknown.reason.clone() };
                    if !row.holes.contains(&hole) {
                        row.holes.push(hole);
                    }
                }
            }
        }
        arms.push(arm(&name.value, known(&verdict), when.text()));
    }
    let by = if decide.by == crate::runbook::DecideBy::Person { " by a person" } else { "" };
    row.text = format!("{open} of {} arms open{by}", decide.options.len());
    row.arms = arms;
}

/// How a file is taken back.
const KEPT: &str = "the exact bytes before are kept";

fn fill_change(row: &mut PlanRow, node: &GraphNode, change: &Change, scope: &StepScope, context: &PlanContext<'_>) {
    let name = row.act.as_ref().and_then(|act| act.target.clone()).unwrap_or_else(|| "local".to_owned());
    row.gate = match context.policy.requirement(change, &name, scope) {
        Ok(None) => None,
        Ok(Some(GateRequirement::Confirm)) => Some("confirm".to_owned()),
        Ok(Some(GateRequirement::Type { what, .. })) => Some(format!("type {what}")),
        Err(refusal) => Some(refusal.message),
    };
    let terms = super::policy::gate_terms(change, scope);
    let terms = terms.map_or_else(|refusal| refusal.message, |terms| terms.to_string());
    if let Some(gate) = row.gate.as_mut().filter(|_| !terms.is_empty()) {
        *gate = format!("{gate}; {terms}");
    }
    let own = node.step.action();
    row.undo = Some(match (&change.undo, &change.irreversible, own) {
        (Some(undo), ..) => {
            let acts = undo.works().map(|(probe, changes)| match probe {
                Some(probe) => part(probe, changes, scope, context),
                None => KEPT.to_owned(),
            });
            acts.collect::<Vec<_>>().join("; then ")
        }
        (None, None, _) if change.keep.is_some() => {
            format!("{}{}", crate::event::KEPT, change.keep.as_ref().map(|why| plain(why, scope)).unwrap_or_default())
        }
        (None, Some(why), _) => format!("cannot be undone: {}", plain(why, scope)),
        (None, None, Some(Action::Edit(_) | Action::Write(_))) => KEPT.to_owned(),
        _ => "not said".to_owned(),
    });
    row.undo = row.undo.take().map(|undo| match &change.temporary {
        None => undo,
        Some(Temporary::Run) => format!("by itself when the run ends: {undo}"),
        Some(Temporary::Ends(_)) => format!("ends by itself; {undo}"),
    });
    row.verify = change.verify.as_ref().map(|probe| part(probe, false, scope, context));
}

fn part(probe: &Probe, changes: bool, scope: &StepScope, context: &PlanContext<'_>) -> String {
    let act = match context.resolver.act(&probe.action, probe.target.as_ref(), changes, scope) {
        Ok(Some(act)) => view(&act).in_short(),
        Ok(None) => describe(&probe.action, scope),
        Err(refusal) => refusal.message,
    };
    if probe.expect.is_empty() {
        return act;
    }
    let expects: Vec<_> = probe.expect.iter().map(|expr| expr.text().trim()).collect();
    format!("{act} expects {}", expects.join(" and "))
}
