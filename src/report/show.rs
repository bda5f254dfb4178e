//! A recorded run as text and as JSON.

use super::changes::Became;
use super::closing::Closing;
use super::commands::Commands;
use super::live::{LiveScreen, ScreenOptions};
use super::sanitize::json_text;
use super::steps::StepTable;
use super::story::{DecisionStory, GateStory, StepStory, Story};
use super::style::Style;
use super::value::to_json;
use crate::event::{Actor, CheckView, Event, Operator, Record, Settlement, StepPath, StoredValue, UsedView};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};

/// A recorded run, open or over, and what was said about it afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Its transcript, from the first record on.
    pub records: &'a [Record],
    /// Its steps.
    pub steps: &'a StepTable,
    /// Findings kept beside the sealed record, or of a check of the record; one line each.
    pub findings: &'a [String],
    /// The head of a sealed record, in hex.
    pub head: Option<&'a str>,
    /// Whether a process has the run right now.
    pub live: bool,
    /// What the commands need that are printed to be pasted.
    pub commands: &'a Commands,
}

/// The run as text: the blocks of the screen, each with the time of day.
#[must_use]
pub fn show_text(run: &Recorded<'_>, style: &Style) -> Vec<String> {
    let screen = LiveScreen::new(*style, run.steps.clone(), ScreenOptions::RECORDED);
    let mut screen = screen.with_commands(run.commands.clone());
    let mut out: Vec<String> = run.records.iter().flat_map(|record| screen.fold(record)).collect();
    let story = Story::of(run.records, run.steps);
    if let Some(last) = story.last.filter(|_| story.state() == "INCOMPLETE" || run.live) {
        out.push(String::new());
        if run.live {
            out.push("RUNNING  a process has the run; this is how far its record goes".to_owned());
        } else {
            out.extend(screen.left(last.time).interrupted(style));
        }
    }
    if let Some(head) = run.head {
        out.extend(screen.sealed(head));
    }
    for finding in run.findings {
        out.extend(super::layout::labelled(style, 12, "finding", "  ", &style.text(finding)));
    }
    out
}

/// The run as one JSON document; see [`show_json_value`].
#[must_use]
pub fn show_json(run: &Recorded<'_>) -> String {
    json_text(&show_json_value(run))
}

/// The run as JSON: `run`, `state`, `live`, `result`, `waiting`, `targets`, `steps`, `gates`, `decisions`, `answers`,
/// `settled`, `aborted`, `open` (changes that stand), `marks` and the `spans` between them, `left` and `resumed`,
/// `clock_moved`, `notes`, `deviations`, `findings`. Times are RFC 3339, spans are milliseconds.
#[must_use]
pub fn show_json_value(run: &Recorded<'_>) -> Json {
    let story = Story::of(run.records, run.steps);
    let targets = |(name, (address, identity, time)): (&&str, &(&str, Option<&str>, jiff::Timestamp))| json!({ "target": name, "address": address, "identity": identity, "proven": time.to_string() });
    let answers = |(record, values): &(&Record, &IndexMap<String, StoredValue>)| {
        json!({
            "step": record.step.as_ref().map(|step| &step.0), "time": record.time.to_string(),
            "by": actor(&record.actor), "values": values_json(values),
        })
    };
    let notes = |(record, text): &(&Record, &str)| json!({ "time": record.time.to_string(), "by": actor(&record.actor), "text": text });
    let deviations = |(time, text): &(jiff::Timestamp, String)| json!({ "time": time.to_string(), "text": text });
    json!({
        "run": head(&story, run.head),
        "state": story.state().to_lowercase().replace(' ', "_"),
        "live": run.live,
        "result": result(&story),
        "waiting": waiting(&story),
        "escalated": story.escalated.map(|(to, text)| json!({ "to": to, "text": text })),
        "targets": story.targets.iter().map(targets).collect::<Vec<_>>(),
        "steps": story.steps.iter().map(|(path, step)| step_json(path, step)).collect::<Vec<_>>(),
        "gates": story.gates.iter().map(gate).collect::<Vec<_>>(),
        "decisions": story.decisions.iter().map(decision).collect::<Vec<_>>(),
        "answers": story.answers.iter().map(answers).collect::<Vec<_>>(),
        "settled": settled(&story),
        "aborted": story.aborted.map(|(record, reason)| json!({ "time": record.time.to_string(), "by": actor(&record.actor), "reason": reason })),
        "open": open(&story),
        "marks": marks(&story),
        "spans": spans(&story),
        "left": left(&story),
        "resumed": resumed(&story),
        "clock_moved": story.clock_moved.iter().map(|(time, ms)| json!({ "time": time.to_string(), "by_ms": ms })).collect::<Vec<_>>(),
        "notes": story.notes.iter().map(notes).collect::<Vec<_>>(),
        "deviations": story.deviations.all().iter().map(deviations).collect::<Vec<_>>(),
        "findings": run.findings,
    })
}

