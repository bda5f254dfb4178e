//! `note`, `mark` and `abort`: words for a run that nobody has asked for.

use super::arguments::{AbortArguments, MarkArguments, NoteArguments};
use super::exit::Exit;
use super::failure::CommandError;
use super::person::operator;
use super::resume::take_up;
use super::session::Session;
use crate::engine::{InboxWord, Said};
use crate::event::{Actor, Event, Record, RunId};
use crate::report::sanitize::visible;
use crate::store::{Kept, ResumeError, RunState, Store};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The longest text of a note, a mark or a reason, in bytes.
const TEXT_AT_MOST: usize = 16 * 1024;
/// How long the process of a run may take to take a word up before we say that it is left for it.
const TRIES: u32 = 40;
const BETWEEN: Duration = Duration::from_millis(100);

/// Notes something.
pub(super) fn note(session: &Session, arguments: &NoteArguments) -> Result<Exit, CommandError> {
    let text = text(&arguments.text)?
        .ok_or_else(|| CommandError::usage("a note needs a text", "runwright note RUN 'what you saw'"))?;
    let store = session.store()?;
    let run = store.find(&arguments.run)?;
    let word = word(Said::Note { text }, arguments.as_name.as_deref());
    let told = tell(&store, &run, &word)?;
    session.console.say(&format!("noted{}\n", told.place(&run)));
    Ok(Exit::Done)
}

/// Gives a moment of the incident its name.
pub(super) fn mark(session: &Session, arguments: &MarkArguments) -> Result<Exit, CommandError> {
    let store = session.store()?;
    let run = store.find(&arguments.run)?;
    let now = Timestamp::now();
    let at = match &arguments.at {
        Some(at) => moment(at, now)?,
        None => now,
    };
    let (mark, text) = (arguments.mark, text(&arguments.text)?);
    let word = word(Said::Mark { mark, at: Some(at), text }, arguments.as_name.as_deref());
    let told = tell(&store, &run, &word)?;
    let when = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    session.console.say(&format!("marked {mark} at {when}{}\n", told.place(&run)));
    Ok(Exit::Done)
}

/// Ends a run.
pub(super) fn abort(session: &Session, arguments: &AbortArguments) -> Result<Exit, CommandError> {
    let reason = text(std::slice::from_ref(&arguments.reason))?
        .ok_or_else(|| CommandError::usage("an abort needs a reason", "--reason 'why it must end'"))?;
    let store = session.store()?;
    let run = store.find(&arguments.take_up.run)?;
    if let RunState::Ended(result) = store.summary(&run)?.state {
        let message = format!("run `{run}` has ended already: {}", super::list::result_word(result));
        return Err(CommandError::usage(message, "an end is final"));
    }
    if !store.is_live(&run) {
        return take_up(session, &arguments.take_up, Some(reason));
    }
    let word = word(Said::Abort { reason }, arguments.take_up.how.as_name.as_deref());
    let name = store.leave_word(&run, &word)?;
    let by = Actor::Person(word.by.clone());
    let taken_up = wait(&store, &run, |records| {
        let is_ours = |record: &Record| matches!(record.event, Event::Aborted { .. }) && record.actor == by;
        let is_over = |record: &Record| matches!(record.event, Event::Aborted { .. } | Event::RunEnded { .. });
        if records.iter().any(is_ours) { Some(true) } else { records.iter().any(is_over).then_some(false) }
    })?;
    match taken_up {
        Some(true) => session.console.say(&format!(
            "run `{run}` is ending: what runs is stopped, temporary changes are taken back, `finally` runs\nrunwright show \
             {run} tells how it came out\n"
        )),
        Some(false) => {
            store.take_word_back(&run, &name)?;
            session.console.say(&format!("run `{run}` was ending already; runwright show {run}\n"));
            return Ok(Exit::Declined);
        }
        None if store.is_live(&run) => {
            session.console.say(&format!("left for the process that has run `{run}`, which has not answered yet\n"));
        }
        None => {
            store.take_word_back(&run, &name)?;
            session.console.say(&format!("not aborted: the process that had run `{run}` has just let go of it\n"));
            return Ok(Exit::Declined);
        }
    }
    Ok(Exit::Done)
}

fn word(said: Said, as_name: Option<&str>) -> InboxWord {
    InboxWord { said, by: operator(as_name), at: Timestamp::now() }
}

