//! What a gate is about: the acts, their target, what they rest on, and the card that shows it all.

use super::attempt::{Gone, Task};
use super::change::Unit;
use super::message::StepEnd;
use super::store_value::store;
use crate::event::{ActView, CardView, ErrorClass, GateRequirement, ItemView, UsedView};
use crate::expr::{Expr, Place, unknown_of};
use crate::plan::{Act, StepScope, view};
use crate::runbook::{Action, Body, Change, Probe, Step, Undo};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What a gate is about, at one moment.
pub(super) struct Facts {
    pub(super) acts: Vec<Act>,
    pub(super) requirement: Option<GateRequirement>,
    pub(super) card: CardView,
    pub(super) digest_base: serde_json::Value,
}

impl Facts {
    /// SHA-256 over the facts that an approval is bound to (ruling 12): not titles, preview or evidence.
    pub(super) fn digest(&self, number: u32) -> String {
        let text = serde_json::json!({ "facts": self.digest_base, "number": number }).to_string();
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How closely a gate's facts are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The target is proven now, and the preview is asked for.
    Fresh,
    /// The target was proven a moment ago for the same list; its first item has shown a preview.
    Further,
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
        for unit in units {
            match self.scene.resolver.act(action, step.target.as_ref(), true, &unit.scope) {
                Ok(Some(act)) => acts.push(act),
                Ok(None) => {
                    return Err(StepEnd::failed(ErrorClass::BadValue, format!("`{}` is not an act", action.name())));
                }
                Err(refusal) => return Err(StepEnd::failed(ErrorClass::BadValue, refusal.message)),
            }
        }
        let views: Vec<ActView> = acts.iter().map(view).collect();
        if let Some(hole) = views.iter().find_map(|view| view.holes.first()) {
            let reason = format!("`{}` is unknown: {}", hole.label, hole.text);
            return Err(StepEnd::failed(ErrorClass::BadValue, reason));
        }
        let scope = &units[0].scope;
        let target = acts[0].target().map(str::to_owned);
        let identity = match &target {
            None => None,
            Some(target) => self
                .prove(target, look == Look::Fresh, scope)
                .await
                .map_err(|error| StepEnd::failed(ErrorClass::BadAnswer, error.reason()))?,
        };
        let address = acts[0].address().unwrap_or_else(|| self.shared.host.clone());
        let name = identity.clone().or_else(|| target.clone()).unwrap_or_else(|| self.shared.host.clone());
        let requirement = self
            .shared
            .policy
            .requirement(change, &name, scope)
            .map_err(|refusal| StepEnd::failed(ErrorClass::BadValue, refusal.message))?;
        let fingerprints: Vec<_> = acts.iter().map(|act| self.shared.performer.fingerprint(act)).collect();
        let undo = self.undo_text(change, scope);
        let digest_base = serde_json::json!({
            "run": self.shared.run,
            "step": self.path(),
            "environment": self.shared.environment,
            "acts": views,
            "files": fingerprints,
            "target": target,
            "address": address,
            "identity": identity,
            "undo": undo,
            "attempts": step.retry.as_ref().map_or(1, |retry| retry.attempts.value),
        });
        let preview = if look == Look::Fresh { self.preview(change, &acts, scope).await? } else { None };
        let card = CardView {
            title: people(&step.title, scope),
            risk: change.risk.as_str().to_owned(),
            act: views[0].clone(),
            items: items(units, &views),
            target: Some(match (&target, &identity) {
                (Some(target), Some(identity)) => format!("{target} = {identity} (proven just now) at {address}"),
                (Some(target), None) => format!("{target} at {address} (declares no identity)"),
                (None, _) => format!("this machine, {address}"),
            }),
            because: self.because(action, scope),
            missing: missing(&self.because(action, scope)),
            preview,
            verify: change.verify.as_ref().map(|probe| self.probe_text(probe, scope)),
            undo,
            irreversible: change.irreversible.as_ref().map(|why| people(why, scope)),
            warning: step.warning.as_ref().map(|warning| people(warning, scope)),
            moved: Vec::new(),
            limit: None,
            requires: requirement.clone().unwrap_or(GateRequirement::Confirm),
        };
        Ok(Facts { acts, requirement, card, digest_base })
    }

    async fn preview(&self, change: &Change, acts: &[Act], scope: &StepScope) -> Result<Option<String>, StepEnd> {
        let diff =
            self.shared.performer.preview(&acts[0]).map_err(|reason| StepEnd::failed(ErrorClass::BadValue, reason))?;
        if diff.is_some() {
            return Ok(diff);
        }
        let Some(probe) = &change.preview else { return Ok(None) };
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

    fn undo_text(&self, change: &Change, scope: &StepScope) -> Option<String> {
        match &change.undo {
            Some(Undo::Act(probe)) => Some(self.probe_text(probe, scope)),
            Some(Undo::Steps(steps)) => {
                Some(steps.iter().map(|step| people(&step.title, scope)).collect::<Vec<_>>().join("; "))
            }
            None => None,
        }
    }

    fn probe_text(&self, probe: &Probe, scope: &StepScope) -> String {
        let act = match self.scene.resolver.act(&probe.action, probe.target.as_ref(), false, scope) {
            Ok(Some(act)) => view(&act).text,
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
                Ok(Ok(value)) => store(&value),
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
        .filter_map(|(unit, view)| Some(ItemView { item: store(unit.item.as_ref()?), text: view.text.clone() }));
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
fn expressions(action: &Action) -> Vec<&Expr> {
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
        _ => None,
    };
    if let Some(program) = program {
        templates.extend(program.env.values());
        templates.extend(program.cwd.iter().chain(&program.stdin));
    }
    templates.into_iter().flat_map(crate::expr::Template::expressions).collect()
}
