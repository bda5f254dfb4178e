//! A jq program, read and compiled once.

use super::limits::{Bounded, bounded_functions};
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Parser, Pattern, Term};
use jaq_core::load::{Arena, File, Lexer, Loader};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};
use jaq_core::{Compiler, Filter};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// The longest program, in bytes; also bounds how deep one can be nested.
const LONGEST: usize = 16 << 10;

/// How deep brackets may be nested in a program.
const DEEPEST: usize = 64;

/// How many programs are kept compiled.
const KEPT: usize = 256;

/// Filters of the standard library that are not for runbooks: they reach outside the value.
const OUTSIDE: [&str; 12] = [
    "env",
    "now",
    "halt",
    "halt_error",
    "input",
    "inputs",
    "debug",
    "stderr",
    "debug_empty",
    "stderr_empty",
    "localtime",
    "strflocaltime",
];

/// Filters that may give several outputs whatever their arguments.
const ITERATING: [&str; 15] = [
    "range",
    "recurse",
    "repeat",
    "while",
    "paths",
    "limit",
    "skip",
    "splits",
    "match",
    "scan",
    "combinations",
    "fromjson",
    "iterables",
    "path_value",
    "getpaths",
];

/// A compiled program.
pub(super) struct Program {
    pub(super) filter: Filter<Bounded>,
    iterates: bool,
}

type Cache = HashMap<(String, Vec<String>), Arc<Program>>;

static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

impl Program {
    /// The program with these variables (`$name`), compiled now or earlier.
    pub(super) fn compiled(text: &str, variables: &[String]) -> Result<Arc<Self>, String> {
        let key = (text.to_owned(), variables.to_vec());
        let cache = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = cache().get(&key) {
            return Ok(Arc::clone(program));
        }
        let program = Arc::new(Self::compile(text, variables)?);
        let mut cache = cache();
        if cache.len() >= KEPT {
            cache.clear();
        }
        cache.insert(key, Arc::clone(&program));
        Ok(program)
    }

    /// Whether the program iterates at its top level, and so always gives a list.
    pub(super) fn iterates(&self) -> bool {
        self.iterates
    }

    fn compile(text: &str, variables: &[String]) -> Result<Self, String> {
        let mut term = read(text)?;
        let iterates = Iterating::default().term(&term);
        bound(&mut term);
        let arguments: Vec<&str> = variables.iter().map(String::as_str).collect();
        let main = Def { name: MAIN, args: arguments.clone(), body: term };
        let prelude = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let prelude = prelude.filter(|def| !OUTSIDE.contains(&def.name)).map(|mut def| {
            bound(&mut def.body);
            def
        });
        let call = if variables.is_empty() { MAIN.to_owned() } else { format!("{MAIN}({})", variables.join("; ")) };
        let (arena, file) = (Arena::default(), File { code: call.as_str(), path: () });
        let modules =
            Loader::new(prelude.map(shortened).chain([main])).load(&arena, file).map_err(|_| unreadable(text))?;
        let filter = Compiler::default()
            .with_funs(functions())
            .with_global_vars(arguments)
            .compile(modules)
            .map_err(|errors| undefined(&errors))?;
        Ok(Self { filter, iterates })
    }
}

const MAIN: &str = "program_of_the_runbook";

/// Lets a definition of the library live as long as the program needs it.
fn shortened<'s>(def: Def<&'static str>) -> Def<&'s str> {
    def
}

fn functions() -> impl Iterator<Item = jaq_core::native::Fun<Bounded>> {
    let library = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    library
        .filter(|(name, ..)| !OUTSIDE.contains(name) && *name != "range" && *name != "tojson")
        .chain(bounded_functions())
}

fn unreadable(text: &str) -> String {
    format!("the jq program is not right: {text}")
}

