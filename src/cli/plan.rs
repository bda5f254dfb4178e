//! `plan`: shown, saved, and compared before a run goes by it.

use super::arguments::{PlanArguments, RunbookArguments, TextOrJson};
use super::exit::Exit;
use super::failure::CommandError;
use super::list::ended;
use super::person::operator;
use super::prepare::prepare;
use super::prepared::Prepared;
use super::session::Session;
use crate::event::Mode;
use crate::plan::{Plan, PlanDifference};
use crate::report::plan_text;
use crate::report::sanitize::{json_text, visible};
use std::path::Path;

/// Prints the plan of a runbook, or saves it.
pub(super) fn plan(session: &Session, arguments: &PlanArguments) -> Result<Exit, CommandError> {
    let prepared = prepare(session, &arguments.runbook, Mode::Plan)?;
    let plan = prepared.plan(&operator(None).name);
    for warning in &prepared.warnings {
        session.console.say(&format!("warning: {}\n", visible(warning)));
    }
    match arguments.format {
        TextOrJson::Text => session.console.data_lines(&plan_text(&plan, &session.console.out_style()))?,
        TextOrJson::Json => session.console.data(&text_of(&plan)?)?,
    }
    if let Some(path) = &arguments.out {
        save(session, path, &plan)?;
    }
    Ok(Exit::Done)
}

/// `run --dry-run`: the same.
pub(super) fn plan_of_run(session: &Session, runbook: &RunbookArguments) -> Result<Exit, CommandError> {
    plan(session, &PlanArguments { runbook: runbook.clone(), out: None, format: TextOrJson::Text })
}

fn text_of(plan: &Plan) -> Result<String, CommandError> {
    let value = serde_json::to_value(plan).map_err(|error| CommandError::Output(error.into()))?;
    Ok(ended(json_text(&value)))
}

fn save(session: &Session, path: &Path, plan: &Plan) -> Result<(), CommandError> {
    let path = session.folder().join(path);
    let text = text_of(plan)?;
    std::fs::write(&path, text).map_err(|source| CommandError::Write { path: session.shown(&path).into(), source })?;
    let short = plan.digest.get(..8).unwrap_or(&plan.digest);
    let shown = session.shown(&path);
    session.console.say(&format!("saved {shown}, digest {short}; go by it: runwright run ... --plan {shown}\n"));
    Ok(())
}

/// Refuses when what would be done now is not what the saved plan says.
pub(super) fn compare(session: &Session, path: &Path, prepared: &Prepared) -> Result<(), CommandError> {
    let path = session.folder().join(path);
    let shown = session.shown(&path);
    let bytes = std::fs::read(&path).map_err(|source| CommandError::Read { path: shown.clone().into(), source })?;
    let saved: Plan = serde_json::from_slice(&bytes).map_err(|error| CommandError::Plan {
        message: format!("{shown} is not a saved plan: {error}"),
        facts: Vec::new(),
    })?;
    if saved.compute_digest() != saved.digest {
        let message = format!("{shown} was changed after it was saved");
        return Err(CommandError::Plan { message, facts: Vec::new() });
    }
    let now = prepared.plan(&operator(None).name);
    let differences = saved.differences(&now);
    if differences.is_empty() {
        return Ok(());
    }
    let message = format!("what would be done is not what {shown} says");
    Err(CommandError::Plan { message, facts: differences.iter().flat_map(facts).collect() })
}

fn facts(difference: &PlanDifference) -> [(String, String); 2] {
    [
        (difference.what.clone(), format!("saved  {}", difference.saved)),
        (String::new(), format!("now    {}", difference.now)),
    ]
}
