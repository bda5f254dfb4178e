//! From text to tree. Only this module touches minijinja's unstable machinery.
//!
//! minijinja's nodes end where they should, but many begin at the word before, so beginnings are worked out again
//! from the leftmost child and the brackets around it.

mod brackets;
mod parts;

pub(super) use parts::{Part, foreign_template, parts};

use brackets::Brackets;

use super::syntax::{Call, Choice, Comparison, Form, Node, NodeKind, Operator, ParseError, Slice, Word};
use crate::source::Span;
use minijinja::machinery::{Span as At, ast, parse_expr};
use std::ops::Range;

/// How deep an expression may be nested: brackets, operators in a row, filters in a row.
const DEEPEST: usize = 128;

/// How long an expression may be, in bytes.
const LONGEST: usize = 64 << 10;

/// The words of the language, which are no names.
const WORDS: [&str; 7] = ["and", "or", "not", "if", "else", "is", "in"];

type Place<'a> = &'a dyn Fn(Range<usize>) -> Span;

/// Parses an expression into a tree.
pub(super) fn tree(text: &str, place: Place<'_>) -> Result<Node, ParseError> {
    let parser = Parser { text, place, brackets: Brackets::of(text, place)? };
    match parse_expr(text) {
        Ok(expression) => parser.node(&expression),
        Err(error) => Err(syntax_error(text, place, &error, 0)),
    }
}