fn undefined(errors: &jaq_core::compile::Errors<&str, ()>) -> String {
    let first = errors.iter().flat_map(|(_, errors)| errors).next();
    match first {
        Some((name, _)) if OUTSIDE.contains(name) => format!("`{name}` is not available in a runbook's jq"),
        Some((name, kind)) if name.starts_with('$') => {
            format!(
                "the jq program has no {} `{name}`: pass it as `{}=..`",
                kind.as_str(),
                name.trim_start_matches('$')
            )
        }
        Some((name, kind)) => format!("the jq program has no {} named `{name}`", kind.as_str()),
        None => "the jq program is not right".to_owned(),
    }
}

/// Reads a program; its text must outlive the tree, which it does for the length of a compilation.
fn read(text: &str) -> Result<Term<&str>, String> {
    if text.len() > LONGEST {
        return Err(format!("the jq program is longer than {LONGEST} bytes"));
    }
    shallow(text)?;
    let tokens = Lexer::new(text).lex().map_err(|errors| {
        let found = errors.first().map(|(expected, found)| (expected.as_str(), *found));
        said(text, found)
    })?;
    Parser::new(&tokens).parse(Parser::term).map_err(|errors| {
        let found = errors
            .first()
            .map(|(expected, found)| (expected.as_str(), jaq_core::load::lex::Token::opt_as_str(*found, text)));
        said(text, found)
    })
}

fn said(text: &str, problem: Option<(&str, &str)>) -> String {
    match problem {
        Some((expected, "")) => format!("the jq program ends where {expected} is expected"),
        Some((expected, found)) => {
            let found: String = found.chars().take(20).collect();
            format!("the jq program has `{found}` where {expected} is expected")
        }
        None => unreadable(text),
    }
}

/// jq's readers recurse as deep as a program is nested: bounds brackets and chains before they see it.
fn shallow(text: &str) -> Result<(), String> {
    let (mut depth, mut deepest, mut words) = (0_usize, 0, 0_usize);
    for character in text.chars() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '-' | '|' | ',' | '+' | '*' | '/' | '<' | '=' | '.' => words += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    words += text.split_whitespace().count();
    if deepest > DEEPEST || words > 2000 {
        return Err("the jq program is too long or nested too deep".to_owned());
    }
    Ok(())
}

/// Puts calls of our bounded filters in the place of `+`, `*`, `[..]` and interpolation, so that no single step can grow
/// without bound.
fn bound(term: &mut Term<&str>) {
    each_child(term, &mut bound);
    let taken = std::mem::take(term);
    *term = match taken {
        Term::BinOp(left, BinaryOp::Math(Math::Add), right) => Term::Call("!add", vec![*left, *right]),
        Term::BinOp(left, BinaryOp::Math(Math::Mul), right) => Term::Call("!mul", vec![*left, *right]),
        Term::BinOp(left, BinaryOp::UpdateMath(math @ (Math::Add | Math::Mul)), right) => {
            let name = if matches!(math, Math::Add) { "!add" } else { "!mul" };
            let change = Term::Call(name, vec![Term::Id, Term::Var("$!right")]);
            let update = Term::BinOp(left, BinaryOp::Update, Box::new(change));
            Term::BinOp(right, BinaryOp::Pipe(Some(Pattern::Var("$!right"))), Box::new(update))
        }
        Term::Arr(Some(inner)) => Term::Arr(Some(Box::new(then(*inner, "!kept")))),
        Term::Str(format, parts) => Term::Str(format, parts.into_iter().map(interpolated).collect()),
        other => other,
    };
}

/// `term | name`
fn then<'s>(term: Term<&'s str>, name: &'static str) -> Term<&'s str> {
    Term::BinOp(Box::new(term), BinaryOp::Pipe(None), Box::new(Term::Call(name, Vec::new())))
}

fn interpolated<'s>(part: StrPart<&'s str, Term<&'s str>>) -> StrPart<&'s str, Term<&'s str>> {
    match part {
        StrPart::Term(term) => StrPart::Term(then(term, "!sized")),
        other => other,
    }
}

