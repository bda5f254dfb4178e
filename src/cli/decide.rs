//! `approve` and `answer`: decisions left for the process that has a run.

use super::arguments::{AnswerArguments, ApproveArguments};
use super::console::Console;
use super::exit::Exit;
use super::failure::CommandError;
use super::person::{operator, typed_line};
use super::recorded::Read;
use super::session::Session;
use crate::engine::InboxDecision;
use crate::event::{Actor, AnswerKind, CardView, Event, GateRequirement, Record, StepPath};
use crate::report::{CardFrame, card};
use crate::runbook::{Action, Kind, Question, StepBody};
use crate::store::{RunState, Store};
use indexmap::IndexMap;
use jiff::Timestamp;

/// A gate that is open.
struct OpenGate<'r> {
    digest: &'r str,
    expires: Timestamp,
    card: &'r CardView,
}

/// Answers a gate, after showing its card.
pub(super) fn approve(session: &Session, arguments: &ApproveArguments) -> Result<Exit, CommandError> {
    let store = session.store()?;
    let read = Read::run(&store, &arguments.run)?;
    let step = StepPath(arguments.step.clone());
    refuse_idle(&store, &read)?;
    let gates = open_gates(&read.transcript.records);
    let Some(gate) = gates.get(&step) else { return Err(no_gate(&read, &step, gates.keys())) };
    let info = read.steps.find(&step);
    let left = gate.expires.duration_since(Timestamp::now()).as_millis();
    let may_skip = !is_required(&read, &step);
    let frame = CardFrame {
        step: &info,
        card: gate.card,
        digest: gate.digest,
        good_for_ms: u64::try_from(left).unwrap_or(0),
        may_skip,
        answers: false,
    };
    session.console.say_lines(&card(&frame, &session.console.error_style()));
    let answer = if arguments.deny {
        AnswerKind::Declined
    } else if arguments.skip {
        if !may_skip {
            return Err(CommandError::usage(format!("step `{step}` is required and cannot be left out"), "say --deny"));
        }
        AnswerKind::Skipped
    } else if agrees(session, arguments, gate)? {
        AnswerKind::Approved
    } else {
        session.console.say("nothing was answered: the gate is still open\n");
        return Ok(Exit::Declined);
    };
    let decision = InboxDecision {
        step,
        digest: gate.digest.to_owned(),
        answer: Some(answer),
        chosen: None,
        values: IndexMap::new(),
        reason: arguments.reason.clone(),
        by: operator(arguments.as_name.as_deref()),
        at: Timestamp::now(),
    };
    leave(session, &store, &read, &decision)
}

/// Whether the person says yes to exactly this card: by its digest, or at the terminal.
fn agrees(session: &Session, arguments: &ApproveArguments, gate: &OpenGate<'_>) -> Result<bool, CommandError> {
    if let Some(digest) = &arguments.digest {
        if gate.digest.starts_with(digest.as_str()) {
            return Ok(true);
        }
        let message = format!("the digest on the card is {}, not {digest}", short(gate.digest));
        return Err(CommandError::usage(
            message,
            "the facts have moved, or it is another step: look at the card above",
        ));
    }
    if !Console::has_person() {
        return Err(CommandError::usage(
            "there is no terminal to answer at",
            format!("name the digest on the card: --digest {}", short(gate.digest)),
        ));
    }
    Ok(match &gate.card.requires {
        GateRequirement::Confirm => {
            session.console.say("answer yes? [y/N] ");
            typed_line().is_some_and(|line| matches!(line.trim(), "y" | "yes"))
        }
        GateRequirement::Type { text, what } => {
            let what = crate::report::sanitize::visible(what);
            session.console.say(&format!("type {what} to say yes: "));
            typed_line().is_some_and(|line| line.trim() == text.trim())
        }
    })
}

fn short(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}

/// The gates that were opened and not answered, by step, the latest opening of each.
fn open_gates(records: &[Record]) -> IndexMap<StepPath, OpenGate<'_>> {
    let mut open = IndexMap::new();
    for record in records {
        let Some(step) = &record.step else { continue };
        match &record.event {
            Event::GateOpened { digest, expires, card, .. } => {
                open.insert(step.clone(), OpenGate { digest, expires: *expires, card });
            }
            Event::GateAnswered { .. } | Event::StepEnded { .. } | Event::StepSkipped { .. } => {
                open.shift_remove(step);
            }
            _ => {}
        }
    }
    open
}

