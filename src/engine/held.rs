//! Output that is held back: a step that captures a secret streams nothing (ruling 23).
//!
//! What such an act gives stays in memory, with a bound. When it has ended, the captures are evaluated, the masker
//! learns what they found, and only then is the output written. Where a secret was expected and not found, nobody can
//! tell where in the output it stands, and nothing of it is kept.

use super::attempt::Task;
use super::port::{Evidence, EvidenceWriter, Performed, StoreError};
use crate::event::{ErrorClass, EvidenceRef, Outcome};
use crate::expr::{SecretText, UnknownSort, Value, is_secret, scalar_text, unknown, unknown_of};
use crate::plan::StepScope;
use crate::runbook::CaptureRule;
use crate::source::Sp;
use indexmap::IndexMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The most output of one attempt that is held back, in bytes.
const HELD_AT_MOST: usize = 1024 * 1024;
/// Result fields that hold nothing of what came from the other side.
const HARMLESS: [&str; 3] = ["exit", "status", "elapsed"];

/// What is to be found in a result.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The captures, in order.
    pub(super) rules: &'a IndexMap<Sp<String>, CaptureRule>,
    /// What they see beside the result.
    pub(super) scope: &'a StepScope,
}

impl<'a> Wanted<'a> {
    /// Captures, if a secret is among them.
    pub(super) fn of(rules: &'a IndexMap<Sp<String>, CaptureRule>, scope: &'a StepScope) -> Option<Self> {
        rules.values().any(|rule| rule.secret).then_some(Self { rules, scope })
    }
}

/// Evidence that keeps streams in memory.
pub(super) struct HeldEvidence {
    inner: Arc<dyn Evidence>,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    streams: Vec<(String, Vec<u8>)>,
    /// Bytes of all streams, those that were not kept among them.
    size: usize,
}

impl Held {
    fn is_too_long(&self) -> bool {
        self.size > HELD_AT_MOST
    }
}

struct HeldWriter {
    held: Arc<Mutex<Held>>,
    place: usize,
}

impl HeldEvidence {
    pub(super) fn new(inner: Arc<dyn Evidence>) -> Self {
        Self { inner, held: Arc::default() }
    }

    /// Writes the streams that a report names, now that their secrets are known.
    fn release(&self, references: Vec<EvidenceRef>) -> Result<Vec<EvidenceRef>, StoreError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = Vec::new();
        for reference in references {
            let place = reference.sha256.strip_prefix(PLACE).and_then(|place| place.parse::<usize>().ok());
            let Some((name, bytes)) = place.and_then(|place| held.streams.get_mut(place)) else {
                written.push(reference);
                continue;
            };
            let mut writer = self.inner.begin(name)?;
            writer.write(&std::mem::take(bytes))?;
            written.push(writer.finish()?.0);
        }
        Ok(written)
    }
}

/// Stands before the place of a held stream where the hash of a written one stands.
const PLACE: &str = "held:";

impl Evidence for HeldEvidence {
    fn begin(&self, stream: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.streams.push((stream.to_owned(), Vec::new()));
        Ok(Box::new(HeldWriter { held: Arc::clone(&self.held), place: held.streams.len() - 1 }))
    }

    fn mask(&self, text: &str) -> String {
        self.inner.mask(text)
    }

    fn learn(&self, secret: &SecretText) -> Result<(), String> {
        self.inner.learn(secret)
    }
}

impl EvidenceWriter for HeldWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.size = held.size.saturating_add(bytes.len());
        if held.is_too_long() {
            // The step fails: nothing of it is needed any more.
            held.streams.iter_mut().for_each(|(_, kept)| *kept = Vec::new());
        } else if let Some((_, kept)) = held.streams.get_mut(self.place) {
            kept.extend_from_slice(bytes);
        }
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, size) =
            held.streams.get(self.place).map(|(name, kept)| (name.clone(), kept.len())).unwrap_or_default();
        let sha256 = format!("{PLACE}{}", self.place);
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        Ok((EvidenceRef { stream: name, size, sha256, excerpt: String::new(), inline: true, cut: false }, Vec::new()))
    }
}

/// What became of the secrets that were wanted.
enum Search {
    /// All are there, and every writer knows them.
    Found,
    /// One is not in the result.
    NotFound,
    /// One cannot be used: why.
    Refused(String),
}