fn head(story: &Story<'_>, seal: Option<&str>) -> Json {
    let Some(record) = story.started else { return Json::Null };
    let Event::RunStarted {
        run,
        version,
        mode,
        runbook,
        title,
        file,
        digest,
        library,
        environment,
        production,
        operator,
        host,
        inputs,
        programs,
        warnings,
        undo_of,
        ..
    } = &record.event
    else {
        return Json::Null;
    };
    let input = |input: &crate::event::InputView| json!({ "name": input.name, "value": to_json(&input.value), "source": input.source });
    json!({
        "id": run.as_str(), "version": version, "mode": mode, "runbook": runbook, "title": title, "file": file,
        "digest": digest, "library": library, "environment": environment, "production": production,
        "operator": person(operator), "host": host, "started": record.time.to_string(),
        "inputs": inputs.iter().map(input).collect::<Vec<_>>(), "programs": programs, "warnings": warnings, "undo_of": undo_of,
        "head": seal,
    })
}

fn result(story: &Story<'_>) -> Json {
    let Some(end) = story.end.and_then(Closing::of) else { return Json::Null };
    let count = |of| story.changes.count(of);
    json!({
        "result": end.result, "ended": end.time.to_string(), "elapsed_ms": end.elapsed_ms, "waited_ms": end.waited_ms,
        "ran_to_end": end.ran_to_end, "reasons": end.reasons, "validations": end.validations, "holds": end.holds,
        "changes": end.changes,
        "changes_by_outcome": {
            "done": count(Became::Done), "taken_back": count(Became::TakenBack), "failed": count(Became::Failed),
            "unknown": count(Became::Unknown),
        },
        "open_changes": end.open_changes, "cleaned_up": end.cleaned_up, "outputs": values_json(end.outputs),
    })
}

/// What stands, or may stand, at the end of the record.
fn open(story: &Story<'_>) -> Json {
    let Some(last) = story.last else { return json!([]) };
    let open = story.changes.standing(last.time).map(|(path, change)| {
        json!({
            "step": path.0, "title": change.title, "act": change.act, "undo": change.undo,
            "irreversible": change.irreversible, "until": change.until.map(|until| until.to_string()),
            "temporary": change.temporary, "known": change.became() != Became::Unknown,
            "not_taken_back": change.not_taken_back(),
        })
    });
    open.collect()
}

fn marks(story: &Story<'_>) -> Json {
    let current = story.marks.current();
    let all = story.marks.all().iter().map(|said| {
        let counts = current.iter().any(|one| std::ptr::eq(*one, said));
        json!({
            "mark": said.mark, "at": said.at.to_string(), "text": said.text, "by": actor(&said.by),
            "noted": said.noted.to_string(), "counts": counts,
        })
    });
    all.collect()
}

fn spans(story: &Story<'_>) -> Json {
    let spans = story.marks.spans().into_iter();
    spans.map(|(from, to, ms)| json!({ "from": from, "to": to, "ms": ms })).collect()
}

/// Each time that a process took the run up.
fn resumed(story: &Story<'_>) -> Json {
    let one = |(record, left): &(&Record, Option<jiff::Timestamp>)| {
        let Event::RunResumed(resumption) = &record.event else { return Json::Null };
        json!({
            "time": record.time.to_string(), "left": left.map(|left| left.to_string()),
            "operator": person(&resumption.operator), "host": resumption.host, "version": resumption.version,
            "moved_from": resumption.moved_from, "reason": resumption.reason, "torn": resumption.torn,
            "runbook": resumption.runbook.as_ref().map(|runbook| &runbook.digest), "refresh": resumption.refresh,
        })
    };
    story.resumed.iter().map(one).collect()
}

