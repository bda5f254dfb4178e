//! The hands: the only place that spawns programs, connects, and changes files.
//!
//! Rank 8. Uses `expr`, `event`, `plan::Act` and the engine's ports; knows nothing of steps, gates or the record. It
//! never reads the process environment by itself: `cli` gives it a [`BaseEnvironment`].

mod address;
mod call;
mod certificates;
mod environment;
mod file;
mod fingerprint;
#[cfg(test)]
mod fixture;
mod hands;
mod http;
mod json;
mod kubectl;
mod log;
mod outcome;
mod process;
mod program;
mod prometheus;
mod service;
mod sql;
mod ssh;

pub use environment::{BaseEnvironment, refused_variable};
pub use hands::Hands;
pub use http::install_crypto;
pub use process::{Isolation, Lender, exec_mode};
pub use program::{ProgramError, find_program};
