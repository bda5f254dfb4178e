//! From what was seen of a child to what is reported.

use super::lines::Lines;
use super::output::Collected;
use super::watch::{Ended, Stop, signal_of};
use crate::action::outcome::{Refusal, one_line, span, unobtained};
use crate::action::ssh::{Far, FarEnd};
use crate::engine::{AttemptContext, Evidence, Performed};
use crate::event::{ErrorClass, Outcome};
use crate::expr::{Value, from_json};
use crate::plan::CommandAct;
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

/// What is needed of the act and its context to judge the end.
pub(super) struct Facts {
    name: String,
    ok: Vec<i32>,
    change: bool,
    timeout: Duration,
    grace: Duration,
}

/// What a program of our own came to.
pub(in crate::action) struct Answer {
    pub(in crate::action) outcome: Outcome,
    pub(in crate::action) error: Option<ErrorClass>,
    /// May hold secrets.
    pub(in crate::action) message: Option<String>,
    /// Everything it wrote, or why that is too much.
    pub(in crate::action) stdout: Result<Vec<u8>, String>,
    pub(in crate::action) left: Vec<String>,
}

impl Answer {
    /// It was not begun.
    pub(super) fn refused(refusal: Refusal) -> Self {
        let outcome = if refusal.class == ErrorClass::Cancelled { Outcome::Cancelled } else { Outcome::Failed };
        let (error, message) = (Some(refusal.class), Some(refusal.message));
        Self { outcome, error, message, stdout: Ok(Vec::new()), left: Vec::new() }
    }
}

/// An outcome with its reason.
struct Judged {
    outcome: Outcome,
    error: Option<ErrorClass>,
    message: Option<String>,
}

impl Facts {
    /// Facts of a program of our own, whose success is 0.
    pub(super) fn named(name: &str, context: &AttemptContext) -> Self {
        let (timeout, grace) = (context.timeout, context.grace);
        Self { name: name.to_owned(), ok: vec![0], change: context.change, timeout, grace }
    }

    pub(super) fn new(act: &CommandAct, context: &AttemptContext) -> Self {
        let name = match (&act.script, act.argv.first()) {
            (Some(_), _) => "the script".to_owned(),
            (None, Some(name)) => format!("`{name}`"),
            (None, None) => "the program".to_owned(),
        };
        Self { name, ok: act.ok.clone(), change: context.change, timeout: context.timeout, grace: context.grace }
    }

    /// What came of a program of our own, with its output as it is.
    pub(super) fn answer(&self, ended: Ended) -> Answer {
        if let Some(refusal) = ended.refusal {
            return Answer::refused(refusal);
        }
        let Judged { outcome, error, message } = match &ended.far {
            Some(far) => self.far_outcome(far, &ended),
            None => self.outcome(&ended),
        };
        let mut left = ended.left;
        left.extend(ended.far.into_iter().flat_map(|far| far.left));
        Answer { outcome, error, message, stdout: ended.stdout.text, left }
    }

    /// The report.
    pub(super) fn judge(&self, ended: Ended, evidence: &dyn Evidence) -> Performed {
        if let Some(refusal) = ended.refusal {
            return refusal.report(evidence);
        }
        let exit = match &ended.far {
            Some(far) => far.exit(),
            None => ended.status.and_then(|status| status.code()),
        };
        let Judged { outcome, error, message } = match &ended.far {
            Some(far) => self.far_outcome(far, &ended),
            None => self.outcome(&ended),
        };
        let Ended { stdout, stderr, mut left, took, far, .. } = ended;
        left.extend(far.into_iter().flat_map(|far| far.left));
        let troubles: Vec<String> = [&stdout, &stderr]
            .into_iter()
            .filter_map(|stream| stream.trouble.as_ref())
            .map(|trouble| format!("its output was not kept: {trouble}"))
            .collect();
        let message: Vec<String> = message.into_iter().chain(troubles).collect();
        let message = (!message.is_empty()).then(|| one_line(&evidence.mask(&message.join("; "))));
        let references = [&stdout, &stderr].into_iter().filter_map(|stream| stream.evidence.clone()).collect();
        Performed { outcome, error, message, fields: fields(exit, stdout, stderr, took), evidence: references, left }
    }

    fn outcome(&self, ended: &Ended) -> Judged {
        let name = &self.name;
        let unclear = |read: Outcome| if self.change { Outcome::Unknown } else { read };
        let told = |outcome, error, message| Judged { outcome, error: Some(error), message: Some(message) };
        match (ended.stop, ended.status) {
            (Some(Stop::TimedOut), _) => {
                let message = format!("{name} was ended because it took longer than {}", span(self.timeout));
                told(unclear(Outcome::TimedOut), ErrorClass::Timeout, message)
            }
            (Some(Stop::Cancelled), _) => {
                told(unclear(Outcome::Cancelled), ErrorClass::Cancelled, format!("{name} was stopped"))
            }
            (None, None) => {
                let message = format!("the end of {name} was not seen within {}", span(self.grace));
                told(unclear(Outcome::Failed), ErrorClass::System, message)
            }
            (None, Some(status)) => match (status.code(), signal_of(status)) {
                (Some(code), _) if self.ok.contains(&code) => {
                    Judged { outcome: Outcome::Succeeded, error: None, message: None }
                }
                (Some(code), _) => {
                    let message = format!("{name} ended with exit code {code}{}", last_words(&ended.stderr));
                    told(Outcome::Failed, ErrorClass::Exit(code), message)
                }
                (None, signal) => {
                    let signal = signal.unwrap_or_default();
                    let message = format!("{name} was ended by {}{}", signal_name(signal), last_words(&ended.stderr));
                    told(unclear(Outcome::Failed), ErrorClass::Signal(signal), message)
                }
            },
        }
    }
}

