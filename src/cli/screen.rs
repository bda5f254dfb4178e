//! The screen of a run: records in, lines out, and the line about what runs now.

use super::failure::CommandError;
use crate::engine::{Answer, Chunk, PromptId};
use crate::event::Record;
use crate::report::sanitize::visible;
use crate::report::{Commands, LiveScreen, ScreenOptions, StepTable, Style, prompt, prompt_act, prompt_evidence};
use crate::terminal::{Desk, Face, Lend, Paper};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, UnboundedSender};

/// How often the line about what runs now is drawn again.
const TICK: Duration = Duration::from_millis(250);

/// Shows a run on one paper.
#[derive(Clone)]
pub(super) struct Screen {
    paper: Arc<Paper>,
    live: Arc<Mutex<LiveScreen>>,
    style: Style,
    steps: StepTable,
    /// Whether the line about what runs now was ever due.
    ticked: Arc<AtomicBool>,
}

impl Screen {
    /// A screen on a paper; `attended` says whether somebody answers here.
    pub(super) fn new(
        paper: Arc<Paper>,
        style: Style,
        steps: StepTable,
        places: HashMap<crate::event::StepPath, String>,
        attended: bool,
        commands: Commands,
    ) -> Self {
        let options = if attended { ScreenOptions::LIVE } else { ScreenOptions::UNATTENDED };
        let live = LiveScreen::new(style, steps.clone(), options).with_places(places).with_commands(commands);
        Self { paper, live: Arc::new(Mutex::new(live)), style, steps, ticked: Arc::default() }
    }

    fn live(&self) -> MutexGuard<'_, LiveScreen> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record.
    pub(super) fn see(&self, record: &Record) {
        let (lines, status) = {
            let mut live = self.live();
            (live.fold(record), live.status_line(record.time))
        };
        // What ran until now may be over: the line about it must not stand below its end.
        self.paper.status(None);
        self.paper.print(&lines);
        if self.ticked.load(Ordering::Relaxed) {
            self.paper.status(status);
        }
    }

    /// Takes what was recorded before this process had the run, and says where it stands.
    pub(super) fn recall(&self, records: &[Record], next: &[String]) {
        let lines = self.live().recall(records, next);
        self.paper.print(&lines);
    }

    /// Prints the head of a record that was sealed.
    pub(super) fn sealed(&self, head: &str) {
        let lines = self.live().sealed(head);
        self.paper.status(None);
        self.paper.print(&lines);
    }

    /// Says, before we are stopped, what goes on without us.
    pub(super) fn stops(&self) {
        let active = self.live().active();
        let what = if active.is_empty() { String::new() } else { format!("; {} goes on meanwhile", active.join(", ")) };
        self.paper.aside(&[format!("  (Ctrl-Z: Runwright is stopped{what}; `fg` goes on)")]);
    }

    /// Says why Ctrl-Z does nothing.
    pub(super) fn cannot_stop(&self) {
        let text = "  (Ctrl-Z: there is no shell here that could go on afterwards; Ctrl-C asks whether to suspend)";
        self.paper.aside(&[text.to_owned()]);
        self.paper.repeat();
    }

    /// We were stopped and go on.
    pub(super) fn goes_on(&self) {
        self.paper.repeat();
    }

    /// Takes the line about what runs now away.
    pub(super) fn rest(&self) {
        self.paper.status(None);
    }

    /// Shows output as it comes and what runs now, until the run lets go of its end of the channel.
    pub(super) async fn follow(self, mut chunks: Receiver<Chunk>) {
        // Not at once: a run of quick steps needs no such line at all.
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                chunk = chunks.recv() => match chunk {
                    Some(chunk) => self.live().output(&chunk),
                    None => return,
                },
                _ = ticks.tick() => {
                    self.ticked.store(true, Ordering::Relaxed);
                    let now = Timestamp::now();
                    let (lines, status) = {
                        let mut live = self.live();
                        (live.tick(now), live.status_line(now))
                    };
                    self.paper.print(&lines);
                    self.paper.status(status);
                }
            }
        }
    }

    /// The desk at our terminal, or an empty one.
    pub(super) fn desk(
        &self,
        attended: bool,
        lend: Lend,
        answers: UnboundedSender<(PromptId, Answer)>,
    ) -> Result<Desk, CommandError> {
        if !attended {
            return Ok(Desk::absent(answers));
        }
        let (style, steps) = (self.style, self.steps.clone());
        let face = Face {
            prompt: Box::new(move |asked| prompt(asked, &steps, &style, Timestamp::now())),
            evidence: Box::new(move |asked| prompt_evidence(asked, &style)),
            act: Box::new(prompt_act),
            clean: visible,
            lend,
        };
        Desk::at_terminal(Arc::clone(&self.paper), face, answers)
            .map_err(|source| CommandError::SetUp { what: "the terminal", source })
    }
}
