//! From the keys of a step as written to a typed step: exactly one kind, exactly one action, siblings that fit.

use super::action::{
    Action, Ask, EditAction, Escalation, HttpAction, Program, RunAction, Shell, ShellAction, WriteAction, action_names,
};
use super::amount::DurationSpec;
use super::decode::{Decode, Decoder, Many};
use super::grammar::Grammar;
use super::step::{
    CaptureRule, Change, Choice, Decide, DecideBy, Each, End, Gate, ItemFailure, Kind, OnFailure, Probe, Retry, Risk,
    Step, StepBody, Then, Undo, Until,
};
use crate::expr::{Expr, Template};
use crate::source::{Data, Diagnostic, Node, Sp, Span};
use indexmap::IndexMap;
use std::sync::Arc;

/// Adds the keys of actions and their siblings to a record: a step, and an action inside a step.
macro_rules! record_with_action {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident = $title:literal { $($own:tt)* }
        later: [$($later:literal),*]
    ) => {
        record! {
            $(#[doc = $doc])+
            pub struct $name = $title {
                $($own)*
                /// A program without a shell: a list, never split again.
                may run = "run": Argv,
                /// A script for `bash -euo pipefail`; values reach it through `env`.
                may shell = "shell": Sp<String>,
                /// One HTTP request.
                may http = "http": HttpAction,
                /// Keys set or removed in a file.
                may edit = "edit": EditAction,
                /// A file written.
                may write = "write": WriteAction,
                /// A question to a person, or several.
                may ask = "ask": Ask,
                /// Something a person does elsewhere (Markdown).
                may manual = "manual": Template,
                /// Computed values by name.
                may set = "set": IndexMap<Sp<String>, Expr>,
                /// Expressions that must hold, over values already there.
                may assert = "assert": Many<Expr>,
                /// A fixed delay.
                may wait = "wait": DurationSpec,
                /// Ends the run as escalated.
                may escalate = "escalate": Escalation,
                /// `bash` (default) or `sh`, for `shell`.
                may with_shell = "with": Shell,
                /// Exit codes that count as success (default: 0).
                may ok = "ok": Many<Sp<i64>>,
                /// Working folder of the program.
                may cwd = "cwd": Template,
                /// Environment variables of the program.
                may env = "env": IndexMap<Sp<String>, Template>,
                /// Variables handed on from our own environment.
                may pass_env = "pass_env": Many<Sp<String>>,
                /// Standard input of the program.
                may stdin = "stdin": Template,
                /// The target, by name; may be left out when exactly one fits.
                may target = "target": Sp<String>,
                /// For one attempt (default 5m).
                may timeout = "timeout": DurationSpec,
                /// Names to keep, each an expression over the result.
                with capture = "capture": IndexMap<Sp<String>, CaptureRule>,
                /// Expressions that must hold.
                with expect = "expect": Many<Expr>,
                /// Error classes that are findings here, not failures.
                with tolerate = "tolerate": Many<Sp<String>>,
            }
            later: [
                "sql", "prometheus", "alert", "kubectl", "log", "service", "interactive", "runbook", "manifest"
                $(, $later)*
            ]
        }
    };
}

