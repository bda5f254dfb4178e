//! Performs and previews changes of files on another machine: a constant script there reads and replaces, everything
//! between is worked out here.

use super::super::outcome::{cancelled_before_start, one_line};
use super::super::process::{Answer, Workshop, ask};
use super::change::{NEW_FILE_MODE, Rewrite, path_of, sha256};
use super::perform::{UNCHANGED, ended, failed, finished, keep};
use super::problem::Problem;
use crate::engine::{AttemptContext, Cancel, Evidence, NoPreview, Performed};
use crate::event::{ErrorClass, Outcome, StepPath};
use crate::expr::Rendered;
use crate::plan::{Act, CommandAct, Machine};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the far end performs; see its head for what it takes and says.
const SCRIPT: &str = include_str!("far.sh");

/// One file on another machine, and the attempt that is about it.
struct FarFile {
    file: String,
    follow: bool,
    machine: Machine,
    step: StepPath,
    marker: String,
    until: Instant,
    grace: Duration,
    cancel: Cancel,
    kill: Cancel,
    evidence: Arc<dyn Evidence>,
    workshop: Arc<Workshop>,
}

/// What a question came to: the text after the first line, or how it failed.
type Asked = Result<(String, Vec<u8>), Failure>;

/// Why the far end gave no usable answer.
struct Failure {
    outcome: Outcome,
    class: ErrorClass,
    /// Masked.
    message: String,
    left: Vec<String>,
}

/// Performs a change of a file on another machine. The old bytes and the diff are kept, synced, before the file is
/// touched.
///
/// `Failed` means that the file is as it was; `Unknown` that the new bytes were sent and the end was not seen.
pub(crate) async fn perform(act: Act, context: AttemptContext, workshop: Arc<Workshop>) -> Performed {
    if context.cancel.is_cancelled() {
        return cancelled_before_start();
    }
    let evidence = Arc::clone(&context.evidence);
    let far = match FarFile::new(&act, context, workshop) {
        Ok(far) => far,
        Err(problem) => return failed(&*evidence, &problem, Vec::new()),
    };
    let before = match far.read().await {
        Ok(before) => before,
        Err(failure) => return failure.report(),
    };
    let rewrite = match Rewrite::of(&act, before.as_deref()) {
        Ok(rewrite) => rewrite,
        Err(problem) => return failed(&*evidence, &problem, Vec::new()),
    };
    if before.as_deref() == rewrite.after.as_deref() {
        return finished(Outcome::Succeeded, &rewrite, before.as_deref(), Vec::new());
    }
    let kept = match keep(&*evidence, &rewrite, before.as_deref()) {
        Ok(kept) => kept,
        Err(error) => {
            let message =
                format!("{} was not touched, because its old content could not be kept: {error}", rewrite.file);
            return failed(&*evidence, &Problem::new(ErrorClass::System, message), Vec::new());
        }
    };
    let made = match &rewrite.after {
        Some(after) => far.replace(&act, before.as_deref(), after).await,
        None => far.remove(before.as_deref()).await,
    };
    match made {
        Ok(()) => finished(Outcome::Succeeded, &rewrite, before.as_deref(), kept),
        Err(failure) => Performed { evidence: kept, ..failure.report() },
    }
}

/// What a change of a file on another machine would change. The file is read there and nothing else is done.
///
/// # Errors
/// The file cannot be read or parsed, or would not be changed safely.
pub(crate) async fn preview(
    act: Act,
    context: AttemptContext,
    workshop: Arc<Workshop>,
) -> Result<Option<String>, NoPreview> {
    let refused = |problem: Problem| NoPreview { class: problem.class, message: problem.message };
    let far = FarFile::new(&act, context, workshop).map_err(refused)?;
    let before = far.read().await.map_err(|failure| NoPreview { class: failure.class, message: failure.message })?;
    let rewrite = Rewrite::of(&act, before.as_deref()).map_err(refused)?;
    let is_settled = before.as_deref() == rewrite.after.as_deref();
    Ok(Some(if is_settled { UNCHANGED.to_owned() } else { rewrite.diff }))
}

impl FarFile {
    #[expect(clippy::disallowed_methods, reason = "two questions share the time of one attempt")]
    fn new(act: &Act, context: AttemptContext, workshop: Arc<Workshop>) -> Result<Self, Problem> {
        let (file, follow) = path_of(act)?;
        if file.is_empty() || file.contains('\0') {
            return Err(Problem::bad_value("the path of the file is empty or holds a NUL byte"));
        }
        let now = Instant::now();
        Ok(Self {
            file,
            follow,
            machine: act.machine().cloned().unwrap_or_default(),
            step: context.step,
            marker: context.marker,
            until: now.checked_add(context.timeout).unwrap_or(now),
            grace: context.grace,
            cancel: context.cancel,
            kill: context.kill,
            evidence: context.evidence,
            workshop,
        })
    }

