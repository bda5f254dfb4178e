//! Functions, filters and tests: one table, from which calls, checks and the language reference are made.
//!
//! Whatever compares, counts or computes is ours, because minijinja's own would coerce; what only reshapes text or
//! lists is minijinja's.

mod arguments;
mod clock;
mod data;
mod jq;
mod links;
mod lists;
mod metric;
mod numbers;
mod series;
mod tests_of;
mod texts;

pub(super) use arguments::{Arguments, Refusal};
pub(super) use jq::{gives_list as jq_gives_list, problem as jq_problem};
pub(super) use texts::regex;

use super::kind::{Kind, LONGEST_LIST, described};
use super::operate::unobtained;
use super::syntax::Form;
use super::value::Value;
use minijinja::value::ValueKind;
use minijinja::{Environment, UndefinedBehavior};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What is said about a function, filter or test in the language reference.
#[derive(Clone, Copy, Debug)]
pub struct FunctionDoc {
    /// Its name.
    pub name: &'static str,
    /// Its arguments: `jq(value, program, **vars)`.
    pub signature: &'static str,
    /// One sentence in the third person.
    pub about: &'static str,
    /// An expression that shows it.
    pub example: &'static str,
    /// Whether it is a test (`x is name`); everything else is both a function and a filter on its first argument.
    pub is_test: bool,
}

/// What a function gives, as far as the checker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    Anything,
    Text,
    Number,
    Boolean,
    Duration,
    Time,
    List,
    Map,
    /// The same as its first argument.
    Same,
    /// An item of its first argument.
    Item,
}

/// What a function takes as its first argument, as far as the checker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Anything,
    Text,
    Number,
    List,
    Map,
    /// A list, map or text.
    Several,
}

/// How it is performed.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// By a function of ours.
    Own(fn(&mut Arguments<'_>) -> Result<Value, Refusal>),
    /// By minijinja's filter or test of the same name.
    Jinja,
    /// By the evaluation itself, because it does not evaluate all its arguments or looks at the unknown.
    Lazy,
}

/// One row of the table.
pub(super) struct Entry {
    pub(super) doc: FunctionDoc,
    /// The fewest and the most positional arguments, the subject of a filter included.
    pub(super) arity: (usize, usize),
    /// The names of the arguments that can be named; `*` stands for any.
    pub(super) named: &'static [&'static str],
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    /// Whether a list with unknown items is taken as it is.
    pub(super) holes: bool,
    pub(super) run: Run,
}

impl Entry {
    const fn new(signature: &'static str, arity: (usize, usize), run: Run) -> Self {
        let doc = FunctionDoc { name: "", signature, about: "", example: "", is_test: false };
        Self { doc, arity, named: &[], takes: Takes::Anything, gives: Gives::Anything, holes: false, run }
    }

    const fn own(
        name: &'static str,
        signature: &'static str,
        arity: (usize, usize),
        run: fn(&mut Arguments<'_>) -> Result<Value, Refusal>,
    ) -> Self {
        let mut entry = Self::new(signature, arity, Run::Own(run));
        entry.doc.name = name;
        entry
    }

    const fn jinja(name: &'static str, signature: &'static str, arity: (usize, usize)) -> Self {
        let mut entry = Self::new(signature, arity, Run::Jinja);
        entry.doc.name = name;
        entry
    }

    const fn lazy(name: &'static str, signature: &'static str, arity: (usize, usize)) -> Self {
        let mut entry = Self::new(signature, arity, Run::Lazy);
        entry.doc.name = name;
        entry
    }

    const fn kinds(mut self, takes: Takes, gives: Gives) -> Self {
        self.takes = takes;
        self.gives = gives;
        self
    }

    const fn named(mut self, named: &'static [&'static str]) -> Self {
        self.named = named;
        self
    }

    const fn with_holes(mut self) -> Self {
        self.holes = true;
        self
    }

    const fn test(mut self) -> Self {
        self.doc.is_test = true;
        self.gives = Gives::Boolean;
        self
    }

    const fn doc(mut self, about: &'static str, example: &'static str) -> Self {
        self.doc.about = about;
        self.doc.example = example;
        self
    }
}

type Table = HashMap<&'static str, &'static Entry>;

const TABLES: [&[Entry]; 10] = [
    data::TABLE,
    jq::TABLE,
    links::TABLE,
    metric::TABLE,
    lists::TABLE,
    numbers::TABLE,
    series::TABLE,
    texts::TABLE,
    clock::TABLE,
    tests_of::TABLE,
];

