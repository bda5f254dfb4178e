//! The text that a person signs to decide about a gate, and who has signed one.

use crate::event::{AnswerKind, IdentityKind, Operator};
use crate::library::Approvers;
use crate::signature::{KeyError, Namespace, PrivateKey, Signature, SignatureError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The first line of every statement.
const FORM: &str = "runwright gate decision, form 1";

/// A decision about one opening of one gate, as it is signed. The digest is that of the card: it holds the act with all
/// its values, the target with its proven identity, and which opening of the gate it is (ruling 12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The run.
    pub run: String,
    /// The step.
    pub step: String,
    /// The digest of the card.
    pub digest: String,
    /// The answer.
    pub answer: AnswerKind,
    /// When it was said.
    pub at: Timestamp,
}

impl Statement {
    /// The text to sign: six lines, the first of which names the form.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { run, step, digest, at, .. } = self;
        let answer = word(self.answer);
        format!("{FORM}\nrun: {run}\nstep: {step}\ndigest: {digest}\nanswer: {answer}\nat: {at}\n")
    }

    /// Reads a text that was signed; nothing when it is not exactly such a text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != FORM {
            return None;
        }
        let mut field = |name: &str| Some(lines.next()?.strip_prefix(name)?.strip_prefix(": ")?.to_owned());
        let (run, step, digest) = (field("run")?, field("step")?, field("digest")?);
        let answer = field("answer")?;
        let answer = [AnswerKind::Approved, AnswerKind::Declined, AnswerKind::Skipped]
            .into_iter()
            .find(|kind| word(*kind) == answer)?;
        let at = field("at")?.parse().ok()?;
        let statement = Self { run, step, digest, answer, at };
        // One statement has one text: nothing hides behind another spelling of a time, or after the last line.
        (statement.text() == text).then_some(statement)
    }

    /// Signs it.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(&self, key: &PrivateKey) -> Result<Signed, KeyError> {
        let statement = self.text();
        let signature = key.sign(Namespace::Gate, &statement)?.to_string();
        Ok(Signed { statement, signature })
    }
}

fn word(answer: AnswerKind) -> &'static str {
    match answer {
        AnswerKind::Approved => "approved",
        AnswerKind::Declined => "declined",
        AnswerKind::Skipped => "skipped",
        AnswerKind::Expired => "expired",
        AnswerKind::Voided => "voided",
    }
}

/// A statement with its signature, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The text that was signed.
    pub statement: String,
    /// The signature, in the form of `ssh-keygen -Y sign -n gate@runwright`.
    pub signature: String,
}

/// Somebody whose signature was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The name under which the key stands in `runwright.yaml`.
    pub name: String,
    /// The fingerprint of the key.
    pub key: String,
    /// Other names by which this person runs runbooks.
    pub users: Vec<String>,
}

impl Signer {
    /// The person as an actor on record.
    #[must_use]
    pub fn operator(&self, host: Option<String>) -> Operator {
        Operator { name: self.name.clone(), identity: IdentityKind::Signature, host }
    }
}

/// Why a signed statement does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignedRefused {
    /// The signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Nobody has that key.
    #[error("the key {0} is of nobody under `approvers`, as runwright.yaml was when the run began")]
    UnknownKey(String),
    /// Something else was signed.
    #[error("what was signed is not a decision about a gate")]
    NotAStatement,
}

impl Signed {
    /// Proves the signature, and gives back what was signed, by whom.
    ///
    /// # Errors
    /// It does not hold, its key is of nobody, or the text is no statement.
    pub fn prove(&self, approvers: &Approvers) -> Result<(Statement, Signer), SignedRefused> {
        let signature = Signature::parse(&self.signature)?;
        let fingerprint = signature.fingerprint();
        let Some((person, key)) = approvers.by_key(&fingerprint) else {
            return Err(SignedRefused::UnknownKey(fingerprint));
        };
        key.verify(Namespace::Gate, &self.statement, &signature)?;
        let statement = Statement::parse(&self.statement).ok_or(SignedRefused::NotAStatement)?;
        Ok((statement, Signer { name: person.name.clone(), key: fingerprint, users: person.users.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_one_text() {
        let statement = Statement {
            run: "20261121-0100-test".into(),
            step: "store[3]/mint".into(),
            digest: "ab".repeat(32),
            answer: AnswerKind::Approved,
            at: "2026-11-21T01:00:01.5Z".parse().expect("a time"),
        };
        let text = statement.text();
        assert_eq!(Statement::parse(&text), Some(statement));
        for other in [
            text.replace("01.5Z", "01.50Z"),
            text.replace("approved", "voided"),
            format!("{text}\n"),
            format!("{text}more: x\n"),
            text.replace('\n', "\r\n"),
            text.replace("form 1", "form 2"),
            text.replace("run: ", "run:"),
            text.trim_end().to_owned(),
        ] {
            assert_eq!(Statement::parse(&other), None, "{other:?}");
        }
    }
}
