//! Records that hold an action: its keys, and taking the one action out of them.

use super::action::{Action, Argv, Data, EditAction, Escalation, Program, RunAction, Shell, ShellAction, WriteAction};
use super::amount::DurationSpec;
use super::ask::Ask;
use super::call::Call;
use super::decode::{Decoder, Many};
use super::http::HttpAction;
use super::kubernetes::KubectlAction;
use super::log::LogAction;
use super::prometheus::PrometheusAction;
use super::service::ServiceAction;
use super::sql::SqlAction;
use crate::expr::{Expr, Template};
use crate::source::Sp;
use indexmap::IndexMap;

/// Adds the keys of actions and their siblings to a record: a step, and an action inside a step.
macro_rules! record_with_action {
    (
        $(#[doc = $doc:literal])+
        $vis:vis struct $name:ident = $title:literal { $($own:tt)* }
        later: [$($later:literal),*]
    ) => {
        record! {
            $(#[doc = $doc])+
            $vis struct $name = $title {
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
                /// Statements to PostgreSQL.
                may sql = "sql": SqlAction,
                /// A question to Prometheus.
                may prometheus = "prometheus": PrometheusAction,
                /// An alert of this runbook: its own expression is evaluated.
                may alert = "alert": Sp<String>,
                /// Arguments for kubectl, which always gets the target's context and namespace.
                may kubectl = "kubectl": Argv,
                /// Lines out of a journal, a file or a pod.
                may log = "log": LogAction,
                /// Something that a service manager keeps running.
                may service = "service": ServiceAction,
                /// A program that gets the terminal: a list.
                may interactive = "interactive": Argv,
                /// Another runbook as one step.
                may call = "runbook": Call,
                /// Documents for kubectl on standard input: one, or a list of them.
                may manifest = "manifest": ActionData,
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
                may target = "target": TargetRef,
                /// For one attempt (default 5m).
                may timeout = "timeout": DurationSpec,
                /// Names to keep, each an expression over the result.
                with capture = "capture": IndexMap<Sp<String>, CaptureRule>,
                /// Expressions that must hold.
                with expect = "expect": Many<Expr>,
                /// Error classes that are findings here, not failures.
                with tolerate = "tolerate": Many<Sp<String>>,
            }
            later: [$($later),*]
        }
    };
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
            $record.sql.is_some().then_some("sql"),
            $record.prometheus.is_some().then_some("prometheus"),
            $record.alert.is_some().then_some("alert"),
            $record.kubectl.is_some().then_some("kubectl"),
            $record.log.is_some().then_some("log"),
            $record.service.is_some().then_some("service"),
            $record.interactive.is_some().then_some("interactive"),
            $record.call.is_some().then_some("runbook"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let is_program = $record.run.is_some()
            || $record.shell.is_some()
            || $record.interactive.is_some()
            || $record.kubectl.is_some();
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
                    format!("`{key}` belongs to `run`, `shell`, `kubectl` or `interactive`, and there is none"),
                );
            }
        }
        if $record.with_shell.is_some() && $record.shell.is_none() {
            $decoder.error("stray-key", $record.span, "`with` belongs to `shell`, and there is none");
        }
        if $record.manifest.is_some() && $record.kubectl.is_none() {
            $decoder.error("stray-key", $record.span, "`manifest` belongs to `kubectl`, and there is none");
        }
        if $record.manifest.is_some() && $record.stdin.is_some() {
            $decoder.error(
                "stray-key",
                $record.span,
                "`manifest` is the standard input: there is no `stdin` beside it",
            );
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
            [] if $decoder.has_refused_key($record.span) => None,
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
                    sql: $record.sql,
                    prometheus: $record.prometheus,
                    alert: $record.alert,
                    kubectl: $record.kubectl,
                    log: $record.log,
                    service: $record.service,
                    interactive: $record.interactive,
                    call: $record.call,
                    manifest: $record.manifest,
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

pub(super) struct Given {
    pub(super) run: Option<Argv>,
    pub(super) shell: Option<Sp<String>>,
    pub(super) http: Option<HttpAction>,
    pub(super) edit: Option<EditAction>,
    pub(super) write: Option<WriteAction>,
    pub(super) ask: Option<Ask>,
    pub(super) manual: Option<Template>,
    pub(super) set: Option<IndexMap<Sp<String>, Expr>>,
    pub(super) assert: Option<Many<Expr>>,
    pub(super) wait: Option<DurationSpec>,
    pub(super) escalate: Option<Escalation>,
    pub(super) sql: Option<SqlAction>,
    pub(super) prometheus: Option<PrometheusAction>,
    pub(super) alert: Option<Sp<String>>,
    pub(super) kubectl: Option<Argv>,
    pub(super) log: Option<LogAction>,
    pub(super) service: Option<ServiceAction>,
    pub(super) interactive: Option<Argv>,
    pub(super) call: Option<Call>,
    pub(super) manifest: Option<Data>,
    pub(super) with_shell: Option<Shell>,
    pub(super) program: Program,
}

pub(super) fn one_action(decoder: &mut Decoder<'_>, given: Given) -> Option<Action> {
    if let Some(script) = given.shell {
        return shell_action(decoder, script, given.with_shell.unwrap_or(Shell::Bash), given.program);
    }
    if let Some(argv) = given.run {
        return Some(Action::Run(RunAction { span: argv.span, argv: argv.list, program: given.program }));
    }
    if let Some(argv) = given.interactive {
        let unused = [
            ("ok", given.program.ok.is_empty(), "the person says how it went"),
            ("stdin", given.program.stdin.is_none(), "its input is the terminal"),
        ];
        for (key, _, why) in unused.into_iter().filter(|(_, is_absent, _)| !is_absent) {
            decoder.error("stray-key", argv.span, format!("`{key}` has no meaning for `interactive`: {why}"));
        }
        return Some(Action::Interactive(RunAction { span: argv.span, argv: argv.list, program: given.program }));
    }
    if let Some(args) = given.kubectl {
        let kubectl =
            KubectlAction { span: args.span, args: args.list, manifest: given.manifest, program: given.program };
        return Some(Action::Kubectl(Box::new(kubectl)));
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
        .or(given.escalate.map(Action::Escalate))
        .or(given.sql.map(|sql| Action::Sql(Box::new(sql))))
        .or(given.prometheus.map(|prometheus| Action::Prometheus(Box::new(prometheus))))
        .or(given.alert.map(Action::Alert))
        .or(given.log.map(|log| Action::Log(Box::new(log))))
        .or(given.service.map(|service| Action::Service(Box::new(service))))
        .or(given.call.map(|call| Action::Runbook(Box::new(call))));
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
