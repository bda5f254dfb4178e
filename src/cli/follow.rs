//! `show --follow`: a run as it goes on, from its record, with the lines that its own screen has.

use super::exit::Exit;
use super::failure::CommandError;
use super::recorded::{Read, step_places};
use super::screen::Screen;
use super::session::Session;
use crate::event::{Event, Record};
use crate::store::{Follower, Store};
use crate::terminal::Paper;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How often the record is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Why there is nothing more to follow.
enum Stopped {
    /// The run has ended.
    Ended,
    /// Its process has let it go in order.
    LetGo,
    /// Its process is gone.
    Gone,
    /// We were told to stop looking; the run goes on.
    Told,
}

/// Follows a run until it ends or its process lets it go. Nothing that happens here reaches the run.
pub(super) fn follow(session: &Session, store: &Store, name: &str) -> Result<Exit, CommandError> {
    let read = Read::run(store, name)?;
    let mut follower = store.follow(&read.id)?;
    let (sink, style) = session.console.run_sink(false);
    let places = read.graph.as_ref().map(step_places).unwrap_or_default();
    let screen = Screen::new(
        Arc::new(Paper::new(sink, style.terminal)),
        style,
        read.steps.clone(),
        places,
        false,
        session.commands(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| CommandError::SetUp { what: "the runtime", source })?;
    let stopped = runtime.block_on(watch(store, &read, &mut follower, &screen))?;
    screen.rest();
    let run = &read.id;
    match stopped {
        Stopped::Ended => screen.sealed(follower.head()),
        Stopped::LetGo => {}
        Stopped::Gone => {
            session
                .console
                .say(&format!("its process is gone, and the run has not ended; go on: runwright resume {run}\n"));
        }
        Stopped::Told => {
            session.console.say(&format!("no longer watched; run {run} goes on\n"));
            return Ok(Exit::Interrupted);
        }
    }
    Ok(Exit::Done)
}

async fn watch(store: &Store, read: &Read, follower: &mut Follower, screen: &Screen) -> Result<Stopped, CommandError> {
    // Before the first line is shown: who sees one may stop looking at once.
    let mut told = signal(SignalKind::interrupt()).map_err(|source| CommandError::SetUp { what: "signals", source })?;
    // Nothing comes over this channel; the line about what runs now is drawn while it is open.
    let (open, chunks) = tokio::sync::mpsc::channel(1);
    let drawing = tokio::spawn(screen.clone().follow(chunks));
    let stopped = tokio::select! {
        stopped = look(store, read, follower, screen) => stopped,
        _ = told.recv() => Ok(Stopped::Told),
    };
    drop(open);
    drop(drawing.await);
    stopped
}

async fn look(store: &Store, read: &Read, follower: &mut Follower, screen: &Screen) -> Result<Stopped, CommandError> {
    let mut last = None;
    loop {
        // Before the record is read: what a process wrote before it let go is then seen.
        let is_live = store.is_live(&read.id);
        let records = follower.more()?;
        let nothing_new = records.is_empty();
        for record in records {
            screen.see(&record);
            last = state_after(&record).or(last);
        }
        match last {
            Some(Left::Ended) => return Ok(Stopped::Ended),
            Some(Left::LetGo) if !is_live && nothing_new => return Ok(Stopped::LetGo),
            _ if !is_live && nothing_new => return Ok(Stopped::Gone),
            _ => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How a process left a run, or that it has it.
#[derive(Clone, Copy)]
enum Left {
    Not,
    LetGo,
    Ended,
}

fn state_after(record: &Record) -> Option<Left> {
    match &record.event {
        Event::RunEnded { .. } => Some(Left::Ended),
        Event::RunParked { .. } | Event::RunSuspended { .. } => Some(Left::LetGo),
        Event::RunStarted { .. } | Event::RunResumed(_) => Some(Left::Not),
        _ => None,
    }
}
