//! What an attempt came to, in the words of the run.

use super::answer::no_fields;
use super::conversation::{Conversation, Progress, Stage};
use super::trouble::Trouble;
use crate::action::outcome::{one_line, span};
use crate::engine::{AttemptContext, Performed};
use crate::event::{ErrorClass, EvidenceRef, Outcome};
use crate::plan::SqlAct;
use std::time::Duration;
use tokio_postgres::error::DbError;

/// Why somebody wanted it to end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// Its time was over.
    TimedOut,
    /// The run wants it to end.
    Cancelled,
}

/// How an attempt ended.
pub(super) enum End {
    /// Everything was said and answered.
    Whole,
    /// It ended before a session was open.
    NotBegun(Stop),
    /// Something went wrong.
    Broken(Trouble),
    /// It was stopped, and this is what came of it.
    Stopped(Stop, Trouble),
    /// It was stopped, and the server did not answer.
    Silent(Stop),
}

/// What the act left behind, as far as anybody can know.
enum Effect {
    /// Nothing.
    Nothing,
    /// Nobody knows, or a part of it: why.
    Unknown(String),
}

/// The report of an attempt.
pub(super) fn report(
    conversation: Conversation,
    end: End,
    notices: &[DbError],
    place: &str,
    context: &AttemptContext,
    took: Duration,
) -> Performed {
    let (act, progress) = conversation.into_parts();
    let mut keeper = Keeper { context, evidence: Vec::new(), trouble: None };
    if matches!(end, End::Whole) {
        keeper.keep("rows", progress.answer.table());
    }
    let log = (progress.log.len() > 1).then(|| progress.log.join("\n") + "\n");
    keeper.keep("statements", log);
    let notices: Vec<String> =
        notices.iter().map(|notice| format!("{}: {}\n", notice.severity(), notice.message())).collect();
    keeper.keep("notices", (!notices.is_empty()).then(|| notices.concat()));
    let account = match &end {
        End::Broken(trouble) | End::Stopped(_, trouble) => trouble.account.clone(),
        _ => None,
    };
    keeper.keep("error", account);
    let left = match end {
        End::Silent(_) => vec![format!("a session `runwright {}` at {place} may still be at work", context.marker)],
        _ => Vec::new(),
    };
    let is_whole = matches!(end, End::Whole);
    let (outcome, error, message) = judge(end, &act, &progress, context);
    let kept = keeper.trouble.map(|trouble| format!("not everything was kept: {trouble}"));
    let message: Vec<String> = message.into_iter().chain(kept).collect();
    let message = (!message.is_empty()).then(|| one_line(&context.evidence.mask(&message.join("; "))));
    let fields = if is_whole { progress.answer.fields(took) } else { no_fields(took) };
    Performed { outcome, error, message, fields, evidence: keeper.evidence, left }
}

fn judge(
    end: End,
    act: &SqlAct,
    progress: &Progress,
    context: &AttemptContext,
) -> (Outcome, Option<ErrorClass>, Option<String>) {
    let late = || format!("it was not done within {}", span(context.timeout));
    let (class, mut message, is_answer, stop) = match end {
        End::Whole => return (Outcome::Succeeded, None, None),
        End::NotBegun(stop) => {
            let message = match stop {
                Stop::TimedOut => format!("there was no session within {}", span(context.timeout)),
                Stop::Cancelled => "it was stopped while it connected; nothing was sent".to_owned(),
            };
            (stop.class(), message, true, Some(stop))
        }
        End::Stopped(stop, trouble) if trouble.is_stop() => {
            let message = match stop {
                Stop::TimedOut => format!("{}; the server was told to stop, and did", late()),
                Stop::Cancelled => "it was stopped; the server was told so, and stopped".to_owned(),
            };
            (stop.class(), message, true, Some(stop))
        }
        // What the server said last matters more than that it was told to stop.
        End::Broken(trouble) | End::Stopped(_, trouble) => (trouble.class, trouble.message, trouble.is_answer, None),
        End::Silent(stop) => {
            let message = match stop {
                Stop::TimedOut => format!("{}, and the server does not answer when it is told to stop", late()),
                Stop::Cancelled => "the server does not answer when it is told to stop".to_owned(),
            };
            (stop.class(), message, false, Some(stop))
        }
    };
    let outcome = match (context.change, effect(act, progress, is_answer)) {
        (false, _) => match stop {
            Some(Stop::TimedOut) => Outcome::TimedOut,
            Some(Stop::Cancelled) => Outcome::Cancelled,
            None => Outcome::Failed,
        },
        (true, Effect::Nothing) => {
            if act.transaction && progress.stage != Stage::Quiet {
                message.push_str("; the transaction was not committed, nothing was changed");
            }
            if matches!(stop, Some(Stop::Cancelled)) { Outcome::Cancelled } else { Outcome::Failed }
        }
        (true, Effect::Unknown(why)) => {
            message = format!("{message}; {why}");
            Outcome::Unknown
        }
    };
    (outcome, Some(class), Some(message))
}

/// What a change that did not end well has changed. In a transaction nothing, until its end was asked for; without one
/// whatever is done stands.
fn effect(act: &SqlAct, progress: &Progress, is_answer: bool) -> Effect {
    let count = act.statements.len();
    match progress.stage {
        Stage::Quiet => Effect::Nothing,
        Stage::Committing if is_answer => Effect::Nothing,
        Stage::Committing => Effect::Unknown("the commit was sent and its answer was not seen".to_owned()),
        Stage::Sent | Stage::Between if act.transaction => Effect::Nothing,
        _ => {
            let done = match progress.done {
                0 => None,
                1 => Some(format!("statement 1 of {count} was done and stands")),
                done => Some(format!("statements 1 to {done} of {count} were done and stand")),
            };
            let running = act.statements.get(progress.done).filter(|_| progress.stage == Stage::Sent);
            // A procedure may have committed on its way.
            let may_be_half = running.is_some_and(|statement| matches!(statement.command.as_str(), "call" | "do"));
            let open = match running {
                Some(_) if !is_answer => Some("its end was not seen".to_owned()),
                Some(_) if may_be_half => Some("what it committed on its way stands".to_owned()),
                _ => None,
            };
            let whole: Vec<String> = done.into_iter().chain(open).collect();
            if whole.is_empty() { Effect::Nothing } else { Effect::Unknown(whole.join("; ")) }
        }
    }
}

impl Stop {
    fn class(self) -> ErrorClass {
        match self {
            Self::TimedOut => ErrorClass::Timeout,
            Self::Cancelled => ErrorClass::Cancelled,
        }
    }
}

/// Keeps evidence.
struct Keeper<'c> {
    context: &'c AttemptContext,
    evidence: Vec<EvidenceRef>,
    trouble: Option<String>,
}

impl Keeper<'_> {
    fn keep(&mut self, stream: &str, text: Option<String>) {
        let Some(text) = text else { return };
        let kept = self.context.evidence.begin(stream).and_then(|mut writer| {
            for piece in text.as_bytes().chunks(64 << 10) {
                writer.write(piece)?;
            }
            Ok(writer.finish()?.0)
        });
        match kept {
            Ok(reference) => self.evidence.push(reference),
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }
}
