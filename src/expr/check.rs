//! The checker of expressions: what is wrong before a run.

use super::clash::{Clash, clash, result};
use super::functions::{self, Entry, Gives, Takes, form_word};
use super::kind::{Kind, short};
use super::shape::{Names, Problem, Shape};
use super::syntax::{Call, Comparison, Expr, Form, Node, NodeKind, Operator, Word};
use super::time::{Duration, Time};
use crate::source::{Span, nearest};

impl Expr {
    /// Finds what is wrong before a run: unknown names, fields, functions, filters and tests; type clashes that are
    /// plain to see; a secret used in any way but passed on as it is. Gives the shape of the result too.
    #[must_use]
    pub fn check(&self, names: &dyn Names) -> (Shape, Vec<Problem>) {
        let mut checker = Checker { names, text: self.text(), problems: Vec::new() };
        let shape = checker.node(self.root());
        checker.problems.sort_by_key(|problem| problem.span.start);
        (shape, checker.problems)
    }
}

struct Checker<'a> {
    names: &'a dyn Names,
    text: &'a str,
    problems: Vec<Problem>,
}

const SECRET: &str = "a secret may only be passed on as it is";

impl Checker<'_> {
    fn say(&mut self, code: &'static str, span: Span, message: String, hint: Option<String>) {
        self.problems.push(Problem { code, message, span, hint });
    }

    fn source(&self, node: &Node) -> String {
        short(node.source(self.text), 60)
    }

    fn node(&mut self, node: &Node) -> Shape {
        match &node.kind {
            NodeKind::Literal(value) => match Kind::of(value) {
                Kind::Text => Shape::Text,
                Kind::Number => Shape::Number,
                Kind::Boolean => Shape::Boolean,
                _ => Shape::Any,
            },
            NodeKind::Name(name) => self.name(name, node.span),
            NodeKind::Attribute(of, word) => {
                let shape = self.node(of);
                self.field(&shape, of, &word.text, word.span)
            }
            NodeKind::List(items) => self.list(items),
            NodeKind::Map(entries) => self.map(entries),
            NodeKind::Item(of, at) => self.item(of, at),
            NodeKind::Slice(slice) => {
                for bound in [&slice.start, &slice.stop, &slice.step].into_iter().flatten() {
                    self.open(bound);
                }
                self.open(&slice.subject)
            }
            NodeKind::Not(operand) => self.condition(operand),
            NodeKind::Negative(operand) => {
                let shape = self.open(operand);
                match shape {
                    Shape::Number | Shape::Duration | Shape::Any => shape,
                    other => {
                        let message = format!("cannot negate a {} (`{}`)", other.word(), self.source(operand));
                        self.say("type-clash", node.span, message, None);
                        Shape::Any
                    }
                }
            }
            NodeKind::And(sides) | NodeKind::Or(sides) => {
                self.condition(&sides.0);
                self.condition(&sides.1)
            }
            NodeKind::Arithmetic(operator, sides) => self.arithmetic(node, *operator, sides),
            NodeKind::Compare(first, rest) => self.compare(first, rest),
            NodeKind::If(choice) => {
                self.condition(&choice.condition);
                let (yes, no) = (self.node(&choice.yes), self.node(&choice.no));
                yes.or(no)
            }
            NodeKind::Call(call) => self.call(node, call),
        }
    }

    /// A node whose value is used, not only passed on: it must not be a secret.
    fn open(&mut self, node: &Node) -> Shape {
        let shape = self.node(node);
        if shape != Shape::Secret {
            return shape;
        }
        let source = self.source(node);
        let hint = Some("use it alone, in `env`, `stdin`, a header or a body".to_owned());
        self.say("secret-use", node.span, format!("`{source}` is a secret: {SECRET}"), hint);
        Shape::Any
    }

    fn name(&mut self, name: &str, span: Span) -> Shape {
        if let Some(shape) = self.names.shape(name) {
            return shape;
        }
        if name == "now" {
            return Shape::Time;
        }
        let all = self.names.all();
        let near = nearest(name, all.iter().map(String::as_str).chain(["now"]));
        let function = functions::entry(Form::Function, name);
        let hint = match (near, function) {
            (_, Some(entry)) => Some(format!("`{name}` is a function: write `{}`", entry.doc.signature)),
            (Some(near), None) => Some(format!("did you mean `{near}`?")),
            (None, None) => Some(format!("a text stands in quotes: `'{name}'`")),
        };
        self.say("unknown-name", span, format!("nothing here is named `{name}`"), hint);
        Shape::Any
    }

    fn field(&mut self, shape: &Shape, of: &Node, name: &str, span: Span) -> Shape {
        let source = self.source(of);
        let (message, hint) = match shape {
            Shape::Any | Shape::Map => return Shape::Any,
            Shape::Record(fields) if fields.contains_key(name) => {
                return fields.get(name).cloned().unwrap_or(Shape::Any);
            }
            Shape::Record(fields) => {
                let near = nearest(name, fields.keys().map(String::as_str));
                let known: Vec<_> = fields.keys().take(12).map(|key| format!("`{key}`")).collect();
                let hint = near
                    .map(|near| format!("did you mean `{near}`?"))
                    .or_else(|| (!known.is_empty()).then(|| format!("it has {}", known.join(", "))));
                (format!("`{source}` has no field `{name}`"), hint)
            }
            Shape::Secret => {
                self.say("secret-use", of.span, format!("`{source}` is a secret: {SECRET}"), None);
                return Shape::Any;
            }
            Shape::List(_) => {
                let hint = format!("write `{source}[0].{name}` or `{source} | map(attribute='{name}')`");
                (format!("`{source}` is a list, it has no field `{name}`"), Some(hint))
            }
            other => (format!("`{source}` is a {}, it has no field `{name}`", other.word()), None),
        };
        self.say("unknown-field", span, message, hint);
        Shape::Any
    }

    fn list(&mut self, items: &[Node]) -> Shape {
        let shapes: Vec<_> = items.iter().map(|item| self.open(item)).collect();
        Shape::List(Box::new(shapes.into_iter().reduce(Shape::or).unwrap_or(Shape::Any)))
    }

    fn map(&mut self, entries: &[(Node, Node)]) -> Shape {
        let mut fields = indexmap::IndexMap::new();
        let mut exact = true;
        for (key, value) in entries {
            let shape = self.open(value);
            match &key.kind {
                NodeKind::Literal(name) if Kind::of(name) == Kind::Text => {
                    fields.insert(name.as_str().unwrap_or_default().to_owned(), shape);
                }
                _ => {
                    exact = false;
                    let key_shape = self.open(key);
                    if !matches!(key_shape, Shape::Any | Shape::Text) {
                        let message = format!("a key must be a text, not a {}", key_shape.word());
                        self.say("type-clash", key.span, message, None);
                    }
                }
            }
        }
        if exact { Shape::Record(fields) } else { Shape::Map }
    }

    fn item(&mut self, of: &Node, at: &Node) -> Shape {
        let (subject, key) = (self.open(of), self.open(at));
        let literal = match &at.kind {
            NodeKind::Literal(name) => name.as_str(),
            _ => None,
        };
        match (&subject, &key) {
            (Shape::Record(_), Shape::Text) => match literal {
                Some(name) => self.field(&subject, of, name, at.span),
                None => Shape::Any,
            },
            (Shape::List(item), Shape::Number | Shape::Any) => (**item).clone(),
            (Shape::Text, Shape::Number | Shape::Any) => Shape::Text,
            (Shape::Any | Shape::Map | Shape::Record(_), Shape::Any) | (Shape::Any | Shape::Map, _) => Shape::Any,
            _ => {
                let message = format!("a {} (`{}`) has no item by a {}", subject.word(), self.source(of), key.word());
                self.say("type-clash", at.span, message, None);
                Shape::Any
            }
        }
    }

    fn condition(&mut self, node: &Node) -> Shape {
        let shape = self.open(node);
        if !matches!(shape, Shape::Boolean | Shape::Any) {
            let message = format!("`{}` is a {}, not true or false", self.source(node), shape.word());
            self.say("type-clash", node.span, message, Some("write a comparison".to_owned()));
        }
        Shape::Boolean
    }

    fn arithmetic(&mut self, node: &Node, operator: Operator, sides: &(Node, Node)) -> Shape {
        let (left, right) = (self.open(&sides.0), self.open(&sides.1));
        let known = result(operator, &left, &right);
        known.unwrap_or_else(|| {
            let hint = match operator {
                Operator::Add => Some("to join texts, write `~`".to_owned()),
                Operator::Join => Some("write `x | join(', ')` first".to_owned()),
                _ => None,
            };
            let (a, b) = (self.source(&sides.0), self.source(&sides.1));
            let (left, right) = (left.word(), right.word());
            let message = format!("cannot compute {left} (`{a}`) {} {right} (`{b}`)", operator.sign());
            self.say("type-clash", node.span, message, hint);
            Shape::Any
        })
    }

    fn compare(&mut self, first: &Node, rest: &[(Comparison, Node)]) -> Shape {
        // `secret == none` asks only whether it was given.
        let none = |node: &Node| matches!(&node.kind, NodeKind::Literal(value) if value.is_none());
        let asks = rest.iter().any(|(_, node)| none(node)) || none(first);
        let mut side = |node| if asks { self.node(node) } else { self.open(node) };
        let mut shapes = vec![side(first)];
        for (_, node) in rest {
            shapes.push(side(node));
        }
        let nodes: Vec<&Node> = std::iter::once(first).chain(rest.iter().map(|(_, node)| node)).collect();
        for (at, (comparison, right)) in rest.iter().enumerate() {
            let (Some(left), Some(a), Some(b)) = (nodes.get(at), shapes.get(at), shapes.get(at + 1)) else { continue };
            if !asks && let Some(Clash { hint }) = clash(*comparison, a, b) {
                let (left, right_text) = (self.source(left), self.source(right));
                let message = format!("cannot compare {} (`{left}`) with {} (`{right_text}`)", a.word(), b.word());
                self.say("type-clash", right.span, message, hint);
            }
        }
        Shape::Boolean
    }

    fn call(&mut self, node: &Node, call: &Call) -> Shape {
        let Some(entry) = functions::entry(call.form, &call.name.text) else {
            self.unknown_call(call);
            for argument in call.positional.iter().chain(call.named.iter().map(|(_, argument)| argument)) {
                self.node(argument);
            }
            return Shape::Any;
        };
        let passes = matches!(entry.doc.name, "default" | "d" | "defined" | "undefined" | "unknown")
            || (entry.doc.is_test && entry.doc.name == "none");
        let mut shapes = Vec::new();
        for argument in &call.positional {
            shapes.push(if passes { self.node(argument) } else { self.open(argument) });
        }
        for (_, argument) in &call.named {
            self.open(argument);
        }
        self.arity(node, call, entry);
        self.subject(call, entry, shapes.first());
        self.literals(call);
        given(call, entry, shapes)
    }

    fn unknown_call(&mut self, call: &Call) {
        let Word { text: name, span } = &call.name;
        let code = match call.form {
            Form::Function => "unknown-function",
            Form::Filter => "unknown-filter",
            Form::Test => "unknown-test",
        };
        let other = if call.form == Form::Test { Form::Filter } else { Form::Test };
        let hint = match (nearest(name, functions::names(call.form)), functions::entry(other, name)) {
            (_, Some(entry)) => Some(format!("`{name}` is a {}: write `{}`", form_word(other), entry.doc.signature)),
            (Some(near), None) => Some(format!("did you mean `{near}`?")),
            (None, None) => None,
        };
        self.say(code, *span, format!("there is no {} named `{name}`", form_word(call.form)), hint);
    }

    fn arity(&mut self, node: &Node, call: &Call, entry: &Entry) {
        let count = call.positional.len();
        let strange =
            call.named.iter().find(|(name, _)| !entry.named.contains(&"*") && !entry.named.contains(&&**name));
        let hint = Some(format!("write `{}`", entry.doc.signature));
        if count < entry.arity.0 || count > entry.arity.1 {
            let message = format!("`{}` takes another number of arguments", call.name.text);
            self.say("bad-argument", node.span, message, hint);
        } else if let Some((name, argument)) = strange {
            let message = format!("`{}` has no argument named `{name}`", call.name.text);
            self.say("bad-argument", argument.span, message, hint);
        }
    }

    /// Whether the first argument is of a kind that the function takes.
    fn subject(&mut self, call: &Call, entry: &Entry, shape: Option<&Shape>) {
        let (Some(shape), Some(node)) = (shape, call.positional.first()) else { return };
        let fits = match entry.takes {
            Takes::Anything => true,
            Takes::Text => matches!(shape, Shape::Text),
            Takes::Number => matches!(shape, Shape::Number),
            Takes::List => matches!(shape, Shape::List(_)),
            Takes::Map => matches!(shape, Shape::Map | Shape::Record(_)),
            Takes::Several => matches!(shape, Shape::List(_) | Shape::Map | Shape::Record(_) | Shape::Text),
        };
        if let (false, false, Some(wanted)) = (fits, shape.is_any(), functions::wanted(entry.takes)) {
            let (name, source) = (&call.name.text, self.source(node));
            let message = format!("`{name}` needs a {wanted}, not a {} (`{source}`)", shape.word());
            self.say("type-clash", node.span, message, None);
        }
    }

    /// Programs, patterns and the like that stand as literals are read now.
    fn literals(&mut self, call: &Call) {
        let literal = |at: usize| call.positional.get(at).and_then(literal_text);
        let names = || call.named.iter().map(|(name, _)| &**name);
        let (at, problem) = match (call.form, &*call.name.text) {
            (Form::Function | Form::Filter, "jq" | "jq_all") => {
                (1, literal(1).and_then(|program| functions::jq_problem(program, names())))
            }
            (Form::Function | Form::Filter, "matches") | (Form::Test, "matching") => {
                (1, literal(1).and_then(|pattern| functions::regex(pattern).err()))
            }
            (Form::Function | Form::Filter, "duration" | "seconds") => (
                0,
                literal(0)
                    .filter(|text| Duration::parse(text).is_none())
                    .map(|text| format!("{:?} is not a duration such as `1h30m`", short(text, 40))),
            ),
            (Form::Function | Form::Filter, "time" | "age") => (
                0,
                literal(0)
                    .filter(|text| Time::parse(text).is_none())
                    .map(|text| format!("{:?} is not an RFC 3339 time", short(text, 40))),
            ),
            (Form::Function | Form::Filter, "map") => (1, literal(1).and_then(|name| missing(Form::Filter, name))),
            (Form::Function | Form::Filter, "select" | "reject") => {
                (1, literal(1).and_then(|name| missing(Form::Test, name)))
            }
            (Form::Function | Form::Filter, "selectattr" | "rejectattr") => {
                (2, literal(2).and_then(|name| missing(Form::Test, name)))
            }
            _ => return,
        };
        if let (Some(message), Some(node)) = (problem, call.positional.get(at)) {
            self.say("bad-argument", node.span, message, None);
        }
    }
}

