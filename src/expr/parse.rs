//! From text to tree. This is the only file that touches minijinja's unstable machinery.
//!
//! minijinja's nodes end where they should, but many begin at the word before, so beginnings are worked out again
//! from the leftmost child and the brackets around it.

use super::syntax::{Call, Choice, Comparison, Form, Node, NodeKind, Operator, ParseError, Slice, Word};
use crate::source::Span;
use minijinja::machinery::{Span as At, Token, ast, parse_expr, tokenize};
use minijinja::syntax::SyntaxConfig;
use std::ops::Range;

/// How deep an expression may be nested: brackets, operators in a row, filters in a row.
const DEEPEST: usize = 128;

/// How long an expression may be, in bytes.
const LONGEST: usize = 64 << 10;

type Place<'a> = &'a dyn Fn(Range<usize>) -> Span;

/// Parses an expression into a tree.
pub(super) fn tree(text: &str, place: Place<'_>) -> Result<Node, ParseError> {
    let parser = Parser { text, place, brackets: Brackets::of(text, place)? };
    match parse_expr(text) {
        Ok(expression) => parser.node(&expression),
        Err(error) => Err(syntax_error(text, place, &error, 0)),
    }
}

/// A piece of a template.
pub(super) enum Part<'t> {
    Text(&'t str),
    /// The bytes between `{{` and `}}`, by their place in the template.
    Expression(Range<usize>),
}

/// Splits a template into texts and expressions; all problems are found, each with its place.
pub(super) fn parts<'t>(text: &'t str, place: Place<'_>) -> (Vec<Part<'t>>, Vec<ParseError>) {
    let mut splitter = Splitter { text, place, parts: Vec::new(), problems: Vec::new() };
    let mut from = 0;
    while let Some(next) = splitter.split(from) {
        from = next;
    }
    (splitter.parts, splitter.problems)
}

struct Splitter<'t, 'p> {
    text: &'t str,
    place: Place<'p>,
    parts: Vec<Part<'t>>,
    problems: Vec<ParseError>,
}

impl Splitter<'_, '_> {
    /// Splits from an offset to the end, or to a problem that stops minijinja's reader: then gives where to go on.
    fn split(&mut self, from: usize) -> Option<usize> {
        let config = SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default();
        let mut open = None;
        for token in tokenize(self.text.get(from..)?, false, config) {
            match token {
                Ok((Token::TemplateData(data), _)) => self.parts.push(Part::Text(data)),
                Ok((Token::VariableStart, at)) => open = Some(from + at.end_offset as usize),
                Ok((Token::VariableEnd, at)) => {
                    if let Some(start) = open.take() {
                        self.parts.push(Part::Expression(start..from + at.start_offset as usize));
                    }
                }
                Ok((Token::BlockStart, at)) => return self.refuse_statement(from + at.start_offset as usize),
                Ok(_) => {}
                Err(error) => return self.stopped(open, from, &error),
            }
        }
        if let Some(start) = open {
            self.problem(
                start.saturating_sub(2)..self.text.len(),
                "`{{` is not closed",
                Some("write `}}` after the expression"),
            );
        }
        None
    }

    fn refuse_statement(&mut self, start: usize) -> Option<usize> {
        let end = self.text.get(start..)?.find("%}").map_or(self.text.len(), |at| start + at + 2);
        self.problem(
            start..end,
            "statements are not allowed in a text",
            Some("only `{{ expression }}` may stand here; write `x if condition else y`, `for_each`, or several steps"),
        );
        Some(end)
    }

    fn stopped(&mut self, open: Option<usize>, from: usize, error: &minijinja::Error) -> Option<usize> {
        let at = error.range().map_or(from, |range| from + range.start).min(self.text.len());
        let start = open.unwrap_or(at);
        let foreign = self.text.get(start..).is_some_and(|rest| rest.trim_start().starts_with('$'));
        if open.is_some() && foreign {
            let end = self.close(start);
            let whole = self.text.get(start.saturating_sub(2)..end).unwrap_or_default();
            self.problems.push(foreign_template(whole, (self.place)(start.saturating_sub(2)..end)));
        } else {
            self.problems.push(syntax_error(self.text, self.place, error, from));
        }
        open.map(|start| self.close(start)).filter(|&end| end > from)
    }

    /// Where the next `}}` ends.
    fn close(&self, start: usize) -> usize {
        self.text.get(start..).and_then(|rest| rest.find("}}")).map_or(self.text.len(), |at| start + at + 2)
    }

    fn problem(&mut self, range: Range<usize>, message: &str, hint: Option<&str>) {
        self.problems.push(ParseError {
            message: message.to_owned(),
            span: (self.place)(range),
            hint: hint.map(str::to_owned),
        });
    }
}

