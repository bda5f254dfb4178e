//! Dispatcher, scheduler, attempts, gates: what a run does, without knowing a process, a socket or a file.
//!
//! Rank 7. The dispatcher owns all state and is the only one to meet the outside, through four ports. Each step that
//! runs is a task of its own; it talks to nobody but the dispatcher, which keeps the record, grants permits (places for
//! running reads, the one write slot) and settles every gate in one function.
//!
//! A task is never stopped by dropping it: it is cancelled by its token and ends by itself, so that no child outlives
//! its step.

mod approving;
mod attempt;
mod background;
mod bodies;
mod body;
mod call;
mod change;
mod decide;
mod dispatch;
mod facts;
mod gate_before;
mod held;
mod history;
mod hold;
mod interactive;
mod items;
mod limits;
mod list;
mod list_gate;
mod locks;
mod message;
mod moved;
mod outlived;
mod past;
mod port;
mod question;
mod result;
mod run;
mod schedule;
mod settle;
mod stale;
mod statement;
mod step;
mod store_value;
mod survivor;
mod tally;
mod temporary;
#[cfg(test)]
mod tests;
mod undo;
mod undo_part;
mod unseen;
mod word;

pub use history::{BrokenLaw, History, StepHistory};
pub use past::Past;
pub use port::{
    Answer, AttemptContext, Cancel, Chunk, Clock, Evidence, EvidenceWriter, HandedOver, Inbox, InboxDecision,
    LockRefused, Locks, NoPreview, Performed, Performer, Person, Prompt, PromptId, PromptKind, QuestionView, RunStore,
    StoreError,
};
pub use question::answer_fits;
pub use result::{RunEnd, RunState};
pub use run::{Acts, Answers, Ports, Setup, Signal, run};
pub use statement::{Signed, SignedRefused, Signer, Statement};
pub use store_value::{Kept, holds_mask, restore, restore_kept, store};
pub use survivor::{Started, Survivor, Trace};
pub use tally::{GateTally, Given, operators};
pub use undo::UndoOf;
pub use word::{InboxWord, Said};
