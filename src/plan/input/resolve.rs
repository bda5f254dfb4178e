//! The order of precedence, one input after the other.

use super::problem::InputProblem;
use super::sources::{InputSources, LABEL_LIMIT, RunAnswer};
use super::text::Broken;
use super::typed::{Given, accept};
use crate::expr::{Expr, Scope, UnknownSort, Value, is_secret, unknown};
use crate::runbook::{Data, Input, InputType, Runbook};
use crate::source::Sp;
use indexmap::IndexMap;
use std::collections::HashSet;

/// How often a person is asked again after an answer that cannot be used.
const QUESTIONS: usize = 5;

/// One input of a run.
#[derive(Clone, Debug)]
pub struct ResolvedInput {
    /// Its name.
    pub name: String,
    /// Its value; unknown when it is optional and was not given, or when it has a problem.
    pub value: Value,
    /// Where it came from, in words: `command line`, `environment prod`, `label agent_id`, `env STEMEDB_URL`,
    /// `file PATH`, `program pass`, `default`, `question`, `not given`.
    pub source: String,
    /// Whether it is a secret.
    pub is_secret: bool,
    /// Whether it came from outside, by a label.
    pub tainted: bool,
}

/// Resolves every input of a runbook, in the order they are declared. Every problem is reported in one pass; an input
/// with a problem is unknown.
pub fn resolve_inputs(
    runbook: &Runbook,
    sources: &mut InputSources<'_>,
    problems: &mut Vec<InputProblem>,
) -> Vec<ResolvedInput> {
    unknown_names(runbook, sources, problems);
    let env = sources.environment.map(crate::library::Environment::env_value);
    let mut scope = Earlier { env, values: IndexMap::new(), now: sources.now, tainted: HashSet::new() };
    let mut resolved = Vec::new();
    for (name, input) in &runbook.inputs {
        let one = match resolve_one(name, input, sources, &scope) {
            Ok(one) => one,
            Err(problem) => {
                problems.push(*problem);
                ResolvedInput {
                    name: name.value.clone(),
                    value: unknown(UnknownSort::Unobtained, format!("input `{}` has a problem", name.value)),
                    source: "not given".to_owned(),
                    is_secret: input.is_secret(),
                    tainted: false,
                }
            }
        };
        scope.values.insert(one.name.clone(), one.value.clone());
        if one.tainted {
            scope.tainted.insert(one.name.clone());
        }
        resolved.push(one);
    }
    resolved
}

fn unknown_names(runbook: &Runbook, sources: &InputSources<'_>, problems: &mut Vec<InputProblem>) {
    let known = || runbook.inputs.keys().map(|name| name.value.clone()).collect::<Vec<_>>();
    let mut seen = HashSet::new();
    for (name, _) in &sources.command_line {
        if runbook.inputs.keys().any(|input| input.value == *name) || !seen.insert(name) {
            continue;
        }
        let known = known();
        let hint = match known.as_slice() {
            [] => "this runbook has no inputs".to_owned(),
            names => format!("its inputs are {}", names.join(", ")),
        };
        problems.push(InputProblem {
            code: "unknown-input",
            input: name.clone(),
            message: format!("`{}` has no input `{name}`, given on the command line", runbook.id()),
            span: None,
            hint: Some(hint),
            known,
        });
    }
}

/// What a source gave.
pub(super) struct Found {
    pub(super) given: Given,
    pub(super) source: String,
    pub(super) tainted: bool,
}

impl Found {
    fn new(given: Given, source: impl Into<String>) -> Self {
        Self { given, source: source.into(), tainted: false }
    }
}

/// One input on its way through the sources.
pub(super) struct Search<'s, 'a> {
    pub(super) name: &'s Sp<String>,
    pub(super) input: &'s Input,
    pub(super) sources: &'s InputSources<'a>,
    pub(super) scope: &'s Earlier,
    /// What was looked at in vain, for the message when nothing is found.
    pub(super) tried: Vec<String>,
}

pub(super) type Step = Result<Option<Found>, Box<InputProblem>>;