/// Each time that a process let go of the run without ending it.
fn left(story: &Story<'_>) -> Json {
    let one = |record: &&Record| match &record.event {
        Event::RunSuspended { reason } => {
            json!({ "time": record.time.to_string(), "how": "suspended", "reason": reason })
        }
        _ => json!({ "time": record.time.to_string(), "how": "parked" }),
    };
    story.left.iter().map(one).collect()
}

fn settled(story: &Story<'_>) -> Json {
    let one = |(record, settlement, reason): &(&Record, Settlement, &str)| {
        json!({
            "step": record.step.as_ref().map(|step| &step.0), "time": record.time.to_string(),
            "settlement": settlement, "reason": reason, "by": actor(&record.actor),
        })
    };
    story.settled.iter().map(one).collect()
}

fn waiting(story: &Story<'_>) -> Json {
    match story.last.map(|record| &record.event) {
        Some(Event::RunParked { waiting }) => json!(waiting),
        _ => json!([]),
    }
}

fn step_json(path: &StepPath, step: &StepStory<'_>) -> Json {
    let evidence = |(attempt, kept): &(u32, &crate::event::EvidenceRef)| json!({ "attempt": attempt, "stream": kept.stream, "size": kept.size, "sha256": kept.sha256, "cut": kept.cut });
    json!({
        "step": path.0, "kind": step.info.kind, "title": step.title(),
        "outcome": step.outcome, "verdict": step.verdict, "handled": step.handled, "change": step.change,
        "started": step.began.map(|record| record.time.to_string()),
        "ended": step.ended.map(|record| record.time.to_string()),
        "took_ms": step.took_ms(), "attempts": step.attempts, "act": step.act,
        "captures": step.captures.map(values_json), "checks": step.checks.iter().map(check).collect::<Vec<_>>(),
        "shown": used(step.shown), "reason": step.reason, "error": step.error,
        "evidence": step.evidence.iter().map(evidence).collect::<Vec<_>>(),
    })
}

fn gate(gate: &GateStory<'_>) -> Json {
    let answer = gate.answer.map(|(answer, by, time)| {
        json!({
            "answer": answer.answer, "door": answer.door, "reason": answer.reason, "by": actor(by), "time": time.to_string(),
        })
    });
    let approvals = gate.approvals.iter().map(|(approval, by)| json!({ "by": actor(by), "approval": approval }));
    json!({
        "step": gate.step.0, "number": gate.number, "digest": gate.digest, "opened": gate.opened.to_string(),
        "terms": gate.terms, "approvals": approvals.collect::<Vec<_>>(), "answer": answer,
    })
}

fn decision(decision: &DecisionStory<'_>) -> Json {
    let option = |option: &crate::event::OptionView| {
        json!({
            "name": option.name, "title": option.title, "likelihood": option.likelihood, "verdict": option.verdict,
            "expression": option.expression, "used": used(&option.used), "reason": option.reason,
        })
    };
    json!({
        "step": decision.step.0, "time": decision.time.to_string(), "chosen": decision.chosen, "by": decision.by,
        "actor": actor(decision.actor), "reason": decision.reason,
        "shown": used(decision.shown), "options": decision.options.iter().map(option).collect::<Vec<_>>(),
    })
}

fn check(check: &CheckView) -> Json {
    json!({ "expression": check.expression, "verdict": check.verdict, "used": used(&check.used), "reason": check.reason })
}

fn used(values: &[UsedView]) -> Json {
    values.iter().map(|used| json!({ "name": used.name, "value": to_json(&used.value) })).collect()
}

fn values_json(values: &IndexMap<String, StoredValue>) -> Json {
    values.iter().map(|(name, value)| (name.clone(), to_json(value))).collect()
}

fn actor(actor: &Actor) -> Json {
    match actor {
        Actor::Runwright => json!("runwright"),
        Actor::Person(operator) => person(operator),
    }
}

fn person(operator: &Operator) -> Json {
    json!({ "name": operator.name, "identity": operator.identity, "host": operator.host })
}
