//! Evaluation with three values.

#![expect(clippy::disallowed_methods, reason = "a deadline of an evaluation, which is no part of its value")]

use super::functions::{self, Arguments};
use super::kind::{Kind, described};
use super::operate::{self, Side, spread, unobtained};
use super::syntax::{Call, Choice, Expr, Form, Node, NodeKind, Slice, Word};
use super::time::Time;
use super::value::{UnknownSort, Value, unknown_of};
use crate::source::Span;
use std::time::{Duration, Instant};

/// Where an expression's names come from.
pub trait Scope {
    /// The value of a root name, or nothing when there is no such name (an error: names are checked before a run).
    fn lookup(&self, name: &str) -> Option<Value>;

    /// The present moment, fixed for one step.
    fn now(&self) -> jiff::Timestamp;

    /// The value captured by the latest run that performed it: `last(runbook, name)`.
    fn last(&self, runbook: &str, name: &str) -> Value {
        super::value::unknown(UnknownSort::Unobtained, format!("no earlier run of `{runbook}` has `{name}`"))
    }
}

/// Three-valued truth of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is so.
    Holds,
    /// It is not so.
    DoesNotHold,
    /// It could not be told.
    CannotTell,
}

/// A value that an evaluation used: what was read, and what it was.
#[derive(Clone, Debug)]
pub struct Used {
    /// The reference as text: `queue.pending`.
    pub path: String,
    /// What it was.
    pub value: Value,
}

/// An expression that cannot be evaluated at all (a text compared with a number, a filter given the wrong kind).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// What is wrong, naming both sides where there are two.
    pub message: String,
    /// Where, in the file.
    pub span: Span,
}

impl Expr {
    /// Evaluates; an unknown result is a value, not an error.
    ///
    /// # Errors
    /// A clash of types, or a function that refuses its arguments.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        self.eval_used(scope, &mut Vec::new())
    }

    /// Evaluates and notes each reference that was really read, once, in order.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn eval_used(&self, scope: &dyn Scope, used: &mut Vec<Used>) -> Result<Value, EvalError> {
        let deadline = Instant::now() + DEADLINE;
        Evaluation { scope, used, deadline, text: self.text() }.node(self.root())
    }

    /// Evaluates as a condition. Only `true` and `false` are conditions; anything else that is known is an error that
    /// says so. The unknown cannot tell.
    ///
    /// # Errors
    /// As [`Expr::eval`], and for a value that is not a boolean.
    pub fn verdict(&self, scope: &dyn Scope, used: &mut Vec<Used>) -> Result<Verdict, EvalError> {
        let value = self.eval_used(scope, used)?;
        match Kind::of(&value) {
            Kind::Unknown => Ok(Verdict::CannotTell),
            Kind::Boolean if value.is_true() => Ok(Verdict::Holds),
            Kind::Boolean => Ok(Verdict::DoesNotHold),
            _ => Err(EvalError { message: not_boolean(&value, self.text()), span: self.span() }),
        }
    }
}

fn not_boolean(value: &Value, source: &str) -> String {
    format!("`{source}` is {}, not true or false: write a comparison", described(value))
}

/// How long an expression may take (`rulings.md` 21).
const DEADLINE: Duration = Duration::from_secs(5);

struct Evaluation<'a> {
    scope: &'a dyn Scope,
    deadline: Instant,
    used: &'a mut Vec<Used>,
    text: &'a str,
}

type Evaluated = Result<Value, EvalError>;

