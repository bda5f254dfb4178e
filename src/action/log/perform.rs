//! One look at a log.

#![expect(clippy::disallowed_methods, reason = "`since` is told back from now, and the look takes its time")]

use super::file::{self, Halt};
use super::filter::Filter;
use super::gather::{Gather, Gathered};
use super::intake::{Form, Intake};
use super::stamp::Stamps;
use super::tap::Tap;
use super::window::Window;
use crate::action::call::Call;
use crate::action::environment::absolute;
use crate::action::outcome::{Refusal, cancelled_before_start, classified, failed, known, one_line, span};
use crate::action::process::Workshop;
use crate::engine::{AttemptContext, Cancel, Evidence, Performed};
use crate::event::{ErrorClass, EvidenceRef, Outcome};
use crate::expr::{Rendered, Value};
use crate::plan::{LogAct, LogSourceAct, Since};
use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the machine says when it has no journal, and when it shows only a part of it: with no line found, both would
/// pass for a quiet log.
const NO_JOURNAL: &str = "No journal files were";
const PART_OF_IT: &str = "You are currently not seeing messages from";

/// Looks through a log once. No line that is found is a success with `count` 0.
pub(in crate::action) async fn perform(act: LogAct, context: AttemptContext, workshop: Arc<Workshop>) -> Performed {
    if context.cancel.is_cancelled() {
        return cancelled_before_start();
    }
    let began = Instant::now();
    let evidence = Arc::clone(&context.evidence);
    let intake = match intake(&act, &context) {
        Ok(intake) => intake,
        Err(refusal) => return refusal.report(&*evidence),
    };
    let mut performed = match &act.source {
        LogSourceAct::File(file) => here(file, act.tail, intake, context).await,
        LogSourceAct::Journal(command) | LogSourceAct::FileThere(command) => {
            by_call(Call::Command(command.clone()), intake, context, workshop).await
        }
        LogSourceAct::Kubectl { command, .. } => {
            by_call(Call::Kubectl(command.clone()), intake, context, workshop).await
        }
    };
    performed.fields.insert("elapsed".to_owned(), Value::from(began.elapsed().as_secs_f64()));
    performed
}

fn intake(act: &LogAct, context: &AttemptContext) -> Result<Intake, Refusal> {
    let patterns = |list: &[Rendered], key: &str| -> Result<Vec<String>, Refusal> {
        list.iter().map(|pattern| known(pattern, &format!("a pattern of `{key}`"))).collect()
    };
    let filter = Filter::new(&patterns(&act.include, "include")?, &patterns(&act.exclude, "exclude")?)?;
    let gather = Gather::new(filter, context).map_err(|error| {
        Refusal::new(ErrorClass::System, format!("the lines that are found cannot be kept: {error}"))
    })?;
    let now = Timestamp::now();
    let form = match &act.source {
        LogSourceAct::Journal(_) => Form::Journal,
        LogSourceAct::Kubectl { has_prefix, .. } => Form::Pods { has_prefix: *has_prefix },
        LogSourceAct::File(_) | LogSourceAct::FileThere(_) => {
            let since = act.since.as_ref().map(|since| moment(since, now));
            Form::Lines(Window::new(since, Stamps::new(now, TimeZone::system())))
        }
    };
    Ok(Intake::new(form, gather))
}

fn moment(since: &Since, now: Timestamp) -> Timestamp {
    match since {
        Since::Time(time) => *time,
        Since::Ago(ago) => now.checked_sub(*ago).unwrap_or(Timestamp::MIN),
    }
}

/// A file of this machine.
async fn here(file: &Rendered, tail: Option<u64>, intake: Intake, context: AttemptContext) -> Performed {
    let AttemptContext { evidence, cancel, timeout, .. } = context;
    let path = match known(file, "the file") {
        Ok(path) => absolute(Path::new(&path)),
        Err(refusal) => return refusal.report(&*evidence),
    };
    let stop = cancel.child_token();
    let (kept, told) = (Arc::clone(&evidence), stop.clone());
    let work = tokio::task::spawn_blocking(move || read(&path, tail, intake, &told, timeout, &*kept));
    // A disk may hang; whoever reads then looks at `stop` as soon as it can.
    match tokio::time::timeout(timeout.saturating_add(LATE), work).await {
        Ok(Ok(performed)) => performed,
        Ok(Err(error)) => failed(ErrorClass::System, &evidence.mask(&error.to_string())),
        Err(_) => {
            stop.cancel();
            timed_out(timeout)
        }
    }
}

