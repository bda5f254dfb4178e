//! `answer`: decisions left for the process that has a run, or will have it.

use super::arguments::AnswerArguments;
use super::exit::Exit;
use super::failure::CommandError;
use super::person::operator;
use super::recorded::Read;
use super::session::Session;
use crate::engine::{History, InboxDecision, answer_fits};
use crate::event::{Actor, AnswerKind, Event, Record, Settlement, StepPath};
use crate::report::sanitize::visible;
use crate::runbook::{Action, Kind, Question, StepBody};
use crate::store::{RunState, Store};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// An end is final: nothing is answered after it.
pub(super) fn end_is_final(store: &Store, read: &Read) -> Result<(), CommandError> {
    if let RunState::Ended(result) = store.summary(&read.id)?.state {
        let word = super::list::result_word(result);
        return Err(CommandError::usage(format!("run `{}` has ended: {word}", read.id), "an end is final"));
    }
    Ok(())
}

/// Answers a question or a decision.
pub(super) fn answer(session: &Session, arguments: &AnswerArguments) -> Result<Exit, CommandError> {
    let store = session.store()?;
    let read = Read::run(&store, &arguments.run)?;
    end_is_final(&store, &read)?;
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
        signed: None,
    };
    leave(session, &store, &read, &decision)
}

