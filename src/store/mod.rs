//! The record on disk: transcript, evidence, ledger, inbox, locks. Rank 8.
//!
//! A store is a folder of its own (0700, files 0600), reached through an open handle; nothing inside it is ever reached
//! through a link:
//!
//! ```text
//! id                        the store's own name, made once
//! ledger.jsonl              one chained line for each closed run: its head and its number of lines
//! holds/                    locks on what one run at a time may have: a runbook on a target
//! open/RUN                  an empty mark for each run that is not in the ledger yet
//! runs/RUN/transcript.jsonl one event a line, each with the hash of the line before it
//! runs/RUN/evidence/SHA256  output that was kept; `.tmp-*` while it is still coming
//! runs/RUN/inbox/           decisions and words left by other processes
//! runs/RUN/addenda.jsonl    notes and marks that were said after the end, chained from the sealed head on
//! runs/RUN/head.sig         a signature over the head of a record that has ended
//! runs/RUN/lock             locked by the operating system for as long as the run has a live owner
//! runs/RUN/owner.json       who that is, its time the last sign of life: information only, the lock is the truth
//! runs/RUN/epoch            which owner in turn it is; an older one that finds a higher number writes nothing more
//! ```
//!
//! It implements the engine's ports and knows nothing of acts, screens or reports. Every byte passes the [`Masker`]
//! before it reaches the disk. Hashes are taken over bytes as written; nothing is ever verified by serialising it again.

mod addendum;
mod chain;
mod earlier;
mod evidence;
mod findings;
mod folder;
mod follow;
mod hold;
mod inbox;
mod ledger;
mod mask;
mod owner;
mod read;
mod root;
mod run;
mod seal;
mod standing;
mod summary;
mod take;
mod unfinished;
mod verify;

#[cfg(test)]
mod tests;

pub use addendum::{Addenda, Kept};
pub use earlier::EarlierValue;
pub use evidence::{EVIDENCE_A_RUN, EVIDENCE_A_STREAM, INLINE_AT_MOST};
pub use findings::{END_OPEN, End, Finding, StoreReport, VerifyReport, WHAT_A_CHAIN_DOES_NOT_PROVE};
pub use follow::Follower;
pub use hold::{Hold, HoldError, Holder, RunHolds};
pub use inbox::{DECISION_AT_MOST, DirInbox, Refusals};
pub use ledger::LedgerEntry;
pub use mask::{MASK_AT_LEAST, MaskRefused, Masker, StreamMasker};
pub use owner::{Heartbeat, Owner, boot_id, host_name, machine_id};
pub use read::{Leftover, NewerRecord, Torn, Transcript};
pub use root::{Store, new_run_id};
pub use run::{DirRun, RESERVE};
pub use seal::{SEAL, head_statement};
pub use standing::{OpenChange, Standing};
pub use summary::{FindError, RunState, RunSummary};
pub use take::{Holding, ResumeError, TakeOver, Taken, Whereabouts};
pub use unfinished::Unfinished;