impl Task {
    /// The captures of a result, each seeing those before it. What is secret is known to every writer afterwards.
    pub(super) fn captures(
        &self,
        rules: &IndexMap<Sp<String>, CaptureRule>,
        scope: &mut StepScope,
    ) -> Result<IndexMap<String, Value>, String> {
        let mut found = IndexMap::new();
        for (name, rule) in rules {
            let told = |why: String| format!("capture `{}`: {why}", name.value);
            let value = rule.value.eval(scope);
            let value = if rule.secret {
                // What an error says of a value may be a part of the secret.
                let value = value.map_err(|_| told("its expression fails over this result".to_owned()))?;
                self.hide(&name.value, value).map_err(told)?
            } else {
                value.map_err(|error| told(error.message))?
            };
            scope.extend([(name.value.clone(), value.clone())]);
            found.insert(name.value.clone(), value);
        }
        Ok(found)
    }

    /// A value as the secret `<step>.<name>`; from here on every writer masks it.
    pub(super) fn hide(&self, name: &str, value: Value) -> Result<Value, String> {
        if unknown_of(&value).is_some() {
            return Ok(unknown(UnknownSort::Unobtained, "the secret is not in the result"));
        }
        if is_secret(&value) {
            return Ok(value);
        }
        let text = scalar_text(&value).ok_or("a secret is one text, and this is none")?;
        let secret = SecretText::new(format!("{}.{name}", self.id()), text);
        self.shared.evidence.learn(&secret)?;
        Ok(crate::expr::secret(secret))
    }

    /// Looks for the secrets of a result, and gives it back as it may be told: what it brought is on record, masked, or
    /// nothing of it is.
    pub(super) fn tell_held(
        &self,
        mut performed: Performed,
        held: &HeldEvidence,
        wanted: Wanted<'_>,
        change: bool,
    ) -> Performed {
        let size = held.held.lock().unwrap_or_else(PoisonError::into_inner).size;
        let search = if size > HELD_AT_MOST {
            let why =
                format!("{size} bytes of output are more than the {HELD_AT_MOST} that are held back for a secret");
            Search::Refused(why)
        } else {
            self.search(&performed, wanted)
        };
        // What was said may be cut in the middle of a secret, where nobody finds it any more.
        let said = if size == 0 {
            performed.message.take().filter(|_| performed.error.as_ref().is_some_and(is_ours))
        } else {
            None
        };
        let told = |what: &str, performed: &Performed| {
            said.clone().or_else(|| performed.error.as_ref().map(|error| format!("{error}: {what}")))
        };
        match search {
            Search::Found => {
                performed.message = told("what was said stands in its output", &performed);
                match held.release(std::mem::take(&mut performed.evidence)) {
                    Ok(evidence) => performed.evidence = evidence,
                    Err(error) => performed.message = Some(format!("its output was not kept: {error}")),
                }
            }
            Search::Refused(why) if performed.outcome == Outcome::Succeeded => {
                withhold(&mut performed, "it holds a secret that cannot be masked");
                performed.message = Some(why);
                performed.error = Some(ErrorClass::BadValue);
                // The act itself was accepted; an unknown outcome is never repeated by itself.
                performed.outcome = if change { Outcome::Unknown } else { Outcome::Failed };
            }
            Search::NotFound | Search::Refused(_) => {
                let reason = "it may hold the secret that was expected in it and not found";
                withhold(&mut performed, reason);
                performed.message = told(&format!("its output is not kept, {reason}"), &performed);
            }
        }
        performed
    }

    fn search(&self, performed: &Performed, wanted: Wanted<'_>) -> Search {
        let mut scope = wanted.scope.clone();
        scope.extend(performed.fields.clone());
        let error = performed.error.as_ref().map_or(Value::from(()), |error| Value::from(error.to_string()));
        scope.extend([("error".to_owned(), error)]);
        match self.captures(wanted.rules, &mut scope) {
            Ok(found) => {
                let secrets = wanted.rules.iter().filter(|(_, rule)| rule.secret).map(|(name, _)| &name.value);
                let is_there = |name: &String| found.get(name).is_some_and(is_secret);
                if secrets.into_iter().all(is_there) { Search::Found } else { Search::NotFound }
            }
            Err(why) => Search::Refused(why),
        }
    }
}

/// Takes back what a result brought.
fn withhold(performed: &mut Performed, reason: &str) {
    performed.evidence = Vec::new();
    let reason = format!("not kept: {reason}");
    for (_, value) in performed.fields.iter_mut().filter(|(name, _)| !HARMLESS.contains(&name.as_str())) {
        *value = unknown(UnknownSort::Unobtained, reason.as_str());
    }
}

/// Whether the message of an error is all our own, when no output came.
fn is_ours(error: &ErrorClass) -> bool {
    use ErrorClass::{Address, BadValue, Cancelled, Dns, NotFound, Refused, System, Timeout, Tls};
    matches!(error, Refused | Dns | Tls | NotFound | Address | BadValue | System | Cancelled | Timeout)
}