/// The problem for braces that belong to another program's template language.
pub(super) fn foreign_template(whole: &str, span: Span) -> ParseError {
    ParseError {
        message: format!("`{whole}` is not an expression of ours"),
        span,
        hint: Some(format!("to pass it on as it is, write `{{{{ '{whole}' }}}}`")),
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

/// Where each bracket of a text opens and where its partner ends, by the end.
struct Brackets(Vec<(usize, usize)>);

impl Brackets {
    /// Reads the tokens once before minijinja's parser does: that parser and the drop of its tree recurse without
    /// limit on `not not ..`, `a + a + ..` and the like, so the depth is bounded here.
    fn of(text: &str, place: Place<'_>) -> Result<Self, ParseError> {
        let refuse = |range: Range<usize>, message: String| ParseError { message, span: place(range), hint: None };
        if text.len() > LONGEST {
            return Err(refuse(0..text.len(), format!("the expression is longer than {LONGEST} bytes")));
        }
        let mut pairs = Vec::new();
        let mut open = Vec::new();
        let mut depth = Depth::default();
        for token in tokenize(text, true, SyntaxConfig::default()) {
            // A text that cannot be read is for the parser to explain.
            let Ok((token, at)) = token else { break };
            match token {
                Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => open.push(at.start_offset as usize),
                Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                    if let Some(start) = open.pop() {
                        pairs.push((at.end_offset as usize, start));
                    }
                }
                _ => {}
            }
            if depth.after(&token) > DEEPEST {
                let range = at.start_offset as usize..at.end_offset as usize;
                let mut problem = refuse(range, format!("the expression is nested deeper than {DEEPEST} levels"));
                problem.hint = Some("compute it in parts, with `set` or `capture`".to_owned());
                return Err(problem);
            }
        }
        pairs.sort_unstable();
        Ok(Self(pairs))
    }

    /// Moves a start to the left until no bracket closes in the range that opened before it.
    fn widen(&self, mut start: usize, end: usize) -> usize {
        let from = self.0.partition_point(|&(close, _)| close <= start);
        for &(close, open) in self.0.get(from..).unwrap_or_default() {
            if close > end {
                break;
            }
            start = start.min(open);
        }
        start
    }
}

/// An upper bound of the depth of the tree, from tokens alone: within a pair of brackets every operator since the
/// last comma may add a level.
#[derive(Default)]
struct Depth {
    levels: Vec<usize>,
    here: usize,
    sum: usize,
}

impl Depth {
    fn after(&mut self, token: &Token<'_>) -> usize {
        match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                self.levels.push(self.here + 1);
                self.sum += self.here + 1;
                self.here = 0;
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                if let Some(outer) = self.levels.pop() {
                    self.sum -= outer;
                    self.here = outer;
                }
            }
            Token::Comma => self.here = 0,
            Token::Ident("and" | "or" | "not" | "if" | "else" | "is" | "in") => self.here += 1,
            Token::Ident(_) | Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) => {
            }
            _ => self.here += 1,
        }
        self.sum + self.here
    }
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
                ast::Expr::Var(var) => {
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
        let (start, stop, step) = (bound(&slice.start)?, bound(&slice.stop)?, bound(&slice.step)?);
        Ok(self.make_after(first, end, NodeKind::Slice(Box::new(Slice { subject, start, stop, step }))))
    }

    fn unary(&self, at: Range<usize>, unary: &ast::UnaryOp<'_>) -> Result<Node, ParseError> {
        let operand = self.node(&unary.expr)?;
        if matches!(unary.op, ast::UnaryOpKind::Neg) {
            return Ok(self.make(at, NodeKind::Negative(Box::new(operand))));
        }
        match self.inner_not(&operand) {
            // `a not in b`: the `not` belongs to the operator, and the node begins where `a` does.
            Some(()) => Ok(match operand.kind {
                NodeKind::Compare(first, mut rest) => {
                    if let Some((comparison @ Comparison::In, _)) = rest.first_mut() {
                        *comparison = Comparison::NotIn;
                    }
                    Node { kind: NodeKind::Compare(first, rest), ..operand }
                }
                _ => {
                    let (start, end) = operand.within;
                    self.make(start as usize..end as usize, NodeKind::Not(Box::new(operand)))
                }
            }),
            None => Ok(self.make(at, NodeKind::Not(Box::new(operand)))),
        }
    }

    /// Whether a `not` stands between the two sides of `in` or before the name of a test.
    fn inner_not(&self, operand: &Node) -> Option<()> {
        let between = match &operand.kind {
            NodeKind::Compare(first, rest) => match rest.as_slice() {
                [(Comparison::In, right)] => first.within.1 as usize..right.within.0 as usize,
                _ => return None,
            },
            NodeKind::Call(call) if call.form == Form::Test => {
                let subject = call.positional.first()?;
                subject.within.1 as usize..operand.within.1 as usize
            }
            _ => return None,
        };
        let words = self.text.get(between)?;
        // Between the sides there are only brackets, blanks and the operator itself.
        let mut words = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        match (words.next()?, words.next()) {
            ("not", Some("in")) | ("is", Some("not")) => Some(()),
            _ => None,
        }
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
