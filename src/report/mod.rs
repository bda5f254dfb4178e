//! What a person reads of a run: live screen, cards, `show`, `list`, as text, Markdown and JSON.
//!
//! Rank 8. Pure functions and folds from records to text: nothing here prints, reads a clock, a terminal or a file, and
//! nothing here knows how an act is performed. All text that is not ours passes `sanitize` before it is laid out.

mod blocks;
mod card;
mod changes;
mod closing;
mod commands;
mod deviations;
mod found;
mod grid;
mod handover;
mod layout;
mod left;
mod list;
mod live;
mod markdown;
mod marks;
mod output;
mod passed;
mod plan;
mod problem;
mod prompt;
mod resumed;
pub mod sanitize;
mod show;
mod standing;
mod steps;
mod story;
mod style;
mod value;
mod words;

pub use card::{CardFrame, card, evidence};
pub use commands::Commands;
pub use found::{found_json, found_text};
pub use handover::page::{handover_json, handover_markdown, handover_text};
pub use handover::{About, Ahead};
pub use list::{OpenLine, OwnerLine, RunLine, WaitLine, list_json, list_text};
pub use live::{LiveScreen, ScreenOptions};
pub use markdown::show_markdown;
pub use plan::plan_text;
pub use problem::{Problem, problem};
pub use prompt::{prompt, prompt_act, prompt_evidence};
pub use show::{Recorded, show_json, show_json_value, show_text};
pub use steps::{StepInfo, StepTable};
pub use style::Style;
pub use words::span;

#[cfg(test)]
mod tests;
