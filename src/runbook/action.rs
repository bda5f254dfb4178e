//! Actions: the mechanisms inside steps.

use super::amount::DurationSpec;
use super::ask::Ask;
use super::call::Call;
use super::decode::{Decode, Decoder, Many};
use super::grammar::Grammar;
use super::http::{HttpAction, Method};
use super::kubernetes::KubectlAction;
use super::log::LogAction;
use super::prometheus::PrometheusAction;
use super::service::{ServiceAction, ServiceVerb};
use super::sql::SqlAction;
use crate::expr::{EvalError, Expr, Scope, Template, Value};
use crate::source::{Data as NodeData, Node, Scalar, Sp, Span};
use indexmap::IndexMap;

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// A program without a shell.
    Run(RunAction),
    /// A script.
    Shell(ShellAction),
    /// One HTTP request.
    Http(Box<HttpAction>),
    /// Keys set in a file.
    Edit(Box<EditAction>),
    /// A file written.
    Write(Box<WriteAction>),
    /// Questions to a person.
    Ask(Ask),
    /// Something a person does elsewhere.
    Manual(Template),
    /// Computed values.
    Set(IndexMap<Sp<String>, Expr>),
    /// Only checks.
    Assert(Vec<Expr>),
    /// A fixed delay.
    Wait(DurationSpec),
    /// The end of the run, handed to people.
    Escalate(Escalation),
    /// Statements to PostgreSQL.
    Sql(Box<SqlAction>),
    /// A question to Prometheus.
    Prometheus(Box<PrometheusAction>),
    /// The expression of an alert of this runbook.
    Alert(Sp<String>),
    /// The Kubernetes client.
    Kubectl(Box<KubectlAction>),
    /// Lines out of a journal, a file or a pod.
    Log(Box<LogAction>),
    /// Something that a service manager keeps running.
    Service(Box<ServiceAction>),
    /// A program that gets the terminal.
    Interactive(RunAction),
    /// Another runbook.
    Runbook(Box<Call>),
}

/// The keys that name an action, in the order of the reference.
#[must_use]
pub fn action_names() -> &'static [&'static str] {
    &[
        "run",
        "shell",
        "http",
        "sql",
        "prometheus",
        "alert",
        "kubectl",
        "edit",
        "write",
        "log",
        "service",
        "ask",
        "manual",
        "interactive",
        "runbook",
        "set",
        "assert",
        "wait",
        "escalate",
    ]
}

impl Action {
    /// The key that names it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Shell(_) => "shell",
            Self::Http(_) => "http",
            Self::Edit(_) => "edit",
            Self::Write(_) => "write",
            Self::Ask(_) => "ask",
            Self::Manual(_) => "manual",
            Self::Set(_) => "set",
            Self::Assert(_) => "assert",
            Self::Wait(_) => "wait",
            Self::Escalate(_) => "escalate",
            Self::Sql(_) => "sql",
            Self::Prometheus(_) => "prometheus",
            Self::Alert(_) => "alert",
            Self::Kubectl(_) => "kubectl",
            Self::Log(_) => "log",
            Self::Service(_) => "service",
            Self::Interactive(_) => "interactive",
            Self::Runbook(_) => "runbook",
        }
    }

    /// Whether it is an act that the program performs by itself.
    #[must_use]
    pub fn is_act(&self) -> bool {
        !matches!(
            self,
            Self::Ask(_)
                | Self::Manual(_)
                | Self::Set(_)
                | Self::Assert(_)
                | Self::Wait(_)
                | Self::Escalate(_)
                | Self::Interactive(_)
                | Self::Runbook(_)
        )
    }

    /// Whether it needs a person or is a pause: then it keeps the written order (ruling 26).
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        matches!(
            self,
            Self::Ask(_)
                | Self::Manual(_)
                | Self::Interactive(_)
                | Self::Set(_)
                | Self::Wait(_)
                | Self::Escalate(_)
                | Self::Runbook(_)
        )
    }

    /// Whether it may change something, judged by its form alone (ruling 10).
    #[must_use]
    pub fn is_plain_change(&self) -> bool {
        match self {
            Self::Edit(_) | Self::Write(_) => true,
            Self::Http(http) => !matches!(http.method, Method::Get | Method::Head) && !http.reads,
            Self::Service(service) => service.verb != ServiceVerb::Status,
            Self::Kubectl(kubectl) => !kubectl.call().is_read(),
            _ => false,
        }
    }
}

