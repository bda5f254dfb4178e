//! What is asked of the library as a whole.

use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// `lookup`.
#[derive(Debug, Args)]
pub struct LookupArguments {
    /// What you see, in your words or in those of the machine; `-` reads lines from stdin
    #[arg(value_name = "WORD", required = true)]
    pub words: Vec<OsString>,
    /// Everything that fits, not only the best five
    #[arg(long)]
    pub all: bool,
    /// One JSON document, with everything that fits
    #[arg(long)]
    pub json: bool,
}

/// `alerts`.
#[derive(Debug, Args)]
pub struct AlertsArguments {
    /// What is done with them.
    #[command(subcommand)]
    pub command: AlertsCommand,
}

/// What is done with the alerts of the library.
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// Write them as a rule file of Prometheus
    #[command(after_help = "\
Examples:
  runwright alerts export                  of the whole library
  runwright alerts export disk-filling -o /etc/prometheus/rules/disks.yml

A group for each runbook, named as it is; in it each alert that has an `expr`,
with the annotation `runbook`. The same library gives the same bytes, and a
file that has them already is not touched.")]
    Export(ExportArguments),
}

/// `alerts export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Ids or files [default: the whole library]
    #[arg(value_name = "RUNBOOK")]
    pub runbooks: Vec<String>,
    /// Where to write it [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that another hand wrote
    #[arg(long, requires = "output")]
    pub force: bool,
}
