//! `list --overdue`: the runbooks of the library that are due again, by their cadence and the runs of the store.

use super::exit::Exit;
use super::failure::CommandError;
use super::list::ended;
use super::session::Session;
use crate::event::{Mode, RunResult};
use crate::expr;
use crate::library::Listed;
use crate::report::sanitize::{json_text, visible};
use crate::store::{RunState, RunSummary};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// A runbook with a cadence, and the last run of it that ended well.
struct Due<'a> {
    runbook: &'a Listed,
    every: Duration,
    last: Option<&'a RunSummary>,
    /// Since when it is due; nothing when it was never run.
    since: Option<Timestamp>,
}

/// Prints what is overdue. Exit code 1 when something is, and 3 when a file is too broken to say how often it is due.
pub(super) fn overdue(session: &Session, json: bool) -> Result<Exit, CommandError> {
    let library = session.library()?.ok_or(CommandError::NoLibrary)?;
    let listed = library.list();
    let runs = session.store()?.runs()?;
    let last = last_good(&runs);
    let now = Timestamp::now();
    let with_cadence = listed.iter().filter(|runbook| runbook.every.is_some()).count();
    let late: Vec<Due<'_>> = listed.iter().filter_map(|runbook| due(runbook, &last, now)).collect();
    if json {
        let rows: Vec<_> = late.iter().map(Due::json).collect();
        session.console.data(&ended(json_text(&serde_json::Value::Array(rows))))?;
    } else {
        let width = late.iter().map(|due| due.runbook.file.id.chars().count()).max().unwrap_or(0);
        let text: String = late.iter().map(|due| due.line(width, now)).collect();
        session.console.data(&text)?;
    }
    if late.is_empty() {
        session.console.say(&format!("nothing is overdue; runbooks with `cadence.every`: {with_cadence}\n"));
    }
    for runbook in listed.iter().filter(|runbook| runbook.every.is_none() && !runbook.after.is_empty()) {
        let text = format!("{} is due after: {}", runbook.file.id, runbook.after.join(", "));
        session.console.say(&format!("{}\n", visible(&text)));
    }
    let broken: Vec<_> = listed.iter().filter(|runbook| runbook.is_broken).collect();
    for runbook in &broken {
        let file = session.shown(&runbook.file.path);
        session.console.say(&format!("{} cannot be read: runwright check\n", visible(&file)));
    }
    Ok(match (broken.is_empty(), late.is_empty()) {
        (false, _) => Exit::Invalid,
        (true, false) => Exit::NotResolved,
        (true, true) => Exit::Done,
    })
}

/// The last run of each runbook that ended well. A probe is no run.
fn last_good(runs: &[RunSummary]) -> HashMap<&str, &RunSummary> {
    let good = |run: &&RunSummary| {
        let ended_well =
            matches!(run.state, RunState::Ended(RunResult::Resolved | RunResult::Completed | RunResult::NoAction));
        run.mode == Mode::Run && ended_well
    };
    let mut last: HashMap<&str, &RunSummary> = HashMap::new();
    for run in runs.iter().filter(good) {
        let known = last.entry(&run.runbook).or_insert(run);
        if known.last < run.last {
            *known = run;
        }
    }
    last
}

fn due<'a>(runbook: &'a Listed, last: &HashMap<&str, &'a RunSummary>, now: Timestamp) -> Option<Due<'a>> {
    let every = runbook.every?;
    let last = last.get(runbook.file.id.as_str()).copied();
    let since = match last {
        None => None,
        Some(run) => {
            let since = run.last.checked_add(SignedDuration::try_from(every).ok()?).ok()?;
            if since > now {
                return None;
            }
            Some(since)
        }
    };
    Some(Due { runbook, every, last, since })
}

impl Due<'_> {
    fn line(&self, width: usize, now: Timestamp) -> String {
        let every = words(SignedDuration::try_from(self.every).unwrap_or_default());
        let state = match (self.last, self.since) {
            (Some(run), Some(since)) => {
                let late = words(now.duration_since(since));
                format!("every {every}, last {} ({}), overdue by {late}", run.last.strftime("%Y-%m-%d"), run.id)
            }
            _ => format!("every {every}, never run"),
        };
        let after = match self.runbook.after.as_slice() {
            [] => String::new(),
            events => format!("; also after: {}", events.join(", ")),
        };
        let id = visible(&self.runbook.file.id);
        format!("{id:<width$}  {}\n", visible(&format!("{state}{after}")))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "id": self.runbook.file.id,
            "title": self.runbook.title,
            "every_seconds": self.every.as_secs(),
            "after": self.runbook.after,
            "last_run": self.last.map(|run| run.id.to_string()),
            "last": self.last.map(|run| run.last),
            "since": self.since,
        })
    }
}

/// A duration in its largest units; seconds matter to nobody here once there are days.
fn words(duration: SignedDuration) -> String {
    let whole = if duration.as_hours() >= 24 {
        SignedDuration::from_hours(duration.as_hours())
    } else {
        SignedDuration::from_secs(duration.as_secs())
    };
    expr::Duration(whole).to_string()
}