/// The shape of what a call gives.
fn given(call: &Call, entry: &Entry, shapes: Vec<Shape>) -> Shape {
    let count = shapes.len();
    let mut shapes = shapes.into_iter();
    let first = shapes.next().unwrap_or(Shape::Any);
    match entry.doc.name {
        "default" | "d" if !entry.doc.is_test => return first.or(shapes.next().unwrap_or(Shape::Any)),
        "jq" => {
            let program = call.positional.get(1).and_then(literal_text);
            let names = call.named.iter().map(|(name, _)| &**name);
            let lists = program.is_some_and(|program| functions::jq_gives_list(program, names));
            return if lists { Shape::list() } else { Shape::Any };
        }
        "last" if count == 1 => return item_of(first),
        _ => {}
    }
    match entry.gives {
        Gives::Anything => Shape::Any,
        Gives::Text => Shape::Text,
        Gives::Number => Shape::Number,
        Gives::Boolean => Shape::Boolean,
        Gives::Duration => Shape::Duration,
        Gives::Time => Shape::Time,
        Gives::List => Shape::list(),
        Gives::Map => Shape::Map,
        Gives::Same => first,
        Gives::Item => item_of(first),
    }
}

fn item_of(shape: Shape) -> Shape {
    match shape {
        Shape::List(item) => *item,
        Shape::Text => Shape::Text,
        _ => Shape::Any,
    }
}

fn literal_text(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Literal(value) if Kind::of(value) == Kind::Text => value.as_str(),
        _ => None,
    }
}

fn missing(form: Form, name: &str) -> Option<String> {
    if functions::entry(form, name).is_some() {
        return None;
    }
    let near = nearest(name, functions::names(form)).map(|near| format!(", did you mean `{near}`?"));
    Some(format!("there is no {} named `{name}`{}", form_word(form), near.unwrap_or_default()))
}