fn resolve_one(
    name: &Sp<String>,
    input: &Input,
    sources: &mut InputSources<'_>,
    scope: &Earlier,
) -> Result<ResolvedInput, Box<InputProblem>> {
    let mut search = Search { name, input, sources, scope, tried: Vec::new() };
    let found = search.find()?;
    let tried = search.tried;
    if let Some(Found { given, source, tainted }) = found {
        let shown = shown(input, &given);
        let value = accept(&name.value, input, given).map_err(|broken| bad_value(name, &source, &shown, broken))?;
        let is_secret = input.is_secret() || is_secret(&value);
        return Ok(ResolvedInput { name: name.value.clone(), value, source, is_secret, tainted });
    }
    if input.is_optional() {
        return Ok(ResolvedInput {
            name: name.value.clone(),
            value: unknown(UnknownSort::Unobtained, format!("input `{}` was not given", name.value)),
            source: "not given".to_owned(),
            is_secret: input.is_secret(),
            tainted: false,
        });
    }
    ask(name, input, sources).ok_or_else(|| missing(name, &tried))
}

/// Asks the person until the answer can be used, or there is none.
pub(super) fn ask(name: &Sp<String>, input: &Input, sources: &mut InputSources<'_>) -> Option<ResolvedInput> {
    let ask = sources.ask.as_mut()?;
    let mut wrong: Option<String> = None;
    for _ in 0..QUESTIONS {
        let text = ask(&name.value, input, wrong.as_deref())?;
        match accept(&name.value, input, Given::Text(text)) {
            Ok(value) => {
                return Some(ResolvedInput {
                    name: name.value.clone(),
                    value,
                    source: "question".to_owned(),
                    is_secret: input.is_secret(),
                    tainted: false,
                });
            }
            Err(broken) => wrong = Some(format!("that {broken}")),
        }
    }
    None
}

impl Search<'_, '_> {
    fn find(&mut self) -> Step {
        if let Some(found) = self.command_line()? {
            return Ok(Some(found));
        }
        match self.outside()? {
            None => self.default_value(),
            found => Ok(found),
        }
    }