/// Programs at a far end.
impl Facts {
    fn far_outcome(&self, far: &FarEnd, ended: &Ended) -> Judged {
        let (name, place) = (&self.name, &far.place);
        let unclear = |read: Outcome| if self.change { Outcome::Unknown } else { read };
        let told = |outcome, error, message| Judged { outcome, error: Some(error), message: Some(message) };
        match (&far.far, ended.stop) {
            (Far::NotBegun(_), Some(Stop::Cancelled)) => {
                let message = format!("it was stopped before {name} began at {place}");
                told(Outcome::Cancelled, ErrorClass::Cancelled, message)
            }
            (Far::NotBegun(_), Some(Stop::TimedOut)) => {
                let limit = span(self.timeout);
                told(Outcome::Failed, ErrorClass::Timeout, format!("{place} did not take {name} within {limit}"))
            }
            (Far::NotBegun(refusal), None) => told(Outcome::Failed, refusal.class.clone(), refusal.message.clone()),
            (state, Some(stop)) => {
                let (outcome, class, why) = match stop {
                    Stop::TimedOut => {
                        let why = format!("{name} took longer than {} at {place}", span(self.timeout));
                        (Outcome::TimedOut, ErrorClass::Timeout, why)
                    }
                    Stop::Cancelled => {
                        (Outcome::Cancelled, ErrorClass::Cancelled, format!("{name} was stopped at {place}"))
                    }
                };
                let end = match state {
                    Far::Ended(_) => "and was ended there",
                    _ => "and its end was not seen: it may still run there",
                };
                told(unclear(outcome), class, format!("{why}, {end}"))
            }
            (Far::Lost(words), None) => {
                let words = if words.is_empty() { String::new() } else { format!(": {words}") };
                let message = format!("the connection to {place} was lost while {name} ran there{words}");
                told(unclear(Outcome::Failed), ErrorClass::Connection, message)
            }
            (Far::Ended(code), None) if self.ok.contains(code) => {
                Judged { outcome: Outcome::Succeeded, error: None, message: None }
            }
            // A POSIX shell tells both in the same way, so the more careful reading counts.
            (Far::Ended(code @ 129..=192), None) => {
                let (signal, words) = (code - 128, last_words(&ended.stderr));
                let sort = signal_name(signal);
                let message = format!("{name} ended at {place} by {sort}, or with exit code {code} of its own{words}");
                told(unclear(Outcome::Failed), ErrorClass::Signal(signal), message)
            }
            (Far::Ended(code), None) => {
                let message = format!("{name} ended at {place} with exit code {code}{}", last_words(&ended.stderr));
                told(Outcome::Failed, ErrorClass::Exit(*code), message)
            }
        }
    }
}

/// The last line of a stream that says something, to be put behind a message.
fn last_words(stream: &Collected) -> String {
    let text = String::from_utf8_lossy(&stream.tail);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.map(|line| format!(": {line}")).unwrap_or_default()
}

fn signal_name(number: i32) -> String {
    let name = match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        _ => return format!("signal {number}"),
    };
    format!("signal {number} ({name})")
}

fn fields(exit: Option<i32>, stdout: Collected, stderr: Collected, took: Duration) -> IndexMap<String, Value> {
    let stdout: Result<Arc<str>, String> = stdout.text.map(text);
    let stderr: Result<Arc<str>, String> = stderr.text.map(text);
    let of = |field: &Result<Arc<str>, String>, make: &dyn Fn(&Arc<str>) -> Value| match field {
        Ok(text) => make(text),
        Err(reason) => unobtained(reason.clone()),
    };
    let exit = exit.map_or_else(|| unobtained("it did not end by itself"), Value::from);
    let whole = |text: &Arc<str>| Value::from(Arc::clone(text));
    IndexMap::from_iter([
        ("exit".to_owned(), exit),
        ("lines".to_owned(), of(&stdout, &|text| Value::from_object(Lines::new(Arc::clone(text))))),
        ("json".to_owned(), of(&stdout, &|text| json(text))),
        ("stdout".to_owned(), of(&stdout, &whole)),
        ("stderr".to_owned(), of(&stderr, &whole)),
        ("elapsed".to_owned(), Value::from(took.as_secs_f64())),
    ])
}

fn text(bytes: Vec<u8>) -> Arc<str> {
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into(),
    }
}

/// The output as JSON, at most 128 levels deep.
fn json(text: &str) -> Value {
    if text.trim().is_empty() {
        return unobtained("the output is empty, not JSON");
    }
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(json) => from_json(&json),
        Err(error) => unobtained(format!("the output is not JSON: {error}")),
    }
}