impl<'a> Evaluation<'a> {
    fn node(&mut self, node: &Node) -> Evaluated {
        match &node.kind {
            NodeKind::Literal(value) => Ok(value.clone()),
            NodeKind::Name(_) => self.reference(node),
            NodeKind::Attribute(..) if node.path().is_some() => self.reference(node),
            NodeKind::Attribute(of, word) => {
                let subject = self.node(of)?;
                self.attribute(&subject, of, word)
            }
            NodeKind::List(items) => self.list(items),
            NodeKind::Map(entries) => self.map(entries),
            NodeKind::Item(of, at) => self.item(of, at),
            NodeKind::Slice(slice) => self.slice(slice),
            NodeKind::Not(operand) => {
                let value = self.condition(operand)?;
                Ok(if unknown_of(&value).is_some() { value } else { Value::from(!value.is_true()) })
            }
            NodeKind::Negative(operand) => {
                let value = self.node(operand)?;
                let side = self.side(operand, &value);
                check(node, operate::negative(side, self.source(node)))
            }
            NodeKind::And(sides) => self.logic(sides, false),
            NodeKind::Or(sides) => self.logic(sides, true),
            NodeKind::Arithmetic(operator, sides) => {
                let (left, right) = (self.node(&sides.0)?, self.node(&sides.1)?);
                let (a, b) = (self.side(&sides.0, &left), self.side(&sides.1, &right));
                check(node, operate::compute(*operator, a, b, self.source(node)))
            }
            NodeKind::Compare(first, rest) => self.compare(node, first, rest),
            NodeKind::If(choice) => self.choice(choice),
            NodeKind::Call(call) => self.call(node, call),
        }
    }

