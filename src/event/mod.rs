//! The vocabulary of what happened: data only.
//!
//! Rank 6. A run's state is the fold of its events and nothing else; the live screen, `show`, reports and a resume all
//! read these. The types are the record's format: every change here is a change of the format (`docs/transcript.md`),
//! and unknown fields of a newer version are kept readable by defaults.

mod approval;
mod card;
mod kind;
mod name;
mod outcome;
mod resumption;
mod view;

pub use approval::{ApprovalTerms, GateApproval, GateTerms, SignatureView};
pub use card::{ActView, CardView, GateRequirement, ItemView, KEPT, Line, OptionVerdict, OptionView, UsedView};
pub use kind::{Event, Record};
pub use name::{Actor, IdentityKind, InvalidRunId, Operator, RunId, StepPath};
pub use outcome::{ErrorClass, Mode, Outcome, RunResult, StepVerdict};
pub use resumption::{Mark, Resumption, Settlement, UnknownMark};
pub use view::{
    AnswerKind, CheckView, Door, EvidenceRef, FrozenRunbook, FrozenSettings, GateAnswer, InputView, ProgramView,
    StepFacts, StoredValue, Waiting,
};

/// The version of the meaning of events; a resume under another major version is refused.
pub const SEMANTICS: u32 = 1;
