//! From `log` as written to a source of lines and its filters.

use super::act::{CommandAct, LogAct, LogSourceAct, Since};
use super::place::Machine;
use super::resolve::{Refusal, Resolver, optional, to_duration};
use super::values::StepScope;
use super::view::{Holes, command_view};
use crate::event::ActView;
use crate::expr::{Place, Rendered, Template, Time, Value, unknown_of};
use crate::runbook::{LogAction, LogSource, PodLog, Program, TargetRef, parse_duration};
use std::time::Duration;

/// Pods whose logs are read side by side.
const PODS: u32 = 50;

/// The source and filters of an action with their values.
pub(super) fn act(
    resolver: &Resolver,
    log: &LogAction,
    target: Option<&TargetRef>,
    scope: &StepScope,
) -> Result<LogAct, Refusal> {
    let mut holes = Vec::new();
    let since = match &log.since {
        None => None,
        Some(template) => since(template, scope, &mut holes)?,
    };
    let tail = log.tail.as_ref().and_then(|tail| u64::try_from(tail.value).ok());
    let wanted = Wanted { since: since.as_ref(), tail };
    let pods = matches!(log.source, LogSource::Kubectl(_));
    let machine = if pods { Machine::Here } else { resolver.machine(target, log.span, scope)? };
    let command = |argv| resolver.command(argv, None, &Program::default(), machine.clone(), scope);
    let source = match &log.source {
        LogSource::Journal { unit, directory } => {
            let unit = unit.render(scope, Place::Argument)?;
            let directory = optional(directory.as_ref(), scope, Place::Path)?;
            LogSourceAct::Journal(command(wanted.journalctl(unit, directory))?)
        }
        LogSource::File(file) => {
            let file = file.render(scope, Place::Path)?;
            match &machine {
                Machine::Ssh(_) => LogSourceAct::FileThere(command(wanted.print(file))?),
                Machine::Here | Machine::Local(_) => LogSourceAct::File(file),
            }
        }
        LogSource::Kubectl(pods) => {
            let cluster = super::kubectl::cluster(resolver, target, log.span, scope)?;
            let has_prefix = pods.pod.is_none();
            let arguments = wanted.kubectl(pods, has_prefix, scope)?;
            let message = || "the logs of pods cannot be read here".to_owned();
            let command = super::kubectl::command(resolver, cluster, arguments)
                .ok_or_else(|| Refusal { message: message(), span: pods.span })?;
            LogSourceAct::Kubectl { command: Box::new(command), has_prefix }
        }
    };
    let patterns = |list: &[Template]| -> Result<Vec<Rendered>, Refusal> {
        list.iter().map(|pattern| Ok(pattern.render(scope, Place::Pattern)?)).collect()
    };
    let (include, exclude) = (patterns(&log.include)?, patterns(&log.exclude)?);
    Ok(LogAct { machine, source, since, tail, include, exclude, holes })
}

/// Which lines are wanted, as programs are told.
struct Wanted<'a> {
    since: Option<&'a Since>,
    tail: Option<u64>,
}

impl Wanted<'_> {
    /// Entries as JSON: their texts may be of several lines, or no text at all.
    fn journalctl(&self, unit: Rendered, directory: Option<Rendered>) -> Vec<Rendered> {
        let mut argv = texts(&["journalctl", "--no-pager", "--all", "--output=json", "--output-fields=MESSAGE"]);
        argv.extend(directory.map(|directory| after("--directory=", directory)));
        argv.push(after("--unit=", unit));
        // A span of time is told as such: the clock that counts is that of the machine whose journal it is.
        argv.extend(self.since.map(|since| match since {
            Since::Ago(ago) => Rendered::text(format!("--since=-{}s", seconds(*ago))),
            Since::Time(time) => Rendered::text(format!("--since=@{}", epoch(*time))),
        }));
        argv.extend(self.tail.map(|tail| Rendered::text(format!("--lines={tail}"))));
        argv
    }

    /// A file as it is.
    fn print(&self, file: Rendered) -> Vec<Rendered> {
        let mut argv = match self.tail {
            Some(tail) => texts(&["tail", "-n", &tail.to_string(), "--"]),
            None => texts(&["cat", "--"]),
        };
        argv.push(file);
        argv
    }

    fn kubectl(&self, pods: &PodLog, has_prefix: bool, scope: &StepScope) -> Result<Vec<Rendered>, Refusal> {
        let mut argv = texts(&["logs"]);
        for named in [&pods.pod, &pods.workload].into_iter().flatten() {
            argv.push(named.render(scope, Place::Argument)?);
        }
        if let Some(selector) = &pods.selector {
            argv.push(after("--selector=", selector.render(scope, Place::ArgumentAfterDashes)?));
            argv.push(Rendered::text(format!("--max-log-requests={PODS}")));
        }
        match &pods.container {
            Some(container) => argv.push(after("--container=", container.render(scope, Place::ArgumentAfterDashes)?)),
            None => argv.extend(texts(&["--all-containers=true"])),
        }
        if has_prefix {
            argv.extend(texts(&["--prefix=true"]));
        }
        if pods.previous.as_ref().is_some_and(|previous| previous.value) {
            argv.extend(texts(&["--previous=true"]));
        }
        argv.extend(self.since.map(|since| match since {
            Since::Ago(ago) => Rendered::text(format!("--since={}s", ago.as_secs().max(1))),
            Since::Time(time) => Rendered::text(format!("--since-time={time}")),
        }));
        // Without a number, a selector gives the last 10 lines of each pod and says nothing of it.
        let tail = self.tail.map_or_else(|| "-1".to_owned(), |tail| tail.to_string());
        argv.push(Rendered::text(format!("--tail={tail}")));
        Ok(argv)
    }
}

