//! What people say to a run, and hear of it: answers, words, its end.

use super::{ResumeArguments, digest, pair};
use crate::event::Mark;
use clap::Args;
use std::path::PathBuf;

/// `approve`.
#[derive(Debug, Args)]
pub struct ApproveArguments {
    /// The run: its name, the start of it, or `last`
    pub run: String,
    /// The step whose gate waits
    pub step: String,
    /// Say no: the step and what depends on it are not performed
    #[arg(long, conflicts_with = "skip")]
    pub deny: bool,
    /// Leave the step out and go on
    #[arg(long, requires = "reason")]
    pub skip: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// The start of the digest on the card (6 characters at least): needed where there is no terminal
    #[arg(long, value_name = "HEX", value_parser = digest)]
    pub digest: Option<String>,
    /// Sign the answer with this OpenSSH ed25519 key
    #[arg(long, value_name = "KEYFILE", conflicts_with = "as_name")]
    pub sign: Option<PathBuf>,
    /// Print the text to sign, for a key that is elsewhere or in a device
    #[arg(long, conflicts_with_all = ["sign", "digest", "signed"])]
    pub to_sign: bool,
    /// Take the text that was signed elsewhere, with its signature in FILE.sig
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sign", "as_name"])]
    pub signed: Option<PathBuf>,
    /// Your name for the record, when it is not your user name
    #[arg(long = "as", value_name = "NAME")]
    pub as_name: Option<String>,
}

/// `deny`.
#[derive(Debug, Args)]
pub struct DenyArguments {
    /// The run: its name, the start of it, or `last`
    pub run: String,
    /// The step whose gate waits
    pub step: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Sign the answer with this OpenSSH ed25519 key
    #[arg(long, value_name = "KEYFILE", conflicts_with = "as_name")]
    pub sign: Option<PathBuf>,
    /// Your name for the record, when it is not your user name
    #[arg(long = "as", value_name = "NAME")]
    pub as_name: Option<String>,
}

/// `answer`.
#[derive(Debug, Args)]
pub struct AnswerArguments {
    /// The run: its name, the start of it, or `last`
    pub run: String,
    /// The step that asks
    pub step: String,
    /// Answers
    #[arg(value_name = "NAME=VALUE", value_parser = pair, required_unless_present = "choose", conflicts_with = "choose")]
    pub values: Vec<(String, String)>,
    /// The option to take, for a decision
    #[arg(long, value_name = "OPTION")]
    pub choose: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Your name for the record, when it is not your user name
    #[arg(long = "as", value_name = "NAME")]
    pub as_name: Option<String>,
}

/// `handover`.
#[derive(Debug, Args)]
pub struct HandoverArguments {
    /// The run: its name, the start of it, or `last`
    pub run: String,
    /// One JSON document, with everything
    #[arg(long)]
    pub json: bool,
    /// Markdown for a ticket, with everything
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

/// `note`.
#[derive(Debug, Args)]
pub struct NoteArguments {
    /// The run: its name, the start of it, or `last`
    pub run: String,
    /// What is noted
    #[arg(required = true, value_name = "TEXT")]
    pub text: Vec<String>,
    /// Your name for the record, when it is not your user name
    #[arg(long = "as", value_name = "NAME")]
    pub as_name: Option<String>,
}

/// `mark`.
#[derive(Debug, Args)]
pub struct MarkArguments {
    /// The run: its name, the start of it, or `last`
    pub run: String,
    /// detected, declared, mitigated or resolved
    #[arg(value_parser = clap::value_parser!(Mark))]
    pub mark: Mark,
    /// Something about it
    #[arg(value_name = "TEXT")]
    pub text: Vec<String>,
    /// When it was: a time of day in UTC (`01:02`), a time stamp, or `12m ago` [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Your name for the record, when it is not your user name
    #[arg(long = "as", value_name = "NAME")]
    pub as_name: Option<String>,
}

/// `abort`.
#[derive(Debug, Args)]
pub struct AbortArguments {
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The run, and what it takes to end it when no process has it: it is taken up to be ended.
    #[command(flatten)]
    pub take_up: ResumeArguments,
}
