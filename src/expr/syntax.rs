//! Parsed expressions: our own tree, made from minijinja's, in which every node knows its place in the file.

use super::parse;
use super::value::Value;
use crate::source::Span;
use std::ops::Range;
use std::sync::Arc;

/// A parsed expression. Clones share one tree.
#[derive(Clone, Debug)]
pub struct Expr {
    text: Arc<str>,
    span: Span,
    root: Arc<Node>,
}

/// A name an expression mentions, with the attributes after it: `queue.pending` gives `["queue", "pending"]`.
/// Stops at the first call, filter or computed index; names bound inside the expression are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// The name and the attributes after it.
    pub path: Vec<String>,
    /// Where the whole reference stands in the file.
    pub span: Span,
}

/// Why a text is not an expression.
#[derive(Clone, Debug)]
pub struct ParseError {
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Where, in the file.
    pub span: Span,
    /// How to mend it.
    pub hint: Option<String>,
}

/// One node of the tree.
#[derive(Debug)]
pub(super) struct Node {
    /// Its place in the file.
    pub(super) span: Span,
    /// Its place in the text of the expression, in bytes.
    pub(super) within: (u32, u32),
    pub(super) kind: NodeKind,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum NodeKind {
    Name(Box<str>),
    Literal(Value),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Attribute(Box<Node>, Word),
    Item(Box<Node>, Box<Node>),
    Slice(Box<Slice>),
    Not(Box<Node>),
    Negative(Box<Node>),
    And(Box<(Node, Node)>),
    Or(Box<(Node, Node)>),
    Arithmetic(Operator, Box<(Node, Node)>),
    Compare(Box<Node>, Vec<(Comparison, Node)>),
    If(Box<Choice>),
    Call(Box<Call>),
}

/// A name with its own place in the file, for messages about the exact word.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) text: Box<str>,
    pub(super) span: Span,
}

/// `subject[start:stop:step]`
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) subject: Node,
    pub(super) start: Option<Node>,
    pub(super) stop: Option<Node>,
    pub(super) step: Option<Node>,
}

/// `yes if condition else no`
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) condition: Node,
    pub(super) yes: Node,
    pub(super) no: Node,
}

/// How something is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `name(..)`
    Function,
    /// `x | name(..)`
    Filter,
    /// `x is name(..)`
    Test,
}

/// A call; the subject of a filter or test is its first argument.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) form: Form,
    pub(super) name: Word,
    pub(super) positional: Vec<Node>,
    pub(super) named: Vec<(Box<str>, Node)>,
}

/// Operators that compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    DivideWhole,
    Remainder,
    Power,
    Join,
}

/// Operators that compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

impl Expr {
    /// Parses an expression; `place` maps byte ranges of `text` to places in the file.
    ///
    /// # Errors
    /// The syntax error, with its place; also an expression nested deeper than 128 levels.
    pub fn parse(text: &str, place: &dyn Fn(Range<usize>) -> Span) -> Result<Self, ParseError> {
        let root = parse::tree(text, place)?;
        Ok(Self { text: text.into(), span: place(0..text.len()), root: Arc::new(root) })
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it stands in the file.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// Every name it mentions, in order of appearance.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut found = Vec::new();
        self.root.references(&mut found);
        found
    }

    /// Whether the last thing done is the filter or function of this name: `x | ident` for `ident`.
    #[must_use]
    pub fn is_call_of(&self, name: &str) -> bool {
        matches!(&self.root.kind, NodeKind::Call(call) if call.form != Form::Test && &*call.name.text == name)
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }
}

impl Node {
    /// The text of the node as it was written.
    pub(super) fn source<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.within.0 as usize..self.within.1 as usize).unwrap_or("")
    }

    /// The name and attributes, when the node is a name with nothing but attributes after it.
    pub(super) fn path(&self) -> Option<Vec<&str>> {
        match &self.kind {
            NodeKind::Name(name) => Some(vec![name]),
            NodeKind::Attribute(of, word) => {
                let mut path = of.path()?;
                path.push(&word.text);
                Some(path)
            }
            _ => None,
        }
    }

    fn references(&self, found: &mut Vec<Reference>) {
        if let Some(path) = self.path() {
            found.push(Reference { path: path.into_iter().map(str::to_owned).collect(), span: self.span });
        } else {
            self.each_child(&mut |child| child.references(found));
        }
    }

    /// Visits the direct children in the order they were written.
    pub(super) fn each_child(&self, visit: &mut dyn FnMut(&Node)) {
        match &self.kind {
            NodeKind::Name(_) | NodeKind::Literal(_) => {}
            NodeKind::List(items) => items.iter().for_each(visit),
            NodeKind::Map(entries) => {
                for (key, value) in entries {
                    visit(key);
                    visit(value);
                }
            }
            NodeKind::Attribute(of, _) | NodeKind::Not(of) | NodeKind::Negative(of) => visit(of),
            NodeKind::Item(of, at) => {
                visit(of);
                visit(at);
            }
            NodeKind::Slice(slice) => {
                visit(&slice.subject);
                [&slice.start, &slice.stop, &slice.step].into_iter().flatten().for_each(visit);
            }
            NodeKind::And(sides) | NodeKind::Or(sides) | NodeKind::Arithmetic(_, sides) => {
                visit(&sides.0);
                visit(&sides.1);
            }
            NodeKind::Compare(first, rest) => {
                visit(first);
                for (_, side) in rest {
                    visit(side);
                }
            }
            NodeKind::If(choice) => [&choice.yes, &choice.condition, &choice.no].into_iter().for_each(visit),
            NodeKind::Call(call) => {
                call.positional.iter().for_each(&mut *visit);
                call.named.iter().for_each(|(_, argument)| visit(argument));
            }
        }
    }
}

impl Operator {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::DivideWhole => "//",
            Self::Remainder => "%",
            Self::Power => "**",
            Self::Join => "~",
        }
    }
}
