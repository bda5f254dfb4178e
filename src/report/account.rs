//! Where a run stands when somebody takes it up: what is over, in short, and what is not known.

use super::closing::open_lines;
use super::layout::labelled;
use super::prompt::option_title;
use super::steps::is_item;
use super::story::Story;
use super::style::{Style, pad};
use super::words;
use crate::event::{Event, StepPath};
use indexmap::IndexMap;

/// Steps of one state that are named; the others are counted.
const NAMED: usize = 12;
/// The column of states.
const STATE: usize = 16;

/// The account of a record so far.
pub(crate) fn account(style: &Style, story: &Story<'_>) -> Vec<String> {
    let mut states: IndexMap<String, Vec<&StepPath>> = IndexMap::new();
    for (path, step) in &story.steps {
        let part = path.0.ends_with("/verify") || path.0.ends_with("/undo");
        let Some(outcome) = step.outcome.filter(|_| !is_item(path) && !part) else { continue };
        let (state, _) = words::state(outcome, step.verdict, step.change, step.handled);
        states.entry(state).or_default().push(path);
    }
    let mut out = Vec::new();
    for (state, paths) in states {
        let mut names: Vec<String> = paths.iter().take(NAMED).map(|path| style.text(&path.0)).collect();
        if paths.len() > NAMED {
            names.push(format!("and {} more", paths.len() - NAMED));
        }
        out.extend(labelled(style, 2, &pad(&state, STATE), " ", &names.join(", ")));
    }
    for decision in story.decisions.iter().filter(|decision| !decision.options.is_empty()) {
        let title = |name: &String| {
            let option = decision.options.iter().find(|option| option.name == *name);
            option.map_or(name.as_str(), option_title).to_owned()
        };
        let chosen: Vec<String> = decision.chosen.iter().map(title).collect();
        let text =
            format!("{}: {}", decision.step.0, if chosen.is_empty() { "nothing".into() } else { chosen.join(", ") });
        out.extend(labelled(style, 2, &pad("decided", STATE), " ", &style.text(&text)));
    }
    if out.is_empty() {
        out.extend(labelled(style, 2, &pad("so far", STATE), " ", "no step has ended"));
    }
    for (path, _) in story.changes.all().filter(|(_, change)| change.is_open) {
        let text = format!("{} had begun, and its end was not seen: that is settled first", path.0);
        out.extend(labelled(style, 2, &pad("NOT KNOWN", STATE), " ", &style.text(&text)));
    }
    if let Some(Event::RunParked { waiting }) = story.last.map(|record| &record.event) {
        let waits: Vec<String> = waiting.iter().map(|wait| format!("{} {}", wait.what, wait.step)).collect();
        out.extend(labelled(style, 2, &pad("waits for", STATE), " ", &style.text(&waits.join(", "))));
    }
    if let Some(last) = story.last {
        let open: Vec<_> = story.changes.standing(last.time).filter(|(_, change)| change.is_passing()).collect();
        if !open.is_empty() {
            out.push(format!("  {}", pad("open changes", STATE).trim_end()));
            out.extend(open_lines(style, open.into_iter(), last.time));
        }
    }
    out
}