record_with_action! {
    /// One step.
    pub struct StepRecord = "step" {
        /// Its id: lower-case letters, digits and `_`; the default comes from the title.
        may id = "id": Sp<String>,
        /// A step that reads; its value is the title.
        may diagnose = "diagnose": Template,
        /// A step that chooses.
        may decide = "decide": Template,
        /// A step that changes.
        may remediate = "remediate": Template,
        /// A step that proves.
        may validate = "validate": Template,
        /// A phase: steps held together.
        may group = "group": Template,
        /// The steps of a group.
        may steps = "steps": Vec<Arc<Step>>,
        /// Performed only if this holds.
        may when = "when": Expr,
        /// Replaces the implied order: ids of steps.
        may needs = "needs": Vec<Sp<String>>,
        /// Why it is there, for people.
        may why = "why": Template,
        /// More for people.
        may notes = "notes": Template,
        /// Shown before the step, in the gate and in the docs.
        may warning = "warning": Template,
        /// Addresses to read.
        with links = "links": Many<Sp<String>>,
        /// More attempts; never implied for a change.
        may retry = "retry": Retry,
        /// Repeats a read until it holds.
        may until = "until": Until,
        /// Performs the act for each item of this list.
        may for_each = "for_each": Expr,
        /// The name of the item (default: `item`).
        may as_name = "as": Sp<String>,
        /// How many items at once (default 1).
        may at_once = "at_once": Sp<i64>,
        /// What a failed item does: `stop` (default), `continue` or `{at_most: n}`.
        may on_item_failure = "on_item_failure": ItemFailure,
        /// Whether an empty list is fine.
        may allow_empty = "allow_empty": Sp<bool>,
        /// Values to put on the screen and in the report as evidence.
        with show = "show": Many<Expr>,
        /// What happens when it fails.
        may on_failure = "on_failure": OnFailure,
        /// Whether the operator may not skip it.
        may required = "required": Sp<bool>,
        /// How much harm a change could do: low, medium (default), high.
        may risk = "risk": Risk,
        /// What the runbook asks of the gate: a floor.
        may gate = "gate": Gate,
        /// A read that shows what would change.
        may preview = "preview": Probe,
        /// A read after the act.
        may verify = "verify": Probe,
        /// How to take it back: an act, or steps.
        may undo = "undo": Undo,
        /// Why it cannot be taken back.
        may irreversible = "irreversible": Template,
        /// The options of a decide by name.
        may options = "options": IndexMap<Sp<String>, Choice>,
        /// What a decide does when nothing is chosen and nobody is there.
        may otherwise = "otherwise": Choice,
        /// Who decides: `evidence` (default) or `person`.
        may by = "by": DecideBy,
        /// Every option whose `when` holds is taken.
        may all = "all": Sp<bool>,
        /// The first option whose `when` holds is taken.
        may first = "first": Sp<bool>,
    }
    later: ["hold", "background", "ready", "temporary", "idempotent", "parallel", "first_failure", "pause"]
}

record_with_action! {
    /// An action inside a step: `verify`, `preview` or `undo`.
    pub struct ProbeRecord = "step part" {
        /// For how long it is asked again until it holds.
        may within = "within": DurationSpec,
        /// The pause between two attempts (default 2s).
        may every = "every": DurationSpec,
        /// A read after an undo.
        may verify = "verify": Probe,
    }
    later: []
}

/// The argument list of `run`.
#[derive(Clone, Debug)]
pub(super) struct Argv {
    span: Span,
    list: Vec<Template>,
}

impl Decode for Argv {
    fn grammar() -> Grammar {
        Grammar::List(Box::new(Grammar::Template))
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if let Data::Scalar(scalar) = &node.data {
            let words = shlex::split(&scalar.text).unwrap_or_default();
            decoder.error_hint(
                "run-list",
                node.span,
                "`run` takes a list: the program and its arguments, each an element of its own",
                format!("write: run: [{}]", words.join(", ")),
            );
            return None;
        }
        let list = Vec::decode(node, decoder)?;
        if list.is_empty() {
            decoder.error("run-list", node.span, "`run` needs at least a program");
            return None;
        }
        Some(Self { span: node.span, list })
    }
}

