//! The gate of a loop: before the first item, one card with every change inside that is already exact (ruling 29).

use super::attempt::{Gone, Task};
use super::body::{Approved, At};
use super::change::Unit;
use super::facts::{Facts, Look};
use super::gate_before::Compared;
use super::message::{GateOutcome, GateRequest, Halt, Message, StepEnd};
use super::run::Acts;
use super::step::skipped;
use crate::event::{CardView, Event, GateRequirement, ItemView, Outcome};
use crate::graph::{NodeId, Parent, StepGraph};
use crate::runbook::{Action, Risk, Step};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A change of one item that is exact before the first item starts.
struct Exact<'u> {
    unit: &'u Unit,
    node: NodeId,
    path: String,
    facts: Facts,
    risk: Risk,
    required: bool,
}

impl Task {
    /// Asks for the whole list at once, as far as it is exact. What is left opens a gate of its own when it is known.
    pub(super) async fn pass_list_gate(
        &self,
        step: &Arc<Step>,
        units: &[Unit],
    ) -> Result<Result<Approved, StepEnd>, Gone> {
        let changes = exact_changes(&self.scene.graph, self.at.node);
        let mut limit = None;
        if self.shared.acts == Acts::All && holds_change(&self.scene.graph, self.at.node) {
            limit = match self.within_limits(step, units.len() * changes.len(), units.len(), &self.scope()) {
                Ok(limit) => limit,
                Err(end) => return Ok(Err(end)),
            };
        }
        if changes.is_empty() || units.is_empty() || self.shared.acts == Acts::Reads {
            return Ok(Ok(Approved::default()));
        }
        // While the card is looked at nothing else is changed, so that what it shows stays true.
        let permit = match self.permit(true).await {
            Ok(permit) => permit,
            // Changes are blocked: each will say so itself, and the reads of the items still run.
            Err(Halt::Blocked(_)) => return Ok(Ok(Approved::default())),
            Err(Halt::Ending) => return Ok(Err(StepEnd::because(Outcome::Cancelled, "the run is ending"))),
        };
        let mut moved = Vec::new();
        let mut past = self.opening_before();
        for _ in 0..20 {
            let number = past.number;
            let exact = self.exact(step, units, &changes).await;
            let Some(mut card) = card(self, step, &exact) else { return Ok(Ok(Approved::default())) };
            card.limit.clone_from(&limit);
            card.moved = std::mem::take(&mut moved);
            let digest = digest(&exact, number);
            let is_open = match past.compare(&digest) {
                Compared::Passed => {
                    drop(permit);
                    return Ok(Ok(self.approved_list(&exact)));
                }
                Compared::Open => true,
                Compared::New => false,
                Compared::Moved => {
                    if let Some(end) = self.expired_before(&past) {
                        return Ok(Err(end));
                    }
                    self.void_gate_before(&past);
                    moved = self.moved_since(&card);
                    past = past.next();
                    continue;
                }
            };
            self.past().gates.remove(&self.path());
            let tally = self.past().tallies.remove(&self.path()).filter(|_| is_open);
            let (reply, answer) = tokio::sync::oneshot::channel();
            let request = GateRequest {
                number,
                digest: digest.clone(),
                requirement: Some(card.requires.clone()),
                card,
                risk: exact.iter().map(|exact| exact.risk).max().unwrap_or(Risk::Medium),
                may_skip: !step.required && exact.iter().all(|exact| !exact.required),
                is_open,
                tally,
                in_list: false,
            };
            let message = Message::Gate { at: self.at, request: Box::new(request), reply };
            self.bus.send(message).map_err(|_| Gone)?;
            match answer.await.map_err(|_| Gone)? {
                GateOutcome::Approved => {}
                GateOutcome::Declined(reason) => {
                    let reason = reason.unwrap_or_else(|| "a person said no".to_owned());
                    return Ok(Err(StepEnd::because(Outcome::Declined, reason)));
                }
                GateOutcome::Skipped(reason) => return Ok(Err(skipped(&reason))),
                GateOutcome::Moved(why) => {
                    moved = vec![why];
                    past = past.next();
                    continue;
                }
                GateOutcome::Ended => return Err(Gone),
            }
            let again = self.exact(step, units, &changes).await;
            if self::digest(&again, number) == digest {
                drop(permit);
                return Ok(Ok(self.approved_list(&again)));
            }
            moved = super::moved::moved(&bases(&exact), &bases(&again));
            past = past.next();
        }
        Ok(Err(StepEnd::failed(
            crate::event::ErrorClass::BadValue,
            "the facts of this list never stayed still long enough to approve them",
        )))
    }