/// Formats that can be edited with everything else kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditFormat {
    /// TOML
    Toml,
    /// YAML
    Yaml,
    /// JSON
    Json,
    /// Sections and `key = value` (`postgresql.conf` is one without sections); `#` and `;` begin comments.
    Ini,
    /// `KEY=value` lines.
    Env,
}

/// What the program gets beside its arguments.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Exit codes that count as success; empty means 0.
    pub ok: Vec<Sp<i64>>,
    /// Working folder.
    pub cwd: Option<Template>,
    /// Environment variables.
    pub env: IndexMap<Sp<String>, Template>,
    /// Variables taken from our own environment.
    pub pass_env: Vec<Sp<String>>,
    /// Standard input.
    pub stdin: Option<Template>,
}

/// Why a step may not set a variable of its program: it would change what runs (measured: `BASH_ENV` runs code).
#[must_use]
pub fn refused_variable(name: &str) -> Option<&'static str> {
    let changes_the_shell = ["BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "IFS", "PS4", "PROMPT_COMMAND"];
    if changes_the_shell.contains(&name) || name.starts_with("BASH_FUNC_") {
        return Some("it changes how shells read every script");
    }
    if name.starts_with("LD_") || name.starts_with("DYLD_") {
        return Some("it loads code into every program");
    }
    if name == "PATH" {
        return Some("programs are found once, before the first step");
    }
    if name.starts_with("RUNWRIGHT_") {
        return Some("the name belongs to this tool");
    }
    if name.is_empty() || name.contains(['=', '\0']) {
        return Some("it is not a variable's name");
    }
    None
}

/// An argument list.
#[derive(Clone, Debug)]
pub(super) struct Argv {
    pub(super) span: Span,
    pub(super) list: Vec<Template>,
}

impl Decode for Argv {
    fn grammar() -> Grammar {
        Grammar::List(Box::new(Grammar::Template))
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if let NodeData::Scalar(scalar) = &node.data {
            let words = shlex::split(&scalar.text).unwrap_or_default();
            decoder.error_hint(
                "run-list",
                node.span,
                "a program is written as a list: each argument is an element of its own",
                format!("write: [{}]", words.join(", ")),
            );
            return None;
        }
        let list = Vec::decode(node, decoder)?;
        if list.is_empty() {
            decoder.error("run-list", node.span, "this list is empty: it needs at least one element");
            return None;
        }
        Some(Self { span: node.span, list })
    }
}

/// `run:`
#[derive(Clone, Debug)]
pub struct RunAction {
    /// Where the list stands.
    pub span: Span,
    /// Program and arguments.
    pub argv: Vec<Template>,
    /// The rest.
    pub program: Program,
}

words! {
    /// The interpreter of a script.
    pub enum Shell = "a shell" {
        /// `bash -p -euo pipefail`
        Bash = "bash",
        /// `sh -eu`
        Sh = "sh",
    }
}

/// `shell:`
#[derive(Clone, Debug)]
pub struct ShellAction {
    /// The script, without templates.
    pub script: Sp<String>,
    /// Its interpreter.
    pub shell: Shell,
    /// The rest.
    pub program: Program,
}

impl Decode for EditFormat {
    fn grammar() -> Grammar {
        Grammar::Words(&["toml", "yaml", "json", "ini", "conf", "env"])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "a file format")?;
        match scalar.text.as_str() {
            "toml" => Some(Self::Toml),
            "yaml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            "ini" | "conf" => Some(Self::Ini),
            "env" => Some(Self::Env),
            other => {
                decoder.error_hint(
                    "unknown-word",
                    node.span,
                    format!("`{other}` is not a format that can be edited"),
                    "one of toml, yaml, json, ini, conf, env",
                );
                None
            }
        }
    }
}

record! {
    /// Keys set or removed in a file; comments and order are kept, the file is replaced in one move.
    pub struct EditAction = "edit" {
        /// The file.
        must file = "file": Template,
        /// Its format: toml, yaml, json, ini, conf or env.
        must format = "format": EditFormat,
        /// What to set: keys may be nested maps or dotted paths (`content_defense.quality_threshold`).
        may set = "set": Data,
        /// Dotted paths to remove.
        with unset = "unset": Many<Sp<String>>,
        /// Whether symbolic links on the way may be followed.
        may follow = "follow": Sp<bool>,
    }
}

