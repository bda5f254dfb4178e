//! What is known of names before a run: result fields of actions, captures, inputs.

use super::check::{Callee, CheckContext};
use super::node::GraphNode;
use crate::expr::{Names, Shape};
use crate::runbook::{Action, Ask, Input, InputType, KubectlAction, Probe, Step, StepBody};
use indexmap::IndexMap;

/// Result fields by name.
pub(super) type Fields = IndexMap<String, Shape>;

fn fields(list: &[(&str, Shape)]) -> Fields {
    list.iter().map(|(name, shape)| ((*name).to_owned(), shape.clone())).collect()
}

/// The shape of an answer or input of a type.
pub(super) fn type_shape(kind: InputType, of: Option<InputType>) -> Shape {
    match kind {
        InputType::Integer | InputType::Number => Shape::Number,
        InputType::Boolean => Shape::Boolean,
        InputType::Duration => Shape::Duration,
        InputType::List => Shape::List(Box::new(type_shape(of.unwrap_or(InputType::String), None))),
        InputType::String | InputType::Url | InputType::Path | InputType::Choice => Shape::Text,
    }
}

/// The shape of an input.
pub(super) fn input_shape(input: &Input) -> Shape {
    if input.is_secret() { Shape::Secret } else { type_shape(input.kind, input.of) }
}

/// The documented result fields of an action.
#[must_use]
pub fn step_shape(action: &Action) -> Fields {
    match action {
        Action::Run(_) | Action::Shell(_) => fields(&[
            ("exit", Shape::Number),
            ("stdout", Shape::Text),
            ("stderr", Shape::Text),
            ("lines", Shape::List(Box::new(Shape::Text))),
            ("json", Shape::Any),
            ("elapsed", Shape::Number),
        ]),
        Action::Http(http) => http_shape(http.pages.is_some()),
        Action::Edit(_) | Action::Write(_) => fields(&[
            ("changed", Shape::Boolean),
            ("created", Shape::Boolean),
            ("file", Shape::Text),
            ("diff", Shape::Text),
            ("before_sha256", Shape::Text),
            ("after_sha256", Shape::Text),
        ]),
        Action::Ask(ask) => ask_shape(ask),
        Action::Manual(_) => fields(&[("evidence", Shape::Text), ("by", Shape::Text), ("at", Shape::Time)]),
        Action::Set(values) => values.keys().map(|name| (name.value.clone(), Shape::Any)).collect(),
        Action::Assert(_) | Action::Wait(_) | Action::Escalate(_) => Fields::new(),
        other => mechanism_shape(other),
    }
}

/// The result fields of actions on databases, clusters, services and logs.
fn mechanism_shape(action: &Action) -> Fields {
    let texts = || Shape::List(Box::new(Shape::Text));
    let maps = || Shape::List(Box::new(Shape::Map));
    match action {
        Action::Sql(_) => fields(&[
            ("rows", maps()),
            ("count", Shape::Number),
            ("first", Shape::Map),
            ("columns", texts()),
            ("affected", Shape::Number),
            ("elapsed", Shape::Number),
        ]),
        Action::Alert(_) => fields(&[
            ("value", Shape::Any),
            ("firing", maps()),
            ("count", Shape::Number),
            ("warnings", texts()),
            ("infos", texts()),
            ("elapsed", Shape::Number),
        ]),
        Action::Prometheus(_) => fields(&[
            ("value", Shape::Any),
            ("series", maps()),
            ("count", Shape::Number),
            ("empty", Shape::Boolean),
            ("nan", Shape::Boolean),
            ("warnings", texts()),
            ("infos", texts()),
            ("elapsed", Shape::Number),
        ]),
        Action::Kubectl(kubectl) => kubectl_shape(kubectl),
        Action::Log(_) => fields(&[
            ("lines", texts()),
            ("count", Shape::Number),
            ("first", Shape::Text),
            ("last", Shape::Text),
            ("scanned", Shape::Number),
            ("elapsed", Shape::Number),
        ]),
        Action::Service(_) => fields(&[
            ("state", Shape::Text),
            ("sub", Shape::Text),
            ("since", Shape::Any),
            ("running", Shape::Boolean),
            ("before", Shape::Text),
            ("elapsed", Shape::Number),
        ]),
        Action::Interactive(_) => {
            fields(&[("exit", Shape::Number), ("account", Shape::Text), ("by", Shape::Text), ("at", Shape::Time)])
        }
        Action::Runbook(_) => fields(&[("result", Shape::Text)]),
        _ => Fields::new(),
    }
}

/// What some verbs say beside their text.
fn kubectl_shape(kubectl: &KubectlAction) -> Fields {
    let mut found = fields(&[
        ("exit", Shape::Number),
        ("stdout", Shape::Text),
        ("stderr", Shape::Text),
        ("lines", Shape::List(Box::new(Shape::Text))),
        ("json", Shape::Any),
        ("elapsed", Shape::Number),
    ]);
    match kubectl.call().verb().as_str() {
        "auth can-i" => found.insert("allowed".to_owned(), Shape::Boolean),
        "diff" => {
            found.insert("diff".to_owned(), Shape::Text);
            found.insert("differs".to_owned(), Shape::Boolean)
        }
        "create job" => found.insert("name".to_owned(), Shape::Text),
        _ => None,
    };
    found
}