fn syntax_error(text: &str, place: Place<'_>, error: &minijinja::Error, shift: usize) -> ParseError {
    let whole = || shift..text.len();
    let range = error.range().map_or_else(whole, |range| {
        let start = floor(text, (shift + range.start).min(text.len()));
        start..ceil(text, (shift + range.end).clamp(start, text.len()))
    });
    let word = text.get(range.clone()).unwrap_or_default();
    let detail = error.detail().unwrap_or("this is not an expression").replace("variable block", "`{{ .. }}`");
    let hint = match word {
        "=" => Some("to compare, write `==`"),
        "&" => Some("write `and`"),
        "!" => Some("write `not`, or `!=`"),
        "?" => Some("write `a if condition else b`"),
        "$" => Some("names are written without `$`"),
        _ => None,
    };
    ParseError { message: detail, span: place(range), hint: hint.map(str::to_owned) }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

struct Parser<'t, 'p> {
    text: &'t str,
    place: Place<'p>,
    brackets: Brackets,
}

fn range(at: At) -> Range<usize> {
    at.start_offset as usize..at.end_offset as usize
}

impl Parser<'_, '_> {
    fn refuse<T>(&self, at: Range<usize>, message: &str, hint: &str) -> Result<T, ParseError> {
        Err(ParseError { message: message.to_owned(), span: (self.place)(at), hint: Some(hint.to_owned()) })
    }

    #[expect(clippy::cast_possible_truncation, reason = "an expression is shorter than 64 KiB")]
    fn make(&self, at: Range<usize>, kind: NodeKind) -> Node {
        let within = (at.start as u32, at.end as u32);
        Node { span: (self.place)(at), within, kind }
    }

    /// A node that begins with its leftmost child.
    fn make_after(&self, first: (u32, u32), end: usize, kind: NodeKind) -> Node {
        let start = self.brackets.widen(first.0 as usize, end);
        self.make(start..end, kind)
    }

    fn node(&self, expression: &ast::Expr<'_>) -> Result<Node, ParseError> {
        let at = range(expression.span());
        let end = at.end;
        match expression {
            // minijinja takes `not` in `a is defined not in b` for a name.
            ast::Expr::Var(var) if WORDS.contains(&var.id) => {
                self.refuse(at, "this word cannot stand here", "put brackets around `not x` or `x is test`")
            }
            ast::Expr::Var(var) => Ok(self.make(at, NodeKind::Name(var.id.into()))),
            ast::Expr::Const(literal) => Ok(self.make(at, NodeKind::Literal(literal.value.clone()))),
            ast::Expr::List(list) => self.list(at, &list.items),
            ast::Expr::Tuple(tuple) => self.list(at, &tuple.items),
            ast::Expr::Map(map) => self.map(at, map),
            ast::Expr::GetAttr(attribute) => self.attribute(end, attribute),
            ast::Expr::GetItem(item) => {
                let (subject, index) = (self.node(&item.expr)?, self.node(&item.subscript_expr)?);
                let first = subject.within;
                Ok(self.make_after(first, end, NodeKind::Item(Box::new(subject), Box::new(index))))
            }
            ast::Expr::Slice(slice) => self.slice(end, slice),
            ast::Expr::UnaryOp(unary) => self.unary(at, unary),
            ast::Expr::BinOp(binary) => self.binary(end, binary),
            ast::Expr::Compare(compare) => self.chain(end, compare),
            ast::Expr::IfExpr(choice) => self.choice(at, choice),
            ast::Expr::Filter(filter) => {
                let name = self.word(at.start, filter.name);
                self.call(Form::Filter, name, filter.expr.as_ref(), &filter.args, at)
            }
            ast::Expr::Test(test) => {
                let name = self.word(at.start, test.name);
                self.call(Form::Test, name, Some(&test.expr), &test.args, at)
            }
            ast::Expr::Call(call) => match &call.expr {
                ast::Expr::Var(var) if !WORDS.contains(&var.id) => {
                    let start = range(var.span()).start;
                    self.call(Form::Function, self.word(start, var.id), None, &call.args, start..end)
                }
                other => {
                    let called = self.node(other)?;
                    self.refuse(
                        called.within.0 as usize..end,
                        "values have no methods",
                        "write a filter, `x | length`, or a function, `length(x)`",
                    )
                }
            },
        }
    }

    fn word(&self, start: usize, name: &str) -> Word {
        Word { text: name.into(), span: (self.place)(start..start + name.len()) }
    }

    fn list(&self, at: Range<usize>, items: &[ast::Expr<'_>]) -> Result<Node, ParseError> {
        let items = items.iter().map(|item| self.node(item)).collect::<Result<_, _>>()?;
        Ok(self.make(at, NodeKind::List(items)))
    }

    fn map(&self, at: Range<usize>, map: &ast::Map<'_>) -> Result<Node, ParseError> {
        let entries = map.keys.iter().zip(&map.values).map(|(key, value)| Ok((self.node(key)?, self.node(value)?)));
        Ok(self.make(at, NodeKind::Map(entries.collect::<Result<_, _>>()?)))
    }

    fn attribute(&self, end: usize, attribute: &ast::GetAttr<'_>) -> Result<Node, ParseError> {
        let subject = self.node(&attribute.expr)?;
        let first = subject.within;
        let word = self.word(end.saturating_sub(attribute.name.len()), attribute.name);
        Ok(self.make_after(first, end, NodeKind::Attribute(Box::new(subject), word)))
    }

    fn slice(&self, end: usize, slice: &ast::Slice<'_>) -> Result<Node, ParseError> {
        let bound = |bound: &Option<ast::Expr<'_>>| bound.as_ref().map(|bound| self.node(bound)).transpose();
        let subject = self.node(&slice.expr)?;
        let first = subject.within;
        let bounds =
            Slice { subject, start: bound(&slice.start)?, stop: bound(&slice.stop)?, step: bound(&slice.step)? };
        Ok(self.make_after(first, end, NodeKind::Slice(Box::new(bounds))))
    }

    fn unary(&self, at: Range<usize>, unary: &ast::UnaryOp<'_>) -> Result<Node, ParseError> {
        let operand = self.node(&unary.expr)?;
        if matches!(unary.op, ast::UnaryOpKind::Neg) {
            return Ok(self.make(at, NodeKind::Negative(Box::new(operand))));
        }
        if !self.inner_not(&operand) {
            return Ok(self.make(at, NodeKind::Not(Box::new(operand))));
        }
        // The `not` belongs to the operator, and the node begins where the left side does.
        let (start, end) = operand.within;
        match operand.kind {
            NodeKind::Compare(first, mut rest) => {
                for (comparison, _) in &mut rest {
                    *comparison = Comparison::NotIn;
                }
                Ok(Node { kind: NodeKind::Compare(first, rest), ..operand })
            }
            _ => Ok(self.make(start as usize..end as usize, NodeKind::Not(Box::new(operand)))),
        }
    }

    /// Whether a `not` stands between the two sides of `in` or before the name of a test.
    fn inner_not(&self, operand: &Node) -> bool {
        let between = match &operand.kind {
            NodeKind::Compare(first, rest) => match rest.as_slice() {
                [(Comparison::In, right)] => first.within.1..right.within.0,
                _ => return false,
            },
            NodeKind::Call(call) if call.form == Form::Test => match call.positional.first() {
                Some(subject) => subject.within.1..operand.within.1,
                None => return false,
            },
            _ => return false,
        };
        let text = self.text.get(between.start as usize..between.end as usize).unwrap_or_default();
        // Between the sides there are only brackets, blanks and the operator itself.
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        matches!((words.next(), words.next()), (Some("not"), Some("in")) | (Some("is"), Some("not")))
    }

    fn binary(&self, end: usize, binary: &ast::BinOp<'_>) -> Result<Node, ParseError> {
        let (left, right) = (self.node(&binary.left)?, self.node(&binary.right)?);
        let first = left.within;
        let compare = |comparison, left, right| NodeKind::Compare(Box::new(left), vec![(comparison, right)]);
        let compute = |operator, left, right| NodeKind::Arithmetic(operator, Box::new((left, right)));
        let kind = match binary.op {
            ast::BinOpKind::Eq => compare(Comparison::Equal, left, right),
            ast::BinOpKind::Ne => compare(Comparison::NotEqual, left, right),
            ast::BinOpKind::Lt => compare(Comparison::Less, left, right),
            ast::BinOpKind::Lte => compare(Comparison::LessOrEqual, left, right),
            ast::BinOpKind::Gt => compare(Comparison::Greater, left, right),
            ast::BinOpKind::Gte => compare(Comparison::GreaterOrEqual, left, right),
            ast::BinOpKind::In => compare(Comparison::In, left, right),
            ast::BinOpKind::ScAnd => NodeKind::And(Box::new((left, right))),
            ast::BinOpKind::ScOr => NodeKind::Or(Box::new((left, right))),
            ast::BinOpKind::Add => compute(Operator::Add, left, right),
            ast::BinOpKind::Sub => compute(Operator::Subtract, left, right),
            ast::BinOpKind::Mul => compute(Operator::Multiply, left, right),
            ast::BinOpKind::Div => compute(Operator::Divide, left, right),
            ast::BinOpKind::FloorDiv => compute(Operator::DivideWhole, left, right),
            ast::BinOpKind::Rem => compute(Operator::Remainder, left, right),
            ast::BinOpKind::Pow => compute(Operator::Power, left, right),
            ast::BinOpKind::Concat => compute(Operator::Join, left, right),
        };
        Ok(self.make_after(first, end, kind))
    }

    fn chain(&self, end: usize, compare: &ast::Compare<'_>) -> Result<Node, ParseError> {
        let first = self.node(&compare.expr)?;
        let within = first.within;
        let rest = compare.ops.iter().map(|step| {
            let comparison = match step.op {
                ast::CompareOpKind::Eq => Comparison::Equal,
                ast::CompareOpKind::Ne => Comparison::NotEqual,
                ast::CompareOpKind::Lt => Comparison::Less,
                ast::CompareOpKind::Lte => Comparison::LessOrEqual,
                ast::CompareOpKind::Gt => Comparison::Greater,
                ast::CompareOpKind::Gte => Comparison::GreaterOrEqual,
                ast::CompareOpKind::In => Comparison::In,
                ast::CompareOpKind::NotIn => Comparison::NotIn,
            };
            Ok((comparison, self.node(&step.expr)?))
        });
        let rest = rest.collect::<Result<_, _>>()?;
        Ok(self.make_after(within, end, NodeKind::Compare(Box::new(first), rest)))
    }

    fn choice(&self, at: Range<usize>, choice: &ast::IfExpr<'_>) -> Result<Node, ParseError> {
        let yes = self.node(&choice.true_expr)?;
        let first = yes.within;
        let Some(no) = &choice.false_expr else {
            return self.refuse(first.0 as usize..at.end, "`if` needs an `else`", "write `a if condition else b`");
        };
        let (condition, no) = (self.node(&choice.test_expr)?, self.node(no)?);
        Ok(self.make_after(first, at.end, NodeKind::If(Box::new(Choice { condition, yes, no }))))
    }

    fn call(
        &self,
        form: Form,
        name: Word,
        subject: Option<&ast::Expr<'_>>,
        arguments: &[ast::CallArg<'_>],
        at: Range<usize>,
    ) -> Result<Node, ParseError> {
        let mut positional = subject.map(|subject| self.node(subject)).transpose()?.into_iter().collect::<Vec<_>>();
        let start = positional.first().map_or(at.start, |subject| subject.within.0 as usize);
        let mut named = Vec::new();
        for argument in arguments {
            match argument {
                ast::CallArg::Pos(value) => positional.push(self.node(value)?),
                ast::CallArg::Kwarg(key, value) => named.push(((*key).into(), self.node(value)?)),
                ast::CallArg::PosSplat(value) | ast::CallArg::KwargSplat(value) => {
                    let value = self.node(value)?;
                    let at = value.within.0 as usize..value.within.1 as usize;
                    return self.refuse(at, "arguments cannot be spread with `*`", "write each argument by itself");
                }
            }
        }
        let kind = NodeKind::Call(Box::new(Call { form, name, positional, named }));
        Ok(self.make(self.brackets.widen(start, at.end)..at.end, kind))
    }
}