    fn source(&self, node: &Node) -> &'a str {
        node.source(self.text)
    }

    fn side<'v>(&self, node: &Node, value: &'v Value) -> Side<'v>
    where
        'a: 'v,
    {
        Side { value, source: self.source(node), literal: matches!(node.kind, NodeKind::Literal(_)) }
    }

    /// A name and the attributes after it; the whole of it is what was read.
    fn reference(&mut self, node: &Node) -> Evaluated {
        let value = self.follow(node)?;
        let path = node.path().unwrap_or_default().join(".");
        if !self.used.iter().any(|used| used.path == path) {
            self.used.push(Used { path, value: value.clone() });
        }
        Ok(value)
    }

    fn follow(&self, node: &Node) -> Evaluated {
        match &node.kind {
            NodeKind::Attribute(of, word) => {
                let subject = self.follow(of)?;
                self.attribute(&subject, of, word)
            }
            NodeKind::Name(name) if &**name == "now" => Ok(Time(self.scope.now()).into()),
            NodeKind::Name(name) => match self.scope.lookup(name) {
                Some(value) if value.is_undefined() => Ok(unobtained(format!("`{name}` is not there"))),
                Some(value) => Ok(value),
                None => fail(node, format!("there is no value named `{name}`")),
            },
            _ => fail(node, "this is not a name"),
        }
    }

    fn attribute(&self, subject: &Value, of: &Node, word: &Word) -> Evaluated {
        let name = &*word.text;
        match Kind::of(subject) {
            Kind::Unknown => Ok(subject.clone()),
            Kind::Secret => fail(of, "a secret may only be passed on as it is"),
            Kind::Map => {
                let found = subject.get_attr(name).unwrap_or(Value::UNDEFINED);
                Ok(if found.is_undefined() {
                    unobtained(format!("`{}` has no field `{name}`", self.source(of)))
                } else {
                    found
                })
            }
            Kind::None => Ok(unobtained(format!("`{}` is none, it has no field `{name}`", self.source(of)))),
            kind => {
                let (source, word) = (self.source(of), kind.word());
                Ok(unobtained(format!("`{source}` is a {word}, it has no field `{name}`")))
            }
        }
    }

    fn list(&mut self, items: &[Node]) -> Evaluated {
        let items = items.iter().map(|item| self.part(item)).collect::<Result<Vec<_>, _>>()?;
        Ok(Value::from(items))
    }

    fn map(&mut self, entries: &[(Node, Node)]) -> Evaluated {
        let mut pairs = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = self.node(key)?;
            match Kind::of(&name) {
                Kind::Text => pairs.push((name, self.part(value)?)),
                Kind::Unknown => return Ok(name),
                _ => return fail(key, format!("a key must be a text, not {}", described(&name))),
            }
        }
        Ok(Value::from_pairs(pairs))
    }

    /// A part of a list or map: a secret would lose its guard there.
    fn part(&mut self, node: &Node) -> Evaluated {
        let value = self.node(node)?;
        match Kind::of(&value) {
            Kind::Secret => fail(node, "a secret may only be passed on as it is, not inside a list or map"),
            _ => Ok(value),
        }
    }

    fn item(&mut self, of: &Node, at: &Node) -> Evaluated {
        let (subject, key) = (self.node(of)?, self.node(at)?);
        if let Some(unknown) = spread(&subject, &key) {
            return Ok(unknown);
        }
        let source = self.source(of);
        match (Kind::of(&subject), Kind::of(&key)) {
            (Kind::Secret, _) => fail(of, "a secret may only be passed on as it is"),
            (Kind::Map, Kind::Text) => {
                let found = subject.get_item(&key).unwrap_or(Value::UNDEFINED);
                let name = key.as_str().unwrap_or_default();
                Ok(if found.is_undefined() { unobtained(format!("`{source}` has no field `{name}`")) } else { found })
            }
            (Kind::List | Kind::Text, Kind::Number) if key.is_integer() => Ok(indexed(&subject, &key, source)),
            (Kind::None, _) => Ok(unobtained(format!("`{source}` is none"))),
            (Kind::Map | Kind::List | Kind::Text, _) => {
                fail(at, format!("`{source}` is {}: it has no item {}", described(&subject), described(&key)))
            }
            (kind, _) => Ok(unobtained(format!("`{source}` is a {}, it has no items", kind.word()))),
        }
    }

    fn slice(&mut self, slice: &Slice) -> Evaluated {
        let subject = self.node(&slice.subject)?;
        let mut bounds = [None, None, None];
        let mut missing = unknown_of(&subject).map(|_| subject.clone());
        for (bound, node) in bounds.iter_mut().zip([&slice.start, &slice.stop, &slice.step]) {
            let Some(node) = node else { continue };
            let value = self.node(node)?;
            match Kind::of(&value) {
                Kind::Unknown => missing = spread(missing.as_ref().unwrap_or(&value), &value),
                Kind::None => {}
                Kind::Number if value.is_integer() => *bound = value.as_i64(),
                _ => return fail(node, format!("a slice needs whole numbers, not {}", described(&value))),
            }
        }
        match (missing, Kind::of(&subject)) {
            (Some(unknown), _) => Ok(unknown),
            (None, Kind::List | Kind::Text) => check(&slice.subject, sliced(&subject, bounds)),
            (None, Kind::None) => Ok(unobtained(format!("`{}` is none", self.source(&slice.subject)))),
            _ => fail(&slice.subject, format!("only lists and texts have slices, not {}", described(&subject))),
        }
    }

    /// A side of `and`, `or`, `not` and `if`: a boolean or unknown.
    fn condition(&mut self, node: &Node) -> Evaluated {
        let value = self.node(node)?;
        match Kind::of(&value) {
            Kind::Boolean | Kind::Unknown => Ok(value),
            _ => fail(node, not_boolean(&value, self.source(node))),
        }
    }

    /// `and` and `or` after Kleene; the right side is left alone when the left one decides.
    fn logic(&mut self, sides: &(Node, Node), decides: bool) -> Evaluated {
        let left = self.condition(&sides.0)?;
        let settles = |value: &Value| unknown_of(value).is_none() && value.is_true() == decides;
        if settles(&left) {
            return Ok(left);
        }
        let right = self.condition(&sides.1)?;
        if settles(&right) {
            return Ok(right);
        }
        Ok(spread(&left, &right).unwrap_or_else(|| Value::from(!decides)))
    }

    fn compare(&mut self, node: &Node, first: &Node, rest: &[(super::syntax::Comparison, Node)]) -> Evaluated {
        let mut result = Value::from(true);
        let (mut left_node, mut left) = (first, self.node(first)?);
        for (comparison, right_node) in rest {
            let right = self.node(right_node)?;
            let outcome = operate::compare(*comparison, self.side(left_node, &left), self.side(right_node, &right));
            let holds = check(node, outcome)?;
            if unknown_of(&holds).is_some() {
                result = spread(&result, &holds).unwrap_or(holds);
            } else if !holds.is_true() {
                return Ok(holds);
            }
            (left_node, left) = (right_node, right);
        }
        Ok(result)
    }

    fn choice(&mut self, choice: &Choice) -> Evaluated {
        let condition = self.condition(&choice.condition)?;
        if unknown_of(&condition).is_some() {
            Ok(condition)
        } else if condition.is_true() {
            self.node(&choice.yes)
        } else {
            self.node(&choice.no)
        }
    }

    fn call(&mut self, node: &Node, call: &Call) -> Evaluated {
        match (call.form, &*call.name.text) {
            (Form::Test, "defined") => self.known(call, true),
            (Form::Test, "undefined" | "unknown") => self.known(call, false),
            (Form::Filter | Form::Function, "default" | "d") => self.default(node, call),
            (form, name) => {
                let mut arguments = Arguments::new(self.scope, self.deadline, self.source(node));
                for argument in &call.positional {
                    let value = self.node(argument)?;
                    arguments.push(value, self.source(argument));
                }
                for (key, argument) in &call.named {
                    let value = self.node(argument)?;
                    arguments.name(key, value);
                }
                let outcome = functions::call(form, name, arguments);
                outcome.map_err(|message| EvalError { message, span: call.name.span })
            }
        }
    }

    /// `is defined` and `is unknown`: what may still come cannot be told.
    fn known(&mut self, call: &Call, wanted: bool) -> Evaluated {
        let Some(subject) = call.positional.first() else { return Ok(Value::from(false)) };
        let value = self.node(subject)?;
        Ok(match unknown_of(&value) {
            Some(unknown) if unknown.sort == UnknownSort::NotYet => value,
            Some(_) => Value::from(!wanted),
            None => Value::from(wanted),
        })
    }

    fn default(&mut self, node: &Node, call: &Call) -> Evaluated {
        let [subject, other] = call.positional.as_slice() else {
            return fail(node, "`default` needs the value to use instead: `x | default(0)`");
        };
        if !call.named.is_empty() {
            return fail(node, "`default` takes only the value to use instead");
        }
        let value = self.node(subject)?;
        match unknown_of(&value) {
            Some(unknown) if unknown.sort == UnknownSort::Unobtained => self.node(other),
            _ => Ok(value),
        }
    }
}

