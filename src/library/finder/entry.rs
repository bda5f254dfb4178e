//! What is searched of a runbook.

use super::super::built_in::BuiltIn;
use super::super::folder::{RunbookFile, text_of};
use crate::runbook::{Choice, Runbook, Step, StepBody, parse_runbook};
use crate::source::{Diagnostics, Source, parse_yaml};
use std::sync::Arc;

/// A runbook as it is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// Where it stands, as messages show it.
    pub place: String,
    /// Its title; the id when the file is too broken to tell.
    pub title: String,
    /// Who keeps it.
    pub owner: Option<String>,
    /// How to reach them.
    pub reach: Option<String>,
    /// Why it must not be run, when it says so.
    pub refuse: Option<String>,
    /// Whether the file has errors, so that only its title could be searched.
    pub is_broken: bool,
    /// What it says, in the order of the file.
    pub texts: Vec<Text>,
}

/// A text of a runbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What it is.
    pub kind: TextKind,
    /// As it is written.
    pub text: String,
}

/// What a text of a runbook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// The id.
    Id,
    /// The system and the tags.
    Tags,
    /// The title.
    Title,
    /// The summary.
    Summary,
    /// A symptom.
    Symptom,
    /// The name of an alert.
    Alert {
        /// Labels that choose this runbook among several for the alert: `severity=critical`.
        only_with: Vec<String>,
    },
    /// The summary of an alert.
    AlertSummary {
        /// The alert.
        alert: String,
    },
    /// The title of an option of a decision.
    Choice {
        /// The decide step.
        step: String,
        /// The option's name.
        option: String,
    },
}

impl TextKind {
    /// The word that people read.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Tags => "tags",
            Self::Title => "title",
            Self::Summary => "summary",
            Self::Symptom => "symptom",
            Self::Alert { .. } | Self::AlertSummary { .. } => "alert",
            Self::Choice { .. } => "option",
        }
    }
}

impl Entry {
    /// Reads the file of a runbook, as far as it can be read; `place` is how messages show it.
    #[must_use]
    pub fn of_file(file: &RunbookFile, place: &str) -> Self {
        let unreadable = Self::unreadable(&file.id, place, None);
        let Ok(bytes) = std::fs::read(&file.path) else { return unreadable };
        let Ok(source) = Source::from_bytes(place, &bytes) else { return unreadable };
        // Runbooks are called by the names of their files.
        if let Some(runbook) = parse_runbook(&source, &mut Diagnostics::new()) {
            return Self::of_runbook(&runbook, &file.id, place);
        }
        let tree = parse_yaml(&source, &mut Diagnostics::new());
        Self::unreadable(&file.id, place, tree.and_then(|tree| text_of(&tree.data, "title")))
    }

    /// A runbook inside the program.
    #[must_use]
    pub fn of_built_in(built_in: &BuiltIn) -> Self {
        match parse_runbook(&built_in.source(), &mut Diagnostics::new()) {
            Some(runbook) => Self::of_runbook(&runbook, built_in.id, built_in.name),
            None => Self::unreadable(built_in.id, built_in.name, None),
        }
    }

    fn unreadable(id: &str, place: &str, title: Option<String>) -> Self {
        let title = title.unwrap_or_else(|| id.to_owned());
        let texts =
            [(TextKind::Id, id), (TextKind::Title, &title)].map(|(kind, text)| Text { kind, text: text.to_owned() });
        Self {
            id: id.to_owned(),
            place: place.to_owned(),
            texts: texts.into(),
            title,
            owner: None,
            reach: None,
            refuse: None,
            is_broken: true,
        }
    }

    pub(super) fn of_runbook(runbook: &Runbook, id: &str, place: &str) -> Self {
        let owner = runbook.owner.as_ref().map(|owner| owner.value.clone());
        let contact = owner.as_deref().and_then(|owner| runbook.contacts.get(owner));
        Self {
            id: id.to_owned(),
            place: place.to_owned(),
            title: runbook.title.value.clone(),
            reach: contact.map(|contact| contact.reach.value.clone()),
            owner,
            refuse: runbook.refuse.as_ref().map(|refuse| refuse.value.clone()),
            is_broken: false,
            texts: texts(runbook, id),
        }
    }
}

fn texts(runbook: &Runbook, id: &str) -> Vec<Text> {
    let mut tags: Vec<&str> = Vec::new();
    for tag in runbook.system.iter().chain(&runbook.tags.0) {
        if tags.iter().all(|other| !other.eq_ignore_ascii_case(&tag.value)) {
            tags.push(&tag.value);
        }
    }
    let mut found = vec![
        Text { kind: TextKind::Id, text: id.to_owned() },
        Text { kind: TextKind::Tags, text: tags.join(", ") },
        Text { kind: TextKind::Title, text: runbook.title.value.clone() },
    ];
    found.extend(runbook.summary.iter().map(|text| Text { kind: TextKind::Summary, text: text.value.clone() }));
    found.extend(runbook.symptoms.0.iter().map(|text| Text { kind: TextKind::Symptom, text: text.value.clone() }));
    for alert in &runbook.alerts.0 {
        let name = &alert.alert.value;
        let only_with = alert.match_labels.iter().map(|(name, value)| format!("{}={}", name.value, value.value));
        found.push(Text { kind: TextKind::Alert { only_with: only_with.collect() }, text: name.clone() });
        let summary = alert.summary.iter();
        let kind = || TextKind::AlertSummary { alert: name.clone() };
        found.extend(summary.map(|text| Text { kind: kind(), text: text.value.clone() }));
    }
    choices(&runbook.steps, &mut found);
    choices(runbook.finally_steps(), &mut found);
    found
}

/// The titles of the options of every decision, wherever it stands.
fn choices(steps: &[Arc<Step>], found: &mut Vec<Text>) {
    for step in steps {
        match &step.body {
            StepBody::Action(_) => {}
            StepBody::Group(steps) => choices(steps, found),
            StepBody::Decide(decide) => {
                for (name, choice) in &decide.options {
                    option(step, &name.value, choice, found);
                }
                if let Some(choice) = &decide.otherwise {
                    option(step, "otherwise", choice, found);
                }
            }
        }
        if let Some(on_failure) = &step.on_failure {
            choices(&on_failure.steps, found);
        }
    }
}

fn option(step: &Step, name: &str, choice: &Choice, found: &mut Vec<Text>) {
    let kind = TextKind::Choice { step: step.id.value.clone(), option: name.to_owned() };
    let title = choice.title.as_ref().map(|title| title.source_text().to_owned());
    found.push(Text { kind, text: title.unwrap_or_else(|| name.replace('_', " ")) });
    choices(&choice.steps, found);
}
