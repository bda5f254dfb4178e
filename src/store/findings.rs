//! What a verification says.

use crate::event::RunId;

/// What is said of a transcript whose end nothing outside it confirms.
pub const END_OPEN: &str = "open: end not provable";

/// What is printed under every report.
pub const WHAT_A_CHAIN_DOES_NOT_PROVE: &str = "A chain of hashes shows that lines were changed, dropped, put in another \
order or added after they were written. It does not show who wrote them, that what they say is true, or that nothing \
was left out when they were written. Whoever can write to this store can also write the whole chain and the ledger anew; \
only a head that was kept somewhere else (a printed report, a ticket, a signature) shows that. The end of a run that \
has not ended can be cut without a trace, and so can the end of the ledger together with its runs.";

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, from the store's root.
    pub file: String,
    /// The line in it, from 1, when there is one.
    pub line: Option<u64>,
    /// One sentence.
    pub sentence: String,
}

/// What confirms the end of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The ledger holds its last line's hash.
    Ledger,
    /// The head that was given is its last line's hash.
    Given,
    /// Its last line is a closing event, and the ledger does not know the run.
    Closing,
    /// Nothing: [`END_OPEN`].
    Open,
}

/// What was found about one run.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// The run.
    pub run: RunId,
    /// Whole lines in its transcript.
    pub lines: u64,
    /// SHA-256 of the last whole line, in hex.
    pub head: String,
    /// What confirms its end.
    pub end: End,
    /// What is wrong; empty when everything fits.
    pub findings: Vec<Finding>,
    /// What is worth knowing and not wrong.
    pub notes: Vec<Finding>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What was found about a whole store.
#[derive(Clone, Debug)]
pub struct StoreReport {
    /// Lines of the ledger.
    pub entries: u64,
    /// What is wrong with the ledger, or with runs that are not there.
    pub findings: Vec<Finding>,
    /// What is worth knowing and not wrong.
    pub notes: Vec<Finding>,
    /// The runs, sorted by name.
    pub runs: Vec<VerifyReport>,
}

impl StoreReport {
    /// Whether nothing is wrong, in the ledger and in every run.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.runs.iter().all(VerifyReport::is_sound)
    }
}