fn check(node: &Node, outcome: Result<Value, String>) -> Evaluated {
    outcome.map_err(|message| EvalError { message, span: node.span })
}

fn fail<T>(node: &Node, message: impl Into<String>) -> Result<T, EvalError> {
    Err(EvalError { message: message.into(), span: node.span })
}

/// An item of a list or a character of a text, counted from the end when negative.
fn indexed(subject: &Value, key: &Value, source: &str) -> Value {
    let length = subject.len().unwrap_or(0);
    let index = key.as_i64().and_then(|index| {
        let from_end = || length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
        if index < 0 { from_end() } else { usize::try_from(index).ok() }
    });
    if length == 0 {
        return unobtained(format!("`{source}` is empty"));
    }
    index
        .filter(|&index| index < length)
        .and_then(|index| match subject.get_item_by_index(index) {
            Ok(item) if !item.is_undefined() => Some(item),
            _ => subject.try_iter().ok()?.nth(index),
        })
        .unwrap_or_else(|| unobtained(format!("`{source}` has no item {key}, only {length}")))
}

fn sliced(subject: &Value, [from, upto, stride]: [Option<i64>; 3]) -> Result<Value, String> {
    let stride = stride.unwrap_or(1);
    if stride == 0 {
        return Err("the step of a slice cannot be zero".to_owned());
    }
    let items: Vec<Value> = subject.try_iter().map_err(|error| error.to_string())?.collect();
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let absolute = |bound: i64| if bound < 0 { bound.saturating_add(length) } else { bound };
    let (low, high) = if stride > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: Option<i64>, other: i64| bound.map_or(other, |bound| absolute(bound).clamp(low, high));
    let (mut at, end) =
        if stride > 0 { (clamp(from, 0), clamp(upto, length)) } else { (clamp(from, high), clamp(upto, low)) };
    let mut taken = Vec::new();
    while if stride > 0 { at < end } else { at > end } {
        if let Some(item) = usize::try_from(at).ok().and_then(|at| items.get(at)) {
            taken.push(item.clone());
        }
        at = at.saturating_add(stride);
    }
    if Kind::of(subject) == Kind::Text {
        return Ok(Value::from(taken.iter().filter_map(Value::as_str).collect::<String>()));
    }
    Ok(Value::from(taken))
}
