//! The ports: what the engine needs of the outside world.

use super::survivor::{Started, Survivor, Trace};
use super::word::{InboxWord, Said};
use crate::event::{
    AnswerKind, CardView, ErrorClass, EvidenceRef, Operator, OptionView, Outcome, Record, RunId, Settlement, StepPath,
    UsedView,
};
use crate::expr::{SecretText, Value};
use crate::plan::{Act, CommandAct};
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Stops an attempt.
pub type Cancel = CancellationToken;

/// A piece of output, for the live screen; already masked.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The step.
    pub step: StepPath,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// Masked bytes.
    pub bytes: Vec<u8>,
}

/// Everything a performer needs beside the act.
pub struct AttemptContext {
    /// The step.
    pub step: StepPath,
    /// `RUN/STEP/ATTEMPT`, put into the environment of children as `RUNWRIGHT_ATTEMPT`.
    pub marker: String,
    /// Whether it changes something: a timeout is then `unknown` instead of `timed_out`.
    pub change: bool,
    /// The longest it may take.
    pub timeout: Duration,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// Fires when it must stop.
    pub cancel: Cancel,
    /// Fires when it must stop at once: there is no grace any more.
    pub kill: Cancel,
    /// Where output is kept.
    pub evidence: Arc<dyn Evidence>,
    /// Hears of output as it comes.
    pub live: Option<tokio::sync::mpsc::Sender<Chunk>>,
    /// Hears of the process as soon as it runs.
    pub started: Option<tokio::sync::oneshot::Sender<Started>>,
}

/// How an attempt came out.
#[derive(Debug)]
pub struct Performed {
    /// The outcome; never `Skipped`, `Declined` or `NotPerformed`.
    pub outcome: Outcome,
    /// The class of the error, if any.
    pub error: Option<ErrorClass>,
    /// One line about it, without secrets.
    pub message: Option<String>,
    /// The result fields the action documents; those it could not obtain are unknown values.
    pub fields: IndexMap<String, Value>,
    /// Output that was kept, synced.
    pub evidence: Vec<EvidenceRef>,
    /// Processes left behind and ended, or not.
    pub left: Vec<String>,
}

/// Why it cannot be shown what an act would change.
#[derive(Clone, Debug, PartialEq)]
pub struct NoPreview {
    /// The class, as if the act had been performed.
    pub class: ErrorClass,
    /// One line, without secrets.
    pub message: String,
}

/// The hands: performs acts. A dry run is another performer.
pub trait Performer: Send + Sync {
    /// Performs one act to its end, whatever happens: never hangs past the timeout plus grace plus drain, leaves no
    /// process behind, never panics. Dropping the future is not a way to stop it; `cancel` is.
    fn perform(&self, act: Act, context: AttemptContext) -> BoxFuture<'static, Performed>;

    /// What would change: a unified diff for `edit` and `write`; nothing for other acts.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or would not be changed safely.
    fn preview(&self, act: Act, context: AttemptContext) -> BoxFuture<'static, Result<Option<String>, NoPreview>>;

    /// Names and digests of files the act depends on (its program, scripts of the library): they are part of what an
    /// approval is bound to.
    fn fingerprint(&self, act: &Act) -> Vec<(String, String)>;

    /// The processes that live of an attempt which was made on this host, in this boot, by a process that is gone (ruling
    /// 4). Reads all of `/proc`, which takes milliseconds. What runs on other machines, and what has changed its
    /// environment, its group and its session, is not found.
    fn survivors(&self, _trace: &Trace) -> Vec<Survivor> {
        Vec::new()
    }