/// Takes the one action out of a record that has the keys of `record_with_action!`.
macro_rules! take_action {
    ($record:ident, $decoder:ident, $expect_is_enough:expr) => {{
        let given: Vec<&'static str> = [
            $record.run.is_some().then_some("run"),
            $record.shell.is_some().then_some("shell"),
            $record.http.is_some().then_some("http"),
            $record.edit.is_some().then_some("edit"),
            $record.write.is_some().then_some("write"),
            $record.ask.is_some().then_some("ask"),
            $record.manual.is_some().then_some("manual"),
            $record.set.is_some().then_some("set"),
            $record.assert.is_some().then_some("assert"),
            $record.wait.is_some().then_some("wait"),
            $record.escalate.is_some().then_some("escalate"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let is_program = $record.run.is_some() || $record.shell.is_some();
        let siblings = [
            ("ok", $record.ok.is_some()),
            ("cwd", $record.cwd.is_some()),
            ("env", $record.env.is_some()),
            ("pass_env", $record.pass_env.is_some()),
            ("stdin", $record.stdin.is_some()),
        ];
        for (key, is_given) in siblings {
            if is_given && !is_program {
                $decoder.error(
                    "stray-key",
                    $record.span,
                    format!("`{key}` belongs to `run` or `shell`, and there is neither"),
                );
            }
        }
        if $record.with_shell.is_some() && $record.shell.is_none() {
            $decoder.error("stray-key", $record.span, "`with` belongs to `shell`, and there is none");
        }
        let program = Program {
            ok: $record.ok.unwrap_or_default().0,
            cwd: $record.cwd,
            env: $record.env.unwrap_or_default(),
            pass_env: $record.pass_env.unwrap_or_default().0,
            stdin: $record.stdin,
        };
        match given.as_slice() {
            [] if $expect_is_enough => Some(Action::Assert(Vec::new())),
            [] => {
                $decoder.error_hint(
                    "no-action",
                    $record.span,
                    "nothing says what is done here",
                    format!("give it one action: {}", action_names().join(", ")),
                );
                None
            }
            [_] => one_action(
                $decoder,
                Given {
                    run: $record.run,
                    shell: $record.shell,
                    http: $record.http,
                    edit: $record.edit,
                    write: $record.write,
                    ask: $record.ask,
                    manual: $record.manual,
                    set: $record.set,
                    assert: $record.assert,
                    wait: $record.wait,
                    escalate: $record.escalate,
                    with_shell: $record.with_shell,
                    program,
                },
            ),
            several => {
                $decoder.error(
                    "many-actions",
                    $record.span,
                    format!("one action is wanted, found {}", several.join(" and ")),
                );
                None
            }
        }
    }};
}

struct Given {
    run: Option<Argv>,
    shell: Option<Sp<String>>,
    http: Option<HttpAction>,
    edit: Option<EditAction>,
    write: Option<WriteAction>,
    ask: Option<Ask>,
    manual: Option<Template>,
    set: Option<IndexMap<Sp<String>, Expr>>,
    assert: Option<Many<Expr>>,
    wait: Option<DurationSpec>,
    escalate: Option<Escalation>,
    with_shell: Option<Shell>,
    program: Program,
}

fn one_action(decoder: &mut Decoder<'_>, given: Given) -> Option<Action> {
    if let Some(script) = given.shell {
        return shell_action(decoder, script, given.with_shell.unwrap_or(Shell::Bash), given.program);
    }
    if let Some(argv) = given.run {
        return Some(Action::Run(RunAction { span: argv.span, argv: argv.list, program: given.program }));
    }
    let action = given
        .http
        .map(|http| Action::Http(Box::new(http)))
        .or(given.edit.map(|edit| Action::Edit(Box::new(edit))))
        .or(given.write.map(|write| Action::Write(Box::new(write))))
        .or(given.ask.map(Action::Ask))
        .or(given.manual.map(Action::Manual))
        .or(given.set.map(Action::Set))
        .or(given.assert.map(|list| Action::Assert(list.0)))
        .or(given.wait.map(Action::Wait))
        .or(given.escalate.map(Action::Escalate));
    if let Some(Action::Edit(edit)) = &action
        && edit.set.is_none()
        && edit.unset.0.is_empty()
    {
        decoder.error("empty-edit", edit.span, "this edit neither sets nor removes anything: give it `set` or `unset`");
        return None;
    }
    action
}

fn shell_action(decoder: &mut Decoder<'_>, script: Sp<String>, shell: Shell, program: Program) -> Option<Action> {
    if let Some(at) = script.value.find("{{").or_else(|| script.value.find("{%")) {
        let inner: String = script.value[at..].chars().skip(2).take_while(|&c| c != '}' && c != '%').collect();
        decoder.error_hint(
            "template-in-shell",
            script.span,
            "no template may stand in a shell script: a value would become shell syntax",
            format!(
                "hand it over in `env: {{ VALUE: \"{{{{ {} }}}}\" }}` and write \"$VALUE\" in the script",
                inner.trim()
            ),
        );
        return None;
    }
    Some(Action::Shell(ShellAction { script, shell, program }))
}

impl Decode for Probe {
    fn grammar() -> Grammar {
        ProbeRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = ProbeRecord::decode(node, decoder)?;
        let expect_is_enough = !record.expect.0.is_empty();
        let action = take_action!(record, decoder, expect_is_enough)?;
        Some(Self {
            span: record.span,
            action,
            target: record.target,
            capture: record.capture,
            expect: record.expect.0,
            within: record.within,
            every: record.every,
            timeout: record.timeout,
            tolerate: record.tolerate.0,
            verify: record.verify.map(Box::new),
        })
    }
}

impl Decode for CaptureRule {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Expression, CaptureRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if node.as_scalar().is_some() {
            return Some(Self { value: Expr::decode(node, decoder)?, secret: false });
        }
        let record = CaptureRecord::decode(node, decoder)?;
        Some(Self { value: record.value, secret: false })
    }
}

