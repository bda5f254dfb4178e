//! The command line as declared: commands, options and their help.

mod how;
mod library;
mod people;

pub(super) use how::{HowArguments, MendedArguments, ThawArguments};
pub(super) use library::{AlertsArguments, AlertsCommand, ExportArguments, LookupArguments};
pub(super) use people::{
    AbortArguments, AnswerArguments, ApproveArguments, DenyArguments, HandoverArguments, MarkArguments, NoteArguments,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Runbooks as code: checked, planned, gated, recorded.
#[derive(Debug, Parser)]
#[command(
    name = "runwright",
    version,
    about = "Runbooks as code: checked, planned, gated, recorded.",
    after_help = "\
Examples:
  runwright check                               every runbook of the library
  runwright plan disk-filling                   what would be done
  runwright probe disk-filling -i path=/var     reads only
  runwright run quarantine-overflow --env prod  with a gate before every change
  runwright show last                           what happened, from the record

A library is a folder with a runwright.yaml, found upward from here.
`runwright help COMMAND` tells more.",
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Arguments {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Folder of the records [default: $XDG_STATE_HOME/runwright]
    #[arg(long, global = true, value_name = "DIR", env = "RUNWRIGHT_STORE", hide_env_values = true)]
    pub store: Option<PathBuf>,
    /// Use the store even if it is on a network file system, where locks may not hold
    #[arg(long, global = true)]
    pub store_unsafe: bool,
    /// Folder of the runbooks, with its runwright.yaml [default: found upward from here]
    #[arg(long, global = true, value_name = "DIR", env = "RUNWRIGHT_LIBRARY", hide_env_values = true)]
    pub library: Option<PathBuf>,
    /// Colour on the terminal; NO_COLOR and CLICOLOR are heard
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless the environment says no.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a runbook: reads freely, asks before every change, records everything
    #[command(after_help = "\
Examples:
  runwright run quarantine-overflow --env prod
  runwright run ./fix.yaml -i most=80 -i admin=@/run/secrets/admin
  runwright run disk-filling --yes=low     changes of low risk are not asked for
  runwright run disk-filling --dry-run     the same as `runwright plan`

Without a terminal a run parks at the first gate, with exit code 5. With
--park-after it waits that long for `runwright approve` before it parks.")]
    Run(RunArguments),
    /// Take a run up again that was parked, suspended or whose process died
    #[command(after_help = "\
Examples:
  runwright resume 20261121-0114-k3f9
  runwright resume last -i admin=@/run/admin   a secret is never kept
  runwright resume last --refresh              reads are performed again
  runwright resume last --runbook fixed.yaml   go on with a mended runbook

What has ended is never performed again. The runbook, the inputs and
runwright.yaml are those of the start, out of the record.")]
    Resume(ResumeArguments),
    /// Take the changes of a run back, the last one first, each behind its gate
    #[command(after_help = "\
Examples:
  runwright undo 20261121-0114-k3f9
  runwright undo last

An undo is a run of its own. What it could not take back is named at its end;
it can be run again.")]
    Undo(UndoArguments),
    /// Show what a run would do, touching nothing: no process, no connection
    #[command(after_help = "\
Examples:
  runwright plan quarantine-overflow --env prod
  runwright plan quarantine-overflow --out plan.json
  runwright run quarantine-overflow --plan plan.json")]
    Plan(PlanArguments),
    /// Perform the reads of a runbook and nothing else
    #[command(after_help = "\
Examples:
  runwright probe quarantine-overflow --env prod")]
    Probe(ProbeArguments),
    /// Check runbooks: every problem at once, with its place and its mending
    #[command(after_help = "\
Examples:
  runwright check                          the whole library
  runwright check runbooks/a.yaml b        a file, and a runbook by its id
  runwright check --format sarif > out     for code scanning
  runwright check a.yaml --graph=mermaid   the order of its steps as a drawing")]
    Check(CheckArguments),
    /// Write a commented starter runbook
    New(NewArguments),
    /// Find the runbook for what you see: a question, an alert, lines of a log
    #[command(after_help = "\
Examples:
  runwright lookup quarantine is full
  runwright lookup StemeDBAgentFlooding
  runwright lookup 'FATAL: sorry, too many clients already'
  journalctl -u vestige-mcp -n 200 | runwright lookup -

The best comes first, with what of it fits and how it is started. The exit
code is 1 when no runbook fits.")]
    Lookup(LookupArguments),
    /// List the runs in the store, or the runbooks of the library
    List(ListArguments),
    /// Show a run from its record
    Show(ShowArguments),
    /// Prove that records are whole and unchanged
    #[command(after_help = "\
Examples:
  runwright verify 20261121-0114-k3f9
  runwright verify --all
  runwright verify last --against 4be190aa
  runwright verify last --key ~/.ssh/id_ed25519.pub    signed by `run --sign`

A head that was kept elsewhere proves the end of the record too, and so does
a signature by a key that is kept elsewhere.")]
    Verify(VerifyArguments),
    /// Answer a gate of a run that waits
    #[command(after_help = "\
Examples:
  runwright approve 20261121-0114-k3f9 ban_agent
  runwright approve last ban_agent --deny --reason 'wrong cluster'
  runwright approve last ban_agent --digest 9c41e7     without a terminal
  runwright approve last ban_agent --sign ~/.ssh/id_ed25519

The card is shown first; the answer is for exactly what it shows. Where a gate
wants approvals, only signatures by the keys of runwright.yaml count. A run
that no process has takes the answer up when it is resumed.")]
    Approve(ApproveArguments),
    /// Say no to a gate of a run that waits
    #[command(after_help = "\
Examples:
  runwright deny 20261121-0114-k3f9 ban_agent --reason 'wrong cluster'")]
    Deny(DenyArguments),
    /// Answer a question or a decision of a run that waits
    #[command(after_help = "\
Examples:
  runwright answer 20261121-0114-k3f9 who name=ana ticket=OPS-7
  runwright answer last cause --choose flooding --reason 'seen in the graph'
  runwright answer last move_traffic result=done       work by hand
  runwright answer last drain perform=yes              a `when` nobody can tell
  runwright answer last drain result=retry --reason 'still serving'
      done, not_done, retry: a change whose end nobody saw")]
    Answer(AnswerArguments),
    /// Tell the next person where a run stands, in under 40 lines, from its record
    #[command(after_help = "\
Examples:
  runwright handover last
  runwright handover 20261121-0114-k3f9 --markdown > ticket.md")]
    Handover(HandoverArguments),
    /// Note something in the record of a run, whoever has it
    #[command(after_help = "\
Examples:
  runwright note last 'the database team is on the phone'
  runwright note 20261121-0114-k3f9 --as ana 'seen this in May, too'

A run that has ended keeps its record as it is: the note stands beside it.")]
    Note(NoteArguments),
    /// Say when the incident was detected, declared, mitigated or resolved
    #[command(after_help = "\
Examples:
  runwright mark last detected --at 01:02 'the pager'
  runwright mark last mitigated
  runwright mark last declared --at '12m ago'

A mark may be said again: the later word counts, both stay on record.")]
    Mark(MarkArguments),
    /// End a run for good: temporary changes are taken back, `finally` runs
    #[command(after_help = "\
Examples:
  runwright abort 20261121-0114-k3f9 --reason 'wrong cluster'

A process that has the run ends it. When none has it, it is taken up here
only to be ended, as `resume` does it: what nobody saw the end of is settled,
temporary changes are taken back, `finally` runs.")]
    Abort(AbortArguments),
    /// The alerts of the library, for Prometheus
    Alerts(AlertsArguments),
    /// Print the JSON Schema for editors
    Schema(SchemaArguments),
    /// Print completions for a shell
    #[command(after_help = "\
Examples:
  runwright completions bash > /etc/bash_completion.d/runwright
  runwright completions zsh > \"${fpath[1]}/_runwright\"")]
    Completions(CompletionsArguments),
    /// Print the manual page, or write all of them into a folder
    Man(ManArguments),
}