    /// Puts on record which changes the answer approved.
    fn approved_list(&self, exact: &[Exact<'_>]) -> Approved {
        let digests = exact.iter().map(|exact| (exact.path.clone(), exact.facts.digest(0)));
        let digests: IndexMap<String, String> = digests.collect();
        self.note(&self.path(), None, Event::ListApproved { digests: digests.clone() });
        Approved::new(digests.into_iter().collect())
    }

    /// The changes of all items that are exact now and that one answer can approve.
    async fn exact<'u>(&self, step: &Step, units: &'u [Unit], changes: &[NodeId]) -> Vec<Exact<'u>> {
        let Some(each) = &step.each else { return Vec::new() };
        let mut found: Vec<Exact<'u>> = Vec::new();
        for (place, unit) in units.iter().enumerate() {
            let look = if place == 0 { Look::Fresh } else { Look::Further };
            let scene = Arc::new(self.item_scene(unit, each, Arc::default()));
            for &node in changes {
                let inner = scene.graph.node(node).step.clone();
                let (Some(action), Some(change)) = (inner.action(), &inner.change) else { continue };
                let at = At { body: self.at.body, node };
                let task = Task::new(self.shared.clone(), scene.clone(), at, self.bus.clone(), self.cancel.clone());
                let path = task.path();
                let own = Unit { path: path.clone(), item: None, items: unit.items.clone(), scope: task.scope() };
                // Holes, refusals, a target that cannot be proven now: its own gate will tell.
                let Ok(facts) = task.facts(&inner, action, change, &[own], look).await else { continue };
                let Some(requirement) = &facts.requirement else { continue };
                let fits = |other: &Exact<'_>| {
                    one_answer(other.facts.requirement.as_ref(), requirement)
                        && other.facts.card.terms.asks_the_same(&facts.card.terms)
                };
                if found.iter().all(fits) {
                    let (risk, required) = (change.risk, inner.required);
                    found.push(Exact { unit, node, path, facts, risk, required });
                }
            }
        }
        found
    }
}

/// Whether one answer can pass both gates: two texts to type must be the same.
fn one_answer(one: Option<&GateRequirement>, other: &GateRequirement) -> bool {
    match (one, other) {
        (Some(GateRequirement::Type { text, .. }), GateRequirement::Type { text: other, .. }) => text == other,
        _ => true,
    }
}

/// Whether a change stands anywhere inside a loop.
fn holds_change(graph: &StepGraph, holder: NodeId) -> bool {
    graph.ids().any(|id| graph.node(id).step.change.is_some() && graph.holders(id).any(|other| other == holder))
}

/// The changes inside a loop that hang on nothing but the item: on no condition, no option, no failure, and on no
/// result of another step of the item.
fn exact_changes(graph: &StepGraph, holder: NodeId) -> Vec<NodeId> {
    let is_plain = |id: NodeId| {
        let between = graph.holders(id).take_while(|&other| other != holder);
        let mut whole = std::iter::once(id).chain(between);
        whole.all(|id| {
            let node = graph.node(id);
            node.step.when.is_none() && node.step.each.is_none() && matches!(node.parent, Some(Parent::Group(_)))
        })
    };
    let acts = |step: &Step| {
        let plain = |action: &Action| {
            !matches!(
                action,
                Action::Runbook(_)
                    | Action::Ask(_)
                    | Action::Manual(_)
                    | Action::Interactive(_)
                    | Action::Set(_)
                    | Action::Assert(_)
                    | Action::Wait(_)
                    | Action::Escalate(_)
            )
        };
        step.change.is_some() && step.action().is_some_and(plain)
    };
    let inside = graph.ids().filter(|&id| graph.node(id).item_of == Some(holder));
    inside
        .filter(|&id| {
            let node = graph.node(id);
            let hangs = node.uses.iter().any(|&other| graph.node(other).item_of == Some(holder));
            acts(&node.step) && is_plain(id) && !hangs
        })
        .collect()
}

