//! What a gate is about: the acts, their target, what they rest on, and the card that shows it all.

use super::attempt::{Gone, Task};
use super::change::Unit;
use super::message::StepEnd;
use super::store_value::{store, store_shown};
use crate::event::{ActView, CardView, ErrorClass, GateRequirement, ItemView, KEPT, Outcome, UsedView};
use crate::expr::{Expr, Place, unknown_of};
use crate::plan::{Act, Machine, StepScope, view};
use crate::runbook::{Action, Body, Change, Probe, Step, Temporary};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// How a file is taken back.
const AS_BEFORE: &str = "the file as it was before, to the byte";

/// How long a preview may take, of a file on another machine.
const PREVIEW_TIMEOUT: Duration = Duration::from_mins(1);

/// What a gate is about, at one moment.
pub(super) struct Facts {
    pub(super) acts: Vec<Act>,
    pub(super) requirement: Option<GateRequirement>,
    pub(super) card: CardView,
    pub(super) digest_base: serde_json::Value,
    /// Which opening of the gate this is.
    pub(super) number: u32,
}

impl Facts {
    /// SHA-256 over the facts that an approval is bound to (ruling 12): not titles, preview or evidence.
    pub(super) fn digest(&self, number: u32) -> String {
        let text = serde_json::json!({ "facts": self.digest_base, "number": number }).to_string();
        digest_of(&text)
    }
}

/// SHA-256 of a text, in hex.
fn digest_of(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How closely a gate's facts are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The target is proven now, and the preview is asked for.
    Fresh,
    /// Right before the act: the target is proven again; the preview was for the person at the gate.
    Again,
    /// The target was proven a moment ago for the same list; its first item has shown a preview.
    Further,
}

/// A target of a change, as it proved itself.
#[derive(serde::Serialize)]
pub(super) struct TargetFacts {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) identity: Option<String>,
}

/// The targets of a change, each once.
pub(super) struct Places(pub(super) Vec<TargetFacts>);

impl Places {
    /// What a typed gate wants: the name that the target proved, or its own; for several, all of them or their number.
    fn name(&self) -> Option<String> {
        let names: Vec<_> =
            self.0.iter().map(|place| place.identity.clone().unwrap_or_else(|| place.name.clone())).collect();
        match names.len() {
            0 => None,
            1..=3 => Some(names.join(", ")),
            many => Some(format!("{many} targets")),
        }
    }