/// Which runbook, with what.
#[derive(Clone, Debug, Args)]
pub struct RunbookArguments {
    /// The runbook: its id in the library, or a file (with a `/` or ending in .yaml)
    pub runbook: String,
    /// A value for an input; @FILE takes the content of a file, @@ a text that starts with @
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = pair, help_heading = "Values")]
    pub inputs: Vec<(String, String)>,
    /// A label of the alert that started this, for inputs that are taken `from: {label: ..}`
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair, help_heading = "Values")]
    pub labels: Vec<(String, String)>,
    /// The environment, out of runwright.yaml
    #[arg(short, long = "env", value_name = "NAME", help_heading = "Values")]
    pub environment: Option<String>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Which runbook, with what.
    #[command(flatten)]
    pub runbook: RunbookArguments,
    /// Change nothing: `plan` touches nothing at all, `probe` performs the reads
    #[arg(long, value_name = "LEVEL", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "plan", help_heading = "How")]
    pub dry_run: Option<DryRun>,
    /// How many reads at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "How")]
    pub jobs: u16,
    /// How it is performed.
    #[command(flatten)]
    pub how: HowArguments,
    /// Go by this saved plan; refuse if anything differs
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run", help_heading = "How")]
    pub plan: Option<PathBuf>,
}

/// `resume`.
#[derive(Debug, Args)]
pub struct ResumeArguments {
    /// The run: its name, the start of it, or `last`
    pub run: String,
    /// How many reads at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "How")]
    pub jobs: u16,
    /// How it is performed.
    #[command(flatten)]
    pub how: HowArguments,
    /// Perform the reads again that have ended, so that everything rests on fresh evidence
    #[arg(long, help_heading = "How")]
    pub refresh: bool,
    /// Take it from a process on another machine that cannot be asked any more; say why
    #[arg(long, value_name = "REASON", value_parser = reason, help_heading = "How")]
    pub take_over: Option<String>,
    /// Another runbook.
    #[command(flatten)]
    pub mended: MendedArguments,
    /// What is given again.
    #[command(flatten)]
    pub thaw: ThawArguments,
}

