//! The two streams: data on stdout, everything else on stderr, with one policy for colour and width.

use super::arguments::Color;
use super::failure::CommandError;
use crate::report::Style;
use anstream::{AutoStream, ColorChoice};
use rustix::termios::tcgetwinsize;
use std::io::{self, IsTerminal as _, Write as _};

/// Columns where nothing says how many there are.
const COLUMNS: usize = 80;
/// Longer lines are hard to read, whatever the terminal.
const MOST_COLUMNS: usize = 120;

/// Prints.
pub(super) struct Console {
    choice: ColorChoice,
    columns: Option<usize>,
    unicode: bool,
}

impl Console {
    pub(super) fn new(color: Color) -> Self {
        let choice = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::AlwaysAnsi,
            Color::Never => ColorChoice::Never,
        };
        Self { choice, columns: columns_by_environment(), unicode: speaks_unicode() }
    }

    /// What stdout can show.
    pub(super) fn out_style(&self) -> Style {
        let out = io::stdout();
        self.style(AutoStream::choice(&out), out.is_terminal(), tcgetwinsize(&out).ok())
    }

    /// What stderr can show.
    pub(super) fn error_style(&self) -> Style {
        let err = io::stderr();
        self.style(AutoStream::choice(&err), err.is_terminal(), tcgetwinsize(&err).ok())
    }

    fn style(&self, found: ColorChoice, terminal: bool, size: Option<rustix::termios::Winsize>) -> Style {
        let choice = if self.choice == ColorChoice::Auto { found } else { self.choice };
        let of_terminal = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        let width = self.columns.or(of_terminal).unwrap_or(COLUMNS).min(MOST_COLUMNS);
        Style { colour: choice != ColorChoice::Never, width, unicode: self.unicode, terminal }
    }

    /// Whether a person can answer: both stdin and stderr are a terminal.
    pub(super) fn has_person() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Prints data. A reader that has gone away (`| head`) is no failure: the rest is dropped.
    pub(super) fn data(&self, text: &str) -> Result<(), CommandError> {
        let mut out = AutoStream::new(io::stdout().lock(), self.choice);
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(CommandError::Output(error)),
        }
    }

    /// Prints lines of data.
    pub(super) fn data_lines(&self, lines: &[String]) -> Result<(), CommandError> {
        self.data(&joined(lines))
    }

    /// Prints something that is not data. Nobody being there to read it is no failure.
    pub(super) fn say(&self, text: &str) {
        let mut err = AutoStream::new(io::stderr().lock(), self.choice);
        drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
    }

    /// Prints lines that are not data.
    pub(super) fn say_lines(&self, lines: &[String]) {
        self.say(&joined(lines));
    }
}

fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

fn columns_by_environment() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0)
}

/// Whether the locale can show more than ASCII; no locale at all means a container or a service, where the bytes go to a
/// file that somebody reads elsewhere.
fn speaks_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
