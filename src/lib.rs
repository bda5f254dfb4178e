//! Runwright: operations runbooks as code, checked, planned, gated and recorded.
//!
//! Text becomes a record in one direction:
//!
//! ```text
//! YAML --parse--> Runbook --check--> StepGraph --plan--> Plan --run--> events --> transcript
//! ```
//!
//! Each arrow is one public function; each noun has a private constructor, so that holding one is the proof that the
//! step before it succeeded. `docs/architecture.md` ranks the modules; a test holds them to it.

pub mod action;
pub mod cli;
pub mod engine;
pub mod event;
pub mod expr;
pub mod graph;
pub mod library;
pub mod plan;
pub mod report;
pub mod runbook;
pub mod signature;
pub mod source;
pub mod store;
pub mod terminal;