/// What the digests of the items are made of.
fn bases(exact: &[Exact<'_>]) -> serde_json::Value {
    exact.iter().map(|exact| exact.facts.digest_base.clone()).collect()
}

fn digest(exact: &[Exact<'_>], number: u32) -> String {
    let text = serde_json::json!({ "list": bases(exact), "number": number }).to_string();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One card for all of them: every item with its acts, and of each step what it takes to know of it.
fn card(task: &Task, step: &Step, exact: &[Exact<'_>]) -> Option<CardView> {
    let first = exact.first()?;
    let several = exact.iter().any(|other| other.node != first.node);
    let graph = &task.scene.graph;
    let of_first_item = || exact.iter().filter(|exact| std::ptr::eq(exact.unit, first.unit));
    let told = |text: fn(&CardView) -> Option<&String>| {
        let lines: Vec<_> = of_first_item()
            .filter_map(|exact| {
                let text = text(&exact.facts.card)?;
                Some(if several { format!("{}: {text}", graph.node(exact.node).id) } else { text.clone() })
            })
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    };
    let items = exact.iter().map(|exact| {
        let act = &exact.facts.card.act;
        let more = act.more.iter().filter(|line| line.label != "program");
        let more = more.map(|line| format!("; {} {}", line.label, line.text));
        let text = std::iter::once(act.text.clone()).chain(more).collect::<String>();
        let text = if several { format!("{}: {text}", graph.node(exact.node).id) } else { text };
        ItemView { item: super::store_value::store(&exact.unit.item.clone().unwrap_or_default()), text }
    });
    let strictest = exact.iter().filter_map(|exact| exact.facts.requirement.clone());
    let strictest = strictest.max_by_key(|requirement| matches!(requirement, GateRequirement::Type { .. }));
    let all = |list: fn(&CardView) -> &Vec<String>| {
        let mut found: Vec<String> = Vec::new();
        for text in exact.iter().flat_map(|exact| list(&exact.facts.card)) {
            if !found.contains(text) {
                found.push(text.clone());
            }
        }
        found
    };
    let mut targets: Vec<String> = exact.iter().filter_map(|exact| exact.facts.card.target.clone()).collect();
    targets.dedup();
    let risk = exact.iter().map(|exact| exact.risk).max()?;
    Some(CardView {
        // What is said of the whole list may count its items.
        title: super::facts::people(&step.title, &first.unit.scope),
        risk: risk.as_str().to_owned(),
        act: first.facts.card.act.clone(),
        items: items.collect(),
        target: (!targets.is_empty()).then(|| targets.join("; ")),
        because: of_first_item().flat_map(|exact| exact.facts.card.because.clone()).collect(),
        missing: all(|card| &card.missing),
        stale: all(|card| &card.stale),
        preview: told(|card| card.preview.as_ref()),
        verify: told(|card| card.verify.as_ref()),
        undo: told(|card| card.undo.as_ref()),
        irreversible: told(|card| card.irreversible.as_ref()),
        idempotent: step.change.as_ref().is_some_and(|change| change.idempotent),
        warning: step.warning.as_ref().map(|warning| super::facts::people(warning, &first.unit.scope)),
        moved: Vec::new(),
        limit: None,
        requires: strictest?,
        terms: first.facts.card.terms.clone(),
    })
}
