//! How a change is taken back: one act, or a list of plain acts in a row.

use super::action::Action;
use super::decode::{Decode, Decoder};
use super::grammar::Grammar;
use super::step::{Kind, Probe, Step, StepBody};
use crate::expr::Template;
use crate::source::{Data, Node, Sp, Span};
use std::sync::Arc;

/// How a change is taken back.
#[derive(Clone, Debug)]
pub enum Undo {
    /// One act.
    Act(Box<Probe>),
    /// Several, one after the other; never empty.
    Steps(Vec<UndoAct>),
}

/// One act of an undo.
#[derive(Clone, Debug)]
pub struct UndoAct {
    /// Its id, distinct within the undo; `undo` where the undo is one act.
    pub id: String,
    /// Its title; none where the undo is one act.
    pub title: Option<Template>,
    /// What it does.
    pub work: UndoWork,
    /// Whether it may change something; else it only reads, and what it expects must hold.
    pub change: bool,
}

/// What one act of an undo does.
#[derive(Clone, Debug)]
pub enum UndoWork {
    /// An act, with the read after it as its `verify`.
    Probe(Box<Probe>),
    /// The file of an `edit` or `write` gets the bytes back that it had before: the word `restore`.
    Restore,
}

impl UndoWork {
    /// The act, when the author wrote it.
    #[must_use]
    pub fn probe(&self) -> Option<&Probe> {
        match self {
            Self::Probe(probe) => Some(probe),
            Self::Restore => None,
        }
    }
}

impl Undo {
    /// The acts, in the order in which they are performed.
    #[must_use]
    pub fn acts(&self) -> Vec<UndoAct> {
        match self {
            Self::Act(probe) => {
                let work = UndoWork::Probe(probe.clone());
                vec![UndoAct { id: "undo".to_owned(), title: None, work, change: true }]
            }
            Self::Steps(acts) => acts.clone(),
        }
    }

    /// What is performed, in order, and whether it may change something. Nothing stands for the file that gets its bytes
    /// back.
    pub fn works(&self) -> impl Iterator<Item = (Option<&Probe>, bool)> {
        let (one, several) = match self {
            Self::Act(probe) => (Some(probe), None),
            Self::Steps(acts) => (None, Some(acts)),
        };
        let several = several.into_iter().flatten().map(|act| (act.work.probe(), act.change));
        one.into_iter().map(|probe| (Some(&**probe), true)).chain(several)
    }

    /// The acts that the author wrote, in order, and whether they may change something.
    pub fn probes(&self) -> impl Iterator<Item = (&Probe, bool)> {
        self.works().filter_map(|(probe, changes)| Some((probe?, changes)))
    }

    /// Whether a file gets its bytes back among other acts.
    #[must_use]
    pub fn restores(&self) -> bool {
        self.works().any(|(probe, _)| probe.is_none())
    }
}

impl Decode for Undo {
    fn grammar() -> Grammar {
        let item = Grammar::AnyOf(vec![Grammar::Words(&["restore"]), Step::grammar()]);
        Grammar::AnyOf(vec![Probe::grammar(), Grammar::List(Box::new(item))])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Data::List(items) = &node.data else {
            return Probe::decode(node, decoder).map(|probe| Self::Act(Box::new(probe)));
        };
        if items.is_empty() {
            refuse(decoder, node.span, "this `undo` has no steps");
            return None;
        }
        let acts: Vec<_> = items.iter().map(|item| item_of(item, decoder)).collect();
        let acts = named(acts.into_iter().collect::<Option<_>>()?, decoder)?;
        Some(Self::Steps(acts))
    }
}

fn refuse(decoder: &mut Decoder<'_>, span: Span, message: impl Into<String>) {
    let hint = "the steps of an undo are plain acts in a row, each with `verify` if need be";
    decoder.error_hint("undo-steps", span, message, hint);
}

fn item_of(item: &Node, decoder: &mut Decoder<'_>) -> Option<(Sp<String>, UndoAct)> {
    let Some(word) = item.as_scalar() else {
        let step = Arc::<Step>::decode(item, decoder)?;
        return act(&step, decoder);
    };
    if word.text != "restore" {
        refuse(
            decoder,
            item.span,
            format!("`{}` is no step; the one word that can stand here is `restore`", word.text),
        );
        return None;
    }
    let act = UndoAct { id: "restore".to_owned(), title: None, work: UndoWork::Restore, change: true };
    Some((Sp::new("restore".to_owned(), item.span), act))
}

