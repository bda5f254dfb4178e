//! Decisions: by evidence where it can tell, by a person where it cannot.

use super::attempt::{Gone, Task, shown, used_views};
use super::message::{Choice, Message, Settled, StepEnd};
use super::port::{Answer, PromptKind};
use super::run::Acts;
use super::step::When;
use crate::event::{Event, OptionVerdict, OptionView, Outcome, UsedView};
use crate::expr::{Place, Verdict, unknown_of};
use crate::runbook::{Decide, DecideBy, Step, StepBody};
use indexmap::IndexMap;

/// What evidence says about all options together.
enum Evidence {
    Chosen(Vec<usize>),
    /// A person must choose; the reason.
    Person(String),
}

impl Task {
    /// Decides and tells the dispatcher which options are taken.
    pub(super) async fn decide(&self, step: &Step) {
        if let (Some(chosen), StepBody::Decide(decide)) = (&self.round.chosen, &step.body) {
            let places = chosen.iter().filter_map(|name| place_of(decide, name)).collect();
            self.bus.send(Message::Chosen { at: self.at, choice: Choice::Options(places) }).ok();
            return;
        }
        match self.when(step).await {
            Err(Gone) => return self.gone(),
            Ok(When::No(end)) => {
                self.bus.send(Message::Ended { at: self.at, end: Box::new(end) }).ok();
                return;
            }
            Ok(When::Yes) => {}
        }
        let StepBody::Decide(decide) = &step.body else { return self.gone() };
        let Ok(choice) = self.choose(step, decide).await else { return self.gone() };
        self.bus.send(Message::Chosen { at: self.at, choice }).ok();
    }

    fn gone(&self) {
        let end = StepEnd::because(Outcome::Cancelled, "the run went on without it");
        self.bus.send(Message::Ended { at: self.at, end: Box::new(end) }).ok();
    }

    async fn choose(&self, step: &Step, decide: &Decide) -> Result<Choice, Gone> {
        let scope = self.scope();
        let mut views = Vec::new();
        for (name, option) in &decide.options {
            let title = option.title.as_ref().map(|title| {
                title
                    .render(&scope, Place::Plain)
                    .map_or_else(|_| title.source_text().to_owned(), |text| text.to_string())
            });
            let mut view = OptionView {
                name: name.value.clone(),
                title: title.unwrap_or_else(|| name.value.replace('_', " ")),
                likelihood: option.likelihood,
                verdict: OptionVerdict::PersonsChoice,
                expression: option.when.as_ref().map(|when| when.text().trim().to_owned()),
                used: Vec::new(),
                reason: None,
            };
            if let Some(when) = &option.when {
                let mut used = Vec::new();
                view.verdict = match when.verdict(&scope, &mut used) {
                    Ok(Verdict::Holds) => OptionVerdict::Holds,
                    Ok(Verdict::DoesNotHold) => OptionVerdict::DoesNotHold,
                    Ok(Verdict::CannotTell) => OptionVerdict::Unknown,
                    Err(error) => {
                        view.reason = Some(error.message);
                        OptionVerdict::Unknown
                    }
                };
                if view.verdict == OptionVerdict::Unknown && view.reason.is_none() {
                    view.reason =
                        used.iter().find_map(|used| unknown_of(&used.value)).map(|unknown| unknown.reason.clone());
                }
                view.used = used_views(&used);
            }
            views.push(view);
        }
        let table = shown(&step.show, &scope);
        let reason = match by_evidence(decide, &views) {
            Evidence::Chosen(places) if self.given(decide).is_none() => {
                return Ok(self.decided(decide, places, "evidence", views, table, None));
            }
            Evidence::Chosen(_) => "an answer was given beforehand".to_owned(),
            Evidence::Person(reason) => reason,
        };
        self.choose_by_person(decide, views, table, reason).await
    }

    /// An answer given beforehand that names an option.
    fn given(&self, decide: &Decide) -> Option<usize> {
        place_of(decide, self.beforehand()?.as_str()?)
    }