    /// What is neither typed by a person nor written as the default.
    pub(super) fn outside(&mut self) -> Step {
        if let Some(found) = self.environment() {
            return Ok(Some(found));
        }
        if let Some(found) = self.label()? {
            return Ok(Some(found));
        }
        if let Some(found) = self.variable() {
            return Ok(Some(found));
        }
        for source in [Self::file, Self::program] {
            if let Some(found) = source(self)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What one source gives, by the words that [`ResolvedInput::source`] has for it.
    pub(super) fn from(&mut self, source: &str) -> Step {
        match source.split_once(' ').map_or(source, |(kind, _)| kind) {
            "environment" => Ok(self.environment()),
            "env" => Ok(self.variable()),
            "file" => self.file(),
            "program" => self.program(),
            "default" => self.default_value(),
            _ => Ok(None),
        }
    }

    fn problem(&self, code: &'static str, message: String) -> Box<InputProblem> {
        problem(self.name, code, message)
    }

    pub(super) fn command_line(&mut self) -> Step {
        let mut texts: Vec<&str> = Vec::new();
        for (name, text) in &self.sources.command_line {
            if *name == self.name.value {
                texts.push(text);
            }
        }
        let given = match texts.as_slice() {
            [] => return Ok(None),
            [text] if is_file(text) => {
                let content = self.content(&text[1..])?;
                let Some(content) = content else {
                    return Err(self.problem(
                        "input-source",
                        format!("input `{}`: there is no file {}, given on the command line", self.name, &text[1..]),
                    ));
                };
                let whole = content.strip_suffix('\n').unwrap_or(&content);
                Given::Content(whole.strip_suffix('\r').unwrap_or(whole).to_owned())
            }
            [text] => Given::Text(unescaped(text)),
            _ if self.input.kind != InputType::List => {
                return Err(self.problem(
                    "input-twice",
                    format!("input `{}` is given {} times on the command line", self.name, texts.len()),
                ));
            }
            several if several.iter().any(|text| is_file(text)) => {
                let message = format!("input `{}`: a file cannot be given together with other values", self.name);
                return Err(self.problem("input-source", message));
            }
            several => Given::Texts(several.iter().map(|text| unescaped(text)).collect()),
        };
        Ok(Some(Found::new(given, "command line")))
    }

    fn environment(&self) -> Option<Found> {
        let environment = self.sources.environment?;
        let value = environment.inputs.get(&self.name.value)?;
        Some(Found::new(Given::Value(value.clone()), format!("environment {}", environment.name)))
    }

    fn label(&mut self) -> Step {
        let Some(label) = self.input.from.as_ref().and_then(|from| from.label.as_ref()) else { return Ok(None) };
        let Some(text) = self.sources.labels.get(&label.value) else {
            self.tried.push(format!("label `{label}` is not among the alert's labels"));
            return Ok(None);
        };
        if text.len() > LABEL_LIMIT {
            let message = format!("input `{}`: label `{label}` is longer than {LABEL_LIMIT} bytes", self.name);
            return Err(self.problem("input-label", message));
        }
        let kind = match self.input.kind {
            InputType::List => self.input.of.unwrap_or(InputType::String),
            kind => kind,
        };
        if kind == InputType::String && self.input.pattern.is_none() && self.input.choices.0.is_empty() {
            let mut problem =
                self.problem("input-label", format!("input `{}`: any text could come from label `{label}`", self.name));
            problem.hint = Some("give it `pattern`, `choices` or a type that is not `string`".to_owned());
            return Err(problem);
        }
        let found = Found::new(Given::Text(text.clone()), format!("label {label}"));
        Ok(Some(Found { tainted: true, ..found }))
    }

    fn variable(&mut self) -> Option<Found> {
        let variable = self.input.from.as_ref()?.env.as_ref()?;
        let state = match (self.sources.variable)(&variable.value) {
            Some(text) if !text.is_empty() => return Some(Found::new(Given::Text(text), format!("env {variable}"))),
            // A variable that is set to nothing is how people unset one.
            Some(_) => "empty",
            None => "not set",
        };
        self.tried.push(format!("environment variable `{variable}` is {state}"));
        None
    }

    fn file(&mut self) -> Step {
        let Some(path) = self.input.from.as_ref().and_then(|from| from.file.as_ref()) else { return Ok(None) };
        let Some(content) = self.content(&path.value)? else {
            self.tried.push(format!("there is no file {path}"));
            return Ok(None);
        };
        let given = if self.input.kind == InputType::List {
            Given::Content(content)
        } else {
            Given::Text(content.lines().next().unwrap_or_default().to_owned())
        };
        Ok(Some(Found::new(given, format!("file {path}"))))
    }

    fn program(&mut self) -> Step {
        let Some(argv) = self.input.from.as_ref().and_then(|from| from.run.as_ref()) else { return Ok(None) };
        let argv: Vec<String> = argv.iter().map(|word| word.value.clone()).collect();
        let program = argv.first().cloned().unwrap_or_default();
        let source = format!("program {program}");
        let answer = match (self.sources.run)(&argv) {
            RunAnswer::Failed(_) if self.input.is_secret() => {
                RunAnswer::Failed("it failed; what it said is not shown, for it may hold the secret".to_owned())
            }
            answer => answer,
        };
        match answer {
            RunAnswer::Text(text) => Ok(Some(Found::new(printed(self.input, &text), source))),
            RunAnswer::NotYet => {
                let value = unknown(UnknownSort::NotYet, format!("`{program}` is not run in a plan"));
                Ok(Some(Found::new(Given::Value(value), source)))
            }
            RunAnswer::Failed(why) if self.input.is_optional() => {
                self.tried.push(format!("program `{program}`: {why}"));
                Ok(None)
            }
            // A default in place of an answer that was expected would be a guess.
            RunAnswer::Failed(why) => {
                Err(self.problem("input-source", format!("input `{}`: program `{program}`: {why}", self.name)))
            }
        }
    }

    fn default_value(&mut self) -> Step {
        let Some(default) = &self.input.default else { return Ok(None) };
        if matches!(default, Data::Null) {
            return Ok(None);
        }
        let value = default.value(self.scope).map_err(|error| {
            self.problem("input-value", format!("input `{}`: its default cannot be computed: {error}", self.name))
        })?;
        let found = Found::new(Given::Value(value), "default");
        Ok(Some(Found { tainted: self.scope.taints(default), ..found }))
    }

    /// The text of a file; nothing when there is no such file.
    fn content(&self, path: &str) -> Result<Option<String>, Box<InputProblem>> {
        let bytes = match (self.sources.file)(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("input `{}`: cannot read the file {path}: {error}", self.name);
                return Err(self.problem("input-source", message));
            }
        };
        String::from_utf8(bytes).map(Some).map_err(|_| {
            self.problem("input-source", format!("input `{}`: the file {path} is not UTF-8 text", self.name))
        })
    }
}

/// What a program printed: its newline at the end is not part of the value.
fn printed(input: &Input, text: &str) -> Given {
    if input.kind == InputType::List {
        return Given::Content(text.to_owned());
    }
    Given::Text(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn is_file(text: &str) -> bool {
    text.starts_with('@') && !text.starts_with("@@")
}

fn unescaped(text: &str) -> String {
    if text.starts_with("@@") { text[1..].to_owned() } else { text.to_owned() }
}

pub(super) fn problem(name: &Sp<String>, code: &'static str, message: String) -> Box<InputProblem> {
    Box::new(InputProblem {
        code,
        input: name.value.clone(),
        message,
        span: Some(name.span),
        hint: None,
        known: Vec::new(),
    })
}

/// The value as it may be shown in a message: never a secret's, and never a long one's whole.
pub(super) fn shown(input: &Input, given: &Given) -> String {
    if input.is_secret() {
        return "its value".to_owned();
    }
    let text = match given {
        Given::Text(text) => text.clone(),
        Given::Value(value) if value.as_str().is_some() || value.is_number() => value.to_string(),
        Given::Texts(_) | Given::Content(_) | Given::Value(_) => return "its value".to_owned(),
    };
    // Whole or not at all: it may hold a secret that another input has, and half of one is masked by nobody.
    if text.chars().count() > 60 {
        format!("a text of {} characters", text.chars().count())
    } else {
        format!("`{text}`")
    }
}

pub(super) fn bad_value(name: &Sp<String>, source: &str, shown: &str, broken: Broken) -> Box<InputProblem> {
    let origin = match source {
        "command line" => "given on the command line".to_owned(),
        "default" => "its default".to_owned(),
        other => format!("from {other}"),
    };
    let mut problem = problem(name, "input-value", format!("input `{name}`: {shown} {}; it is {origin}", broken.what));
    problem.hint = broken.hint;
    problem
}

pub(super) fn missing(name: &Sp<String>, tried: &[String]) -> Box<InputProblem> {
    let mut message = format!("input `{name}` has no value");
    if !tried.is_empty() {
        message.push_str(": ");
        message.push_str(&tried.join(", "));
    }
    let mut problem = problem(name, "input-missing", message);
    problem.hint = Some(format!("give it with -i {name}=VALUE"));
    problem
}

/// What a default may read: the environment's values and the inputs before it.
pub(super) struct Earlier {
    pub(super) env: Option<Value>,
    pub(super) values: IndexMap<String, Value>,
    pub(super) tainted: HashSet<String>,
    pub(super) now: jiff::Timestamp,
}

impl Earlier {
    /// Whether a tainted input is among what a default reads.
    fn taints(&self, default: &Data) -> bool {
        let mut templates = Vec::new();
        default.templates(&mut templates);
        let roots = templates.iter().flat_map(|template| template.expressions()).flat_map(Expr::references);
        roots.into_iter().any(|reference| reference.path.first().is_some_and(|root| self.tainted.contains(root)))
    }
}

impl Scope for Earlier {
    fn lookup(&self, name: &str) -> Option<Value> {
        match name {
            "env" => {
                Some(self.env.clone().unwrap_or_else(|| unknown(UnknownSort::Unobtained, "no environment was chosen")))
            }
            name => self.values.get(name).cloned(),
        }
    }

    fn now(&self) -> jiff::Timestamp {
        self.now
    }
}