    /// Waits until no certain survivor is left, or until it is cancelled. Those that are left then.
    fn await_survivors(&self, _trace: Trace, _cancel: Cancel) -> BoxFuture<'static, Vec<Survivor>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// Ends the certain survivors: TERM, after `grace` KILL. Those that could not be ended.
    fn end_survivors(&self, _trace: Trace, _grace: Duration) -> BoxFuture<'static, Vec<Survivor>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// The clock.
pub trait Clock: Send + Sync {
    /// Wall clock.
    fn now(&self) -> Timestamp;
    /// Since some fixed moment; goes on while the machine sleeps.
    fn elapsed(&self) -> Duration;
}

/// Why the record could not be written. After it, nothing is retried and no change starts (exit code 8).
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// `write`, `sync`, `create`, `read`, `lock`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Too little space is left for the record itself.
    #[error("only {left} bytes are left on the disk of {}; the record keeps {reserve} in reserve", path.display())]
    Full {
        /// The store.
        path: PathBuf,
        /// Bytes left.
        left: u64,
        /// Bytes kept in reserve.
        reserve: u64,
    },
    /// Another process has the run now; this one had it before.
    #[error("run `{run}` was taken over by {by}")]
    TakenOver {
        /// The run.
        run: String,
        /// Who has it now.
        by: String,
    },
    /// The store is not safe to use.
    #[error("{} cannot be used as a store: {reason}", path.display())]
    Refused {
        /// The store.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is no such run.
    #[error("no run `{0}` in this store")]
    NoRun(String),
    /// A line cannot be read.
    #[error("line {line} of {}: {reason}", path.display())]
    Damaged {
        /// The transcript.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

/// The record of one run, open for writing. One owner: the dispatcher.
pub trait RunStore: Send {
    /// Appends records in memory order; `seq` and `prev` are filled in here, and secrets are masked in them. Not yet
    /// durable.
    ///
    /// # Errors
    /// The record cannot be written.
    fn append(&mut self, records: &mut [Record]) -> Result<(), StoreError>;

    /// Makes everything appended so far durable (fdatasync).
    ///
    /// # Errors
    /// After an error the store is broken: every later call fails.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Closes the transcript after its closing event, and enters its head into the ledger.
    ///
    /// # Errors
    /// The ledger cannot be written; it is repaired at the next start.
    fn close(&mut self) -> Result<String, StoreError>;

    /// Where output is kept.
    fn evidence(&self) -> Arc<dyn Evidence>;

    /// Whether a change may start: enough disk is left for the record.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    fn room(&self) -> Result<(), StoreError>;
}

/// Why a lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockRefused {
    /// Another run has it: one line that says who, since when, at which step, and how to watch it.
    #[error("{0}")]
    Held(String),
    /// It cannot be taken.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What one run at a time may change. Locks are let go when this is dropped, and when the process is gone.
pub trait Locks: Send {
    /// Takes a lock for this run; one that it has already is had again. Gives whether it is a new one.
    ///
    /// # Errors
    /// Another run has it, or it cannot be taken.
    fn take(&mut self, what: &str) -> Result<bool, LockRefused>;
}

/// Keeps output.
pub trait Evidence: Send + Sync {
    /// Begins to keep one stream.
    ///
    /// # Errors
    /// The file cannot be made.
    fn begin(&self, stream: &str) -> Result<Box<dyn EvidenceWriter>, StoreError>;

    /// Masks a short text (an error message, a field).
    fn mask(&self, text: &str) -> String;

    /// Makes every writer of the run know a secret that the run has found: it is masked in all that is written from
    /// then on. Learning the same text again does nothing.
    ///
    /// # Errors
    /// It cannot be masked (too short, or the same text as something that is not secret): one sentence that does not
    /// hold its text. It must not be used.
    fn learn(&self, secret: &SecretText) -> Result<(), String>;
}

/// One stream being kept. Masks secrets across chunk borders, hashes while writing, bounded memory.
pub trait EvidenceWriter: Send {
    /// Takes raw bytes; gives back the masked bytes that are now safe to show (may lag behind).
    ///
    /// # Errors
    /// The disk is full. The caller goes on draining and tells of it.
    fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Ends it, synced. The second value is the last masked bytes to show.
    ///
    /// # Errors
    /// As for `write`.
    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError>;
}

/// What other processes leave for this run: decisions (`runwright approve`), and words that nobody asked for
/// (`runwright note`, `mark`, `abort`).
pub trait Inbox: Send {
    /// Takes the decisions that have come since the last call. Called only while something waits for one.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn take(&mut self) -> Result<Vec<InboxDecision>, StoreError>;

    /// Takes the words that have come since the last call, in the order of their time.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn words(&mut self) -> Result<Vec<InboxWord>, StoreError>;
}

/// A decision from another door.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct InboxDecision {
    /// The step.
    pub step: StepPath,
    /// The digest that the person saw; empty for questions.
    pub digest: String,
    /// The answer to a gate.
    pub answer: Option<AnswerKind>,
    /// The option chosen in a decide.
    #[serde(default)]
    pub chosen: Option<String>,
    /// Answers to questions.
    #[serde(default)]
    pub values: IndexMap<String, serde_json::Value>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who.
    pub by: Operator,
    /// When it was left.
    pub at: Timestamp,
    /// The same answer to a gate, signed; then it says who, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<super::statement::Signed>,
}

/// Names one open prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PromptId(pub u64);

/// One question of an `ask`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionView {
    /// The name the answer gets.
    pub name: String,
    /// What is asked.
    pub text: String,
    /// `string`, `integer`, `number`, `boolean`, `duration`, `choice`, ...
    pub kind: String,
    /// The choices, for `choice`.
    pub choices: Vec<String>,
    /// What Enter means.
    pub default: Option<String>,
    /// Whether typing is not shown.
    pub secret: bool,
}

/// What is wanted of a person.
#[derive(Clone, Debug)]
pub enum PromptKind {
    /// Pass a gate.
    Gate {
        /// The card.
        card: Box<CardView>,
        /// The digest, of which the screen shows the first 8 characters.
        digest: String,
        /// When an approval goes stale.
        expires: Timestamp,
        /// Whether the step may be skipped.
        may_skip: bool,
    },
    /// Choose an option.
    Decide {
        /// The options.
        options: Vec<OptionView>,
        /// The evidence table.
        shown: Vec<UsedView>,
        /// Why the machine did not choose.
        reason: String,
    },
    /// Say whether a step with an unknown `when` is performed.
    When {
        /// The expression.
        expression: String,
        /// Why it is unknown.
        reason: String,
    },
    /// Answer questions.
    Ask {
        /// The questions; answered one after the other.
        questions: Vec<QuestionView>,
    },
    /// Start a program that gets the terminal, or say that it was done elsewhere.
    Interactive {
        /// The command, quoted so that it can be pasted into a shell.
        command: String,
        /// Whether it may be skipped.
        may_skip: bool,
    },
    /// No question: the program is started now, with the terminal to itself. Answered by [`Answer::HandedOver`].
    HandOver {
        /// What is started.
        act: Box<CommandAct>,
        /// What marks its processes (`RUNWRIGHT_ATTEMPT`).
        marker: String,
    },
    /// Say what became of a change whose end was not seen.
    Settle {
        /// The act, as it was started.
        act: String,
        /// What is known: when it was started, why its end was not seen, what its verify says.
        known: Vec<String>,
    },
    /// Say whether processes of a change go on that have outlived the process which had the run. Answered by
    /// [`Answer::Perform`]: yes waits for them, no ends them.
    Outlived {
        /// Their names.
        processes: Vec<String>,
        /// How long ago the change was begun.
        spent: Duration,
    },
    /// Ctrl-C: leave the run as it is, end it, or go on. It stands before every other prompt.
    Stop {
        /// The run.
        run: RunId,
        /// Changes that run: a suspend waits for them.
        changes: Vec<StepPath>,
        /// Other steps that run: a suspend stops them, a resume begins them again.
        others: Vec<StepPath>,
        /// Whether the run may be aborted: it is not ending already.
        may_abort: bool,
    },
    /// Do something elsewhere and say how it went.
    Manual {
        /// What to do, Markdown, values filled in.
        text: String,
        /// Whether it may be skipped.
        may_skip: bool,
    },
}

/// Something a person must settle.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Its name.
    pub id: PromptId,
    /// The step.
    pub step: StepPath,
    /// The step's title.
    pub title: String,
    /// What is wanted.
    pub kind: PromptKind,
}