    /// The targets as a card shows them; nothing when there is none.
    fn shown(&self) -> Option<String> {
        let lines = self.0.iter().map(|TargetFacts { name, address, identity }| match identity {
            Some(identity) => format!("{name} = {identity} (proven just now) at {address}"),
            None => format!("{name} at {address} (declares no identity)"),
        });
        let lines: Vec<_> = lines.collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

impl Task {
    /// Everything a gate is about, looked at now.
    pub(super) async fn facts(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        units: &[Unit],
        look: Look,
    ) -> Result<Facts, StepEnd> {
        let mut acts = Vec::new();
        let mut by_hand = Vec::new();
        for unit in units {
            if let Action::Manual(text) = action {
                by_hand.push(self.by_hand(text, &unit.scope));
                continue;
            }
            match self.act(action, step, &unit.scope) {
                Ok(Some(act)) => acts.push(act),
                Ok(None) => {
                    return Err(StepEnd::failed(ErrorClass::BadValue, format!("`{}` is not an act", action.name())));
                }
                Err(refusal) => return Err(StepEnd::failed(ErrorClass::BadValue, refusal.message)),
            }
        }
        let views: Vec<ActView> = acts.iter().map(view).chain(by_hand).collect();
        if let Some(hole) = views.iter().find_map(|view| view.holes.first()) {
            let reason = format!("`{}` is unknown: {}", hole.label, hole.text);
            return Err(StepEnd::failed(ErrorClass::BadValue, reason));
        }
        let scope = &units[0].scope;
        let limit = self.within_limits(step, units.len(), units.len(), scope)?;
        let places = self.places(&acts, look, scope).await?;
        self.lock(&acts, &places).await?;
        let name = places.name().unwrap_or_else(|| self.shared.host.clone());
        let requirement = self
            .shared
            .policy
            .requirement(change, &name, scope)
            .map_err(|refusal| StepEnd::failed(ErrorClass::BadValue, refusal.message))?;
        let terms = crate::plan::gate_terms(change, scope)
            .map_err(|refusal| StepEnd::failed(ErrorClass::BadValue, refusal.message))?;
        let mut fingerprints: Vec<_> = acts.iter().map(|act| self.shared.performer.fingerprint(act)).collect();
        let diff = self.diffs(&acts, look, &mut fingerprints).await?;
        let undo = self.undo_text(change, scope).or_else(|| self.built_in_undo(action, change));
        let digest_base = serde_json::json!({
            "run": self.shared.run,
            "step": self.path(),
            "environment": self.shared.environment,
            "acts": views,
            "files": fingerprints,
            "targets": places.0,
            "undo": undo,
            "attempts": step.retry.as_ref().map_or(1, |retry| retry.attempts.value),
        });
        let preview = match acts.first() {
            Some(act) if look == Look::Fresh => self.preview(change, act, diff, scope).await?,
            _ => None,
        };
        let here = || match action {
            Action::Manual(_) => "wherever the person does it".to_owned(),
            _ => format!("this machine, {}", self.shared.host),
        };
        let card = CardView {
            title: self.stands.as_ref().map_or_else(|| people(&step.title, scope), |stands| stands.title.clone()),
            risk: change.risk.as_str().to_owned(),
            act: views[0].clone(),
            items: items(units, &views),
            target: Some(places.shown().unwrap_or_else(here)),
            because: self.because(action, scope),
            missing: missing(&self.because(action, scope)),
            stale: self.stale(step, action, scope),
            preview,
            verify: change.verify.as_ref().map(|probe| self.probe_text(probe, false, scope)),
            undo,
            irreversible: change.irreversible.as_ref().map(|why| people(why, scope)),
            idempotent: change.idempotent,
            warning: step.warning.as_ref().map(|warning| people(warning, scope)),
            moved: Vec::new(),
            limit,
            requires: requirement.clone().unwrap_or(GateRequirement::Confirm),
            terms,
        };
        Ok(Facts { acts, requirement, card, digest_base, number: 1 })
    }

    /// What a person does elsewhere, as a card shows it.
    fn by_hand(&self, text: &crate::expr::Template, scope: &StepScope) -> ActView {
        ActView { action: "manual".to_owned(), text: people(text, scope), ..ActView::default() }
    }

    /// Every declared target that the acts go to, proven now.
    async fn places(&self, acts: &[Act], look: Look, scope: &StepScope) -> Result<Places, StepEnd> {
        let mut places: Vec<TargetFacts> = Vec::new();
        for act in acts {
            let Some(name) = act.target() else { continue };
            if places.iter().any(|place| place.name == name) {
                continue;
            }
            let identity = self
                .prove(name, look != Look::Further, scope)
                .await
                .map_err(|error| StepEnd::failed(ErrorClass::BadAnswer, error.reason()))?;
            let address = act.address().unwrap_or_else(|| self.shared.host.clone());
            places.push(TargetFacts { name: name.to_owned(), address, identity });
        }
        Ok(Places(places))
    }

    /// What the first act would change; and for every file on another machine, what an approval is bound to: the
    /// change as it is worked out from what is there now.
    async fn diffs(
        &self,
        acts: &[Act],
        look: Look,
        fingerprints: &mut [Vec<(String, String)>],
    ) -> Result<Option<String>, StepEnd> {
        let mut first = None;
        for (place, act) in acts.iter().enumerate() {
            let is_elsewhere = matches!(act.machine(), Some(Machine::Ssh(_)));
            let is_shown = place == 0 && look == Look::Fresh;
            if !(is_shown || act.is_file() && is_elsewhere) {
                continue;
            }
            let context = self.context(&self.path(), 0, false, PREVIEW_TIMEOUT, None);
            let diff = self.shared.performer.preview(act.clone(), context).await;
            let diff = diff.map_err(|none| StepEnd::failed(none.class, none.message))?;
            if let (Some(diff), true) = (&diff, is_elsewhere) {
                fingerprints[place].push(("diff".to_owned(), digest_of(diff)));
            }
            if place == 0 {
                first = diff;
            }
        }
        Ok(first)
    }

    async fn preview(
        &self,
        change: &Change,
        act: &Act,
        diff: Option<String>,
        scope: &StepScope,
    ) -> Result<Option<String>, StepEnd> {
        if let Some(diff) = diff {
            return Ok(Some(diff));
        }
        let Some(probe) = &change.preview else { return Ok(self.own_preview(act).await) };
        let shown = match self.probe_once(probe, scope, "preview", 1).await {
            Ok(end) => {
                let text = ["stdout", "text"].iter().find_map(|name| end.values.get(*name));
                let text = text.filter(|text| unknown_of(text).is_none()).map(ToString::to_string);
                text.or(end.reason).unwrap_or_else(|| "the preview gave nothing".to_owned())
            }
            Err(Gone) => "the preview was stopped".to_owned(),
        };
        Ok(Some(shown))
    }

    /// The read that the mechanism itself has for it; on record like any other read.
    async fn own_preview(&self, act: &Act) -> Option<String> {
        let read = crate::plan::preview_of(act)?;
        let path = format!("{}/preview", self.path());
        let Ok(attempted) = self.attempt(&path, 1, read, false, PREVIEW_TIMEOUT, &[]).await else {
            return Some("the preview was stopped".to_owned());
        };
        let performed = attempted.performed;
        if performed.outcome != Outcome::Succeeded {
            let reason = performed.message.unwrap_or_else(|| "no answer".to_owned());
            return Some(format!("there is no preview: {reason}"));
        }
        let text = performed.fields.get("diff").map(|text| match unknown_of(text) {
            Some(unknown) => format!("the preview cannot be shown: {}", unknown.reason),
            None => self.shared.evidence.mask(&text.to_string()),
        });
        Some(text.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "it would change nothing".to_owned()))
    }

    fn undo_text(&self, change: &Change, scope: &StepScope) -> Option<String> {
        let undo = self.plain_undo_text(change, scope);
        match &change.temporary {
            None => undo,
            Some(Temporary::Run) => undo.map(|undo| format!("taken back by itself when the run ends: {undo}")),
            Some(Temporary::Ends(spec)) => {
                let length = crate::plan::duration(spec, scope).ok().flatten();
                let length = length.and_then(|length| jiff::SignedDuration::try_from(length).ok());
                let length = length.map_or_else(
                    || "a time that is not known".to_owned(),
                    |length| crate::expr::Duration(length).to_string(),
                );
                let undo = undo.map_or_else(String::new, |undo| format!("; before that: {undo}"));
                Some(format!("ends by itself after {length}{undo}"))
            }
        }
    }

    /// A file is brought back without a word of the author.
    fn built_in_undo(&self, action: &Action, change: &Change) -> Option<String> {
        if self.stands.is_some() {
            return Some("this is the undo; the way forward again is a new run".to_owned());
        }
        let is_file = matches!(action, Action::Edit(_) | Action::Write(_));
        (is_file && change.irreversible.is_none()).then(|| AS_BEFORE.to_owned())
    }

    fn plain_undo_text(&self, change: &Change, scope: &StepScope) -> Option<String> {
        if let Some(why) = &change.keep {
            return Some(format!("{KEPT}{}", people(why, scope)));
        }
        let acts = change.undo.as_ref()?.works().map(|(probe, changes)| match probe {
            Some(probe) => self.probe_text(probe, changes, scope),
            None => AS_BEFORE.to_owned(),
        });
        Some(acts.collect::<Vec<_>>().join("; then "))
    }

    fn probe_text(&self, probe: &Probe, changes: bool, scope: &StepScope) -> String {
        let act = match self.scene.resolver.act(&probe.action, probe.target.as_ref(), changes, scope) {
            Ok(Some(act)) => view(&act).in_short(),
            Ok(None) => probe.action.name().to_owned(),
            Err(refusal) => refusal.message,
        };
        if probe.expect.is_empty() {
            return act;
        }
        let expects: Vec<_> = probe.expect.iter().map(|expr| expr.text().trim()).collect();
        format!("{act} expects {}", expects.join(" and "))
    }

    /// The results of earlier steps that an act rests on.
    fn because(&self, action: &Action, scope: &StepScope) -> Vec<UsedView> {
        let mut found: Vec<UsedView> = Vec::new();
        for reference in expressions(action).iter().flat_map(|expr| expr.references()) {
            let Some(root) = reference.path.first() else { continue };
            if self.scene.graph.find(root).is_none() {
                continue;
            }
            let name = reference.path.join(".");
            if found.iter().any(|used| used.name == name) {
                continue;
            }
            let place = |_| reference.span;
            let value = match Expr::parse(&name, &place).map(|expr| expr.eval(scope)) {
                Ok(Ok(value)) => store_shown(&value),
                _ => continue,
            };
            found.push(UsedView { name, value });
        }
        found
    }
}

pub(super) fn people(template: &crate::expr::Template, scope: &StepScope) -> String {
    template.render(scope, Place::Plain).map_or_else(|_| template.source_text().to_owned(), |text| text.to_string())
}

fn items(units: &[Unit], views: &[ActView]) -> Vec<ItemView> {
    let rows = units
        .iter()
        .zip(views)
        .filter_map(|(unit, view)| Some(ItemView { item: store(unit.item.as_ref()?), text: view.in_short() }));
    rows.collect()
}

fn missing(because: &[UsedView]) -> Vec<String> {
    because
        .iter()
        .filter_map(|used| match &used.value {
            crate::event::StoredValue::Unknown(reason) => Some(format!("{}: {reason}", used.name)),
            _ => None,
        })
        .collect()
}

/// The expressions whose values go into an act.
pub(super) fn expressions(action: &Action) -> Vec<&Expr> {
    let mut templates: Vec<&crate::expr::Template> = Vec::new();
    let program = match action {
        Action::Run(run) => {
            templates.extend(&run.argv);
            Some(&run.program)
        }
        Action::Shell(shell) => Some(&shell.program),
        Action::Http(http) => {
            templates.push(&http.path);
            templates.extend(http.query.values());
            templates.extend(http.headers.values());
            match &http.body {
                Body::Empty => {}
                Body::Json(data) => data.templates(&mut templates),
                Body::Form(form) => templates.extend(form.values()),
                Body::Text(text) => templates.push(text),
            }
            None
        }
        Action::Edit(edit) => {
            templates.push(&edit.file);
            if let Some(set) = &edit.set {
                set.templates(&mut templates);
            }
            None
        }
        Action::Write(write) => {
            templates.extend([&write.file, &write.text]);
            None
        }
        Action::Kubectl(kubectl) => {
            templates.extend(&kubectl.args);
            if let Some(manifest) = &kubectl.manifest {
                manifest.templates(&mut templates);
            }
            Some(&kubectl.program)
        }
        _ => None,
    };
    if let Some(program) = program {
        templates.extend(program.env.values());
        templates.extend(program.cwd.iter().chain(&program.stdin));
    }
    templates.into_iter().flat_map(crate::expr::Template::expressions).collect()
}