record! {
    /// A whole file written.
    pub struct WriteAction = "write" {
        /// The file.
        must file = "file": Template,
        /// Its content.
        must text = "text": Template,
        /// Permission bits as text, such as `"0640"`; an existing file keeps its own.
        may mode = "mode": Sp<String>,
        /// `user` or `user:group`; an existing file keeps its own.
        may owner = "owner": Sp<String>,
        /// Whether symbolic links on the way may be followed.
        may follow = "follow": Sp<bool>,
    }
}

/// The end of the run, handed to people.
#[derive(Clone, Debug)]
pub struct Escalation {
    /// To whom: the name of a contact.
    pub to: Option<Sp<String>>,
    /// What is said.
    pub text: Template,
}

record! {
    /// Ends the run as escalated.
    pub(super) struct EscalateRecord = "escalate" {
        /// A name out of `contacts`.
        may to = "to": Sp<String>,
        /// What is said.
        must text = "text": Template,
    }
    later: ["attach"]
}

impl Decode for Escalation {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Template, EscalateRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if node.as_scalar().is_some() {
            return Some(Self { to: None, text: Template::decode(node, decoder)? });
        }
        let record = EscalateRecord::decode(node, decoder)?;
        Some(Self { to: record.to, text: record.text })
    }
}

/// Any value, with templates in its texts.
#[derive(Clone, Debug)]
pub enum Data {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A text; exactly one `{{ .. }}` keeps the value's type.
    Text(Template),
    /// A list.
    List(Vec<Data>),
    /// A map.
    Map(IndexMap<String, Data>),
}

impl Data {
    /// Its value, with unknown values inside where an expression is unknown.
    ///
    /// # Errors
    /// An expression that cannot be evaluated.
    pub fn value(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        Ok(match self {
            Self::Null => Value::from(()),
            Self::Boolean(value) => Value::from(*value),
            Self::Integer(value) => Value::from(*value),
            Self::Number(value) => Value::from(*value),
            Self::Text(template) => template.value(scope)?,
            Self::List(items) => {
                Value::from(items.iter().map(|item| item.value(scope)).collect::<Result<Vec<_>, _>>()?)
            }
            Self::Map(entries) => {
                let pairs = entries.iter().map(|(key, item)| Ok((key.clone(), item.value(scope)?)));
                Value::from_pairs(pairs.collect::<Result<Vec<(String, Value)>, EvalError>>()?)
            }
        })
    }

    /// Every template in it.
    pub fn templates<'a>(&'a self, found: &mut Vec<&'a Template>) {
        match self {
            Self::Text(template) => found.push(template),
            Self::List(items) => items.iter().for_each(|item| item.templates(found)),
            Self::Map(entries) => entries.values().for_each(|item| item.templates(found)),
            _ => {}
        }
    }
}

fn plain_data(scalar: &Scalar, node: &Node, decoder: &mut Decoder<'_>) -> Option<Data> {
    let text = scalar.text.as_str();
    match text {
        "" | "null" | "~" => return Some(Data::Null),
        "true" => return Some(Data::Boolean(true)),
        "false" => return Some(Data::Boolean(false)),
        _ => {}
    }
    let is_yes_no = ["yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_yes_no || ["true", "false", "null"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        decoder.error_hint(
            "yaml-word",
            node.span,
            format!("`{text}` means different things to different YAML readers"),
            format!("write `true` or `false`, or \"{text}\" in quotes for the text"),
        );
        return None;
    }
    let starts_like_number = text.trim_start_matches(['-', '+', '.']).starts_with(|first: char| first.is_ascii_digit());
    if starts_like_number {
        if let Ok(value) = scalar.integer() {
            return Some(Data::Integer(value));
        }
        match scalar.number() {
            Ok(value) => return Some(Data::Number(value)),
            Err(problem) if text.bytes().all(|byte| byte.is_ascii_digit() || b"_:.".contains(&byte)) => {
                decoder.error_hint(problem.code, node.span, problem.message, "quote it if it is a text");
                return None;
            }
            Err(_) => {}
        }
    }
    decoder.template(scalar).map(Data::Text)
}

impl Decode for Data {
    fn grammar() -> Grammar {
        Grammar::Data
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.data {
            NodeData::Scalar(scalar) if scalar.is_quoted() => decoder.template(scalar).map(Self::Text),
            NodeData::Scalar(scalar) => plain_data(scalar, node, decoder),
            NodeData::List(_) => Vec::decode(node, decoder).map(Self::List),
            NodeData::Map(entries) => {
                let read = entries
                    .iter()
                    .filter_map(|entry| Some((entry.key.value.clone(), Self::decode(&entry.value, decoder)?)));
                Some(Self::Map(read.collect()))
            }
        }
    }
}
