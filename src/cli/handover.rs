//! `handover`: where a run stands, for the person who takes over.

use super::arguments::HandoverArguments;
use super::exit::Exit;
use super::failure::CommandError;
use super::list::ended;
use super::recorded::Read;
use super::session::Session;
use super::show::Told;
use crate::event::StepPath;
use crate::graph::{Parent, Place, StepGraph};
use crate::report::{About, Ahead, handover_json, handover_markdown, handover_text};
use crate::runbook::StepBody;
use jiff::Timestamp;

/// Prints the handover of a run.
pub(super) fn handover(session: &Session, arguments: &HandoverArguments) -> Result<Exit, CommandError> {
    let store = session.store()?;
    let read = Read::run(&store, &arguments.run)?;
    let told = Told::of(&store, &read)?;
    let commands = session.commands();
    let recorded = told.recorded(&read, &commands);
    // A runbook of a newer version may not be readable here; the record still is.
    let about = read.graph.as_ref().map(about).unwrap_or_default();
    let now = Timestamp::now();
    if arguments.json {
        session.console.data(&ended(handover_json(&recorded, &about, now)))?;
    } else if arguments.markdown {
        session.console.data(&ended(handover_markdown(&recorded, &about, now)))?;
    } else {
        session.console.data_lines(&handover_text(&recorded, &about, now, &session.console.out_style()))?;
    }
    Ok(Exit::Done)
}

/// What the frozen runbook says beside its steps.
fn about(graph: &StepGraph) -> About {
    let runbook = graph.runbook();
    let contacts = runbook.contacts.iter().map(|(name, contact)| {
        let who = contact.name.as_ref().map(|who| format!("{}, ", who.value)).unwrap_or_default();
        format!("{}: {who}{}", name.value, contact.reach.value)
    });
    About {
        summary: runbook.summary.as_ref().map(|text| text.value.clone()),
        impact: runbook.impact.as_ref().map(|text| text.value.clone()),
        symptoms: runbook.symptoms.0.iter().map(|text| text.value.clone()).collect(),
        alerts: runbook.alerts.0.iter().map(|alert| alert.alert.value.clone()).collect(),
        owner: runbook.owner.as_ref().map(|text| text.value.clone()),
        contacts: contacts.collect(),
        order: graph.outline().iter().map(ahead).collect(),
    }
}

/// A step with what must have been chosen, or have failed, for it to come.
fn ahead(place: &Place<'_>) -> Ahead {
    let graph = place.graph;
    let own = graph.general_path(place.id);
    let prefix = place.path.strip_suffix(own.as_str()).unwrap_or_default();
    let mut step = Ahead { path: StepPath(place.path.clone()), arms: Vec::new(), on_failure: false };
    let mut parent = place.node().parent;
    while let Some(holder) = parent {
        match holder {
            Parent::Option(decide, place) => {
                let name = match &graph.node(decide).step.body {
                    StepBody::Decide(decide) => decide.options.keys().nth(place).map(|name| name.value.clone()),
                    _ => None,
                };
                let decide = StepPath(format!("{prefix}{}", graph.general_path(decide)));
                step.arms.push((decide, name.unwrap_or_else(|| "otherwise".to_owned())));
            }
            Parent::Failure(_) => step.on_failure = true,
            Parent::Group(_) => {}
        }
        parent = graph.node(holder.id()).parent;
    }
    step
}
