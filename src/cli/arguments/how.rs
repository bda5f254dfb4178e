//! Options that several commands share: how a run is performed, and what stands in place of what is recorded.

use super::{Yes, duration, pair};
use clap::Args;
use std::path::PathBuf;

/// Who performs a run, and how what it asks is answered.
#[derive(Clone, Debug, Args)]
pub struct HowArguments {
    /// Answer confirmations up to this risk with yes; never a typed gate, a question, a gate that moved, stale evidence, or what became of a change
    #[arg(long, value_name = "RISK", value_enum, require_equals = true, help_heading = "How")]
    pub yes: Option<Yes>,
    /// Answers to questions and decisions, as YAML
    #[arg(long, value_name = "FILE", help_heading = "How")]
    pub answers: Option<PathBuf>,
    /// Your name for the record, when it is not your user name
    #[arg(long = "as", value_name = "NAME", help_heading = "How")]
    pub as_name: Option<String>,
    /// How long to wait for answers from elsewhere when nobody is at the terminal
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "How")]
    pub park_after: Option<std::time::Duration>,
    /// Sign the head of the record with this OpenSSH ed25519 key when the run ends
    #[arg(long, value_name = "KEYFILE", help_heading = "How")]
    pub sign: Option<PathBuf>,
    /// Change a place although this interrupted run left a change there whose end is unknown
    #[arg(long, value_name = "RUN", help_heading = "How")]
    pub beside: Vec<String>,
}

/// What is given again, or in place of what a record says, when a run goes by its record.
#[derive(Clone, Debug, Args)]
pub struct ThawArguments {
    /// A secret input again, when it came from the command line or a question; all other inputs are frozen
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = pair, help_heading = "Values")]
    pub inputs: Vec<(String, String)>,
    /// The working folder, when that of the start is not here
    #[arg(long, value_name = "DIR", help_heading = "In place of what is recorded")]
    pub folder: Option<PathBuf>,
    /// Look for the required programs again, when those of the start are not here
    #[arg(long, help_heading = "In place of what is recorded")]
    pub find_programs: bool,
}

/// A runbook in place of the frozen one.
#[derive(Clone, Debug, Args)]
pub struct MendedArguments {
    /// Go on with this runbook in place of the frozen one; the differences are shown, and asked about
    #[arg(long, value_name = "FILE", help_heading = "In place of what is recorded")]
    pub runbook: Option<PathBuf>,
    /// Agree to the runbook with this SHA-256 (6 digits at least) where there is no terminal
    #[arg(long, value_name = "HEX", value_parser = super::digest, requires = "runbook", help_heading = "In place of what is recorded")]
    pub accept_runbook: Option<String>,
}