/// `undo`.
#[derive(Debug, Args)]
pub struct UndoArguments {
    /// The run, which has ended: its name, the start of it, or `last`
    pub run: String,
    /// How it is performed.
    #[command(flatten)]
    pub how: HowArguments,
    /// What is given again.
    #[command(flatten)]
    pub thaw: ThawArguments,
}

/// How much a dry run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Nothing is touched.
    Plan,
    /// Reads only.
    Probe,
}

/// Up to which risk `--yes` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Yes {
    /// Low risk.
    Low,
    /// Low and medium risk.
    Medium,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// Which runbook, with what.
    #[command(flatten)]
    pub runbook: RunbookArguments,
    /// Save the plan, for `run --plan`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The form of the plan
    #[arg(long, value_enum, default_value_t)]
    pub format: TextOrJson,
}

/// A text for people, or JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// `probe`.
#[derive(Debug, Args)]
pub struct ProbeArguments {
    /// Which runbook, with what.
    #[command(flatten)]
    pub runbook: RunbookArguments,
    /// How many reads at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    /// Your name for the record, when it is not your user name
    #[arg(long = "as", value_name = "NAME")]
    pub as_name: Option<String>,
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Files, folders or ids [default: the whole library]
    #[arg(value_name = "RUNBOOK")]
    pub runbooks: Vec<String>,
    /// The form of the problems
    #[arg(long, value_enum, default_value_t)]
    pub format: ProblemFormat,
    /// Draw the order of the steps
    #[arg(long, value_name = "FORM", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    pub graph: Option<GraphForm>,
    /// Warnings count as errors
    #[arg(long)]
    pub strict: bool,
}

/// The form of problems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProblemFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// GitHub workflow commands.
    Github,
}

/// The form of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphForm {
    /// For people.
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// Graphviz.
    Dot,
}

/// `new`.
#[derive(Debug, Args)]
pub struct NewArguments {
    /// The id of the new runbook, perhaps with a folder before it: host/disk-slow
    pub name: String,
}

/// `list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// List the runbooks instead of the runs
    #[arg(long)]
    pub runbooks: bool,
    /// List the runbooks whose cadence says that they are due again; exit code 1 when there is one
    #[arg(long, conflicts_with = "runbooks")]
    pub overdue: bool,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

/// `show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The run: its name, the start of it, or `last`
    pub run: String,
    /// The form
    #[arg(long, value_enum, default_value_t)]
    pub format: ShowFormat,
    /// Watch it until it ends or its process lets it go; Ctrl-C leaves the run alone
    #[arg(long, conflicts_with = "format")]
    pub follow: bool,
}

/// The form of a shown run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ShowFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// For a ticket.
    Markdown,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// The run: its name, the start of it, or `last`
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub run: Option<String>,
    /// Every run, and the ledger
    #[arg(long)]
    pub all: bool,
    /// The head of the record as it was noted elsewhere
    #[arg(long, value_name = "HEAD", conflicts_with = "all")]
    pub against: Option<String>,
    /// The public key that must have signed the head: a file such as id_ed25519.pub
    #[arg(long, value_name = "PUBFILE", conflicts_with = "all")]
    pub key: Option<PathBuf>,
}

/// `schema`.
#[derive(Debug, Args)]
pub struct SchemaArguments {
    /// Of which file
    #[arg(value_enum, default_value_t)]
    pub of: SchemaOf,
}

/// A file with a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// A runbook.
    #[default]
    Runbook,
    /// runwright.yaml.
    Library,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Where to write the page of every command
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// `NAME=VALUE`; the value may hold more `=`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::runbook::parse_duration(text).ok_or_else(|| "write it like 90s, 10m or 1h 30m".to_owned())
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("say why".to_owned()) } else { Ok(text.to_owned()) }
}

fn digest(text: &str) -> Result<String, String> {
    let fits = (6..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(text.to_ascii_lowercase()) } else { Err("write 6 to 64 of the card's hex digits".to_owned()) }
}