/// A step as an act of an undo, when it is a plain one.
fn act(step: &Step, decoder: &mut Decoder<'_>) -> Option<(Sp<String>, UndoAct)> {
    let StepBody::Action(action) = &step.body else {
        refuse(decoder, step.span, format!("a {} cannot stand in an `undo`", step.kind.as_str()));
        return None;
    };
    if !action.is_act() {
        let what = match action {
            Action::Assert(_) => "a step that only looks at values".to_owned(),
            Action::Runbook(_) => "a call of a runbook".to_owned(),
            other => format!("`{}`", other.name()),
        };
        refuse(decoder, step.span, format!("{what} cannot stand in an `undo`"));
        return None;
    }
    let stray = stray_keys(step);
    for key in &stray {
        refuse(decoder, step.span, format!("`{key}` has no meaning in the steps of an `undo`"));
    }
    let probe = Probe {
        span: step.span,
        action: action.clone(),
        target: step.target.clone(),
        capture: step.capture.clone(),
        expect: step.expect.clone(),
        within: None,
        every: None,
        timeout: step.timeout.clone(),
        tolerate: step.tolerate.clone(),
        verify: step.change.as_ref().and_then(|change| change.verify.clone()),
    };
    let act = UndoAct {
        id: step.id.value.clone(),
        title: Some(step.title.clone()),
        work: UndoWork::Probe(Box::new(probe)),
        change: step.kind == Kind::Remediate,
    };
    // Only an id that the author wrote has a place of its own.
    let id = Sp::new(if step.has_own_id { step.id.value.clone() } else { String::new() }, step.id.span);
    stray.is_empty().then_some((id, act))
}

/// The keys of a step that say what an undo does not do.
fn stray_keys(step: &Step) -> Vec<&'static str> {
    let change = step.change.as_ref();
    let has = |says: fn(&super::step::Change) -> bool| change.is_some_and(says);
    let keys = [
        ("when", step.when.is_some()),
        ("needs", step.needs.is_some()),
        ("warning", step.warning.is_some()),
        ("retry", step.retry.is_some()),
        ("until", step.until.is_some()),
        ("hold", step.hold.is_some()),
        ("background", step.background.is_some()),
        ("for_each", step.each.is_some()),
        ("show", !step.show.is_empty()),
        ("on_failure", step.on_failure.is_some()),
        ("required", step.required),
        ("risk", has(|change| change.has_own_risk)),
        ("gate", has(|change| change.gate.is_some())),
        ("preview", has(|change| change.preview.is_some())),
        ("undo", has(|change| change.undo.is_some())),
        ("irreversible", has(|change| change.irreversible.is_some())),
        ("keep", has(|change| change.keep.is_some())),
        ("idempotent", has(|change| change.idempotent)),
        ("temporary", has(|change| change.temporary.is_some())),
    ];
    keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect()
}

/// Gives every act an id of its own: those that the author wrote must be distinct, the others get a number.
fn named(acts: Vec<(Sp<String>, UndoAct)>, decoder: &mut Decoder<'_>) -> Option<Vec<UndoAct>> {
    let mut taken: Vec<String> = Vec::new();
    for (id, _) in acts.iter().filter(|(id, _)| !id.value.is_empty()) {
        if taken.contains(&id.value) {
            let message = format!("another step of this `undo` has the id `{}`", id.value);
            decoder.error("duplicate-id", id.span, message);
            return None;
        }
        // Both stand in paths of the record already.
        if ["undo", "verify"].contains(&id.value.as_str()) {
            let message =
                format!("a step of an `undo` cannot have the id `{}`: it is a name of the language", id.value);
            decoder.error("taken-name", id.span, message);
            return None;
        }
        taken.push(id.value.clone());
    }
    let mut named = Vec::with_capacity(acts.len());
    for (own, mut act) in acts {
        if own.value.is_empty() {
            let mut number = 1;
            let base = act.id.clone();
            while taken.contains(&act.id) {
                number += 1;
                act.id = format!("{base}_{number}");
            }
            taken.push(act.id.clone());
        }
        named.push(act);
    }
    Some(named)
}