/// How a program ended that had the person's terminal. Of what happened at the terminal nothing is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Its exit code; none when a signal ended it.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it was ended because the run wanted its terminal back.
    pub wanted_back: bool,
    /// Why it was not started at all: the class, and one line that may still hold secrets.
    pub not_started: Option<(ErrorClass, String)>,
    /// Processes it left running, which were ended.
    pub left: Vec<String>,
}

/// What a person said.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Gate: go on.
    Approve,
    /// Gate: no.
    Decline {
        /// Why.
        reason: Option<String>,
    },
    /// Leave the step out.
    Skip {
        /// Why.
        reason: String,
    },
    /// Decide: this option.
    Choose {
        /// Its name.
        option: String,
        /// Why.
        reason: Option<String>,
    },
    /// When: perform it or not.
    Perform(bool),
    /// Ask: the values as text, by question name, already checked for type by the asker's own parsing.
    Values(IndexMap<String, String>),
    /// Manual: done, with evidence if there is some.
    Done {
        /// What the person saw.
        evidence: Option<String>,
    },
    /// Manual: it did not work.
    NotDone {
        /// Why.
        reason: String,
    },
    /// Settle: what became of the change, and how the person knows.
    Settled {
        /// What became of it.
        settlement: Settlement,
        /// How they know; never empty.
        reason: String,
    },
    /// HandOver: the program has ended, and the terminal is ours again.
    HandedOver(HandedOver),
    /// A note or a mark for the record; the prompt stays open. An abort is said by [`Answer::Abort`].
    Said(Said),
    /// End the run.
    Abort {
        /// Why.
        reason: String,
    },
    /// Leave the run as it is and go.
    Suspend,
    /// Stop: the run goes on.
    GoOn,
    /// The terminal is gone.
    Gone,
}

/// The person at the terminal, if there is one.
///
/// Prompts are shown one at a time, in the order they were put. Answers come back over the channel given at
/// construction; several answers may come for one prompt (notes). Nothing typed before the prompt was shown counts.
pub trait Person: Send {
    /// Whether somebody can answer here.
    fn is_present(&self) -> bool;

    /// Shows a prompt (or queues it behind the one on the screen).
    fn ask(&mut self, prompt: Prompt);

    /// Takes a prompt back: it was settled elsewhere (`why` says how) or went away.
    fn withdraw(&mut self, id: PromptId, why: &str);

    /// An answer was refused (wrong text typed, bad value): ask again, saying why.
    fn refuse(&mut self, id: PromptId, why: &str);
}