record! {
    /// A value to keep, with more said about it.
    pub struct CaptureRecord = "capture" {
        /// How it is computed.
        must value = "value": Expr,
    }
    later: ["secret"]
}

record! {
    /// How many items may fail.
    pub struct AtMost = "on_item_failure" {
        /// This many; the step still succeeds.
        must at_most = "at_most": Sp<i64>,
    }
}

impl Decode for ItemFailure {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Words(&["stop", "continue"]), AtMost::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.as_scalar().map(|scalar| scalar.text.as_str()) {
            Some("stop") => Some(Self::Stop),
            Some("continue") => Some(Self::Continue),
            Some(_) => decoder.mismatch(node, "`stop`, `continue` or `{at_most: n}`"),
            None => {
                let record = AtMost::decode(node, decoder)?;
                match usize::try_from(record.at_most.value) {
                    Ok(most) => Some(Self::AtMost(most)),
                    Err(_) => decoder.mismatch(node, "a number of items that is not negative"),
                }
            }
        }
    }
}

record! {
    /// What happens when a step fails.
    pub struct OnFailureRecord = "on_failure" {
        /// Ends the run as escalated, with this text.
        may escalate = "escalate": Escalation,
        /// Steps to perform.
        may steps = "steps": Vec<Arc<Step>>,
        /// What comes after them: stop (default), continue, again.
        may then = "then": Then,
        /// How often `again` may happen (default 1).
        may times = "times": Sp<i64>,
    }
}

impl Decode for OnFailure {
    fn grammar() -> Grammar {
        let words = Grammar::Words(&["stop", "continue"]);
        Grammar::AnyOf(vec![words, Grammar::List(Box::new(Step::grammar())), OnFailureRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let plain = |then| Self { escalate: None, steps: Vec::new(), then, times: 1 };
        match &node.data {
            Data::Scalar(scalar) => match scalar.text.as_str() {
                "stop" => Some(plain(Then::Stop)),
                "continue" => Some(plain(Then::Continue)),
                _ => decoder.mismatch(node, "`stop`, `continue`, `{escalate: TEXT}` or a list of steps"),
            },
            Data::List(_) => Some(Self { steps: Vec::decode(node, decoder)?, ..plain(Then::Stop) }),
            Data::Map(_) => {
                let record = OnFailureRecord::decode(node, decoder)?;
                let times = record.times.as_ref().map_or(1, |times| usize::try_from(times.value).unwrap_or(0));
                if times == 0 {
                    decoder.error("wrong-type", node.span, "`times` is at least 1");
                    return None;
                }
                if record.escalate.is_some() && (record.steps.is_some() || record.then.is_some()) {
                    decoder.error(
                        "stray-key",
                        node.span,
                        "`escalate` ends the run: no `steps` or `then` can follow it",
                    );
                    return None;
                }
                Some(Self {
                    escalate: record.escalate,
                    steps: record.steps.unwrap_or_default(),
                    then: record.then.unwrap_or(Then::Stop),
                    times,
                })
            }
        }
    }
}

impl Decode for Undo {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Probe::grammar(), Grammar::List(Box::new(Step::grammar()))])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.data {
            Data::List(_) => Vec::decode(node, decoder).map(Self::Steps),
            _ => Probe::decode(node, decoder).map(|probe| Self::Act(Box::new(probe))),
        }
    }
}

record! {
    /// One option of a decide.
    pub struct ChoiceRecord = "option" {
        /// Its title; the name when there is none.
        may title = "title": Template,
        /// When evidence chooses it; without it only a person can.
        may when = "when": Expr,
        /// How likely it is, in percent.
        may likelihood = "likelihood": Sp<f64>,
        /// What is done then.
        may steps = "steps": Vec<Arc<Step>>,
        /// Values it sets, read as `<decide>.NAME`.
        with set = "set": IndexMap<Sp<String>, Expr>,
        /// Ends the run: resolved or no_action.
        may end = "end": End,
        /// Ends the run as escalated.
        may escalate = "escalate": Escalation,
    }
}