fn texts(words: &[&str]) -> Vec<Rendered> {
    words.iter().map(|word| Rendered::text(*word)).collect()
}

/// One argument: an option and its value.
fn after(option: &str, value: Rendered) -> Rendered {
    let mut whole = Rendered::text(option);
    whole.pieces.extend(value.pieces);
    whole
}

/// Seconds as a program reads them: `600`, `0.25`.
fn seconds(duration: Duration) -> String {
    let micro = duration.subsec_micros();
    let whole = duration.as_secs();
    if micro == 0 { whole.to_string() } else { format!("{whole}.{micro:06}") }
}

/// Seconds since 1970, to the microsecond.
fn epoch(time: jiff::Timestamp) -> String {
    let micro = time.as_microsecond();
    format!("{}.{:06}", micro.div_euclid(1_000_000), micro.rem_euclid(1_000_000))
}

/// A duration back from now, or a time.
fn since(template: &Template, scope: &StepScope, holes: &mut Vec<(String, String)>) -> Result<Option<Since>, Refusal> {
    let value = template.value(scope)?;
    if let Some(unknown) = unknown_of(&value) {
        holes.push((template.source_text().to_owned(), unknown.reason.clone()));
        return Ok(None);
    }
    let message = || format!("`since` is {value}: neither a duration such as `10m` nor a time with its zone");
    moment(&value).map(Some).ok_or_else(|| Refusal { message: message(), span: template.span() })
}

fn moment(value: &Value) -> Option<Since> {
    if let Some(time) = Time::of(value) {
        return Some(Since::Time(time.0));
    }
    if let Some(text) = value.as_str() {
        return since_text(text);
    }
    to_duration(value).map(Since::Ago)
}

/// Reads `10m`, or a time such as `2026-11-26T01:25:28Z`.
fn since_text(text: &str) -> Option<Since> {
    parse_duration(text).map(Since::Ago).or_else(|| text.parse().ok().map(Since::Time))
}

/// The source and filters as a person reads them.
pub(super) fn view(act: &LogAct) -> ActView {
    let mut holes = Holes::default();
    for (expression, reason) in &act.holes {
        holes.add(expression, reason);
    }
    let mut view = match &act.source {
        LogSourceAct::Journal(command) | LogSourceAct::FileThere(command) => command_view(command, &mut holes),
        LogSourceAct::Kubectl { command, .. } => command_view(&command.command, &mut holes),
        LogSourceAct::File(file) => ActView { text: here(act, &holes.text(file)), ..ActView::default() },
    };
    "log".clone_into(&mut view.action);
    let mut words = Vec::new();
    for (word, patterns) in [("that match", &act.include), ("but not", &act.exclude)] {
        let shown: Vec<String> = patterns.iter().map(|pattern| holes.text(pattern)).collect();
        if !shown.is_empty() {
            words.push(format!("{word} {}", shown.join(" or ")));
        }
    }
    if !words.is_empty() {
        // A comment to whoever pastes the command.
        // A line break in a pattern would end the comment.
        let words = words.join(" ").replace('\n', "\\n").replace('\r', "\\r");
        view.text.push_str(&format!("\n# lines {words}"));
    }
    view.holes = holes.0;
    view
}

/// What is read of a file of this machine.
fn here(act: &LogAct, file: &str) -> String {
    let file = super::quote::quote_argument(file);
    let lines = act.tail.map_or_else(|| "all lines".to_owned(), |tail| format!("the last {tail} lines"));
    let since = match &act.since {
        None => String::new(),
        Some(Since::Ago(ago)) => format!(" of the last {}", crate::expr::Duration(signed(*ago))),
        Some(Since::Time(time)) => format!(" since {time}"),
    };
    format!("{lines}{since} of {file}")
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

impl LogAct {
    /// The command that prints the lines; none for a file of this machine.
    #[must_use]
    pub fn command(&self) -> Option<&CommandAct> {
        match &self.source {
            LogSourceAct::File(_) => None,
            LogSourceAct::Journal(command) | LogSourceAct::FileThere(command) => Some(command),
            LogSourceAct::Kubectl { command, .. } => Some(&command.command),
        }
    }
}