fn rows() -> impl Iterator<Item = &'static Entry> {
    TABLES.into_iter().flatten()
}

static FUNCTIONS: LazyLock<Table> =
    LazyLock::new(|| rows().filter(|entry| !entry.doc.is_test).map(|entry| (entry.doc.name, entry)).collect());

static TESTS: LazyLock<Table> =
    LazyLock::new(|| rows().filter(|entry| entry.doc.is_test).map(|entry| (entry.doc.name, entry)).collect());

static DOCS: LazyLock<Vec<FunctionDoc>> = LazyLock::new(|| {
    let mut docs: Vec<_> = rows().map(|entry| entry.doc).collect();
    docs.sort_by_key(|doc| (doc.is_test, doc.name));
    docs
});

/// Every function, filter and test of the language: first what is a function and a filter, then tests, each by name.
#[must_use]
pub fn function_table() -> &'static [FunctionDoc] {
    &DOCS
}

/// The row of a function, filter or test.
pub(super) fn entry(form: Form, name: &str) -> Option<&'static Entry> {
    let table = if form == Form::Test { &TESTS } else { &FUNCTIONS };
    table.get(name).copied()
}

/// All names of a form, for suggestions.
pub(super) fn names(form: Form) -> impl Iterator<Item = &'static str> {
    let table = if form == Form::Test { &TESTS } else { &FUNCTIONS };
    table.keys().copied()
}

/// The word for a form in messages.
pub(super) fn form_word(form: Form) -> &'static str {
    match form {
        Form::Function => "function",
        Form::Filter => "filter",
        Form::Test => "test",
    }
}

/// Calls a function, filter or test with known and unknown arguments.
pub(super) fn call(form: Form, name: &str, mut arguments: Arguments<'_>) -> Result<Value, String> {
    let Some(entry) = entry(form, name) else {
        return Err(format!("there is no {} named `{name}`", form_word(form)));
    };
    arguments.fits(entry)?;
    if arguments.late() {
        return Err("the expression did not end within 5 s".to_owned());
    }
    if let Some(unknown) = arguments.unknown(entry.holes) {
        return Ok(unknown);
    }
    let outcome = match entry.run {
        Run::Own(run) => run(&mut arguments),
        Run::Jinja => jinja(entry, &arguments),
        Run::Lazy => Err(Refusal::Wrong(format!("`{name}` cannot be called here"))),
    };
    match outcome {
        Ok(value) => settled(value),
        Err(Refusal::Missing(unknown)) => Ok(unknown),
        Err(Refusal::Wrong(message)) => Err(message),
    }
}

/// Lists that are made on demand become lists, within the bound.
fn settled(value: Value) -> Result<Value, String> {
    if value.is_undefined() {
        return Ok(unobtained("there is no such value"));
    }
    if value.kind() != ValueKind::Iterable {
        return Ok(value);
    }
    let items: Vec<_> = value.try_iter().map_err(|error| error.to_string())?.take(LONGEST_LIST + 1).collect();
    if items.len() > LONGEST_LIST {
        return Err(format!("the list is longer than {LONGEST_LIST} items"));
    }
    Ok(Value::from(items))
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_recursion_limit(64);
    environment
});

fn jinja(entry: &Entry, arguments: &Arguments<'_>) -> Result<Value, Refusal> {
    let name = entry.doc.name;
    let mut state = ENVIRONMENT.empty_state();
    if entry.doc.is_test {
        return match state.perform_test(name, arguments.positional()) {
            Ok(holds) => Ok(Value::from(holds)),
            Err(error) => Err(Refusal::Wrong(said(name, &error, arguments))),
        };
    }
    arguments.present(0)?;
    state.apply_filter(name, arguments.positional()).map_err(|error| Refusal::Wrong(said(name, &error, arguments)))
}

fn said(name: &str, error: &minijinja::Error, arguments: &Arguments<'_>) -> String {
    let subject = arguments.positional().first().map_or_else(|| "nothing".to_owned(), described);
    format!("`{name}` cannot take {subject}: {}", error.detail().unwrap_or("wrong kind of value"))
}

/// The kind that a first argument must have, as a word; nothing when any will do.
pub(super) fn wanted(takes: Takes) -> Option<&'static str> {
    match takes {
        Takes::Anything => None,
        Takes::Text => Some(Kind::Text.word()),
        Takes::Number => Some(Kind::Number.word()),
        Takes::List => Some(Kind::List.word()),
        Takes::Map => Some(Kind::Map.word()),
        Takes::Several => Some("list, map or text"),
    }
}
