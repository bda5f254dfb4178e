//! Prompts on the terminal: gates, decisions, questions, work by hand.
//!
//! Rank 8. [`Desk`] is the engine's `Person`: it shows one prompt at a time and hands the answers back over a channel.
//! [`Paper`] is the one writer to the terminal, shared with the screen, so that what happens never breaks into the line
//! a person types on. How a prompt looks is not known here: the text comes from a [`Face`] given at construction.
//!
//! Lines are read in the terminal's own line mode. Prompt libraries such as `inquire` were looked at and are not used:
//! their prompts cannot be taken back from another thread, and a gate that was settled elsewhere must close at once.

mod desk;
mod dialogue;
mod form;
mod group;
mod help;
mod lines;
mod loan;
mod paper;
#[cfg(test)]
mod tests;

pub use desk::{Desk, Face, Lend, PromptText};
pub(crate) use group::own_group;
pub use paper::Paper;