impl Decode for Choice {
    fn grammar() -> Grammar {
        ChoiceRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = ChoiceRecord::decode(node, decoder)?;
        if let Some(likelihood) = &record.likelihood
            && !(0.0..=100.0).contains(&likelihood.value)
        {
            decoder.error("likelihood", likelihood.span, "a likelihood is a percentage between 0 and 100");
        }
        if record.end.is_some() && record.escalate.is_some() {
            decoder.error("many-ends", record.span, "an option ends the run one way: `end` or `escalate`");
        }
        Some(Self {
            span: record.span,
            title: record.title,
            when: record.when,
            likelihood: record.likelihood.map(|likelihood| likelihood.value),
            steps: record.steps.unwrap_or_default(),
            set: record.set,
            end: record.end,
            escalate: record.escalate,
        })
    }
}

impl Decode for Step {
    fn grammar() -> Grammar {
        StepRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = StepRecord::decode(node, decoder)?;
        let (kind, title) = kind_of(&record, decoder)?;
        stray_keys(&record, kind, decoder);
        let id = step_id(&record, &title, decoder)?;
        let has_own_id = record.id.is_some();
        let each = each_of(&record, decoder);
        let change = (kind == Kind::Remediate).then(|| Change {
            risk: record.risk.unwrap_or(Risk::Medium),
            has_own_risk: record.risk.is_some(),
            gate: record.gate.clone(),
            preview: record.preview.clone().map(Box::new),
            verify: record.verify.clone().map(Box::new),
            undo: record.undo.clone(),
            irreversible: record.irreversible.clone(),
        });
        let span = record.span;
        let body = match kind {
            Kind::Decide => StepBody::Decide(Decide {
                options: record.options.clone().unwrap_or_default(),
                otherwise: record.otherwise.clone(),
                by: record.by.unwrap_or(DecideBy::Evidence),
                all: record.all.as_ref().is_some_and(|all| all.value),
                first: record.first.as_ref().is_some_and(|first| first.value),
            }),
            Kind::Group => StepBody::Group(record.steps.clone().unwrap_or_default()),
            _ => {
                let expect_is_enough = kind == Kind::Validate && !record.expect.0.is_empty();
                let record = record.clone();
                StepBody::Action(take_action!(record, decoder, expect_is_enough)?)
            }
        };
        Some(Self {
            span,
            id,
            has_own_id,
            kind,
            title,
            body,
            target: record.target,
            when: record.when,
            needs: record.needs,
            why: record.why,
            notes: record.notes,
            warning: record.warning,
            links: record.links.0,
            timeout: record.timeout,
            retry: record.retry,
            until: record.until,
            each,
            capture: record.capture,
            expect: record.expect.0,
            show: record.show.0,
            tolerate: record.tolerate.0,
            on_failure: record.on_failure,
            required: record.required.is_some_and(|required| required.value),
            change,
        })
    }
}

fn kind_of(record: &StepRecord, decoder: &mut Decoder<'_>) -> Option<(Kind, Template)> {
    let kinds = [
        (Kind::Diagnose, &record.diagnose),
        (Kind::Decide, &record.decide),
        (Kind::Remediate, &record.remediate),
        (Kind::Validate, &record.validate),
        (Kind::Group, &record.group),
    ];
    let given: Vec<_> = kinds.iter().filter_map(|(kind, title)| Some((*kind, title.as_ref()?))).collect();
    match given.as_slice() {
        [(kind, title)] => Some((*kind, (*title).clone())),
        [] => {
            decoder.error_hint(
                "no-kind",
                record.span,
                "this step does not say what kind it is",
                "start it with `diagnose:`, `decide:`, `remediate:`, `validate:` or `group:` and its title",
            );
            None
        }
        [(first, _), (second, title), ..] => {
            decoder.problems.push(
                Diagnostic::error(
                    decoder.source,
                    "many-kinds",
                    title.span(),
                    format!("a step has one kind, this one is `{}` and `{}`", first.as_str(), second.as_str()),
                )
                .hint("make two steps of it"),
            );
            None
        }
    }
}

