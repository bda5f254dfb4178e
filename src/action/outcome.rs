//! How an attempt is reported: outcomes that several hands share, and text that is safe to show on one line.

use crate::engine::{Evidence, Performed};
use crate::event::{ErrorClass, Outcome};
use crate::expr::{Rendered, UnknownSort, Value, unknown};
use indexmap::IndexMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The longest message, in characters.
const LONGEST: usize = 400;

/// How the messages of programs tell what is wrong.
const REASONS: [(&str, ErrorClass); 9] = [
    ("No such file or directory", ErrorClass::NotFound),
    ("Permission denied", ErrorClass::Denied),
    ("(NotFound)", ErrorClass::NotFound),
    ("(Forbidden)", ErrorClass::Denied),
    ("(Unauthorized)", ErrorClass::Denied),
    ("previous terminated container", ErrorClass::NotFound),
    ("insufficient permissions", ErrorClass::Denied),
    ("Access denied", ErrorClass::Denied),
    ("authentication required", ErrorClass::Denied),
];

/// Why an act was not even begun.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The class.
    pub(super) class: ErrorClass,
    /// One line; may still hold secrets.
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    /// A value that cannot be used.
    pub(super) fn value(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::BadValue, message)
    }

    /// The report: nothing was done, so `failed` is the truth for changes too.
    pub(super) fn report(self, evidence: &dyn Evidence) -> Performed {
        failed(self.class, &evidence.mask(&self.message))
    }
}

/// A report of an attempt that failed before anything was done. The message must be masked already.
pub(super) fn failed(class: ErrorClass, message: &str) -> Performed {
    Performed {
        outcome: Outcome::Failed,
        error: Some(class),
        message: Some(one_line(message)),
        fields: IndexMap::new(),
        evidence: Vec::new(),
        left: Vec::new(),
    }
}

/// A report of an attempt that was stopped before anything was done.
pub(super) fn cancelled_before_start() -> Performed {
    Performed {
        outcome: Outcome::Cancelled,
        ..failed(ErrorClass::Cancelled, "it was stopped before it began; nothing was sent")
    }
}

/// The class of a failure, when the program's words tell it better than its exit code.
pub(super) fn classified(error: ErrorClass, said: &str) -> ErrorClass {
    match error {
        ErrorClass::Exit(code) => {
            let known = REASONS.iter().find(|(words, _)| said.contains(words));
            known.map_or(ErrorClass::Exit(code), |(_, class)| class.clone())
        }
        other => other,
    }
}

/// A field that could not be obtained.
pub(super) fn unobtained(reason: impl Into<String>) -> Value {
    unknown(UnknownSort::Unobtained, reason)
}

/// The final text of a value, secrets in it.
///
/// # Errors
/// It has holes; `what` names it in the message.
pub(super) fn known(text: &Rendered, what: &str) -> Result<String, Refusal> {
    text.reveal().ok_or_else(|| {
        let holes: Vec<_> =
            text.holes().iter().map(|(expression, reason)| format!("`{expression}`: {reason}")).collect();
        Refusal::value(format!("{what} is not known: {}", holes.join("; ")))
    })
}

/// Text on one line: control, bidirectional and zero-width characters become visible, and it is not endless.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for (count, character) in text.trim().chars().enumerate() {
        if count == LONGEST {
            line.push('…');
            break;
        }
        match character {
            '\t' => line.push(' '),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            hidden if is_hidden(hidden) => {
                // Writing to a String cannot fail.
                write!(line, "\\u{{{:x}}}", u32::from(hidden)).ok();
            }
            shown => line.push(shown),
        }
    }
    line
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A span of time for people: `5m`, `1.5s`.
pub(super) fn span(duration: Duration) -> String {
    jiff::SignedDuration::try_from(duration).map_or_else(|_| "for ever".to_owned(), |signed| format!("{signed:#}"))
}

/// A number of bytes for people: `20 MiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (size, name) in UNITS {
        if count >= size {
            let tenths = count.saturating_mul(10) / size;
            return if tenths.is_multiple_of(10) || tenths >= 1000 {
                format!("{} {name}", tenths / 10)
            } else {
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{count} bytes")
}