    async fn choose_by_person(
        &self,
        decide: &Decide,
        views: Vec<OptionView>,
        table: Vec<UsedView>,
        reason: String,
    ) -> Result<Choice, Gone> {
        if let Some(place) = self.given(decide) {
            return Ok(self.decided(decide, vec![place], "an answer given beforehand", views, table, Some(reason)));
        }
        if self.shared.acts == Acts::Reads {
            return Ok(Choice::NotPerformed(reason));
        }
        let mut options = views.clone();
        options.extend(decide.otherwise.as_ref().map(none_of_these));
        let kind = PromptKind::Decide { options, shown: table.clone(), reason: reason.clone() };
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.bus.send(Message::Ask { at: self.at, kind, stays: false, reply }).map_err(|_| Gone)?;
        match answer.await.map_err(|_| Gone)? {
            Settled::Ended => Err(Gone),
            Settled::Nobody => {
                let place = decide.options.len();
                Ok(self.decided(decide, vec![place], "otherwise", views, table, Some(reason)))
            }
            Settled::By(Answer::Choose { option, reason: why }, by, _) => match place_of(decide, &option) {
                Some(place) => Ok(self.decided(decide, vec![place], &by.name, views, table, why.or(Some(reason)))),
                None => Ok(Choice::Failed(format!("there is no option `{option}`"))),
            },
            Settled::By(Answer::Skip { reason }, ..) => {
                Ok(Choice::Failed(format!("left out by the operator: {reason}")))
            }
            Settled::By(..) => Ok(Choice::Failed("nobody chose an option".to_owned())),
        }
    }

    fn decided(
        &self,
        decide: &Decide,
        places: Vec<usize>,
        by: &str,
        options: Vec<OptionView>,
        shown: Vec<UsedView>,
        reason: Option<String>,
    ) -> Choice {
        let name = |place: &usize| {
            decide.options.keys().nth(*place).map_or_else(|| "otherwise".to_owned(), |name| name.value.clone())
        };
        let chosen = places.iter().map(name).collect();
        let event = Event::Decided { chosen, by: by.to_owned(), options, shown, reason, values: IndexMap::new() };
        self.note(&self.path(), None, event);
        Choice::Options(places)
    }
}

/// The place of an option by its name; `otherwise` comes after the last.
fn place_of(decide: &Decide, name: &str) -> Option<usize> {
    let otherwise = (name == OTHERWISE && decide.otherwise.is_some()).then_some(decide.options.len());
    decide.options.get_index_of(name).or(otherwise)
}

/// The name under which a person takes `otherwise`.
const OTHERWISE: &str = "otherwise";

/// `otherwise` as an option: a person who sees that nothing fits must be able to say so.
fn none_of_these(otherwise: &crate::runbook::Choice) -> OptionView {
    let title = otherwise.title.as_ref().map_or("None of these", |title| title.source_text());
    OptionView {
        name: OTHERWISE.to_owned(),
        title: title.to_owned(),
        likelihood: None,
        verdict: OptionVerdict::PersonsChoice,
        expression: None,
        used: Vec::new(),
        reason: None,
    }
}

fn by_evidence(decide: &Decide, views: &[OptionView]) -> Evidence {
    if decide.by == DecideBy::Person {
        return Evidence::Person("this decision is a person's".to_owned());
    }
    let unknown = views.iter().find(|view| view.verdict == OptionVerdict::Unknown);
    let why_unknown = |view: &OptionView| {
        let reason = view.reason.clone().unwrap_or_else(|| "it is unknown".to_owned());
        Evidence::Person(format!("`{}` cannot be judged: {reason}", view.name))
    };
    if decide.first {
        for (place, view) in views.iter().enumerate() {
            match view.verdict {
                OptionVerdict::Holds => return Evidence::Chosen(vec![place]),
                OptionVerdict::Unknown => return why_unknown(view),
                _ => {}
            }
        }
        return Evidence::Person("no option fits the evidence".to_owned());
    }
    let holds: Vec<usize> = views
        .iter()
        .enumerate()
        .filter(|(_, view)| view.verdict == OptionVerdict::Holds)
        .map(|(place, _)| place)
        .collect();
    if let Some(view) = unknown {
        return why_unknown(view);
    }
    match (holds.as_slice(), decide.all) {
        (_, true) | ([_], false) if !holds.is_empty() || decide.all => Evidence::Chosen(holds),
        ([], _) => Evidence::Person("no option fits the evidence".to_owned()),
        (several, _) => {
            let names: Vec<_> = several.iter().map(|&place| format!("`{}`", views[place].name)).collect();
            Evidence::Person(format!("more than one option fits the evidence: {}", names.join(" and ")))
        }
    }
}