/// Whether the step is there, still open, and asks for what is answered. The type of an answer is the run's business.
fn check_answer(read: &Read, arguments: &AnswerArguments) -> Result<(), CommandError> {
    let step = &arguments.step;
    if is_unseen(&read.transcript.records, step) && arguments.choose.is_none() {
        return check_settlement(arguments);
    }
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
            arguments.values.iter().try_for_each(|(name, text)| {
                one_of("question", name, known.clone())?;
                let question = ask.questions.get(name.as_str());
                match question.and_then(|question| question.kind) {
                    Some(kind) => answer_fits(name, kind, text)
                        .map_err(|why| CommandError::usage(why, "the question is still open")),
                    None => Ok(()),
                }
            })
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

/// Whether a change of this step, or of an item of its list, or what takes it back, was begun and its end is not on
/// record.
fn is_unseen(records: &[Record], step: &str) -> bool {
    let item = format!("{step}[");
    let mut unseen = BTreeSet::new();
    for record in records {
        let Some(StepPath(path)) = &record.step else { continue };
        let of = path.strip_suffix("/undo").unwrap_or(path);
        match &record.event {
            Event::AttemptStarted { change: true, .. } if path == step || of == step || of.starts_with(&item) => {
                unseen.insert(path);
            }
            Event::StepEnded { .. } | Event::StepSkipped { .. } => {
                unseen.remove(path);
            }
            _ => {}
        }
    }
    !unseen.is_empty()
}

/// What became of a change is said in one word, and how that is known.
fn check_settlement(arguments: &AnswerArguments) -> Result<(), CommandError> {
    let words = || Settlement::ALL.into_iter().map(Settlement::as_str);
    let [(name, word)] = arguments.values.as_slice() else {
        let words: Vec<&str> = words().collect();
        return Err(CommandError::usage(
            format!("what became of step `{}` is one answer", arguments.step),
            format!("say result=WORD, one of {}, and --reason", words.join(", ")),
        ));
    };
    one_of("answer", name, ["result"].into_iter())?;
    one_of("result", word, words())?;
    if arguments.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
        return Err(CommandError::usage(
            format!("nobody saw how step `{}` ended, so it must be said how it is known", arguments.step),
            "say --reason 'what you looked at'",
        ));
    }
    Ok(())
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

/// Leaves a decision, and tells what came of it: at once where a process has the run, else how it is taken up.
pub(super) fn leave(
    session: &Session,
    store: &Store,
    read: &Read,
    decision: &InboxDecision,
) -> Result<Exit, CommandError> {
    store.leave(&read.id, decision)?;
    let word = match decision.answer {
        Some(AnswerKind::Declined) => "declined",
        Some(AnswerKind::Skipped) => "skipped",
        Some(_) => "approved",
        None => "answered",
    };
    let (run, step) = (&read.id, &decision.step);
    let who = visible(&decision.by.name);
    if !store.is_live(run) {
        session.console.say(&format!(
            "left for `{step}` of {run}: {word} by {who}, good for an hour
             no process has this run now; this takes it up: runwright resume {run}\n"
        ));
        return Ok(Exit::Done);
    }
    let (text, exit) = match taken_up(store, read, decision)? {
        None => (format!("left for `{step}` of {run}: {word} by {who}; its process takes it up"), Exit::Done),
        Some(Came::Counts) => (format!("{word} by {who}: `{step}` of {run}"), Exit::Done),
        Some(Came::CountsTowards(waits)) => {
            (format!("approved by {who}: `{step}` of {run} still waits for {}", visible(&waits)), Exit::Done)
        }
        Some(Came::Before(other)) => {
            (format!("not used: `{step}` of {run} was {} before", visible(&other)), Exit::Declined)
        }
        Some(Came::NotUsed(why)) => (format!("not used: {}", visible(&why)), Exit::Declined),
    };
    session.console.say(&format!("{text}\n"));
    Ok(exit)
}

/// What came of a decision.
enum Came {
    /// The gate is answered by it.
    Counts,
    /// It counts, and the gate waits for more.
    CountsTowards(String),
    /// The gate was answered before, and how.
    Before(String),
    /// It was refused.
    NotUsed(String),
}

/// What came of the gate, as the record says; nothing when its process has not answered within a few seconds.
fn taken_up(store: &Store, read: &Read, decision: &InboxDecision) -> Result<Option<Came>, CommandError> {
    if decision.digest.is_empty() {
        return Ok(None);
    }
    let seen = read.transcript.records.len();
    for _ in 0..30 {
        let records = store.read(&read.id)?.records;
        let new = records.get(seen..).unwrap_or_default();
        if let Some(came) = came(new, &records, decision) {
            return Ok(Some(came));
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Ok(None)
}

fn came(new: &[Record], all: &[Record], decision: &InboxDecision) -> Option<Came> {
    let is_mine = |actor: &Actor| matches!(actor, Actor::Person(person) if person.name == decision.by.name);
    let answered = new.iter().rev().find_map(|record| match &record.event {
        Event::GateAnswered { digest, answer, .. } if *digest == decision.digest => {
            let mine = Some(answer.answer) == decision.answer && is_mine(&record.actor);
            Some(if mine { Came::Counts } else { Came::Before(other_answer(answer.answer, &record.actor)) })
        }
        _ => None,
    });
    let approved = || {
        new.iter().find_map(|record| match &record.event {
            Event::GateApproved { digest, .. } if *digest == decision.digest && is_mine(&record.actor) => {
                let history = History::of(all).ok()?;
                let tally = history.steps.get(&decision.step)?.tally.as_ref()?;
                Some(Came::CountsTowards(tally.waits_for(Timestamp::now()).unwrap_or_default()))
            }
            _ => None,
        })
    };
    let start = format!("an answer of {} for `{}` was not used: ", decision.by.name, decision.step);
    let refused = || {
        new.iter().find_map(|record| match &record.event {
            Event::Deviated { text } => text.strip_prefix(&start).map(|why| Came::NotUsed(why.to_owned())),
            _ => None,
        })
    };
    answered.or_else(approved).or_else(refused)
}

fn other_answer(answer: AnswerKind, actor: &Actor) -> String {
    let word = match answer {
        AnswerKind::Approved => "approved",
        AnswerKind::Declined => "declined",
        AnswerKind::Skipped => "skipped",
        AnswerKind::Expired => "expired",
        AnswerKind::Voided => "void",
    };
    match actor {
        Actor::Person(person) => format!("{word} by {}", person.name),
        Actor::Runwright => word.to_owned(),
    }
}
