//! Masking: no secret reaches a sink, in none of the forms below.
//!
//! Found are: the text itself, each of its lines, base64 and base64url wherever it stands in what was encoded, hex,
//! percent-encoding, escaping as in JSON, SQL, YAML, CSV and HTML, and shell quoting. Other transforms (compression, encryption, reversing, a
//! part of the secret) are not found.

mod forms;
mod line;
mod recorded;
mod stream;
mod table;

pub use stream::StreamMasker;

pub(super) use line::write_masked_line;
pub(super) use recorded::know_recorded;

#[cfg(test)]
pub(super) use forms::forms_of as forms_for_tests;

use crate::expr::SecretText;
use std::sync::{Arc, PoisonError, RwLock};
use table::{Table, TableTooLarge};

/// The shortest secret that can be masked, in bytes. Anything shorter would tear up harmless text.
pub const MASK_AT_LEAST: usize = 8;

/// Words of the record's own format that are long enough to be a secret. A secret that is a part of one of them cannot
/// be masked without making the record unreadable.
const WORDS: &[&str] = &[
    "1970-01-01T00:00:00.000000000Z",
    "after_ms",
    "already_exists",
    "answered",
    "approvals",
    "approved",
    "attempt_ended",
    "attempt_started",
    "attempts",
    "background_ready",
    "bad_answer",
    "bad_value",
    "cancelled",
    "cannot_tell",
    "captures",
    "change_made",
    "check_view",
    "cleaned_up",
    "clock_moved",
    "completed",
    "conflict",
    "connection",
    "declared",
    "declined",
    "detected",
    "deviated",
    "deviation",
    "does_not_hold",
    "elapsed_ms",
    "environment",
    "escalated",
    "evidence",
    "expected",
    "expires_ms",
    "expression",
    "gate_answered",
    "gate_approved",
    "gate_opened",
    "idempotent",
    "identity",
    "interrupted",
    "irreversible",
    "items_listed",
    "leftovers",
    "likelihood",
    "list_approved",
    "mitigated",
    "moved_from",
    "no_action",
    "not_done",
    "not_found",
    "not_operator",
    "not_performed",
    "not_resolved",
    "open_changes",
    "operator",
    "persons_choice",
    "process_started",
    "production",
    "programs",
    "questions",
    "ran_to_end",
    "requires",
    "resolved",
    "run_ended",
    "run_parked",
    "run_resumed",
    "run_started",
    "run_suspended",
    "runwright",
    "semantics",
    "settings",
    "settlement",
    "signature",
    "step_ended",
    "step_skipped",
    "step_started",
    "stored_value",
    "succeeded",
    "suspended",
    "suspending",
    "target_proven",
    "target_refused",
    "temporary",
    "terminal",
    "timed_out",
    "undecided",
    "undo_of",
    "validations",
    "waited_ms",
    "waits_for",
    "warnings",
];

/// Why a secret cannot be masked, and therefore must not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskRefused {
    /// It is too short.
    #[error("secret `{name}` is shorter than {MASK_AT_LEAST} bytes and cannot be masked without hiding harmless text")]
    TooShort {
        /// The secret.
        name: String,
    },
    /// Its text is known from elsewhere.
    #[error("secret `{name}` has the same text as {what}, which is not secret")]
    NotSecret {
        /// The secret.
        name: String,
        /// What else has that text.
        what: String,
    },
    /// There are too many or too long secrets.
    #[error("secret `{name}` makes the secrets of this run too long to look for")]
    TooLarge {
        /// The secret.
        name: String,
    },
}

/// Replaces secrets by `‹secret NAME›`.
///
/// A clone shares the secrets: one that is added while the run goes on (a secret capture) is masked from then on by
/// every writer, also in the middle of a stream.
#[derive(Clone, Default)]
pub struct Masker {
    state: Arc<RwLock<State>>,
}

#[derive(Default)]
struct State {
    secrets: Vec<SecretText>,
    plain: Vec<(String, String)>,
    table: Arc<Table>,
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("masker")
    }
}

impl Masker {
    /// A masker without secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells of a value that is not secret (`what` names it for people, such as "input `region`"): a secret with that
    /// very text is refused, because masking it would hide the value everywhere.
    pub fn know_plain(&self, what: impl Into<String>, value: impl Into<String>) {
        let value = value.into();
        if value.trim().len() >= MASK_AT_LEAST {
            self.write().plain.push((what.into(), value));
        }
    }

    /// Adds a secret. Adding the same text twice does nothing.
    ///
    /// # Errors
    /// It cannot be masked; its text stays unmasked, so it must not be used.
    pub fn add(&self, secret: &SecretText) -> Result<(), MaskRefused> {
        let mut state = self.write();
        if state.secrets.iter().any(|known| known.reveal() == secret.reveal()) {
            return Ok(());
        }
        state.refuse(secret)?;
        let mut secrets = state.secrets.clone();
        secrets.push(secret.clone());
        let table =
            Table::new(&secrets).map_err(|TableTooLarge| MaskRefused::TooLarge { name: secret.name.to_string() })?;
        state.table = Arc::new(table);
        state.secrets = secrets;
        Ok(())
    }

    /// Masks a text.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let table = self.table();
        if !table.is_in(text.as_bytes()) {
            return text.to_owned();
        }
        let mut stream = StreamMasker::new(self.clone());
        let mut bytes = stream.write(text.as_bytes());
        bytes.extend(stream.finish());
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Begins to mask a stream.
    #[must_use]
    pub fn stream(&self) -> StreamMasker {
        StreamMasker::new(self.clone())
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).table)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refuse(&self, secret: &SecretText) -> Result<(), MaskRefused> {
        let name = secret.name.to_string();
        let text = secret.reveal().trim();
        if text.len() < MASK_AT_LEAST {
            return Err(MaskRefused::TooShort { name });
        }
        if let Some((what, _)) = self.plain.iter().find(|(_, value)| value.trim() == text) {
            return Err(MaskRefused::NotSecret { name, what: what.clone() });
        }
        if let Some(word) = WORDS.iter().find(|word| word.contains(text)) {
            return Err(MaskRefused::NotSecret { name, what: format!("a part of the record's own word `{word}`") });
        }
        let mut names = self.secrets.iter().chain([secret]).map(|known| &known.name);
        if let Some(known) = names.find(|known| known.contains(text)) {
            return Err(MaskRefused::NotSecret { name, what: format!("a part of the name of secret `{known}`") });
        }
        Ok(())
    }
}
