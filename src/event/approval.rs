//! What a gate asks beside a yes, and the approvals it was given.

use super::view::Door;
use crate::expr::Duration;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a gate asks beside the answer itself. Without any of it, one yes passes the gate at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateTerms {
    /// Signed approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<ApprovalTerms>,
    /// The windows in which it can be passed, as they are written; at any time when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// When the gate was opened outside its windows: when the next one begins, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<String>,
    /// For how many milliseconds it stays open; what was not passed by then is declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

/// Whose signatures a gate wants, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalTerms {
    /// So many different people.
    pub wanted: u32,
    /// Of these groups; of everybody who may approve when none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Whether those who ran the run do not count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_operator: bool,
}

impl GateTerms {
    /// Whether nothing is asked beside the answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.approvals.is_none() && self.windows.is_empty() && self.expires_ms.is_none()
    }

    /// Whether two gates ask the same: one answer can then pass both.
    #[must_use]
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let asks = |terms: &Self| Self { opens: None, ..terms.clone() };
        asks(self) == asks(other)
    }
}

/// `2 approvals of dba; window Sat 02:00-04:00 Europe/Berlin; expires after 30m`.
impl fmt::Display for GateTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let approvals = self.approvals.as_ref().map(ToString::to_string);
        let windows = (!self.windows.is_empty()).then(|| format!("window {}", self.windows.join(" or ")));
        let expires = self.expires_ms.map(|ms| format!("expires after {}", span(ms)));
        f.write_str(&approvals.into_iter().chain(windows).chain(expires).collect::<Vec<_>>().join("; "))
    }
}

/// `2 approvals of dba, not of the operator`.
impl fmt::Display for ApprovalTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} approval{}", self.wanted, if self.wanted == 1 { "" } else { "s" })?;
        if !self.from.is_empty() {
            write!(f, " of {}", self.from.join(" or "))?;
        }
        if self.not_operator { f.write_str(", not of the operator") } else { Ok(()) }
    }
}

fn span(milliseconds: u64) -> String {
    Duration(SignedDuration::from_millis(i64::try_from(milliseconds).unwrap_or(i64::MAX))).to_string()
}

/// An approval that counts towards a gate which one yes does not pass at once. Who gave it is the actor of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateApproval {
    /// When it was said; for a signed one, the time that was signed.
    pub at: Timestamp,
    /// Through which door.
    pub door: Door,
    /// Why, in the person's own words. It is not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The signature, where the gate counts signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureView>,
}

/// A signature as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureView {
    /// The fingerprint of the key: `SHA256:..`.
    pub key: String,
    /// The signature in the form of `ssh-keygen -Y sign`.
    pub text: String,
}