/// Keys that mean nothing for the kind are errors, never ignored.
fn stray_keys(record: &StepRecord, kind: Kind, decoder: &mut Decoder<'_>) {
    let change = kind == Kind::Remediate;
    let decide = kind == Kind::Decide;
    let acts = !matches!(kind, Kind::Decide | Kind::Group);
    let action = record.run.is_some()
        || record.shell.is_some()
        || record.http.is_some()
        || record.edit.is_some()
        || record.write.is_some()
        || record.ask.is_some()
        || record.manual.is_some()
        || record.set.is_some()
        || record.assert.is_some()
        || record.wait.is_some()
        || record.escalate.is_some();
    let rules = [
        ("risk", record.risk.is_some(), change),
        ("gate", record.gate.is_some(), change),
        ("preview", record.preview.is_some(), change),
        ("verify", record.verify.is_some(), change),
        ("undo", record.undo.is_some(), change),
        ("irreversible", record.irreversible.is_some(), change),
        ("options", record.options.is_some(), decide),
        ("otherwise", record.otherwise.is_some(), decide),
        ("by", record.by.is_some(), decide),
        ("all", record.all.is_some(), decide),
        ("first", record.first.is_some(), decide),
        ("steps", record.steps.is_some(), kind == Kind::Group),
        ("until", record.until.is_some(), kind.is_read()),
        ("retry", record.retry.is_some(), acts),
        ("for_each", record.for_each.is_some(), acts),
        ("capture", !record.capture.is_empty(), acts),
        ("expect", !record.expect.0.is_empty(), acts),
        ("timeout", record.timeout.is_some(), acts),
        ("tolerate", !record.tolerate.0.is_empty(), acts),
        ("target", record.target.is_some(), acts),
        ("an action", action, acts),
    ];
    for (key, is_given, fits) in rules {
        if is_given && !fits {
            let quoted = if key == "an action" { key.to_owned() } else { format!("`{key}`") };
            decoder.error("stray-key", record.span, format!("{quoted} has no meaning on a {} step", kind.as_str()));
        }
    }
    if decide && record.options.as_ref().is_none_or(IndexMap::is_empty) {
        decoder.error("missing-key", record.span, "this decide has no `options`");
    }
    if decide && record.all.is_some() && record.first.is_some() {
        decoder.error("stray-key", record.span, "`all` and `first` exclude each other");
    }
    if kind == Kind::Group && record.steps.as_ref().is_none_or(Vec::is_empty) {
        decoder.error("missing-key", record.span, "this group has no `steps`");
    }
    if record.undo.is_some() && record.irreversible.is_some() {
        decoder.error("stray-key", record.span, "a change has `undo` or `irreversible`, not both");
    }
}

fn each_of(record: &StepRecord, decoder: &mut Decoder<'_>) -> Option<Each> {
    let Some(list) = record.for_each.clone() else {
        let companions = [
            ("as", record.as_name.is_some()),
            ("at_once", record.at_once.is_some()),
            ("on_item_failure", record.on_item_failure.is_some()),
            ("allow_empty", record.allow_empty.is_some()),
        ];
        for (key, _) in companions.into_iter().filter(|(_, is_given)| *is_given) {
            decoder.error("stray-key", record.span, format!("`{key}` belongs to `for_each`, and there is none"));
        }
        return None;
    };
    let name = record.as_name.clone().unwrap_or_else(|| Sp::new("item".to_owned(), list.span()));
    let at_once = record.at_once.as_ref().map_or(1, |at_once| at_once.value);
    let at_once = usize::try_from(at_once).ok().filter(|&at_once| (1..=64).contains(&at_once)).unwrap_or_else(|| {
        decoder.error("wrong-type", record.span, "`at_once` is between 1 and 64");
        1
    });
    Some(Each {
        list,
        name,
        at_once,
        on_item_failure: record.on_item_failure.unwrap_or(ItemFailure::Stop),
        allow_empty: record.allow_empty.as_ref().is_some_and(|allow| allow.value),
    })
}

fn step_id(record: &StepRecord, title: &Template, decoder: &mut Decoder<'_>) -> Option<Sp<String>> {
    let Some(id) = &record.id else { return Some(Sp::new(id_from_title(title.source_text()), title.span())) };
    let fits = id.value.starts_with(|first: char| first.is_ascii_lowercase())
        && id.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !fits {
        decoder.error_hint(
            "step-id",
            id.span,
            format!("`{}` cannot be a step's id", id.value),
            "an id starts with a lower-case letter and goes on with lower-case letters, digits and `_`",
        );
        return None;
    }
    Some(id.clone())
}

/// An id out of a title: `Who fills the quarantine?` gives `who_fills_the_quarantine`.
fn id_from_title(title: &str) -> String {
    let mut id = String::new();
    for word in title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if id.len() + word.len() > 40 && !id.is_empty() {
            break;
        }
        if !id.is_empty() {
            id.push('_');
        }
        id.push_str(&word.to_ascii_lowercase());
    }
    if id.starts_with(|first: char| first.is_ascii_lowercase()) { id } else { format!("step_{id}") }
}
