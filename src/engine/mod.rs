//! Dispatcher, scheduler, attempts, gates: what a run does, without knowing a process, a socket or a file.
//!
//! Rank 7. The dispatcher owns all state and is the only one to meet the outside, through four ports.

mod port;

pub use port::{
    Answer, AttemptContext, Cancel, Chunk, Clock, Evidence, EvidenceWriter, Inbox, InboxDecision, Performed, Performer,
    Person, Prompt, PromptId, PromptKind, QuestionView, RunStore, StoreError,
};