/// Visits the terms directly inside a term.
fn each_child<'s>(term: &mut Term<&'s str>, visit: &mut dyn FnMut(&mut Term<&'s str>)) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    visit(term);
                }
            }
        }
        Term::Arr(inner) => inner.iter_mut().for_each(|inner| visit(inner)),
        Term::Obj(entries) => {
            for (key, value) in entries {
                visit(key);
                value.iter_mut().for_each(&mut *visit);
            }
        }
        Term::Neg(inner) | Term::Label(_, inner) => visit(inner),
        Term::BinOp(left, operator, right) => {
            visit(left);
            visit(right);
            if let BinaryOp::Pipe(Some(pattern)) = operator {
                each_key(pattern, visit);
            }
        }
        Term::Fold(_, over, pattern, parts) => {
            visit(over);
            each_key(pattern, visit);
            parts.iter_mut().for_each(visit);
        }
        Term::TryCatch(inner, catch) => {
            visit(inner);
            if let Some(catch) = catch {
                visit(catch);
            }
        }
        Term::IfThenElse(arms, other) => {
            for (condition, then) in arms {
                visit(condition);
                visit(then);
            }
            if let Some(other) = other {
                visit(other);
            }
        }
        Term::Def(defs, inner) => {
            for def in defs {
                visit(&mut def.body);
            }
            visit(inner);
        }
        Term::Call(_, arguments) => arguments.iter_mut().for_each(visit),
        Term::Path(inner, Path(parts)) => {
            visit(inner);
            for (part, _) in parts {
                match part {
                    Part::Index(index) => visit(index),
                    Part::Range(from, upto) => [from, upto].into_iter().flatten().for_each(&mut *visit),
                }
            }
        }
    }
}

fn each_key<'s>(pattern: &mut Pattern<&'s str>, visit: &mut dyn FnMut(&mut Term<&'s str>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(patterns) => patterns.iter_mut().for_each(|pattern| each_key(pattern, visit)),
        Pattern::Obj(entries) => {
            for (key, pattern) in entries {
                visit(key);
                each_key(pattern, visit);
            }
        }
    }
}

/// Finds out whether a term iterates: whether it can give several outputs for one input by the way it is written.
#[derive(Default)]
struct Iterating {
    /// The filters defined in the program that iterate.
    defined: Vec<String>,
}

impl Iterating {
    fn term(&mut self, term: &Term<&str>) -> bool {
        match term {
            Term::Id | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(_) => false,
            Term::Str(_, parts) => parts.iter().any(|part| matches!(part, StrPart::Term(term) if self.term(term))),
            Term::Obj(entries) => entries
                .iter()
                .any(|(key, value)| self.term(key) || value.as_ref().is_some_and(|value| self.term(value))),
            Term::Neg(inner) | Term::Label(_, inner) | Term::TryCatch(inner, _) => self.term(inner),
            Term::Recurse | Term::BinOp(_, BinaryOp::Comma, _) => true,
            // The left side of an update only says where.
            Term::BinOp(
                _,
                BinaryOp::Update | BinaryOp::UpdateAlt | BinaryOp::UpdateMath(_) | BinaryOp::Assign,
                right,
            ) => self.term(right),
            Term::BinOp(left, _, right) => self.term(left) || self.term(right),
            Term::Fold(name, ..) => *name == "foreach",
            Term::IfThenElse(arms, other) => {
                arms.iter().any(|(condition, then)| self.term(condition) || self.term(then))
                    || other.as_ref().is_some_and(|other| self.term(other))
            }
            Term::Def(defs, inner) => {
                for def in defs {
                    if self.term(&def.body) {
                        self.defined.push(def.name.to_owned());
                    }
                }
                self.term(inner)
            }
            Term::Call("path" | "error", arguments) => arguments.iter().any(|argument| self.term(argument)),
            Term::Call(name, _) => ITERATING.contains(name) || self.defined.iter().any(|defined| defined == name),
            Term::Path(inner, Path(parts)) => {
                self.term(inner)
                    || parts.iter().any(|(part, _)| match part {
                        Part::Range(None, None) => true,
                        Part::Index(index) => self.term(index),
                        Part::Range(from, upto) => [from, upto].into_iter().flatten().any(|bound| self.term(bound)),
                    })
            }
        }
    }
}