fn is_required(read: &Read, step: &StepPath) -> bool {
    let graph = read.graph.as_ref();
    graph.and_then(|graph| graph.at_path(&step.0)).is_some_and(|node| node.step.required)
}

/// An answer is taken up only by a process that has the run.
fn refuse_idle(store: &Store, read: &Read) -> Result<(), CommandError> {
    if let RunState::Ended(result) = store.summary(&read.id)?.state {
        let word = super::list::result_word(result);
        return Err(CommandError::usage(format!("run `{}` has ended: {word}", read.id), "an end is final"));
    }
    if store.is_live(&read.id) {
        return Ok(());
    }
    Err(CommandError::usage(
        format!("no process has run `{}` now, so nobody would take the answer up", read.id),
        "start the runbook anew at a terminal, with --answers, or with --park-after 30m, and answer it while it waits",
    ))
}

fn no_gate<'r>(read: &Read, step: &StepPath, open: impl Iterator<Item = &'r StepPath>) -> CommandError {
    let open: Vec<String> = open.map(ToString::to_string).collect();
    let hint = match open.as_slice() {
        [] => "no gate is open in this run".to_owned(),
        steps => format!("gates are open at {}", steps.join(", ")),
    };
    CommandError::usage(format!("no gate of step `{step}` is open in run `{}`", read.id), hint)
}

/// Answers a question or a decision.
pub(super) fn answer(session: &Session, arguments: &AnswerArguments) -> Result<Exit, CommandError> {
    let store = session.store()?;
    let read = Read::run(&store, &arguments.run)?;
    refuse_idle(&store, &read)?;
    check_answer(&read, arguments)?;
    let values = arguments.values.iter().map(|(name, text)| (name.clone(), serde_json::Value::from(text.clone())));
    let decision = InboxDecision {
        step: StepPath(arguments.step.clone()),
        digest: String::new(),
        answer: None,
        chosen: arguments.choose.clone(),
        values: values.collect(),
        reason: arguments.reason.clone(),
        by: operator(arguments.as_name.as_deref()),
        at: Timestamp::now(),
    };
    leave(session, &store, &read, &decision)
}

/// Whether the step is there, still open, and asks for what is answered. The type of an answer is the run's business.
fn check_answer(read: &Read, arguments: &AnswerArguments) -> Result<(), CommandError> {
    let step = &arguments.step;
    let Some(graph) = &read.graph else { return Ok(()) };
    let Some(node) = graph.at_path(step) else {
        let asking = graph.outline().into_iter().filter(|place| is_asking(&place.node().step)).map(|place| place.path);
        let asking: Vec<String> = asking.collect();
        return Err(CommandError::usage(
            format!("run `{}` has no step `{step}`", read.id),
            format!("steps that a person answers: {}", asking.join(", ")),
        ));
    };
    let path = StepPath(step.clone());
    let is_over = read.transcript.records.iter().any(|record| {
        record.step.as_ref() == Some(&path)
            && match &record.event {
                Event::StepEnded { .. } | Event::StepSkipped { .. } => true,
                // A `when` that is settled leaves the step itself open.
                Event::Decided { options, .. } => !options.is_empty(),
                _ => false,
            }
    });
    if is_over {
        return Err(CommandError::usage(format!("step `{step}` is settled already"), "an answer comes once"));
    }
    match (&node.step.body, &arguments.choose) {
        (StepBody::Decide(decide), Some(option)) => {
            let otherwise = decide.otherwise.iter().map(|_| "otherwise");
            one_of("option", option, decide.options.keys().map(|name| name.value.as_str()).chain(otherwise))
        }
        // What is answered with values is whether it is decided at all.
        (StepBody::Decide(_), None)
            if node.step.when.is_some() && arguments.values.iter().all(|(name, _)| name == "perform") =>
        {
            Ok(())
        }
        (StepBody::Decide(_), None) => {
            Err(CommandError::usage(format!("step `{step}` is a decision"), "say --choose OPTION"))
        }
        (StepBody::Action(Action::Ask(ask)), None) if ask.questions.values().any(Question::is_secret) => {
            Err(CommandError::usage(
                format!("step `{step}` asks for a secret, and an answer from elsewhere stands in a file on its way"),
                "answer it at the terminal of the run",
            ))
        }
        (StepBody::Action(Action::Ask(ask)), None) => {
            let asked = ask.questions.keys().map(|name| name.value.as_str());
            let known = asked.chain(node.step.when.is_some().then_some("perform"));
            arguments.values.iter().try_for_each(|(name, _)| one_of("question", name, known.clone()))
        }
        (StepBody::Action(Action::Manual(_) | Action::Interactive(_)), None) => {
            let known = ["result"].into_iter().chain(node.step.when.is_some().then_some("perform"));
            arguments.values.iter().try_for_each(|(name, _)| one_of("answer", name, known.clone()))
        }
        (_, None) if node.step.when.is_some() => {
            arguments.values.iter().try_for_each(|(name, _)| one_of("answer", name, ["perform"].into_iter()))
        }
        _ => Err(CommandError::usage(
            format!("step `{step}` does not ask that"),
            "questions take NAME=VALUE, decisions --choose OPTION, work by hand result=done, gates `runwright approve`",
        )),
    }
}

