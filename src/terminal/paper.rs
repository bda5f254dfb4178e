//! The one writer to the terminal.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Goes to the beginning of the line and erases it.
const ERASE: &str = "\r\x1b[K";
/// Said once when something happens while a person types.
const NEWS: &str = "  (more has happened; Enter alone shows it; what you have typed still counts)";

/// The one writer to the terminal: lines of the run, the line about what runs now, and the prompt of a person.
///
/// While a prompt is open, lines of the run are held back and printed as soon as it is closed, or when the person asks
/// for them with Enter alone. So the facts that an answer rests on stay right above it. One line says so the first time;
/// half a word that was typed is then no longer seen, but it is still there.
///
/// A write that fails is dropped: a run must not die because nobody can see it.
pub struct Paper {
    state: Mutex<State>,
}

struct State {
    sink: Box<dyn Write + Send>,
    redraw: bool,
    status: Option<String>,
    status_on_screen: bool,
    /// The line a person types on.
    open: Option<String>,
    /// Whether the cursor stands behind that line.
    behind: bool,
    held: Vec<String>,
    told: bool,
}

impl Paper {
    /// A paper over a sink. With `redraw` (a terminal) the line about what runs now can be drawn again; without it, it
    /// is left out.
    #[must_use]
    pub fn new(sink: Box<dyn Write + Send>, redraw: bool) -> Self {
        let state = State {
            sink,
            redraw,
            status: None,
            status_on_screen: false,
            open: None,
            behind: false,
            held: Vec::new(),
            told: false,
        };
        Self { state: Mutex::new(state) }
    }

    /// Prints lines of the run, or holds them back while a prompt is open.
    pub fn print(&self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.with(|state| {
            if state.open.is_none() {
                state.write_lines(lines);
                return;
            }
            state.held.extend_from_slice(lines);
            if state.redraw && state.behind && !std::mem::replace(&mut state.told, true) {
                let line = state.open.clone().unwrap_or_default();
                state.write(&format!("{ERASE}{NEWS}\n{line}"));
            }
        });
    }

    /// Prints lines that may be missed, such as output of a running step: while a prompt is open they are dropped,
    /// because a person may take hours and the record has them anyway.
    pub fn print_passing(&self, lines: &[String]) {
        self.with(|state| {
            if state.open.is_none() && !lines.is_empty() {
                state.write_lines(lines);
            }
        });
    }

    /// Sets the line about what runs now; nothing takes it away. Ignored where a line cannot be drawn again.
    pub fn status(&self, line: Option<String>) {
        self.with(|state| {
            if !state.redraw || state.status == line && state.status_on_screen == line.is_some() {
                return;
            }
            state.status = line;
            state.draw_status();
        });
    }

    /// Opens a prompt: prints its text at once with the line to type on.
    pub(crate) fn open(&self, text: &[String], line: &str) {
        self.with(|state| {
            state.clear_status();
            let mut out = joined(text);
            out.push_str(line);
            state.write(&out);
            state.open = Some(line.to_owned());
            state.behind = true;
        });
    }

    /// The person has ended the line with Enter: the cursor stands at the beginning of the next.
    pub(crate) fn entered(&self) {
        self.with(|state| state.behind = false);
    }

    /// Prints lines at once, on lines of their own, even while a prompt is open.
    pub fn aside(&self, lines: &[String]) {
        self.with(|state| {
            state.clear_status();
            let break_line = if std::mem::take(&mut state.behind) { "\n" } else { "" };
            let out = format!("{break_line}{}", joined(lines));
            state.write(&out);
        });
    }

    /// Shows the line to type on again: something else has written to the terminal.
    pub fn repeat(&self) {
        self.with(|state| {
            if let Some(line) = state.open.clone() {
                state.write(&format!("\n{line}"));
                state.behind = true;
            }
        });
    }

    /// Shows what was held back so far.
    pub(crate) fn release(&self) {
        self.with(|state| {
            let held = std::mem::take(&mut state.held);
            state.told = false;
            state.write_lines(&held);
        });
    }

    /// Closes the prompt with some last words, and prints what was held back.
    pub(crate) fn close(&self, words: &[String]) {
        self.with(|state| {
            if std::mem::take(&mut state.behind) {
                state.write("\n");
            }
            state.open = None;
            state.told = false;
            let mut lines = words.to_vec();
            lines.append(&mut state.held);
            state.write_lines(&lines);
        });
    }

    fn with(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    fn write_lines(&mut self, lines: &[String]) {
        if lines.is_empty() {
            return self.draw_status();
        }
        self.clear_status();
        let out = joined(lines);
        self.write(&out);
        self.draw_status();
    }

    fn clear_status(&mut self) {
        if std::mem::take(&mut self.status_on_screen) {
            self.write(ERASE);
        }
    }

    fn draw_status(&mut self) {
        if self.open.is_some() {
            return;
        }
        self.clear_status();
        if let Some(line) = self.status.clone().filter(|_| self.redraw) {
            self.write(&line);
            self.status_on_screen = true;
        }
    }

    fn write(&mut self, text: &str) {
        // Nobody may be there to see it; the record has it all.
        _ = self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush());
    }
}

fn joined(lines: &[String]) -> String {
    let mut out = String::new();
    for line in lines {
        _ = writeln!(out, "{line}");
    }
    out
}