/// The words of a text with blanks between them; nothing when there are none.
fn text(words: &[String]) -> Result<Option<String>, CommandError> {
    let text = words.join(" ");
    let text = text.trim();
    if text.len() > TEXT_AT_MOST {
        let message = format!("the text has {} bytes, more than {TEXT_AT_MOST}", text.len());
        return Err(CommandError::usage(message, "say where the long text is"));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// Where a word has come to.
enum Told {
    /// Into the record.
    Record,
    /// Beside the record, which is sealed.
    Beside,
    /// Left for a process that has not taken it up yet.
    Left,
}

impl Told {
    fn place(&self, run: &RunId) -> String {
        match self {
            Self::Record => format!(", in the record of {run}"),
            Self::Beside => format!(", beside the record of {run}, which has ended and is sealed"),
            Self::Left => format!(", for {run}: its process has not taken it up yet"),
        }
    }
}

/// Gets a note or a mark into the record: by the process that has the run, or by ourselves when none has.
fn tell(store: &Store, run: &RunId, word: &InboxWord) -> Result<Told, CommandError> {
    loop {
        match store.add(run, word) {
            Ok(Kept::InRecord | Kept::Already) => return Ok(Told::Record),
            Ok(Kept::Beside) => return Ok(Told::Beside),
            Err(ResumeError::Held { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
        let name = store.leave_word(run, word)?;
        let event = word.said.event(word.at);
        let by = Actor::Person(word.by.clone());
        let is_it = |record: &Record| Some(&record.event) == event.as_ref() && record.actor == by;
        let seen = wait(store, run, |records| records.iter().any(is_it).then_some(()))?;
        // What holds a secret reads otherwise on record; but a word is removed only once it is there.
        if seen.is_some() || !store.has_word(run, &name) {
            return Ok(Told::Record);
        }
        if store.is_live(run) {
            return Ok(Told::Left);
        }
        // The process went without it; whoever takes the run up next must not find it a second time.
        store.take_word_back(run, &name)?;
    }
}

/// Waits a while for a process to put something on record; nothing when it does not, or lets go of the run before.
fn wait<T>(store: &Store, run: &RunId, found: impl Fn(&[Record]) -> Option<T>) -> Result<Option<T>, CommandError> {
    for _ in 0..TRIES {
        let is_live = store.is_live(run);
        if let Some(found) = found(&store.read(run)?.records) {
            return Ok(Some(found));
        }
        if !is_live {
            return Ok(None);
        }
        std::thread::sleep(BETWEEN);
    }
    Ok(None)
}

fn failed(error: ResumeError) -> CommandError {
    match error {
        ResumeError::Store(error) => error.into(),
        other => CommandError::usage(other.to_string(), "try again"),
    }
}

/// A point of time as people say it at night: a whole time stamp, the time of day in UTC (the last such time), or how
/// long ago.
pub(super) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, CommandError> {
    let text = text.trim();
    let wrong = |message: String| {
        CommandError::usage(message, "write 2026-11-21T01:02:00Z, 01:02 (UTC, the last such time), or 12m ago")
    };
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else if let Some(span) = text.strip_suffix("ago") {
        let span = crate::runbook::parse_duration(span.trim());
        let span = span.and_then(|span| SignedDuration::try_from(span).ok());
        span.and_then(|span| now.checked_sub(span).ok())
            .ok_or_else(|| wrong(format!("`{}` is no span of time", visible(text))))?
    } else {
        let time = text.parse::<jiff::civil::Time>();
        let time = time.map_err(|_| wrong(format!("`{}` is no point of time", visible(text))))?;
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let at =
            |date: jiff::civil::Date| date.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).map(|at| at.timestamp());
        let before = |at: &Timestamp| *at <= now;
        let found = at(today).ok().filter(before).or_else(|| at(today.yesterday().ok()?).ok());
        found.ok_or_else(|| wrong(format!("`{}` is no point of time", visible(text))))?
    };
    // A clock that is a little ahead is no reason to refuse.
    if at.duration_since(now) > SignedDuration::from_mins(1) {
        return Err(wrong(format!("{} has not come yet", at.strftime("%Y-%m-%d %H:%M:%S UTC"))));
    }
    Ok(at)
}