fn is_asking(step: &crate::runbook::Step) -> bool {
    step.kind == Kind::Decide
        || step.when.is_some()
        || matches!(step.body, StepBody::Action(Action::Ask(_) | Action::Manual(_) | Action::Interactive(_)))
}

fn one_of<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Result<(), CommandError> {
    let known: Vec<&str> = known.collect();
    if known.contains(&name) {
        return Ok(());
    }
    Err(CommandError::usage(format!("there is no {what} `{name}`"), format!("there are {}", known.join(", "))))
}

fn leave(session: &Session, store: &Store, read: &Read, decision: &InboxDecision) -> Result<Exit, CommandError> {
    store.leave(&read.id, decision)?;
    let word = match decision.answer {
        Some(AnswerKind::Declined) => "declined",
        Some(AnswerKind::Skipped) => "skipped",
        Some(_) => "approved",
        None => "answered",
    };
    let who = crate::report::sanitize::visible(&decision.by.name);
    let Some((answer, actor)) = taken_up(store, read, decision)? else {
        let step = &decision.step;
        session.console.say(&format!("left for `{step}` of {}: {word} by {who}; its process takes it up\n", read.id));
        return Ok(Exit::Done);
    };
    let counts =
        Some(answer) == decision.answer && matches!(&actor, Actor::Person(person) if person.name == decision.by.name);
    if counts {
        session.console.say(&format!("{word} by {who}: `{}` of {}\n", decision.step, read.id));
        return Ok(Exit::Done);
    }
    let other = match answer {
        AnswerKind::Approved => "approved",
        AnswerKind::Declined => "declined",
        AnswerKind::Skipped => "skipped",
        AnswerKind::Expired => "expired",
        AnswerKind::Voided => "void",
    };
    let by = match &actor {
        Actor::Person(person) => format!(" by {}", crate::report::sanitize::visible(&person.name)),
        Actor::Runwright => String::new(),
    };
    session.console.say(&format!("not used: `{}` of {} was {other}{by} before\n", decision.step, read.id));
    Ok(Exit::Declined)
}

/// What came of the gate, as the record says; nothing when its process has not answered within a few seconds.
fn taken_up(store: &Store, read: &Read, decision: &InboxDecision) -> Result<Option<(AnswerKind, Actor)>, CommandError> {
    if decision.digest.is_empty() {
        return Ok(None);
    }
    for _ in 0..30 {
        let transcript = store.read(&read.id)?;
        let found = transcript.records.iter().rev().find_map(|record| match &record.event {
            Event::GateAnswered { digest, answer, .. } if *digest == decision.digest => {
                Some((answer.answer, record.actor.clone()))
            }
            _ => None,
        });
        if found.is_some() {
            return Ok(found);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Ok(None)
}