fn http_shape(has_pages: bool) -> Fields {
    let mut found = fields(&[
        ("status", Shape::Number),
        ("headers", Shape::Map),
        ("body", Shape::Any),
        ("text", Shape::Text),
        ("elapsed", Shape::Number),
        ("address", Shape::Text),
        ("retry_after", Shape::Duration),
    ]);
    if has_pages {
        let items = Shape::List(Box::new(Shape::Any));
        found.extend(fields(&[("items", items), ("count", Shape::Number), ("pages", Shape::Number)]));
    }
    found
}

fn ask_shape(ask: &Ask) -> Fields {
    let mut found = fields(&[("by", Shape::Text), ("at", Shape::Time)]);
    for (name, question) in &ask.questions {
        let kind = question.kind.unwrap_or(InputType::String);
        let shape = if question.is_secret() { Shape::Secret } else { type_shape(kind, None) };
        found.insert(name.value.clone(), shape);
    }
    found
}

/// The fields that every step has.
fn common() -> Fields {
    fields(&[
        ("outcome", Shape::Text),
        ("verdict", Shape::Any),
        ("error", Shape::Any),
        ("attempts", Shape::Number),
        ("started", Shape::Time),
        ("ended", Shape::Time),
    ])
}

/// Everything that may follow `<id>.` from outside the step; captures are of any shape until they are checked.
pub(super) fn outside_shape(node: &GraphNode, context: &CheckContext) -> Fields {
    let step = &node.step;
    let mut found = common();
    match &step.body {
        StepBody::Group(_) | StepBody::Action(_) if step.each.is_some() => found.extend(loop_fields()),
        StepBody::Group(_) => {}
        StepBody::Decide(decide) => {
            found.insert("chosen".into(), if decide.all { Shape::List(Box::new(Shape::Text)) } else { Shape::Text });
            found.insert("by".into(), Shape::Text);
            for option in decide.options.values().chain(&decide.otherwise) {
                found.extend(option.set.keys().map(|name| (name.value.clone(), Shape::Any)));
            }
        }
        StepBody::Action(action) => {
            found.extend(step_shape(action));
            found.extend(hold_fields(step));
            found.extend(outputs(action, context));
            found.extend(
                step.capture
                    .iter()
                    .map(|(name, rule)| (name.value.clone(), if rule.secret { Shape::Secret } else { Shape::Any })),
            );
        }
    }
    found
}

/// What a stretch of samples gives beside the result of the last one.
pub(super) fn hold_fields(step: &Step) -> Fields {
    if step.hold.is_none() {
        return Fields::new();
    }
    let sample =
        fields(&[("at", Shape::Time), ("outcome", Shape::Text), ("verdict", Shape::Any), ("captures", Shape::Map)]);
    fields(&[("samples", Shape::List(Box::new(Shape::Record(sample)))), ("held", Shape::Duration)])
}

/// What a loop shows of its items.
fn loop_fields() -> Fields {
    let item =
        fields(&[("item", Shape::Any), ("outcome", Shape::Text), ("error", Shape::Any), ("captures", Shape::Map)]);
    fields(&[("results", Shape::List(Box::new(Shape::Record(item)))), ("items", Shape::List(Box::new(Shape::Any)))])
}

/// The names an action's own result gives, before its captures.
pub(super) fn own_fields(step: &Step, context: &CheckContext) -> Fields {
    let Some(action) = step.action() else { return Fields::new() };
    let mut found = step_shape(action);
    found.extend(outputs(action, context));
    found
}

/// What a called runbook gives back.
fn outputs(action: &Action, context: &CheckContext) -> Fields {
    let Action::Runbook(call) = action else { return Fields::new() };
    let Some(Callee::Checked(callee)) = context.callees.get(&call.name.value) else { return Fields::new() };
    callee.runbook().outputs.keys().map(|name| (name.value.clone(), Shape::Any)).collect()
}

/// The same for `verify` and its like.
pub(super) fn probe_fields(probe: &Probe) -> Fields {
    step_shape(&probe.action)
}

/// Names that are there for every expression of a runbook.
pub(super) fn roots(inputs: &IndexMap<crate::source::Sp<String>, Input>) -> Fields {
    let mut found: Fields = inputs.iter().map(|(name, input)| (name.value.clone(), input_shape(input))).collect();
    found.insert("env".into(), Shape::Map);
    let run = fields(&[
        ("id", Shape::Text),
        ("started", Shape::Time),
        ("operator", Shape::Text),
        ("environment", Shape::Any),
    ]);
    found.insert("run".into(), Shape::Record(run));
    found.insert("now".into(), Shape::Time);
    found.insert("targets".into(), Shape::Map);
    found
}

/// Names in layers: what is nearer hides what is farther.
pub(super) struct Layers<'a> {
    pub(super) own: Fields,
    pub(super) steps: &'a IndexMap<String, Shape>,
    pub(super) roots: &'a Fields,
    /// The step itself: its id is known only to its `verify`, `undo` and `on_failure`.
    pub(super) hidden: Option<&'a str>,
}

impl Names for Layers<'_> {
    fn shape(&self, name: &str) -> Option<Shape> {
        if let Some(shape) = self.own.get(name) {
            return Some(shape.clone());
        }
        if self.hidden == Some(name) {
            return None;
        }
        self.steps.get(name).or_else(|| self.roots.get(name)).cloned()
    }

    fn all(&self) -> Vec<String> {
        let steps = self.steps.keys().filter(|name| self.hidden != Some(name.as_str()));
        self.own.keys().chain(steps).chain(self.roots.keys()).cloned().collect()
    }
}
