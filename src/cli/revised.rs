//! `resume --runbook FILE`: a run goes on with another version of its runbook, if that fits what was done, and if a
//! person agrees.

use super::callees::Thaw;
use super::console::Console;
use super::failure::CommandError;
use super::frozen::{self, sha256};
use super::person::typed_line;
use super::refusal::{Refusal, short};
use super::session::Session;
use crate::event::{Event, FrozenRunbook, Record, RunId};
use crate::graph::{Revision, StepChange, StepGraph};
use crate::report::sanitize::visible;
use crate::source::{Diagnostics, Source};
use std::collections::HashSet;
use std::path::Path;

/// Another version of a run's runbook.
pub(super) struct Proposal<'r> {
    pub(super) run: &'r RunId,
    pub(super) records: &'r [Record],
    pub(super) frozen: &'r FrozenRunbook,
}

impl Proposal<'_> {
    /// Reads the file, and shows what is different in it; nothing when it is the very text that the run goes by.
    ///
    /// # Errors
    /// It cannot be read, has problems, or does not fit what was done.
    pub(super) fn read(
        &self,
        session: &Session,
        path: &Path,
        thaw: &mut Thaw<'_>,
        graph: &StepGraph,
    ) -> Result<Option<(StepGraph, FrozenRunbook)>, CommandError> {
        let file = session.shown(path);
        let bytes = std::fs::read(path).map_err(|source| CommandError::Read { path: file.clone().into(), source })?;
        let source = Source::from_bytes(file.as_str(), &bytes).map_err(CommandError::Invalid)?;
        if sha256(source.text()) == self.frozen.digest {
            return Ok(None);
        }
        let mut problems = Diagnostics::new();
        let Some(other) = thaw.graph(&source, &mut problems) else { return Err(CommandError::Invalid(problems)) };
        let revision = Revision::between(graph, &other);
        let why = revision.unfit(&begun(self.records));
        if !why.is_empty() {
            return Err(Refusal::Unfit { file, run: self.run.clone(), why }.into());
        }
        let runbook = frozen::runbook(&other);
        session.console.say(&self.differences(&revision, &runbook));
        Ok(Some((other, runbook)))
    }

    /// Whether a person agrees: by its digest, or at the terminal.
    ///
    /// # Errors
    /// Nobody does.
    pub(super) fn agreed(
        &self,
        session: &Session,
        runbook: &FrozenRunbook,
        accepted: Option<&str>,
    ) -> Result<(), CommandError> {
        let agreed = match accepted {
            Some(digest) => runbook.digest.starts_with(digest),
            None if Console::has_person() => {
                session.console.say("go on with it? [y/N] ");
                typed_line().is_some_and(|line| matches!(line.trim(), "y" | "yes"))
            }
            None => false,
        };
        if agreed {
            return Ok(());
        }
        let asked = accepted.is_none() && Console::has_person();
        let (file, run, digest) = (runbook.file.clone(), self.run.clone(), runbook.digest.clone());
        Err(Refusal::NotAccepted { file, run, digest, asked }.into())
    }

    /// What is different, step by step.
    fn differences(&self, revision: &Revision, runbook: &FrozenRunbook) -> String {
        let (old, new) = (short(&self.frozen.digest), short(&runbook.digest));
        let mut text = format!("{} {new} in place of {} {old}\n", visible(&runbook.file), visible(&self.frozen.file));
        if !revision.keys.is_empty() {
            text.push_str(&format!("  changed  the runbook's {}\n", visible(&revision.keys.join(", "))));
        }
        let width = revision.steps.keys().map(|path| path.chars().count()).max().unwrap_or(0);
        for (path, change) in &revision.steps {
            let path = visible(path);
            let line = match change {
                StepChange::Changed(keys) => format!("  changed  {path:<width$}  {}", visible(&keys.join(", "))),
                StepChange::Added => format!("  added    {path}"),
                StepChange::Removed => format!("  removed  {path}"),
            };
            text.push_str(&format!("{line}\n"));
        }
        let same = revision.same;
        text.push_str(&format!("  same     {same} {}\n", if same == 1 { "step" } else { "steps" }));
        text
    }
}

/// The steps, without items of loops, of which more is on record than that they wait.
fn begun(records: &[Record]) -> HashSet<String> {
    let is_begun = |record: &&Record| {
        matches!(
            record.event,
            Event::StepEnded { .. }
                | Event::StepSkipped { .. }
                | Event::Decided { .. }
                | Event::ItemsListed { .. }
                | Event::Called { .. }
                | Event::Answered { .. }
                | Event::AttemptStarted { .. }
                | Event::Paused { .. }
        )
    };
    let general = |path: &str| -> String {
        let parts: Vec<&str> =
            path.split('/').map(|part| part.split_once('[').map_or(part, |(step, _)| step)).collect();
        parts.join("/")
    };
    let paths = records.iter().filter(is_begun).filter_map(|record| record.step.as_ref());
    let mut begun = HashSet::new();
    for path in paths {
        let general = general(&path.0);
        // What stands inside a step has begun with it: its verify, the steps of a runbook that it calls.
        let ends = general.match_indices('/').map(|(at, _)| at).chain([general.len()]);
        begun.extend(ends.map(|end| general[..end].to_owned()));
    }
    begun
}