/// How long a reader may take to notice that its time is over.
const LATE: Duration = Duration::from_secs(2);

fn read(
    path: &Path,
    tail: Option<u64>,
    mut intake: Intake,
    cancel: &Cancel,
    timeout: Duration,
    evidence: &dyn Evidence,
) -> Performed {
    let deadline = Instant::now().checked_add(timeout);
    let stop = || cancel.is_cancelled() || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let ended = file::read(path, tail, &stop, &mut intake);
    let found = intake.finish(&format!("`{}`", path.display()));
    match ended {
        Ok(()) => report(found, Vec::new(), evidence),
        Err(Halt::Refused(refusal)) => refusal.report(evidence),
        Err(Halt::Stopped) if cancel.is_cancelled() => {
            let stopped = failed(ErrorClass::Cancelled, "it was stopped while the log was read");
            Performed { outcome: Outcome::Cancelled, ..stopped }
        }
        Err(Halt::Stopped) => timed_out(timeout),
    }
}

fn timed_out(timeout: Duration) -> Performed {
    let message = format!("the log was not read to its end within {}; `tail` looks at less", span(timeout));
    Performed { outcome: Outcome::TimedOut, ..failed(ErrorClass::Timeout, &message) }
}

/// A program whose standard output is the log.
async fn by_call(call: Call, intake: Intake, context: AttemptContext, workshop: Arc<Workshop>) -> Performed {
    let evidence = Arc::clone(&context.evidence);
    let what = format!("what `{}` gives", call.program());
    let tap = Arc::new(Tap::new(Arc::clone(&evidence), intake));
    let context = AttemptContext { evidence: Arc::clone(&tap) as Arc<dyn Evidence>, live: None, ..context };
    let ran = call.perform(context, workshop).await;
    let Some((gathered, usable)) = tap.finish(&what) else {
        return failed(ErrorClass::System, "the lines that were found are gone");
    };
    let said = ran.fields.get("stderr").and_then(Value::as_str).unwrap_or_default().to_owned();
    let beside = Tap::beside(ran.evidence);
    if ran.outcome != Outcome::Succeeded {
        let error = ran.error.map(|error| classified(error, &said));
        let (fields, evidence) = (gathered.fields, joined(gathered.evidence, beside));
        return Performed { outcome: ran.outcome, error, message: ran.message, fields, evidence, left: ran.left };
    }
    let usable = usable.and_then(|()| whole(&said));
    Performed { left: ran.left, ..report((gathered, usable), beside, &*evidence) }
}

/// # Errors
/// The program says that it has not seen the whole log.
fn whole(said: &str) -> Result<(), Refusal> {
    if said.contains(NO_JOURNAL) {
        let message = "there are no files of the journal there: what was logged is not known";
        return Err(Refusal::new(ErrorClass::NotFound, message));
    }
    if said.contains(PART_OF_IT) {
        let message = "this user sees only his own part of the journal; an administrator may add him to the group                        `systemd-journal`";
        return Err(Refusal::new(ErrorClass::Denied, message));
    }
    Ok(())
}

fn report(
    (gathered, usable): (Gathered, Result<(), Refusal>),
    beside: Vec<EvidenceRef>,
    evidence: &dyn Evidence,
) -> Performed {
    let references = joined(gathered.evidence, beside);
    if let Err(refusal) = usable {
        return Performed { evidence: references, fields: gathered.fields, ..refusal.report(evidence) };
    }
    let message = gathered.trouble.map(|trouble| one_line(&format!("the lines were not kept: {trouble}")));
    let fields: IndexMap<String, Value> = gathered.fields;
    Performed { outcome: Outcome::Succeeded, error: None, message, fields, evidence: references, left: Vec::new() }
}

fn joined(lines: Option<EvidenceRef>, beside: Vec<EvidenceRef>) -> Vec<EvidenceRef> {
    lines.into_iter().chain(beside).collect()
}