    /// The bytes of the file; nothing when it is not there.
    async fn read(&self) -> Result<Option<Vec<u8>>, Failure> {
        let (said, bytes) = self.ask("read", &[], None).await?;
        match said.as_str() {
            "present" => Ok(Some(bytes)),
            "absent" => Ok(None),
            other => Err(self.unusable(other, Outcome::Failed)),
        }
    }

    async fn replace(&self, act: &Act, before: Option<&[u8]>, after: &[u8]) -> Result<(), Failure> {
        let (mode, owner) = match act {
            Act::Write(write) => (write.mode.unwrap_or(NEW_FILE_MODE), write.owner.clone().unwrap_or_default()),
            _ => (NEW_FILE_MODE, String::new()),
        };
        // Only what is brought back may be no text.
        let (encoding, text) = match std::str::from_utf8(after) {
            Ok(text) => ("plain", text.to_owned()),
            Err(_) => ("base64", BASE64.encode(after)),
        };
        let more = [digest_of(before), after.len().to_string(), format!("{mode:o}"), owner, encoding.to_owned()];
        let (said, _) = self.ask("replace", &more, Some(text)).await?;
        match said.as_str() {
            "replaced" | "made" => Ok(()),
            other => Err(self.unusable(other, Outcome::Unknown)),
        }
    }

    async fn remove(&self, before: Option<&[u8]>) -> Result<(), Failure> {
        let (said, _) = self.ask("remove", &[digest_of(before)], None).await?;
        match said.as_str() {
            "removed" => Ok(()),
            other => Err(self.unusable(other, Outcome::Unknown)),
        }
    }

    async fn ask(&self, doing: &str, more: &[String], stdin: Option<String>) -> Asked {
        let follow = if self.follow { "yes" } else { "no" };
        let argv = ["sh", "-c", SCRIPT, "sh", doing, &self.file, follow];
        let argv = argv.into_iter().chain(more.iter().map(String::as_str)).map(Rendered::text).collect();
        let act = CommandAct {
            argv,
            script: None,
            program: None,
            env: IndexMap::new(),
            pass_env: Vec::new(),
            cwd: None,
            stdin: stdin.map(Rendered::text),
            ok: vec![0],
            machine: self.machine.clone(),
        };
        let words = match doing {
            "read" => "reading",
            "remove" => "removing",
            _ => "replacing",
        };
        let name = format!("{words} `{}`", self.file);
        let answer = ask(act, name, self.context(doing != "read"), Arc::clone(&self.workshop)).await;
        self.understood(&answer)
    }

    #[expect(clippy::disallowed_methods, reason = "two questions share the time of one attempt")]
    fn context(&self, change: bool) -> AttemptContext {
        AttemptContext {
            step: self.step.clone(),
            marker: self.marker.clone(),
            change,
            timeout: self.until.saturating_duration_since(Instant::now()),
            grace: self.grace,
            cancel: self.cancel.clone(),
            kill: self.kill.clone(),
            evidence: Arc::clone(&self.evidence),
            live: None,
            started: None,
        }
    }

    fn understood(&self, answer: &Answer) -> Asked {
        let failure = |outcome, class, message: &str| Failure {
            outcome,
            class,
            message: one_line(&self.evidence.mask(message)),
            left: answer.left.clone(),
        };
        if answer.outcome != Outcome::Succeeded {
            let class = answer.error.clone().unwrap_or(ErrorClass::System);
            return Err(failure(answer.outcome, class, answer.message.as_deref().unwrap_or_default()));
        }
        let bytes = answer.stdout.as_ref().map_err(|why| failure(Outcome::Failed, ErrorClass::BadAnswer, why))?;
        let split = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
        let (line, rest) = bytes.split_at(split);
        let line = String::from_utf8_lossy(line).into_owned();
        if let Some(refused) = line.strip_prefix("refused ") {
            let (class, text) = refused.split_once(' ').unwrap_or((refused, ""));
            let place = self.machine.address().unwrap_or_default();
            return Err(failure(Outcome::Failed, class_of(class), &format!("at {place}: {text}")));
        }
        Ok((line, rest.get(1..).unwrap_or_default().to_vec()))
    }

    /// An answer that the script does not give.
    fn unusable(&self, said: &str, outcome: Outcome) -> Failure {
        let message = format!("the far end gave no usable answer about {}: `{said}`", self.file);
        let message = one_line(&self.evidence.mask(&message));
        Failure { outcome, class: ErrorClass::BadAnswer, message, left: Vec::new() }
    }
}

impl Failure {
    fn report(self) -> Performed {
        Performed { left: self.left, ..ended(self.outcome, self.class, self.message) }
    }
}

/// What must be in the file when it is replaced or removed, as the script takes it.
fn digest_of(before: Option<&[u8]>) -> String {
    before.map_or_else(|| "none".to_owned(), sha256)
}

/// The class that the script names.
fn class_of(word: &str) -> ErrorClass {
    match word {
        "not_found" => ErrorClass::NotFound,
        "denied" => ErrorClass::Denied,
        "bad_value" => ErrorClass::BadValue,
        "bad_answer" => ErrorClass::BadAnswer,
        _ => ErrorClass::System,
    }
}
