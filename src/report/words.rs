//! The words a person reads for the closed sets of the record, and spans and points of time as people say them.

use super::style::Tone;
use crate::event::{
    Actor, AnswerKind, Door, IdentityKind, Operator, OptionVerdict, Outcome, RunResult, Settlement, StepVerdict,
};
use jiff::Timestamp;

/// A span in the largest two units that matter: `0.2 s`, `21 s`, `4 min 12 s`, `1 h 05 min`, `2 d 03 h`.
#[must_use]
pub fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// The milliseconds from one moment to a later one; none when it is not later.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0)
}

/// The time of day, UTC.
pub(crate) fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%S").to_string()
}

/// Day and time of day, UTC.
pub(crate) fn day_and_clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A moment as it is told at another one: the time of day, with the day when that is another one.
pub(crate) fn near(time: Timestamp, now: Timestamp) -> String {
    if time.strftime("%F").to_string() == now.strftime("%F").to_string() { clock(time) } else { day_and_clock(time) }
}

/// Who, with how we know: `ana (os user)`.
pub(crate) fn operator(operator: &Operator) -> String {
    format!("{} ({})", operator.name, identity(operator.identity))
}

pub(crate) fn actor(who: &Actor) -> String {
    match who {
        Actor::Runwright => "runwright".to_owned(),
        Actor::Person(person) => operator(person),
    }
}

pub(crate) fn identity(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::OsUser => "os user",
        IdentityKind::Claimed => "claimed, not proven",
        IdentityKind::Signature => "signature",
    }
}

pub(crate) fn door(door: Door) -> &'static str {
    match door {
        Door::Terminal => "at the terminal",
        Door::Inbox => "from another terminal",
        Door::Flag => "by flag",
        Door::Policy => "by the environment's policy",
        Door::List => "with its list",
        Door::Clock => "by time",
    }
}

pub(crate) fn answer(kind: AnswerKind) -> (&'static str, Tone) {
    match kind {
        AnswerKind::Approved => ("approved", Tone::Good),
        AnswerKind::Declined => ("declined", Tone::Attention),
        AnswerKind::Skipped => ("skipped", Tone::Attention),
        AnswerKind::Expired => ("expired", Tone::Attention),
        AnswerKind::Voided => ("voided", Tone::Attention),
    }
}

pub(crate) fn settlement(settlement: Settlement) -> &'static str {
    match settlement {
        Settlement::Done => "it was done",
        Settlement::NotDone => "it was not done",
        Settlement::Retry => "it is tried again",
    }
}

pub(crate) fn option(verdict: OptionVerdict) -> &'static str {
    match verdict {
        OptionVerdict::Holds => "holds",
        OptionVerdict::DoesNotHold => "no",
        OptionVerdict::Unknown => "unknown",
        OptionVerdict::PersonsChoice => "a person's choice",
    }
}

pub(crate) fn verdict(verdict: StepVerdict) -> (&'static str, Tone) {
    match verdict {
        StepVerdict::Holds => ("holds", Tone::Good),
        StepVerdict::DoesNotHold => ("does not hold", Tone::Bad),
        StepVerdict::CannotTell => ("cannot tell", Tone::Attention),
    }
}

pub(crate) fn outcome(outcome: Outcome) -> (&'static str, Tone) {
    match outcome {
        Outcome::Succeeded => ("done", Tone::Good),
        Outcome::Failed => ("FAILED", Tone::Bad),
        Outcome::TimedOut => ("TIMED OUT", Tone::Bad),
        Outcome::Cancelled => ("cancelled", Tone::Attention),
        Outcome::Declined => ("declined", Tone::Attention),
        Outcome::Skipped => ("skipped", Tone::Attention),
        Outcome::NotPerformed => ("not performed", Tone::Attention),
        Outcome::Unknown => ("UNKNOWN", Tone::Bad),
    }
}

/// The state of a step in a word or two.
pub(crate) fn state(of: Outcome, says: Option<StepVerdict>, change: bool, handled: bool) -> (String, Tone) {
    let (word, tone) = outcome(of);
    match (of, says) {
        (Outcome::Succeeded, Some(StepVerdict::Holds)) if change => ("done, verified".to_owned(), Tone::Good),
        (Outcome::Succeeded, Some(says)) if !change => {
            let (word, tone) = verdict(says);
            (word.to_owned(), tone)
        }
        (Outcome::Failed, _) if handled => ("failed (handled)".to_owned(), Tone::Attention),
        _ => (word.to_owned(), tone),
    }
}

pub(crate) fn result(result: RunResult) -> (&'static str, Tone) {
    match result {
        RunResult::Resolved => ("RESOLVED", Tone::Good),
        RunResult::Completed => ("COMPLETED", Tone::Good),
        RunResult::NotResolved => ("NOT RESOLVED", Tone::Bad),
        RunResult::NoAction => ("NO ACTION", Tone::Good),
        RunResult::Escalated => ("ESCALATED", Tone::Attention),
        RunResult::Declined => ("DECLINED", Tone::Attention),
        RunResult::Failed => ("FAILED", Tone::Bad),
        RunResult::Undecided => ("UNDECIDED", Tone::Attention),
        RunResult::Aborted => ("ABORTED", Tone::Attention),
        RunResult::Interrupted => ("INTERRUPTED", Tone::Bad),
    }
}
